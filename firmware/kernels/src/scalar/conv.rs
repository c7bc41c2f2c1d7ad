//! Convolution with any kernel, stride, padding and group count; 1x1 and fully connected are its simplest shapes.

use core::num::NonZero;

use super::{BLOCK, widest};
use crate::requant::Output;
use crate::{Shape, Window, Words};

/// Output pixels whose windows are multiplied with one reading of the weights.
const PIXELS: usize = 2;

/// Output channels that one reading of a window serves.
const LANES: usize = 4;

/// A convolution.
///
/// The weights are `[output channel][kernel row][kernel column][input channel of the group]`. The bias has the input's
/// zero point folded in: `bias - zero_point * sum of the channel's weights`, so that a window filled with the zero point
/// where it reaches outside the input gives the exact accumulator without a subtraction a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv<'p> {
    /// Shape of the input.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
    /// How the kernel slides.
    pub window: Window,
    /// Groups; both channel counts are multiples of it.
    pub groups: usize,
    /// The int8 that stands for real zero in the input.
    pub input_zero: i8,
    /// `output.channels * kernel rows * kernel columns * input.channels / groups` weights.
    pub weights: &'p [i8],
    /// One folded bias for every output channel.
    pub bias: Words<'p>,
    /// Requantization and clamp.
    pub finish: Output<'p>,
}

/// Scratch bytes that a convolution of this shape needs; 0 when its windows lie contiguous in the input.
pub fn scratch_bytes(input: Shape, output: Shape, window: Window, groups: usize) -> usize {
    if is_contiguous(input, output, window, groups) {
        return 0;
    }
    let taps =
        window.kernel[0].saturating_mul(window.kernel[1]).saturating_mul(input.channels / groups.max(1));
    taps.saturating_mul(PIXELS)
}

/// Whether each window is one run of bytes in the input: a 1x1 kernel, or one as wide as the input, without padding.
pub(crate) fn is_contiguous(input: Shape, output: Shape, window: Window, groups: usize) -> bool {
    let inside = |axis: usize, outputs: usize, inputs: usize| {
        window.pad[axis] == 0
            && outputs
                .saturating_sub(1)
                .saturating_mul(window.stride[axis])
                .saturating_add(window.kernel[axis])
                <= inputs
    };
    let one_run = window.kernel == [1, 1] || window.kernel[1] == input.width;
    groups == 1 && one_run && inside(0, output.height, input.height) && inside(1, output.width, input.width)
}

impl Conv<'_> {
    /// Taps of an output channel.
    pub const fn taps(&self) -> usize {
        let groups = if self.groups == 0 { 1 } else { self.groups };
        self.window.kernel[0] * self.window.kernel[1] * (self.input.channels / groups)
    }

    /// Convolves `x` into `y`. `scratch` has [`scratch_bytes`] bytes. `None` where a slice is shorter than the shapes say.
    // Its loops keep the registers to themselves: inlined into an interpreter they have spilled.
    #[inline(never)]
    pub fn run(&self, x: &[i8], scratch: &mut [i8], y: &mut [i8]) -> Option<()> {
        run(self, x, scratch, y)
    }

    /// The same, compiled for nothing beyond the target.
    #[cfg(test)]
    pub(crate) fn run_plain(&self, x: &[i8], scratch: &mut [i8], y: &mut [i8]) -> Option<()> {
        body(self, x, scratch, y)
    }
}

widest!(run, (conv: &Conv<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]), body);

