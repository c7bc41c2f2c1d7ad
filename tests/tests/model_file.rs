//! The model file as a product: what `import` and `calibrate` put into one ONNX, and what `inspect` shows of it.

use std::path::Path;

use arcgate_tests::program::{Run, arcgate};
use serde_json::Value;

const FAILED: i32 = 1;
const USAGE: i32 = 2;

const FLOAT: &str = "models/synth-s/synth-s-float.onnx";
const SHIPPED: &str = "models/synth-s/synth-s.onnx";

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Runs words, one of which may hold spaces.
fn run(words: &[&str]) -> Run {
    arcgate(words)
}

fn inspected(model: &str) -> (Value, String) {
    let shown = run(&["inspect", model, "--json"]).done();
    (shown.json(), shown.stdout)
}

#[test]
fn a_licence_and_a_source_go_through_and_move_no_embedding() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| text(&folder.path().join(name));
    let people = at("people");
    run(&["synth", "-o", &people, "--identities", "20", "--views", "2", "--size", "48x48"]).done();
    let import = |output: &str, more: &[&str]| {
        let words = ["import", FLOAT, "--calibrate", &people, "--images", "24", "-o", output, "--json"];
        run(&[&words, more].concat())
    };
    // What the float model says, unless the command line says otherwise.
    let own = import(&at("own.onnx"), &[]).done().json();
    assert_eq!(own["licence"], "MIT OR Apache-2.0");
    assert_eq!(own["source"], "synth-s-float.onnx (arcgate 0.1.0)");
    let told =
        import(&at("told.onnx"), &["--licence", "CC-BY-4.0", "--source", "a test, by hand"]).done().json();
    assert_eq!((&told["licence"], &told["source"]), (&"CC-BY-4.0".into(), &"a test, by hand".into()));
    assert_eq!(own["embedding_id"], told["embedding_id"]);
    let (shown, lines) = inspected(&at("told.onnx"));
    let carried = &shown["metadata"];
    assert_eq!((&carried["licence"], &carried["source"]), (&told["licence"], &told["source"]));
    assert_eq!(carried["calibration"]["images"], told["calibration_images"]);
    assert_eq!(carried["mean"], serde_json::json!([0.5, 0.5, 0.5]));
    let hash = carried["calibration"]["sha256"].as_str().unwrap();
    for part in ["licence: CC-BY-4.0   source: a test, by hand", hash, "divided by [0.25, 0.25, 0.25]"] {
        assert!(lines.contains(part), "no {part:?} in\n{lines}");
    }
    let refused = import(&at("refused.onnx"), &["--licence", "two\nlines"]);
    assert_eq!(refused.code, USAGE);
    assert!(refused.stderr.contains("control character U+000A at 4"), "{}", refused.stderr);
    assert!(!folder.path().join("refused.onnx").exists());

    // A file whose own words cannot be shown is told of, before anything else is done, and can be overruled.
    let mut float = std::fs::read(arcgate_tests::data::workspace().join(FLOAT)).unwrap();
    let licence = float.windows(3).position(|w| w == b"MIT").unwrap();
    float[licence] = 0x1b;
    let bad = at("bad.onnx");
    std::fs::write(&bad, &float).unwrap();
    let words = ["import", &bad, "--calibrate", &people, "--images", "24", "-o", &at("overruled.onnx")];
    let refused = run(&words);
    assert_eq!(refused.code, FAILED);
    assert!(
        refused.stderr.contains("the licence has the control character U+001B at 1"),
        "{}",
        refused.stderr
    );
    run(&[&words[..], &["--licence", "MIT"]].concat()).done();
    let (shown, lines) = inspected(&bad);
    assert_eq!(shown["licence"], "\u{1b}IT OR Apache-2.0");
    assert!(!lines.contains('\u{1b}'), "{lines}");
}

