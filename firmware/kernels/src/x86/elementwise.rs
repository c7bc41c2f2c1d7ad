//! Residual sums and PReLUs, sixteen values at a time.

use super::finish::Prelu;
use super::layout::in_order;
use super::simd::{LANES, Simd};
use crate::scalar::{self, Slope};

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
    let operands = if y_first { [1, 0] } else { [0, 1] };
    let zeros = operands.map(|operand| sum.zeros[operand] as i32);
    let mults = operands.map(|operand| sum.mults[operand]);
    let (whole_a, rest_a) = a.as_chunks::<LANES>();
    let (whole_y, rest_y) = y.as_chunks_mut::<LANES>();
    for (a, y) in whole_a.iter().zip(whole_y) {
        s.put(sums(s, sum, zeros, mults, a, y), y);
    }
    let rest = rest_y.len().min(rest_a.len());
    let rest_y = &mut rest_y[..rest];
    s.put(sums(s, sum, zeros, mults, &lanes(&rest_a[..rest]), &lanes(rest_y)), rest_y);
}

#[inline(always)]
fn sums<S: Simd>(
    s: S,
    sum: &scalar::Sum,
    zeros: [i32; 2],
    mults: [i32; 2],
    a: &[i8; LANES],
    y: &[i8; LANES],
) -> S::I {
    let a = s.mul(s.sub(s.widen(a), s.splat(zeros[0])), s.splat(mults[0]));
    let y = s.mul(s.sub(s.widen(y), s.splat(zeros[1])), s.splat(mults[1]));
    let total = s.add(s.add(a, y), s.splat(1 << (sum.bits - 1)));
    let steps = s.add(s.shift_right(total, s.splat(sum.bits as i32)), s.splat(sum.output_zero as i32));
    s.max(s.min(steps, s.splat(sum.hi as i32)), s.splat(sum.lo as i32))
}

/// A PReLU over pixels of some channels.
#[derive(Debug, Clone)]
pub(super) struct Slopes {
    channels: usize,
    prelu: Prelu,
}

impl Slopes {
    pub(super) fn new(slope: &Slope<'_>) -> Self {
        let channels = slope.negative.len();
        Slopes { channels, prelu: Prelu::new(slope, &in_order(core::iter::once(0..channels))) }
    }
}

/// Replaces every value.
#[inline(always)]
pub(super) fn slopes<S: Simd>(s: S, slopes: &Slopes, values: &mut [i8]) {
    for pixel in values.chunks_exact_mut(slopes.channels.max(1)) {
        let (whole, rest) = pixel.as_chunks_mut::<LANES>();
        let units = whole.len();
        for (unit, values) in whole.iter_mut().enumerate() {
            s.put(slopes.prelu.apply(s, unit, s.widen(values)), values);
        }
        if !rest.is_empty() {
            s.put(slopes.prelu.apply(s, units, s.widen(&lanes(rest))), rest);
        }
    }
}
