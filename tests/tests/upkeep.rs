//! Another model for a simulated device, through the program: taken, refused, and what becomes of the people.

#[cfg(unix)]
use std::io::{self, Read, Write};
#[cfg(unix)]
use std::net::TcpStream;
use std::path::Path;
#[cfg(target_os = "linux")]
use std::process::Command;
#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};

use arcgate_tests::data::workspace;
#[cfg(target_os = "linux")]
use arcgate_tests::or_skip;
use arcgate_tests::program::{Run, arcgate};
use arcgate_tests::simulator::Simulator;
use serde_json::{Value, json};
#[cfg(unix)]
use serialport::{SerialPort, TTYPort};

const FAILED: i32 = 1;
const MODEL: &str = "models/synth-s/synth-s.onnx";
const PEOPLE: u64 = 4;

struct Bench {
    folder: tempfile::TempDir,
    device: Simulator,
}

impl Bench {
    /// A device that takes models signed with the development key, and some drawn people enrolled.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let people = PEOPLE.to_string();
        arcgate(["synth", "-o", &at("people"), "--identities", &people, "--views", "3", "--size", "48x48"])
            .done();
        let device = Simulator::start(["--model", MODEL, "--flash", &at("flash"), "--development"]);
        arcgate(["enroll", &at("people"), "--to", device.target(), "--accept-findings"]).done();
        Bench { folder, device }
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn pack(&self, model: &str, version: &str, signer: &[&str]) -> String {
        let image = self.at(&format!("{version}.update"));
        let words = ["pack", model, "--model-version", version, "-o", &image];
        arcgate([&words[..], signer].concat()).done();
        image
    }

    fn device(&self, verb: &str, more: &[&str]) -> Run {
        arcgate([&["device", verb, "--port", self.device.target(), "--json"], more].concat())
    }

    fn update(&self, image: &str) -> Run {
        self.device("update", &[image])
    }

    fn people(&self) -> Vec<Value> {
        let list = arcgate(["gallery", "list", "--to", self.device.target(), "--json"]).done().json();
        list["people"].as_array().expect("people").clone()
    }

    /// What the log tells of models.
    fn told(&self) -> Vec<Value> {
        let log = self.device("log", &[]).done().json();
        let lines = log["lines"].as_array().expect("lines").iter().map(|line| line["what"].clone());
        lines.filter(|what| what.to_string().contains("Update")).collect()
    }
}

/// Another model than the shipped one: its float twin, quantized on other portraits.
fn another(folder: &Path) -> String {
    let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
    arcgate([
        "synth",
        "-o",
        &at("others"),
        "--identities",
        "20",
        "--views",
        "2",
        "--first",
        "500",
        "--size",
        "48x48",
    ])
    .done();
    let float = workspace().join("models/synth-s/synth-s-float.onnx");
    let made = at("another.onnx");
    arcgate(["import", float.to_str().unwrap(), "--calibrate", &at("others"), "-o", &made]).done();
    made
}

#[test]
fn the_same_embedder_is_taken_and_everybody_is_still_known() {
    let bench = Bench::new();
    let before = bench.people();
    assert_eq!(before.len() as u64, PEOPLE);
    let said = bench.update(&bench.pack(MODEL, "5", &["--development"])).done().json();
    assert_eq!(said, json!({"version": 5, "same_embeddings": true, "enroll_again": 0}));
    let stats = bench.device("stats", &[]).done().json();
    assert_eq!((stats["model_version"].as_u64(), stats["boots"].as_u64()), (Some(5), Some(2)));
    assert_eq!(bench.people(), before);
    let name = before[0]["name"].as_str().unwrap();
    let photo =
        std::fs::read_dir(bench.folder.path().join("people").join(name)).unwrap().next().unwrap().unwrap();
    let photo = photo.path();
    let found =
        arcgate(["identify", photo.to_str().unwrap(), "--to", bench.device.target(), "--json"]).json();
    assert!(found.to_string().contains(name), "{found}");

    // An older one, and one that somebody else signed.
    let older = bench.update(&bench.pack(MODEL, "4", &["--development"]));
    assert!(
        older.code == FAILED && older.stderr.contains('4') && older.stderr.contains('5'),
        "{}",
        older.stderr
    );
    let key = bench.at("own.key");
    arcgate(["keys", "update", "-o", &key]).done();
    let strangers = bench.update(&bench.pack(MODEL, "9", &["--key", &key]));
    assert_eq!(strangers.code, FAILED, "{}", strangers.stderr);
    assert_eq!(bench.device("stats", &[]).done().json()["model_version"].as_u64(), Some(5));
    let told = |what: &str, version: u32| json!({what: {"version": version}});
    let expected = [told("UpdateAccepted", 5), told("UpdateRefused", 4), told("UpdateRefused", 9)];
    assert_eq!(bench.told(), expected);
}

