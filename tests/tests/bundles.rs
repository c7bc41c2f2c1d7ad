//! People in files, by the commands: made on a host for a device, taken out of a device and put back, also under another model.

use std::path::Path;

use arcgate::onnx::file;
use arcgate::onnx::identity::embedding_id;
use arcgate::onnx::metadata::{Metadata, hex};
use arcgate_tests::data::workspace;
use arcgate_tests::program::{Run, arcgate};
use arcgate_tests::simulator::Simulator;
use serde_json::{Value, json};
use tract_onnx::pb::tensor_proto::DataType;

const FAILED: i32 = 1;

/// A folder with people, three portraits each, and words for what lies in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Folder(tempfile::tempdir().expect("a folder"));
        let people = folder.at("people");
        arcgate(["synth", "-o", &people, "--identities", "3", "--views", "3", "--first", "80000"]).done();
        folder
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_string_lossy().into_owned()
    }

    fn key(&self, name: &str) -> String {
        let path = self.at(name);
        arcgate(["keys", "device", "-o", &path]).done();
        path
    }

    /// A key pair that signs; gives its private half's file.
    fn pair(&self, name: &str) -> String {
        let path = self.at(name);
        arcgate(["keys", "update", "-o", &path]).done();
        path
    }

    /// The people of a folder in a bundle.
    fn made(&self, people: &str, bundle: &str, key: &str, signer: &[&str]) -> Run {
        let people = self.at(people);
        let words = ["enroll", &people, "--accept-findings", "-o", bundle, "--device-key", key, "--json"];
        arcgate([&words, signer].concat()).done()
    }

    /// A portrait of each person, with their name.
    fn portraits(&self) -> Vec<(String, String)> {
        let sorted = |folder: &Path| {
            let mut paths: Vec<_> =
                std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
            paths.sort();
            paths
        };
        let people = sorted(Path::new(&self.at("people"))).into_iter().filter(|p| p.is_dir());
        let text = |path: &Path| path.to_string_lossy().into_owned();
        people.map(|p| (text(Path::new(p.file_name().expect("a name"))), text(&sorted(&p)[0]))).collect()
    }
}

/// Who the portraits are, at `to`.
fn known(folder: &Folder, to: &str, more: &[&str]) -> Vec<bool> {
    let is_known = |(name, photo): (String, String)| {
        let mut words = vec!["identify", &photo, "--to", to, "--json"];
        words.extend(more);
        let run = arcgate(words);
        run.code == 0 && run.json()["best"]["name"] == json!(name)
    };
    folder.portraits().into_iter().map(is_known).collect()
}

fn people(run: &Run) -> Vec<(String, u64)> {
    let rows = run.json()["people"].as_array().expect("people").clone();
    rows.iter()
        .map(|p| (p["name"].as_str().expect("a name").to_owned(), p["templates"].as_u64().expect("a number")))
        .collect()
}

/// The shipped model with one weight that differs by one: another embedding id.
fn write_next_model(path: &Path) {
    let mut model = file::read(&workspace().join("models/synth-s/synth-s.onnx")).expect("the shipped model");
    let mut metadata = Metadata::of(&model).expect("its metadata");
    let weights = &mut model.graph.as_mut().expect("a graph").initializer;
    let int8 = DataType::Int8 as i32;
    let largest = weights.iter_mut().filter(|w| w.data_type == int8).max_by_key(|w| w.raw_data.len());
    let raw = &mut largest.expect("int8 weights").raw_data;
    let at = raw.iter().position(|&byte| (1..100).contains(&(byte as i8))).expect("a positive weight");
    raw[at] += 1;
    metadata.embedding_id = hex(&embedding_id(&model, &metadata));
    metadata.store(&mut model);
    file::write(path, &model).expect("the next model");
}

/// A device with this key that takes what this update key signs.
fn keyed(folder: &Folder, flash: &str, key: &str, update_key: &str) -> Simulator {
    let public = format!("{update_key}.pub");
    Simulator::start(["--flash", &folder.at(flash), "--device-key", key, "--update-key", &public])
}

