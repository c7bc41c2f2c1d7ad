//! A gallery looked after from outside: `arcgate gallery` on files that were damaged or put back, and on devices.

use std::path::Path;

use arcgate::enroll::FILE_SECTORS;
use arcgate_firmware::gallery::{Binding, Gallery, Owned, PersonId};
use arcgate_firmware::sim::FileFlash;
use arcgate_tests::program::{Run, arcgate};
use arcgate_tests::simulator::Simulator;
use serde_json::{Value, json};

const DIMENSION: u16 = 64;
const FAILED: i32 = 1;

/// A template that is nobody else's.
fn template(seed: u32) -> Vec<i8> {
    let values =
        (0..u32::from(DIMENSION)).map(|i| (seed.wrapping_mul(0x9e37_79b9).rotate_left(i) >> 25) as i8);
    values.map(|v| v | 1).collect()
}

fn open(path: &Path) -> Gallery<FileFlash, Owned> {
    let model = Binding { embedding_id: [7; 32], dimension: DIMENSION };
    let flash = FileFlash::open_or_create(path, FILE_SECTORS).expect("a flash");
    let mut gallery = Gallery::open(flash, model, Owned::new(1024, 0));
    if gallery.state().is_err() {
        gallery.format().expect("an empty gallery");
    }
    gallery
}

fn run(verb: &str, gallery: &Path) -> Run {
    let mut words = vec!["gallery"];
    words.extend(verb.split(' '));
    let path = gallery.to_string_lossy();
    words.extend(["--to", &*path]);
    arcgate(words)
}

#[test]
fn verify_lists_what_is_damaged_whose_it_is_and_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gate.gallery");
    let mut gallery = open(&path);
    // More damages than fit into one message.
    const PEOPLE: u32 = 70;
    for number in 1..=PEOPLE {
        gallery.enroll(&format!("person {number}"), &[&template(number)]).expect("room");
    }
    drop(gallery);
    let whole = run("verify --json", &path).done().json();
    let expected = json!({"damages": [], "lost": 0, "records": 2 * PEOPLE, "people": PEOPLE, "mended": 0});
    assert_eq!(whole, expected);
    let sound = run("verify", &path).done();
    assert!(sound.stdout.contains("140 records, every seal is whole"), "{}", sound.stdout);

    // A bit of each template's seal; of the first person's own record two, and one in the clear part of the second person's.
    let mut bytes = std::fs::read(&path).unwrap();
    let records = records(&bytes);
    let find = |person: u32, kind: u8| records[&(person, kind)];
    for person in 1..=PEOPLE {
        bytes[find(person, TEMPLATE) + 20] ^= 4;
    }
    bytes[find(1, PERSON) + 30] ^= 0x11;
    bytes[find(2, PERSON) + 9] ^= 0x40;
    std::fs::write(&path, &bytes).unwrap();

    let damaged = run("verify --json", &path);
    assert_eq!(damaged.code, FAILED, "{}", damaged.stderr);
    let said = damaged.json();
    let mut found: Vec<(u64, Value)> = (said["damages"].as_array().unwrap().iter())
        .map(|d| (d["offset"].as_u64().unwrap(), json!([d["harm"], d["person"], d["name"]])))
        .collect();
    let name = |person: u32| if person == 1 { Value::Null } else { json!(format!("person {person}")) };
    let mut expected: Vec<(u64, Value)> = (1..=PEOPLE)
        .map(|p| (find(p, TEMPLATE) as u64, json!(["record", p, name(p)])))
        .chain([
            (find(1, PERSON) as u64, json!(["record", 1, Value::Null])),
            (find(2, PERSON) as u64, json!(["repaired", 2, name(2)])),
        ])
        .collect();
    found.sort_by_key(|d| d.0);
    expected.sort_by_key(|d| d.0);
    assert_eq!(found, expected);
    assert_eq!((&said["lost"], &said["mended"]), (&json!(PEOPLE + 1), &json!(0)));
    let told = run("verify", &path);
    assert_eq!(told.code, FAILED);
    let number = find(9, TEMPLATE).to_string();
    let row = told.stdout.lines().find(|line| line.contains(&number)).expect("the ninth person's template");
    assert_eq!(row.split_whitespace().collect::<Vec<_>>().join(" "), format!("a record {number} 9 person 9"));
    let advice = [
        "lost: the name of person 1",
        "lost: a template of person 9 (number 9): remove them",
        "60 more; 70 in all",
    ];
    for advice in advice {
        assert!(told.stderr.contains(advice), "{}", told.stderr);
    }

    // What the advice says ends the list.
    let everybody: Vec<String> = (1..=PEOPLE).map(|p| p.to_string()).collect();
    run(&format!("remove {} --yes", everybody.join(" ")), &path).done();
    let mended = run("verify --json", &path).done().json();
    assert_eq!((&mended["damages"], &mended["records"]), (&json!([]), &json!(0)));
}

const PERSON: u8 = 1;
const TEMPLATE: u8 = 2;

