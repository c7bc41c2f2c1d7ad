//! Convolution: windows as rows of 32-bit words, up to six of them against up to sixty-four outputs at a time.

use core::ops::Range;
use std::vec::Vec;

use super::finish::{Finish, flip};
use super::layout::{in_order, units};
use super::simd::{LANES, Lanes, Line, Simd};
use crate::scalar::{self, Slope};
use crate::{Shape, Window};

/// Windows that one reading of the weights serves.
const ROWS: usize = 6;

/// The same where single precision does not do for what follows.
const SLOW_ROWS: usize = 2;

/// Bytes of windows that are multiplied before the next ones are gathered: they stay in the first cache, beside the weights.
const WINDOWS: usize = 12 << 10;

/// A convolution with its weights in the order in which one instruction set reads them.
#[derive(Debug, Clone)]
pub(super) struct Conv {
    input: Shape,
    output: Shape,
    window: Window,
    input_zero: i8,
    panels: Vec<Panel>,
    /// For each unit of outputs, up to [`Simd::UNITS`] side by side: one line for each word of a window.
    lines: Vec<Line>,
    /// What accumulators start with, by units.
    start: Vec<Lanes>,
    finish: Finish,
    /// 32-bit words of a window.
    words: usize,
    /// Windows that are gathered at a time.
    chunk: usize,
}

/// Some inputs that some outputs see: a group, or several small ones whose outputs fill a register.
#[derive(Debug, Clone)]
struct Panel {
    inputs: Range<usize>,
    outputs: Range<usize>,
    /// Where its lines begin.
    line: usize,
    /// Where its units begin.
    unit: usize,
}

/// Packs `conv`, which `slope` follows in place.
pub(super) fn pack<S: Simd>(conv: &scalar::Conv<'_>, slope: Option<&Slope<'_>>) -> Conv {
    let scalar::Conv { input, output, window, groups, input_zero, .. } = *conv;
    let (inner, outer) = (input.channels / groups, output.channels / groups);
    let taps = window.kernel[0] * window.kernel[1] * inner;
    // Small groups together, as many as fill a register; their windows hold each other's inputs, with weights of 0.
    let together = (LANES / outer).clamp(1, groups);
    let words = (taps * together * S::VALUE).div_ceil(4);
    let firsts = (0..groups).step_by(together);
    let ranges: Vec<Range<usize>> =
        firsts.map(|first| first * outer..(first + together).min(groups) * outer).collect();
    let layout = in_order(ranges.iter().cloned());
    let row = |output: usize| &conv.weights[output * taps..][..taps];
    let start = conv.bias.integers().enumerate().map(|(output, bias)| {
        let sum: i32 = row(output).iter().map(|&w| w as i32).sum();
        bias.wrapping_sub(sum.wrapping_mul(flip::<S>()))
    });
    let mut packed = Conv {
        input,
        output,
        window,
        input_zero,
        panels: Vec::new(),
        lines: Vec::new(),
        start: units(&layout, start),
        finish: Finish::new(&conv.finish, slope, &layout),
        words,
        chunk: (WINDOWS / (4 * words) / ROWS * ROWS).max(ROWS),
    };
    let mut unit = 0;
    for outputs in ranges {
        let inputs = outputs.start / outer * inner..outputs.end / outer * inner;
        let panel = Panel { inputs, outputs, line: packed.lines.len(), unit };
        unit += panel.outputs.len().div_ceil(LANES);
        let outputs: Vec<usize> = panel.outputs.clone().collect();
        for block in outputs.chunks(LANES * S::UNITS) {
            let across = block.len().div_ceil(LANES);
            let first_line = packed.lines.len();
            packed.lines.resize(first_line + across * words, Line([[0; 4]; LANES]));
            let lines = &mut packed.lines[first_line..];
            for (lane, &output) in block.iter().enumerate() {
                // Where the output's own inputs begin among those of the panel.
                let own = (output - panel.outputs.start) / outer * inner;
                for (tap, &weight) in row(output).iter().enumerate() {
                    let at = S::VALUE * (tap / inner * panel.inputs.len() + own + tap % inner);
                    let word = &mut lines[at / 4 * across + lane / LANES].0[lane % LANES];
                    let value = (weight as i16).to_le_bytes();
                    word[at % 4..at % 4 + S::VALUE].copy_from_slice(&value[..S::VALUE]);
                }
            }
        }
        packed.panels.push(panel);
    }
    packed
}

