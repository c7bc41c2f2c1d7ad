//! The innermost loops in plain Rust, for machines without the DSP instructions. `arm` has the same functions.

use super::TAPS;
use super::steps::{FourSlopes, Mix};
pub use super::steps::{LANES, Load, Pixels, Row, Steps, Tile};

/// Windows of one or two pixels, in fours of bytes, as pairs of 16 bits: of each four the even values in one word, the odd ones in
/// the next, then the same of the second pixel.
pub fn expand(windows: [&[[i8; TAPS]]; 2], pixels: usize, pairs: &mut [i32]) {
    for (pixel, fours) in windows.iter().take(pixels).enumerate() {
        for (four, pairs) in fours.iter().zip(pairs.chunks_exact_mut(2 * pixels)) {
            let [a, b, c, d] = four.map(i32::from);
            let pair = |low: i32, high: i32| low & 0xffff | high << 16;
            (pairs[2 * pixel], pairs[2 * pixel + 1]) = (pair(a, c), pair(b, d));
        }
    }
}

/// Copies `count` rows of `length` bytes, `strides` bytes apart in the source and in the target.
pub fn copy_rows(x: &[i8], into: &mut [i8], length: usize, count: usize, strides: [usize; 2]) {
    for row in 0..count {
        into[row * strides[1]..][..length].copy_from_slice(&x[row * strides[0]..][..length]);
    }
}

/// Adds the products of `blocks` blocks, from the tile's first one on, to their sums: a row for each pixel.
pub fn add(tile: &Tile<'_>, pairs: &[i32], blocks: usize, sums: &mut [[i32; LANES]; 2]) {
    let lanes = if tile.pixels == 1 { 4 } else { 2 };
    for (block, weights) in tile.weights.chunks(tile.block_words).take(blocks).enumerate() {
        let weights = weights.chunks_exact(lanes).take(tile.fours);
        for (weights, pairs) in weights.zip(pairs.chunks_exact(2 * tile.pixels)) {
            for (lane, weights) in weights.iter().enumerate() {
                let [a, b, c, d] = weights.to_le_bytes().map(|weight| weight as i8 as i32);
                for (sums, pairs) in sums.iter_mut().zip(pairs.chunks_exact(2)) {
                    let sum = &mut sums[block * lanes + lane];
                    let [low, high] = [0, 1].map(|i| [pairs[i] as i16 as i32, pairs[i] >> 16]);
                    let products = [low[0] * a, high[0] * b, low[1] * c, high[1] * d];
                    *sum = products.into_iter().fold(*sum, i32::wrapping_add);
                }
            }
        }
    }
}

/// The outputs of `blocks` blocks at `places`, one for each pixel; `constants` are biases and multipliers.
pub fn finish(
    tile: &Tile<'_>,
    pairs: &[i32],
    blocks: usize,
    [bias, mults]: [&[i32]; 2],
    steps: &Steps,
    y: &mut [i8],
    places: [usize; 2],
) {
    let lanes = if tile.pixels == 1 { 4 } else { 2 };
    for block in 0..blocks {
        let mut sums = [[0; LANES]; 2];
        for sums in &mut sums {
            sums[..lanes].copy_from_slice(&bias[block * lanes..][..lanes]);
        }
        let Some(part) = tile.from(block * tile.block_words) else { return };
        add(&part, pairs, 1, &mut sums);
        for (sums, place) in sums.iter().zip(places).take(tile.pixels) {
            let outputs = y[place + block * lanes..].iter_mut().zip(&mults[block * lanes..]);
            for ((y, &mult), &sum) in outputs.zip(&sums[..lanes]) {
                *y = steps.value(sum, mult);
            }
        }
    }
}

/// The outputs of `blocks` blocks, from the first one on, of many pixels.
#[expect(clippy::too_many_arguments, reason = "one call for a whole layer")]
pub fn finish_pixels(
    tile: &Tile<'_>,
    pixels: &Pixels,
    x: &[i8],
    pairs: &mut [i32],
    blocks: usize,
    constants: [&[i32]; 2],
    steps: &Steps,
    y: &mut [i8],
) {
    for pixel in (0..pixels.count).step_by(2) {
        let at = [pixel, (pixel + 1).min(pixels.count - 1)];
        let windows = at.map(|pixel| x[pixel * pixels.x_step..][..pixels.x_step].as_chunks().0);
        expand(windows, tile.pixels, pairs);
        finish(tile, pairs, blocks, constants, steps, y, at.map(|pixel| pixel * pixels.y_step));
    }
}

