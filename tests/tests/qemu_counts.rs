//! Whole models on emulated cores: the instructions that they take are those that `arcgate inspect` estimates.
//!
//! Rates were fitted to small plans of two or three operations (`tests/bench-mcu`); none of the models here was among them.

use std::path::{Path, PathBuf};

use arcgate::chips::{instructions, whole};
use arcgate::lower::{self, Goal};
use arcgate::onnx::file;
use arcgate_firmware::engine::plan::{Plan, Target};
use arcgate_tests::data::workspace;
use arcgate_tests::mcu::rows::rows;
use arcgate_tests::mcu::{Counts, MOST_MACS, Machine, count};
use arcgate_tests::or_skip;

/// How far the estimate of a whole model, and of each of its operations, may be off.
const BOUND: f64 = 0.15;

/// Prints estimate and count of each operation and of the whole, and holds them to the bounds.
fn compare(machine: Machine, bytes: &[u8], counts: &Counts) {
    let plan = Plan::parse(bytes).expect("a plan that ran");
    let (isa, mut greatest) = (machine.isa(), 0.0f64);
    for ((at, step), &counted) in plan.steps().enumerate().zip(&counts.steps) {
        let estimate = instructions(&step.expect("a valid plan"), &plan, isa);
        let off = estimate / counted as f64 - 1.0;
        greatest = greatest.max(off.abs());
        assert!(
            off.abs() < BOUND,
            "{} step {at}: {counted} counted, {estimate:.0} estimated",
            machine.name()
        );
    }
    let estimate = whole(&plan, isa).expect("a valid plan");
    let off = estimate / counts.whole as f64 - 1.0;
    println!(
        "{:<11} {} counted, {estimate:.0} estimated: {:+.1} %, an operation at most {:.1} %",
        machine.name(),
        counts.whole,
        100.0 * off,
        100.0 * greatest
    );
    assert!(off.abs() < BOUND, "{}: {} counted, {estimate:.0} estimated", machine.name(), counts.whole);
}

/// Counts the plan on every machine, in turns, as any core runs it, and packed where there are rates for what is packed.
fn on_all_machines(plan: &Path) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = file::read(&plan.with_extension("onnx")).expect("a plan lies beside its model");
    let lowered =
        |target| lower::lower_for(&model, Goal { target, ..Goal::default() }).expect("it lowers").plan;
    let mut seen = Vec::new();
    for machine in Machine::ALL.into_iter().filter(|machine| machine.is_estimated()) {
        let firmware = or_skip!(machine.firmware());
        let mut targets = vec![Target::Portable];
        targets.extend([machine.isa().target()].into_iter().filter(|t| *t != Target::Portable));
        for target in targets {
            let (bytes, path) = (lowered(target), folder.path().join("model.plan"));
            std::fs::write(&path, &bytes).expect("a plan is written");
            let counts = count(machine, &firmware, &[path]).expect("the emulator counts").remove(0);
            compare(machine, &bytes, &counts);
            seen.push(counts);
        }
    }
    assert_eq!(seen[..2], seen[2..4], "the same program takes the same instructions on a Cortex-M7");
}

#[test]
fn the_shipped_model_takes_what_was_estimated() {
    on_all_machines(&workspace().join("models/synth-s/synth-s.plan"));
}

/// The plan that ARCGATE_TEST_PLAN names, if none of its operations is too large to be counted.
fn from_elsewhere() -> Result<PathBuf, String> {
    let named = std::env::var_os("ARCGATE_TEST_PLAN").map(PathBuf::from);
    let path = named.ok_or("ARCGATE_TEST_PLAN names no plan")?;
    let bytes = std::fs::read(&path).expect("a plan");
    let largest = Plan::parse(&bytes).expect("a plan").steps().map(|s| s.unwrap().macs()).max().unwrap_or(0);
    if largest > MOST_MACS {
        return Err(format!("an operation has {largest} multiply-accumulates, {MOST_MACS} can be counted"));
    }
    Ok(path)
}

/// With ARCGATE_TEST_PLAN naming a plan, its model too.
#[test]
fn a_model_from_elsewhere_takes_what_was_estimated() {
    on_all_machines(&or_skip!(from_elsewhere()));
}

/// Instructions for each multiply-accumulate at most, of an operation in a plan: on cores with the DSP instructions, and with MVE.
const PROMISED: [(&str, [f64; 2]); 5] = [
    ("conv3x3s2", [2.5, 1.0]),
    ("depthwise3x3", [2.9, 1.6]),
    ("pointwise", [1.2, 0.35]),
    ("fully_connected", [1.2, 0.4]),
    ("mobilefacenet", [1.4, 0.5]),
];

#[test]
fn packed_plans_take_the_instructions_that_are_promised() {
    let model = from_elsewhere().map(|plan| plan.with_extension("onnx"));
    if let Err(why) = &model {
        println!("mobilefacenet is not counted: {why}");
    }
    for machine in [Machine::An386, Machine::An500, Machine::An505, Machine::An547] {
        or_skip!(machine.firmware());
        for row in rows(machine, model.as_deref().ok()).expect("the emulator counts") {
            let (_, bounds) = PROMISED.into_iter().find(|(name, _)| *name == row.kernel).expect("a promise");
            let most = bounds[usize::from(machine == Machine::An547)];
            println!("{:<11} {:<15} {:.3} of {most}", row.machine, row.kernel, row.instructions_per_mac);
            assert!(row.instructions_per_mac <= most, "{row:?}, promised are {most}");
        }
    }
}
