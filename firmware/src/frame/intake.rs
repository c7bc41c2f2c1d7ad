//! A picture that arrives in pieces and is kept in a buffer that may be too small for it.
//!
//! A picture that does not fit is halved until it does: with `k` halvings a kept pixel is the mean of a block of 2^k x 2^k pixels,
//! value by value as the format stores them, rounded to the nearest with halves up. Blocks at the right and lower edges have fewer
//! pixels, and their mean is over those; no pixel is lost.
//!
//! The rows of a block wait in the buffer itself, as sums, behind the rows that are done:
//!
//! ```text
//! 0           rows done x kept columns x bytes a pixel                                          capacity
//! | rows done | kept columns x values a pixel x 4: sums of the block row under way | not used yet |
//! ```
//!
//! Means are written from the left over sums that were read already, since a pixel takes fewer bytes than its sums. The memory
//! beside the buffer is the same for a picture of 65,535 columns as for one of 2.

use nalgebra::Point2;

use super::{Frame, FrameError, Landmarks, PixelFormat};
use crate::bytes::copy;

/// The most halvings: a block's sum, 255 x 4^12, and half of its pixels stay below 2^32.
pub const MAX_HALVINGS: u8 = 12;

/// Bytes of a sum.
const SUM: usize = 4;

/// Pixels of a row that is halved that [`Intake::row`] asks for at a time: an even number.
const PIECE: usize = 64;

/// A picture that a buffer cannot keep, however often it is halved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TooLarge {
    /// Bytes that it takes at the smallest.
    pub needed: u64,
    /// Bytes there are.
    pub capacity: usize,
}

impl core::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let TooLarge { needed, capacity } = self;
        write!(f, "the picture takes {needed} bytes after {MAX_HALVINGS} halvings, there are {capacity}")
    }
}

impl core::error::Error for TooLarge {}

/// How far a picture has come, and how it is kept. The buffer is handed in: it has other uses between pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intake {
    format: PixelFormat,
    width: u16,
    height: u16,
    halvings: u8,
    received: u64,
    /// The pixel that comes next.
    column: u16,
    row: u16,
    /// The bytes of a pixel that a piece broke off in, and how many.
    broken: [u8; 3],
    held: u8,
    /// The sums of the block's row under way.
    sums: [u32; 3],
}

impl Intake {
    /// Makes ready for a picture of `width` x `height` pixels that a buffer of `capacity` bytes is to keep: as it is if it fits, else
    /// with as few halvings as it takes.
    ///
    /// # Errors
    /// When not even [`MAX_HALVINGS`] make it fit: with a buffer of 1 KiB never.
    pub fn new(format: PixelFormat, width: u16, height: u16, capacity: usize) -> Result<Self, TooLarge> {
        let mut needed = 0;
        for halvings in 0..=MAX_HALVINGS {
            needed = room(format, [width, height], halvings);
            if needed <= capacity as u64 {
                let (column, row, received, sums) = (0, 0, 0, [0; 3]);
                let (broken, held) = ([0; 3], 0);
                return Ok(Intake {
                    format,
                    width,
                    height,
                    halvings,
                    received,
                    column,
                    row,
                    broken,
                    held,
                    sums,
                });
            }
        }
        Err(TooLarge { needed, capacity })
    }

