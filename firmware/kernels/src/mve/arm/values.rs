//! Operations on one value at a time, four at once.

use core::arch::naked_asm;

use crate::scalar::{Slope, Sum};

/// What [`slope_asm`] works with, word by word.
#[repr(C)]
struct Line {
    /// Pixels.
    count: usize,
    /// What is added to two values: the zero point taken away.
    minus_zero: i32,
    positive: i32,
    /// Minus the fraction bits: MVE shifts right by shifting left by less than nothing.
    shift: i32,
    output_zero: i32,
}

/// Replaces the values of pixels with as many channels as there are lower multipliers.
#[inline(always)]
pub fn slope(slope: &Slope<'_>, negative: &[[u8; 4]], values: &mut [i8]) {
    let channels = negative.len();
    let line = Line {
        count: values.len() / channels.max(1),
        minus_zero: -(slope.input_zero as i32),
        positive: slope.positive,
        shift: -(slope.bits as i32),
        output_zero: slope.output_zero as i32,
    };
    if channels >= 1 && line.count >= 1 {
        // SAFETY: there are as many values as whole pixels have.
        unsafe { slope_asm(values.as_mut_ptr(), negative.as_ptr(), channels, &line) }
    }
}

#[unsafe(naked)]
unsafe extern "C" fn slope_asm(values: *mut i8, negative: *const [u8; 4], channels: usize, line: &Line) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, lr}}",
        "ldm r3, {{r3, r4, r5, r6, r8}}",
        "vmov.i32 q3, #0",
        "2:",
        "mov r7, r0",
        "mov r12, r1",
        "dlstp.32 lr, r2",
        "3:",
        "vldrb.s32 q0, [r7]",
        "vldrb.u8 q2, [r12], #16",
        "vadd.i32 q0, q0, r4",
        "vmin.s32 q1, q0, q3",
        "vmax.s32 q0, q0, q3",
        "vmul.i32 q1, q1, q2",
        "vmla.s32 q1, q0, r5",
        "vrshl.s32 q1, r6",
        "vadd.i32 q1, q1, r8",
        "vqmovnb.s32 q1, q1",
        "vqmovnb.s16 q1, q1",
        "vstrb.32 q1, [r7], #4",
        "letp lr, 3b",
        "add r0, r2",
        "subs r3, #1",
        "bne 2b",
        "pop {{r4, r5, r6, r7, r8, pc}}",
    )
}

/// What [`sum_asm`] works with, word by word.
#[repr(C)]
struct Mix {
    lo: i32,
    hi: i32,
    mults: [i32; 2],
    constant: i32,
    /// Minus the fraction bits.
    shift: i32,
    output_zero: i32,
}

/// Replaces each of `y` by its sum with that of `x`; `constant` is what the operands' zero points and the rounding come to.
#[inline(always)]
pub fn sum(sum: &Sum, constant: i32, x: &[i8], y: &mut [i8]) {
    let count = x.len().min(y.len());
    let mix = Mix {
        lo: sum.lo as i32,
        hi: sum.hi as i32,
        mults: sum.mults,
        constant,
        shift: -(sum.bits as i32),
        output_zero: sum.output_zero as i32,
    };
    if count >= 1 {
        // SAFETY: both have `count` values.
        unsafe { sum_asm(x.as_ptr(), y.as_mut_ptr(), count, &mix) }
    }
}

#[unsafe(naked)]
unsafe extern "C" fn sum_asm(x: *const i8, y: *mut i8, count: usize, mix: &Mix) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, lr}}",
        "ldm r3!, {{r4, r5}}",
        "vdup.32 q2, r4",
        "vdup.32 q3, r5",
        "ldm r3, {{r4, r5, r6, r7, r8}}",
        "dlstp.32 lr, r2",
        "2:",
        "vldrb.s32 q0, [r0], #4",
        "vldrb.s32 q1, [r1]",
        "vmul.i32 q0, q0, r4",
        "vmla.s32 q0, q1, r5",
        "vadd.i32 q0, q0, r6",
        "vshl.s32 q0, r7",
        "vadd.i32 q0, q0, r8",
        "vmax.s32 q0, q0, q2",
        "vmin.s32 q0, q0, q3",
        "vstrb.32 q0, [r1], #4",
        "letp lr, 2b",
        "pop {{r4, r5, r6, r7, r8, pc}}",
    )
}
