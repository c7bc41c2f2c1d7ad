//! Flash whose bytes the core reads at an address, where models run from.

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

use super::nor::MemoryNor;

/// A flash that hears of long work on what it holds.
pub trait Alive {
    /// A piece of the work begins. Pieces are counted, so that the work ends; a [`Guarded`](crate::board::Guarded) chip feeds its
    /// watchdog.
    fn alive(&self) {}
}

/// A flash that is read in place.
pub trait SlotFlash: NorFlash + Alive {
    /// All its bytes, as long as it has capacity.
    fn bytes(&self) -> &[u8];
}

impl<B, const WRITE: usize, const ERASE: usize> Alive for MemoryNor<B, WRITE, ERASE> {}

impl<B: AsRef<[u8]> + AsMut<[u8]>, const WRITE: usize, const ERASE: usize> SlotFlash
    for MemoryNor<B, WRITE, ERASE>
{
    fn bytes(&self) -> &[u8] {
        let bytes = MemoryNor::bytes(self);
        bytes.get(..self.capacity()).unwrap_or(bytes)
    }
}

/// The flash `F`, and where the core reads it.
#[derive(Debug)]
pub struct Mapped<F> {
    flash: F,
    base: *const u8,
}

impl<F: NorFlash> Mapped<F> {
    /// `flash`, whose first byte the core reads at `base`.
    ///
    /// # Safety
    /// From `base` on, as many bytes as the flash has capacity can be read for as long as this lives and show what the
    /// flash holds, and they change through this alone, or while no reference to them is in use. Caches over them are cleaned by the
    /// driver.
    pub unsafe fn new(flash: F, base: *const u8) -> Self {
        Mapped { flash, base }
    }
}

impl<F: Alive> Alive for Mapped<F> {
    fn alive(&self) {
        self.flash.alive();
    }
}

impl<F: NorFlash + Alive> SlotFlash for Mapped<F> {
    fn bytes(&self) -> &[u8] {
        // SAFETY: whoever made this said that the bytes are there, and writing needs it alone.
        unsafe { core::slice::from_raw_parts(self.base, self.flash.capacity()) }
    }
}

impl<F: NorFlash> ErrorType for Mapped<F> {
    type Error = F::Error;
}

impl<F: NorFlash> ReadNorFlash for Mapped<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        self.flash.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: NorFlash> NorFlash for Mapped<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        self.flash.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        self.flash.write(offset, bytes)
    }
}
