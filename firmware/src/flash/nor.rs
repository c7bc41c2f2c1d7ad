//! NOR rules kept over plain memory: for boards without a flash of their own (QEMU), the simulator and the tests.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use crate::bytes::copy;

/// Memory that behaves as NOR flash does: erased in sectors of `ERASE` bytes to 0xff, programmed once in units of
/// `WRITE` bytes.
#[derive(Debug)]
pub struct MemoryNor<B, const WRITE: usize = 4, const ERASE: usize = 4096> {
    bytes: B,
}

/// What the rules forbid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NorFault {
    /// An address or a length is no multiple of the unit.
    Alignment,
    /// Beyond the end.
    Bounds,
    /// A unit was to be programmed again without an erase.
    Programmed {
        /// Where.
        offset: u32,
    },
}

impl NorFlashError for NorFault {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            NorFault::Alignment => NorFlashErrorKind::NotAligned,
            NorFault::Bounds => NorFlashErrorKind::OutOfBounds,
            NorFault::Programmed { .. } => NorFlashErrorKind::Other,
        }
    }
}

impl From<NorFlashErrorKind> for NorFault {
    fn from(kind: NorFlashErrorKind) -> Self {
        match kind {
            NorFlashErrorKind::NotAligned => NorFault::Alignment,
            _ => NorFault::Bounds,
        }
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, const WRITE: usize, const ERASE: usize> MemoryNor<B, WRITE, ERASE> {
    /// Takes `bytes` as they are: what was flash before still is.
    pub fn new(bytes: B) -> Self {
        MemoryNor { bytes }
    }

    /// The bytes as they stand.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// Gives the memory back.
    pub fn into_inner(self) -> B {
        self.bytes
    }
}

impl<B, const WRITE: usize, const ERASE: usize> ErrorType for MemoryNor<B, WRITE, ERASE> {
    type Error = NorFault;
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, const WRITE: usize, const ERASE: usize> ReadNorFlash
    for MemoryNor<B, WRITE, ERASE>
{
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFault> {
        check_read(self, offset, bytes.len())?;
        let from = self.bytes.as_ref().get(offset as usize..).and_then(|tail| tail.get(..bytes.len()));
        copy(from.ok_or(NorFault::Bounds)?, bytes);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.as_ref().len() / ERASE * ERASE
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, const WRITE: usize, const ERASE: usize> NorFlash
    for MemoryNor<B, WRITE, ERASE>
{
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFault> {
        check_erase(self, from, to)?;
        self.bytes.as_mut().get_mut(from as usize..to as usize).ok_or(NorFault::Bounds)?.fill(0xff);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFault> {
        check_write(self, offset, bytes.len())?;
        let tail = self.bytes.as_mut().get_mut(offset as usize..);
        let place = tail.and_then(|tail| tail.get_mut(..bytes.len())).ok_or(NorFault::Bounds)?;
        if let Some(at) = place.iter().position(|&b| b != 0xff) {
            return Err(NorFault::Programmed { offset: offset + at as u32 });
        }
        copy(bytes, place);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_programmed_once() {
        let mut nor: MemoryNor<_, 4, 64> = MemoryNor::new([0xffu8; 128]);
        nor.write(4, &[1, 2, 3, 4]).unwrap();
        assert_eq!(nor.write(4, &[0; 4]), Err(NorFault::Programmed { offset: 4 }));
        assert_eq!(nor.write(2, &[0; 4]), Err(NorFault::Alignment));
        assert_eq!(nor.erase(0, 32), Err(NorFault::Alignment));
        assert_eq!(nor.erase(64, 192), Err(NorFault::Bounds));
        nor.erase(0, 64).unwrap();
        nor.write(4, &[9; 4]).unwrap();
        let mut seen = [0; 8];
        nor.read(0, &mut seen).unwrap();
        assert_eq!(seen, [255, 255, 255, 255, 9, 9, 9, 9]);
    }
}
