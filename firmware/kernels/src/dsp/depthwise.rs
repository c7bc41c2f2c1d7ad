//! Depthwise convolution, four channels at a time through a strip of rows kept as pairs of 16 bits.

use core::num::NonZero;

use super::scratch::{DEPTHWISE_CHANNELS as FOUR, Strip};
use super::tile::{self, LANES, Load, Row, Steps};
use super::words_mut;
use crate::requant::Requant;
use crate::scalar::Depthwise;

/// Convolves `x` into `y`. `scratch` has [`super::depthwise_scratch_bytes`] bytes and lies at a multiple of 4: elsewhere, and
/// where that is 0, the scalar kernel runs. `None` where a slice is shorter than the shapes say.
pub fn depthwise(depthwise: &Depthwise<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) -> Option<()> {
    let Depthwise { input, output, window, .. } = *depthwise;
    let strip = Strip::of(input, output, window);
    let words = words_mut(scratch);
    match strip.zip(words).filter(|(strip, words)| words.len() >= strip.words()) {
        Some((strip, words)) => run(depthwise, strip, x, words, y),
        None => depthwise.run(x, y),
    }
}

fn run(depthwise: &Depthwise<'_>, strip: Strip, x: &[i8], words: &mut [i32], y: &mut [i8]) -> Option<()> {
    let Depthwise { input, output, window, .. } = *depthwise;
    let channels = input.channels;
    let (rows, turns) = (NonZero::new(window.kernel[0])?, NonZero::new(strip.copies)?);
    let (ring, copies) = words.split_at_mut_checked(strip.ring_words)?;
    let copies = copies.get_mut(..strip.copies * strip.copy_words)?;
    let column = rows.get() * FOUR;
    let row = Row {
        rows: rows.get(),
        pairs: strip.pairs,
        pair_words: 2 / strip.step * column,
        pixel_words: window.stride[1] / strip.step * column,
    };
    let one_multiply = matches!(depthwise.finish.requant, Requant::HighMul { .. });
    let (load, first_column) = load(depthwise, strip);
    // Columns outside the input keep the zero point for good.
    ring.fill(load.outside);
    for block in (0..channels).step_by(FOUR) {
        // The last four overlap those before them where the channels are no multiple of four.
        let first = block.min(channels - FOUR);
        constants(depthwise, strip, first, copies)?;
        let mut loaded = 0;
        for oy in 0..output.height {
            let top = oy * window.stride[0];
            for padded in top.max(loaded)..top + rows.get() {
                let slot = ring.get_mut(padded % rows * FOUR..)?;
                match padded.checked_sub(window.pad[0]).filter(|&iy| iy < input.height) {
                    Some(iy) => {
                        let x = x.get(iy * input.width * channels + first..)?;
                        tile::load_row(&load, x, slot.get_mut(first_column * column..)?);
                    }
                    None => {
                        let slots = slot.chunks_mut(column.max(1));
                        slots.for_each(|slot| slot.iter_mut().take(FOUR).for_each(|to| *to = load.outside));
                    }
                }
            }
            loaded = top + rows.get();
            let copy = copies.get(oy % turns * strip.copy_words..)?.get(..strip.copy_words)?;
            let y = y.get_mut(oy * output.width * channels + first..)?;
            if one_multiply {
                tile::finish_row(&row, ring, copy, y, channels, output.width);
                continue;
            }
            summed(depthwise, &row, first, ring, copy, y)?;
        }
    }
    Some(())
}

/// One row's outputs of four channels by way of their sums, with the rules that take more than one multiplication.
#[inline(never)]
fn summed(
    depthwise: &Depthwise<'_>,
    row: &Row,
    first: usize,
    ring: &[i32],
    copy: &[i32],
    y: &mut [i8],
) -> Option<()> {
    let (width, channels) = (depthwise.output.width, depthwise.output.channels);
    for ox in (0..width).step_by(LANES) {
        let mut sums = [[0; FOUR]; LANES];
        let sums = sums.get_mut(..LANES.min(width - ox))?;
        tile::sum_row(row, ring.get(ox * row.pixel_words..)?, copy, sums);
        for (sums, y) in sums.iter().zip(y.get_mut(ox * channels..)?.chunks_mut(channels.max(1))) {
            depthwise.finish.store(first, sums, y.get_mut(..FOUR)?);
        }
    }
    Some(())
}

