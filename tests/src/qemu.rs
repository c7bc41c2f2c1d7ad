//! The firmware in QEMU: started, reached over TCP, killed when the test ends.

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use arcgate::link::{Client, Target};
use tempfile::NamedTempFile;

use crate::cores::Core;
use crate::data::workspace;

/// How long QEMU may take until the firmware answers.
const BOOT: Duration = Duration::from_secs(60);

/// An emulated board: what `firmware/boards/qemu-support` calls a machine, and how QEMU is told to be it.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// As QEMU calls it.
    pub name: &'static str,
    /// The emulator.
    emulator: &'static str,
    /// Its board's package and target.
    board: &'static str,
    target: &'static str,
    /// Where in its package it is built.
    built: &'static str,
    /// How the memory of its NOR chip is kept in a file.
    chip: Chip,
    /// Where the board looks for a plan and for a detector's when no slot has a model: `PLAN` and `DETECTOR` in `qemu-support`.
    plan: u32,
    detector: u32,
}

/// Memory that lies in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chip {
    /// RAM of so many bytes, in whose beginning the firmware keeps the rules of NOR flash.
    Memory(u64),
    /// A CFI chip.
    Flash,
}

/// Bytes of the file that are erased flash at first: more than any board's chip has.
const CHIP: u64 = 32 << 20;

/// All emulated boards.
pub static MACHINES: [Machine; 5] = [
    Machine {
        name: "mps2-an386",
        emulator: "qemu-system-arm",
        board: "qemu-mps2",
        target: "thumbv7em-none-eabihf",
        built: "target",
        chip: Chip::Memory(16 << 20),
        plan: 0x0010_0000,
        detector: 0x000c_0000,
    },
    Machine {
        name: "mps2-an500",
        emulator: "qemu-system-arm",
        board: "qemu-mps2",
        target: "thumbv7em-none-eabihf",
        built: "target",
        chip: Chip::Memory(16 << 20),
        plan: 0x0010_0000,
        detector: 0x000c_0000,
    },
    Machine {
        name: "mps2-an505",
        emulator: "qemu-system-arm",
        board: "qemu-mps2",
        target: "thumbv8m.main-none-eabihf",
        built: "target",
        chip: Chip::Memory(16 << 20),
        plan: 0x1010_0000,
        detector: 0x100c_0000,
    },
    Machine {
        name: "mps3-an547",
        emulator: "qemu-system-arm",
        board: "qemu-an547",
        target: "thumbv8m.main-none-eabihf",
        built: "target",
        chip: Chip::Memory(2 << 30),
        plan: 0x6080_0000,
        detector: 0x60b0_0000,
    },
    Machine {
        name: "virt",
        emulator: "qemu-system-riscv32",
        board: "qemu-riscv",
        target: "riscv32imac-unknown-none-elf",
        built: "target",
        chip: Chip::Flash,
        plan: 0x2280_0000,
        detector: 0x22b0_0000,
    },
];

impl Machine {
    /// The Cortex-M4, on which most tests run.
    pub fn m4() -> &'static Machine {
        &MACHINES[0]
    }

    /// The machine of a name.
    pub fn named(name: &str) -> Option<&'static Machine> {
        MACHINES.iter().find(|machine| machine.name == name)
    }

    /// The same, with a firmware that logs by defmt.
    pub fn with_defmt(self) -> Machine {
        Machine { built: "target/defmt", ..self }
    }

    /// The board's ELF file, built by `tests/bare-metal.sh`.
    ///
    /// # Errors
    /// When QEMU or the file is not there: what is missing.
    pub fn elf(&self) -> Result<PathBuf, String> {
        let version = Command::new(self.emulator).arg("--version").output();
        if !version.is_ok_and(|o| o.status.success()) {
            return Err(format!("{} is not installed", self.emulator));
        }
        let Machine { board, target, built, .. } = self;
        let elf = format!("firmware/boards/{board}/{built}/{target}/release/arcgate-{board}");
        let path = workspace().join(&elf);
        if path.is_file() { Ok(path) } else { Err(format!("{elf} is not built (tests/bare-metal.sh)")) }
    }

    /// QEMU's arguments for the machine, its chip and its program.
    fn arguments(&self, chip: &Path, elf: &Path) -> Vec<String> {
        let (name, chip, elf) = (self.name, chip.display(), elf.display());
        let told = match self.chip {
            Chip::Memory(bytes) => [
                ("-machine", format!("{name},memory-backend=m")),
                ("-object", format!("memory-backend-file,id=m,size={bytes},mem-path={chip},share=on")),
                ("-kernel", elf.to_string()),
            ]
            .to_vec(),
            Chip::Flash => [
                ("-machine", name.to_owned()),
                ("-bios", "none".to_owned()),
                ("-drive", format!("if=pflash,unit=1,format=raw,file={chip}")),
                ("-device", format!("loader,file={elf},cpu-num=0")),
            ]
            .to_vec(),
        };
        told.into_iter().flat_map(|(option, value)| [option.to_owned(), value]).collect()
    }

    /// Plans, and where in the memory they go.
    fn models<'f>(&self, plan: &'f Path, detector: Option<&'f Path>) -> Vec<(&'f Path, u32)> {
        [(plan, self.plan)].into_iter().chain(detector.map(|file| (file, self.detector))).collect()
    }

    /// Makes the file of an erased chip.
    fn erase(&self, chip: &Path) -> std::io::Result<()> {
        let mut file = File::create(chip)?;
        let length = if let Chip::Memory(bytes) = self.chip { bytes } else { CHIP };
        std::io::copy(&mut std::io::repeat(0xff).take(length.min(CHIP)), &mut file)?;
        file.set_len(length)
    }
}

