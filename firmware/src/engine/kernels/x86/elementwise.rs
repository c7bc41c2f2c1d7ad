//! Residual sums and PReLUs, sixteen values at a time.

use core::ops::Range;

use super::finish::{Prelu, put};
use super::simd::{LANES, Simd};
use crate::engine::kernels::scalar::{self, Slope};

/// The values, and zeros behind the last.
#[inline(always)]
fn lanes(values: &[i8]) -> [i8; LANES] {
    let mut lanes = [0; LANES];
    lanes[..values.len()].copy_from_slice(values);
    lanes
}

/// Replaces every `y` by the sum of `a` and `y`, or by that of `y` and `a` when `y_first`.
#[inline(always)]
pub(super) fn add<S: Simd>(s: S, sum: &scalar::Sum, y_first: bool, a: &[i8], y: &mut [i8]) {
    let [zero_a, zero_y] = if y_first { [sum.zeros[1], sum.zeros[0]] } else { sum.zeros };
    let [mult_a, mult_y] = if y_first { [sum.mults[1], sum.mults[0]] } else { sum.mults };
    let both = |a: &[i8; LANES], y: &[i8; LANES]| {
        let a = s.mul(s.sub(s.widen(a), s.splat(zero_a as i32)), s.splat(mult_a));
        let y = s.mul(s.sub(s.widen(y), s.splat(zero_y as i32)), s.splat(mult_y));
        let total = s.add(s.add(a, y), s.splat(1 << (sum.bits - 1)));
        let steps = s.add(s.shift_right(total, s.splat(sum.bits as i32)), s.splat(sum.output_zero as i32));
        s.max(s.min(steps, s.splat(sum.hi as i32)), s.splat(sum.lo as i32))
    };
    let (whole_a, rest_a) = a.as_chunks::<LANES>();
    let (whole_y, rest_y) = y.as_chunks_mut::<LANES>();
    for (a, y) in whole_a.iter().zip(whole_y) {
        *y = s.narrow(both(a, y));
    }
    let rest = rest_y.len().min(rest_a.len());
    put(s, both(&lanes(&rest_a[..rest]), &lanes(&rest_y[..rest])), &mut rest_y[..rest]);
}

/// A PReLU over pixels of some channels.
#[derive(Debug, Clone)]
pub(super) struct Slopes {
    channels: usize,
    prelu: Prelu,
}

impl Slopes {
    pub(super) fn new(slope: &Slope<'_>) -> Self {
        let all: Range<usize> = 0..slope.negative.len();
        Slopes { channels: all.len(), prelu: Prelu::new(slope, &[all]) }
    }
}

/// Replaces every value.
#[inline(always)]
pub(super) fn slopes<S: Simd>(s: S, slopes: &Slopes, values: &mut [i8]) {
    for pixel in values.chunks_exact_mut(slopes.channels.max(1)) {
        let (whole, rest) = pixel.as_chunks_mut::<LANES>();
        let units = whole.len();
        for (unit, values) in whole.iter_mut().enumerate() {
            *values = s.narrow(slopes.prelu.apply(s, unit, s.widen(values)));
        }
        if !rest.is_empty() {
            put(s, slopes.prelu.apply(s, units, s.widen(&lanes(rest))), rest);
        }
    }
}
