//! The innermost loops in plain Rust, for machines without MVE. `arm` has the same functions.

use super::depthwise::rows;
use super::packing::{BLOCK, TAPS};
pub use super::steps::{Map, Places, Room, Steps, Windows};
use crate::engine::kernels::requant::HighMul;
use crate::engine::kernels::scalar::{Slope, Sum};

/// The dot products of one window with a block of packed weights.
fn dots(window: &[i8], weights: &[i8]) -> [i32; BLOCK] {
    let mut sums = [0i32; BLOCK];
    for (x, run) in window.chunks(TAPS).zip(weights.chunks_exact(BLOCK * TAPS)) {
        for (sum, weights) in sums.iter_mut().zip(run.chunks_exact(TAPS)) {
            *sum = x.iter().zip(weights).fold(*sum, |sum, (&x, &w)| sum.wrapping_add(x as i32 * w as i32));
        }
    }
    sums
}

/// One output.
fn finished(sum: i32, mult: i32, steps: &Steps) -> i8 {
    (HighMul { mult, shift: 0 }.apply(sum) + steps.zero_point).clamp(steps.lo, steps.hi) as i8
}

/// The outputs of whole blocks for every window, `y_step` bytes apart: a bias and a multiplier for each channel.
pub fn finish(
    windows: &Windows<'_>,
    weights: &[i8],
    constants: [&[[u8; 4]]; 2],
    steps: &Steps,
    y: &mut [i8],
    y_step: usize,
) {
    let [bias, mults] = constants.map(|words| words.as_chunks::<BLOCK>().0);
    let block = windows.taps.div_ceil(TAPS) * BLOCK * TAPS;
    for (at, y) in y.chunks_mut(y_step).take(windows.count).enumerate() {
        let window = &windows.x[at * windows.step..][..windows.taps];
        let blocks = weights.chunks_exact(block).zip(bias.iter().zip(mults)).zip(y.chunks_exact_mut(BLOCK));
        for ((weights, (bias, mults)), y) in blocks {
            for (((y, sum), &bias), &mult) in y.iter_mut().zip(dots(window, weights)).zip(bias).zip(mults) {
                *y = finished(sum.wrapping_add(i32::from_le_bytes(bias)), i32::from_le_bytes(mult), steps);
            }
        }
    }
}

/// The dot products of one window with blocks of weights.
pub fn sums(window: &[i8], weights: &[i8], sums: &mut [[i32; BLOCK]]) {
    let block = window.len().div_ceil(TAPS) * BLOCK * TAPS;
    for (sums, weights) in sums.iter_mut().zip(weights.chunks_exact(block)) {
        *sums = dots(window, weights);
    }
}

/// Copies `count` rows of `length` bytes, `strides` bytes apart in the source and in the target.
pub fn copy_rows(x: &[i8], into: &mut [i8], length: usize, count: usize, strides: [usize; 2]) {
    for row in 0..count {
        into[row * strides[1]..][..length].copy_from_slice(&x[row * strides[0]..][..length]);
    }
}

/// Copies `count` windows of `rows` rows of `length` bytes each, one behind the other. In the source rows are `steps[0]` bytes apart,
/// and windows `steps[1]`.
pub fn copy_windows(x: &[i8], into: &mut [i8], count: usize, rows: usize, length: usize, steps: [usize; 2]) {
    for (at, into) in into.chunks_exact_mut(rows * length).take(count).enumerate() {
        copy_rows(&x[at * steps[1]..], into, length, rows, [steps[0], length]);
    }
}

/// Copies `count` values, `strides` bytes apart in the source and in the target.
pub fn spread(x: &[i8], into: &mut [i8], count: usize, strides: [usize; 2]) {
    let values = x.iter().step_by(strides[0]).take(count);
    into.iter_mut().step_by(strides[1]).zip(values).for_each(|(to, &from)| *to = from);
}

/// Copies the weights of one channel, whose first one `x` begins with, for one copy of them, and gives their sum.
pub fn pick(x: &[i8], places: &Places<'_>, copy: usize, into: &mut [i8]) -> i32 {
    let (list, _) = places.of(copy);
    let places =
        list.as_chunks::<2>().0.iter().map(|&[low, high]| low as u8 as usize | (high as u8 as usize) << 8);
    let values = places.map(|place| x[place]);
    into.iter_mut()
        .zip(values)
        .map(|(to, from)| {
            *to = from;
            from as i32
        })
        .sum()
}

/// The dot products of windows with the weights of one channel.
pub fn row_sums(windows: &Windows<'_>, weights: &[i8], sums: &mut [i32]) {
    for (at, sum) in sums.iter_mut().take(windows.count).enumerate() {
        let window = &windows.x[at * windows.step..][..windows.taps];
        *sum = window.iter().zip(weights).map(|(&x, &w)| x as i32 * w as i32).sum();
    }
}

/// The outputs of one channel whose windows have at most 16 taps, with its bias and its multiplier. `x`, `weights` and `y` begin with
/// the channel's first value; `room` has a strip in which four windows can be read at once, 16 bytes each.
pub fn channel(
    map: &Map,
    x: &[i8],
    weights: &[i8],
    (bias, mult): (i32, i32),
    steps: &Steps,
    room: &mut Room<'_>,
    y: &mut [i8],
) {
    rows(map, x, weights, room, |row, windows, weights, weight| {
        let bias = bias.wrapping_sub((map.zero as i32).wrapping_mul(weight));
        let y = y[row * map.windows * map.channels..].iter_mut().step_by(map.channels);
        for (at, y) in y.take(windows.count).enumerate() {
            let window = &windows.x[at * windows.step..][..TAPS];
            let sum: i32 = window.iter().zip(weights).map(|(&x, &w)| x as i32 * w as i32).sum();
            *y = finished(sum.wrapping_add(bias), mult, steps);
        }
    });
}

/// Replaces the values of pixels with as many channels as there are lower multipliers.
pub fn slope(slope: &Slope<'_>, negative: &[[u8; 4]], values: &mut [i8]) {
    for pixel in values.chunks_exact_mut(negative.len()) {
        for (value, &negative) in pixel.iter_mut().zip(negative) {
            *value = slope.value(i32::from_le_bytes(negative), *value);
        }
    }
}

/// Replaces each of `y` by its sum with that of `x`; `constant` is what the operands' zero points and the rounding come to.
pub fn sum(sum: &Sum, constant: i32, x: &[i8], y: &mut [i8]) {
    for (y, &x) in y.iter_mut().zip(x) {
        let first = (x as i32).wrapping_mul(sum.mults[0]).wrapping_add(constant);
        let both = (*y as i32).wrapping_mul(sum.mults[1]).wrapping_add(first) >> sum.bits;
        *y = (both + sum.output_zero as i32).clamp(sum.lo as i32, sum.hi as i32) as i8;
    }
}
