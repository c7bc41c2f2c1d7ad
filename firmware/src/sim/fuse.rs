//! A power supply that fails in the middle of a write, for flashes of simulated boards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// Steps left of a supply that lasts.
const WHOLE: u32 = u32::MAX;

/// How many writes and erases a supply lasts for; all clones are one.
#[derive(Debug, Clone)]
pub struct Fuse(Arc<AtomicU32>);

impl Default for Fuse {
    fn default() -> Self {
        Fuse(Arc::new(AtomicU32::new(WHOLE)))
    }
}

impl Fuse {
    /// So many writes and erases pass, the one behind them is torn, and nothing is read or written after.
    pub fn arm(&self, steps: u32) {
        self.0.store(steps.saturating_add(1).min(WHOLE - 1), Ordering::Relaxed);
    }

    /// The supply lasts.
    pub fn mend(&self) {
        self.0.store(WHOLE, Ordering::Relaxed);
    }

    /// Whether the supply has failed.
    pub fn is_blown(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Whether one more step passes; `None` when the supply had failed before.
    fn step(&self) -> Option<bool> {
        match self.0.load(Ordering::Relaxed) {
            WHOLE => Some(true),
            0 => None,
            left => {
                self.0.store(left - 1, Ordering::Relaxed);
                Some(left > 1)
            }
        }
    }
}

/// A flash `F` behind a fuse.
#[derive(Debug)]
pub struct FusedFlash<F> {
    flash: F,
    fuse: Fuse,
}

impl<F> FusedFlash<F> {
    /// `flash`, for as long as `fuse` lasts.
    pub fn new(flash: F, fuse: &Fuse) -> Self {
        FusedFlash { flash, fuse: fuse.clone() }
    }
}

/// Why a flash behind a fuse failed.
#[derive(Debug)]
pub enum FusedError<E> {
    /// The power is gone.
    Power,
    /// The flash's own.
    Flash(E),
}

impl<E: NorFlashError> NorFlashError for FusedError<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            FusedError::Power => NorFlashErrorKind::Other,
            FusedError::Flash(error) => error.kind(),
        }
    }
}

impl<F: NorFlash> ErrorType for FusedFlash<F> {
    type Error = FusedError<F::Error>;
}

impl<F: NorFlash> ReadNorFlash for FusedFlash<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        if self.fuse.is_blown() {
            return Err(FusedError::Power);
        }
        self.flash.read(offset, bytes).map_err(FusedError::Flash)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: NorFlash> NorFlash for FusedFlash<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        match self.fuse.step() {
            Some(true) => self.flash.erase(from, to).map_err(FusedError::Flash),
            _ => Err(FusedError::Power),
        }
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        match self.fuse.step() {
            Some(true) => self.flash.write(offset, bytes).map_err(FusedError::Flash),
            Some(false) => {
                let units = bytes.len() / F::WRITE_SIZE / 2;
                let begun = bytes.get(..units * F::WRITE_SIZE).unwrap_or_default();
                if !begun.is_empty() {
                    self.flash.write(offset, begun).map_err(FusedError::Flash)?;
                }
                Err(FusedError::Power)
            }
            None => Err(FusedError::Power),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flash::nor::MemoryNor;

    #[test]
    fn the_write_at_the_cut_is_torn_and_nothing_follows() {
        let fuse = Fuse::default();
        let nor: MemoryNor<Vec<u8>, 4, 4096> = MemoryNor::new(vec![0xff; 4096]);
        let mut flash = FusedFlash::new(nor, &fuse);
        fuse.arm(1);
        flash.write(0, &[1; 8]).unwrap();
        assert!(!fuse.is_blown());
        assert!(matches!(flash.write(8, &[2; 8]), Err(FusedError::Power)));
        assert!(fuse.is_blown());
        assert!(matches!(flash.write(16, &[3; 8]), Err(FusedError::Power)));
        assert!(matches!(flash.erase(0, 4096), Err(FusedError::Power)));
        fuse.mend();
        let mut bytes = [0; 24];
        flash.read(0, &mut bytes).unwrap();
        assert_eq!(bytes[..12], [[1; 4], [1; 4], [2; 4]].concat());
        assert_eq!(bytes[12..], [0xff; 12]);
    }
}