/// Biases, weights and multipliers of four channels, the weights in every order in which the rows can lie.
#[inline(never)]
fn constants(depthwise: &Depthwise<'_>, strip: Strip, first: usize, copies: &mut [i32]) -> Option<()> {
    let ([rows, taps], channels) = (depthwise.window.kernel, depthwise.input.channels);
    // A row of the kernel lies as a row of the input does, and comes into its slot in the same way.
    let load = Load {
        channels,
        column: rows * FOUR,
        count: taps / 2,
        outside: 0,
        left: 0,
        right: taps % 2,
        step: 2,
    };
    for row in 0..rows {
        let weights = depthwise.weights.get(row * taps * channels + first..)?;
        tile::load_row(&load, weights, copies.get_mut((1 + row) * FOUR..)?);
    }
    let (copies, _) = copies.as_chunks_mut::<FOUR>();
    let (one, others) = copies.split_at_mut_checked(strip.copy_words / FOUR)?;
    let (bias, rest) = one.split_first_mut()?;
    let (weights, tail) = rest.split_at_mut_checked(strip.pairs * rows)?;
    let mut sums = [0; FOUR];
    for words in weights {
        for (sum, word) in sums.iter_mut().zip(words) {
            *sum += (*word as i16 as i32) + (*word >> 16);
        }
    }
    let zero = depthwise.input_zero as i32;
    for ((folded, bias), sum) in bias.iter_mut().zip(depthwise.bias.part(first, FOUR).integers()).zip(sums) {
        *folded = bias.wrapping_sub(zero * sum);
    }
    if let [mults, steps] = tail {
        if let Requant::HighMul { mults: from } = depthwise.finish.requant {
            mults.iter_mut().zip(from.part(first, FOUR).integers()).for_each(|(to, from)| *to = from);
        }
        let Steps { zero_point, lo, hi } = Steps::of(&depthwise.finish);
        *steps = [zero_point, lo as i32, hi as i32, 0];
    }
    let (bias, rest) = one.split_first()?;
    let (weights, tail) = rest.split_at_checked(strip.pairs * rows)?;
    for (copy, other) in others.chunks_exact_mut(strip.copy_words / FOUR).enumerate() {
        // The kernel's first row meets the slot that the window's first row lies in.
        let turned = ((copy + 1) * depthwise.window.stride[0]).checked_rem(rows)?;
        let (other_bias, other_rest) = other.split_first_mut()?;
        let (other_weights, other_tail) = other_rest.split_at_mut_checked(weights.len())?;
        *other_bias = *bias;
        other_tail.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
        for (slots, pair) in
            other_weights.chunks_exact_mut(rows.max(1)).zip(weights.chunks_exact(rows.max(1)))
        {
            let (late, early) = slots.split_at_mut_checked(turned)?;
            early.iter_mut().chain(late).zip(pair).for_each(|(to, from)| *to = *from);
        }
    }
    Some(())
}

/// How a row of the input comes into its slot, and the first column that it fills.
fn load(depthwise: &Depthwise<'_>, strip: Strip) -> (Load, usize) {
    let (width, channels, pad) = (depthwise.input.width, depthwise.input.channels, depthwise.window.pad[1]);
    let step = strip.step;
    // Of two pixels a column, the first one has the pixel before the input where an odd number of pixels lies before it.
    let left = if step == 1 { pad.min(1) } else { pad % 2 };
    let first = (pad - left) / step;
    let (inside, right) = if step == 1 { (width - 1, 1) } else { ((width - left) / 2, (width - left) % 2) };
    let room = strip.columns.saturating_sub(first + left);
    let load = Load {
        channels,
        column: depthwise.window.kernel[0] * FOUR,
        // A row's end may lie behind the last window.
        count: inside.min(room),
        outside: (depthwise.input_zero as i16 as u16 as u32 * 0x1_0001) as i32,
        left,
        right: if room > inside { right } else { 0 },
        step,
    };
    (load, first)
}
