//! onnxruntime, tract and the plan give the same int8 embedding, byte for byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use arcgate::engine::{Kind, Model};
use arcgate::onnx::file;
use arcgate::onnx::metadata::FloatInput;
use arcgate::quantize::{self, ImportOptions};
use arcgate_tests::program::arcgate;
use arcgate_tests::{data, nets};
use rayon::prelude::*;

/// The program's own allocator. tract 0.23.9's AMX kernel of 8x8 tiles loads a whole tile where less is left: at the end of a
/// glibc arena of a test's thread that is a segmentation fault.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A Python with onnxruntime, which `tests/run` makes; without one a line that says so.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("ARCGATE_TEST_ONNXRUNTIME").map(PathBuf::from);
    if python.is_none() {
        println!(
            "skipped: ARCGATE_TEST_ONNXRUNTIME names no Python with onnxruntime (tests/run onnxruntime makes one)"
        );
    }
    python
}

/// Crops `photos` for the int8 ONNX `model` and compares the embeddings by the plan, tract and onnxruntime.
fn compare(python: &Path, model: &Path, photos: &[PathBuf], more: &[&str]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (crops, json) = (folder.path().join("crops"), folder.path().join("embeddings.json"));
    let [model_word, crops_word, json_word] =
        [model, &crops, &json].map(|p| p.to_string_lossy().into_owned());
    let mut words: Vec<String> = vec!["align".into(), "-q".into()];
    words.extend(photos.iter().map(|p| p.to_string_lossy().into_owned()));
    let options = ["--model", &model_word, "-o", &crops_word, "--embeddings", &json_word];
    words.extend(options.iter().chain(more).map(|w| w.to_string()));
    arcgate(words).done();

    let told: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&json).expect("align wrote it")).expect("JSON");
    let embeddings: BTreeMap<String, Vec<i8>> =
        serde_json::from_value(told["embeddings"].clone()).expect("lists of int8 by file name");
    assert_eq!(embeddings.len(), photos.len());
    assert!(embeddings.values().any(|e| *e != embeddings.values().next().expect("several")[..]), "all alike");
    let opened = Model::open(model).expect("an int8 ONNX");
    embeddings.par_iter().for_each(|(name, by_plan)| {
        let mut by_tract = vec![0i8; by_plan.len()];
        let picture = image::open(crops.join(name)).expect("a crop");
        let crop = match picture.color().has_color() {
            true => picture.to_rgb8().into_raw(),
            false => picture.to_luma8().into_raw(),
        };
        opened.embedder(Kind::Tract).expect("tract").embed(&crop, &mut by_tract).expect("embedded");
        assert_eq!(&by_tract, by_plan, "{name} by tract and by the plan");
    });

    let script = data::workspace().join("tests/onnxruntime/compare.py");
    let run =
        Command::new(python).arg(script).arg(model).arg(&crops).arg(&json).output().expect("Python runs");
    let printed = String::from_utf8_lossy(&run.stdout);
    let last = printed.trim_end().lines().last().unwrap_or_default();
    let said: serde_json::Value = serde_json::from_str(last)
        .unwrap_or_else(|e| panic!("{last:?}: {e}\n{}", String::from_utf8_lossy(&run.stderr)));
    assert_eq!(said["crops"], photos.len());
    let sessions = said["sessions"].as_array().expect("sessions");
    println!(
        "{}: {} crops, onnxruntime {} in {} ways",
        model_word,
        photos.len(),
        said["onnxruntime"],
        sessions.len()
    );
    assert_eq!(sessions.len(), 8);
    for session in sessions {
        assert_eq!(session["differing"], serde_json::json!([]), "{}", session["options"]);
    }
}

/// `count` pictures of a folder of folders, spread over it.
fn pictures(folder: &Path, count: usize) -> Vec<PathBuf> {
    let inside = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path());
        let mut entries: Vec<_> = entries.collect();
        entries.sort();
        entries
    };
    let people: Vec<PathBuf> = inside(folder).into_iter().filter(|p| p.is_dir()).collect();
    let picture = |p: &PathBuf| p.extension().is_some_and(|e| e == "jpg" || e == "png");
    let all: Vec<PathBuf> = people.iter().flat_map(|p| inside(p)).filter(picture).collect();
    all.iter().step_by((all.len() / count).max(1)).take(count).cloned().collect()
}

#[test]
fn the_shipped_model_on_portraits() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let portraits = folder.path().join("portraits");
    arcgate(["synth", "-q", "--identities", "20", "--views", "6", "-o", &portraits.to_string_lossy()]).done();
    let photos = pictures(&portraits, 120);
    // Portraits are of one folder each, and file names must differ.
    let flat: Vec<PathBuf> = photos
        .iter()
        .enumerate()
        .map(|(i, from)| {
            let to = folder.path().join(format!("{i}.png"));
            std::fs::copy(from, &to).expect("a copy");
            to
        })
        .collect();
    compare(&python, &data::workspace().join("models/synth-s/synth-s.onnx"), &flat, &[]);
}

#[test]
fn every_operator_that_is_taken() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let nets = [
        ("prelu", [3, 28, 20], nets::prelu_net()),
        ("residual", [3, 112, 96], nets::residual_net()),
        ("grey", [1, 16, 24], nets::grey_net()),
        ("pre-activation", [3, 24, 24], nets::pre_activation_net()),
        ("exported", [3, 24, 20], nets::exported_net()),
        ("curved", [3, 28, 20], nets::curved_net()),
    ];
    for (name, input, net) in nets {
        let crops = nets::crops(input, 96);
        let [channels, height, width] = input;
        let order = if channels == 1 { "grey" } else { "rgb" };
        let (mean, std) = (vec![0.5; channels], vec![0.25; channels]);
        let like = FloatInput { order: order.into(), mean, std, template: None };
        let (calibration, shown) = crops.split_at(32);
        let imported = quantize::import(&net, calibration, &ImportOptions::new(like, name), &|_| ());
        let model = folder.path().join(format!("{name}.onnx"));
        file::write(&model, &imported.unwrap_or_else(|e| panic!("{name}: {e}")).model).expect("a file");
        let photos: Vec<PathBuf> = shown
            .iter()
            .enumerate()
            .map(|(i, crop)| {
                let path = folder.path().join(format!("{name}-{i}.png"));
                let colour = if channels == 1 { image::ColorType::L8 } else { image::ColorType::Rgb8 };
                image::save_buffer(&path, crop, width as u32, height as u32, colour).expect("a picture");
                path
            })
            .collect();
        compare(&python, &model, &photos, &[]);
    }
}

#[test]
fn mobilefacenet_on_lfw() {
    let Some(python) = python() else { return };
    let (Some(float), Some(lfw)) = (data::find("models/MobileFaceNet.onnx"), data::find("lfw")) else {
        println!("skipped: no MobileFaceNet or no LFW in {}", data::folder().display());
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = folder.path().join("int8.onnx");
    let [float, lfw_word, out] = [&float, &lfw, &model].map(|p| p.to_string_lossy().into_owned());
    let normal = ["--mean", ".485,.456,.406", "--std", ".229,.224,.225", "--images", "64"];
    arcgate(["import", &float, "--calibrate", &lfw_word, "-o", &out, "-q"].into_iter().chain(normal)).done();
    let landmarks = data::folder().join("lfw-protocol/landmarks.csv").to_string_lossy().into_owned();
    compare(&python, &model, &pictures(&lfw, 300), &["--landmarks", &landmarks]);
}
