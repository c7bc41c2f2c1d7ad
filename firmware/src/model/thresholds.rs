//! The threshold table of a model: the angle within which a search is answered, by how many people are enrolled and by the
//! target false-positive identification rate (FPIR).
//!
//! The FPIR of one threshold grows with the gallery: the more people, the nearer the nearest of them. `arcgate calibrate`
//! measures the table on people who are not enrolled; a device looks its cell up in the plan, where it lies, whenever its gallery
//! changes.
//!
//! ```text
//! offset     bytes
//!      0         2  rates R, 1 to 8
//!      2         2  sizes S, 1 to 32
//!      4         4  identities that it was measured on
//!      8         4  their images
//!     12         2  frames of a presentation, for the second angle of a cell, at least 1
//!     14         1  templates enrolled of each person, at least 1
//!     15         1  overlap: how much of the chance to be near that a person has with one template a further one does not add, in 256ths
//!     16       4 R  target FPIR, f32, rising
//!      :       4 S  people enrolled, rising
//!      :    24 R S  cells, by people and then by rate: angle, low and high end of its 95 % interval in thousandths of a degree,
//!                   for a single frame; the same three for a presentation
//! ```
//!
//! All numbers are little-endian and u32 unless stated. Angles fall, or stay, from fewer people to more, and rise, or stay, from
//! the lower rate to the higher; a presentation's is at most a frame's.

use serde::{Deserialize, Serialize};

use crate::bytes::u32_at;
use crate::embedding::Angle;
use crate::text;

/// The most target rates of a table.
pub const MAX_RATES: usize = 8;

/// The most numbers of people of a table.
pub const MAX_SIZES: usize = 32;

/// Bytes before the rates.
const HEAD: usize = 16;

/// Bytes of a cell.
const CELL: usize = 24;

/// What a target FPIR is a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Scope {
    /// Non-mated searches with one frame.
    Frame,
    /// Approaches of a person not enrolled: all frames that are voted on and all retries before lock-out. One false answer among
    /// them is a false positive.
    Presentation,
}

/// A threshold and the 95 % interval that its measurement leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Bar {
    /// A probe and the nearest person match when their angle is at most this.
    pub angle: Angle,
    /// The lower end of the interval.
    pub low: Angle,
    /// Its upper end.
    pub high: Angle,
}

/// What was measured for one number of people and one rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cell {
    /// For [`Scope::Frame`].
    pub frame: Bar,
    /// For [`Scope::Presentation`].
    pub presentation: Bar,
}

/// What a table was measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Origin {
    /// Identities.
    pub identities: u32,
    /// Their images.
    pub images: u32,
    /// Frames that a presentation stands for, at least 1.
    pub frames: u16,
    /// Templates enrolled of each person, at least 1.
    pub templates: u8,
    /// How much of the chance that strangers are near, which a person has with that many templates, as many more do not add, in
    /// 256ths: 0 if they count as another person.
    pub overlap: u8,
}

impl Origin {
    /// How many people a gallery of `people` with so many `templates` in all counts as. Templates of one person have much of their
    /// strangers in common: `n` times as many as were measured count as at most `1 + (n - 1)(1 - overlap)` people, for each adds at
    /// most what the second did.
    pub fn counted(&self, people: u32, templates: u32) -> u32 {
        let further = templates.div_ceil(u32::from(self.templates.max(1))).saturating_sub(people);
        let added = (u64::from(further) * (256 - u64::from(self.overlap))).div_ceil(256);
        people + added as u32
    }
}

/// Why bytes are no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TableError {
    /// It takes more bytes than there are.
    Short {
        /// Bytes that it takes.
        needed: usize,
        /// Bytes given.
        found: usize,
    },
    /// A number that no table has.
    Value {
        /// Which.
        field: &'static str,
        /// The how manieth, from 0; of cells by people and then by rate.
        index: usize,
        /// What it holds.
        value: u32,
        /// What it could hold.
        accepted: &'static str,
    },
}

impl TableError {
    const fn value(field: &'static str, index: usize, value: u32, accepted: &'static str) -> Self {
        TableError::Value { field: text(field), index, value, accepted: text(accepted) }
    }
}

impl core::fmt::Display for TableError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            TableError::Short { needed, found } => {
                write!(f, "the threshold table takes {needed} bytes, {found} are there")
            }
            TableError::Value { field, index, value, accepted } => {
                write!(f, "the threshold table has {field} {index} = {value}; accepted: {accepted}")
            }
        }
    }
}

