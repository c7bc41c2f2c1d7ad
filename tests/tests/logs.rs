//! What emulated boards and programs log by defmt, decoded by `arcgate-logs` with the ELF file that ran.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use arcgate::link::Target;
use arcgate_tests::data::workspace;
use arcgate_tests::or_skip;
use arcgate_tests::program::arcgate;
use arcgate_tests::qemu::{Emulator, Machine};
use arcgate_tests::simulator::Simulator;
use serde_json::Value;
#[cfg(unix)]
use serialport::{SerialPort, TTYPort};

/// How long a board may take until it has logged something.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that is not built with the tests.
fn built(program: &str) -> Result<PathBuf, String> {
    let path = workspace().join("target").join(program);
    if path.is_file() { Ok(path) } else { Err(format!("target/{program} is not built (tests/run logs)")) }
}

/// The decoder, which is a workspace of its own.
fn decoder() -> Result<PathBuf, String> {
    built("logs/release/arcgate-logs")
}

/// The lines of a log, and how many frames there were and how many of them were damaged.
fn decoded(decoder: &Path, elf: &Path, log: &Path) -> (Vec<Value>, [u64; 2]) {
    let output = Command::new(decoder).arg("--json").args([elf, log]).output().expect("the decoder runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).expect("text");
    let mut lines: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let counts = lines.pop().expect("a last line");
    (lines, ["frames", "damaged"].map(|name| counts[name].as_u64().expect("a count")))
}

/// The lines of a log that comes by a serial port, each of its frames after the mark that the ESP32-C6 sends before one.
#[cfg(unix)]
fn decoded_from_a_port(decoder: &Path, elf: &Path, log: &[u8]) -> Vec<Value> {
    let (mut board, port) = TTYPort::pair().expect("a pair of ports");
    let name = format!("{}@921600", port.name().expect("a name"));
    let mut child = Command::new(decoder)
        .arg("--json")
        .arg(elf)
        .arg(name)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the decoder runs");
    let frames: Vec<&[u8]> = log.split(|&byte| byte == 0).filter(|frame| !frame.is_empty()).collect();
    for frame in &frames {
        board.write_all(&[&[0xff, 0], *frame, &[0]].concat()).expect("sent");
    }
    let said = BufReader::new(child.stdout.take().expect("its output")).lines().take(frames.len());
    let lines = said.map(|line| serde_json::from_str(&line.expect("text")).expect("an object a line"));
    let lines = lines.collect();
    child.kill().and_then(|()| child.wait()).expect("it ends");
    lines
}

#[test]
fn boards_log_what_happens_and_damage_costs_its_frames_alone() {
    let decoder = or_skip!(decoder());
    for machine in [*Machine::m4(), *Machine::named("virt").expect("a machine")].map(Machine::with_defmt) {
        let elf = or_skip!(machine.elf());
        let folder = tempfile::tempdir().expect("a folder");
        let emulator = Emulator::boot(&machine, &folder.path().join("chip"), &[]);
        let Target::Tcp(address) = emulator.target() else { panic!("an emulator at {}", emulator.target()) };
        let begin = Instant::now();
        let mut noise = None;
        let (lines, counts) = loop {
            let (lines, counts) = decoded(&decoder, &elf, emulator.log());
            let said = |words: &str| lines.iter().any(|line| line["message"].to_string().contains(words));
            if said("Noise(") {
                break (lines, counts);
            }
            if noise.is_none() && said("placed: ") {
                let mut wire = TcpStream::connect(address).expect("its UART");
                wire.write_all(b"\0no packet\0").expect("sent");
                noise = Some(wire);
            }
            assert!(begin.elapsed() < PATIENCE, "{lines:#?}");
            std::thread::sleep(Duration::from_millis(100));
        };
        println!("{}: {} frames", machine.name, counts[0]);
        #[cfg(unix)]
        {
            // Its beginning: it may have said more since.
            let log = std::fs::read(emulator.log()).expect("the log");
            let by_port = decoded_from_a_port(&decoder, &elf, &log);
            assert_eq!(by_port[..lines.len()], lines, "by a serial port");
        }
        assert_eq!(counts, [lines.len() as u64, 0], "{lines:#?}");
        let first = |n: usize| (lines[n]["level"].as_str(), lines[n]["message"].as_str().unwrap_or_default());
        assert_eq!(first(0), (Some("error"), "up, without a gallery"));
        let (level, placed) = first(1);
        assert!(level == Some("info") && placed.starts_with("placed: "), "{placed}");

        // A byte of the second frame turns; zeros stand between frames.
        let mut bytes = std::fs::read(emulator.log()).expect("the log");
        let is_first_of_frame = |at: &usize| bytes[*at] != 0 && (*at == 0 || bytes[*at - 1] == 0);
        let second = (0..bytes.len()).filter(is_first_of_frame).nth(1).expect("a second frame");
        bytes[second] = if bytes[second] == 0xff { 1 } else { !bytes[second] };
        let damaged = folder.path().join("damaged");
        std::fs::write(&damaged, &bytes).expect("written");
        let (left, [frames, lost]) = decoded(&decoder, &elf, &damaged);
        assert_eq!((left[0]["message"].as_str(), frames), (Some("up, without a gallery"), counts[0]));
        assert!(lost <= 1 && left != lines && left.last() == lines.last(), "{left:#?}");
    }
}

/// What a program has logged when these words are in it, each in a line of its own, in this order.
fn logged(decoder: &Path, program: &Path, log: &Path, words: &[&str]) -> Vec<Value> {
    let begin = Instant::now();
    loop {
        let (lines, counts) = decoded(decoder, program, log);
        let mut rest = lines.iter().map(|line| line["message"].to_string());
        if words.iter().all(|&words| rest.any(|line| line.contains(words))) {
            assert_eq!(counts, [lines.len() as u64, 0], "{lines:#?}");
            return lines;
        }
        assert!(begin.elapsed() < PATIENCE, "{words:?} in {lines:#?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_simulator_and_the_linux_board_log_as_boards_do() {
    let decoder = or_skip!(decoder());
    let programs = ["arcgate", "arcgate-linux"].map(|name| built(&format!("defmt/release/{name}")));
    let [simulator, linux] = programs;
    let (simulator, linux) = (or_skip!(simulator), or_skip!(linux));
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let portraits = at("portraits");
    let drawn = ["synth", "--identities", "1", "--views", "1", "--size", "48x48", "-o"].map(OsStr::new);
    arcgate(drawn.into_iter().chain([portraits.as_os_str()])).done();
    for kind in ["device", "update"] {
        arcgate(["keys", kind, "-o", &at(&format!("{kind}.key")).to_string_lossy()]).done();
    }
    let make_noise = |device: &Simulator| {
        let Ok(Target::Tcp(address)) = device.target().parse() else { panic!("{}", device.target()) };
        TcpStream::connect(address).expect("its port").write_all(b"\0no packet\0").expect("sent");
    };

    // What was said in words, too.
    let mut command = Command::new(&simulator);
    command.args([
        "simulate",
        "--open",
        "--port",
        "tcp:127.0.0.1:0",
        "--model",
        "models/synth-s/synth-s.onnx",
    ]);
    command.arg("--camera").arg(&portraits).arg("--flash").arg(at("flash")).arg("--defmt").arg(at("log"));
    let device = Simulator::run(command);
    device.hear("unknown");
    make_noise(&device);
    let lines = logged(&decoder, &simulator, &at("log"), &["Answered(Unknown", "Noise("]);
    let times: Vec<f64> =
        lines.iter().map(|line| line["time"].as_str()?.parse().ok()).map(Option::unwrap).collect();
    assert!(times.is_sorted() && lines.iter().all(|line| line["level"] == "info"), "{lines:#?}");
    println!("the simulator: {} frames", lines.len());
    drop(device);

    let mut command = Command::new(&linux);
    command
        .arg("--home")
        .arg(at("home"))
        .arg("--device-key")
        .arg(at("device.key"))
        .arg("--defmt")
        .arg(at("log"));
    command.arg("--update-key").arg(at("update.key.pub")).args(["--open", "--port", "tcp:127.0.0.1:0"]);
    let device = Simulator::run(command);
    make_noise(&device);
    let lines = logged(&decoder, &linux, &at("log"), &["up, ", "Noise("]);
    println!("the Linux board: {} frames", lines.len());
    assert_eq!(device.terminate(), 0);

    // Others say that they do not log, and how they would.
    let refused = arcgate(["simulate", "--open", "--defmt", &at("other").to_string_lossy()]);
    assert!(refused.code != 0 && refused.stderr.contains("--features defmt"), "{}", refused.stderr);
    assert!(!at("other").exists());
}
