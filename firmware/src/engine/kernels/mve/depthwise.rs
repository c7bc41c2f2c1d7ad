//! Depthwise convolution, one channel at a time through a strip of rows in which every window is one run of bytes.

use super::packing::TAPS;
use super::scratch::Strip;
use super::store;
use super::tile::{self, Channel, Places, Steps, Windows};
use crate::engine::kernels::requant::Requant;
use crate::engine::kernels::scalar::Depthwise;

/// Windows whose sums are kept at once.
const SUMS: usize = 32;

/// Convolves `x` into `y`. `scratch` has [`super::depthwise_scratch_bytes`] bytes; where that is 0, the scalar kernel runs.
pub fn depthwise(depthwise: &Depthwise<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) {
    let Depthwise { input, output, window, .. } = *depthwise;
    match Strip::of(input, output, window).filter(|strip| scratch.len() >= strip.all()) {
        Some(strip) => run(depthwise, strip, x, scratch, y),
        None => depthwise.run(x, y),
    }
}

fn run(depthwise: &Depthwise<'_>, strip: Strip, x: &[i8], scratch: &mut [i8], y: &mut [i8]) {
    let Depthwise { input, output, window, input_zero, .. } = *depthwise;
    let (channels, [rows, across]) = (input.channels, window.kernel);
    let taps = rows * across;
    let (ring, rest) = scratch.split_at_mut(strip.bytes);
    let (copies, lists) = rest.split_at_mut(strip.copies * strip.copy_bytes);
    // Columns outside the input keep the zero point, and what fills up the weights keeps 0, for good.
    ring.fill(input_zero);
    copies.fill(0);
    let turned = |copy: usize| copy * window.stride[0] % rows;
    let places =
        Places::write(window.kernel, channels, &mut lists[..strip.copies * strip.list_bytes], turned);
    let mults = match depthwise.finish.requant {
        Requant::HighMul { mults } if taps <= TAPS => Some(mults),
        _ => None,
    };
    let mut constants = Channel { bias: 0, mult: 0, steps: Steps::of(&depthwise.finish) };
    let (x_row, y_row, step) = (input.width * channels, output.width * channels, window.stride[1] * rows);
    // A row's end may lie behind the last window.
    let inside = input.width.min(strip.columns - window.pad[1]);
    for channel in 0..channels {
        let mut weight = 0;
        for (at, copy) in copies.chunks_exact_mut(strip.copy_bytes).enumerate() {
            weight = tile::pick(&depthwise.weights[channel..], &places, at, &mut copy[..taps]);
        }
        let bias = depthwise.bias.part(channel, 1).integers().next().unwrap_or_default();
        constants.bias = bias.wrapping_sub((input_zero as i32).wrapping_mul(weight));
        if let Some(mults) = mults {
            constants.mult = mults.part(channel, 1).integers().next().unwrap_or_default();
        }
        let (mut loaded, mut slot, mut copy) = (0, 0, 0);
        for oy in 0..output.height {
            let top = oy * window.stride[0];
            // Rows between two windows are in none.
            if top > loaded {
                (loaded, slot) = (top, top % rows);
            }
            while loaded < top + rows {
                let into = &mut ring[slot..];
                match loaded.checked_sub(window.pad[0]).filter(|&iy| iy < input.height) {
                    Some(iy) => {
                        let x = &x[iy * x_row + channel..];
                        tile::spread(x, &mut into[window.pad[1] * rows..], inside, [channels, rows]);
                    }
                    None => into[..(strip.columns - 1) * rows + 1]
                        .iter_mut()
                        .step_by(rows)
                        .for_each(|value| *value = input_zero),
                }
                loaded += 1;
                slot = if slot + 1 == rows { 0 } else { slot + 1 };
            }
            let weights = &copies[copy * strip.copy_bytes..][..strip.copy_bytes];
            copy = if copy + 1 == strip.copies { 0 } else { copy + 1 };
            let windows = Windows { x: ring, taps, step, count: output.width };
            let y = &mut y[oy * y_row + channel..];
            match weights.first_chunk().filter(|_| mults.is_some()) {
                Some(weights) => tile::finish_row(&windows, weights, &constants, y, channels),
                None => summed(depthwise, &windows, weights, channel, constants.bias, y),
            }
        }
    }
}

/// One row's outputs of one channel by way of their sums: with other rules, or long windows.
#[inline(never)]
fn summed(
    depthwise: &Depthwise<'_>,
    windows: &Windows<'_>,
    weights: &[i8],
    channel: usize,
    bias: i32,
    y: &mut [i8],
) {
    let channels = depthwise.output.channels;
    for first in (0..windows.count).step_by(SUMS) {
        let count = SUMS.min(windows.count - first);
        let part = Windows { x: &windows.x[first * windows.step..], count, ..*windows };
        let mut sums = [0; SUMS];
        tile::row_sums(&part, weights, &mut sums[..count]);
        for (sum, y) in sums[..count].iter().zip(y[first * channels..].iter_mut().step_by(channels)) {
            store(&depthwise.finish, channel, &[sum.wrapping_add(bias)], core::slice::from_mut(y));
        }
    }
}
