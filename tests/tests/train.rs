//! Trainings from the command line: one begins with another's weights, one learns from another's model.

use std::path::Path;

use arcgate_tests::program::{Run, arcgate};

const FAILED: i32 = 1;

fn recipe(folder: &Path, name: &str, images: usize, distill: &str) {
    let text = format!(
        r#"
name = "{name}"
[net]
input = [24, 24]
order = "rgb"
stem = 8
blocks = [{{ expand = 2, channels = 8, repeat = 2, stride = 2 }}]
head = 16
embedding = 12
[loss]
name = "cosface"
scale = 10.0
{distill}
[data]
source = "synth"
population = 2
identities = 10
[split]
validation = 10
[train]
images = {images}
batch = 16
rate = 0.1
"#
    );
    std::fs::write(folder.join(format!("{name}.toml")), text).unwrap();
}

fn train(folder: &Path, name: &str, more: &str) -> Run {
    let line = format!(
        "train {}/{name}.toml --json {}",
        folder.display(),
        more.replace('@', &folder.to_string_lossy())
    );
    arcgate(line.split_whitespace())
}

fn refused(run: &Run, words: &[&str]) {
    assert_eq!(run.code, FAILED, "{}", run.stderr);
    assert!(words.iter().all(|w| run.stderr.contains(w)), "{words:?}: {}", run.stderr);
}

#[test]
fn one_begins_where_another_ended_and_one_learns_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    recipe(at, "first", 4800, "");
    let first = train(at, "first", "--weights @/first.safetensors").done().json();
    let tar = |run: &serde_json::Value| run["validation"]["tar_at_far"]["0.01"].as_f64().unwrap();
    assert!(first["validation"]["cosine_to_teacher"].is_null());

    // One step of training: what it can do it has from the file.
    recipe(at, "again", 16, "");
    let fresh = train(at, "again", "").done().json();
    for file in ["first.safetensors", "first.onnx"] {
        let again =
            train(at, "again", &format!("--restart --init @/{file} -o @/again-{file}.onnx")).done().json();
        let loss = |run: &serde_json::Value| run["loss"].as_f64().unwrap();
        assert!(
            tar(&again) > tar(&fresh) && tar(&again) > 0.5 * tar(&first),
            "{file}: {again} after {first}"
        );
        if file == "first.safetensors" {
            assert!(
                loss(&again) < 0.5 * loss(&fresh),
                "the head's weights are there too: {again} against {fresh}"
            );
        }
    }

    // The path is relative to the recipe, not to where the program runs.
    recipe(at, "student", 3200, "[distill]\nteacher = \"first.onnx\"\nweight = 0.5\n");
    let student = train(at, "student", "").done().json();
    assert!(student["validation"]["cosine_to_teacher"].as_f64().unwrap() > 0.5, "{student}");

    refused(
        &train(at, "again", "--restart --weights @/again.onnx"),
        &["accepted: a name that ends in .safetensors"],
    );
    let over = train(at, "first", "--restart --init @/first.onnx");
    refused(&over, &["written over", "first.onnx"]);
    recipe(at, "other", 32, "");
    let text = std::fs::read_to_string(at.join("other.toml")).unwrap().replace("head = 16", "head = 24");
    std::fs::write(at.join("other.toml"), text).unwrap();
    refused(
        &train(at, "other", "--init @/first.onnx"),
        &["[16, 8, 1, 1]", "[24, 8, 1, 1]", "as head", "accepted:"],
    );
}
