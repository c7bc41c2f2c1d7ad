//! A day on each machine, by the program behind `tests/day`: every step as it must be, and the same answers and embeddings on all.

use std::process::{Command, Stdio};
use std::sync::LazyLock;

use arcgate_tests::day::On;
use arcgate_tests::{data, or_skip, program};
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

/// What the others are held against.
static SIMULATED: LazyLock<Value> = LazyLock::new(|| day(On::Simulator));

/// What each step answered.
fn answers(day: &Value) -> Vec<(&Value, &Value)> {
    let steps = day["steps"].as_array().expect("steps");
    steps.iter().map(|step| (&step["name"], &step["answers"])).collect()
}

#[test]
fn a_day_on_the_simulator() {
    let steps = SIMULATED["steps"].as_array().expect("steps");
    assert!(steps.iter().all(|step| step["ok"] == true), "{:#}", *SIMULATED);
    assert_eq!(steps.last().expect("steps")["name"], "remember the day");
    assert!(SIMULATED["embeddings"].as_u64() > Some(40), "{:#}", *SIMULATED);
    // Drawn portraits stand for photographs only where there are none.
    let files = ["models/MobileFaceNet.onnx", "models/yunet_2026may.onnx", "lfw"];
    assert_eq!(SIMULATED["photographs"], files.iter().all(|file| data::find(file).is_some()));
}

#[test]
fn a_day_is_the_same_on_emulated_boards() {
    let boards = [On::Mps2An386, On::RiscvVirt];
    for on in boards {
        or_skip!(on.is_there());
    }
    let simulated = &*SIMULATED;
    let days = std::thread::scope(|scope| {
        let days = boards.map(|on| scope.spawn(move || day(on)));
        days.map(|day| day.join().expect("a day that passes"))
    });
    for emulated in days {
        assert_eq!(answers(&emulated), answers(simulated), "{}", emulated["on"]);
        assert_eq!(emulated["embeddings_sha256"], simulated["embeddings_sha256"], "{}", emulated["on"]);
    }
}
