//! Depthwise convolution: 64 channels at a time where there are as many, else sixteen; four taps a step.

use std::vec::Vec;

use super::finish::{Finish, Layout, flip, units};
use super::simd::{LANES, Lanes, Line, Simd, wide_channel};
use crate::engine::kernels::scalar::{self, Slope};
use crate::engine::kernels::{Shape, Window};

/// The most taps of a kernel, a multiple of four.
const TAPS: usize = 64;

/// Units of a wide block, and its channels.
const UNITS: usize = 4;
const WIDE: usize = UNITS * LANES;

/// A depthwise convolution with its weights in the order in which one instruction set reads them.
#[derive(Debug, Clone)]
pub(super) struct Depthwise {
    input: Shape,
    output: Shape,
    window: Window,
    /// The first channels of blocks of 64, see [`Simd::dot_wide`]. A last block may overlap the one before it.
    wide: Vec<usize>,
    /// The first channels of the units of sixteen behind them. The last may overlap what lies before it.
    narrow: Vec<usize>,
    /// For every four taps a line for each unit of a wide block, block by block; then [`Simd::VALUE`] for each narrow unit.
    lines: Vec<Line>,
    /// What accumulators start with, by units: four for each wide block, then the narrow ones.
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
    let mut wide: Vec<usize> =
        if S::WIDE { (0..channels / WIDE).map(|block| block * WIDE).collect() } else { Vec::new() };
    // More than half a block that remains is one that overlaps the last.
    if !wide.is_empty() && channels % WIDE > WIDE / 2 {
        wide.push(channels - WIDE);
    }
    let done = wide.last().map_or(0, |first| first + WIDE);
    let narrow: Vec<usize> =
        (done..channels).step_by(LANES).map(|first| first.min(channels - LANES)).collect();
    let in_wide =
        |first: usize, unit: usize| (0..LANES).map(|lane| first + wide_channel(unit, lane)).collect();
    let layout: Layout = wide
        .iter()
        .flat_map(|&first| (0..UNITS).map(move |unit| in_wide(first, unit)))
        .chain(narrow.iter().map(|&first| (first..first + LANES).collect()))
        .collect();

    let weight = |tap: usize, channel: usize| depthwise.weights[tap * channels + channel];
    let start = depthwise.bias.integers().enumerate().map(|(channel, bias)| {
        let sum: i32 = (0..taps).map(|tap| weight(tap, channel) as i32).sum();
        bias.wrapping_sub(sum.wrapping_mul(depthwise.input_zero as i32 + flip::<S>()))
    });
    let quads = taps.div_ceil(4);
    let narrow_lines = wide.len() * quads * UNITS;
    let mut lines = std::vec![Line([[0; 4]; LANES]); narrow_lines + narrow.len() * quads * S::VALUE];
    for (unit, unit_channels) in layout.iter().enumerate() {
        let (block, in_block) = (unit / UNITS, unit % UNITS);
        for tap in 0..taps {
            let line = if block < wide.len() {
                (block * quads + tap / 4) * UNITS + in_block
            } else {
                narrow_lines + (unit - wide.len() * UNITS) * quads * S::VALUE + tap * S::VALUE / 4
            };
            let byte = tap * S::VALUE % 4;
            for (word, &channel) in lines[line].0.iter_mut().zip(unit_channels) {
                let value = (weight(tap, channel) as i16).to_le_bytes();
                word[byte..byte + S::VALUE].copy_from_slice(&value[..S::VALUE]);
            }
        }
    }
    Some(Depthwise {
        input,
        output,
        window,
        lines,
        start: units(&layout, start),
        finish: Finish::new(&depthwise.finish, slope, &layout),
        wide,
        narrow,
        outside: std::vec![depthwise.input_zero; channels],
    })
}

impl Depthwise {
    /// Whether it requantizes in single precision.
    #[cfg(test)]
    pub(super) fn is_single(&self) -> bool {
        self.finish.is_single()
    }

    /// The shapes of input and output.
    pub(super) fn shapes(&self) -> [Shape; 2] {
        [self.input, self.output]
    }
}

