//! The first of the two commands: the main job from nothing, held to the figures that the README promises.

use std::time::{Duration, Instant};

use arcgate_tests::program::arcgate;

/// Beside the builds of a whole run, on two cores that are shared with others, it has taken six minutes.
const PATIENCE: Duration = Duration::from_secs(12 * 60);

#[test]
fn the_demo_does_the_main_job() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let started = Instant::now();
    let run = arcgate(["demo", "--json", "-o", &folder.path().to_string_lossy()]).done();
    let took = started.elapsed();
    let json = run.json();
    println!("{json}\n{:.0} s", took.as_secs_f32());
    let figure = |name: &str| json[name].as_f64().unwrap_or_else(|| panic!("no {name} in {json}"));

    assert!(figure("identities") >= 200.0, "identities never trained on");
    assert!(figure("int8_accuracy") >= 0.95);
    assert!(figure("float_accuracy") >= 0.95);
    assert!(figure("mated_found") >= 0.90);
    assert!(figure("strangers_accepted") <= 0.01);
    assert!((figure("strangers_refused") + figure("strangers_accepted") - 1.0).abs() < 1e-9);
    assert!(figure("raw_pixels_accuracy") <= 0.65);
    assert!(figure("mean_colour_accuracy") <= 0.65);
    assert_eq!(json["tract_equals_plan"], true);
    assert!(took < PATIENCE, "{took:?}");

    let report =
        std::fs::read_to_string(json["report"].as_str().expect("a path")).expect("the report is written");
    assert!(report.contains("data:image/png;base64,") && report.contains("<svg"));
    assert!(!report.contains("<script"), "the report must be readable without a script");
}
