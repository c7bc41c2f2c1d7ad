//! What emulated boards log by defmt, decoded by `arcgate-logs` with the ELF file that ran.

use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use arcgate::link::Target;
use arcgate_tests::data::workspace;
use arcgate_tests::or_skip;
use arcgate_tests::qemu::{Emulator, Machine};
use serde_json::Value;

/// How long a board may take until it has logged something.
const PATIENCE: Duration = Duration::from_secs(60);

/// The decoder, which is a workspace of its own.
fn decoder() -> Result<PathBuf, String> {
    let built = "target/logs/release/arcgate-logs";
    let path = workspace().join(built);
    if path.is_file() { Ok(path) } else { Err(format!("{built} is not built (tests/run logs)")) }
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