/// A running emulator; killed, which is a power cut, when dropped.
#[derive(Debug)]
pub struct Emulator {
    child: Child,
    /// Where it runs.
    _core: Core,
    /// A file that is read by its name: a descriptor shared with QEMU would move the place where that writes.
    said: NamedTempFile,
    target: Target,
}

impl Emulator {
    /// Starts a machine with `chip` as the file behind its NOR chip (made, erased, if it is not there) and these words on the
    /// firmware's command line; nobody connects to it.
    ///
    /// # Panics
    /// When the board is not built or QEMU does not start.
    pub fn boot(machine: &Machine, chip: &Path, words: &[&str]) -> Self {
        Self::spawn(machine, chip, words, &[])
    }

    /// Starts a machine whose link is open with a plan, and perhaps a detector's, laid into its memory, and connects to it.
    ///
    /// # Panics
    /// As [`Emulator::boot`], and when the firmware does not answer in a minute; with what it has said.
    pub fn start(machine: &Machine, plan: &Path, detector: Option<&Path>, chip: &Path) -> (Self, Client) {
        let mut emulator = Self::spawn(machine, chip, &["open"], &machine.models(plan, detector));
        let client = emulator.connect();
        (emulator, client)
    }

    /// Starts a machine with a plan, and perhaps a detector's, laid into its memory, whose camera shows the pictures of a folder; nobody
    /// connects to it.
    ///
    /// # Panics
    /// As [`Emulator::boot`].
    pub fn look(
        machine: &Machine,
        plan: &Path,
        detector: Option<&Path>,
        chip: &Path,
        pictures: &Path,
    ) -> Self {
        let camera = format!("camera={}", pictures.display());
        Self::spawn(machine, chip, &[&camera], &machine.models(plan, detector))
    }

    /// As [`Emulator::boot`], with files laid into the memory.
    fn spawn(machine: &Machine, chip: &Path, words: &[&str], files: &[(&Path, u32)]) -> Self {
        let elf = machine.elf().unwrap_or_else(|why| panic!("{why}"));
        if !chip.exists() {
            machine.erase(chip).expect("a file for the chip");
        }
        // The port is free now; if somebody takes it before QEMU does, QEMU says so and the test fails.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).unwrap().port();
        let said = NamedTempFile::new().expect("a temporary file");
        let words: String = words.iter().map(|word| format!(",arg={word}")).collect();
        let files = files.iter().flat_map(|(file, at)| {
            ["-device".into(), format!("loader,file={},addr={at:#x},force-raw=on", file.display())]
        });
        // virt's UART has a FIFO.
        let core = if machine.chip == Chip::Flash { Core::any() } else { Core::take() };
        let child = core
            .command(machine.emulator)
            .args(machine.arguments(chip, &elf))
            .args(files)
            .args(["-display", "none", "-monitor", "none"])
            .args(["-semihosting-config", &format!("enable=on,target=native,arg=arcgate{words}")])
            .args(["-serial", &format!("tcp:127.0.0.1:{port},server=on,wait=off,nodelay=on")])
            .stdin(Stdio::null())
            .stdout(said.as_file().try_clone().unwrap())
            .stderr(said.as_file().try_clone().unwrap())
            .spawn()
            .expect("QEMU starts");
        Emulator { child, _core: core, said, target: Target::Tcp(format!("127.0.0.1:{port}")) }
    }

    /// Connects to a device whose link is open, once it answers.
    ///
    /// # Panics
    /// When it does not in a minute; with what it has said.
    pub fn connect(&mut self) -> Client {
        let begin = Instant::now();
        loop {
            match Client::connect(self.target()) {
                Ok((client, _)) => return client,
                Err(error) => {
                    let ended = self.child.try_wait().expect("QEMU's state");
                    if ended.is_some() || begin.elapsed() > BOOT {
                        panic!("{error}; QEMU {ended:?} said:\n{}", self.said());
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        }
    }

    /// Waits until the firmware has said `words`, and gives what follows them in their line.
    ///
    /// # Panics
    /// When it has not in a minute, or has ended; with what it has said.
    pub fn hear(&mut self, words: &str) -> String {
        let begin = Instant::now();
        loop {
            let said = self.said();
            let line = said.rsplit_once(words).and_then(|(_, rest)| rest.split_once('\n'));
            if let Some((rest, _)) = line {
                return rest.to_owned();
            }
            let ended = self.child.try_wait().expect("QEMU's state");
            if ended.is_some() || begin.elapsed() > BOOT {
                panic!("QEMU {ended:?} never said {words:?}, but:\n{said}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where its link is.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The file of everything that QEMU and the firmware have said.
    pub fn log(&self) -> &Path {
        self.said.path()
    }

    /// Everything that QEMU and the firmware have said.
    pub fn said(&mut self) -> String {
        match std::fs::read(self.said.path()) {
            Ok(said) => String::from_utf8_lossy(&said).into_owned(),
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

/// The numbers of the lines of what a board said that begin with `word`.
pub fn numbers(said: &str, word: &str) -> Vec<Vec<usize>> {
    let lines = said.lines().filter_map(|line| line.strip_prefix(word));
    lines.map(|line| line.split(' ').filter_map(|word| word.parse().ok()).collect()).collect()
}
