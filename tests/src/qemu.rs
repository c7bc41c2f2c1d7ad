//! The firmware in QEMU: started, reached over TCP, killed when the test ends.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use arcgate::link::{Client, Target};

use crate::data::workspace;

/// Bytes of the PSRAM, whose first megabyte is the gallery's flash.
const PSRAM: u64 = 16 << 20;

/// Where the board keeps its model; the first of `MODELS` in `qemu-support`.
const MODEL_ADDRESS: u32 = 0x10_0000;

/// Where it keeps its detector; `DETECTOR` in `qemu-support`.
const DETECTOR_ADDRESS: u32 = 0xc_0000;

/// How long QEMU may take until it listens and the firmware answers.
const BOOT: Duration = Duration::from_secs(60);

/// The board's ELF file, built by `tests/bare-metal.sh`; the error says what is missing.
///
/// # Errors
/// When QEMU or the file is not there.
pub fn board() -> Result<PathBuf, String> {
    let version = Command::new("qemu-system-arm").arg("--version").output();
    if !version.is_ok_and(|o| o.status.success()) {
        return Err("qemu-system-arm is not installed".into());
    }
    let board = "firmware/boards/qemu-mps2/target/thumbv7em-none-eabihf/release/arcgate-qemu-mps2";
    let elf = workspace().join(board);
    if elf.is_file() { Ok(elf) } else { Err(format!("{board} is not built (tests/bare-metal.sh)")) }
}

/// A running emulator; killed, which is a power cut, when dropped.
#[derive(Debug)]
pub struct Emulator {
    child: Child,
    said: File,
    target: Target,
}

impl Emulator {
    /// Starts the board `elf` with a plan in its model slot and `psram` as the file behind its PSRAM (made if it is not
    /// there), and connects to it.
    ///
    /// # Panics
    /// When QEMU does not start, or the firmware does not answer in a minute; with what it has said.
    pub fn start(elf: &Path, plan: &Path, psram: &Path) -> (Self, Client) {
        Self::start_with(elf, plan, None, psram)
    }

    /// As [`Emulator::start`], with a detector's plan in its slot if there is one.
    ///
    /// # Panics
    /// As [`Emulator::start`].
    pub fn start_with(elf: &Path, plan: &Path, detector: Option<&Path>, psram: &Path) -> (Self, Client) {
        if !psram.exists() {
            let mut file = File::create(psram).expect("a file for the PSRAM");
            std::io::copy(&mut std::io::repeat(0xff).take(PSRAM), &mut file).expect("16 MiB on disk");
        }
        // The port is free now; if somebody takes it before QEMU does, QEMU says so and the test fails.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).unwrap().port();
        let mut said = tempfile::tempfile().expect("a temporary file");
        let memory = format!("memory-backend-file,id=m,size=16M,mem-path={},share=on", psram.display());
        let detector = detector.map(|plan| (plan, DETECTOR_ADDRESS));
        let loaders = [Some((plan, MODEL_ADDRESS)), detector].into_iter().flatten().flat_map(|(plan, at)| {
            ["-device".into(), format!("loader,file={},addr={at:#x},force-raw=on", plan.display())]
        });
        let child = Command::new("qemu-system-arm")
            .args(["-machine", "mps2-an386,memory-backend=m", "-object", &memory])
            .args(["-display", "none", "-monitor", "none"])
            .args(["-semihosting-config", "enable=on,target=native"])
            .args(["-serial", &format!("tcp:127.0.0.1:{port},server=on,wait=off,nodelay=on")])
            .args(loaders)
            .arg("-kernel")
            .arg(elf)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said.try_clone().unwrap())
            .spawn()
            .expect("QEMU starts");
        said.flush().unwrap();
        let target = Target::Tcp(format!("127.0.0.1:{port}"));
        let mut emulator = Emulator { child, said, target };
        let begin = Instant::now();
        loop {
            match Client::connect(emulator.target()) {
                Ok((client, _)) => return (emulator, client),
                Err(error) => {
                    let ended = emulator.child.try_wait().expect("QEMU's state");
                    if ended.is_some() || begin.elapsed() > BOOT {
                        panic!("{error}; QEMU {ended:?} said:\n{}", emulator.said());
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        }
    }

    /// Where its link is.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Everything that QEMU and the firmware have said.
    pub fn said(&mut self) -> String {
        let mut text = String::new();
        let read = self.said.seek(SeekFrom::Start(0)).and_then(|_| self.said.read_to_string(&mut text));
        match read {
            Ok(_) => text,
            Err(error) => format!("(what it said cannot be read: {error})"),
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have left already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