/// Convolves `x` into `y`; `scratch` has [`Conv::scratch_words`].
#[inline(always)]
pub(super) fn run<S: Simd>(s: S, conv: &Conv, x: &[i8], scratch: &mut [[u8; 4]], y: &mut [i8]) {
    let channels = conv.output.channels;
    let pixels = conv.output.height * conv.output.width;
    for first in (0..pixels).step_by(conv.chunk) {
        let chunk = first..(first + conv.chunk).min(pixels);
        for panel in &conv.panels {
            let rows = &mut scratch[..chunk.len() * conv.words];
            conv.gather::<S>(panel, chunk.clone(), x, rows.as_flattened_mut());
            conv.multiply(s, panel, rows, &mut y[chunk.start * channels..chunk.end * channels]);
        }
    }
}

impl Conv {
    /// 32-bit words that [`run`] gathers windows in.
    pub(super) fn scratch_words(&self) -> usize {
        self.chunk * self.words
    }

    /// Whether it requantizes in single precision.
    #[cfg(test)]
    pub(super) fn is_single(&self) -> bool {
        self.finish.is_single()
    }

    /// The shapes of input and output.
    pub(super) fn shapes(&self) -> [Shape; 2] {
        [self.input, self.output]
    }

    /// The windows of some pixels, one after another.
    #[inline(always)]
    fn gather<S: Simd>(&self, panel: &Panel, pixels: Range<usize>, x: &[i8], rows: &mut [u8]) {
        let Conv { input, output, window, .. } = *self;
        let inputs = panel.inputs.len();
        let all = inputs == input.channels;
        let pixel_by_pixel = window == Window { kernel: [1, 1], stride: [1, 1], pad: [0, 0] };
        if all && pixel_by_pixel && output.width == input.width && 4 * self.words == inputs * S::VALUE {
            return place::<S>(rows, &x[pixels.start * inputs..pixels.end * inputs]);
        }
        let run = window.kernel[1] * inputs;
        for (index, pixel) in pixels.enumerate() {
            let (oy, ox) = (pixel / output.width, pixel % output.width);
            let first = (ox * window.stride[1]).wrapping_sub(window.pad[1]);
            for ky in 0..window.kernel[0] {
                let at = 4 * self.words * index + ky * run * S::VALUE;
                let iy = (oy * window.stride[0] + ky).wrapping_sub(window.pad[0]);
                if iy >= input.height {
                    fill::<S>(&mut rows[at..at + run * S::VALUE], self.input_zero);
                } else if all && first < input.width && first + window.kernel[1] <= input.width {
                    place_run::<S>(&mut rows[at..], &x[(iy * input.width + first) * inputs..], run);
                } else {
                    let row = &mut rows[at..at + run * S::VALUE];
                    for (kx, row) in row.chunks_exact_mut(inputs * S::VALUE).enumerate() {
                        let ix = first.wrapping_add(kx);
                        if ix < input.width {
                            let from = (iy * input.width + ix) * input.channels + panel.inputs.start;
                            place::<S>(row, &x[from..from + inputs]);
                        } else {
                            fill::<S>(row, self.input_zero);
                        }
                    }
                }
            }
        }
    }

    /// All outputs of a panel for the windows in `rows`; `y` holds whole pixels.
    #[inline(always)]
    fn multiply<S: Simd>(&self, s: S, panel: &Panel, rows: &[[u8; 4]], y: &mut [i8]) {
        let outputs = panel.outputs.len();
        let mut line = panel.line;
        for first in (0..outputs).step_by(LANES * S::UNITS) {
            let count = (outputs - first).min(LANES * S::UNITS);
            let across = count.div_ceil(LANES);
            let lines = &self.lines[line..line + across * self.words];
            line += lines.len();
            let block = Block { first: panel.outputs.start + first, count, unit: panel.unit + first / LANES };
            match across {
                1 => self.block::<S, 1>(s, block, lines.as_chunks().0, rows, y),
                2 => self.block::<S, 2>(s, block, lines.as_chunks().0, rows, y),
                3 => self.block::<S, 3>(s, block, lines.as_chunks().0, rows, y),
                _ => self.block::<S, 4>(s, block, lines.as_chunks().0, rows, y),
            }
        }
    }

