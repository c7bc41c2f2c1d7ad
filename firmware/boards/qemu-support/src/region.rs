//! Pieces of the address space.

use arcgate_firmware::flash;

/// Some bytes of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// The address at which they begin.
    pub begin: usize,
    /// How many there are.
    pub bytes: usize,
}

impl Region {
    /// `bytes` bytes from `begin` on.
    pub const fn new(begin: usize, bytes: usize) -> Self {
        Region { begin, bytes }
    }

    /// A region of the NOR chip, whose first byte is at the address `chip`.
    pub const fn of_chip(chip: usize, region: flash::Region) -> Self {
        Region { begin: chip + region.offset as usize, bytes: region.length as usize }
    }

    /// The region's bytes.
    ///
    /// # Safety
    /// The region is memory at an address, and nobody writes to it while the slice lives.
    pub unsafe fn bytes(self) -> &'static [u8] {
        // SAFETY: the caller says that they are there; any bytes are bytes.
        unsafe { core::slice::from_raw_parts(self.begin as *const u8, self.bytes) }
    }

    /// The region's bytes, to write.
    ///
    /// # Safety
    /// The region is RAM at an address, and nobody else has it.
    pub unsafe fn bytes_mut(self) -> &'static mut [u8] {
        // SAFETY: the caller says that they are there and nobody else's; any bytes are bytes.
        unsafe { core::slice::from_raw_parts_mut(self.begin as *mut u8, self.bytes) }
    }
}
