//! A region of a shared chip as a flash of its own.

use core::cell::RefCell;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use super::{Alive, Region};

/// A region of the chip `F`.
///
/// The chip is borrowed for the time of one call. One core without flash access from interrupts never meets a chip in use;
/// where it does happen it is [`PartitionError::Busy`].
#[derive(Debug)]
pub struct Partition<'c, F> {
    chip: &'c RefCell<F>,
    region: Region,
}

impl<F> Clone for Partition<'_, F> {
    fn clone(&self) -> Self {
        Partition { chip: self.chip, region: self.region }
    }
}

/// Why a partition failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PartitionError<E> {
    /// The chip is in use.
    Busy,
    /// An address outside of the region, or a region outside of the chip.
    Bounds {
        /// The first byte behind what was asked for.
        end: u64,
        /// Bytes there are.
        length: u32,
    },
    /// An address or a length that is no multiple of the chip's unit.
    Alignment,
    /// What the chip says.
    Chip(E),
}

impl<E: NorFlashError> NorFlashError for PartitionError<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            PartitionError::Busy => NorFlashErrorKind::Other,
            PartitionError::Bounds { .. } => NorFlashErrorKind::OutOfBounds,
            PartitionError::Alignment => NorFlashErrorKind::NotAligned,
            PartitionError::Chip(error) => error.kind(),
        }
    }
}

impl<'c, F: NorFlash> Partition<'c, F> {
    /// The bytes of `chip` in `region`.
    ///
    /// # Errors
    /// When the chip is in use or ends before the region, or the region is not made of whole erase blocks.
    pub fn new(chip: &'c RefCell<F>, region: Region) -> Result<Self, PartitionError<F::Error>> {
        let capacity = chip.try_borrow().map_err(|_| PartitionError::Busy)?.capacity() as u32;
        if region.end() > u64::from(capacity) {
            return Err(PartitionError::Bounds { end: region.end(), length: capacity });
        }
        let block = F::ERASE_SIZE as u32;
        if !region.offset.is_multiple_of(block) || !region.length.is_multiple_of(block) {
            return Err(PartitionError::Alignment);
        }
        Ok(Partition { chip, region })
    }

    fn checked(
        &self,
        found: Result<(), NorFlashErrorKind>,
        end: u64,
    ) -> Result<(), PartitionError<F::Error>> {
        found.map_err(|kind| match kind {
            NorFlashErrorKind::NotAligned => PartitionError::Alignment,
            _ => PartitionError::Bounds { end, length: self.region.length },
        })
    }

    fn with<R>(
        &self,
        run: impl FnOnce(&mut F) -> Result<R, F::Error>,
    ) -> Result<R, PartitionError<F::Error>> {
        let mut chip = self.chip.try_borrow_mut().map_err(|_| PartitionError::Busy)?;
        run(&mut chip).map_err(PartitionError::Chip)
    }
}

impl<'c, F> Alive for Partition<'c, F>
where
    &'c RefCell<F>: Alive,
{
    fn alive(&self) {
        self.chip.alive();
    }
}

impl<F: NorFlash> ErrorType for Partition<'_, F> {
    type Error = PartitionError<F::Error>;
}

impl<F: NorFlash> ReadNorFlash for Partition<'_, F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.checked(check_read(self, offset, bytes.len()), u64::from(offset) + bytes.len() as u64)?;
        self.with(|chip| chip.read(self.region.offset + offset, bytes))
    }

    fn capacity(&self) -> usize {
        self.region.length as usize
    }
}

impl<F: NorFlash> NorFlash for Partition<'_, F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.checked(check_erase(self, from, to), to.into())?;
        self.with(|chip| chip.erase(self.region.offset + from, self.region.offset + to))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.checked(check_write(self, offset, bytes.len()), u64::from(offset) + bytes.len() as u64)?;
        self.with(|chip| chip.write(self.region.offset + offset, bytes))
    }
}
