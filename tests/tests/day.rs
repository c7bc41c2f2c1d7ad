//! A day on each machine, by the program behind `tests/day`: every step as it must be, and the same answers and embeddings on all.

use std::process::{Command, Stdio};

use arcgate_tests::day::On;
use arcgate_tests::{or_skip, program};
use serde_json::Value;

/// A day on a machine, as its JSON object.
fn day(on: On) -> Value {
    let program = program::path().with_file_name(format!("day{}", std::env::consts::EXE_SUFFIX));
    let output = Command::new(program)
        .args(["--on", on.name(), "--json"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let day: Value =
        serde_json::from_str(said.trim_end().lines().last().unwrap_or_default()).expect("a JSON object");
    assert!(output.status.success() && day["passed"] == true, "{day:#}");
    println!("{}: {} embeddings, {}", on.name(), day["embeddings"], day["embeddings_sha256"]);
    day
}

/// What each step answered.
fn answers(day: &Value) -> Vec<(&Value, &Value)> {
    let steps = day["steps"].as_array().expect("steps");
    steps.iter().map(|step| (&step["name"], &step["answers"])).collect()
}

#[test]
fn a_day_on_the_simulator() {
    let day = day(On::Simulator);
    assert_eq!(day["steps"].as_array().map(Vec::len), Some(11));
    assert!(day["embeddings"].as_u64() > Some(30), "{day:#}");
}

#[test]
fn a_day_is_the_same_on_emulated_boards() {
    for on in On::ALL {
        or_skip!(on.is_there());
    }
    let simulated = day(On::Simulator);
    for on in [On::Mps2An386, On::RiscvVirt] {
        let emulated = day(on);
        assert_eq!(answers(&emulated), answers(&simulated), "{}", on.name());
        assert_eq!(emulated["embeddings_sha256"], simulated["embeddings_sha256"], "{}", on.name());
    }
}