#[inline(always)]
fn body(conv: &Conv<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) -> Option<()> {
    let Conv { input, output, window, groups, .. } = *conv;
    let direct = is_contiguous(input, output, window, groups);
    let (group_in, group_out) = (input.channels.checked_div(groups)?, output.channels.checked_div(groups)?);
    let taps = window.kernel[0] * window.kernel[1] * group_in;
    let (pixels, width) = (output.height * output.width, NonZero::new(output.width)?);
    let at = |pixel: usize| [pixel / width, pixel % width];
    for group in 0..groups {
        let weights = conv.weights.get(group * group_out * taps..)?.get(..group_out * taps)?;
        let mut pixel = 0;
        while pixel < pixels {
            // The last window of an odd count is computed twice; the second result is not stored.
            let second = (pixel + 1).min(pixels - 1);
            let windows: [&[i8]; PIXELS] = if direct {
                let window = |pixel: usize| {
                    let [oy, ox] = at(pixel);
                    let first = oy * window.stride[0] * input.width + ox * window.stride[1];
                    x.get(first * input.channels..)?.get(..taps)
                };
                [window(pixel)?, window(second)?]
            } else {
                let (a, b) = scratch.get_mut(..PIXELS * taps)?.split_at_mut_checked(taps)?;
                gather(conv, x, at(pixel), group * group_in, group_in, a)?;
                gather(conv, x, at(second), group * group_in, group_in, b)?;
                [a, b]
            };
            let mut done = 0;
            while done < group_out {
                let count = BLOCK.min(group_out - done);
                let first = group * group_out + done;
                let mut accs = [[0i32; BLOCK]; PIXELS];
                dots(windows, weights.get(done * taps..)?.get(..count * taps)?, taps, &mut accs)?;
                let [a, b] = &mut accs;
                for ((a, b), bias) in a.iter_mut().zip(b).zip(conv.bias.part(first, count).integers()) {
                    (*a, *b) = (a.wrapping_add(bias), b.wrapping_add(bias));
                }
                for (accs, p) in accs.iter().zip(pixel..=second) {
                    let place = y.get_mut(p * output.channels + first..)?.get_mut(..count)?;
                    conv.finish.store(first, accs.get(..count)?, place);
                }
                done += count;
            }
            pixel += PIXELS;
        }
    }
    Some(())
}

/// Copies the window of one output pixel, `count` channels from `first` on, with the zero point outside the input.
#[inline(always)]
pub(crate) fn gather(
    conv: &Conv<'_>,
    x: &[i8],
    [oy, ox]: [usize; 2],
    first: usize,
    count: usize,
    into: &mut [i8],
) -> Option<()> {
    let Conv { input, window, .. } = *conv;
    let mut places = into.chunks_exact_mut(count.max(1));
    for ky in 0..window.kernel[0] {
        let row = (oy * window.stride[0] + ky).checked_sub(window.pad[0]).filter(|&iy| iy < input.height);
        for kx in 0..window.kernel[1] {
            let place = places.next()?;
            let column =
                (ox * window.stride[1] + kx).checked_sub(window.pad[1]).filter(|&ix| ix < input.width);
            match row.zip(column) {
                Some((iy, ix)) => {
                    let from = x.get((iy * input.width + ix) * input.channels + first..)?;
                    place.copy_from_slice(from.get(..place.len())?);
                }
                None => place.fill(conv.input_zero),
            }
        }
    }
    Some(())
}

/// The dot products of each window with each row of `weights` (`taps` values a row).
#[inline(always)]
fn dots(
    windows: [&[i8]; PIXELS],
    weights: &[i8],
    taps: usize,
    accs: &mut [[i32; BLOCK]; PIXELS],
) -> Option<()> {
    let mut rows = weights.chunks_exact(taps.max(1));
    let whole = rows.len() / LANES;
    let [p, q] = accs;
    let fours = p.as_chunks_mut::<LANES>().0.iter_mut().zip(q.as_chunks_mut::<LANES>().0);
    for (p, q) in fours.take(whole) {
        [*p, *q] = dot_tile(windows, [rows.next()?, rows.next()?, rows.next()?, rows.next()?], taps)?;
    }
    for (row, (p, q)) in rows.zip(p.iter_mut().zip(q).skip(whole * LANES)) {
        [[*p], [*q]] = dot_tile(windows, [row], taps)?;
    }
    Some(())
}

/// Two windows against `N` rows: each value read from memory serves several products.
#[inline(always)]
fn dot_tile<const N: usize>(
    windows: [&[i8]; PIXELS],
    rows: [&[i8]; N],
    taps: usize,
) -> Option<[[i32; N]; PIXELS]> {
    // Equal lengths let the compiler drop the bounds checks.
    let (p, q) = (windows[0].get(..taps)?, windows[1].get(..taps)?);
    let mut equal = [p; N];
    for (equal, row) in equal.iter_mut().zip(rows) {
        *equal = row.get(..taps)?;
    }
    let rows = equal;
    let mut accs = [[0i32; N]; PIXELS];
    for i in 0..taps {
        for n in 0..N {
            accs[0][n] += p[i] as i32 * rows[n][i] as i32;
            accs[1][n] += q[i] as i32 * rows[n][i] as i32;
        }
    }
    Some(accs)
}
