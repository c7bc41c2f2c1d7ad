//! virt with an RV32 core: two chips of CFI NOR flash and DRAM. The program runs where it lies, in the first chip.
//!
//! ```text
//! first chip   0x20000000   32 MB    firmware
//! second chip  0x22000000   2 MB     the NOR chip, in sectors of 256 KB
//!              0x22200000   1.5 MB   model
//!              0x22380000   1.5 MB   model
//!              0x22500000   256 KB   detector
//! DRAM         0x80000000   16 MB    variables and stack
//! ```

use arcgate_firmware::device::Clock;
use arcgate_firmware::engine::plan::Target;
use arcgate_firmware::link::message::Unit;
use riscv::register::minstret;

use crate::Region;
use crate::cfi::CfiFlash;

/// What the weights of its plans are packed for.
pub const TARGET: Target = Target::Portable;

/// The first chip of flash.
pub const FLASH: Region = Region::new(0x2000_0000, 32 << 20);

/// As much of the DRAM as the board takes.
pub const RAM: Region = Region::new(0x8000_0000, 16 << 20);

/// The two slots for models.
pub const MODELS: [Region; 2] = [Region::new(0x2220_0000, 3 << 19), Region::new(0x2238_0000, 3 << 19)];

/// The slot for the plan that finds faces.
pub const DETECTOR: Region = Region::new(0x2250_0000, 256 << 10);

/// The part of the second chip that is no model's.
pub const CHIP: Region = Region::new(0x2200_0000, 2 << 20);

/// On the chip: people and templates.
pub const GALLERY: Region = Region::new(0, 1 << 20);

/// On the chip: the event log.
pub const EVENTS: Region = Region::new(1 << 20, 1 << 19);

/// On the chip: what else survives a restart.
pub const STATE: Region = Region::new(3 << 19, 1 << 19);

/// The NS16550 of the link.
pub const UART: usize = 0x1000_0000;

/// Its interrupt at the PLIC.
pub const UART_INTERRUPT: usize = 10;

/// The platform's interrupt controller.
pub const PLIC: usize = 0x0c00_0000;

/// Stack, as it is measured on mps2-an386; here it was not.
pub const STACK: usize = 66_000;

/// The flash of gallery, event log and state.
pub type Chip = CfiFlash;

/// Takes the chip.
///
/// # Safety
/// Once.
pub unsafe fn chip() -> Chip {
    // SAFETY: the second chip begins here, and the caller says that nobody else has it.
    unsafe { CfiFlash::new(CHIP) }
}

/// The core's own counter of instructions.
pub const CLOCK: Clock = Clock { now: || minstret::read() as u32, unit: Unit::Instructions, per_tick: 1 };

/// Milliseconds since the machine was switched on, by the CLINT's timer of 10 MHz.
pub fn milliseconds() -> u64 {
    const LOW: *const u32 = 0x0200_bff8 as *const u32;
    const HIGH: *const u32 = 0x0200_bffc as *const u32;
    loop {
        // SAFETY: the CLINT has these registers, which reading does not change.
        let [high, low, again] = unsafe { [HIGH, LOW, HIGH].map(|half| half.read_volatile()) };
        if high == again {
            return ((high as u64) << 32 | low as u64) / 10_000;
        }
    }
}
