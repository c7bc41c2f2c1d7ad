//! Depthwise convolution: sixteen channels at a time, four taps a step.

use std::vec::Vec;

use super::finish::{Finish, flip, put, units};
use super::simd::{LANES, Lanes, Line, Simd};
use crate::engine::kernels::scalar::{self, Slope};
use crate::engine::kernels::{Shape, Window};

/// The most taps of a kernel, a multiple of four.
const TAPS: usize = 64;

/// A depthwise convolution with its weights in the order in which one instruction set reads them.
#[derive(Debug, Clone)]
pub(super) struct Depthwise {
    input: Shape,
    output: Shape,
    window: Window,
    /// Where the sixteen channels of each unit begin. The last unit overlaps the one before it.
    firsts: Vec<usize>,
    /// For each unit: [`Simd::VALUE`] lines for every four taps.
    lines: Vec<Line>,
    /// What accumulators start with, by units.
    start: Vec<Lanes>,
    finish: Finish,
    /// A pixel of zero points.
    outside: Vec<i8>,
}

/// Packs `depthwise`, which `slope` follows in place. `None` for fewer than sixteen channels or more than 64 taps.
pub(super) fn pack<S: Simd>(
    depthwise: &scalar::Depthwise<'_>,
    slope: Option<&Slope<'_>>,
) -> Option<Depthwise> {
    let scalar::Depthwise { input, output, window, .. } = *depthwise;
    let channels = input.channels;
    let taps = window.kernel[0] * window.kernel[1];
    if channels < LANES || taps > TAPS {
        return None;
    }
    let firsts: Vec<usize> = (0..channels).step_by(LANES).map(|first| first.min(channels - LANES)).collect();
    let ranges: Vec<_> = firsts.iter().map(|&first| first..first + LANES).collect();
    let weight = |tap: usize, channel: usize| depthwise.weights[tap * channels + channel];
    let start = depthwise.bias.integers().enumerate().map(|(channel, bias)| {
        let sum: i32 = (0..taps).map(|tap| weight(tap, channel) as i32).sum();
        bias.wrapping_sub(sum.wrapping_mul(depthwise.input_zero as i32 + flip::<S>()))
    });
    let lines_each = taps.div_ceil(4) * S::VALUE;
    let mut lines = std::vec![Line([[0; 4]; LANES]); firsts.len() * lines_each];
    for (lines, &first) in lines.chunks_exact_mut(lines_each).zip(&firsts) {
        for tap in 0..taps {
            let at = tap * S::VALUE;
            for (lane, word) in lines[at / 4].0.iter_mut().enumerate() {
                let value = (weight(tap, first + lane) as i16).to_le_bytes();
                word[at % 4..at % 4 + S::VALUE].copy_from_slice(&value[..S::VALUE]);
            }
        }
    }
    Some(Depthwise {
        input,
        output,
        window,
        lines,
        start: units(&ranges, start),
        finish: Finish::new(&depthwise.finish, slope, &ranges),
        firsts,
        outside: std::vec![depthwise.input_zero; channels],
    })
}

impl Depthwise {
    /// The shapes of input and output.
    pub(super) fn shapes(&self) -> [Shape; 2] {
        [self.input, self.output]
    }
}

/// Convolves `x` into `y`.
#[inline(always)]
pub(super) fn run<S: Simd>(s: S, depthwise: &Depthwise, x: &[i8], y: &mut [i8]) {
    let Depthwise { input, output, window, .. } = depthwise;
    let channels = input.channels;
    assert!(x.len() == input.bytes() && y.len() == output.bytes());
    let [kh, kw] = window.kernel;
    let quads = (kh * kw).div_ceil(4);
    let lines_each = quads * S::VALUE;
    // Where each tap of a window lies, from the window's first.
    let mut offsets = [0; TAPS];
    for (tap, offset) in offsets.iter_mut().enumerate().take(kh * kw) {
        *offset = (tap / kw * input.width + tap % kw) * channels;
    }
    for (pixel, y) in y.chunks_exact_mut(channels).enumerate() {
        let (oy, ox) = (pixel / output.width, pixel % output.width);
        let first_row = (oy * window.stride[0]).wrapping_sub(window.pad[0]);
        let first_column = (ox * window.stride[1]).wrapping_sub(window.pad[1]);
        // Taps beyond the last have weights of 0 and may read anything.
        let mut taps = [depthwise.outside.as_ptr(); TAPS];
        let inside = |first: usize, kernel: usize, size: usize| first < size && first + kernel <= size;
        if inside(first_row, kh, input.height) && inside(first_column, kw, input.width) {
            let window = &x[(first_row * input.width + first_column) * channels..];
            for (tap, offset) in taps.iter_mut().zip(offsets).take(kh * kw) {
                *tap = window.as_ptr().wrapping_add(offset);
            }
        } else {
            for (index, tap) in taps.iter_mut().enumerate().take(kh * kw) {
                let iy = first_row.wrapping_add(index / kw);
                let ix = first_column.wrapping_add(index % kw);
                if iy < input.height && ix < input.width {
                    *tap = x[(iy * input.width + ix) * channels..].as_ptr();
                }
            }
        }
        let units = depthwise.lines.chunks_exact(lines_each).zip(&depthwise.start).zip(&depthwise.firsts);
        for (unit, ((lines, start), &first)) in units.enumerate() {
            let mut acc = s.load(start);
            for (taps, lines) in taps.as_chunks::<4>().0.iter().zip(lines.chunks_exact(S::VALUE)) {
                // SAFETY: every tap begins a whole pixel of `x` or the pixel `outside`, and sixteen channels of it begin
                // at `first`.
                acc = unsafe { s.dot_taps(acc, taps.map(|tap| tap.add(first)), lines) };
            }
            put(s, depthwise.finish.apply(s, unit, acc), &mut y[first..first + LANES]);
        }
    }
}
