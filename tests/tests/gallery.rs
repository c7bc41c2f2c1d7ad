//! A gallery looked after from outside: `arcgate gallery` on files that were damaged or put back, and on devices.

use std::path::Path;

use arcgate::enroll::FILE_SECTORS;
use arcgate_firmware::gallery::{Binding, Gallery, Line, PersonId};
use arcgate_firmware::sim::FileFlash;
use arcgate_tests::program::{Run, arcgate};
use serde_json::{Value, json};

const DIMENSION: u16 = 64;
const FAILED: i32 = 1;

/// A template that is nobody else's.
fn template(seed: u32) -> Vec<i8> {
    let values =
        (0..u32::from(DIMENSION)).map(|i| (seed.wrapping_mul(0x9e37_79b9).rotate_left(i) >> 25) as i8);
    values.map(|v| v | 1).collect()
}

fn open(path: &Path) -> Gallery<FileFlash, Vec<Line>, 1024> {
    let model = Binding { embedding_id: [7; 32], dimension: DIMENSION };
    let flash = FileFlash::open_or_create(path, FILE_SECTORS).expect("a flash");
    let mut gallery = Gallery::open(flash, model, Vec::new());
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
