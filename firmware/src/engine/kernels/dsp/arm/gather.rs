//! Copies of the input in the forms that the multiplying loops read.

use core::arch::naked_asm;

use crate::engine::kernels::dsp::packing::TAPS;

/// Fours of bytes as pairs of 16 bits, the even ones in one word, the odd ones in the next; `stride` words from four to four.
#[inline(always)]
pub fn expand(fours: &[[i8; TAPS]], pairs: &mut [i32], stride: usize) {
    if fours.is_empty() || pairs.len() < (fours.len() - 1) * stride + 2 {
        return;
    }
    // SAFETY: reads the fours, of which there is at least one, and writes two words for each, the last of which are in `pairs`.
    unsafe { expand_asm(fours.as_ptr(), pairs.as_mut_ptr(), fours.len(), 4 * stride) }
}

/// `count` is not 0, `stride` in bytes.
#[unsafe(naked)]
unsafe extern "C" fn expand_asm(fours: *const [i8; TAPS], pairs: *mut i32, count: usize, stride: usize) {
    naked_asm!(
        core!(),
        "push {{r4, lr}}",
        "2:",
        "ldr r12, [r0], #4",
        "sxtb16 r4, r12",
        "sxtb16 r12, r12, ror #8",
        "strd r4, r12, [r1]",
        "add r1, r3",
        "subs r2, #1",
        "bne 2b",
        "pop {{r4, pc}}",
    )
}

/// Copies `count` rows of `length` bytes, `strides` bytes apart in the source and in the target.
#[inline(always)]
pub fn copy_rows(x: &[i8], into: &mut [i8], length: usize, count: usize, strides: [usize; 2]) {
    let reach = |stride: usize| (count - 1) * stride + length;
    if length == 0 || count == 0 || x.len() < reach(strides[0]) || into.len() < reach(strides[1]) {
        return;
    }
    // SAFETY: there is at least one byte in a row and at least one row, and the last rows end inside both slices.
    unsafe { copy_rows_asm(x.as_ptr(), into.as_mut_ptr(), length, count, &strides) }
}

/// `length` and `count` are not 0.
#[unsafe(naked)]
unsafe extern "C" fn copy_rows_asm(
    x: *const i8,
    into: *mut i8,
    length: usize,
    count: usize,
    strides: &[usize; 2],
) {
    naked_asm!(
        "push {{r4, r5, r6, r7, r8, lr}}",
        "ldr r4, [sp, #24]",
        "ldrd r8, lr, [r4]",
        "2:",
        "mov r4, r0",
        "mov r5, r1",
        "subs r6, r2, #4",
        "blo 4f",
        "3:",
        "ldr r7, [r4], #4",
        "str r7, [r5], #4",
        "subs r6, #4",
        "bhs 3b",
        "4:",
        "adds r6, #4",
        "beq 6f",
        "5:",
        "ldrb r7, [r4], #1",
        "strb r7, [r5], #1",
        "subs r6, #1",
        "bne 5b",
        "6:",
        "add r0, r8",
        "add r1, lr",
        "subs r3, #1",
        "bne 2b",
        "pop {{r4, r5, r6, r7, r8, pc}}",
    )
}

/// Four channels of pixels, `channels` bytes apart in `x`, as `count` columns of pairs, `column` words apart: each value beside its
/// right neighbour's. A column begins `step` pixels behind the one before.
#[inline(always)]
pub fn pair_row(x: &[i8], channels: usize, slot: &mut [i32], column: usize, count: usize, step: usize) {
    let fits = count >= 1
        && x.len() >= ((count - 1) * step + 1) * channels + 4
        && slot.len() >= (count - 1) * column + 4;
    if !fits {
        return;
    }
    let (x, slot) = (x.as_ptr(), slot.as_mut_ptr());
    // SAFETY: reads four bytes of each of the pixels up to the last column's right one, and writes four words of each column,
    // which end inside the slices.
    unsafe {
        if step == 1 {
            pair_every(x, channels, slot, 4 * column, count)
        } else {
            pair_every_other(x, channels, slot, 4 * column, count)
        }
    }
}

/// `column` in bytes, `count` not 0; a column for each pixel but the last.
#[unsafe(naked)]
unsafe extern "C" fn pair_every(x: *const i8, channels: usize, slot: *mut i32, column: usize, count: usize) {
    naked_asm!(
        core!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldr r12, [sp, #36]",
        "ldr r4, [r0]",
        "add r0, r1",
        "sxtb16 r5, r4, ror #8",
        "sxtb16 r4, r4",
        "2:",
        "ldr r6, [r0]",
        "add r0, r1",
        "sxtb16 r7, r6, ror #8",
        "sxtb16 r6, r6",
        "pkhbt r8, r4, r6, lsl #16",
        "pkhbt r9, r5, r7, lsl #16",
        "pkhtb r10, r6, r4, asr #16",
        "pkhtb r11, r7, r5, asr #16",
        "stm r2, {{r8, r9, r10, r11}}",
        "add r2, r3",
        "subs r12, #1",
        "beq 3f",
        "ldr r4, [r0]",
        "add r0, r1",
        "sxtb16 r5, r4, ror #8",
        "sxtb16 r4, r4",
        "pkhbt r8, r6, r4, lsl #16",
        "pkhbt r9, r7, r5, lsl #16",
        "pkhtb r10, r4, r6, asr #16",
        "pkhtb r11, r5, r7, asr #16",
        "stm r2, {{r8, r9, r10, r11}}",
        "add r2, r3",
        "subs r12, #1",
        "bne 2b",
        "3:",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// `column` in bytes, `count` not 0; a column for every two pixels.
#[unsafe(naked)]
unsafe extern "C" fn pair_every_other(
    x: *const i8,
    channels: usize,
    slot: *mut i32,
    column: usize,
    count: usize,
) {
    naked_asm!(
        core!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldr r12, [sp, #36]",
        "2:",
        "ldr r4, [r0]",
        "ldr r6, [r0, r1]",
        "add r0, r0, r1, lsl #1",
        "sxtb16 r5, r4, ror #8",
        "sxtb16 r4, r4",
        "sxtb16 r7, r6, ror #8",
        "sxtb16 r6, r6",
        "pkhbt r8, r4, r6, lsl #16",
        "pkhbt r9, r5, r7, lsl #16",
        "pkhtb r10, r6, r4, asr #16",
        "pkhtb r11, r7, r5, asr #16",
        "stm r2, {{r8, r9, r10, r11}}",
        "add r2, r3",
        "subs r12, #1",
        "bne 2b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}
