//! aarch64: eight rows at a time, sixteen values an instruction.

use core::arch::aarch64::*;
use core::arch::asm;

use super::{EXCESS, GROUP, Hit, Line, groups};

/// [`super::Probe::scan`], with what every processor has.
pub fn scan_neon(probe: &[Line], rows: &[Line], from: usize, bound: i32) -> Option<Hit> {
    groups::scan(probe.len(), rows, from, bound, |rows| {
        products(probe, rows, |sum, row, values| {
            // SAFETY: NEON is part of every aarch64 with `std`. One product fits 16 bits; two need not.
            unsafe {
                let sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(row), vget_low_s8(values)));
                vpadalq_s16(sum, vmull_high_s8(row, values))
            }
        })
    })
}

/// [`super::Probe::scan`], with the dot product instructions.
#[target_feature(enable = "dotprod")]
pub fn scan_dot(probe: &[Line], rows: &[Line], from: usize, bound: i32) -> Option<Hit> {
    groups::scan(probe.len(), rows, from, bound, |rows| {
        products(probe, rows, |mut sum, row, values| {
            // The intrinsic is not stable yet.
            // SAFETY: the caller has the instruction; it works on registers alone.
            unsafe {
                asm!(
                    "sdot {sum:v}.4s, {row:v}.16b, {values:v}.16b",
                    sum = inout(vreg) sum,
                    row = in(vreg) row,
                    values = in(vreg) values,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
            sum
        })
    })
}

/// The dot products of the values in `probe` with each of `rows`, where `add` adds sixteen products to a sum's four lanes.
#[inline(always)]
fn products(
    probe: &[Line],
    rows: [&[Line]; GROUP],
    add: impl Fn(int32x4_t, int8x16_t, int8x16_t) -> int32x4_t,
) -> [i32; GROUP] {
    // SAFETY: NEON is part of every aarch64 with `std`; the loads are of references to as many bytes.
    unsafe {
        let load = |bytes: &[u8; 16]| vld1q_u8(bytes.as_ptr());
        let excess = vreinterpretq_u8_u16(vdupq_n_u16(EXCESS as u16));
        let mut sums = [vdupq_n_s32(0); GROUP];
        for (at, line) in probe.iter().enumerate() {
            for (part, values) in line.0.as_chunks().0.iter().enumerate() {
                let values = vreinterpretq_s8_u8(load(values));
                for (sum, row) in sums.iter_mut().zip(rows) {
                    let row = veorq_u8(load(&row[at].0.as_chunks().0[part]), excess);
                    *sum = add(*sum, vreinterpretq_s8_u8(row), values);
                }
            }
        }
        sums.map(|sum| vaddvq_s32(sum))
    }
}
