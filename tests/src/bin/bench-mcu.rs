//! The instructions of every kind of operation on emulated cores, and the rates fitted to them; see `tests/bench-mcu`.
//!
//!     bench-mcu [--json] [--write]

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use arcgate::chips::rates::{self, rate};
use arcgate::chips::term::Term;
use arcgate_firmware::engine::plan::Target;
use arcgate_tests::data::workspace;
use arcgate_tests::mcu::fit::{Sample, fit, samples};
use arcgate_tests::mcu::rows::{Row, rows};
use arcgate_tests::mcu::{Machine, count};
use arcgate_tests::mcu::{search, shapes};
use serde_json::json;

/// Where the rates stand, and between which lines.
const RATES: &str = "host/src/chips/rates.rs";
const BEGIN: &str = "    // bench-mcu: begin\n";
const END: &str = "    // bench-mcu: end\n";

/// Machines whose rates are kept: the Cortex-M7 runs the Cortex-M4's program.
const KEPT: [Machine; 3] = [Machine::An386, Machine::An505, Machine::Virt];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(other) = arguments.iter().find(|a| *a != "--json" && *a != "--write") {
        bail!("unknown option {other}\n  accepted: --json, --write");
    }
    let asked = |option: &str| arguments.iter().any(|a| a == option);
    let folder = tempfile::tempdir()?;
    let model = std::env::var_os("ARCGATE_TEST_PLAN").map(|plan| PathBuf::from(plan).with_extension("onnx"));
    let mut compared = Vec::new();
    for machine in Machine::ALL {
        for row in rows(machine, model.as_deref()).map_err(anyhow::Error::msg)? {
            println!(
                "{:<11} {:<15} {:.3} instructions per multiply-accumulate",
                row.machine, row.kernel, row.instructions_per_mac
            );
            compared.push(row);
        }
        let searches = search::run(machine).map_err(anyhow::Error::msg)?.searches;
        let of_a_template = searches.of_a_template();
        println!("{:<11} {:<15} {of_a_template:.1} instructions for each template", machine.name(), "search");
        let instructions_per_mac = of_a_template / searches.dimension as f64;
        compared.push(Row { machine: machine.name(), kernel: "search", instructions_per_mac });
    }

    let mut fitted = Vec::new();
    let mut errors = Vec::new();
    for machine in KEPT {
        let firmware = machine.firmware().map_err(anyhow::Error::msg)?;
        let mut plans = shapes::plans(Target::Portable);
        if machine.isa().target() != Target::Portable {
            plans.extend(shapes::plans(machine.isa().target()));
        }
        let files: Vec<PathBuf> = (0..plans.len()).map(|i| folder.path().join(format!("{i}.plan"))).collect();
        for (file, plan) in files.iter().zip(&plans) {
            std::fs::write(file, plan)?;
        }
        let counts = count(machine, &firmware, &files).map_err(anyhow::Error::msg)?;
        let samples = samples(&plans, &counts, machine.isa())?;
        let rates = fit(&samples);
        let of = |term| rates.iter().find(|(t, _)| *t == term).map_or(0.0, |(_, rate)| *rate);
        let now = misfit(&samples, |term| rate(term, machine.isa()));
        let then = misfit(&samples, of);
        println!(
            "{:<11} {} operations; relative error of the rates in use: mean {:.1} %, greatest {:.1} %; fitted now: mean \
             {:.1} %, greatest {:.1} %",
            machine.name(),
            samples.len(),
            100.0 * now[0],
            100.0 * now[1],
            100.0 * then[0],
            100.0 * then[1]
        );
        println!("  farthest from its estimate: {}", farthest(&samples, of));
        errors.push(
            json!({ "machine": machine.name(), "operations": samples.len(), "in_use": now, "fitted": then }),
        );
        fitted.push(rates);
    }
    let table = table(&fitted)?;
    print!("{table}");
    if asked("--write") {
        write(&table)?;
    }
    if asked("--json") {
        let named = |(term, rate): &(Term, f64)| (format!("{term:?}"), json!(rate));
        let rates = fitted.iter().map(|rates| rates.iter().map(named).collect::<serde_json::Map<_, _>>());
        println!("{}", json!({ "rows": compared, "errors": errors, "rates": rates.collect::<Vec<_>>() }));
    }
    Ok(())
}

/// Mean and greatest relative error.
fn misfit(samples: &[Sample], rate: impl Fn(Term) -> f64) -> [f64; 2] {
    let error = |sample: &Sample| {
        let estimate: f64 = sample.work.iter().map(|&(term, amount)| rate(term) * amount as f64).sum();
        (estimate / sample.instructions as f64 - 1.0).abs()
    };
    let errors: Vec<f64> = samples.iter().map(error).collect();
    [errors.iter().sum::<f64>() / errors.len() as f64, errors.iter().copied().fold(0.0, f64::max)]
}

/// The operation whose estimate is farthest off, by its terms.
fn farthest(samples: &[Sample], rate: impl Fn(Term) -> f64) -> String {
    let estimate = |s: &Sample| s.work.iter().map(|&(term, amount)| rate(term) * amount as f64).sum::<f64>();
    let off = |s: &&Sample| (estimate(s) / s.instructions as f64 - 1.0).abs();
    let worst = samples.iter().max_by(|a, b| off(a).total_cmp(&off(b)));
    worst.map_or(String::new(), |s| {
        format!("{} counted, {:.0} estimated, {:?}", s.instructions, estimate(s), s.work)
    })
}

/// The lines of the table in [`RATES`]; 0 for what a machine never does.
fn table(fitted: &[Vec<(Term, f64)>]) -> Result<String> {
    let terms: BTreeSet<Term> = fitted.iter().flatten().map(|(term, _)| *term).collect();
    let of =
        |rates: &[(Term, f64)], term| rates.iter().find(|(t, _)| *t == term).map_or(0.0, |(_, rate)| *rate);
    let mut lines = String::new();
    for &term in &terms {
        let rates: Vec<String> = fitted.iter().map(|rates| format!("{:.3}", of(rates, term))).collect();
        lines += &format!("    (Term::{term:?}, [{}]),\n", rates.join(", "));
    }
    if terms.len() != rates::RATES.len() {
        bail!("{} terms were counted, {RATES} has {}", terms.len(), rates::RATES.len());
    }
    Ok(lines)
}

/// Puts the lines into [`RATES`].
fn write(table: &str) -> Result<()> {
    let path = workspace().join(RATES);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let parts = text.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let (head, tail) = parts.with_context(|| format!("{RATES} has no lines {BEGIN:?} and {END:?}"))?;
    std::fs::write(&path, format!("{head}{BEGIN}{table}{END}{tail}"))?;
    println!("written to {RATES}");
    Ok(())
}
