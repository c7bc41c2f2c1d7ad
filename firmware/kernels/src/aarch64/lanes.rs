//! Sixteen channels in registers: as bytes in one, as 32-bit values in four.

use core::arch::aarch64::*;
use core::ops::Range;
use std::vec::Vec;

/// Channels that are computed at once.
pub(super) const LANES: usize = 16;

/// A 32-bit value for each channel.
pub(super) type Wide = [int32x4_t; 4];

/// One constant for each channel.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Lanes(pub [[i32; 4]; 4]);

impl Lanes {
    /// In registers.
    #[inline(always)]
    pub(super) fn load(&self) -> Wide {
        // SAFETY: four i32 can be read at each.
        self.0.each_ref().map(|quarter| unsafe { vld1q_s32(quarter.as_ptr()) })
    }
}

/// Sixteen bytes.
#[inline(always)]
pub(super) fn load(bytes: &[i8; LANES]) -> int8x16_t {
    // SAFETY: sixteen bytes can be read.
    unsafe { vld1q_s8(bytes.as_ptr()) }
}

/// The values, at most sixteen, and zeros behind the last.
#[inline(always)]
pub(super) fn load_some(values: &[i8]) -> int8x16_t {
    let mut lanes = [0; LANES];
    lanes[..values.len()].copy_from_slice(values);
    load(&lanes)
}

/// Writes the first `out.len()` lanes, at most sixteen.
#[inline(always)]
pub(super) fn store(values: int8x16_t, out: &mut [i8]) {
    if let Some(out) = out.as_mut_array::<LANES>() {
        // SAFETY: sixteen bytes can be written.
        return unsafe { vst1q_s8(out.as_mut_ptr(), values) };
    }
    let mut lanes = [0; LANES];
    // SAFETY: as above.
    unsafe { vst1q_s8(lanes.as_mut_ptr(), values) };
    out.copy_from_slice(&lanes[..out.len()]);
}

/// Each of the sixteen 16-bit values as 32 bits.
#[inline(always)]
pub(super) fn widen(low: int16x8_t, high: int16x8_t) -> Wide {
    // SAFETY: NEON is part of every aarch64 with `std`.
    unsafe {
        [
            vmovl_s16(vget_low_s16(low)),
            vmovl_high_s16(low),
            vmovl_s16(vget_low_s16(high)),
            vmovl_high_s16(high),
        ]
    }
}

/// Bytes less `zero`, as 32 bits.
#[inline(always)]
pub(super) fn steps_from(values: int8x16_t, zero: i8) -> Wide {
    // SAFETY: as in `widen`.
    unsafe {
        let zero = vdupq_n_s8(zero);
        widen(vsubl_s8(vget_low_s8(values), vget_low_s8(zero)), vsubl_high_s8(values, zero))
    }
}

/// `steps + zero` as bytes, those outside at the nearer end.
#[inline(always)]
pub(super) fn narrow([a, b, c, d]: Wide, zero: i8) -> int8x16_t {
    // SAFETY: as in `widen`.
    unsafe {
        let zero = vdupq_n_s16(zero as i16);
        let low = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), zero);
        let high = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(c), d), zero);
        vqmovn_high_s16(vqmovn_s16(low), high)
    }
}

/// The channels in each unit of sixteen lanes; the last lanes may have none.
pub(super) type Layout = Vec<Range<usize>>;

/// Units of the channels in each of `ranges`, in order.
pub(super) fn in_order(ranges: impl IntoIterator<Item = Range<usize>>) -> Layout {
    let in_units = |range: Range<usize>| {
        let end = range.end;
        range.step_by(LANES).map(move |first| first..end.min(first + LANES))
    };
    ranges.into_iter().flat_map(in_units).collect()
}

/// `values`, one for each channel, by units; 0 in lanes without a channel.
pub(super) fn units(layout: &[Range<usize>], values: impl Iterator<Item = i32>) -> Vec<Lanes> {
    let values: Vec<i32> = values.collect();
    let unit = |channels: &Range<usize>| {
        let mut lanes = [[0; 4]; 4];
        let values = &values[channels.clone()];
        lanes.as_flattened_mut()[..values.len()].copy_from_slice(values);
        Lanes(lanes)
    };
    layout.iter().map(unit).collect()
}