/// Convolves `x` into `y`.
#[inline(always)]
pub(super) fn run<S: Simd>(s: S, depthwise: &Depthwise, x: &[i8], y: &mut [i8]) {
    if depthwise.finish.is_single() {
        pixels::<S, true>(s, depthwise, x, y);
    } else {
        pixels::<S, false>(s, depthwise, x, y);
    }
}

/// The same, with what [`Finish::is_single`] tells as `SINGLE`.
#[inline(always)]
fn pixels<S: Simd, const SINGLE: bool>(s: S, depthwise: &Depthwise, x: &[i8], y: &mut [i8]) {
    let Depthwise { input, output, window, .. } = depthwise;
    let channels = input.channels;
    assert!(x.len() == input.bytes() && y.len() == output.bytes());
    let [kh, kw] = window.kernel;
    let quads = (kh * kw).div_ceil(4);
    // Where each tap of a window lies, from the window's first.
    let mut offsets = [0; TAPS];
    for (tap, offset) in offsets.iter_mut().enumerate().take(kh * kw) {
        *offset = (tap / kw * input.width + tap % kw) * channels;
    }
    // Taps beyond the last have weights of 0 and may read anything.
    let mut taps = [depthwise.outside.as_ptr(); TAPS];
    for (pixel, y) in y.chunks_exact_mut(channels).enumerate() {
        let (oy, ox) = (pixel / output.width, pixel % output.width);
        let first_row = (oy * window.stride[0]).wrapping_sub(window.pad[0]);
        let first_column = (ox * window.stride[1]).wrapping_sub(window.pad[1]);
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
                *tap = if iy < input.height && ix < input.width {
                    x[(iy * input.width + ix) * channels..].as_ptr()
                } else {
                    depthwise.outside.as_ptr()
                };
            }
        }
        let taps = &taps.as_chunks::<4>().0[..quads];
        // SAFETY: every tap begins a whole pixel of `x` or the pixel `outside`.
        unsafe { pixel_of::<S, SINGLE>(s, depthwise, taps, y) };
    }
}

/// One pixel `y` from its taps.
///
/// # Safety
/// As many bytes as there are channels can be read at each tap.
#[inline(always)]
unsafe fn pixel_of<S: Simd, const SINGLE: bool>(
    s: S,
    depthwise: &Depthwise,
    taps: &[[*const i8; 4]],
    y: &mut [i8],
) {
    let (wide_starts, starts) = depthwise.start.split_at(depthwise.wide.len() * UNITS);
    let (wide_lines, lines) = depthwise.lines.split_at(wide_starts.len() * taps.len());
    let wide = wide_starts.as_chunks::<UNITS>().0.iter().zip(wide_lines.chunks_exact(UNITS * taps.len()));
    for (block, ((start, lines), &first)) in wide.zip(&depthwise.wide).enumerate() {
        let [a, b, c, d] = start;
        let mut accs = [[s.load(a), s.load(b), s.load(c), s.load(d)]];
        for (&[a, b, c, d], lines) in taps.iter().zip(lines.as_chunks::<UNITS>().0) {
            // SAFETY: 64 channels begin at `first`, and the caller lets those of each tap be read.
            unsafe {
                accs[0] = s.dot_wide(accs[0], [a.add(first), b.add(first), c.add(first), d.add(first)], lines)
            };
        }
        depthwise.finish.values::<S, 1, UNITS, SINGLE>(s, block * UNITS, &mut accs);
        if let Some(y) = y[first..].first_chunk_mut::<WIDE>() {
            s.put_wide(accs[0], y);
        }
    }
    let narrow = starts.iter().zip(lines.chunks_exact(S::VALUE * taps.len()));
    for (unit, ((start, lines), &first)) in narrow.zip(&depthwise.narrow).enumerate() {
        let mut acc = [[s.load(start)]];
        for (&[a, b, c, d], lines) in taps.iter().zip(lines.chunks_exact(S::VALUE)) {
            // SAFETY: sixteen channels begin at `first`, and the caller lets those of each tap be read.
            unsafe {
                acc[0][0] =
                    s.dot_taps(acc[0][0], [a.add(first), b.add(first), c.add(first), d.add(first)], lines)
            };
        }
        depthwise.finish.values::<S, 1, 1, SINGLE>(s, wide_starts.len() + unit, &mut acc);
        s.put(acc[0][0], &mut y[first..first + LANES]);
    }
}
