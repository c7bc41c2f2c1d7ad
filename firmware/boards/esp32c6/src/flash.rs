//! The module's flash, and its model slots where the core reads them.
//!
//! The bootloader maps the pages of the program and nothing else. The slots get entries of their own in the flash's MMU: page `p` of
//! 64 KB lies at [`BASE`] plus `p` pages, half way up the 16 MB that the MMU's 256 entries reach, far behind any program. What is
//! written or erased there is taken out of the cache afterwards.
//!
//! ```text
//! entry   0 ..      the program, by the bootloader      0x4200_0000 ..
//! entry 128 + p     page p of the flash, for the slots  0x4280_0000 + p x 64 KB
//! entry 255         the bootloader's own
//! ```

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use esp_storage::{FlashStorage, FlashStorageError};

use crate::map::MAP;

/// Bytes of a page, as the bootloader sets the MMU up.
const PAGE: u32 = 64 << 10;

/// The entry of the flash's first page.
const FIRST_ENTRY: u32 = 128;

/// Where the core reads the flash's first byte would be; only the slots are there.
pub const BASE: usize = 0x4280_0000;

unsafe extern "C" {
    /// In the chip's ROM: takes `bytes` from `address` on out of the cache.
    fn Cache_Invalidate_Addr(address: u32, bytes: u32);
}

/// The flash, with both slots mapped.
pub struct Chip(FlashStorage<'static>);

impl Chip {
    /// Maps the slots; `None` when the MMU has other pages or one of the entries is somebody else's.
    pub fn new(flash: FlashStorage<'static>) -> Option<Self> {
        const { assert!(MAP.models[0].offset.is_multiple_of(PAGE) && MAP.models[1].offset.is_multiple_of(PAGE)) };
        for slot in MAP.models {
            for page in slot.offset / PAGE..slot.end().div_ceil(PAGE.into()) as u32 {
                map(page)?;
            }
            forget(slot.offset, slot.length);
        }
        Some(Chip(flash))
    }
}

/// Maps one page, unless it is already.
fn map(page: u32) -> Option<()> {
    // SAFETY: these are the registers of the flash's MMU. Nothing else uses them while one core runs this, and an entry that is
    // not valid belongs to nobody.
    let mmu = unsafe { &*esp32c6::SPI0::ptr() };
    critical_section::with(|_| {
        // 0: pages of 64 KB.
        let plain = mmu.mmu_power_ctrl().read().spi_mmu_page_size().bits() == 0;
        // SAFETY: any number is an index.
        mmu.mmu_item_index().write(|w| unsafe { w.mmu_item_index().bits(FIRST_ENTRY + page) });
        let entry = mmu.mmu_item_content().read();
        if !plain || entry.valid().bit() && u32::from(entry.paddr().bits()) != page {
            return None;
        }
        // Read as it is written: the driver does not encrypt, so nothing here may decrypt.
        // SAFETY: any number of a page is one.
        mmu.mmu_item_content()
            .write(|w| unsafe { w.paddr().bits(page as u16) }.valid().set_bit().sensitive().clear_bit());
        Some(())
    })
}

/// Takes bytes of the slots out of the cache.
fn forget(offset: u32, bytes: u32) {
    if MAP.models.iter().any(|slot| u64::from(offset) < slot.end() && offset + bytes > slot.offset) {
        // SAFETY: the address is mapped, and what lies in the cache for it was read from the flash.
        unsafe { Cache_Invalidate_Addr(BASE as u32 + offset, bytes) };
    }
}

impl ErrorType for Chip {
    type Error = FlashStorageError;
}

impl ReadNorFlash for Chip {
    const READ_SIZE: usize = <FlashStorage<'static> as ReadNorFlash>::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashStorageError> {
        ReadNorFlash::read(&mut self.0, offset, bytes)
    }

    fn capacity(&self) -> usize {
        ReadNorFlash::capacity(&self.0)
    }
}

impl NorFlash for Chip {
    const WRITE_SIZE: usize = <FlashStorage<'static> as NorFlash>::WRITE_SIZE;
    const ERASE_SIZE: usize = <FlashStorage<'static> as NorFlash>::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashStorageError> {
        let erased = NorFlash::erase(&mut self.0, from, to);
        forget(from, to.saturating_sub(from));
        erased
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashStorageError> {
        let written = NorFlash::write(&mut self.0, offset, bytes);
        forget(offset, bytes.len() as u32);
        written
    }
}
