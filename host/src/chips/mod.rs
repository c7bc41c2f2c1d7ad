//! What a plan would take on a named chip: whether it fits, and about how long one embedding lasts.
//!
//! Instructions are counted, not guessed: the firmware's kernels ran on emulated cores over many shapes, and
//! [`rates`] holds how many instructions each [`Term`](term::Term) took. What a cycle is worth is an assumption, a range for
//! each chip with its reason; no chip has been measured. The time is for the engine alone: neither the camera nor alignment
//! nor the search is in it.

pub mod board;
pub mod firmware;
mod packed;
pub mod rates;
mod rv32;
pub mod term;
mod window;
pub mod work;

use arcgate_firmware::engine::plan::{Plan, PlanError, Step, Target};
use serde::Serialize;

/// Bytes of flash that a chip's firmware takes besides plan and program: a gallery of 128 KB, some 700 people and templates of 128
/// values.
pub const GALLERY_FLASH: usize = 128 << 10;

/// Bytes of RAM that the firmware takes besides arena and crop: the gallery's index with those templates opened (54 KB), the
/// link's buffers, the stack, and a picture of 160x120 in RGB565 (38 KB).
pub const FIRMWARE_RAM: usize = 152 << 10;

/// Cores that count alike: they run the same instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Isa {
    /// Cortex-M4F and Cortex-M7 (thumbv7em-none-eabihf).
    Armv7em,
    /// Cortex-M33 with floating point (thumbv8m.main-none-eabihf).
    Armv8m,
    /// RV32IMAC, no floating point (riscv32imac-unknown-none-elf).
    Rv32imac,
}

impl Isa {
    /// The cores that plans for it are laid out for.
    pub const fn target(self) -> Target {
        match self {
            Isa::Armv7em | Isa::Armv8m => Target::Dsp,
            Isa::Rv32imac => Target::Portable,
        }
    }
}

/// A chip by its data sheet, and what is assumed of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chip {
    /// Its name.
    pub name: &'static str,
    /// Its core.
    pub core: &'static str,
    /// What the core runs.
    pub isa: Isa,
    /// The highest clock.
    pub megahertz: u32,
    /// Regions of RAM that a program can have, in bytes, the largest first: the arena lies in the first.
    pub ram: &'static [usize],
    /// Bytes of flash.
    pub flash: usize,
    /// Bytes of flash for a program: what this project's board with the chip takes (`tests/boards`), rounded up.
    pub program: usize,
    /// Cycles for an instruction, assumed: at best and at worst.
    pub cycles: [f64; 2],
    /// Why these.
    pub why: &'static str,
}

/// The chips that `arcgate inspect` names.
pub const CHIPS: [Chip; 4] = [
    Chip {
        name: "RP2350",
        core: "Cortex-M33",
        isa: Isa::Armv8m,
        megahertz: 150,
        ram: &[520 << 10],
        flash: 4 << 20,
        program: 256 << 10,
        cycles: [1.0, 1.8],
        why: "one instruction a cycle but for loads and branches; weights come from QSPI flash through a cache of 16 KB",
    },
    Chip {
        name: "STM32H743",
        core: "Cortex-M7",
        isa: Isa::Armv7em,
        megahertz: 480,
        // AXI SRAM; SRAM1 to SRAM3, side by side; DTCM; SRAM4.
        ram: &[512 << 10, 288 << 10, 128 << 10, 64 << 10],
        flash: 2 << 20,
        program: 256 << 10,
        cycles: [0.6, 1.1],
        why: "two instructions a cycle at best; caches of 16 KB before flash and RAM that wait (this project's board runs at \
              400 MHz with them off, and takes longer)",
    },
    Chip {
        name: "nRF52840",
        core: "Cortex-M4F",
        isa: Isa::Armv7em,
        megahertz: 64,
        ram: &[256 << 10],
        flash: 1 << 20,
        program: 256 << 10,
        cycles: [1.1, 1.8],
        why: "one instruction a cycle, loads and taken branches two or three; code from a cache of 2 KB, weights with \
              flash wait states (this project's board leaves the cache off, and takes longer)",
    },
    Chip {
        name: "ESP32-C6",
        core: "RV32IMAC",
        isa: Isa::Rv32imac,
        megahertz: 160,
        // What the boot loader leaves of 512 KB: ESP-IDF's memory map for applications.
        ram: &[0x6_e610],
        flash: 4 << 20,
        program: 400 << 10,
        cycles: [1.1, 2.0],
        why: "one instruction a cycle, stalls behind loads and taken branches; code and weights from SPI flash through a \
              cache of 32 KB",
    },
];

impl Chip {
    /// Bytes of flash that are allowed for program and gallery.
    pub const fn firmware_flash(&self) -> usize {
        self.program + GALLERY_FLASH
    }
}

/// What one plan takes on one chip.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// The chip.
    pub chip: &'static str,
    /// Its core.
    pub core: &'static str,
    /// Its clock.
    pub megahertz: u32,
    /// Bytes of flash that are allowed for program and gallery.
    pub flash_firmware: usize,
    /// Bytes of flash that plan and firmware take.
    pub flash_needed: usize,
    /// Bytes of flash that it has.
    pub flash: usize,
    /// Whether that is enough.
    pub flash_fits: bool,
    /// Bytes of RAM that arena, crop and firmware take.
    pub ram_needed: usize,
    /// Bytes of RAM that it has.
    pub ram: usize,
    /// Whether that is enough, and one region holds the arena.
    pub ram_fits: bool,
    /// Whether the plan's weights are laid out for its core, or for any.
    pub core_fits: bool,
    /// Instructions of one embedding; none on a core that does not run the plan.
    pub instructions: Option<u64>,
    /// Cycles for an instruction, assumed.
    pub cycles_per_instruction: [f64; 2],
    /// Why these.
    pub assumed_because: &'static str,
    /// Milliseconds of one embedding, at best and at worst.
    pub milliseconds: Option<[f64; 2]>,
}

