//! Instructions of a plan's operations, counted on emulated cores, and the rates that `arcgate inspect` estimates with.

pub mod fit;
pub mod rows;
pub mod search;
pub mod shapes;

use std::path::{Path, PathBuf};
use std::process::Command;

use arcgate::chips::Isa;
use arcgate_firmware::engine::plan::Target;

use crate::data::workspace;

/// Multiply-accumulates of the largest operation that can be counted: SysTick turns over after 524 million instructions.
pub const MOST_MACS: u64 = 40_000_000;

/// A machine of QEMU's that the firmware `qemu-bench` runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// A Cortex-M4F.
    An386,
    /// A Cortex-M7, by the same program.
    An500,
    /// A Cortex-M33.
    An505,
    /// A Cortex-M55 with MVE.
    An547,
    /// An RV32.
    Virt,
    /// An RV32 with vectors of 128 bits.
    Rvv128,
    /// An RV32 with vectors of 256 bits.
    Rvv256,
}

impl Machine {
    /// All of them.
    pub const ALL: [Machine; 7] = [
        Machine::An386,
        Machine::An500,
        Machine::An505,
        Machine::An547,
        Machine::Virt,
        Machine::Rvv128,
        Machine::Rvv256,
    ];

    /// QEMU's name for it, and what tells its core from others.
    pub fn name(self) -> &'static str {
        match self {
            Machine::An386 => "mps2-an386",
            Machine::An500 => "mps2-an500",
            Machine::An505 => "mps2-an505",
            Machine::An547 => "mps3-an547",
            Machine::Virt => "virt",
            Machine::Rvv128 => "virt-rvv128",
            Machine::Rvv256 => "virt-rvv256",
        }
    }

    /// QEMU's options for it.
    fn options(self) -> &'static [&'static str] {
        const RVV128: &str = "rv32,v=true,vlen=128,vext_spec=v1.0";
        const RVV256: &str = "rv32,v=true,vlen=256,vext_spec=v1.0";
        match self {
            Machine::Virt => &["-machine", "virt", "-bios", "none"],
            Machine::Rvv128 => &["-machine", "virt", "-bios", "none", "-cpu", RVV128],
            Machine::Rvv256 => &["-machine", "virt", "-bios", "none", "-cpu", RVV256],
            Machine::An386 => &["-machine", "mps2-an386"],
            Machine::An500 => &["-machine", "mps2-an500"],
            Machine::An505 => &["-machine", "mps2-an505"],
            Machine::An547 => &["-machine", "mps3-an547"],
        }
    }

    fn is_riscv(self) -> bool {
        self.isa() == Isa::Rv32imac
    }

    /// Whether `arcgate inspect` estimates what unpacked plans take on it; of vectors it knows nothing.
    pub fn is_estimated(self) -> bool {
        !matches!(self, Machine::Rvv128 | Machine::Rvv256)
    }

    /// Whose instructions it counts. Of the scalar kernels a Cortex-M55 has the M33's: they are compiled for the same target.
    pub fn isa(self) -> Isa {
        match self {
            Machine::An386 | Machine::An500 => Isa::Armv7em,
            Machine::An505 | Machine::An547 => Isa::Armv8m,
            Machine::Virt | Machine::Rvv128 | Machine::Rvv256 => Isa::Rv32imac,
        }
    }

    /// The cores that weights are packed for where it is to be fast.
    pub fn packed(self) -> Target {
        if self == Machine::An547 { Target::Mve } else { self.isa().target() }
    }

    fn target(self) -> &'static str {
        match self {
            Machine::An386 | Machine::An500 => "thumbv7em-none-eabihf",
            Machine::An505 | Machine::An547 => "thumbv8m.main-none-eabihf",
            Machine::Virt | Machine::Rvv128 | Machine::Rvv256 => "riscv32imac-unknown-none-elf",
        }
    }

    fn emulator(self) -> &'static str {
        if self.is_riscv() { "qemu-system-riscv32" } else { "qemu-system-arm" }
    }

    /// The emulator with `firmware`, an instruction a nanosecond; what the program prints is the emulator's standard output.
    fn command(self, firmware: &Path, arguments: &str) -> Command {
        let mut command = Command::new(self.emulator());
        command
            .args(self.options())
            .args(["-icount", "shift=0", "-display", "none", "-monitor", "none", "-serial", "none"])
            .arg("-semihosting-config")
            .arg(format!("enable=on,target=native{arguments}"))
            .arg("-kernel")
            .arg(firmware);
        command
    }

    /// What the firmware of another emulated board prints on it.
    ///
    /// # Errors
    /// What is missing: the emulator or the firmware.
    ///
    /// # Panics
    /// When the firmware fails, with what it said.
    pub fn run(self, board: &str) -> Result<String, String> {
        let firmware = self.board(board)?;
        let output = self.command(&firmware, "").output().map_err(|e| e.to_string())?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{board} on {} said:\n{said}{complaint}", self.name());
        Ok(said)
    }

    /// The firmware for it, built by `tests/bare-metal.sh`.
    ///
    /// # Errors
    /// What is missing: the emulator or the file.
    pub fn firmware(self) -> Result<PathBuf, String> {
        self.board("qemu-bench")
    }

    /// The firmware of another emulated board for it.
    ///
    /// # Errors
    /// As [`Machine::firmware`].
    pub fn board(self, board: &str) -> Result<PathBuf, String> {
        let emulator = self.emulator();
        let version = Command::new(emulator).arg("--version").output();
        if !version.is_ok_and(|o| o.status.success()) {
            return Err(format!("{emulator} is not installed"));
        }
        let folder = match self {
            Machine::An547 => "target/mve",
            Machine::Rvv128 | Machine::Rvv256 => "target/rvv",
            _ => "target",
        };
        let file = format!("firmware/boards/{board}/{folder}/{}/release/arcgate-{board}", self.target());
        let elf = workspace().join(&file);
        if elf.is_file() { Ok(elf) } else { Err(format!("{file} is not built (tests/bare-metal.sh)")) }
    }
}

