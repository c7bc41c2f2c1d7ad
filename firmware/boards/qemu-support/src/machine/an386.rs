//! mps2-an386 and mps2-an500: 4 MB of code memory, 4 MB of SRAM, 16 MB of PSRAM that stands for a NOR chip.
//!
//! ```text
//! code memory  0x00000000   768 KB   firmware
//!              0x000c0000   256 KB   detector that QEMU loads
//!              0x00100000   3 MB     plan that QEMU loads
//! PSRAM        0x21000000   8 MB     the NOR chip, in sectors of 4 KB; on an500 at 0x60000000
//! ```

use arcgate_firmware::engine::plan::Target;

use crate::Region;
pub use crate::mps::{CLOCK, Flash, Lights, flash, milliseconds, restart, wait};

/// What the weights of its plans are packed for.
pub const TARGET: Target = Target::Dsp;

/// Code memory.
pub const FLASH: Region = Region::new(0x0000_0000, 4 << 20);

/// SRAM.
pub const RAM: Region = Region::new(0x2000_0000, 4 << 20);

/// A plan that QEMU has laid into the memory: what runs while no slot has a model.
pub const PLAN: Region = Region::new(0x0010_0000, 3 << 20);

/// A detector's plan that QEMU has laid beside it.
pub const DETECTOR: Region = Region::new(0x000C_0000, 256 << 10);

/// Where the NOR chip begins, which is drawn in [`MAP`](crate::MAP): the two machines run one program, and have their PSRAM at
/// different addresses.
pub fn chip() -> usize {
    const CPUID: *const u32 = 0xe000_ed00 as *const u32;
    const CORTEX_M7: u32 = 0xc27;
    // SAFETY: every core of the family has this register, which reading does not change.
    let part = unsafe { CPUID.read_volatile() } >> 4 & 0xfff;
    if part == CORTEX_M7 { 0x6000_0000 } else { 0x2100_0000 }
}

/// The CMSDK UART of the link.
pub const UART: usize = 0x4000_4000;

/// The interrupts of its receiver and its transmitter.
pub const UART_INTERRUPTS: [u16; 2] = [0, 1];

/// The FPGA's block of counters and LEDs.
pub const FPGA_IO: usize = 0x4002_8000;

/// Nanoseconds of a tick of its counter of cycles, at 25 MHz.
pub const NANOSECONDS_PER_CYCLE: u32 = 40;

/// The most stack that was painted over in the tests, which do everything that the firmware can do, and a little more.
pub const STACK: usize = 72_500;
