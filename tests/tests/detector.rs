//! A real face detector in int8 as a plan, beside the float one on the same photographs.

use arcgate_tests::data;
use arcgate_tests::program::arcgate;
use serde_json::Value;

/// The program's own allocator, because of tract 0.23.9's AMX kernel: see tests/tests/import.rs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Photographs that are looked at.
const PHOTOGRAPHS: u64 = 500;

#[test]
fn yunet_finds_the_faces_of_lfw() {
    let (Some(float), Some(lfw)) = (data::find("models/yunet_2026may.onnx"), data::find("lfw")) else {
        println!("skipped: no YuNet or no LFW in {}", data::folder().display());
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [onnx, plan] =
        ["int8.onnx", "int8.plan"].map(|name| folder.path().join(name).to_string_lossy().into_owned());
    let [float, lfw] = [&float, &lfw].map(|p| p.to_string_lossy().into_owned());
    let landmarks = data::folder().join("lfw-protocol/landmarks.csv").to_string_lossy().into_owned();
    // The protocol's photographs are not calibrated on.
    let how = ["--landmarks", &landmarks, "--input", "1x3x256x256", "--images", "128", "--json", "-q"];
    let imported =
        arcgate(["import", &float, "--calibrate", &lfw, "-o", &onnx].into_iter().chain(how)).json();
    assert_eq!(
        (&imported["dimension"], &imported["detections"]["pictures"]),
        (&Value::from(0), &Value::from(32))
    );
    let compiled =
        arcgate(["compile", &onnx, "-o", &plan, "--images", &lfw, "--count", "16", "--json", "-q"]).json();
    println!(
        "{} bytes of plan, {} of arena, {} MACs",
        compiled["flash_bytes"], compiled["memory"]["arena_bytes"], compiled["macs"]
    );
    let [arena, live] =
        ["arena_bytes", "live_bytes"].map(|bytes| compiled["memory"][bytes].as_u64().unwrap());
    assert!(20 * arena <= 21 * live, "an arena of {arena} bytes, {live} live at once");

    let profile = arcgate(["profile", &plan, "--runs", "2", "--json", "-q"]).json();
    let layers = profile["layers"].as_array().expect("layers");
    assert_eq!(Some(layers.len() as u64), compiled["layers"].as_u64());
    assert!(layers.iter().all(|layer| layer["operation"].is_string() && layer["nanoseconds"].is_u64()));

    let count = PHOTOGRAPHS.to_string();
    let found =
        arcgate(["eval", "detector", &plan, &lfw, "--beside", &float, "--count", &count, "--json", "-q"])
            .json();
    println!("{found}");
    let number = |name: &str| found[name].as_f64().unwrap_or_else(|| panic!("{name}: {found}"));
    assert_eq!(found["pictures"], PHOTOGRAPHS);
    assert!(number("faces") >= 0.98 * PHOTOGRAPHS as f64, "the float detector sees them");
    assert!(number("missed_share") <= 0.005, "at most .5 % more faces missed");
    assert!(number("median_pixels") <= 1.5);

    // The same through the command that people use, in the photograph's own pixels.
    let photo =
        data::folder().join("lfw/Aaron_Eckhart/Aaron_Eckhart_0001.jpg").to_string_lossy().into_owned();
    let by = |detector: &str| {
        let seen = arcgate(["detect", &photo, "--detector", detector, "--json", "-q"]).json();
        let face = &seen["photos"][0]["faces"][0];
        let points = face["landmarks"].as_array().expect("five points").clone();
        points.iter().map(|p| [0, 1].map(|i| p[i].as_f64().expect("a number"))).collect::<Vec<_>>()
    };
    for (a, b) in by(&plan).iter().zip(by(&float)) {
        assert!((a[0] - b[0]).hypot(a[1] - b[1]) < 5.0, "{a:?} {b:?}");
    }
    let crops = folder.path().join("crops").to_string_lossy().into_owned();
    let refused = arcgate(["align", &photo, "--model", &plan, "-o", &crops, "--detector", &plan]);
    assert!(refused.code == 1 && refused.stderr.contains("this one detects faces"), "{refused:?}");
}
