//! What real boards share: a board's own package has the memory map, the pins and the chip's drivers, and hands them to [`run()`].
//!
//! ```text
//! board       flash, UART, SPI + I2C, pins, random bytes, watchdog    chip's HAL
//!   |  run
//! support     partitions, slots, secret, camera's memory, the loop
//!   |
//! firmware    Device, Board
//! ```
//!
//! Gallery, state, event log and two slots for models are partitions of one flash. What happens is told through defmt. What is not for
//! the repository, keys and a first model, is given to the build (`build.rs`).
#![no_std]
#![warn(missing_docs)]

mod given;
mod memory;
mod polled;
mod run;
mod secret;
#[cfg(target_arch = "arm")]
pub mod sleep;
mod told;
mod within;

pub use memory::{Lent, Memory};
pub use polled::Polled;
pub use run::{Around, Machine, Start, StartFault, run};
pub use secret::{ChipSecret, Entropy};
pub use within::within;
