//! What a model takes on a board, and where its time goes: `compile --target`, `--board` and `--ram`, `inspect` and `profile`.

use arcgate_tests::program::{Run, arcgate};
use arcgate_tests::simulator::Simulator;
use serde_json::Value;

const FAILED: i32 = 1;
const USAGE: i32 = 2;

const SHIPPED: &str = "models/synth-s/synth-s.onnx";

/// A folder, and the path of a plan in it.
fn place() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = folder.path().join("model.plan").to_string_lossy().into_owned();
    (folder, plan)
}

fn compile(plan: &str, more: &[&str]) -> Run {
    arcgate([&["compile", SHIPPED, "-o", plan, "--json", "-q"], more].concat())
}

#[test]
fn a_plan_is_laid_out_for_its_core_and_says_so() {
    let (_folder, plan) = place();
    for (asked, target, chips) in [
        (&["--target", "Cortex-M4"][..], "dsp", [true, true, true, false]),
        (&["--target", "thumbv8m.main-none-eabihf"], "dsp", [true, true, true, false]),
        (&["--target", "cortex-m55"], "mve", [false; 4]),
        (&["--board", "nrf52840"], "dsp", [true, true, true, false]),
        (&["--board", "ESP32-C6"], "portable", [true; 4]),
        (&[], "portable", [true; 4]),
    ] {
        let compiled = compile(&plan, asked).done().json();
        assert_eq!(
            (&compiled["target"], &compiled["tract_equals_plan"]),
            (&target.into(), &true.into()),
            "{asked:?}"
        );
        let shown = arcgate(["inspect", &plan, "--json"]).done().json();
        assert_eq!(shown["summary"]["target"], target);
        for (chip, runs) in shown["chips"].as_array().expect("chips").iter().zip(chips) {
            assert_eq!(chip["core_fits"], runs, "{chip}");
            assert_eq!(chip["instructions"].is_u64(), runs, "{chip}");
        }
        // The desktop runs what is packed for others.
        let profile = arcgate(["profile", &plan, "--runs", "2", "--json", "-q"]).done().json();
        assert_eq!(
            profile["layers"].as_array().map(Vec::len),
            compiled["layers"].as_u64().map(|n| n as usize)
        );
    }
    let told = compile(&plan, &["--target", "avr"]);
    assert_eq!(told.code, USAGE);
    assert!(told.stderr.contains("cortex-m33") && told.stderr.contains("cortex-m55"), "{}", told.stderr);
}

#[test]
fn a_board_tells_what_is_taken_and_refuses_what_does_not_fit() {
    let (_folder, plan) = place();
    let told = compile(&plan, &["--board", "RP2350"]).done().json();
    let number = |part: &Value| part.as_u64().expect("a number");
    let board = &told["board"];
    assert_eq!(board["board"], "RP2350");
    assert_eq!(number(&board["flash"]["plan"]), number(&told["flash_bytes"]));
    let arena = number(&told["memory"]["arena_bytes"]);
    assert_eq!(number(&board["ram"]["plan"]), arena + 48 * 48 * 3);
    assert_eq!(number(&board["arena"][0]), arena);

    let unknown = compile(&plan, &["--board", "nowhere"]);
    assert_eq!(unknown.code, FAILED);
    assert!(unknown.stderr.contains("RP2350, STM32H743, nRF52840, ESP32-C6"), "{}", unknown.stderr);
    let none = compile(&plan, &["--board", "Cargo.toml"]);
    assert!(none.stderr.contains("Cargo.toml is no ELF file"), "{}", none.stderr);

    // Less RAM than bands reach: nothing is written over.
    let before = std::fs::read(&plan).expect("the plan");
    let refused = compile(&plan, &["--ram", "10K"]);
    assert_eq!(refused.code, FAILED);
    assert!(refused.stderr.contains("10240 asked for"), "{}", refused.stderr);
    assert_eq!(std::fs::read(&plan).expect("the plan"), before);
}

#[test]
fn a_device_says_where_its_time_goes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let flash = folder.path().join("gate.flash").to_string_lossy().into_owned();
    let device = Simulator::start(["--model", SHIPPED, "--flash", &flash]);
    let ask =
        |more: &[&str]| arcgate([&["profile", "--port", device.target(), "--json", "-q"], more].concat());
    let named = ask(&[SHIPPED]).done().json();
    let layers = named["layers"].as_array().expect("layers");
    assert_eq!(named["unit"], "nanoseconds");
    let times: Vec<u64> = layers.iter().map(|layer| layer["nanoseconds"].as_u64().expect("a time")).collect();
    assert_eq!(named["total"].as_u64(), Some(times.iter().sum()));
    assert!(times.iter().all(|&time| time < 1_000_000_000), "{times:?}");
    assert_eq!(layers[0]["operation"], "input table");
    // Without the model nothing has a name, and as much is measured.
    let unnamed = ask(&[]).done().json();
    assert_eq!(unnamed["layers"].as_array().map(Vec::len), Some(layers.len()));
    assert!(unnamed["layers"][0]["layer"].is_null() && unnamed["macs"].is_null());
    assert_eq!(arcgate(["profile"]).code, USAGE);
    assert_eq!(ask(&["--runs", "3"]).code, USAGE);
}
