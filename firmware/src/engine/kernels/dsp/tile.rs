//! The innermost loops in plain Rust, for machines without the DSP instructions. `tile_arm.rs` has the same functions.

use super::packing::TAPS;
pub use super::steps::{LANES, Steps, Tile};

/// Fours of bytes as pairs of 16 bits, the even ones in one word, the odd ones in the next; `stride` words from four to four.
pub fn expand(fours: &[[i8; TAPS]], pairs: &mut [i32], stride: usize) {
    for (four, pairs) in fours.iter().zip(pairs.chunks_mut(stride)) {
        let [a, b, c, d] = four.map(i32::from);
        let pair = |low: i32, high: i32| low & 0xffff | high << 16;
        if let [even, odd, ..] = pairs {
            (*even, *odd) = (pair(a, c), pair(b, d));
        }
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
        add(&tile.from(block * tile.block_words), pairs, 1, &mut sums);
        for (sums, place) in sums.iter().zip(places).take(tile.pixels) {
            for lane in 0..lanes {
                let at = block * lanes + lane;
                y[place + at] = steps.value(sums[lane], mults[at]);
            }
        }
    }
}
