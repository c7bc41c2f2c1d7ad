//! The README's tour, command by command: people enrolled, found, unknown, rejected and removed, with the exit codes that
//! scripts live on.

use std::path::{Path, PathBuf};

use arcgate_tests::people::{Crowd, model};
use arcgate_tests::program::{Run, arcgate};
use arcgate_tests::simulator::Simulator;
use arcgate_tests::{data, or_skip};

const KNOWN: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const UNKNOWN: i32 = 10;
const REJECTED: i32 = 11;

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Runs a line of words.
fn run(line: &str) -> Run {
    arcgate(line.split_whitespace())
}

/// Portraits of twelve people; the folders of the last four are moved to `strangers`.
fn portraits(folder: &Path) -> (PathBuf, Vec<PathBuf>) {
    let (people, strangers) = (folder.join("people"), folder.join("strangers"));
    run(&format!("synth -o {} --identities 12 --views 4 --first 70000 --size 96x96", text(&people))).done();
    std::fs::create_dir(&strangers).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(&people).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 12);
    let moved = names[8..].iter().map(|name| {
        std::fs::rename(people.join(name), strangers.join(name)).unwrap();
        strangers.join(name)
    });
    (people.clone(), moved.collect())
}

/// The images of a person's folder.
fn images(person: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(person).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn portraits_through_a_gallery_file_and_a_simulated_device() {
    let folder = tempfile::tempdir().unwrap();
    let (people, strangers) = portraits(folder.path());
    let gallery = text(&folder.path().join("gate.gallery"));
    let enrolled = run(&format!("enroll {} --to {gallery} --json", text(&people))).done().json();
    assert_eq!((enrolled["people"].as_u64(), enrolled["templates"].as_u64()), (Some(8), Some(32)));
    let listed = run(&format!("gallery list --to {gallery} --json")).done().json();
    assert_eq!(listed["people"].as_array().map(Vec::len), Some(8));
    let name = listed["people"][2]["name"].as_str().expect("a name").to_owned();
    let photo = text(&images(&people.join(&name))[1]);

    // A picture that was enrolled lies at angle 0; of four strangers' sixteen, at most one is taken for somebody.
    let found = run(&format!("identify {photo} --to {gallery} --json"));
    assert_eq!(found.code, KNOWN);
    assert_eq!(
        (found.json()["best"]["name"].as_str(), found.json()["best"]["angle"].as_f64()),
        (Some(&*name), Some(0.0))
    );
    let outside: Vec<PathBuf> = strangers.iter().flat_map(|s| images(s)).collect();
    let codes: Vec<i32> =
        outside.iter().map(|p| run(&format!("identify {} --to {gallery}", text(p))).code).collect();
    assert!(codes.iter().filter(|&&c| c == UNKNOWN).count() >= 15, "{codes:?}");

    // The gallery file is the flash of a device: the same people and the same answers over its link, and by its camera.
    let stranger = text(&outside[codes.iter().position(|&c| c == UNKNOWN).unwrap()]);
    let camera = folder.path().join("camera");
    std::fs::create_dir(&camera).unwrap();
    std::fs::copy(&photo, camera.join("0.png")).unwrap();
    std::fs::copy(&stranger, camera.join("1.png")).unwrap();
    let device = Simulator::start(["--flash", &gallery, "--camera", &text(&camera)]);
    assert_eq!(device.next()["best"]["name"].as_str(), Some(&*name));
    assert_eq!(device.next()["answer"].as_str(), Some("unknown"));
    let to = device.target();
    assert_eq!(run(&format!("identify {photo} {stranger} --to {to}")).code, UNKNOWN);
    let newcomer = strangers[3].clone();
    let photos: Vec<String> = images(&newcomer).iter().map(|p| text(p)).collect();
    let mut line = vec!["enroll", "--to", to, "--name", "Émilie du Châtelet"];
    line.extend(photos.iter().map(String::as_str));
    arcgate(line).done();
    assert_eq!(run(&format!("identify {} --to {to}", photos[0])).code, KNOWN);
    drop(device);

    // One picture before the camera is somebody who stays: voted on, known, and known again, while the link is served.
    let own = text(&folder.path().join("own.flash"));
    let device = Simulator::start(["--flash", &own]);
    arcgate(["enroll", "--to", device.target(), "--name", &name, &photo]).done();
    drop(device);
    let device = Simulator::start(["--flash", &own, "--camera", &photo]);
    for _ in 0..2 {
        assert_eq!(device.next()["best"]["name"].as_str(), Some(&*name));
    }
    assert_eq!(run(&format!("identify {photo} --to {}", device.target())).code, KNOWN);
    drop(device);
    let note = folder.path().join("note.txt");
    std::fs::write(&note, "no picture").unwrap();
    let note = text(&note);
    let missing = format!("{note}.png");
    let refusals = [
        ("/dev/null", "the camera /dev/null is neither a folder nor a file"),
        (&*note, "note.txt is not a picture"),
        (&*missing, "cannot read the camera"),
    ];
    for (camera, why) in refusals {
        let refused =
            run(&format!("simulate --open --port tcp:127.0.0.1:0 --flash {gallery} --camera {camera}"));
        assert!(refused.code == FAILED && refused.stderr.contains(why), "{camera}: {refused:?}");
    }

    // What was enrolled over the link is in the file, and what is removed from it is gone.
    let listed = run(&format!("gallery list --to {gallery} --json")).done().json();
    assert_eq!(listed["people"][8]["name"].as_str(), Some("Émilie du Châtelet"));
    assert_eq!(listed["people"][8]["templates"].as_u64(), Some(4));
    arcgate(["gallery", "remove", &name, "--to", &gallery, "--yes"]).done();
    let again = run(&format!("identify {photo} --to {gallery} --json"));
    assert_ne!(again.json()["best"]["name"].as_str(), Some(&*name));
    let nobody = arcgate(["gallery", "remove", &name, "--to", &gallery, "--yes"]);
    assert_eq!(nobody.code, FAILED);
    assert!(nobody.stderr.contains(&name), "{}", nobody.stderr);
}

#[test]
fn figures_are_the_same_by_the_plan_and_by_tract_and_near_by_the_float_model() {
    let folder = tempfile::tempdir().unwrap();
    let people = text(&folder.path().join("people"));
    run(&format!("synth -o {people} --identities 20 --views 6 --first 80000 --size 48x48")).done();
    let measure = |model: &str, engine: &str, more: &str| {
        let line =
            format!("eval pairs {people} --model models/synth-s/{model} --engine {engine} {more} --json");
        run(&line).done().json()
    };
    let both = measure("synth-s.onnx", "plan", "--float models/synth-s/synth-s-float.onnx");
    let float = measure("synth-s-float.onnx", "float", "");
    let plan = measure("synth-s.plan", "plan", "");
    let tract = measure("synth-s.onnx", "tract", "");
    for figure in ["accuracy", "accuracy_std", "threshold_cosine", "tar_at_far", "eer", "pairs"] {
        assert_eq!(plan[figure], tract[figure], "{figure}");
        assert_eq!(plan[figure], both[figure], "{figure}");
    }
    println!("{both}");
    assert_eq!(both["float"]["accuracy"], float["accuracy"]);
    assert!(both["cosine_to_float"]["mean"].as_f64() >= Some(0.98), "{both}");
    assert!(plan["accuracy"].as_f64() >= Some(0.9), "{plan}");
}

/// A verification set as InsightFace's pickles have it: encoded images, and for each two of them whether they show one person.
fn verification_set(images: &[Vec<u8>], same: &[bool]) -> Vec<u8> {
    let mut pickle = b"\x80\x02](".to_vec();
    for image in images {
        pickle.push(b'B');
        pickle.extend((image.len() as u32).to_le_bytes());
        pickle.extend(image);
    }
    pickle.extend(b"e](");
    pickle.extend(same.iter().map(|&same| if same { 0x88 } else { 0x89 }));
    pickle.extend(b"e\x86.");
    pickle
}

#[test]
fn a_verification_set_in_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let people = folder.path().join("people");
    run(&format!("synth -o {} --identities 40 --views 3 --first 90000 --size 60x60", text(&people))).done();
    let view = |person: usize, view: usize| {
        std::fs::read(people.join(format!("person-{:05}/view-{view:03}.png", 90_000 + person))).unwrap()
    };
    let (mut images, mut same) = (Vec::new(), Vec::new());
    for person in 0..40 {
        images.extend([view(person, 0), view(person, 1), view(person, 2), view((person + 7) % 40, 0)]);
        same.extend([true, false]);
    }
    images[5] = b"no image".to_vec();
    let bin = text(&folder.path().join("people.bin"));
    std::fs::write(&bin, verification_set(&images, &same)).unwrap();
    let measure = |engine: &str| {
        run(&format!("eval bin {bin} --model models/synth-s/synth-s.onnx --engine {engine} --json"))
            .done()
            .json()
    };
    let (plan, tract) = (measure("plan"), measure("tract"));
    println!("{plan}");
    // The pair of the broken image is left out.
    assert_eq!((plan["pairs"].as_u64(), plan["left_out"].as_u64()), (Some(79), Some(1)));
    assert!(plan["accuracy"].as_f64() >= Some(0.85), "{plan}");
    assert_eq!(plan["accuracy"], tract["accuracy"]);
    std::fs::write(&bin, b"cos\nsystem\n(U\x04true\x85R.").unwrap();
    let refused = run(&format!("eval bin {bin} --model models/synth-s/synth-s.onnx"));
    assert_eq!(refused.code, FAILED);
    assert!(refused.stderr.contains("the opcode GLOBAL, which is not run here"), "{}", refused.stderr);
}

