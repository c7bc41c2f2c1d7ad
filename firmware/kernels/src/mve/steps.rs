//! What the innermost loops share whichever language they are in.

use core::num::NonZero;

use crate::requant::Output;

/// Windows side by side, each of which is one run of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Windows<'x> {
    /// The first one's first value, and all that follows.
    pub x: &'x [i8],
    /// Values of a window.
    pub taps: usize,
    /// Bytes from one to the next.
    pub step: usize,
    /// How many, at least one.
    pub count: usize,
}

impl Windows<'_> {
    /// Whether all of them lie in `x`.
    #[cfg(arm_mve)]
    pub fn fit(&self) -> bool {
        self.count >= 1 && self.x.len() >= (self.count - 1) * self.step + self.taps
    }
}

/// What [`Output`] does after the high multiply.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Steps {
    /// The zero point.
    pub zero_point: i32,
    /// The least output.
    pub lo: i32,
    /// The greatest output.
    pub hi: i32,
}

impl Steps {
    /// Those of `output`.
    pub fn of(output: &Output<'_>) -> Self {
        Steps { zero_point: output.zero_point as i32, lo: output.lo as i32, hi: output.hi as i32 }
    }
}

/// Where the weights of one channel come from, for each copy of them: lists of 16-bit numbers.
#[derive(Debug)]
pub struct Places<'s> {
    lists: &'s [i8],
    taps: NonZero<usize>,
    #[cfg(arm_mve)]
    greatest: usize,
}

impl<'s> Places<'s> {
    /// Fills `lists` with those of a kernel of `[rows, columns]`. A window lies column by column, and in each copy its first row
    /// lies in slot `turned(copy)`. The numbers fit 16 bits. `None` where a side of the kernel is 0.
    #[inline(always)]
    pub fn write(
        [rows, across]: [usize; 2],
        channels: usize,
        lists: &'s mut [i8],
        turned: impl Fn(usize) -> usize,
    ) -> Option<Self> {
        let (rows, taps) = (NonZero::new(rows)?, NonZero::new(rows * across)?);
        let (places, _) = lists.as_chunks_mut::<2>();
        for (copy, list) in places.chunks_exact_mut(taps.get()).enumerate() {
            for (at, place) in list.iter_mut().enumerate() {
                let (column, row) = (at / rows, (at % rows + rows.get() - turned(copy)) % rows);
                *place = (((row * across + column) * channels) as u16).to_le_bytes().map(|byte| byte as i8);
            }
        }
        Some(Places {
            lists,
            taps,
            #[cfg(arm_mve)]
            greatest: (taps.get() - 1) * channels,
        })
    }

    /// The lists, one for each copy.
    #[cfg(not(arm_mve))]
    pub fn lists(&self) -> impl Iterator<Item = &'s [[i8; 2]]> {
        self.lists.as_chunks().0.chunks_exact(self.taps.get())
    }

    /// All lists, one behind the other.
    #[cfg(arm_mve)]
    pub fn bytes(&self) -> &'s [i8] {
        self.lists
    }

    /// How many numbers a list has, at least one.
    #[cfg(arm_mve)]
    pub fn taps(&self) -> usize {
        self.taps.get()
    }

    /// The greatest number in any of them.
    #[cfg(arm_mve)]
    pub fn greatest(&self) -> usize {
        self.greatest
    }
}

/// Channels whose sums are computed together.
pub const LANES: usize = 4;

/// What is inside the input of one window of a depthwise convolution.
#[derive(Debug, Clone, Copy)]
pub struct Taps {
    /// Rows, at least one.
    pub rows: usize,
    /// Columns, at least one.
    pub columns: usize,
    /// Values from row to row.
    pub x_row: usize,
    /// Weights from row to row.
    pub w_row: usize,
    /// Channels: the values and the weights from column to column.
    pub channels: usize,
    /// What stands for real zero in the input.
    pub zero: i8,
}

/// How one channel of a depthwise convolution goes through a strip of rows.
#[derive(Debug, Clone, Copy)]
pub struct Map {
    /// Rows of the kernel, which are those of the strip.
    pub rows: usize,
    /// Channels, the bytes from a pixel to the next.
    pub channels: usize,
    /// Columns of the strip.
    pub columns: usize,
    /// The column that a row's first pixel comes into.
    pub first: usize,
    /// Pixels of a row that come into the strip.
    pub inside: usize,
    /// Rows of the input.
    pub height: usize,
    /// Bytes from one to the next.
    pub x_row: usize,
    /// Rows that the first window reaches beyond the top.
    pub above: usize,
    /// Rows from window to window.
    pub down: usize,
    /// Bytes in the strip from window to window.
    pub step: usize,
    /// Windows, and outputs, of a row.
    pub windows: usize,
    /// Rows of the output.
    pub outputs: usize,
    /// What stands for real zero in the input.
    pub zero: i8,
}

/// Where a depthwise convolution works on a channel.
#[derive(Debug)]
pub struct Room<'s> {
    /// The strip, with the zero point in columns outside the input.
    pub ring: &'s mut [i8],
    /// The weights, 16 bytes a copy, with 0 behind the taps.
    pub copies: &'s mut [i8],
    /// Where they come from.
    pub places: Places<'s>,
}