#[test]
fn a_bundle_enrols_on_its_device_and_on_no_other() {
    let folder = Folder::new();
    let (key, other) = (folder.key("gate.key"), folder.key("other.key"));
    let station = folder.pair("station.key");
    let (bundle, admin) = (folder.at("gallery.bundle"), folder.at("admin.key"));
    arcgate(["keys", "bundle", "--device-key", &key, "-o", &admin]).done();
    // The administrator's key is enough, and no device is at hand.
    let made = folder.made("people", &bundle, &admin, &["--key", &station]).json();
    assert_eq!((&made["people"], &made["templates"]), (&json!(3), &json!(9)));
    let bytes = std::fs::read(&bundle).expect("the bundle");
    assert!(!bytes.windows(7).any(|w| w == b"person-"), "names show");

    let device = keyed(&folder, "flash", &key, &station);
    let to = device.target();
    let info = arcgate(["device", "info", "--port", to, "--json"]).done().json();
    assert_eq!((&info["software_key"], &info["people"]), (&json!(false), &json!(0)));
    let words = ["gallery", "restore", &bundle, "--to", to, "--device-key", &admin, "--json"];
    let done = arcgate(words).done().json();
    assert_eq!((&done["people"], &done["templates"], &done["signed"]), (&json!(3), &json!(9), &Value::Null));
    assert_eq!((&done["version"], &done["signer"]), (&made["version"], &made["signer"]));
    assert_eq!(known(&folder, to, &[]), [true; 3]);
    // It is no backup, of which a part could be taken, and is not written over what it is made of.
    let part = arcgate([&words[..], &["--people-only"]].concat());
    assert!(
        part.code == FAILED && part.stderr.contains("accepted: --people-only with a backup"),
        "{}",
        part.stderr
    );
    let (people, secret) = (folder.at("people"), std::fs::read(&key).expect("the key"));
    let over = ["enroll", &people, "-o", &key, "--device-key", &key, "--key", &station, "--accept-findings"];
    let over = arcgate(over);
    assert!(over.code == FAILED && over.stderr.contains("would be written over"), "{}", over.stderr);
    assert_eq!(std::fs::read(&key).expect("the key"), secret);
    // Sent again, nothing is there twice.
    let again = arcgate(words).done().json();
    assert_eq!((&again["people"], &again["known"], &again["templates"]), (&json!(0), &json!(3), &json!(0)));

    let stranger = keyed(&folder, "other.flash", &other, &station);
    let refused = arcgate(["gallery", "restore", &bundle, "--to", stranger.target(), "--device-key", &other]);
    assert_eq!(refused.code, FAILED);
    assert!(
        refused.stderr.contains("another key") && refused.stderr.contains("--from-key"),
        "{}",
        refused.stderr
    );
    // A host that is led to believe otherwise sends it all the same, and the device refuses.
    let misled = arcgate(["gallery", "restore", &bundle, "--to", stranger.target(), "--device-key", &admin]);
    assert_eq!(misled.code, FAILED);
    assert!(misled.stderr.contains("another key"), "{}", misled.stderr);
    let info = arcgate(["device", "info", "--port", stranger.target(), "--json"]).done().json();
    assert_eq!(info["people"], json!(0));
    // Who has both devices' keys seals it for the other one, and it is signed as before.
    let mut words = vec!["gallery", "restore", &bundle, "--to", stranger.target(), "--json"];
    words.extend(["--device-key", &other, "--from-key", &key]);
    let moved = arcgate(words).done().json();
    assert_eq!((&moved["people"], &moved["signer"]), (&json!(3), &made["signer"]));
    // A changed bundle is refused before anything is sent.
    let mut changed = bytes;
    let last = changed.len() - 1;
    changed[last] ^= 1;
    std::fs::write(&bundle, &changed).expect("the bundle");
    let refused = arcgate(["gallery", "restore", &bundle, "--to", to, "--device-key", &admin]);
    assert!(refused.code == FAILED && refused.stderr.contains("was changed"), "{}", refused.stderr);
}

