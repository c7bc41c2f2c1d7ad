//! mps3-an547: 512 KB of code memory, 4 MB of SRAM, DDR of which a part stands for a NOR chip.
//!
//! ```text
//! code memory  0x10000000   512 KB   firmware
//! SRAM         0x31000000   4 MB     variables and stack
//! DDR          0x60000000   8 MB     the NOR chip, in sectors of 4 KB
//!              0x60800000   3 MB     plan that QEMU loads
//!              0x60b00000   256 KB   detector that QEMU loads
//! ```

use arcgate_firmware::engine::plan::Target;

use crate::Region;
pub use crate::mps::{CLOCK, Flash, Lights, flash, milliseconds, restart, wait};

/// What the weights of its plans are packed for.
pub const TARGET: Target = Target::Mve;

/// Code memory.
pub const FLASH: Region = Region::new(0x1000_0000, 512 << 10);

/// SRAM.
pub const RAM: Region = Region::new(0x3100_0000, 4 << 20);

/// A plan that QEMU has laid into the memory: what runs while no slot has a model.
pub const PLAN: Region = Region::new(0x6080_0000, 3 << 20);

/// A detector's plan that QEMU has laid beside it.
pub const DETECTOR: Region = Region::new(0x60B0_0000, 256 << 10);

/// Where the NOR chip begins, which is drawn in [`MAP`](crate::MAP).
pub const fn chip() -> usize {
    0x6000_0000
}

/// The CMSDK UART of the link.
pub const UART: usize = 0x5930_3000;

/// The interrupts of its receiver and its transmitter.
pub const UART_INTERRUPTS: [u16; 2] = [33, 34];

/// The FPGA's block of counters and LEDs.
pub const FPGA_IO: usize = 0x5930_2000;

/// Nanoseconds of a tick of its counter of cycles, at 20 MHz.
pub const NANOSECONDS_PER_CYCLE: u32 = 50;

/// The most stack that was painted over, and a little more.
pub const STACK: usize = 72_500;
