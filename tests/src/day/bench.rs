//! The machine that a day is spent on: switched on, its button held, its code read, its power cut.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use arcgate::link::{Client, LinkError, Target, pair_over};
use arcgate::onnx::metadata::hex;
use arcgate_firmware::link::pairing::Code;
use arcgate_firmware::link::status::DeviceInfo;
use arcgate_firmware::pairings::{Label, Pairing, Role};

use crate::qemu::{Emulator, Machine};
use crate::simulator::Simulator;

/// How long a machine may take to start.
const START: Duration = Duration::from_secs(60);

/// Bytes that a gallery may take: it begins an emulated board's chip, and is all of the simulator's file.
const GALLERY: u64 = 1 << 20;

/// Bytes behind what a gallery has written in which it goes on writing: some sectors.
const NEXT: usize = 64 << 10;

/// Which machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// `arcgate simulate`, a process of its own.
    Simulator,
    /// A Cortex-M4 in QEMU, for which weights are packed.
    Mps2An386,
    /// An RV32 core in QEMU, which runs plans for any core.
    RiscvVirt,
}

impl On {
    /// All machines.
    pub const ALL: [On; 3] = [On::Simulator, On::Mps2An386, On::RiscvVirt];

    /// As the command line names it.
    pub fn name(self) -> &'static str {
        match self {
            On::Simulator => "simulator",
            On::Mps2An386 => "mps2-an386",
            On::RiscvVirt => "riscv-virt",
        }
    }

    /// What `arcgate compile --target` is told, if not to lay plans out for any core.
    pub(super) fn core(self) -> Option<&'static str> {
        (self == On::Mps2An386).then_some("cortex-m4")
    }

    fn emulated(self) -> Option<&'static Machine> {
        match self {
            On::Simulator => None,
            On::Mps2An386 => Machine::named("mps2-an386"),
            On::RiscvVirt => Machine::named("virt"),
        }
    }

    /// What is missing to run it, in words.
    ///
    /// # Errors
    /// When something is.
    pub fn is_there(self) -> Result<(), String> {
        self.emulated().map_or(Ok(()), |machine| machine.elf().map(drop))
    }
}

/// A machine that is switched on.
enum Running {
    Simulator(Simulator),
    Emulator(Emulator),
}

/// A machine, its flash in a folder of its own, and the computer that it is paired with.
pub(super) struct Bench {
    on: On,
    folder: tempfile::TempDir,
    running: Option<Running>,
    pairing: Option<Pairing>,
    /// Codes that it has shown since it was switched on.
    codes: usize,
}

impl Bench {
    pub(super) fn new(on: On) -> anyhow::Result<Self> {
        on.is_there().map_err(anyhow::Error::msg)?;
        let folder = tempfile::tempdir().context("a folder for the flash")?;
        Ok(Bench { on, folder, running: None, pairing: None, codes: 0 })
    }

    /// Switches it on, off before if it is on, its button held for so many seconds as it starts.
    pub(super) fn boot(&mut self, button: Option<u32>) {
        self.cut();
        self.codes = 0;
        let flash = self.flash();
        self.running = Some(match self.on.emulated() {
            None => {
                let (flash, seconds) = (flash.to_string_lossy(), button.map(|seconds| seconds.to_string()));
                let held = seconds.iter().flat_map(|seconds| ["--button", seconds]);
                let own = ["--no-model", "--development", "--flash", &flash];
                Running::Simulator(Simulator::start_paired(own.into_iter().chain(held)))
            }
            Some(machine) => {
                let mut words = vec![format!("entropy={}", hex(&rand::random::<[u8; 32]>()))];
                words.extend(button.map(|seconds| format!("button={seconds}")));
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let mut emulator = Emulator::boot(machine, &flash, &words);
                emulator.hear("up, ");
                if button.is_some() {
                    emulator.hear("a host may be paired");
                }
                Running::Emulator(emulator)
            }
        });
    }