#[test]
fn a_device_with_a_key_of_its_own_refuses_the_development_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let key = at("own.key");
    arcgate(["keys", "update", "-o", &key]).done();
    let public = format!("{key}.pub");
    let device = Simulator::start(["--model", MODEL, "--flash", &at("flash"), "--update-key", &public]);
    let bench = Bench { folder, device };
    let refused = bench.update(&bench.pack(MODEL, "6", &["--development"]));
    let why = "the development key is refused";
    assert!(refused.code == FAILED && refused.stderr.contains(why), "{}", refused.stderr);
    assert_eq!(bench.device("stats", &[]).done().json()["model_version"], json!(null));
    // A lower version with the key that it has.
    let said = bench.update(&bench.pack(MODEL, "5", &["--key", &key])).done().json();
    assert_eq!(said["version"], 5);
    assert_eq!(
        bench.told(),
        [json!({"UpdateRefused": {"version": 6}}), json!({"UpdateAccepted": {"version": 5}})]
    );
}

#[test]
fn for_another_embedder_people_are_listed_and_keep_their_names() {
    let bench = Bench::new();
    let image = bench.pack(&another(bench.folder.path()), "6", &["--development"]);
    let careful = bench.update(&image);
    assert!(careful.code == FAILED && careful.stderr.contains("--forget-templates"), "{}", careful.stderr);
    assert_eq!(bench.people().len() as u64, PEOPLE);
    let names = |people: &[Value]| people.iter().map(|p| p["name"].clone()).collect::<Vec<_>>();
    let before = names(&bench.people());
    let said = bench.device("update", &[&image, "--forget-templates"]).done().json();
    assert_eq!(said, json!({"version": 6, "same_embeddings": false, "enroll_again": PEOPLE}));
    let backup = bench.at("people.backup");
    let to = bench.device.target();
    arcgate(["gallery", "backup", "--to", to, "-o", &backup]).done();
    arcgate(["gallery", "restore", &backup, "--to", to, "--replace", "--people-only", "--yes"]).done();
    let after = bench.people();
    assert_eq!(names(&after), before);
    assert!(after.iter().all(|person| person["templates"] == 0), "{after:?}");
    let photographs = bench.at("people");
    arcgate(["enroll", &photographs, "--to", to, "--accept-findings"]).done();
    assert!(bench.people().iter().all(|person| person["templates"] == 3));
}

#[test]
fn people_are_counted_and_kept_where_the_model_is_lost() {
    let mut bench = Bench::new();
    let flash = bench.at("flash");
    let own = bench.pack(MODEL, "5", &["--development"]);
    let another = bench.pack(&another(bench.folder.path()), "6", &["--development"]);
    drop(bench.device);
    bench.device = Simulator::start(["--no-model", "--flash", &flash, "--development"]);
    let info = bench.device("info", &[]).done().json();
    assert_eq!((&info["dimension"], &info["people"]), (&json!(0), &json!(PEOPLE)), "{info}");
    let said = arcgate(["device", "info", "--port", bench.device.target()]).done().stdout;
    assert!(said.contains("model     none"), "{said}");
    let careful = bench.update(&another);
    assert!(careful.code == FAILED && careful.stderr.contains("--forget-templates"), "{}", careful.stderr);
    assert!(careful.stderr.contains(&format!("{PEOPLE} people")), "{}", careful.stderr);
    let before = bench.people();
    let said = bench.update(&own).done().json();
    assert_eq!(said, json!({"version": 5, "same_embeddings": true, "enroll_again": 0}));
    assert_eq!(bench.people(), before);
}

#[test]
fn a_devices_people_are_looked_after_by_the_verbs_of_device_too() {
    let bench = Bench::new();
    let to = bench.device.target();
    let people = bench.people();
    assert_eq!(bench.device("list", &[]).done().json()["people"].as_array(), Some(&people));
    assert_eq!(bench.device("verify", &[]).done().json()["lost"], 0);
    let [first, last] = [&people[0], &people[people.len() - 1]];
    let name = |person: &Value| person["name"].as_str().unwrap().to_owned();
    let view = |person: &Value| bench.at(&format!("people/{}/view-000.png", name(person)));
    let seen = bench.device("identify", &[&view(first)]);
    let same = arcgate(["identify", &view(first), "--to", to, "--json"]);
    assert_eq!((seen.code, seen.json()), (same.code, same.json()));
    assert_eq!((seen.code, &seen.json()["best"]["name"]), (0, &first["name"]));
    let backup = bench.at("people.backup");
    assert_eq!(bench.device("backup", &["-o", &backup]).done().json()["people"], PEOPLE);
    bench.device("remove", &[&name(last), "--yes"]).done();
    assert_eq!(bench.people(), people[..people.len() - 1]);
    bench.device("restore", &[&backup, "--replace", "--yes"]).done();
    assert_eq!(bench.people(), people);
    let profile = bench.device("profile", &[]).done().json();
    assert_eq!(profile["place"], to);
    assert!(profile["layers"].as_array().is_some_and(|layers| !layers.is_empty()), "{profile}");
    let here = arcgate(["device", "profile", MODEL]);
    assert!(here.code == FAILED && here.stderr.contains("--port"), "{}", here.stderr);
}