/// Instructions of one run of `step` on a core.
pub fn instructions(step: &Step<'_>, plan: &Plan<'_>, isa: Isa) -> f64 {
    let amounts = work::work(step, plan.info().order, isa);
    amounts.into_iter().map(|(term, amount)| rates::rate(term, isa) * amount as f64).sum()
}

/// Instructions of one embedding on a core.
///
/// # Errors
/// When an operation of the plan cannot be read.
pub fn whole(plan: &Plan<'_>, isa: Isa) -> Result<f64, PlanError> {
    plan.steps().map(|step| Ok(instructions(&step?, plan, isa))).sum()
}

/// What the plan in `bytes` takes on each of [`CHIPS`].
///
/// # Errors
/// When `bytes` is no valid plan.
pub fn estimates(bytes: &[u8]) -> Result<Vec<Estimate>, PlanError> {
    let plan = Plan::parse(bytes)?;
    CHIPS.iter().map(|chip| estimate(chip, &plan, bytes.len())).collect()
}

fn estimate(chip: &Chip, plan: &Plan<'_>, plan_bytes: usize) -> Result<Estimate, PlanError> {
    let arena = plan.arena_bytes();
    let (flash_needed, flash) = (plan_bytes + chip.firmware_flash(), chip.flash);
    let (ram_needed, ram) = (arena + plan.info().crop_bytes() + FIRMWARE_RAM, chip.ram.iter().sum());
    let core_fits = [Target::Portable, chip.isa.target()].contains(&plan.target());
    let instructions = if core_fits { Some(whole(plan, chip.isa)?) } else { None };
    let milliseconds = |instructions: f64| {
        chip.cycles.map(|cycles| instructions * cycles / (f64::from(chip.megahertz) * 1e3))
    };
    Ok(Estimate {
        chip: chip.name,
        core: chip.core,
        megahertz: chip.megahertz,
        flash_firmware: chip.firmware_flash(),
        flash_needed,
        flash,
        flash_fits: flash_needed <= flash,
        ram_needed,
        ram,
        ram_fits: ram_needed <= ram && arena <= chip.ram[0],
        core_fits,
        instructions: instructions.map(|n| n as u64),
        cycles_per_instruction: chip.cycles,
        assumed_because: chip.why,
        milliseconds: instructions.map(milliseconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &[u8] = include_bytes!("../../../models/synth-s/synth-s.plan");

    const CHIP: Chip = Chip {
        name: "chip",
        core: "core",
        isa: Isa::Armv7em,
        megahertz: 100,
        ram: &[1 << 20],
        flash: 1 << 20,
        program: 100_000,
        cycles: [0.5, 2.0],
        why: "it is made up",
    };

    fn on(chip: Chip) -> Estimate {
        estimate(&chip, &Plan::parse(PLAN).unwrap(), PLAN.len()).unwrap()
    }

    #[test]
    fn a_byte_too_few_does_not_fit() {
        let needed = on(CHIP);
        assert!(needed.flash_fits && needed.ram_fits);
        assert_eq!(needed.flash_needed, PLAN.len() + 100_000 + GALLERY_FLASH);
        assert!(on(Chip { flash: needed.flash_needed, ..CHIP }).flash_fits);
        assert!(!on(Chip { flash: needed.flash_needed - 1, ..CHIP }).flash_fits);
        // The model's card: an arena of 27,648 bytes and a crop of 6,912.
        assert_eq!(needed.ram_needed, 27_648 + 6_912 + FIRMWARE_RAM);
        const REST: usize = 6_912 + FIRMWARE_RAM;
        assert!(on(Chip { ram: &[27_648 + REST], ..CHIP }).ram_fits);
        assert!(!on(Chip { ram: &[27_648 + REST - 1], ..CHIP }).ram_fits);
        assert!(on(Chip { ram: &[27_648, REST], ..CHIP }).ram_fits);
        // Enough in all, but the arena lies in one region.
        assert!(!on(Chip { ram: &[27_647, REST + 1], ..CHIP }).ram_fits);
    }

    #[test]
    fn time_is_instructions_by_cycles_by_the_clock() {
        let found = on(CHIP);
        let steps: f64 = Plan::parse(PLAN).unwrap().steps().map(|s| s.unwrap().macs() as f64).sum();
        let (instructions, milliseconds) = (found.instructions.unwrap(), found.milliseconds.unwrap());
        assert!(instructions as f64 > 3.0 * steps && (instructions as f64) < 10.0 * steps);
        // 100 MHz at two cycles: 50,000 instructions a millisecond.
        let expected = instructions as f64 / 50_000.0;
        assert!((milliseconds[1] - expected).abs() < 1e-3, "{found:?}");
        assert!((milliseconds[0] * 4.0 - milliseconds[1]).abs() < 1e-9);
    }

    #[test]
    fn the_largest_region_comes_first() {
        for chip in CHIPS {
            assert!(chip.ram.is_sorted_by(|a, b| a >= b), "{}", chip.name);
            assert!(chip.cycles[0] < chip.cycles[1], "{}", chip.name);
        }
    }
}
