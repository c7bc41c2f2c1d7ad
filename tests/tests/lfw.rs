//! A real float embedder and real photographs through the whole chain.

use std::time::{Duration, Instant};

use arcgate_tests::data;
use arcgate_tests::or_skip;
use arcgate_tests::program::arcgate;

#[test]
fn mobilefacenet_on_lfw_is_what_it_was_in_float() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let started = Instant::now();
    let model = or_skip!(data::mobilefacenet(folder.path()));
    let float = data::find("models/MobileFaceNet.onnx").expect("what was imported");
    let lfw = data::find("lfw").expect("what it was calibrated on");
    let [model, float, lfw, root] =
        [&model, &float, &lfw, &data::folder()].map(|path| path.to_string_lossy().into_owned());

    let measured = arcgate([
        "eval",
        "lfw",
        "--model",
        &model,
        "--float",
        &float,
        "--engine",
        "plan",
        "--data",
        &root,
        "--all-pairs",
        "--json",
    ]);
    let took = started.elapsed();
    let json = measured.done().json();
    println!("{json}\n{:.0} s", took.as_secs_f32());

    // The float model through tract, beside it on the same crops, gives its published figure.
    let float_accuracy = json["float"]["accuracy"].as_f64().expect("the float model's accuracy");
    assert!((float_accuracy - 0.990).abs() <= 0.0015, "{json}");
    let accuracy = json["accuracy"].as_f64().expect("an accuracy");
    assert!(accuracy >= 0.989 && (accuracy - float_accuracy).abs() <= 0.0015 + 1e-9, "{json}");
    assert!(json["cosine_to_float"]["mean"].as_f64() >= Some(0.997), "{json}");
    assert!(json["cosine_to_float"]["min"].as_f64() >= Some(0.985), "{json}");
    // 13,233 photographs, each with each: rare false accepts.
    let at = |of: &serde_json::Value| of["all_pairs"]["tar_at_far"]["0.0001"].as_f64().expect("a rate");
    assert_eq!(json["all_pairs"]["mated"].as_u64(), Some(242_257), "{json}");
    assert!((at(&json) - at(&json["float"])).abs() <= 0.003, "{json}");
    assert!(took < Duration::from_secs(12 * 60), "{took:?}");

    let plan = folder.path().join("m.plan");
    let compiled = arcgate([
        "compile",
        &model,
        "--images",
        &lfw,
        "--count",
        "500",
        "-o",
        &plan.to_string_lossy(),
        "--json",
    ]);
    let json = compiled.done().json();
    println!("{json}");
    assert!(json["images"].as_u64() >= Some(500), "{json}");
    assert_eq!(json["tract_equals_plan"], true, "{json}");
    let [arena, live] = ["arena_bytes", "live_bytes"].map(|bytes| json["memory"][bytes].as_u64().unwrap());
    assert!(20 * arena <= 21 * live, "an arena of {arena} bytes, {live} live at once");

    let listed = arcgate(["inspect", &plan.to_string_lossy(), "--json"]).done().json();
    println!("{listed}");
    assert_eq!(listed["dimension"], 128);
}
