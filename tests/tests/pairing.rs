//! Computers and a simulated device that trusts only those that are paired: through the program, as people do it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use arcgate_tests::program::{self, Run, arcgate};
use arcgate_tests::simulator::Simulator;

const FAILED: i32 = 1;

fn simulator(folder: &Path, button: &[&str]) -> Simulator {
    let model = arcgate_tests::data::workspace().join("models/synth-s/synth-s.onnx");
    let flash = folder.join("flash");
    let fixed = ["--model", model.to_str().unwrap(), "--flash", flash.to_str().unwrap()];
    Simulator::start_paired(fixed.into_iter().chain(button.iter().copied()))
}

fn with_keys(keys: &Path, words: &[&str]) -> Run {
    arcgate(words.iter().copied().chain(["--keys", keys.to_str().unwrap()]))
}

/// Pairs, typing what `type_code` makes of the code that the device shows.
fn pair(device: &Simulator, keys: &Path, role: &str, type_code: impl FnOnce(&str) -> String) -> Run {
    let mut child = Command::new(program::path())
        .args([
            "device",
            "pair",
            "--port",
            device.target(),
            "--role",
            role,
            "--label",
            "a test",
            "--json",
            "--keys",
        ])
        .arg(keys)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let shown = device.next();
    let code = shown["code"].as_str().unwrap_or_else(|| panic!("no code in {shown}"));
    assert_eq!((shown["role"].as_str(), shown["label"].as_str()), (Some(role), Some("a test")));
    writeln!(child.stdin.take().unwrap(), "{}", type_code(code)).expect("the program reads");
    let output = child.wait_with_output().expect("the program ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

#[test]
fn an_administrator_is_paired_looks_after_the_device_and_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys/devices.toml");
    let device = simulator(folder.path(), &["--button", "4"]);
    let to = device.target().to_owned();
    let stranger = with_keys(&keys, &["device", "info", "--port", &to]);
    assert_eq!(stranger.code, FAILED);
    assert!(stranger.stderr.contains("arcgate device pair"), "{}", stranger.stderr);
    let paired =
        pair(&device, &keys, "administrator", |code| format!("{} {}", &code[..3], &code[3..])).done().json();
    let host = paired["host"].as_u64().unwrap().to_string();
    assert_eq!(device.next()["paired"].as_u64().unwrap().to_string(), host);
    let info = with_keys(&keys, &["device", "info", "--port", &to, "--json"]).done().json();
    assert_eq!(info["open_link"], false);
    let list = with_keys(&keys, &["device", "pairings", "--port", &to, "--json"]).done().json();
    assert_eq!(list["pairings"].as_array().unwrap().len(), 1);
    assert_eq!(list["pairings"][0]["label"], "a test");
    assert_eq!(list["own"].as_u64().unwrap().to_string(), host);
    with_keys(&keys, &["gallery", "list", "--to", &to]).done();
    with_keys(&keys, &["device", "unpair", &host, "--port", &to]).done();
    let forgotten = with_keys(&keys, &["device", "info", "--port", &to]);
    assert!(forgotten.code == FAILED && forgotten.stderr.contains("not paired"), "{}", forgotten.stderr);
    // The press was used up by the pairing.
    let again = with_keys(&keys, &["device", "pair", "--port", &to, "--role", "operator"]);
    assert!(again.code == FAILED && again.stderr.contains("button"), "{}", again.stderr);
}

#[test]
fn a_short_press_is_for_operators_and_a_wrong_code_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("devices.toml");
    let device = simulator(folder.path(), &["--button", "1"]);
    let to = device.target().to_owned();
    let greedy = with_keys(&keys, &["device", "pair", "--port", &to, "--role", "administrator"]);
    assert!(greedy.code == FAILED && greedy.stderr.contains("--role operator"), "{}", greedy.stderr);
    let wrong = pair(&device, &keys, "operator", |code| {
        let code: u32 = code.parse().unwrap();
        format!("{:06}", (code + 1) % 1_000_000)
    });
    assert!(wrong.code == FAILED && wrong.stderr.contains("not the code"), "{}", wrong.stderr);
    assert!(!keys.exists());
    pair(&device, &keys, "operator", str::to_owned).done();
    with_keys(&keys, &["device", "info", "--port", &to]).done();
    let list = with_keys(&keys, &["gallery", "list", "--to", &to]);
    assert!(list.code == FAILED && list.stderr.contains("administrator"), "{}", list.stderr);
}

#[test]
fn nobody_is_paired_where_no_button_was_pressed_or_the_link_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("devices.toml");
    for (flag, expected) in [(&[][..], "not in pairing mode"), (&["--open"][..], "link is open")] {
        let device = simulator(folder.path(), flag);
        let words = ["device", "pair", "--port", device.target(), "--role", "operator"];
        let refused = with_keys(&keys, &words);
        assert!(refused.code == FAILED && refused.stderr.contains(expected), "{}", refused.stderr);
    }
}

#[test]
fn nobody_at_a_paired_devices_address_is_believed_that_the_link_is_open() {
    let [folder, elsewhere] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let keys = folder.path().join("devices.toml");
    let device = simulator(folder.path(), &["--button", "4"]);
    let to = device.target().to_owned();
    let paired = pair(&device, &keys, "operator", str::to_owned).done().json();
    drop(device);
    // Another device, whose identity this computer does not know, in its place.
    let key = elsewhere.path().join("other.key").to_string_lossy().into_owned();
    arcgate(["keys", "device", "-o", &key]).done();
    let mut command = Command::new(program::path());
    command.args(["simulate", "--no-model", "--development", "--open", "--port", &to, "--device-key", &key]);
    command.arg("--flash").arg(elsewhere.path().join("flash"));
    let other = Simulator::run(command);
    assert_eq!(other.target(), to);
    let info = with_keys(&keys, &["device", "info", "--port", &to]);
    let name = paired["device"].as_str().unwrap();
    assert!(info.code == FAILED && info.stderr.contains(name), "{}", info.stderr);
    assert!(info.stderr.contains("says that its link is open"), "{}", info.stderr);
    let stranger = elsewhere.path().join("devices.toml");
    with_keys(&stranger, &["device", "info", "--port", &to]).done();
}

#[test]
fn pairings_and_the_log_outlast_the_power() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("devices.toml");
    let device = simulator(folder.path(), &["--button", "4"]);
    let host = pair(&device, &keys, "administrator", str::to_owned).done().json()["host"].as_u64().unwrap();
    // Killed, as when the power goes.
    drop(device);
    let device = simulator(folder.path(), &[]);
    let asked = |words: &[&str]| {
        let words = [words, &["--port", device.target(), "--json"]].concat();
        with_keys(&keys, &words).done().json()
    };
    let stats = asked(&["device", "stats"]);
    assert_eq!((stats["boots"].as_u64(), stats["pairings"].as_u64()), (Some(2), Some(1)));
    let log = asked(&["device", "log"]);
    let told: Vec<&serde_json::Value> =
        log["lines"].as_array().unwrap().iter().map(|line| &line["what"]).collect();
    let paired = serde_json::json!({"Paired": {"number": host, "role": 2}});
    assert_eq!(told, [&serde_json::json!("Boot"), &paired, &serde_json::json!("Boot")]);
}