impl core::error::Error for TableError {}

/// A table that was validated whole, read where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThresholdTable<'t> {
    bytes: &'t [u8],
    rates: usize,
    sizes: usize,
}

impl<'t> ThresholdTable<'t> {
    /// Bytes of a table of so many rates and sizes.
    pub const fn bytes_for(rates: usize, sizes: usize) -> usize {
        HEAD + 4 * (rates + sizes) + CELL * rates * sizes
    }

    /// Validates the table at the beginning of `bytes`.
    ///
    /// # Errors
    /// The first number that no table has. Never panics, whatever the bytes.
    pub fn parse(bytes: &'t [u8]) -> Result<Self, TableError> {
        let short = |needed| TableError::Short { needed, found: bytes.len() };
        let counts = bytes.first_chunk::<4>().ok_or(short(HEAD))?;
        let count = |at: usize| u16::from_le_bytes([counts[at], counts[at + 1]]) as usize;
        let (rates, sizes) = (count(0), count(2));
        let wrong = |field, index, value, accepted| Err(TableError::value(field, index, value, accepted));
        if !(1..=MAX_RATES).contains(&rates) {
            return wrong("rates", 0, rates as u32, "1 to 8");
        }
        if !(1..=MAX_SIZES).contains(&sizes) {
            return wrong("sizes", 0, sizes as u32, "1 to 32");
        }
        let needed = Self::bytes_for(rates, sizes);
        let table = ThresholdTable { bytes: bytes.get(..needed).ok_or(short(needed))?, rates, sizes };
        let Origin { frames, templates, .. } = table.origin();
        for (field, value) in [("frames", frames), ("templates", u16::from(templates))] {
            if value == 0 {
                return wrong(field, 0, 0, "at least 1");
            }
        }
        let mut before = 0.0;
        for (index, rate) in table.rates().enumerate() {
            if !(rate > before && rate < 1.0) {
                return wrong("rate", index, rate.to_bits(), "an f32 above the rate before it and below 1");
            }
            before = rate;
        }
        let mut before = 0;
        for (index, people) in table.sizes().enumerate() {
            if people <= before {
                return wrong("people", index, people, "more than the number before it");
            }
            before = people;
        }
        table.check_cells()?;
        Ok(table)
    }

    fn check_cells(&self) -> Result<(), TableError> {
        let halves = |index| {
            let [a, b, c, d, e, f] = self.cell_words(index);
            [[a, b, c], [d, e, f]]
        };
        for index in 0..self.rates * self.sizes {
            let wrong = |value, accepted| Err(TableError::value("cell", index, value, accepted));
            let cell @ [[single, ..], [voted, ..]] = halves(index);
            let fewer = index.checked_sub(self.rates).map(halves).unwrap_or([[u32::MAX; 3]; 2]);
            let is_first = index.is_multiple_of(self.rates);
            let lower = if is_first { [[0; 3]; 2] } else { halves(index - 1) };
            for ((half, [fewer, ..]), [lower, ..]) in cell.into_iter().zip(fewer).zip(lower) {
                let [angle, low, high] = half;
                if high > Angle::MAX.millidegrees() {
                    return wrong(high, "0 to 180000 thousandths of a degree");
                }
                if !(low..=high).contains(&angle) {
                    return wrong(angle, "an angle within its interval");
                }
                if angle > fewer {
                    return wrong(angle, "at most the angle for fewer people");
                }
                if angle < lower {
                    return wrong(angle, "at least the angle for the lower rate");
                }
            }
            if voted > single {
                return wrong(voted, "at most the angle for a single frame");
            }
        }
        Ok(())
    }

    /// What it was measured on.
    pub fn origin(&self) -> Origin {
        let [a, b, templates, overlap] = self.word(12).to_le_bytes();
        let frames = u16::from_le_bytes([a, b]);
        Origin { identities: self.word(4), images: self.word(8), frames, templates, overlap }
    }

