//! Depthwise convolution: sixteen channels at a time, the products of two taps summed in 16 bits.

use core::arch::aarch64::*;
use core::ops::Range;
use std::vec::Vec;

use super::finish::Finish;
use super::lanes::{LANES, Lanes, Wide, load, store, units};
use crate::scalar::{self, Slope};
use crate::{Shape, Window};

/// The most taps of a kernel, an even number.
const TAPS: usize = 64;

/// A depthwise convolution with its weights by units of sixteen channels.
#[derive(Debug, Clone)]
pub(super) struct Depthwise {
    input: Shape,
    output: Shape,
    window: Window,
    /// The first channels of the units. The last may overlap the one before it.
    firsts: Vec<usize>,
    /// For each unit the weights of every two taps; 0 behind the last.
    pairs: Vec<[[i8; LANES]; 2]>,
    /// What accumulators start with, by units.
    start: Vec<Lanes>,
    finish: Finish,
    /// A pixel of zero points.
    outside: Vec<i8>,
    /// Whether two products fit 16 bits: no weight is -128.
    paired: bool,
}

/// Packs `depthwise`, which `slope` follows in place. `None` for fewer than sixteen channels or more than [`TAPS`] taps.
pub(super) fn pack(depthwise: &scalar::Depthwise<'_>, slope: Option<&Slope<'_>>) -> Option<Depthwise> {
    let scalar::Depthwise { input, output, window, .. } = *depthwise;
    let channels = input.channels;
    let taps = window.kernel[0] * window.kernel[1];
    if channels < LANES || taps > TAPS {
        return None;
    }
    let firsts: Vec<usize> = (0..channels).step_by(LANES).map(|first| first.min(channels - LANES)).collect();
    let layout: Vec<Range<usize>> = firsts.iter().map(|&first| first..first + LANES).collect();
    let tap = |tap: usize| &depthwise.weights[tap * channels..][..channels];
    let start = depthwise.bias.integers().enumerate().map(|(channel, bias)| {
        let sum: i32 = (0..taps).map(|index| tap(index)[channel] as i32).sum();
        bias.wrapping_sub(sum.wrapping_mul(depthwise.input_zero as i32))
    });
    let mut pairs = Vec::new();
    for unit in &layout {
        for first in (0..taps).step_by(2) {
            let mut pair = [[0; LANES]; 2];
            for (weights, index) in pair.iter_mut().zip(first..taps) {
                weights.copy_from_slice(&tap(index)[unit.clone()]);
            }
            pairs.push(pair);
        }
    }
    Some(Depthwise {
        input,
        output,
        window,
        pairs,
        start: units(&layout, start),
        finish: Finish::new(&depthwise.finish, slope, &layout),
        firsts,
        outside: std::vec![depthwise.input_zero; channels],
        paired: !depthwise.weights.contains(&i8::MIN),
    })
}

impl Depthwise {
    /// The shapes of input and output.
    pub(super) fn shapes(&self) -> [Shape; 2] {
        [self.input, self.output]
    }

    /// Convolves `x` into `y`, which have the bytes of their shapes.
    pub(super) fn run(&self, x: &[i8], y: &mut [i8]) {
        if self.paired { self.pixels::<true>(x, y) } else { self.pixels::<false>(x, y) }
    }

    #[inline(always)]
    fn pixels<const PAIRED: bool>(&self, x: &[i8], y: &mut [i8]) {
        let Depthwise { input, output, window, .. } = self;
        let channels = input.channels;
        let [kh, kw] = window.kernel;
        // A tap beyond the last has weights of 0 and may read anything.
        let mut taps = [self.outside.as_ptr(); TAPS];
        for (pixel, y) in y.chunks_exact_mut(channels).enumerate() {
            let (oy, ox) = (pixel / output.width, pixel % output.width);
            let first_row = (oy * window.stride[0]).wrapping_sub(window.pad[0]);
            let first_column = (ox * window.stride[1]).wrapping_sub(window.pad[1]);
            for (ky, taps) in taps[..kh * kw].chunks_exact_mut(kw).enumerate() {
                let iy = first_row.wrapping_add(ky);
                let row = x.get(iy.wrapping_mul(input.width * channels)..).filter(|_| iy < input.height);
                for (kx, tap) in taps.iter_mut().enumerate() {
                    let ix = first_column.wrapping_add(kx);
                    *tap = match row {
                        Some(row) if ix < input.width => row[ix * channels..][..channels].as_ptr(),
                        _ => self.outside.as_ptr(),
                    };
                }
            }
            let taps = &taps.as_chunks::<2>().0[..(kh * kw).div_ceil(2)];
            // SAFETY: every tap begins a whole pixel of `x` or the pixel `outside`.
            unsafe { self.pixel::<PAIRED>(taps, y) };
        }
    }

    /// One pixel `y` from its taps.
    ///
    /// # Safety
    /// As many bytes as there are channels can be read at each tap.
    #[inline(always)]
    unsafe fn pixel<const PAIRED: bool>(&self, taps: &[[*const i8; 2]], y: &mut [i8]) {
        let units = self.firsts.iter().zip(&self.start).zip(self.pairs.chunks_exact(taps.len()));
        for (unit, ((&first, start), pairs)) in units.enumerate() {
            let mut accs = start.load();
            for (taps, [v, w]) in taps.iter().zip(pairs) {
                // SAFETY: sixteen channels begin at `first`, and the caller lets those of each tap be read.
                let [p, q] = taps.map(|tap| unsafe { vld1q_s8(tap.add(first)) });
                accs = two_taps::<PAIRED>(accs, [p, q], [load(v), load(w)]);
            }
            store(self.finish.apply(unit, accs), &mut y[first..first + LANES]);
        }
    }
}

/// `accs` plus two taps of sixteen channels.
#[inline(always)]
fn two_taps<const PAIRED: bool>(accs: Wide, [p, q]: [int8x16_t; 2], [v, w]: [int8x16_t; 2]) -> Wide {
    // SAFETY: NEON is part of every aarch64 with `std`.
    unsafe {
        let low = vmull_s8(vget_low_s8(p), vget_low_s8(v));
        let high = vmull_high_s8(p, v);
        if PAIRED {
            add(accs, vmlal_s8(low, vget_low_s8(q), vget_low_s8(w)), vmlal_high_s8(high, q, w))
        } else {
            let accs = add(accs, low, high);
            add(accs, vmull_s8(vget_low_s8(q), vget_low_s8(w)), vmull_high_s8(q, w))
        }
    }
}

/// `accs` plus sixteen 16-bit values.
#[inline(always)]
fn add([a, b, c, d]: Wide, low: int16x8_t, high: int16x8_t) -> Wide {
    // SAFETY: as above.
    unsafe {
        [
            vaddw_s16(a, vget_low_s16(low)),
            vaddw_high_s16(b, low),
            vaddw_s16(c, vget_low_s16(high)),
            vaddw_high_s16(d, high),
        ]
    }
}