    /// Bytes of the picture as it arrives.
    pub fn total(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height) * self.format.bytes_per_pixel() as u64
    }

    /// Bytes that have arrived.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether all of it is there.
    pub fn is_complete(&self) -> bool {
        self.received == self.total()
    }

    /// How often it is halved.
    pub fn halvings(&self) -> u8 {
        self.halvings
    }

    /// Columns and rows that are kept.
    pub fn kept(&self) -> [u16; 2] {
        kept([self.width, self.height], self.halvings)
    }

    /// Takes the next bytes, as many as belong to the picture, and returns how many these are. `buffer` is the same each time, of the
    /// capacity that was told at first.
    pub fn push(&mut self, bytes: &[u8], buffer: &mut [u8]) -> usize {
        let left = usize::try_from(self.total() - self.received).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(left)];
        if self.halvings == 0 {
            let begin = self.received as usize;
            if let Some(place) = begin.checked_add(bytes.len()).and_then(|end| buffer.get_mut(begin..end)) {
                copy(bytes, place);
            }
        } else {
            self.fold(bytes, buffer);
        }
        self.received += bytes.len() as u64;
        bytes.len()
    }

    /// Takes the next row from `fetch`, which fills what it is given with pixels of it: the whole row where the picture is kept as it
    /// is, straight into `buffer`; else an even number of pixels at a time, but for the end of an odd row. Rows and bytes of
    /// [`Intake::push`] do not mix.
    ///
    /// # Errors
    /// What `fetch` says; the picture is then lost.
    pub fn row<E>(
        &mut self,
        buffer: &mut [u8],
        mut fetch: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let size = self.format.bytes_per_pixel();
        let row = usize::from(self.width) * size;
        if self.halvings == 0 {
            let begin = self.received as usize;
            let place = begin.checked_add(row).and_then(|end| buffer.get_mut(begin..end));
            place.map_or(Ok(()), fetch)?;
            self.received += row as u64;
            return Ok(());
        }
        let mut piece = [0; PIECE * 3];
        let mut left = row;
        while left > 0 {
            let length = left.min(PIECE * size);
            let piece = piece.get_mut(..length).unwrap_or_default();
            fetch(piece)?;
            self.push(piece, buffer);
            left -= length;
        }
        Ok(())
    }

    /// Adds bytes to the sums.
    fn fold(&mut self, mut bytes: &[u8], buffer: &mut [u8]) {
        let size = self.format.bytes_per_pixel();
        while self.held > 0
            && let Some((&byte, rest)) = bytes.split_first()
        {
            self.broken[usize::from(self.held).min(2)] = byte;
            (self.held, bytes) = (self.held + 1, rest);
            if usize::from(self.held) == size {
                self.held = 0;
                self.pixel(self.format.unpack(&self.broken), buffer);
            }
        }
        let pixels = bytes.chunks_exact(size);
        let rest = pixels.remainder();
        for pixel in pixels {
            self.pixel(self.format.unpack(pixel), buffer);
        }
        for &byte in rest {
            self.broken[usize::from(self.held).min(2)] = byte;
            self.held += 1;
        }
    }

    /// Adds the next pixel; where it is the last of a block's row, the row to the block, and where that is the last of the block, the
    /// mean to the picture.
    fn pixel(&mut self, values: [u8; 3], buffer: &mut [u8]) {
        for (sum, value) in self.sums.iter_mut().zip(values) {
            *sum += u32::from(value);
        }
        let (column, row) = (self.column, self.row);
        (self.column, self.row) = if column + 1 == self.width { (0, row + 1) } else { (column + 1, row) };
        let side = 1u16 << self.halvings;
        let ends = |at: u16, of: u16| at + 1 == of || (at + 1).is_multiple_of(side);
        if !ends(column, self.width) {
            return;
        }
        let (values, size) = (self.format.values(), self.format.bytes_per_pixel());
        let [across, _] = self.kept();
        let (at, line) = (usize::from(column / side), usize::from(row / side));
        let sums = core::mem::take(&mut self.sums);
        let Some(under_way) = buffer.get_mut(line * usize::from(across) * size..) else { return };
        let Some(places) = under_way.get_mut(at * values * SUM..) else { return };
        let mut totals = [0; 3];
        for ((total, sum), place) in
            totals.iter_mut().zip(sums).zip(places.as_chunks_mut::<SUM>().0).take(values)
        {
            let before = if row.is_multiple_of(side) { 0 } else { u32::from_le_bytes(*place) };
            *total = before + sum;
            *place = total.to_le_bytes();
        }
        if ends(row, self.height) {
            let pixels = u32::from(column % side + 1) * u32::from(row % side + 1);
            let means = totals.map(|total| ((total + pixels / 2) / pixels) as u8);
            if let Some(place) = under_way.get_mut(at * size..(at + 1) * size) {
                copy(&self.format.pack(means), place);
            }
        }
    }

    /// The picture as it is kept.
    ///
    /// # Errors
    /// When it is not all there.
    pub fn frame<'b>(&self, buffer: &'b [u8]) -> Result<Frame<'b>, FrameError> {
        let [width, height] = self.kept();
        let expected = usize::from(width) * usize::from(height) * self.format.bytes_per_pixel();
        let there = if self.is_complete() { expected } else { 0 };
        Frame::new(self.format, width, height, buffer.get(..there).unwrap_or(&[]))
    }

    /// Where points of the picture as it arrives lie in the one that is kept.
    pub fn landmarks(&self, points: &Landmarks) -> Landmarks {
        if self.halvings == 0 {
            return *points;
        }
        // Pixel centres are whole numbers: the left edge is at -1/2 in both.
        let side = f32::from(1u16 << self.halvings);
        let place = |v: f32| (v + 0.5) / side - 0.5;
        points.map(|p| Point2::new(place(p.x), place(p.y)))
    }
}