/// Four channels of a row as columns of pairs, each value beside its right neighbour's. `x` begins with the first pixel's, `slot`
/// with the first column.
pub fn load_row(load: &Load, x: &[i8], slot: &mut [i32]) {
    let outside = [load.outside as i16; 4];
    let pixel =
        |at: usize| x[at * load.channels..].first_chunk::<4>().map_or(outside, |four| four.map(i16::from));
    let first = if load.left == 1 { Some((outside, pixel(0))) } else { None };
    let inner = (0..load.count).map(|at| match load.step {
        1 => (pixel(at), pixel(at + 1)),
        _ => (pixel(load.left + 2 * at), pixel(load.left + 2 * at + 1)),
    });
    let behind = if load.step == 1 { load.count } else { load.left + 2 * load.count };
    let last = if load.right == 1 { Some((pixel(behind), outside)) } else { None };
    for ((low, high), column) in first.into_iter().chain(inner).chain(last).zip(slot.chunks_mut(load.column))
    {
        for ((word, low), high) in column.iter_mut().zip(low).zip(high) {
            *word = low as i32 & 0xffff | (high as i32) << 16;
        }
    }
}

/// The sums of windows of one row. `constants` begin with biases and weights.
pub fn sum_row(row: &Row, strip: &[i32], constants: &[i32], sums: &mut [[i32; 4]]) {
    let (bias, weights) = constants.split_at(4);
    for (pixel, sums) in sums.iter_mut().enumerate() {
        sums.copy_from_slice(bias);
        for (pair, weights) in weights.chunks_exact(4 * row.rows).take(row.pairs).enumerate() {
            let column = &strip[pixel * row.pixel_words + pair * row.pair_words..];
            for (at, (word, weight)) in column.iter().zip(weights).enumerate() {
                let low = (*word as i16 as i32) * (*weight as i16 as i32);
                let high = (word >> 16) * (weight >> 16);
                sums[at % 4] = sums[at % 4].wrapping_add(low).wrapping_add(high);
            }
        }
    }
}

/// The outputs of `count` windows of one row, `channels` bytes apart in `y`. `constants` are biases, weights, multipliers, and
/// the words of [`Steps`].
pub fn finish_row(row: &Row, strip: &[i32], constants: &[i32], y: &mut [i8], channels: usize, count: usize) {
    let tail = &constants[4 * (1 + row.rows * row.pairs)..];
    let steps = Steps { zero_point: tail[4], lo: tail[5] as u32, hi: tail[6] as u32 };
    for (pixel, y) in y.chunks_mut(channels).take(count).enumerate() {
        let mut sums = [[0; 4]];
        sum_row(row, &strip[pixel * row.pixel_words..], constants, &mut sums);
        for (y, (&sum, &mult)) in y.iter_mut().zip(sums[0].iter().zip(tail)) {
            *y = steps.value(sum, mult);
        }
    }
}

/// Replaces four channels of pixels, `channels` bytes apart: the slopes of those four.
pub fn slope(slopes: &FourSlopes, values: &mut [i8], channels: usize) {
    let high = |mult: i32, steps: i32| ((mult as i64 * steps as i64) >> 16) as i32;
    for pixel in values.chunks_mut(channels) {
        for (value, &negative) in pixel.iter_mut().zip(&slopes.negative) {
            let steps = *value as i32 + (slopes.minus_zero as i16 as i32);
            let y = slopes.rounding + high(slopes.positive, steps.max(0)) + high(negative, steps.min(0));
            *value = (y >> 8).clamp(-128, 127) as i8;
        }
    }
}

/// Replaces each of `y` by its sum with that of `x`.
pub fn mix(mix: &Mix, x: &[[i8; 4]], y: &mut [[i8; 4]]) {
    for (y, x) in y.as_flattened_mut().iter_mut().zip(x.as_flattened()) {
        let sum = (*x as i32).wrapping_mul(mix.mults[0]).wrapping_add(mix.constant);
        let sum = (*y as i32).wrapping_mul(mix.mults[1]).wrapping_add(sum) >> mix.bits;
        *y = sum.max(mix.lo as i8 as i32).min(mix.hi as i8 as i32) as i8;
    }
}
