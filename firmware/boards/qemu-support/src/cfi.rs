//! NOR flash behind the Common Flash Interface with Intel's commands: two chips of 16 bits side by side, as QEMU's virt has them.

use arcgate_firmware::flash::Alive;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use crate::Region;

/// Bytes of a sector of both chips.
const SECTOR: usize = 256 << 10;

/// Bytes that are programmed at a time.
const WORD: usize = 4;

/// A command, for both chips.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
enum Command {
    Erase = 0x0020_0020,
    Program = 0x0040_0040,
    ClearStatus = 0x0050_0050,
    Confirm = 0x00d0_00d0,
    ReadArray = 0x00ff_00ff,
}

/// Both chips are ready.
const READY: u32 = 0x0080_0080;

/// One of the chips says that it failed: to erase, to program, or because of its supply or a lock.
const FAILED: u32 = 0x003a_003a;

/// Looks at the status of the chips: the slowest erases a sector in some seconds.
const LOOKS: u32 = 100_000_000;

/// Why something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CfiError {
    /// An address or a length is no multiple of the unit, or beyond the end.
    Argument(NorFlashErrorKind),
    /// The chips' status, ready or not.
    Status(u32),
}

impl NorFlashError for CfiError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            CfiError::Argument(kind) => *kind,
            CfiError::Status(_) => NorFlashErrorKind::Other,
        }
    }
}

impl From<NorFlashErrorKind> for CfiError {
    fn from(kind: NorFlashErrorKind) -> Self {
        CfiError::Argument(kind)
    }
}

/// Some sectors of flash.
#[derive(Debug)]
pub struct CfiFlash {
    region: Region,
}

impl CfiFlash {
    /// The flash in `region`.
    ///
    /// # Safety
    /// It is whole sectors of such chips, and nobody else has them; no program runs from these chips.
    pub unsafe fn new(region: Region) -> Self {
        CfiFlash { region }
    }

    /// Writes a command or a word to be programmed.
    fn put(&mut self, offset: usize, word: u32) {
        // SAFETY: `offset` is a multiple of 4 inside the chips, which the callers have checked.
        unsafe { ((self.region.begin + offset) as *mut u32).write_volatile(word) }
    }

    /// Waits until both chips have done what they were told. They show their status, and take the next command, until
    /// [`CfiFlash::show_array`].
    fn wait(&mut self, offset: usize) -> Result<(), CfiError> {
        let mut status = 0;
        for _ in 0..LOOKS {
            // SAFETY: as in `put`; after a command the chips show their status, and showing it changes nothing.
            status = unsafe { ((self.region.begin + offset) as *const u32).read_volatile() };
            if status & READY == READY {
                break;
            }
        }
        if status & READY == READY && status & FAILED == 0 { Ok(()) } else { Err(CfiError::Status(status)) }
    }

    /// Lets the array be read again.
    fn show_array(&mut self) {
        self.put(0, Command::ClearStatus as u32);
        self.put(0, Command::ReadArray as u32);
    }
}

impl ErrorType for CfiFlash {
    type Error = CfiError;
}

impl Alive for CfiFlash {}

impl ReadNorFlash for CfiFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), CfiError> {
        check_read(self, offset, bytes.len())?;
        let from = (self.region.begin + offset as usize) as *const u8;
        for (at, byte) in bytes.iter_mut().enumerate() {
            // SAFETY: the bytes lie inside the chips, which show their array.
            *byte = unsafe { from.wrapping_add(at).read_volatile() };
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.region.bytes
    }
}

impl NorFlash for CfiFlash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), CfiError> {
        check_erase(self, from, to)?;
        for offset in (from as usize..to as usize).step_by(SECTOR) {
            self.put(offset, Command::Erase as u32);
            self.put(offset, Command::Confirm as u32);
            let erased = self.wait(offset);
            self.show_array();
            erased?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), CfiError> {
        check_write(self, offset, bytes.len())?;
        // Not back to the array after each word, which costs the emulator more than programming it.
        let mut programmed = Ok(());
        for (at, &word) in bytes.as_chunks::<WORD>().0.iter().enumerate() {
            let offset = offset as usize + at * WORD;
            self.put(offset, Command::Program as u32);
            self.put(offset, u32::from_le_bytes(word));
            programmed = self.wait(offset);
            if programmed.is_err() {
                break;
            }
        }
        self.show_array();
        programmed
    }
}