/// Where each record lies that is there once, by its person and kind; the layout is drawn in the firmware's `gallery`.
fn records(bytes: &[u8]) -> std::collections::BTreeMap<(u32, u8), usize> {
    const FIRST: usize = 288;
    let slot = (16 + usize::from(DIMENSION) + 16).next_multiple_of(32);
    let sectors = (0..bytes.len()).step_by(4096).filter(|&at| &bytes[at..at + 4] == b"AGAL");
    let slots = sectors.flat_map(|at| (at + FIRST..=at + 4096 - slot).step_by(slot));
    let written = slots.filter(|&at| [PERSON, TEMPLATE].contains(&bytes[at]));
    written
        .map(|at| ((u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()), bytes[at]), at))
        .collect()
}

#[test]
fn a_sector_that_is_gone_is_nobodys_and_everybody_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gate.gallery");
    let mut gallery = open(&path);
    for number in 1..=70 {
        gallery.enroll(&format!("person {number}"), &[&template(number)]).expect("room");
    }
    drop(gallery);
    let mut bytes = std::fs::read(&path).unwrap();
    let gone = records(&bytes)[&(1, PERSON)] / 4096 * 4096;
    bytes[gone..gone + 32].fill(0);
    std::fs::write(&path, &bytes).unwrap();
    let told = run("verify", &path);
    assert_eq!(told.code, FAILED);
    assert!(told.stdout.contains("a sector"), "{}", told.stdout);
    assert!(told.stderr.contains("see who is missing"), "{}", told.stderr);
    let mut gallery = open(&path);
    let best = gallery.nearest(&template(70)).unwrap().best.expect("somebody");
    assert_eq!((best.person, best.angle.millidegrees()), (PersonId(70), 0));
}

/// The number of a person called so, or what else the device said.
fn best(photo: &str, to: &str) -> Result<String, Run> {
    let run = arcgate(["identify", photo, "--to", to, "--json"]);
    if run.code == 0 {
        Ok(run.json()["best"]["name"].as_str().unwrap_or_default().to_owned())
    } else {
        Err(run)
    }
}

#[test]
fn a_flash_that_was_put_back_is_refused_with_a_counter_and_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (flash, counter, old, people) = (at("flash"), at("counter"), at("old"), at("people"));
    arcgate(["synth", "-o", &people, "--identities", "2", "--views", "2", "--first", "70000"]).done();
    let mut names: Vec<String> = std::fs::read_dir(&people)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let photo = {
        let mut of: Vec<_> = std::fs::read_dir(format!("{people}/{}", names[1])).unwrap().collect();
        of.sort_by_key(|e| e.as_ref().unwrap().path());
        of[0].as_ref().unwrap().path().to_string_lossy().into_owned()
    };
    let start = || Simulator::start(["--flash", &flash, "--counter", &counter]);
    let device = start();
    let to = device.target().to_owned();
    arcgate(["enroll", &people, "--to", &to]).done();
    let info = arcgate(["device", "info", "--port", &to, "--json"]).done().json();
    assert_eq!((&info["detects_rollback"], &info["people"]), (&json!(true), &json!(2)));
    assert_eq!(best(&photo, &to).unwrap(), names[1]);
    drop(device);

    // A thief who was removed puts back the flash in which he was not.
    std::fs::copy(&flash, &old).unwrap();
    let device = start();
    arcgate(["gallery", "remove", &names[1], "--to", device.target(), "--yes"]).done();
    drop(device);
    std::fs::copy(&old, &flash).unwrap();
    let device = start();
    let to = device.target();
    let said = "the gallery was put back: it ends with operation";
    let refused = best(&photo, to).expect_err("nobody is identified");
    for run in [
        refused,
        arcgate(["enroll", &people, "--to", to]),
        arcgate(["gallery", "list", "--to", to]),
        arcgate(["gallery", "verify", "--to", to]),
        arcgate(["gallery", "remove", &names[0], "--to", to, "--yes"]),
    ] {
        assert_eq!(run.code, FAILED, "{}", run.stdout);
        assert!(run.stderr.contains(said) && run.stderr.contains("arcgate device reset"), "{}", run.stderr);
    }
    let info = arcgate(["device", "info", "--port", to, "--json"]).done().json();
    assert!(info["gallery_error"].as_str().is_some_and(|why| why.contains(said)), "{info}");
    // The advice: a new beginning, which the counter goes with.
    arcgate(["device", "reset", "--port", to, "--yes"]).done();
    arcgate(["enroll", &people, "--to", to]).done();
    drop(device);
    let device = start();
    assert_eq!(best(&photo, device.target()).unwrap(), names[1]);
    drop(device);

    // Without a counter the same goes unnoticed, and the device says that it does.
    std::fs::copy(&old, &flash).unwrap();
    let device = Simulator::start(["--flash", &flash]);
    let info = arcgate(["device", "info", "--port", device.target(), "--json"]).done().json();
    assert_eq!((&info["detects_rollback"], &info["gallery_error"]), (&json!(false), &Value::Null));
    assert_eq!(best(&photo, device.target()).unwrap(), names[1]);
}

#[test]
fn a_file_that_is_no_counter_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(at("counter"), b"three").unwrap();
    let words = [
        "simulate",
        "--open",
        "--port",
        "tcp:127.0.0.1:0",
        "--flash",
        &at("flash"),
        "--counter",
        &at("counter"),
    ];
    let run = arcgate(words);
    assert_eq!(run.code, FAILED);
    assert!(run.stderr.contains("a counter has 4 bytes, this file has 5"), "{}", run.stderr);
}