#[test]
fn chips_are_told_before_anything_is_flashed() {
    let (plan, lines) = inspected("models/synth-s/synth-s.plan");
    let chips = plan["chips"].as_array().unwrap();
    assert_eq!(chips, inspected(SHIPPED).0["chips"].as_array().unwrap());
    let names: Vec<_> = chips.iter().map(|chip| chip["chip"].as_str().unwrap()).collect();
    assert_eq!(names, ["RP2350", "STM32H743", "nRF52840", "ESP32-C6"]);
    for chip in chips {
        assert_eq!((&chip["flash_fits"], &chip["ram_fits"]), (&true.into(), &true.into()), "{chip}");
        let (instructions, clock) =
            (chip["instructions"].as_f64().unwrap(), chip["megahertz"].as_f64().unwrap());
        for (ms, cycles) in [0, 1].map(|i| (&chip["milliseconds"][i], &chip["cycles_per_instruction"][i])) {
            let expected = instructions * cycles.as_f64().unwrap() / clock / 1e3;
            assert!((ms.as_f64().unwrap() / expected - 1.0).abs() < 1e-6, "{chip}");
        }
        assert!(lines.contains(chip["assumed_because"].as_str().unwrap()), "{lines}");
    }
    // The Cortex-M4 and M7 run one program; the slower clock takes longer.
    assert_eq!(chips[1]["instructions"], chips[2]["instructions"]);
}

#[test]
fn the_table_of_thresholds_is_measured_carried_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| text(&folder.path().join(name));
    let (people, model, again) = (at("people"), at("model.onnx"), at("again.onnx"));
    run(&[
        "synth",
        "-o",
        &people,
        "--identities",
        "30",
        "--views",
        "4",
        "--size",
        "48x48",
        "--first",
        "70000",
    ])
    .done();
    let calibrate = |output: &str, seed: &str| {
        let words = ["calibrate", SHIPPED, "--impostors", &people, "--seed", seed, "-o", output, "--json"];
        run(&words).done()
    };
    let told = calibrate(&model, "5");
    let table = &told.json()["thresholds"];
    assert_eq!(
        (&table["identities"], &table["images"], &table["seed"]),
        (&30.into(), &120.into(), &5.into())
    );
    let cells = table["cells"].as_array().unwrap();
    let cell = |people: u64, fpir: f64| cells.iter().find(|c| c["people"] == people && c["fpir"] == fpir);
    // Thirty people say little of strangers beyond one in ten, and nothing of more than ten times as many people.
    let extrapolated = |people, fpir| cell(people, fpir).unwrap()["frame"]["extrapolated"].clone();
    assert_eq!((extrapolated(1, 0.001), extrapolated(10, 0.01)), (true.into(), true.into()));
    assert!(cell(300, 0.1).is_some() && cell(420, 0.1).is_none());
    let (shown, lines) = inspected(&model);
    assert_eq!(&shown["metadata"]["thresholds"], table);
    assert_eq!(shown["metadata"]["licence"], "MIT OR Apache-2.0");
    let row = lines.lines().find(|line| line.trim_start().starts_with("10 ")).expect("a row for ten people");
    let degrees = cell(10, 0.001).unwrap()["frame"]["millidegrees"].as_f64().unwrap() / 1000.0;
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[1], format!("{degrees:.1}"), "{lines}");
    assert!(told.stdout.contains(row), "{}", told.stdout);
    // The plan carries the same.
    let of_plan = shown["thresholds"].as_array().expect("a table");
    assert_eq!(of_plan.len(), cells.len());
    for (carried, cell) in of_plan.iter().zip(cells) {
        let millidegrees = cell["presentation"]["millidegrees"].as_f64().unwrap();
        assert_eq!(carried["presentation"]["angle"].as_f64(), Some(millidegrees / 1000.0));
    }
    // The same seed draws the same identities; the embedding stays what it was, whatever is measured.
    calibrate(&again, "5");
    let bytes = |path: &str| std::fs::read(path).unwrap();
    assert!(bytes(&model) == bytes(&again));
    calibrate(&again, "6");
    assert!(bytes(&model) != bytes(&again));
    assert_eq!(inspected(&again).0["embedding_id"], inspected(SHIPPED).0["embedding_id"]);
}

#[test]
fn the_shipped_model_says_all_of_itself() {
    let (shown, _) = inspected(SHIPPED);
    let carried = &shown["metadata"];
    assert_eq!(carried["licence"], "MIT OR Apache-2.0");
    assert_eq!(carried["embedding_id"], shown["embedding_id"]);
    assert_eq!(carried["thresholds"]["cells"].as_array().map(Vec::len), Some(22 * 4));
    let (float, _) = inspected(FLOAT);
    assert_eq!((&float["kind"], &float["licence"]), (&"float onnx".into(), &carried["licence"]));
    let (plan, _) = inspected("models/synth-s/synth-s.plan");
    assert_eq!((&plan["metadata"], &plan["embedding_id"]), (&Value::Null, &shown["embedding_id"]));
    assert_eq!(plan["thresholds"], shown["thresholds"]);
}