#[test]
fn wrong_words_and_wrong_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| text(&folder.path().join(name));
    let told = |line: &str, code: i32, what: &[&str]| {
        let run = run(line);
        assert_eq!(run.code, code, "{line}: {}", run.stderr);
        for word in what {
            assert!(run.stderr.contains(word), "{line}: no {word:?} in {:?}", run.stderr);
        }
        assert!(!run.stderr.contains("panicked"), "{line}: {}", run.stderr);
    };
    told("recognise me", USAGE, &["recognise"]);
    told("identify nobody.jpg", USAGE, &["--to"]);
    told(&format!("identify nobody.jpg --to {}", at("no.gallery")), FAILED, &["no.gallery"]);
    told(&format!("inspect {}", at("no.plan")), FAILED, &["no.plan"]);
    told("identify nobody.jpg --to tcp:127.0.0.1:1", FAILED, &["tcp:127.0.0.1:1"]);
    told("eval lfw --model models/synth-s/synth-s.plan --data nowhere", FAILED, &["nowhere", "accepted"]);

    // A shipped file with its middle turned over, and the first half of it.
    for name in ["synth-s.onnx", "synth-s.plan"] {
        let whole = std::fs::read(data::workspace().join("models/synth-s").join(name)).unwrap();
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x10;
        for (kind, bytes) in [("flipped", &flipped[..]), ("cut", &whole[..whole.len() / 2])] {
            let path = at(&format!("{kind}-{name}"));
            std::fs::write(&path, bytes).unwrap();
            // An ONNX file carries no check of its own; the embedding id in its metadata holds its graph and weights.
            told(&format!("inspect {path}"), FAILED, &[&format!("{kind}-{name}")]);
        }
    }
    // A picture of some bytes that claims to be millions of pixels wide.
    let huge = at("huge.ppm");
    std::fs::write(&huge, "P6 1000000 1000000 255\n").unwrap();
    told(&format!("align {huge} -o {}", at("crops")), FAILED, &["huge.ppm", "1000000x1000000", "accepted"]);
    // An output that would be written over its input, by whatever path.
    let photo = at("photo.png");
    image::RgbImage::from_pixel(112, 112, image::Rgb([90, 120, 80])).save(&photo).unwrap();
    let before = std::fs::read(&photo).unwrap();
    told(&format!("align {photo} -o {}", at(".")), FAILED, &["written over", "photo.png", "-o"]);
    assert_eq!(std::fs::read(&photo).unwrap(), before);
    let model = at("m.onnx");
    std::fs::copy(data::workspace().join("models/synth-s/synth-s.onnx"), &model).unwrap();
    told(&format!("compile {model} -o {model}"), FAILED, &["written over", "m.onnx"]);
    // A cause is told once.
    let missing = run(&format!("inspect {}", at("no.plan"))).stderr;
    assert_eq!(missing.matches("No such file").count(), 1, "{missing}");
    // A gallery of which a byte changed after it was written.
    let people = at("people");
    run(&format!("synth -o {people} --identities 2 --views 2 --size 48x48")).done();
    let gallery = at("gate.gallery");
    run(&format!("enroll {people} --to {gallery}")).done();
    // A name that no gallery takes is named before anybody is enrolled.
    let long = folder.path().join("more").join("a".repeat(40));
    std::fs::create_dir_all(&long).unwrap();
    std::fs::copy(&photo, long.join("1.png")).unwrap();
    told(&format!("enroll {} --to {gallery}", at("more")), FAILED, &["aaaa", "1 to 32 bytes"]);
    // One photograph that cannot be read does not take another's answer away.
    std::fs::write(at("broken.png"), b"no picture").unwrap();
    let both = run(&format!("identify {photo} {} --to {gallery} --json", at("broken.png")));
    assert_eq!(both.code, FAILED);
    assert_eq!(both.json()["photos"].as_array().map(Vec::len), Some(2), "{}", both.stdout);
    let mut bytes = std::fs::read(&gallery).unwrap();
    let written = bytes.windows(4).position(|w| w == b"AGAL").expect("a header");
    // In the payload of the first record: its template is damaged, and everybody is still listed.
    bytes[written + 320] ^= 1;
    std::fs::write(&gallery, bytes).unwrap();
    let listed = run(&format!("gallery list --to {gallery} --json")).done().json();
    assert_eq!((listed["damaged"].as_u64(), listed["people"].as_array().map(Vec::len)), (Some(1), Some(2)));
}