#[test]
fn a_device_enrolls_whoever_stands_before_its_camera() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    arcgate(["synth", "-o", &at("people"), "--identities", "1", "--views", "1", "--size", "48x48"]).done();
    let person =
        std::fs::read_dir(at("people")).unwrap().map(|entry| entry.unwrap().path()).find(|p| p.is_dir());
    let view = person.expect("a person").join("view-000.png").to_string_lossy().into_owned();
    let blind = Simulator::start(["--model", MODEL, "--flash", &at("flash")]);
    let refused = arcgate(["device", "enroll", "--port", blind.target(), "--name", "Ada"]);
    assert!(refused.code == FAILED && refused.stderr.contains("no camera"), "{}", refused.stderr);
    // Known, so that nobody is locked out while the test takes its time.
    arcgate(["enroll", "--to", blind.target(), "--name", "Ada", &view]).done();
    drop(blind);
    let device = Simulator::start(["--model", MODEL, "--flash", &at("flash"), "--camera", &view]);
    let enroll = |whom: [&str; 2], shots: &str| {
        let words = ["device", "enroll", "--port", device.target(), "--json", "--shots", shots];
        arcgate(words.into_iter().chain(whom))
    };
    assert_eq!(enroll(["--person", "1"], "1").done().json(), json!({"person": 1, "shots": 1}));
    let list = arcgate(["gallery", "list", "--to", device.target(), "--json"]).done().json();
    assert_eq!(list["people"][0]["templates"], 2, "{list}");
    let taken = enroll(["--name", "Ada"], "1");
    assert!(
        taken.code == FAILED && taken.stderr.contains("person 1 has this name already"),
        "{}",
        taken.stderr
    );
    // Nobody else comes, and it is told why the shots are not kept until nobody is waited for any more.
    let another = enroll(["--name", "Bob"], "2");
    assert!(another.code == FAILED && another.stderr.contains("nobody was enrolled"), "{}", another.stderr);
    let why = "not kept: it shows person 1, who is enrolled, at 0.0 degrees";
    assert_eq!(another.stderr.matches("not kept: ").count(), another.stderr.matches(why).count());
    assert!(another.stderr.contains(why), "{}", another.stderr);
}

/// Carries bytes between a device's TCP port and a serial line until `done`.
#[cfg(unix)]
fn carry(line: &mut TTYPort, wire: &TcpStream, done: &AtomicBool) -> io::Result<()> {
    let mut from_device = wire.try_clone()?;
    let mut to_host = line.try_clone_native()?;
    let (mut bytes, mut to_device) = ([0; 4096], wire);
    let mut to_the_end = || -> io::Result<()> {
        while !done.load(Ordering::Relaxed) {
            match line.read(&mut bytes) {
                Ok(count) => to_device.write_all(&bytes[..count])?,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        scope.spawn(move || io::copy(&mut from_device, &mut to_host));
        let carried = to_the_end();
        // However it ended: the other direction waits for it.
        wire.shutdown(std::net::Shutdown::Both)?;
        carried
    })
}

#[cfg(unix)]
#[test]
fn a_device_is_reached_by_a_serial_port_as_by_tcp() {
    let bench = Bench::new();
    let list = bench.people();
    let view = bench.at(&format!("people/{}/view-000.png", list[0]["name"].as_str().expect("a name")));
    // A port of its own for each program: one that was opened stays that program's as long as the line is there.
    let over_serial = |words: [&str; 3]| {
        let address = bench.device.target().trim_start_matches("tcp:");
        let wire = TcpStream::connect(address).expect("a device");
        let (mut line, port) = TTYPort::pair().expect("a pair of ports");
        let (target, done) = (format!("{}@921600", port.name().expect("a name")), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let carried = scope.spawn(|| carry(&mut line, &wire, &done));
            let ran = arcgate(words.into_iter().chain([&*target, "--json"]));
            done.store(true, Ordering::Relaxed);
            carried.join().expect("no panic").expect("the line holds");
            ran
        })
    };
    let listed = over_serial(["device", "list", "--port"]).done().json();
    assert_eq!(listed["people"].as_array(), Some(&list));
    let found = over_serial(["identify", &view, "--to"]);
    assert_eq!((found.code, &found.json()["best"]["name"]), (0, &list[0]["name"]));
}

#[cfg(target_os = "linux")]
#[test]
fn long_transfers_have_a_bar_on_a_terminal_and_nowhere_else() {
    let bench = Bench::new();
    let image = bench.pack(MODEL, "5", &["--development"]);
    let arcgate = arcgate_tests::program::path().to_string_lossy().into_owned();
    let line = format!("'{arcgate}' device update '{image}' --port {}", bench.device.target());
    let terminal = Command::new("script").args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").output();
    let terminal =
        or_skip!(terminal.map_err(|_| "no `script` to make a terminal (package bsdutils)".to_owned()));
    let seen = String::from_utf8_lossy(&terminal.stdout).into_owned();
    assert!(terminal.status.success() && seen.contains("[####"), "{seen}");
    let image = bench.pack(MODEL, "6", &["--development"]);
    let piped = bench.update(&image).done();
    assert!(!piped.stderr.contains('['), "{}", piped.stderr);
}
