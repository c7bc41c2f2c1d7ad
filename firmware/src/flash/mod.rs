//! One NOR chip shared by everything that a device keeps.
//!
//! A board draws its chip once, as a [`MemoryMap`], and gives each room a [`Partition`]: a region that is itself a
//! [`NorFlash`], over a chip in a `RefCell`. [`Mapped`] adds the address at which the core reads the same bytes.
//!
//! ```text
//! chip  | code | model slot A | model slot B | gallery | events | state |
//! ```
//!
//! The gallery, the [event log](crate::events) and the [state](crate::state) survive a loss of power at any write or erase; what
//! they share is here: a write that is read back, and the seal of records.

mod map;
mod mapped;
pub mod nor;
mod partition;
pub(crate) mod seal;
#[cfg(all(test, feature = "sim"))]
mod tests;

use embedded_storage::nor_flash::{NorFlash, NorFlashError, NorFlashErrorKind};
use serde::{Deserialize, Serialize};

pub use map::{MapFault, MemoryMap, Part, Region};
pub use mapped::{Alive, Mapped, SlotFlash};
pub use partition::{Partition, PartitionError};

/// The largest write unit of the flashes aimed at; everything is written in multiples of it, aligned to it.
pub const UNIT: usize = 32;

/// What the flash driver said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FlashFault {
    /// An address was no multiple of the flash's unit.
    NotAligned,
    /// An address beyond its end.
    OutOfBounds,
    /// The flash itself failed.
    Device,
    /// It did not take what was written, as after a power cut at the same place.
    Mismatch,
}

impl<E: NorFlashError> From<E> for FlashFault {
    fn from(error: E) -> Self {
        match error.kind() {
            NorFlashErrorKind::NotAligned => FlashFault::NotAligned,
            NorFlashErrorKind::OutOfBounds => FlashFault::OutOfBounds,
            _ => FlashFault::Device,
        }
    }
}

impl core::fmt::Display for FlashFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            FlashFault::NotAligned => "the flash failed: an address is no multiple of its unit",
            FlashFault::OutOfBounds => "the flash failed: an address lies beyond its end",
            FlashFault::Device => "the flash failed: reading, programming or erasing did not succeed",
            FlashFault::Mismatch => "the flash failed: it does not hold what was written",
        })
    }
}

impl core::error::Error for FlashFault {}

/// Whether no bit is programmed.
pub(crate) fn is_erased(bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| b == 0xff)
}

/// Programs `bytes` and reads them back.
///
/// # Errors
/// What the driver says, or [`FlashFault::Mismatch`].
pub fn write_checked<F: NorFlash>(flash: &mut F, offset: u32, bytes: &[u8]) -> Result<(), FlashFault> {
    flash.write(offset, bytes)?;
    let mut seen = [0; 4 * UNIT];
    let mut at = offset;
    for piece in bytes.chunks(seen.len()) {
        let seen = seen.get_mut(..piece.len()).ok_or(FlashFault::Mismatch)?;
        flash.read(at, seen)?;
        if seen != piece {
            return Err(FlashFault::Mismatch);
        }
        at += piece.len() as u32;
    }
    Ok(())
}

/// Whether no bit from `from` up to `to` is programmed.
pub(crate) fn is_blank<F: NorFlash>(flash: &mut F, from: u32, to: u32) -> Result<bool, FlashFault> {
    let mut bytes = [0; 4 * UNIT];
    let mut at = from;
    while at < to {
        let length = bytes.len().min((to - at) as usize);
        let Some(piece) = bytes.get_mut(..length) else { return Ok(false) };
        flash.read(at, piece)?;
        if !is_erased(piece) {
            return Ok(false);
        }
        at += length as u32;
    }
    Ok(true)
}

/// What [`UNIT`] asks of a flash, for `const` blocks.
pub(crate) const fn takes_units<F: NorFlash>() -> bool {
    UNIT.is_multiple_of(F::WRITE_SIZE)
        && UNIT.is_multiple_of(F::READ_SIZE)
        && F::ERASE_SIZE.is_multiple_of(UNIT)
}