/// One run of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Instructions of each operation.
    pub steps: Vec<u64>,
    /// Instructions from crop to embedding.
    pub whole: u64,
    /// Bytes of stack that the run took at most.
    pub stack: usize,
    /// The embedding of [`crop`].
    pub embedding: Vec<i8>,
}

/// The picture of noise that plans run on, of `bytes` bytes; `noise` in the firmware's `main.rs`.
pub fn crop(bytes: usize) -> Vec<u8> {
    let next = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((*state >> 24) as u8)
    };
    std::iter::repeat_n((), bytes).scan(1, |state, ()| next(state)).collect()
}

/// Runs each plan on `machine` and counts.
///
/// # Errors
/// When the emulator fails; with what it said.
pub fn count(machine: Machine, firmware: &Path, plans: &[PathBuf]) -> Result<Vec<Counts>, String> {
    let arguments: String = plans.iter().map(|plan| format!(",arg={}", plan.display())).collect();
    let output =
        machine.command(firmware, &format!(",arg=bench{arguments}")).output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let counted = parse(&said).filter(|counts| output.status.success() && counts.len() == plans.len());
    counted.ok_or_else(|| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        format!("{} said:\n{said}{complaint}", machine.name())
    })
}

/// Int8 values from two digits each.
fn values(hex: &str) -> Option<Vec<i8>> {
    let digits = hex.as_bytes().as_chunks::<2>().0.iter();
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok().map(|v| v as i8)).collect()
}

fn parse(said: &str) -> Option<Vec<Counts>> {
    let mut all = Vec::new();
    for line in said.lines() {
        let mut words = line.split_whitespace();
        let word = words.next();
        let number = |word: Option<&str>| word?.parse::<u64>().ok();
        match word? {
            "plan" => {
                all.push(Counts { steps: Vec::new(), whole: 0, stack: 0, embedding: Vec::new() });
            }
            "step" => all.last_mut()?.steps.push(number(words.nth(1))?),
            "whole" => all.last_mut()?.whole = number(words.next())?,
            "stack" => all.last_mut()?.stack = number(words.next())? as usize,
            "embedding" => all.last_mut()?.embedding = values(words.next()?)?,
            _ => return None,
        }
    }
    Some(all)
}
