//! Convolution: four windows against sixteen outputs at a time, sixteen taps a step.

use core::ops::Range;
use std::vec::Vec;

use super::dot::{Block, Dotted, Multiply, Paired, Single, Sums};
use super::finish::Finish;
use super::lanes::{LANES, Lanes, in_order, load, store, units};
use crate::scalar::{self, Slope, is_contiguous};
use crate::{Shape, Window, as_i8};

/// Windows that one reading of the weights serves.
const ROWS: usize = 4;

/// Bytes of windows that are multiplied before the next ones are gathered: they stay in the first cache, beside the weights.
const WINDOWS: usize = 12 << 10;

/// A convolution with its weights in the order in which one instruction set reads them.
#[derive(Debug, Clone)]
pub(super) struct Conv {
    input: Shape,
    output: Shape,
    window: Window,
    input_zero: i8,
    sums: Sums,
    panels: Vec<Panel>,
    /// For each unit of sixteen outputs, a block for every sixteen taps.
    blocks: Vec<Block>,
    /// What accumulators start with, by units.
    start: Vec<Lanes>,
    finish: Finish,
    /// Steps of sixteen taps in a window.
    steps: usize,
    /// Whether windows are read where they lie in the input.
    direct: bool,
    /// Windows that are gathered at a time.
    chunk: usize,
}

/// Some inputs that some outputs see: a group, or several small ones whose outputs fill a unit.
#[derive(Debug, Clone)]
struct Panel {
    inputs: Range<usize>,
    outputs: Range<usize>,
    /// Its first unit.
    unit: usize,
}

/// Packs `conv`, which `slope` follows in place.
pub(super) fn pack(sums: Sums, conv: &scalar::Conv<'_>, slope: Option<&Slope<'_>>) -> Conv {
    let scalar::Conv { input, output, window, groups, input_zero, .. } = *conv;
    let (inner, outer) = (input.channels / groups, output.channels / groups);
    let taps = window.kernel[0] * window.kernel[1] * inner;
    // Small groups together, as many as fill a unit; their windows hold each other's inputs, with weights of 0.
    let together = (LANES / outer).clamp(1, groups);
    let steps = (taps * together).div_ceil(LANES);
    let mut panels: Vec<Panel> = Vec::new();
    let mut unit = 0;
    for first in (0..groups).step_by(together) {
        let end = (first + together).min(groups);
        let panel = Panel { inputs: first * inner..end * inner, outputs: first * outer..end * outer, unit };
        unit += panel.outputs.len().div_ceil(LANES);
        panels.push(panel);
    }
    let mut blocks = std::vec![Block([[[0; LANES]; 4]; 4]); unit * steps];
    for panel in &panels {
        for (index, output) in panel.outputs.clone().enumerate() {
            let blocks = &mut blocks[(panel.unit + index / LANES) * steps..][..steps];
            // Where the output's own inputs begin among those of the panel.
            let own = index / outer * inner;
            for (tap, &weight) in conv.weights[output * taps..][..taps].iter().enumerate() {
                let at = tap / inner * panel.inputs.len() + own + tap % inner;
                let bytes = blocks[at / LANES].0.as_flattened_mut().as_flattened_mut();
                bytes[sums.place(index % LANES, at % LANES)] = weight;
            }
        }
    }
    let layout = in_order(panels.iter().map(|panel| panel.outputs.clone()));
    Conv {
        input,
        output,
        window,
        input_zero,
        sums,
        start: units(&layout, conv.bias.integers()),
        finish: Finish::new(&conv.finish, slope, &layout),
        panels,
        blocks,
        steps,
        direct: taps % LANES == 0 && is_contiguous(input, output, window, groups),
        chunk: (WINDOWS / (LANES * steps) / ROWS * ROWS).max(ROWS),
    }
}

/// Convolves with the dot product instructions.
///
/// # Safety
/// The processor has them.
#[target_feature(enable = "dotprod")]
unsafe fn run_dotted(conv: &Conv, x: &[i8], scratch: &mut [u8], y: &mut [i8]) {
    // SAFETY: the caller's.
    conv.run_by(unsafe { Dotted::new() }, x, scratch, y);
}

impl Conv {
    /// 32-bit words that [`Conv::run`] gathers windows in.
    pub(super) fn scratch_words(&self) -> usize {
        if self.direct { 0 } else { self.chunk * self.steps * LANES / 4 }
    }

    /// The shapes of input and output.
    pub(super) fn shapes(&self) -> [Shape; 2] {
        [self.input, self.output]
    }

    /// Convolves `x` into `y`, which have the bytes of their shapes; `scratch` has [`Conv::scratch_words`].
    pub(super) fn run(&self, x: &[i8], scratch: &mut [[u8; 4]], y: &mut [i8]) {
        let scratch = scratch.as_flattened_mut();
        match self.sums {
            Sums::Paired => self.run_by(Paired, x, scratch, y),
            Sums::Single => self.run_by(Single, x, scratch, y),
            // SAFETY: this variant is only made on a processor that has the instructions.
            Sums::Dotted => unsafe { run_dotted(self, x, scratch, y) },
        }
    }

