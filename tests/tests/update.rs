//! A model image from the command line to a device's slots.

use std::path::Path;

use arcgate_firmware::engine::plan::PlanEngine;
use arcgate_firmware::engine::{Embedder, vectors};
use arcgate_firmware::flash::nor::MemoryNor;
use arcgate_firmware::model::ModelInfo;
use arcgate_firmware::state::{Slot, State};
use arcgate_firmware::update::{
    Accepted, Development, HEADER, Room, Slots, UpdateError, UpdateKey, Verifier,
};
use arcgate_tests::data::workspace;
use arcgate_tests::program::{Run, arcgate};
use serde_json::json;

const FAILED: i32 = 1;
const USAGE: i32 = 2;

const MODEL: &str = "models/synth-s/synth-s.onnx";
const PLAN: &str = "models/synth-s/synth-s.plan";

struct Folder(tempfile::TempDir);

impl Folder {
    fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_string_lossy().into_owned()
    }
}

fn folder() -> Folder {
    Folder(tempfile::tempdir().expect("a folder"))
}

fn pack(model: &str, more: &[&str], output: &str) -> Run {
    arcgate([&["pack", model, "-o", output, "--json"], more].concat())
}

/// The public half in a key file.
fn public(path: &str) -> UpdateKey {
    let line = std::fs::read_to_string(path).expect("a key file");
    let digits = line.trim().strip_prefix("arcgate update public key 1: ").expect("a public key");
    let byte = |i: usize| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).expect("hexadecimal digits");
    UpdateKey(std::array::from_fn(byte))
}

/// Sends an image to a device with empty slots, which then boots with it.
fn installed(key: UpdateKey, image: &[u8]) -> Result<Vec<u8>, UpdateError> {
    let flashes = [0; 2].map(|_| MemoryNor::<_, 4, 4096>::new(vec![0xff; 128 << 10]));
    let mut slots = Slots::new(flashes, Verifier::new(key, Development::Refused)?);
    let mut state = State::unknown();
    let (mut arena, mut crop) = (vec![0; 64 << 10], vec![0; 16 << 10]);
    slots.begin(image, &state)?;
    let mut at = 0;
    for piece in image[HEADER..].chunks(1024) {
        at = slots.piece(at, piece)?;
    }
    let accepted = slots.finish(Room { arena: &mut arena, crop: &mut crop })?;
    assert_eq!(accepted, Accepted { slot: Slot::B, version: 7 });
    accepted.apply(&mut state);
    let booted = slots.boot(&state, Room { arena: &mut arena, crop: &mut crop });
    let booted = booted.expect("the model that was accepted");
    Ok(slots.bytes(Slot::B)[booted.embedder].to_vec())
}

#[test]
fn what_is_packed_is_what_a_device_runs() {
    let folder = folder();
    let (key, image) = (folder.at("update.key"), folder.at("face.update"));
    let made = arcgate(["keys", "update", "-o", &key, "--json"]).done().json();
    let of_key = ["--key", &*key, "--model-version", "7"];
    let packed = pack(MODEL, &of_key, &image).done().json();
    let plan = std::fs::read(workspace().join(PLAN)).expect("the shipped plan");
    let bytes = std::fs::read(&image).unwrap();
    assert_eq!((&packed["signer"], &packed["development"]), (&made["public"], &json!(false)));
    assert_eq!(packed["proof"]["embedder"]["crops"], 12);
    assert_eq!(installed(public(&format!("{key}.pub")), &bytes).as_ref(), Ok(&plan));

    // The crops of the self-test are no constant: the plan tells them apart.
    let mut engine = PlanEngine::new(&plan[..], vec![0; 64 << 10]).unwrap();
    let info: ModelInfo = engine.info().clone();
    let mut embeddings = vec![vec![0; info.dimension.into()]; 4];
    for (vector, embedding) in (0..).zip(&mut embeddings) {
        let mut crop = vec![0; info.crop_bytes()];
        vectors::draw(vector, &info, &mut crop);
        engine.embed(&crop, embedding).unwrap();
    }
    assert!((0..4).all(|i| (0..i).all(|j| embeddings[i] != embeddings[j])), "{embeddings:?}");

    // Of a plan the image is the same, but for the proof.
    let again = folder.at("again.update");
    let of_plan = pack(PLAN, &of_key, &again).done().json();
    assert_eq!(of_plan["proof"]["embedder"], json!(null));
    assert_eq!(std::fs::read(&again).unwrap(), bytes);

    let mut seen = arcgate(["inspect", &image, "--json"]).done().json();
    let (mut said, file) = (packed, json!(image));
    assert_eq!(seen["file"], file);
    said.as_object_mut().unwrap().remove("proof");
    assert_eq!(seen.as_object_mut().unwrap(), said.as_object().unwrap());
    let lines = arcgate(["inspect", &image]).done().stdout;
    for part in ["model image, version 7", "64-dimensional int8 embedding", "self-test: 4 crops"] {
        assert!(lines.contains(part), "{part:?} in {lines}");
    }
}

