//! Whole models on emulated cores: the instructions that they take are those that `arcgate inspect` estimates.
//!
//! Rates were fitted to small plans of two or three operations (`tests/bench-mcu`); none of the models here was among them.

use std::path::{Path, PathBuf};

use arcgate::chips::{instructions, whole};
use arcgate_firmware::engine::plan::Plan;
use arcgate_tests::data::workspace;
use arcgate_tests::mcu::{Counts, MOST_MACS, Machine, count};
use arcgate_tests::{or_skip, skip};

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

/// Counts `plan` on every machine, in turns.
fn on_all_machines(plan: &Path) {
    let bytes = std::fs::read(plan).expect("a plan");
    let mut seen = Vec::new();
    for machine in Machine::ALL {
        let firmware = or_skip!(machine.firmware());
        let plans: [PathBuf; 1] = [plan.to_owned()];
        let counts = count(machine, &firmware, &plans).expect("the emulator counts").remove(0);
        compare(machine, &bytes, &counts);
        seen.push(counts);
    }
    assert_eq!(seen[0], seen[1], "the same program takes the same instructions on a Cortex-M7");
}

#[test]
fn the_shipped_model_takes_what_was_estimated() {
    on_all_machines(&workspace().join("models/synth-s/synth-s.plan"));
}

/// With ARCGATE_TEST_PLAN naming a plan, its model too.
#[test]
fn a_model_from_elsewhere_takes_what_was_estimated() {
    let named = std::env::var_os("ARCGATE_TEST_PLAN").map(PathBuf::from);
    let plan = or_skip!(named, "ARCGATE_TEST_PLAN names no plan");
    let bytes = std::fs::read(&plan).expect("a plan");
    let largest = Plan::parse(&bytes).expect("a plan").steps().map(|s| s.unwrap().macs()).max().unwrap_or(0);
    if largest > MOST_MACS {
        return skip(format_args!(
            "an operation has {largest} multiply-accumulates, {MOST_MACS} can be counted"
        ));
    }
    on_all_machines(&plan);
}