#[test]
fn a_bundle_of_another_signer_and_an_older_one_are_refused() {
    let folder = Folder::new();
    let key = folder.key("gate.key");
    let (station, strange) = (folder.pair("station.key"), folder.pair("strange.key"));
    let device = keyed(&folder, "flash", &key, &station);
    let to = device.target();
    let made = |name: &str, version: &str, signer: &[&str]| {
        let bundle = folder.at(name);
        folder.made("people", &bundle, &key, &[signer, &["--bundle-version", version]].concat());
        bundle
    };
    let sent = |bundle: &str| arcgate(["gallery", "restore", bundle, "--to", to, "--device-key", &key]);
    let stats = || arcgate(["device", "stats", "--port", to, "--json"]).done().json();
    for (signer, why) in [
        (vec!["--development"], "the development key is refused"),
        (vec!["--key", &strange], "it is signed with the key"),
    ] {
        let refused = sent(&made("strange.bundle", "9", &signer));
        assert!(refused.code == FAILED && refused.stderr.contains(why), "{}", refused.stderr);
    }
    assert_eq!(known(&folder, to, &[]), [false; 3]);
    let (new, old) =
        (made("new.bundle", "8", &["--key", &station]), made("old.bundle", "7", &["--key", &station]));
    sent(&new).done();
    let refused = sent(&old);
    let why = "version 7, accepted: 8 and higher";
    assert!(refused.code == FAILED && refused.stderr.contains(why), "{}", refused.stderr);
    // Who is removed stays away, also after a restart.
    let name = &folder.portraits()[0].0;
    arcgate(["gallery", "remove", name, "--to", to, "--yes"]).done();
    arcgate(["device", "restart", "--port", to]).done();
    let refused = sent(&new);
    let why = "version 8, accepted: 9 and higher";
    assert!(refused.code == FAILED && refused.stderr.contains(why), "{}", refused.stderr);
    assert_eq!((known(&folder, to, &[]), &stats()["bundle_version"]), (vec![false, true, true], &json!(8)));

    // What a bundle says of itself without its key.
    let look = |file: &str| arcgate(["inspect", file, "--json"]);
    let seen = look(&new).done().json();
    assert_eq!(
        (&seen["kind"], &seen["version"], &seen["people"]),
        (&json!("enrolment bundle"), &json!(8), &json!(3))
    );
    let public = std::fs::read_to_string(format!("{station}.pub")).expect("the public half");
    assert!(public.contains(seen["signer"].as_str().expect("a signer")), "{seen}");
    assert_eq!(seen["development"], json!(false));
    let backup = folder.at("gate.backup");
    arcgate(["gallery", "backup", "--to", to, "-o", &backup, "--device-key", &key]).done();
    let seen = look(&backup).done().json();
    assert_eq!(
        (&seen["kind"], &seen["people"], &seen["signer"]),
        (&json!("backup bundle"), &json!(2), &Value::Null)
    );
    let mut changed = std::fs::read(&new).expect("the bundle");
    changed[20] ^= 1;
    std::fs::write(&new, changed).expect("the bundle");
    let refused = look(&new);
    assert!(refused.code == FAILED && refused.stderr.contains("signature"), "{}", refused.stderr);
    // Nobody signs it: nothing is made.
    let words = ["enroll", &folder.at("people"), "-o", &folder.at("unsigned.bundle"), "--device-key", &key];
    let refused = arcgate(words);
    assert!(refused.code != 0 && refused.stderr.contains("--key"), "{}", refused.stderr);
}

#[test]
fn a_flash_image_is_opened_by_its_devices_key_alone() {
    let folder = Folder::new();
    let (key, other) = (folder.key("gate.key"), folder.key("other.key"));
    let (image, admin) = (folder.at("gate.gallery"), folder.at("admin.key"));
    arcgate(["keys", "bundle", "--device-key", &key, "-o", &admin]).done();
    arcgate(["enroll", &folder.at("people"), "--accept-findings", "--to", &image, "--device-key", &key])
        .done();
    assert_eq!(known(&folder, &image, &["--device-key", &key]), [true; 3]);
    for (words, why) in [
        (vec!["gallery", "list", "--to", &image], "sealed by another device"),
        (vec!["gallery", "list", "--to", &image, "--device-key", &other], "sealed by another device"),
        (vec!["gallery", "list", "--to", &image, "--device-key", &admin], "opens no flash image"),
    ] {
        let run = arcgate(words);
        assert!(run.code == FAILED && run.stderr.contains(why), "{}", run.stderr);
    }
    // The image is a device's flash.
    let device = Simulator::start(["--flash", &image, "--device-key", &key]);
    assert_eq!(known(&folder, device.target(), &[]), [true; 3]);
}

