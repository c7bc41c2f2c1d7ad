//! Residual sums and PReLUs, sixteen values at a time.

use core::arch::aarch64::*;

use super::finish::{Prelu, clamp, rounded_right};
use super::lanes::{LANES, in_order, load, load_some, narrow, steps_from, store};
use crate::scalar::{self, Slope};

/// Replaces every `y` by the sum of `a` and `y`.
pub(super) fn add(sum: &scalar::Sum, a: &[i8], y: &mut [i8]) {
    let (whole_a, rest_a) = a.as_chunks::<LANES>();
    let (whole_y, rest_y) = y.as_chunks_mut::<LANES>();
    for (a, y) in whole_a.iter().zip(whole_y) {
        store(sums(sum, load(a), load(y)), y);
    }
    let rest = rest_y.len().min(rest_a.len());
    let rest_y = &mut rest_y[..rest];
    store(sums(sum, load_some(&rest_a[..rest]), load_some(rest_y)), rest_y);
}

#[inline(always)]
fn sums(sum: &scalar::Sum, a: int8x16_t, y: int8x16_t) -> int8x16_t {
    let (a, y) = (steps_from(a, sum.zeros[0]), steps_from(y, sum.zeros[1]));
    let steps = core::array::from_fn(|i| {
        // SAFETY: NEON is part of every aarch64 with `std`.
        let total = unsafe { vmlaq_n_s32(vmulq_n_s32(a[i], sum.mults[0]), y[i], sum.mults[1]) };
        rounded_right(total, sum.bits as i32)
    });
    clamp(narrow(steps, sum.output_zero), sum.lo, sum.hi)
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

    /// Replaces every value.
    pub(super) fn run(&self, values: &mut [i8]) {
        for pixel in values.chunks_exact_mut(self.channels.max(1)) {
            let (whole, rest) = pixel.as_chunks_mut::<LANES>();
            let units = whole.len();
            for (unit, values) in whole.iter_mut().enumerate() {
                store(self.prelu.apply(unit, load(values)), values);
            }
            if !rest.is_empty() {
                store(self.prelu.apply(units, load_some(rest)), rest);
            }
        }
    }
}