    /// `U` units of outputs for all windows.
    #[inline(always)]
    fn block<S: Simd, const U: usize>(
        &self,
        s: S,
        block: Block,
        lines: &[[Line; U]],
        rows: &[[u8; 4]],
        y: &mut [i8],
    ) {
        if U > S::UNITS {
            return;
        }
        let rows_at_once = if self.finish.is_single() { ROWS } else { SLOW_ROWS };
        let channels = self.output.channels;
        let tiles = rows.chunks(rows_at_once * self.words).zip(y.chunks_mut(rows_at_once * channels));
        for (rows, y) in tiles {
            match (rows_at_once, y.len() / channels) {
                (ROWS, 6) => self.tile::<S, 6, U, true>(s, block, lines, rows, y),
                (ROWS, 5) => self.tile::<S, 5, U, true>(s, block, lines, rows, y),
                (ROWS, 4) => self.tile::<S, 4, U, true>(s, block, lines, rows, y),
                (ROWS, 3) => self.tile::<S, 3, U, true>(s, block, lines, rows, y),
                (ROWS, 2) => self.tile::<S, 2, U, true>(s, block, lines, rows, y),
                (ROWS, _) => self.tile::<S, 1, U, true>(s, block, lines, rows, y),
                (_, 2) => self.tile::<S, 2, U, false>(s, block, lines, rows, y),
                (_, _) => self.tile::<S, 1, U, false>(s, block, lines, rows, y),
            }
        }
    }

    /// `P` windows against `U` units of outputs; the sums stay in registers until they are int8.
    #[inline(always)]
    fn tile<S: Simd, const P: usize, const U: usize, const SINGLE: bool>(
        &self,
        s: S,
        block: Block,
        lines: &[[Line; U]],
        rows: &[[u8; 4]],
        y: &mut [i8],
    ) {
        let words = lines.len();
        let start = &self.start[block.unit..block.unit + U];
        assert!(rows.len() == P * words);
        let mut accs = [[s.splat(0); U]; P];
        for u in 0..U {
            let start = s.load(&start[u]);
            for accs in &mut accs {
                accs[u] = start;
            }
        }
        for (word, lines) in lines.iter().enumerate() {
            let mut weights = [s.splat(0); U];
            for u in 0..U {
                weights[u] = s.line(&lines[u]);
            }
            for (p, accs) in accs.iter_mut().enumerate() {
                // SAFETY: `word` is less than `words`, and there are `P` times as many.
                let x = s.word(unsafe { *rows.get_unchecked(p * words + word) });
                for u in 0..U {
                    accs[u] = s.dot(accs[u], x, weights[u]);
                }
            }
        }
        self.finish.values::<S, P, U, SINGLE>(s, block.unit, &mut accs);
        unrolled!(u in U {
            let first = block.first + u * LANES;
            let count = (block.count - u * LANES).min(LANES);
            unrolled!(p in P {
                s.put(accs[p][u], &mut y[p * self.output.channels + first..][..count]);
            });
        });
    }
}

/// Some outputs of a panel.
#[derive(Clone, Copy)]
struct Block {
    /// The first output channel.
    first: usize,
    /// How many.
    count: usize,
    /// The unit of the first.
    unit: usize,
}

/// Values as a window holds them.
#[inline(always)]
fn place<S: Simd>(row: &mut [u8], values: &[i8]) {
    if S::VALUE == 1 {
        for (byte, &value) in row.iter_mut().zip(values) {
            *byte = value as u8 ^ 0x80;
        }
    } else {
        for (bytes, &value) in row.as_chunks_mut::<2>().0.iter_mut().zip(values) {
            *bytes = (value as i16).to_le_bytes();
        }
    }
}

/// The first `count` values; what lies behind their place in `rows`, which is gathered later, may change.
#[inline(always)]
fn place_run<S: Simd>(rows: &mut [u8], values: &[i8], count: usize) {
    // One step instead of a loop.
    if S::VALUE == 1
        && count <= LANES
        && let (Some(row), Some(values)) = (rows.first_chunk_mut::<LANES>(), values.first_chunk::<LANES>())
    {
        return place::<S>(row, values);
    }
    place::<S>(&mut rows[..count * S::VALUE], &values[..count]);
}

/// One value all over.
#[inline(always)]
fn fill<S: Simd>(row: &mut [u8], value: i8) {
    if S::VALUE == 1 {
        row.fill(value as u8 ^ 0x80);
    } else {
        row.as_chunks_mut::<2>().0.fill((value as i16).to_le_bytes());
    }
}