    #[inline(always)]
    fn run_by(&self, by: impl Multiply, x: &[i8], scratch: &mut [u8], y: &mut [i8]) {
        let channels = self.output.channels;
        let pixels = self.output.height * self.output.width;
        for first in (0..pixels).step_by(self.chunk) {
            let chunk = first..(first + self.chunk).min(pixels);
            let y = &mut y[chunk.start * channels..chunk.end * channels];
            for panel in &self.panels {
                if self.direct {
                    self.multiply(by, panel, |row| &x[self.window_at(chunk.start + row)..], y);
                } else {
                    self.gather(panel, chunk.clone(), x, scratch);
                    let scratch = as_i8(scratch);
                    self.multiply(by, panel, |row| &scratch[row * self.steps * LANES..], y);
                }
            }
        }
    }

    /// Where the window of an output pixel begins in the input, if all of it lies there.
    #[inline(always)]
    fn window_at(&self, pixel: usize) -> usize {
        let Conv { input, output, window, .. } = self;
        let (oy, ox) = (pixel / output.width, pixel % output.width);
        (oy * window.stride[0] * input.width + ox * window.stride[1]) * input.channels
    }

    /// The windows of some pixels, one after another.
    #[inline(always)]
    fn gather(&self, panel: &Panel, pixels: Range<usize>, x: &[i8], rows: &mut [u8]) {
        let Conv { input, output, window, .. } = *self;
        let inputs = panel.inputs.len();
        let all = inputs == input.channels;
        let x = as_u8(x);
        for (row, pixel) in rows.chunks_exact_mut(self.steps * LANES).zip(pixels) {
            let (oy, ox) = (pixel / output.width, pixel % output.width);
            let run = window.kernel[1] * inputs;
            for (ky, row) in row.chunks_mut(run).take(window.kernel[0]).enumerate() {
                let iy = (oy * window.stride[0] + ky).wrapping_sub(window.pad[0]);
                let first = (ox * window.stride[1]).wrapping_sub(window.pad[1]);
                if iy >= input.height {
                    row.fill(self.input_zero as u8);
                } else if all && first < input.width && first + window.kernel[1] <= input.width {
                    row.copy_from_slice(&x[(iy * input.width + first) * inputs..][..run]);
                } else {
                    for (kx, row) in row.chunks_exact_mut(inputs).enumerate() {
                        let ix = first.wrapping_add(kx);
                        if ix < input.width {
                            let at = (iy * input.width + ix) * input.channels + panel.inputs.start;
                            row.copy_from_slice(&x[at..at + inputs]);
                        } else {
                            row.fill(self.input_zero as u8);
                        }
                    }
                }
            }
        }
    }

    /// All outputs of a panel for the windows that begin at each `window`; `y` holds their whole pixels.
    #[inline(always)]
    fn multiply<'x>(
        &self,
        by: impl Multiply,
        panel: &Panel,
        window: impl Fn(usize) -> &'x [i8],
        y: &mut [i8],
    ) {
        let channels = self.output.channels;
        let window = |row: usize| &window(row)[..self.steps * LANES];
        for first in panel.outputs.clone().step_by(LANES) {
            let outputs = first..panel.outputs.end.min(first + LANES);
            let unit = panel.unit + (first - panel.outputs.start) / LANES;
            let mut tiles = y.chunks_exact_mut(ROWS * channels);
            let mut row = 0;
            for y in &mut tiles {
                self.tile::<ROWS>(by, unit, [0, 1, 2, 3].map(|p| window(row + p)), outputs.clone(), y);
                row += ROWS;
            }
            for y in tiles.into_remainder().chunks_exact_mut(channels) {
                self.tile::<1>(by, unit, [window(row)], outputs.clone(), y);
                row += 1;
            }
        }
    }

    /// `P` windows against a unit of outputs; the sums stay in registers until they are int8.
    #[inline(always)]
    fn tile<const P: usize>(
        &self,
        by: impl Multiply,
        unit: usize,
        windows: [&[i8]; P],
        outputs: Range<usize>,
        y: &mut [i8],
    ) {
        let windows = windows.map(|window| window.as_chunks::<LANES>().0);
        let mut accs = [self.start[unit].load(); P];
        for (step, block) in self.blocks[unit * self.steps..][..self.steps].iter().enumerate() {
            by.multiply(&mut accs, windows.map(|window| load(&window[step])), block);
        }
        for (accs, y) in accs.into_iter().zip(y.chunks_exact_mut(self.output.channels)) {
            store(self.finish.apply(unit, accs), &mut y[outputs.clone()]);
        }
    }
}

/// Values as the bytes that they are.
fn as_u8(values: &[i8]) -> &[u8] {
    // SAFETY: i8 and u8 have the same size, alignment and valid bit patterns, and the lifetime is that of the borrow.
    unsafe { core::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}
