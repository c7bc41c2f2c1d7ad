//! The innermost loops in plain Rust, for machines without MVE. `arm` has the same functions.

pub use super::steps::{LANES, Map, Places, Room, Steps, Taps, Windows};
use super::{BLOCK, TAPS};
use crate::requant::HighMul;
use crate::scalar::{Slope, Sum};

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
    (HighMul { mult, shift: 0 }.apply(sum) + steps.zero_point).max(steps.lo).min(steps.hi) as i8
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

/// The sums of one window for some channels, one for each bias. `x` and `weights` begin with the first channel's.
pub fn window_sums(taps: &Taps, x: &[i8], weights: &[i8], bias: &[[u8; 4]], sums: &mut [[i32; LANES]]) {
    for (channel, (sum, &bias)) in sums.as_flattened_mut().iter_mut().zip(bias).enumerate() {
        *sum = i32::from_le_bytes(bias);
        for (row, column) in (0..taps.rows).flat_map(|row| (0..taps.columns).map(move |column| (row, column)))
        {
            let across = column * taps.channels + channel;
            let steps = x[row * taps.x_row + across] as i32 - taps.zero as i32;
            *sum = sum.wrapping_add(steps * weights[row * taps.w_row + across] as i32);
        }
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
    let Room { ring, copies, places } = room;
    let mut weight = 0;
    for (copy, list) in copies.chunks_exact_mut(TAPS).zip(places.lists()) {
        weight = 0;
        for (to, place) in copy.iter_mut().zip(list) {
            *to = weights[u16::from_le_bytes(place.map(|byte| byte as u8)) as usize];
            weight += *to as i32;
        }
    }
    let bias = bias.wrapping_sub((map.zero as i32).wrapping_mul(weight));
    let mut loaded = 0;
    for (row, copy) in (0..map.outputs).zip(copies.chunks_exact(TAPS).cycle()) {
        let end = row * map.down + map.rows;
        for at in loaded..end {
            let slot = ring[at % map.rows..].iter_mut().step_by(map.rows).take(map.columns);
            match at.checked_sub(map.above).filter(|&at| at < map.height) {
                Some(at) => {
                    let pixels = x[at * map.x_row..].iter().step_by(map.channels).take(map.inside);
                    slot.skip(map.first).zip(pixels).for_each(|(to, &from)| *to = from);
                }
                None => slot.for_each(|value| *value = map.zero),
            }
        }
        loaded = end;
        let y = y[row * map.windows * map.channels..].iter_mut().step_by(map.channels);
        for (at, y) in y.take(map.windows).enumerate() {
            let window = &ring[at * map.step..][..TAPS];
            let sum: i32 = window.iter().zip(copy).map(|(&x, &w)| x as i32 * w as i32).sum();
            *y = finished(sum.wrapping_add(bias), mult, steps);
        }
    }
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
        *y = (both + sum.output_zero as i32).max(sum.lo as i32).min(sum.hi as i32) as i8;
    }
}
