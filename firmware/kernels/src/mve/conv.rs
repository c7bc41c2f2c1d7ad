//! Convolution with packed weights: each window, one run of bytes, meets every output channel.

use core::num::NonZero;

use super::scratch::WINDOWS;
use super::tile::{self, Steps, Windows};
use super::{BLOCK, packing, part};
use crate::packing::Packing;
use crate::requant::Requant;
use crate::scalar::{Conv, is_contiguous};
use crate::window;

/// Blocks whose sums are kept at once.
const BLOCKS: usize = 8;

/// Convolves `x` into `y`. The weights are packed as [`packing`] says; `scratch` has [`super::conv_scratch_bytes`] bytes. `None` where
/// a slice is shorter than the shapes say.
pub fn conv(conv: &Conv<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) -> Option<()> {
    let Conv { input, output, window, groups, .. } = *conv;
    let packing = packing(input, output, window, groups);
    let direct = is_contiguous(input, output, window, groups);
    for group in 0..groups {
        let run = Group::new(conv, packing, group)?;
        if direct {
            in_place(&run, x, y)?;
        } else {
            gathered(&run, x, scratch, y)?;
        }
    }
    Some(())
}

/// Windows that lie in the input as they are: all pixels at once where they are the windows, otherwise row by row.
fn in_place(run: &Group<'_, '_>, x: &[i8], y: &mut [i8]) -> Option<()> {
    let Conv { input, output, window, .. } = *run.conv;
    let taps = run.packing.taps();
    let step = window.stride[1] * input.channels;
    if window.kernel == [1, 1] && window.stride == [1, 1] && input.width == output.width {
        let count = output.height * output.width;
        return run.finish(&Windows { x, taps, step, count }, y);
    }
    let y_row = NonZero::new(output.width * output.channels)?;
    for (row, y) in y.chunks_exact_mut(y_row.get()).enumerate() {
        let x = x.get(row * window.stride[0] * input.width * input.channels..)?;
        run.finish(&Windows { x, taps, step, count: output.width }, y)?;
    }
    Some(())
}

/// Windows that are copied together first, a few at a time.
fn gathered(run: &Group<'_, '_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) -> Option<()> {
    let (output, taps) = (run.conv.output, NonZero::new(run.packing.taps())?.get());
    let channels = NonZero::new(output.channels)?;
    let mut at = [0, 0];
    for y in y.chunks_mut((WINDOWS * channels.get()).max(1)) {
        let count = y.len() / channels;
        if let Some(first) = inside(run.conv, at, count) {
            let Conv { input, window, .. } = *run.conv;
            let steps = [input.width, window.stride[1]].map(|pixels| pixels * input.channels);
            let row = window.kernel[1] * input.channels;
            let x = x.get(first * input.channels..)?;
            tile::copy_windows(x, scratch, count, window.kernel[0], row, steps);
            at = window::following([at[0], at[1] + count - 1], output.width);
        } else {
            for into in scratch.chunks_exact_mut(taps).take(count) {
                gather(run.conv, x, at, run.group, into)?;
                at = window::following(at, output.width);
            }
        }
        run.finish(&Windows { x: scratch, taps, step: taps, count }, y)?;
    }
    Some(())
}

/// One group of a convolution.
struct Group<'a, 'p> {
    conv: &'a Conv<'p>,
    packing: Packing,
    group: usize,
    /// Its weights.
    weights: &'p [i8],
    /// Its first output channel.
    first: usize,
    /// Its output channels.
    outputs: usize,
    /// Those that the inner loops finish: whole blocks with one high multiply.
    finished: usize,
    /// Biases and multipliers of these.
    constants: [&'p [[u8; 4]]; 2],
    steps: Steps,
}

impl<'a, 'p> Group<'a, 'p> {
    fn new(conv: &'a Conv<'p>, packing: Packing, group: usize) -> Option<Self> {
        let outputs = conv.output.channels.checked_div(conv.groups)?;
        let first = group * outputs;
        let (finished, mults) = match conv.finish.requant {
            Requant::HighMul { mults } => {
                let finished = outputs / BLOCK * BLOCK;
                (finished, part(mults, first, finished))
            }
            _ => (0, &[][..]),
        };
        let bytes = packing.group_bytes();
        Some(Group {
            conv,
            packing,
            group,
            weights: conv.weights.get(group * bytes..)?.get(..bytes)?,
            first,
            outputs,
            finished,
            constants: [part(conv.bias, first, finished), mults],
            steps: Steps::of(&conv.finish),
        })
    }

    /// The group's outputs for some windows; `y` begins with the first one's pixel.
    #[inline(always)]
    fn finish(&self, windows: &Windows<'_>, y: &mut [i8]) -> Option<()> {
        let y_step = self.conv.output.channels;
        if self.finished > 0 {
            let y = y.get_mut(self.first..)?;
            tile::finish(windows, self.weights, self.constants, &self.steps, y, y_step);
        }
        if self.finished < self.outputs {
            self.summed(windows, y)?;
        }
        Some(())
    }

    /// The other outputs, by way of their sums: with other rules, or in an incomplete block.
    #[inline(never)]
    fn summed(&self, windows: &Windows<'_>, y: &mut [i8]) -> Option<()> {
        let y_step = NonZero::new(self.conv.output.channels)?.get();
        let block = self.packing.block_bytes();
        for done in (self.finished..self.outputs).step_by(BLOCKS * BLOCK) {
            let (first, count) = (self.first + done, (BLOCKS * BLOCK).min(self.outputs - done));
            let weights = self.weights.get(done / BLOCK * block..)?;
            for (at, y) in y.chunks_mut(y_step).take(windows.count).enumerate() {
                let window = windows.x.get(at * windows.step..)?.get(..windows.taps)?;
                let mut sums = [[0; BLOCK]; BLOCKS];
                tile::sums(window, weights, sums.get_mut(..count.div_ceil(BLOCK))?);
                let sums = sums.as_flattened_mut().get_mut(..count)?;
                for (sum, bias) in sums.iter_mut().zip(self.conv.bias.part(first, count).integers()) {
                    *sum = sum.wrapping_add(bias);
                }
                self.conv.finish.store(first, sums, y.get_mut(first..)?.get_mut(..count)?);
            }
        }
        Some(())
    }
}

/// The first pixel of the first of `count` windows that follow one another in one row, if they lie inside the input and have all of
/// its channels.
fn inside(conv: &Conv<'_>, at: [usize; 2], count: usize) -> Option<usize> {
    let Conv { input, output, window, groups, .. } = *conv;
    let [iy, ix] = [0, 1].map(|axis| (at[axis] * window.stride[axis]).checked_sub(window.pad[axis]));
    let (iy, ix) = iy.zip(ix)?;
    let end = ix + (count - 1) * window.stride[1] + window.kernel[1];
    let fits = groups == 1
        && at[1] + count <= output.width
        && iy + window.kernel[0] <= input.height
        && end <= input.width;
    fits.then_some(iy * input.width + ix)
}

/// Copies one group's window of one output pixel, with the zero point outside the input.
#[inline(never)]
fn gather(conv: &Conv<'_>, x: &[i8], at: [usize; 2], group: usize, into: &mut [i8]) -> Option<()> {
    window::gather(conv, x, at, group, into, tile::copy_rows)
}