    /// Cuts its power: the process is killed.
    pub(super) fn cut(&mut self) {
        self.running = None;
    }

    /// The flash that its gallery writes next.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn unwritten(&self) -> io::Result<Unwritten> {
        let (mut flash, mut gallery) = (File::open(self.flash())?, Vec::new());
        flash.by_ref().take(GALLERY).read_to_end(&mut gallery)?;
        let from = gallery.iter().rposition(|&byte| byte != 0xff).map_or(0, |last| last + 1);
        Ok(Unwritten { flash, from: from as u64, next: vec![0xff; NEXT.min(gallery.len() - from)] })
    }

    fn flash(&self) -> PathBuf {
        self.folder.path().join("flash")
    }

    fn connect(&self) -> anyhow::Result<Box<TcpStream>> {
        let address = match self.running.as_ref().context("the machine is off")? {
            Running::Simulator(simulator) => simulator.target().trim_start_matches("tcp:"),
            Running::Emulator(emulator) => match emulator.target() {
                Target::Tcp(address) => address,
                other => bail!("an emulator at {other}"),
            },
        };
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    /// A session with it, asked for until there is one.
    pub(super) fn client(&self) -> anyhow::Result<(Client, DeviceInfo)> {
        let begin = Instant::now();
        loop {
            match Client::over(self.connect()?, self.pairing.as_ref()) {
                // It starts anew, or whoever had the line has just left it.
                Err(LinkError::Broken(_) | LinkError::Silent { .. } | LinkError::SessionEnded { .. })
                    if begin.elapsed() < START => {}
                ended => return Ok(ended?),
            }
        }
    }

    /// A session with it once it runs the model of this version.
    pub(super) fn client_of(&self, version: u32) -> anyhow::Result<(Client, DeviceInfo)> {
        let begin = Instant::now();
        loop {
            let (mut client, info) = self.client()?;
            match client.stats().map(|stats| stats.model_version) {
                Ok(found) if found == Some(version) => return Ok((client, info)),
                Ok(found) if begin.elapsed() > START => bail!("it runs model {found:?}, not {version}"),
                Err(error) if begin.elapsed() > START => return Err(error.into()),
                Ok(_) | Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Pairs this computer, typing what `typed` makes of the code that the device shows.
    pub(super) fn pair(&mut self, role: Role, typed: impl FnOnce(Code) -> Code) -> anyhow::Result<Pairing> {
        let label = Label::try_from("a day").expect("a short label");
        let wire = self.connect()?;
        let (_, pairing) = pair_over(wire, role, label, || anyhow::Ok(typed(self.code()?)))?;
        self.pairing = Some(pairing.clone());
        Ok(pairing)
    }

    /// The code that it shows next.
    fn code(&mut self) -> anyhow::Result<Code> {
        let shown = match self.running.as_mut().context("the machine is off")? {
            Running::Simulator(simulator) => loop {
                if let Some(code) = simulator.next()["code"].as_str() {
                    break code.to_owned();
                }
            },
            Running::Emulator(emulator) => loop {
                let line = emulator.hear("code ");
                // The one before may be the last that it has said yet.
                if emulator.said().matches("code ").count() > self.codes {
                    break line.split(' ').next().unwrap_or_default().to_owned();
                }
                std::thread::sleep(Duration::from_millis(20));
            },
        };
        self.codes += 1;
        Ok(Code(shown.parse().with_context(|| format!("{shown:?} is no code"))?))
    }
}

/// Flash behind what a gallery has written.
pub(super) struct Unwritten {
    flash: File,
    from: u64,
    next: Vec<u8>,
}

impl Unwritten {
    /// Whether it is still erased.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn is_erased(&mut self) -> io::Result<bool> {
        self.flash.seek(SeekFrom::Start(self.from))?;
        self.flash.read_exact(&mut self.next)?;
        Ok(self.next.iter().all(|&byte| byte == 0xff))
    }
}
