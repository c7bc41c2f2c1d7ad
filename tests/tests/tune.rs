//! Fine-tuning with simulated int8 through the program: train, import, and the int8 model beside the float one that it came from.

use std::path::Path;

use arcgate_tests::data::workspace;
use arcgate_tests::program::{Run, arcgate};
use serde_json::json;

const FLOAT: &str = "models/synth-s/synth-s-float.onnx";

/// Runs a line of words; `@` is `folder`.
fn run(folder: &Path, line: &str) -> Run {
    let line = line.replace('@', &folder.to_string_lossy());
    arcgate(line.split_whitespace())
}

#[test]
fn what_was_tuned_is_imported_as_it_was_and_says_what_the_float_model_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path();
    let float = workspace().join(FLOAT);
    let recipe = format!(
        r#"
name = "tuned"
[net]
input = [48, 48]
order = "rgb"
stem = 16
blocks = [{{ expand = 2, channels = 24, repeat = 1, stride = 2 }}]
head = 128
embedding = 64
[quantization]
calibrate = 64
[distill]
teacher = "{}"
weight = 1.0
[loss]
name = "softmax"
[data]
source = "synth"
population = 1
identities = 1500
[split]
validation = 20
[train]
images = 1600
batch = 32
optimizer = "adamw"
rate = 3e-4
weight_decay = 0.0
ema = 0.9
validate_every = 400
"#,
        float.display()
    );
    std::fs::write(at.join("tuned.toml"), recipe).expect("a recipe");
    let alone = run(at, "train @/tuned.toml");
    assert!(alone.code != 0 && alone.stderr.contains("--init"), "{}", alone.stderr);

    run(at, "synth -q -o @/people --identities 90 --views 9 --first 70000 --size 48x48").done();
    let init = float.display();
    let trained = run(at, &format!("train @/tuned.toml --init {init} --json -q")).done().json();
    let cosine = trained["validation"]["cosine_to_teacher"].as_f64().expect("a teacher was there");

    // Ranges come with the file: nothing is calibrated, and the int8 model is as near to float as the training said it was.
    let imported = run(at, "import @/tuned.onnx --calibrate @/people --json -q -o @/int8.onnx").done().json();
    assert_eq!((&imported["ranges"], imported["calibration_images"].as_u64()), (&json!("learnt"), Some(0)));
    let plain =
        run(at, &format!("import {init} --calibrate @/people --json -q -o @/plain.onnx")).done().json();
    assert_eq!(plain["ranges"], json!("calibrated"));

    let eval = |model: &str| {
        let words = "--enrolled 30 --templates 3 --galleries 4 --probes 99 --fpir .05 --json -q";
        run(at, &format!("eval identification @/people --model @/{model} --float {init} {words}"))
            .done()
            .json()
    };
    let less = |json: &serde_json::Value| json["rows"][0]["fnir_less_float"].as_f64().expect("a share");
    let (tuned, plain) = (eval("int8.onnx"), eval("plain.onnx"));
    println!("cosine {cosine}; tuned {tuned}; calibrated {plain}");
    assert!(cosine > 0.99 && less(&tuned).abs() < 0.03, "{tuned}");
}
