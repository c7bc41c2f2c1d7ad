//! Bytes of the arena that the kernels work in, for whoever plans it. They begin at a multiple of 4.

use super::{TAPS, packing};
use crate::scalar::is_contiguous;
use crate::{Shape, Window};

/// Fours of taps that are kept as pairs of 16 bits at a time; longer windows take several rounds.
pub(super) const MOST_FOURS: usize = 256;

/// Taps of the largest depthwise kernel that has a fast form; larger ones run as [`crate::scalar`] does.
const MOST_DEPTHWISE_TAPS: usize = 81;

/// Channels that the depthwise kernel works on together.
pub(super) const DEPTHWISE_CHANNELS: usize = 4;

/// Pixels whose windows are multiplied together.
pub(super) const fn pixels(output: Shape) -> usize {
    if output.height * output.width == 1 { 1 } else { 2 }
}

/// Scratch bytes of a convolution: its windows as bytes, unless they lie in the input as they are, and as pairs of 16 bits.
pub fn conv_scratch_bytes(input: Shape, output: Shape, window: Window, groups: usize) -> usize {
    let fours = packing(input, output, window, groups).runs();
    let bytes = if is_contiguous(input, output, window, groups) { 0 } else { fours.saturating_mul(TAPS) };
    let pairs = fours.min(MOST_FOURS) * 2 * TAPS;
    bytes.saturating_add(pairs).saturating_mul(pixels(output))
}

/// What the depthwise kernel keeps for four channels at a time.
///
/// Rows of the input, as many as the kernel has, lie in slots column by column, each value beside its right neighbour in one
/// word of 2 x 16 bits: one multiplication serves two taps. A row stays in its slot for as long as windows reach it, so the
/// weights are kept once for each way in which the rows can lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strip {
    /// Columns from one stored pair to the next: 2 where windows only begin at even columns.
    pub step: usize,
    /// Stored columns.
    pub columns: usize,
    /// Pairs of taps in a row of the kernel.
    pub pairs: usize,
    /// Copies of the weights.
    pub copies: usize,
    /// Words of a copy: biases, pairs of weights, multipliers, and four for zero point and clamp.
    pub copy_words: usize,
    /// Words of all columns.
    pub ring_words: usize,
}

impl Strip {
    /// `None` where the scalar kernel runs.
    pub fn of(input: Shape, output: Shape, window: Window) -> Option<Self> {
        let [rows, taps] = window.kernel;
        if input.channels < DEPTHWISE_CHANNELS || rows.saturating_mul(taps) > MOST_DEPTHWISE_TAPS {
            return None;
        }
        let stride = window.stride[1];
        let step = if stride.is_multiple_of(2) || output.width == 1 { 2 } else { 1 };
        let pairs = taps.div_ceil(2);
        let columns = ((output.width - 1).saturating_mul(stride) + 2 * (pairs - 1)) / step + 1;
        let copies = rows.min(output.height);
        let copy_words = DEPTHWISE_CHANNELS * (pairs * rows + 3);
        let ring_words = columns.saturating_mul(rows * DEPTHWISE_CHANNELS);
        Some(Strip { step, columns, pairs, copies, copy_words, ring_words })
    }

    /// Words of everything.
    pub fn words(self) -> usize {
        self.ring_words.saturating_add(self.copies * self.copy_words)
    }
}

/// Scratch bytes of a depthwise convolution. All sides are at least 1.
pub fn depthwise_scratch_bytes(input: Shape, output: Shape, window: Window) -> usize {
    Strip::of(input, output, window).map_or(0, |strip| strip.words().saturating_mul(4))
}
