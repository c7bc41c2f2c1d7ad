//! onnxruntime, tract and the plan give the same int8 embedding, byte for byte; of a detector, the same maps.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use arcgate::engine::{Kind, Model};
use arcgate::lower;
use arcgate::onnx::file;
use arcgate::onnx::metadata::FloatInput;
use arcgate::photo::{Photo, detector_picture};
use arcgate::quantize::{self, ImportOptions};
use arcgate_firmware::engine::plan::{Plan, PlanDetector};
use arcgate_firmware::engine::tract::TractDetector;
use arcgate_tests::program::arcgate;
use arcgate_tests::{data, nets, or_skip};
use rayon::prelude::*;
use tract_onnx::pb::ModelProto;

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

    by_onnxruntime(python, model, &crops, &json, photos.len());
}

/// Runs `model` by onnxruntime on the pictures of a folder, which must give what the JSON file says.
fn by_onnxruntime(python: &Path, model: &Path, crops: &Path, json: &Path, count: usize) {
    let script = data::workspace().join("tests/onnxruntime/compare.py");
    let run = Command::new(python).arg(script).arg(model).arg(crops).arg(json).output().expect("Python runs");
    let printed = String::from_utf8_lossy(&run.stdout);
    let last = printed.trim_end().lines().last().unwrap_or_default();
    let said: serde_json::Value = serde_json::from_str(last)
        .unwrap_or_else(|e| panic!("{last:?}: {e}\n{}", String::from_utf8_lossy(&run.stderr)));
    assert_eq!(said["crops"], count);
    let sessions = said["sessions"].as_array().expect("sessions");
    let version = &said["onnxruntime"];
    println!("{}: {count} crops, onnxruntime {version} in {} ways", model.display(), sessions.len());
    assert_eq!(sessions.len(), 8);
    for session in sessions {
        assert_eq!(session["differing"], serde_json::json!([]), "{}", session["options"]);
    }
}

/// Compares the maps of an int8 detector on pictures by the plan, tract and onnxruntime.
fn compare_maps(python: &Path, model: &Path, [width, height]: [u32; 2], pictures: &[Vec<u8>]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let onnx = file::read(model).expect("an int8 ONNX");
    let plan = lower::lower(&onnx).unwrap_or_else(|e| panic!("{e}"));
    let info = Plan::parse(&plan).expect("valid").info().clone();
    let arena = vec![0u8; Plan::parse(&plan).expect("valid").arena_bytes()];
    let mut by_plan = PlanDetector::new(plan, arena).expect("a detector");
    let mut by_tract = TractDetector::from_model(&onnx, info).expect("a detector");
    let mut told = BTreeMap::new();
    for (at, picture) in pictures.iter().enumerate() {
        let name = format!("{at}.png");
        image::save_buffer(folder.path().join(&name), picture, width, height, image::ColorType::Rgb8)
            .expect("a picture");
        let reals = by_tract.maps(picture).expect("tract runs");
        let mut planes: Vec<f64> = Vec::new();
        for ((map, steps), reals) in by_plan.maps(picture).expect("the plan runs").zip(&reals) {
            let real = |&step: &i8| (i32::from(step) - i32::from(map.zero_point)) as f32 * map.scale;
            let cells: Vec<f32> = steps.iter().map(real).collect();
            assert_eq!(&cells, reals, "{name} by the plan and by tract");
            let channels = map.tensor.shape.channels;
            let plane = |channel| cells.iter().skip(channel).step_by(channels).map(|&v| f64::from(v));
            planes.extend((0..channels).flat_map(plane));
        }
        told.insert(name, planes);
    }
    assert!(told.values().any(|maps| maps != &told["0.png"]), "all alike");
    let json = folder.path().join("maps.json");
    let text = serde_json::to_vec(&serde_json::json!({ "embeddings": told })).expect("JSON");
    std::fs::write(&json, text).expect("a file");
    by_onnxruntime(python, model, folder.path(), &json, pictures.len());
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
        ("excited", [3, 28, 20], nets::excited_net()),
        ("joined", [3, 24, 32], nets::joined_net()),
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

/// `net`, a detector that takes BGR, in int8.
fn detector(net: &ModelProto, calibration: &[Vec<u8>], model: &Path) {
    let input = FloatInput {
        order: "bgr".into(),
        mean: vec![0.4, 0.5, 0.6],
        std: vec![0.25, 0.3, 0.35],
        template: None,
    };
    let imported = quantize::import(net, calibration, &ImportOptions::new(input, "detector"), &|_| ());
    file::write(model, &imported.unwrap_or_else(|e| panic!("{e}")).model).expect("a file");
}

#[test]
fn a_detectors_maps() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = folder.path().join("detector.onnx");
    let crops = nets::crops([3, 64, 96], 64);
    let (calibration, shown) = crops.split_at(24);
    detector(&nets::detector_net(), calibration, &model);
    compare_maps(&python, &model, [96, 64], shown);
}

#[test]
fn yunet_on_lfw() {
    let Some(python) = python() else { return };
    let (Some(float), Some(lfw)) = (data::find("models/yunet_2026may.onnx"), data::find("lfw")) else {
        println!("skipped: no YuNet or no LFW in {}", data::folder().display());
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = folder.path().join("int8.onnx");
    let [float, lfw_word, out] = [&float, &lfw, &model].map(|p| p.to_string_lossy().into_owned());
    let how = ["--input", "1x3x160x192", "--images", "48", "-q"];
    arcgate(["import", &float, "--calibrate", &lfw_word, "-o", &out].into_iter().chain(how)).done();
    let open = |path: &PathBuf| Photo::open(path).map(|photo| detector_picture(&photo, 192, 160));
    let shown: Vec<Vec<u8>> = pictures(&lfw, 100).iter().map(|p| open(p).expect("a photograph")).collect();
    compare_maps(&python, &model, [192, 160], &shown);
}

#[test]
fn mobilefacenet_on_lfw() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = or_skip!(data::mobilefacenet(folder.path()));
    let lfw = data::find("lfw").expect("what it was calibrated on");
    let landmarks = data::folder().join("lfw-protocol/landmarks.csv").to_string_lossy().into_owned();
    compare(&python, &model, &pictures(&lfw, 300), &["--landmarks", &landmarks]);
}