#[test]
fn a_reader_that_leaves_early_changes_nothing() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(arcgate_tests::program::path())
        .args(["inspect", "models/synth-s/synth-s.plan"])
        .current_dir(data::workspace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(KNOWN), ""));
}

#[test]
fn photographs_through_a_detector() {
    let model = or_skip!(model());
    if model.info().template.is_none() {
        arcgate_tests::skip("no plan for aligned faces (ARCGATE_TEST_PLAN)");
        return;
    }
    let detector = or_skip!(data::find("models/yunet_2026may.onnx"), "no YuNet in the data folder");
    let Crowd::Photographs(people, _) = or_skip!(Crowd::for_model(&model)) else { unreachable!() };
    let plan = std::env::var("ARCGATE_TEST_PLAN").expect("the model's path");
    let folder = tempfile::tempdir().unwrap();
    let flash = text(&folder.path().join("gate.flash"));
    let device = Simulator::start(["--model", &plan, "--flash", &flash]);
    let (to, detector) = (device.target(), text(&detector));
    for (person, name) in ["Ada", "Grace", "Mary"].iter().enumerate() {
        let shots: Vec<String> = people[person][..2].iter().map(|p| text(p)).collect();
        run(&format!("enroll {} --name {name} --to {to} --detector {detector}", shots.join(" "))).done();
    }
    let identify = |path: &Path| {
        let run = run(&format!("identify {} --to {to} --detector {detector} --json", text(path)));
        println!("{}", run.stdout);
        run
    };
    let again = identify(&people[1][0]);
    assert_eq!((again.code, again.json()["best"]["name"].as_str()), (KNOWN, Some("Grace")));
    let other = identify(&people[2][3]);
    assert_eq!((other.code, other.json()["best"]["name"].as_str()), (KNOWN, Some("Mary")));
    let stranger = identify(people.last().and_then(|p| p.first()).expect("a stranger"));
    assert_eq!(stranger.code, UNKNOWN);
    let blank = folder.path().join("blank.png");
    image::RgbImage::new(64, 64).save(&blank).unwrap();
    let rejected = identify(&blank);
    assert_eq!((rejected.code, rejected.json()["answer"].as_str()), (REJECTED, Some("rejected")));
}