#[test]
fn a_broken_device_is_replaced_from_its_backup() {
    let folder = Folder::new();
    let (key, new) = (folder.key("old.key"), folder.key("new.key"));
    let backup = folder.at("gate.backup");
    let device = Simulator::start(["--flash", &folder.at("flash"), "--device-key", &key]);
    arcgate(["enroll", &folder.at("people"), "--accept-findings", "--to", device.target()]).done();
    let name = &folder.portraits()[0].0;
    arcgate(["gallery", "allow", name, "--until", "2999-01-01", "--to", device.target()]).done();
    let words = ["gallery", "backup", "--to", device.target(), "-o", &backup, "--device-key", &key, "--json"];
    let taken = arcgate(words).done().json();
    assert_eq!((&taken["people"], &taken["templates"]), (&json!(3), &json!(9)));
    drop(device);

    let device = Simulator::start(["--flash", &folder.at("new.flash"), "--device-key", &new]);
    let to = device.target();
    let without = arcgate(["gallery", "restore", &backup, "--to", to, "--device-key", &new]);
    assert!(without.code == FAILED && without.stderr.contains("--from-key"), "{}", without.stderr);
    let mut words = vec!["gallery", "restore", &backup, "--to", to, "--json"];
    words.extend(["--device-key", &new, "--from-key", &key]);
    let done = arcgate(words).done().json();
    assert_eq!((&done["people"], &done["templates"]), (&json!(3), &json!(9)));
    assert_eq!((&done["signed"], &done["signer"]), (&json!("elsewhere"), &taken["signer"]));
    // The one who is let in until some day needs a clock; the key of the device tells the time.
    assert_eq!(known(&folder, to, &[]), [false, true, true]);
    let refused = arcgate(["device", "clock", "--port", to, "--device-key", &key]);
    assert!(refused.code == FAILED && refused.stderr.contains("key"), "{}", refused.stderr);
    arcgate(["device", "clock", "--port", to, "--device-key", &new]).done();
    assert_eq!(known(&folder, to, &[]), [true; 3]);
}

#[test]
fn people_outlive_a_model_and_templates_do_not() {
    let folder = Folder::new();
    let (flash, backup) = (folder.at("flash"), folder.at("gate.backup"));
    arcgate(["enroll", &folder.at("people"), "--accept-findings", "--to", &flash]).done();
    // Somebody who left leaves a gap in the numbers.
    let gone = folder.portraits()[1].0.clone();
    arcgate(["gallery", "remove", &gone, "--to", &flash, "--yes"]).done();
    let before = arcgate(["gallery", "list", "--to", &flash, "--json"]).done();
    // Another model: the same network with another embedding id.
    let (onnx, plan) = (folder.at("next.onnx"), folder.at("next.plan"));
    write_next_model(Path::new(&onnx));
    arcgate(["compile", &onnx, "-o", &plan]).done();
    let device = Simulator::start(["--flash", &flash, "--model", &plan]);
    let to = device.target();
    let list = arcgate(["gallery", "list", "--to", to]);
    assert!(list.code == FAILED && list.stderr.contains("belongs to the model"), "{}", list.stderr);

    // Nobody thought of a backup before the update: the device still takes its people along.
    arcgate(["gallery", "backup", "--to", to, "-o", &backup]).done();
    let unasked = arcgate(["gallery", "restore", &backup, "--to", to]);
    assert!(unasked.code == FAILED && unasked.stderr.contains("--replace"), "{}", unasked.stderr);
    let done =
        arcgate(["gallery", "restore", &backup, "--to", to, "--replace", "--yes", "--json"]).done().json();
    let names: Vec<Value> = people(&before).iter().map(|(name, _)| json!(name)).collect();
    assert_eq!(done["enroll_again"], json!(names));
    assert_eq!((&done["people"], &done["templates"], &done["left_out"]), (&json!(2), &json!(0), &json!(6)));
    assert_eq!(known(&folder, to, &[]), [false; 3]);
    let numbers = arcgate(["gallery", "list", "--to", to, "--json"]).done();
    assert!(people(&numbers).iter().all(|(_, templates)| *templates == 0));
    std::fs::remove_dir_all(format!("{}/{gone}", folder.at("people"))).expect("their portraits");
    arcgate(["enroll", &folder.at("people"), "--accept-findings", "--to", to]).done();
    let after = arcgate(["gallery", "list", "--to", to, "--json"]).done();
    assert!(people(&after).iter().all(|(_, templates)| *templates == 3), "{}", after.stdout);
    let ids = |run: &Run| {
        let rows = run.json()["people"].as_array().expect("people").clone();
        rows.iter().map(|p| p["person"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&before), [json!(1), json!(3)]);
    assert_eq!((ids(&numbers), ids(&after)), (ids(&before), ids(&before)), "numbers stay");
    assert_eq!(known(&folder, to, &[]), [true; 2]);

    // Templates that leaked are worth nothing after this, and the people stay.
    let again = arcgate(["gallery", "backup", "--to", to, "-o", &backup]);
    assert!(again.code == FAILED && again.stderr.contains("exists"), "{}", again.stderr);
    let backup = folder.at("later.backup");
    arcgate(["gallery", "backup", "--to", to, "-o", &backup]).done();
    let words = ["gallery", "restore", &backup, "--to", to, "--people-only", "--replace", "--yes", "--json"];
    assert_eq!(arcgate(words).done().json()["enroll_again"], json!(names));
    assert_eq!(known(&folder, to, &[]), [false; 2]);
}
