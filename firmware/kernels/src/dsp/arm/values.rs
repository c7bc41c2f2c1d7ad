//! Operations on one value at a time, four at once.

use core::arch::naked_asm;

use crate::dsp::steps::{FourSlopes, Mix};

/// Replaces four channels of pixels, `channels` bytes apart: the slopes of those four.
#[inline(always)]
pub fn slope(slopes: &FourSlopes, values: &mut [i8], channels: usize) {
    let Some(last) = values.len().checked_sub(4) else { return };
    let count = last / channels.max(1) + 1;
    let first = values.as_mut_ptr();
    // SAFETY: the last of the pixels has its four bytes inside the slice, and there is at least that one.
    unsafe { slope_asm(first, channels, first.wrapping_add(count * channels), slopes) }
}

/// r4 has the input, then the odd values below the zero point; r5 the even ones; r6 and r7 sums.
#[unsafe(naked)]
unsafe extern "C" fn slope_asm(values: *mut i8, channels: usize, end: *mut i8, slopes: &FourSlopes) {
    naked_asm!(
        core!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldm r3, {{r3, r8, r9, r10, r11, r12, lr}}",
        "2:",
        "ldr r4, [r0]",
        "sxtab16 r5, r12, r4",
        "sxtab16 r4, r12, r4, ror #8",
        "usat16 r6, #15, r5",
        "ssub16 r5, r5, r6",
        "smlawb r7, r3, r6, lr",
        "smlawt r6, r3, r6, lr",
        "smlawb r7, r8, r5, r7",
        "smlawt r6, r10, r5, r6",
        "usat16 r5, #15, r4",
        "ssub16 r4, r4, r5",
        "ssat r7, #8, r7, asr #8",
        "ssat r6, #8, r6, asr #8",
        "bfi r7, r6, #16, #8",
        "smlawb r6, r3, r5, lr",
        "smlawt r5, r3, r5, lr",
        "smlawb r6, r9, r4, r6",
        "smlawt r5, r11, r4, r5",
        "ssat r6, #8, r6, asr #8",
        "ssat r5, #8, r5, asr #8",
        "bfi r7, r6, #8, #8",
        "bfi r7, r5, #24, #8",
        "str r7, [r0]",
        "add r0, r1",
        "cmp r0, r2",
        "bne 2b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// Replaces each of `y` by its sum with that of `x`.
#[inline(always)]
pub fn mix(mix: &Mix, x: &[[i8; 4]], y: &mut [[i8; 4]]) {
    let count = x.len().min(y.len());
    if count > 0 {
        // SAFETY: both have `count` fours, at least one.
        unsafe { mix_asm(x.as_ptr(), y.as_mut_ptr(), count, mix) }
    }
}

#[unsafe(naked)]
unsafe extern "C" fn mix_asm(x: *const [i8; 4], y: *mut [i8; 4], count: usize, mix: &Mix) {
    naked_asm!(
        core!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldm r3, {{r3, r4, r5, r6, r7, r8}}",
        "2:",
        "ldr r9, [r0], #4",
        "ldr r10, [r1]",
        "sxtb r11, r9",
        "sxtb r12, r10",
        "mla r11, r11, r3, r5",
        "mla r11, r12, r4, r11",
        "asr r11, r11, r6",
        "ssat r11, #8, r11",
        "sxtb r12, r9, ror #8",
        "sxtb lr, r10, ror #8",
        "mla r12, r12, r3, r5",
        "mla r12, lr, r4, r12",
        "asr r12, r12, r6",
        "ssat r12, #8, r12",
        "bfi r11, r12, #8, #8",
        "sxtb r12, r9, ror #16",
        "sxtb lr, r10, ror #16",
        "mla r12, r12, r3, r5",
        "mla r12, lr, r4, r12",
        "asr r12, r12, r6",
        "ssat r12, #8, r12",
        "bfi r11, r12, #16, #8",
        "sxtb r12, r9, ror #24",
        "sxtb lr, r10, ror #24",
        "mla r12, r12, r3, r5",
        "mla r12, lr, r4, r12",
        "asr r12, r12, r6",
        "ssat r12, #8, r12",
        "bfi r11, r12, #24, #8",
        "ssub8 r12, r11, r7",
        "sel r11, r11, r7",
        "ssub8 r12, r8, r11",
        "sel r11, r11, r8",
        "str r11, [r1], #4",
        "subs r2, #1",
        "bne 2b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}
