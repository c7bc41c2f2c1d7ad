//! Training on real drawings: characters that the one-shot runs do not have, judged by the runs.

use arcgate_tests::data;
use arcgate_tests::or_skip;
use arcgate_tests::program::arcgate;

#[test]
fn a_model_trained_on_other_characters_solves_the_one_shot_runs() {
    or_skip!(data::find("omniglot/python"), "no omniglot/python in the data folder");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = folder.path().join("omniglot.onnx");
    let model = model.to_string_lossy();
    let trained = arcgate(["train", "models/recipes/omniglot.toml", "-o", &model, "--json"]).done().json();
    println!("{trained}");
    let root = data::folder();
    let measured =
        arcgate(["eval", "omniglot", "--model", &model, "--data", &root.to_string_lossy(), "--json"])
            .done()
            .json();
    println!("{measured}");
    assert_eq!(measured["runs"], 20);
    assert!(measured["accuracy"].as_f64() >= Some(0.70), "chance is 5 %: {measured}");
}
