//! Open-set identification through the program: int8 beside float, on the same galleries.

use arcgate_tests::program::arcgate;

const INT8: &str = "models/synth-s/synth-s.onnx";
const FLOAT: &str = "models/synth-s/synth-s-float.onnx";

#[test]
fn int8_finds_whom_the_float_model_finds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let people = folder.path().join("people").to_string_lossy().into_owned();
    let size = ["--identities", "90", "--views", "9", "--first", "70000", "--size", "48x48"];
    arcgate(["synth", "-q", "-o", &people].into_iter().chain(size)).done();
    let eval = |more: &[&str]| {
        let words = ["eval", "openset", &people, "--model", INT8, "--float", FLOAT, "--json", "-q"];
        arcgate(words.into_iter().chain(more.iter().copied()))
    };
    let json =
        eval(&["--enrolled", "30", "--templates", "3", "--galleries", "4", "--fpir", ".05"]).done().json();
    println!("{json}");
    assert_eq!((json["identities"].as_u64(), json["images"].as_u64()), (Some(90), Some(810)));
    assert_eq!(json["mated"].as_u64(), Some(4 * 30 * (9 - 3)));
    assert_eq!(json["non_mated"].as_u64(), Some(4 * 60 * 9));
    let number = |value: &serde_json::Value| value.as_f64().expect("a number");
    let (int8, float) = (number(&json["fnir_at_fpir"]), number(&json["float"]["fnir_at_fpir"]));
    // Three images of a drawn person say who it is more often than not, and not always.
    assert!((0.001..0.5).contains(&float) && json["fpir"].as_f64() <= Some(0.05), "{json}");
    let less = number(&json["fnir_less_float"]);
    assert!((less - (int8 - float)).abs() < 1e-12 && less.abs() < 0.03, "{json}");
    let ends = |key: &str| [number(&json[key][0]), number(&json[key][1])];
    let ([lo, hi], [least, most]) = (ends("fnir_less_float_95"), ends("fnir_at_fpir_95"));
    assert!(lo <= less && less <= hi && least <= int8 && int8 <= most, "{json}");
    // Both models saw the same people: how they differ is known far better than what each one is.
    assert!(hi - lo < 0.5 * (most - least), "{json}");

    let all = eval(&["--enrolled", "90"]);
    assert!(all.code != 0 && all.stderr.contains("90 of 90 identities"), "{}", all.stderr);
    let alone = eval(&["--templates", "9"]);
    assert!(alone.code != 0 && alone.stderr.contains("0 of 0 identities"), "{}", alone.stderr);
}
