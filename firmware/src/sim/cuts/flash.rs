//! A flash whose power goes away in the middle of something.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use super::Random;
use crate::flash::{UNIT, is_erased};
use crate::gallery::layout::{Found, HEADER, Header, Mark, Replaces};

/// When the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// After this many units and sectors.
    Step(u32),
    /// In the erase of the sector that comes after this many others.
    Erase(u32),
    /// After this many units and sectors while a sector of the gallery is replaced.
    Compaction(u32),
}

/// The power is gone, or was when this was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerCut;

impl NorFlashError for PowerCut {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

/// Where the power went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Where {
    /// In an erase.
    pub erase: bool,
    /// While a sector was replaced.
    pub compaction: bool,
}

/// NOR flash in memory, programmed once in units of `WRITE` bytes and erased in sectors of `ERASE`.
///
/// A unit or sector at the cut is left with some bits as they were and some as they should be; some of them read
/// differently every time until they are erased. Programming a unit again that was programmed whole is a panic.
#[derive(Debug, Clone)]
pub struct CutFlash<const WRITE: usize, const ERASE: usize> {
    bytes: Vec<u8>,
    /// Bits that read differently every time.
    unstable: Vec<u8>,
    /// Sectors that have such bits.
    shaky: Vec<bool>,
    /// Units that a cut left half programmed.
    torn: Vec<bool>,
    cut: Option<Cut>,
    gone: Option<Where>,
    compacting: bool,
    /// Units and sectors since the power came.
    steps: u32,
    random: Random,
}

impl<const WRITE: usize, const ERASE: usize> CutFlash<WRITE, ERASE> {
    /// An erased flash.
    pub fn new(sectors: usize, seed: u64) -> Self {
        let length = sectors * ERASE;
        CutFlash {
            bytes: vec![0xff; length],
            unstable: vec![0; length],
            shaky: vec![false; sectors],
            torn: vec![false; length / WRITE],
            cut: None,
            gone: None,
            compacting: false,
            steps: 0,
            random: Random::new(seed),
        }
    }

    /// The power comes, and goes at `cut`.
    pub fn power_up(&mut self, cut: Option<Cut>) {
        (self.cut, self.gone, self.compacting, self.steps) = (cut, None, false, 0);
    }

    /// The power goes at `cut`.
    pub fn arm(&mut self, cut: Cut) {
        self.cut = Some(cut);
    }

    /// Where the power went, if it did.
    pub fn gone(&self) -> Option<Where> {
        self.gone
    }

    /// Units programmed and sectors erased since the power came.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// The bytes, for tests that look at them or change them.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Whether there is power for one step more.
    fn step(&mut self, erase: bool) -> bool {
        self.steps += 1;
        let counts = match self.cut {
            Some(Cut::Step(_)) => true,
            Some(Cut::Erase(_)) => erase,
            Some(Cut::Compaction(_)) => self.compacting,
            None => false,
        };
        if counts && let Some(Cut::Step(n) | Cut::Erase(n) | Cut::Compaction(n)) = &mut self.cut {
            if *n == 0 {
                self.gone = Some(Where { erase, compaction: self.compacting });
                return false;
            }
            *n -= 1;
        }
        true
    }

    /// Programs a unit in part.
    fn tear_unit(&mut self, at: usize, unit: &[u8]) {
        let how = self.random.below(4);
        for (i, &byte) in unit.iter().enumerate() {
            let kept = match how {
                0 => 0xff,
                1 => 0,
                _ => self.random.bits() as u8,
            };
            self.bytes[at + i] &= byte | kept;
            if how == 3 || how == 1 && self.random.below(WRITE.min(8) as u32) == 0 {
                self.unstable[at + i] |= !byte & (self.random.bits() & self.random.bits()) as u8;
                self.shaky[at / ERASE] = true;
            }
        }
        self.torn[at / WRITE] = true;
    }

    /// Erases a sector in part.
    fn tear_sector(&mut self, sector: usize) {
        let how = self.random.below(5);
        let end = self.random.below(ERASE as u32) as usize;
        for i in 0..ERASE {
            let at = sector * ERASE + i;
            let programmed = !self.bytes[at];
            match how {
                0 => {}
                1 if i < end => self.bytes[at] = 0xff,
                1 => {}
                2 => self.bytes[at] |= self.random.bits() as u8,
                _ => {
                    self.bytes[at] = 0xff;
                    if how == 3 || self.random.below(64) == 0 {
                        self.unstable[at] |= programmed & (self.random.bits() & self.random.bits()) as u8;
                    }
                }
            }
        }
        self.shaky[sector] |= how > 2;
        self.torn[sector * ERASE / WRITE..(sector + 1) * ERASE / WRITE].fill(true);
    }

    /// Whether `bytes`, written at `offset`, begin or end the replacing of a sector.
    fn notice(&mut self, offset: u32, bytes: &[u8]) {
        let at = offset as usize % ERASE;
        if at == 0
            && let Some(header) = bytes.first_chunk::<HEADER>()
            && let Found::Whole(header) = Header::decode(header, (offset as usize / ERASE) as u16)
        {
            self.compacting = matches!(header.replaces, Replaces::Sector { .. });
        }
        // The sequence number lies in the mark.
        if let Some(unit) = bytes.first_chunk::<UNIT>().filter(|_| bytes.len() == UNIT && at >= HEADER) {
            let sequence = u32::from_le_bytes([unit[4], unit[5], unit[6], unit[7]]);
            self.compacting &= *unit != Mark::Erased.encode(sequence);
        }
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for CutFlash<WRITE, ERASE> {
    type Error = PowerCut;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for CutFlash<WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerCut> {
        check_read(self, offset, bytes.len()).unwrap();
        if self.gone.is_some() {
            return Err(PowerCut);
        }
        let at = offset as usize;
        bytes.copy_from_slice(&self.bytes[at..at + bytes.len()]);
        let sectors = at / ERASE..(at + bytes.len()).div_ceil(ERASE);
        if self.shaky[sectors].contains(&true) {
            for (byte, &mask) in bytes.iter_mut().zip(&self.unstable[at..]).filter(|(_, mask)| **mask != 0) {
                *byte ^= self.random.bits() as u8 & mask;
            }
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for CutFlash<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerCut> {
        check_erase(self, from, to).unwrap();
        for sector in from as usize / ERASE..to as usize / ERASE {
            if self.gone.is_some() {
                return Err(PowerCut);
            }
            if !self.step(true) {
                self.tear_sector(sector);
                return Err(PowerCut);
            }
            let bytes = sector * ERASE..(sector + 1) * ERASE;
            self.bytes[bytes.clone()].fill(0xff);
            self.unstable[bytes.clone()].fill(0);
            self.shaky[sector] = false;
            self.torn[bytes.start / WRITE..bytes.end / WRITE].fill(false);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerCut> {
        check_write(self, offset, bytes.len()).unwrap();
        for (at, unit) in (offset as usize..).step_by(WRITE).zip(bytes.chunks(WRITE)) {
            if self.gone.is_some() {
                return Err(PowerCut);
            }
            let torn = self.torn[at / WRITE];
            assert!(torn || is_erased(&self.bytes[at..at + WRITE]), "byte {at} programmed twice");
            if torn || !self.step(false) {
                // What a cut had begun is not made whole by programming it again.
                self.tear_unit(at, unit);
            } else {
                self.bytes[at..at + WRITE].copy_from_slice(unit);
            }
        }
        if self.gone.is_some() {
            return Err(PowerCut);
        }
        self.notice(offset, bytes);
        Ok(())
    }
}
