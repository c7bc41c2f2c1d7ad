//! Depthwise convolution: one kernel for each channel.

use core::num::NonZero;

use super::{BLOCK, widest};
use crate::requant::Output;
use crate::{Shape, Window, Words};

/// A depthwise convolution; input and output have the same channels.
///
/// The weights are `[kernel row][kernel column][channel]`, so that a tap's channels lie side by side as the input's do.
/// The bias is the model's own, nothing folded in: the zero point is subtracted from every value, and taps outside the
/// input are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depthwise<'p> {
    /// Shape of the input.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
    /// How the kernel slides.
    pub window: Window,
    /// The int8 that stands for real zero in the input.
    pub input_zero: i8,
    /// `kernel rows * kernel columns * channels` weights.
    pub weights: &'p [i8],
    /// One bias for every channel.
    pub bias: Words<'p>,
    /// Requantization and clamp.
    pub finish: Output<'p>,
}

impl Depthwise<'_> {
    /// Convolves `x` into `y`. `None` where a slice is shorter than the shapes say.
    // Its loops keep the registers to themselves: inlined into an interpreter they have spilled.
    #[inline(never)]
    pub fn run(&self, x: &[i8], y: &mut [i8]) -> Option<()> {
        run(self, x, y)
    }

    /// The same, compiled for nothing beyond the target.
    #[cfg(test)]
    pub(crate) fn run_plain(&self, x: &[i8], y: &mut [i8]) -> Option<()> {
        body(self, x, y)
    }
}

widest!(run, (depthwise: &Depthwise<'_>, x: &[i8], y: &mut [i8]), body);

#[inline(always)]
fn body(depthwise: &Depthwise<'_>, x: &[i8], y: &mut [i8]) -> Option<()> {
    let Depthwise { input, output, window, .. } = *depthwise;
    let (channels, width) = (input.channels, NonZero::new(output.width)?);
    let zero = depthwise.input_zero as i16;
    for (pixel, y) in y.chunks_exact_mut(channels.max(1)).enumerate() {
        let (oy, ox) = (pixel / width, pixel % width);
        let rows = inside(oy, window, 0, input.height);
        let columns = inside(ox, window, 1, input.width);
        let mut first = 0;
        while first < channels {
            let count = BLOCK.min(channels - first);
            let mut accs = [0i32; BLOCK];
            for (acc, bias) in accs.iter_mut().zip(depthwise.bias.part(first, count).integers()) {
                *acc = bias;
            }
            for ky in rows.clone() {
                let iy = oy * window.stride[0] + ky - window.pad[0];
                for kx in columns.clone() {
                    let ix = ox * window.stride[1] + kx - window.pad[1];
                    let x = x.get((iy * input.width + ix) * channels + first..)?.get(..count)?;
                    let w = (ky * window.kernel[1] + kx) * channels + first;
                    let w = depthwise.weights.get(w..)?.get(..count)?;
                    match (x.as_array::<BLOCK>(), w.as_array::<BLOCK>()) {
                        (Some(x), Some(w)) => add_tap(&mut accs, x, w, zero),
                        _ => add_tap(accs.get_mut(..count)?, x, w, zero),
                    }
                }
            }
            depthwise.finish.store(first, accs.get(..count)?, y.get_mut(first..)?.get_mut(..count)?);
            first += count;
        }
    }
    Some(())
}

/// The taps of a window that lie inside the input, along one axis.
#[inline(always)]
pub(crate) fn inside(at: usize, window: Window, axis: usize, size: usize) -> core::ops::Range<usize> {
    let start = at * window.stride[axis];
    let first = window.pad[axis].saturating_sub(start);
    let end = (size + window.pad[axis]).saturating_sub(start).min(window.kernel[axis]);
    first..end
}

/// Adds one tap of every channel. `|x - zero| <= 255` and `|w| <= 128`: the product fits 16 bits.
#[inline(always)]
fn add_tap(accs: &mut [i32], x: &[i8], w: &[i8], zero: i16) {
    for ((acc, &x), &w) in accs.iter_mut().zip(x).zip(w) {
        *acc += ((x as i16 - zero) * w as i16) as i32;
    }
}
