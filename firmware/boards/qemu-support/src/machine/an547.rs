//! mps3-an547: 512 KB of code memory, 4 MB of SRAM, DDR of which a part stands for a NOR chip and a part for flash of models.
//!
//! ```text
//! code memory  0x10000000   512 KB   firmware
//! SRAM         0x31000000   4 MB     variables and stack
//! DDR          0x60000000   2 MB     the NOR chip, in sectors of 4 KB
//!              0x60200000   1.5 MB   model
//!              0x60380000   1.5 MB   model
//!              0x60500000   256 KB   detector
//! ```

use arcgate_firmware::engine::plan::Target;

use crate::Region;
pub use crate::mps::{CLOCK, Chip, chip, milliseconds};

/// What the weights of its plans are packed for.
pub const TARGET: Target = Target::Mve;

/// Code memory.
pub const FLASH: Region = Region::new(0x1000_0000, 512 << 10);

/// SRAM.
pub const RAM: Region = Region::new(0x3100_0000, 4 << 20);

/// The two slots for models.
pub const MODELS: [Region; 2] = [Region::new(0x6020_0000, 3 << 19), Region::new(0x6038_0000, 3 << 19)];

/// The slot for the plan that finds faces.
pub const DETECTOR: Region = Region::new(0x6050_0000, 256 << 10);

/// The NOR chip.
pub const CHIP: Region = Region::new(0x6000_0000, 2 << 20);

/// On the chip: people and templates.
pub const GALLERY: Region = Region::new(0, 1 << 20);

/// On the chip: the event log.
pub const EVENTS: Region = Region::new(1 << 20, 1 << 19);

/// On the chip: what else survives a restart.
pub const STATE: Region = Region::new(3 << 19, 1 << 19);

/// The CMSDK UART of the link.
pub const UART: usize = 0x5930_3000;

/// The interrupts of its receiver and its transmitter.
pub const UART_INTERRUPTS: [u16; 2] = [33, 34];

/// The FPGA's block of counters and LEDs.
pub const FPGA_IO: usize = 0x5930_2000;

/// Nanoseconds of a tick of its counter of cycles, at 20 MHz.
pub const NANOSECONDS_PER_CYCLE: u32 = 50;

/// Stack, as it is measured on mps2-an386; here it was not.
pub const STACK: usize = 66_000;