    /// The target rates, rising.
    pub fn rates(&self) -> impl ExactSizeIterator<Item = f32> + 't {
        let table = *self;
        (0..self.rates).map(move |i| f32::from_bits(table.word(HEAD + 4 * i)))
    }

    /// The numbers of people, rising.
    pub fn sizes(&self) -> impl ExactSizeIterator<Item = u32> + 't {
        let table = *self;
        (0..self.sizes).map(move |i| table.word(HEAD + 4 * (table.rates + i)))
    }

    /// The cell of the `size`th number of people and the `rate`th target.
    pub fn cell(&self, size: usize, rate: usize) -> Option<Cell> {
        let [angle, low, high, all, all_low, all_high] = (size < self.sizes && rate < self.rates)
            .then(|| self.cell_words(size * self.rates + rate).map(Angle::from_millidegrees))?;
        let presentation = Bar { angle: all, low: all_low, high: all_high };
        Some(Cell { frame: Bar { angle, low, high }, presentation })
    }

    /// The threshold for `people` enrolled that keeps the FPIR at or below `rate`: that of the next number of people in the table
    /// from `people` up, at the next rate from `rate` down. `None` where the table does not reach.
    pub fn lookup(&self, people: u32, rate: f32, scope: Scope) -> Option<Bar> {
        let size = self.sizes().position(|size| size >= people)?;
        let rate = self.rates().take_while(|&known| known <= rate).count().checked_sub(1)?;
        let cell = self.cell(size, rate)?;
        Some(match scope {
            Scope::Frame => cell.frame,
            Scope::Presentation => cell.presentation,
        })
    }

    /// How many people a gallery counts as for [`ThresholdTable::lookup`]: [`Origin::counted`].
    pub fn counted(&self, people: u32, templates: u32) -> u32 {
        self.origin().counted(people, templates)
    }

    /// The table as it lies in the plan.
    pub fn as_bytes(&self) -> &'t [u8] {
        self.bytes
    }

    /// Writes a table of `cells`, by people and then by rate, to the beginning of `out` and reads it back.
    ///
    /// # Errors
    /// When `out` is too short or there is no such table; cells that are missing are zeros.
    pub fn write(
        origin: Origin,
        rates: &[f32],
        sizes: &[u32],
        cells: &[Cell],
        out: &'t mut [u8],
    ) -> Result<Self, TableError> {
        let (needed, found) = (Self::bytes_for(rates.len(), sizes.len()), out.len());
        let table = out.get_mut(..needed).ok_or(TableError::Short { needed, found })?;
        let counts = [rates.len(), sizes.len()].map(|n| u16::try_from(n).unwrap_or(u16::MAX));
        let Origin { identities, images, frames, templates, overlap } = origin;
        let [a, b] = frames.to_le_bytes();
        let head = [
            u32::from(counts[0]) | u32::from(counts[1]) << 16,
            identities,
            images,
            u32::from_le_bytes([a, b, templates, overlap]),
        ];
        let bars = |cell: &Cell| {
            let [a, b] = [cell.frame, cell.presentation];
            [a.angle, a.low, a.high, b.angle, b.low, b.high].map(Angle::millidegrees)
        };
        let words = head.into_iter().chain(rates.iter().map(|r| r.to_bits())).chain(sizes.iter().copied());
        let words = words.chain(cells.iter().flat_map(bars)).chain(core::iter::repeat(0));
        for (place, word) in table.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        Self::parse(table)
    }

    /// The words of a cell by its place.
    fn cell_words(&self, index: usize) -> [u32; 6] {
        let first = HEAD + 4 * (self.rates + self.sizes) + CELL * index;
        core::array::from_fn(|i| self.word(first + 4 * i))
    }

    /// A word inside the table; 0 outside, where none is read.
    fn word(&self, at: usize) -> u32 {
        u32_at(self.bytes, at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORIGIN: Origin = Origin { identities: 500, images: 3000, frames: 5, templates: 2, overlap: 192 };
    const RATES: [f32; 2] = [0.001, 0.01];
    const SIZES: [u32; 3] = [1, 10, 100];

    fn bar(degrees: u32) -> Bar {
        let angle = |d: u32| Angle::from_millidegrees(1000 * d);
        Bar { angle: angle(degrees), low: angle(degrees - 2), high: angle(degrees + 3) }
    }

    fn cells() -> Vec<Cell> {
        let at = |degrees| Cell { frame: bar(degrees), presentation: bar(degrees - 5) };
        [50, 60, 40, 50, 30, 40].map(at).to_vec()
    }

    fn written(cells: &[Cell]) -> Result<Vec<u8>, TableError> {
        let mut out = vec![0xaa; ThresholdTable::bytes_for(2, 3)];
        ThresholdTable::write(ORIGIN, &RATES, &SIZES, cells, &mut out).map(|table| table.as_bytes().to_vec())
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = written(&cells()).unwrap();
        let table = ThresholdTable::parse(&bytes).unwrap();
        assert_eq!((table.origin(), table.as_bytes()), (ORIGIN, &bytes[..]));
        assert!(table.rates().eq(RATES) && table.sizes().eq(SIZES));
        let read: Vec<Cell> = (0..6).filter_map(|i| table.cell(i / 2, i % 2)).collect();
        assert_eq!(read, cells());
        assert_eq!((table.cell(3, 0), table.cell(0, 2)), (None, None));
    }

    #[test]
    fn a_lookup_errs_on_the_strict_side() {
        let bytes = written(&cells()).unwrap();
        let table = ThresholdTable::parse(&bytes).unwrap();
        let at =
            |people, rate| table.lookup(people, rate, Scope::Frame).map(|b| b.angle.millidegrees() / 1000);
        assert_eq!(
            [at(0, 0.01), at(1, 0.01), at(2, 0.01), at(10, 0.01)].map(Option::unwrap),
            [60, 60, 50, 50]
        );
        assert_eq!([at(11, 0.01), at(100, 0.01), at(101, 0.01)], [Some(40), Some(40), None]);
        assert_eq!([at(1, 0.5), at(1, 0.009), at(1, 0.0009)], [Some(60), Some(50), None]);
        assert_eq!(at(1, f32::NAN), None);
        assert_eq!(table.lookup(5, 0.001, Scope::Presentation), Some(bar(35)));
        // Two templates are a person, and the next two a quarter of one.
        assert_eq!(
            [20, 21, 3, 22, 28, 30].map(|templates| table.counted(10, templates)),
            [10, 11, 10, 11, 11, 12]
        );
        let apart = Origin { overlap: 0, ..ORIGIN };
        assert_eq!([20, 28].map(|templates| apart.counted(10, templates)), [10, 14]);
        assert_eq!((ORIGIN.counted(0, u32::MAX), apart.counted(3, u32::MAX)), (1 << 29, 1 << 31));
    }

    #[test]
    fn what_no_table_has_is_named() {
        let why = |change: &dyn Fn(&mut Vec<Cell>)| {
            let mut changed = cells();
            change(&mut changed);
            written(&changed).unwrap_err().to_string()
        };
        let beyond = why(&|c| c[2].frame = Bar { angle: bar(52).angle, ..bar(52) });
        assert!(beyond.contains("cell 2 = 52000; accepted: at most the angle for fewer people"), "{beyond}");
        assert!(why(&|c| c[1].frame = bar(45)).contains("the lower rate"));
        assert!(why(&|c| c[0].presentation = bar(51)).contains("a single frame"));
        assert!(why(&|c| c[5].frame.low = bar(43).angle).contains("within its interval"));
        assert!(why(&|c| c.truncate(5)).contains("cell 5 = 0; accepted: at least the angle"));
        let with = |at: usize, word: u32| {
            let mut bytes = written(&cells()).unwrap();
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
            ThresholdTable::parse(&bytes).map(|_| ()).unwrap_err()
        };
        assert!(with(0, 0x0003_0000).to_string().contains("rates 0 = 0; accepted: 1 to 8"));
        assert!(with(0, 0x0021_0001).to_string().contains("sizes 0 = 33; accepted: 1 to 32"));
        assert_eq!(with(0, 0x0004_0002), TableError::Short { needed: 232, found: 180 });
        assert!(with(12, 0x0001_0000).to_string().contains("frames 0 = 0; accepted: at least 1"));
        assert!(with(12, 5).to_string().contains("templates"));
        for rate in [f32::NAN, 0.0, 1.0, 0.001] {
            assert!(with(20, rate.to_bits()).to_string().contains("rate 1"), "{rate}");
        }
        assert!(with(28, 1).to_string().contains("people 1 = 1"));
        assert!(with(36 + 8, 180_001).to_string().contains("0 to 180000"));
        assert_eq!(ThresholdTable::parse(&[1]), Err(TableError::Short { needed: 16, found: 1 }));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(flips in prop::collection::vec((0..180usize, any::<u8>()), 1..6), cut in 0..=180usize) {
            let mut bytes = written(&cells()).unwrap();
            flips.into_iter().for_each(|(at, byte)| bytes[at] = byte);
            if let Ok(table) = ThresholdTable::parse(&bytes[..cut]) {
                for people in [0, 1, 7, 100, u32::MAX] {
                    let bars = [0.001, 0.01, 1.0].map(|rate| table.lookup(people, rate, Scope::Frame));
                    prop_assert!(bars.iter().flatten().is_sorted_by_key(|bar| bar.angle));
                }
            }
        }
    }
}
