//! Depthwise convolution: 64 channels at a time where there are as many, else sixteen; four taps a step.

use std::vec::Vec;

use super::finish::{Finish, flip};
use super::layout::{Layout, units};
use super::simd::{LANES, Lanes, Line, Simd, wide_channel};
use crate::scalar::{self, Slope};
use crate::{Shape, Window};

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

/// Where the taps of a window lie.
trait Taps: Copy {
    /// Tap `tap` of as many as the kernel has, rounded up to a multiple of four; those beyond the last have weights of 0.
    fn at(self, tap: usize) -> *const i8;
}

/// A window inside the input: its first pixel, and how far from it each tap lies.
#[derive(Clone, Copy)]
struct Inside<'a> {
    first: *const i8,
    offsets: &'a [usize; TAPS],
}

impl Taps for Inside<'_> {
    #[inline(always)]
    fn at(self, tap: usize) -> *const i8 {
        self.first.wrapping_add(self.offsets[tap % TAPS])
    }
}

/// A window that reaches beyond the input.
impl Taps for &[*const i8; TAPS] {
    #[inline(always)]
    fn at(self, tap: usize) -> *const i8 {
        self[tap % TAPS]
    }
}

/// The same, with what [`Finish::is_single`] tells as `SINGLE`.
#[inline(always)]
fn pixels<S: Simd, const SINGLE: bool>(s: S, depthwise: &Depthwise, x: &[i8], y: &mut [i8]) {
    let Depthwise { input, output, window, .. } = depthwise;
    let channels = input.channels;
    assert!(x.len() == input.bytes() && y.len() == output.bytes());
    let [kh, kw] = window.kernel;
    let mut offsets = [0; TAPS];
    for (tap, offset) in offsets.iter_mut().enumerate().take(kh * kw) {
        *offset = (tap / kw * input.width + tap % kw) * channels;
    }
    let inside = |first: usize, kernel: usize, size: usize| first < size && first + kernel <= size;
    for (oy, row) in y.chunks_exact_mut(output.width * channels).enumerate() {
        let first_row = (oy * window.stride[0]).wrapping_sub(window.pad[0]);
        let row_inside = inside(first_row, kh, input.height);
        for (ox, y) in row.chunks_exact_mut(channels).enumerate() {
            let first_column = (ox * window.stride[1]).wrapping_sub(window.pad[1]);
            if row_inside && inside(first_column, kw, input.width) {
                let first = x[(first_row * input.width + first_column) * channels..].as_ptr();
                // SAFETY: every tap begins a whole pixel of `x`.
                unsafe { pixel::<S, _, SINGLE>(s, depthwise, Inside { first, offsets: &offsets }, y) };
                continue;
            }
            let mut taps = [depthwise.outside.as_ptr(); TAPS];
            for (index, tap) in taps.iter_mut().enumerate().take(kh * kw) {
                let iy = first_row.wrapping_add(index / kw);
                let ix = first_column.wrapping_add(index % kw);
                if iy < input.height && ix < input.width {
                    *tap = x[(iy * input.width + ix) * channels..].as_ptr();
                }
            }
            // SAFETY: every tap begins a whole pixel of `x` or the pixel `outside`.
            unsafe { pixel::<S, _, SINGLE>(s, depthwise, &taps, y) };
        }
    }
}

/// One pixel `y` from its taps.
///
/// # Safety
/// As many bytes as there are channels can be read at each tap.
#[inline(always)]
unsafe fn pixel<S: Simd, T: Taps, const SINGLE: bool>(s: S, depthwise: &Depthwise, taps: T, y: &mut [i8]) {
    let count = depthwise.window.kernel[0] * depthwise.window.kernel[1];
    let quads = count.div_ceil(4);
    // Kernels of odd sides leave one tap.
    let whole = if count % 4 == 1 { count / 4 } else { quads };
    let (wide_starts, starts) = depthwise.start.split_at(depthwise.wide.len() * UNITS);
    let (wide_lines, lines) = depthwise.lines.split_at(wide_starts.len() * quads);
    let wide = wide_starts.as_chunks::<UNITS>().0.iter().zip(wide_lines.chunks_exact(UNITS * quads));
    for (block, ((start, lines), &first)) in wide.zip(&depthwise.wide).enumerate() {
        let [a, b, c, d] = start;
        let mut accs = [[s.load(a), s.load(b), s.load(c), s.load(d)]];
        let lines = lines.as_chunks::<UNITS>().0;
        let at = |tap: usize| taps.at(tap).wrapping_add(first);
        for (quad, lines) in lines.iter().enumerate().take(whole) {
            let taps = [at(4 * quad), at(4 * quad + 1), at(4 * quad + 2), at(4 * quad + 3)];
            // SAFETY: 64 channels begin at `first`, and the caller lets those of each tap be read.
            accs[0] = unsafe { s.dot_wide(accs[0], taps, lines) };
        }
        if let Some(lines) = lines.get(whole) {
            // SAFETY: as above.
            accs[0] = unsafe { s.dot_wide_one(accs[0], at(4 * whole), lines) };
        }
        depthwise.finish.values::<S, 1, UNITS, SINGLE>(s, block * UNITS, &mut accs);
        if let Some(y) = y[first..].first_chunk_mut::<WIDE>() {
            s.put_wide(accs[0], y);
        }
    }
    let narrow = starts.iter().zip(lines.chunks_exact(S::VALUE * quads));
    for (unit, ((start, lines), &first)) in narrow.zip(&depthwise.narrow).enumerate() {
        let mut acc = [[s.load(start)]];
        let at = |tap: usize| taps.at(tap).wrapping_add(first);
        for (quad, lines) in lines.chunks_exact(S::VALUE).enumerate() {
            let taps = [at(4 * quad), at(4 * quad + 1), at(4 * quad + 2), at(4 * quad + 3)];
            // SAFETY: sixteen channels begin at `first`, and the caller lets those of each tap be read.
            acc[0][0] = unsafe { s.dot_taps(acc[0][0], taps, lines) };
        }
        depthwise.finish.values::<S, 1, 1, SINGLE>(s, wide_starts.len() + unit, &mut acc);
        s.put(acc[0][0], &mut y[first..first + LANES]);
    }
}
