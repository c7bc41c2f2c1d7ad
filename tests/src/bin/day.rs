//! A whole day of a device.
//!
//!     day --on simulator|mps2-an386|riscv-virt [--json]

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use arcgate_tests::day::{self, On, Step};

/// The program's own allocator, because of tract 0.23.9's AMX kernel: see tests/tests/import.rs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<ExitCode> {
    let (on, as_json) = options()?;
    let mut tell = |step: &Step| {
        let how = if step.ok { "ok" } else { "FAILED" };
        eprintln!("{:<42} {how:<6} {:6.1} s  {}", step.name, step.seconds, step.detail);
    };
    let day = day::run(on, &mut tell)?;
    if as_json {
        println!("{}", serde_json::to_string(&day)?);
    } else {
        let of = if day.photographs { "photographs of LFW" } else { "drawn portraits: no data folder" };
        let passed = day.steps.iter().filter(|step| step.ok).count();
        println!(
            "{}: {passed} of {} steps passed in {:.0} s, {of}; {} embeddings, SHA-256 {}",
            day.on,
            day.steps.len(),
            day.steps.iter().map(|step| step.seconds).sum::<f64>(),
            day.embeddings,
            day.embeddings_sha256,
        );
    }
    Ok(if day.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Which machine, and whether there is `--json`.
fn options() -> Result<(On, bool)> {
    let names = On::ALL.map(On::name).join(", ");
    let (mut on, mut json) = (None, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => json = true,
            "--on" => {
                let word = arguments.next().unwrap_or_default();
                let named = On::ALL.into_iter().find(|on| on.name() == word);
                on = Some(named.with_context(|| format!("no machine {word:?}\n  accepted: {names}"))?);
            }
            other => bail!("unknown option {other}\n  accepted: --on MACHINE, --json"),
        }
    }
    Ok((on.with_context(|| format!("which machine?\n  accepted: --on with one of {names}"))?, json))
}