#[test]
fn the_development_key_is_named_and_refused() {
    let folder = folder();
    let image = folder.at("face.update");
    let packed = pack(PLAN, &["--development", "--model-version", "7"], &image).done().json();
    assert_eq!(packed["development"], json!(true));
    assert!(arcgate(["inspect", &image]).done().stdout.contains("that is the development key"));
    let bytes = std::fs::read(&image).unwrap();
    let other = UpdateKey([3; 32]);
    assert_eq!(installed(other, &bytes), Err(UpdateError::DevelopmentKey));
    assert_eq!(installed(UpdateKey::DEVELOPMENT, &bytes), Err(UpdateError::DevelopmentKey));
}

fn refused(run: Run, code: i32, why: &str) {
    assert_eq!(run.code, code, "{}", run.stderr);
    assert!(run.stderr.contains(why), "{why:?} in {}", run.stderr);
}

#[test]
fn what_is_wrong_is_told() {
    let folder = folder();
    let (key, image) = (folder.at("update.key"), folder.at("face.update"));
    arcgate(["keys", "update", "-o", &key]).done();
    refused(arcgate(["keys", "update", "-o", &key]), FAILED, "a key that is written over is lost");
    let device = folder.at("device.key");
    arcgate(["keys", "device", "-o", &device]).done();
    let with = |key: &str, model| pack(model, &["--key", key, "--model-version", "1"], &image);
    refused(with(&format!("{key}.pub"), PLAN), FAILED, "holds the public half");
    refused(with(&device, PLAN), FAILED, "is no update key");
    refused(with(&key, "models/synth-s/README.md"), FAILED, "neither a plan nor an ONNX model");
    let detector = ["--key", &*key, "--model-version", "1", "--detector", PLAN];
    refused(pack(PLAN, &detector, &image), FAILED, "this one embeds");
    refused(pack(PLAN, &["--model-version", "1"], &image), USAGE, "--key");
    refused(pack(PLAN, &["--development", "--model-version", "0"], &image), USAGE, "0 is not in 1..");
    refused(pack(PLAN, &["--development"], &image), USAGE, "--model-version");
    assert!(!Path::new(&image).exists());

    with(&key, PLAN).done();
    let whole = std::fs::read(&image).unwrap();
    let inspect = |bytes: &[u8]| {
        std::fs::write(&image, bytes).unwrap();
        arcgate(["inspect", &image])
    };
    let turned = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    refused(inspect(&turned(13)), FAILED, "signature is not that of its key");
    refused(inspect(&turned(5000)), FAILED, "its bytes are not those that were signed");
    refused(inspect(&whole[..whole.len() - 1]), FAILED, "bytes by its header");
    refused(inspect(&[&whole[..], &[0]].concat()), FAILED, "bytes by its header");
    refused(inspect(&whole[..100]), FAILED, "no model image");
}