/// Columns and rows of a picture after so many halvings.
fn kept(sides: [u16; 2], halvings: u8) -> [u16; 2] {
    sides.map(|side| side.div_ceil(1 << halvings))
}

/// Bytes that a picture takes with so many halvings, its last block row's sums in place.
fn room(format: PixelFormat, sides: [u16; 2], halvings: u8) -> u64 {
    let [width, height] = kept(sides, halvings).map(u64::from);
    let row = width * format.bytes_per_pixel() as u64;
    match halvings {
        0 => row * height,
        _ => row * height.saturating_sub(1) + width * (format.values() * SUM) as u64,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORMATS: [PixelFormat; 3] = [PixelFormat::Grey8, PixelFormat::Rgb8, PixelFormat::Rgb565];

    /// Keeps a picture that comes in pieces of these lengths, again and again.
    fn taken(
        format: PixelFormat,
        sides: [u16; 2],
        data: &[u8],
        capacity: usize,
        pieces: &[usize],
    ) -> (Intake, Vec<u8>) {
        let mut intake = Intake::new(format, sides[0], sides[1], capacity).unwrap();
        let mut buffer = vec![0xa5; capacity];
        let (mut rest, mut lengths) = (data, pieces.iter().cycle());
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(*lengths.next().unwrap()));
            assert!(!intake.is_complete() && intake.frame(&buffer).is_err());
            assert_eq!(intake.push(piece, &mut buffer), piece.len());
            rest = more;
        }
        assert!(intake.is_complete());
        assert_eq!(intake.push(&[1, 2, 3], &mut buffer), 0, "bytes behind the end");
        (intake, buffer)
    }

    /// The same by the definition, from the whole picture.
    fn by_blocks(frame: &Frame<'_>, halvings: u8) -> Vec<u8> {
        let (format, side) = (frame.format(), 1usize << halvings);
        let (width, height, size) =
            (frame.width() as usize, frame.height() as usize, format.bytes_per_pixel());
        let mut out = Vec::new();
        for top in (0..height).step_by(side) {
            for left in (0..width).step_by(side) {
                let (mut sums, mut pixels) = ([0u64; 3], 0);
                for y in top..height.min(top + side) {
                    for x in left..width.min(left + side) {
                        let values = format.unpack(&frame.data()[(y * width + x) * size..]);
                        sums.iter_mut().zip(values).for_each(|(sum, v)| *sum += v as u64);
                        pixels += 1;
                    }
                }
                let mean = sums.map(|sum| ((sum as f64 / pixels as f64) + 0.5).floor() as u8);
                out.extend(&format.pack(mean)[..size]);
            }
        }
        out
    }

    #[test]
    fn what_fits_is_kept_as_it_is() {
        let data: Vec<u8> = (0..5 * 3 * 3).collect();
        let (intake, buffer) = taken(PixelFormat::Rgb8, [5, 3], &data, 45, &[7]);
        assert_eq!((intake.halvings(), intake.frame(&buffer).unwrap().data()), (0, &data[..]));
        let points = [Point2::new(0.1, 0.2); 5];
        assert_eq!(intake.landmarks(&points), points);
    }

    #[test]
    fn a_halving_by_hand() {
        // 3 x 5 into 2 x 3: whole blocks, halves at the edges, one pixel in the corner.
        let data = [[10, 20, 7], [30, 41, 8], [100, 100, 9], [100, 103, 10], [1, 4, 255]].concat();
        let (intake, buffer) = taken(PixelFormat::Grey8, [3, 5], &data, 12, &[1]);
        let frame = intake.frame(&buffer).unwrap();
        assert_eq!((intake.halvings(), frame.width(), frame.height()), (1, 2, 3));
        // 101 / 4 = 25.25, 15 / 2 = 7.5, 403 / 4 = 100.75, 19 / 2 = 9.5, 5 / 2 = 2.5.
        assert_eq!(frame.data(), [25, 8, 101, 10, 3, 255]);
        // The centre of a block of four lies between them.
        assert_eq!(intake.landmarks(&[Point2::new(0.5, 2.5); 5])[4], Point2::new(0.0, 1.0));
    }

    #[test]
    fn a_kilobyte_keeps_any_picture() {
        for format in FORMATS {
            let intake = Intake::new(format, u16::MAX, u16::MAX, 1024).unwrap();
            assert!(intake.kept()[0] >= 8, "{intake:?}");
            let none = Intake::new(format, u16::MAX, u16::MAX, 60).unwrap_err();
            assert_eq!(none.capacity, 60);
            assert!(none.needed > 60, "{none}");
        }
    }

    #[test]
    fn the_widest_rows_and_the_whitest_blocks() {
        let (sides, row) = ([u16::MAX, 3], vec![255; u16::MAX as usize]);
        let mut intake = Intake::new(PixelFormat::Grey8, sides[0], sides[1], 64).unwrap();
        let mut buffer = [0; 64];
        for _ in 0..sides[1] {
            intake.push(&row, &mut buffer);
        }
        assert_eq!(intake.halvings(), MAX_HALVINGS);
        assert_eq!(intake.frame(&buffer).unwrap().data(), [255; 16]);
        // One block full to the last pixel: no sum goes over.
        let side = 1u16 << MAX_HALVINGS;
        let mut intake =
            Intake { halvings: MAX_HALVINGS, ..Intake::new(PixelFormat::Grey8, side, side, 4).unwrap() };
        for _ in 0..side {
            intake.push(&row[..side.into()], &mut buffer);
        }
        assert_eq!(intake.frame(&buffer).unwrap().data(), [255]);
    }

    proptest! {
        #[test]
        fn pieces_give_what_the_definition_gives(
            sides in [1u16..40, 1u16..40],
            format in prop::sample::select(&FORMATS[..]),
            pieces in prop::collection::vec(1usize..50, 1..6),
            part in 1u32..=100,
            seed: u64,
        ) {
            let bytes = sides[0] as usize * sides[1] as usize * format.bytes_per_pixel();
            let data: Vec<u8> = (0..bytes as u32).map(|i| seed.rotate_left(i * 5).to_le_bytes()[i as usize % 8]).collect();
            let whole = Frame::new(format, sides[0], sides[1], &data).unwrap();
            let capacity = (bytes * part as usize / 100).max(48);
            let (intake, buffer) = taken(format, sides, &data, capacity, &pieces);
            let found = intake.frame(&buffer).unwrap();
            let wanted = by_blocks(&whole, intake.halvings());
            prop_assert_eq!(found.data(), &wanted[..]);
            // No more halvings than it takes.
            if let Some(fewer) = intake.halvings().checked_sub(1) {
                prop_assert!(room(format, sides, fewer) > capacity as u64);
            }
            // Whoever sends the kept picture instead gets the same.
            let again = taken(format, intake.kept(), found.data(), capacity, &pieces);
            prop_assert_eq!(again.0.halvings(), 0);
            prop_assert_eq!(again.0.frame(&again.1).unwrap().data(), found.data());
        }
    }
}
