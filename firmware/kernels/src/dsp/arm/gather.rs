//! Copies of the input in the forms that the multiplying loops read.

use core::arch::naked_asm;

use super::Load;
use crate::dsp::TAPS;

/// Windows of one or two pixels, in fours of bytes, as pairs of 16 bits: of each four the even values in one word, the odd ones in
/// the next, then the same of the second pixel.
#[inline(always)]
pub fn expand([first, second]: [&[[i8; TAPS]]; 2], pixels: usize, pairs: &mut [i32]) {
    let count = if pixels == 1 { first.len() } else { first.len().min(second.len()) };
    if count == 0 || pairs.len() < 2 * pixels * count {
        return;
    }
    // SAFETY: reads `count` fours, at least one, of each window, and writes two words for each of them.
    unsafe { expand_raw(first.as_ptr(), second.as_ptr(), pixels, pairs.as_mut_ptr(), count) }
}

/// [`expand`] of windows that have `count` fours, at least one, with room for them as pairs.
#[inline(always)]
pub(super) unsafe fn expand_raw(
    first: *const [i8; TAPS],
    second: *const [i8; TAPS],
    pixels: usize,
    pairs: *mut i32,
    count: usize,
) {
    // SAFETY: as the caller holds.
    unsafe {
        if pixels == 1 {
            expand_one(first, pairs, count);
        } else {
            expand_two(first, second, pairs, count);
        }
    }
}

/// `count` is not 0.
#[unsafe(naked)]
unsafe extern "C" fn expand_one(fours: *const [i8; TAPS], pairs: *mut i32, count: usize) {
    naked_asm!(
        core!(),
        "push {{r4, lr}}",
        "2:",
        "ldr r12, [r0], #4",
        "sxtb16 r4, r12",
        "sxtb16 r12, r12, ror #8",
        "strd r4, r12, [r1], #8",
        "subs r2, #1",
        "bne 2b",
        "pop {{r4, pc}}",
    )
}

/// `count` is not 0.
#[unsafe(naked)]
unsafe extern "C" fn expand_two(
    first: *const [i8; TAPS],
    second: *const [i8; TAPS],
    pairs: *mut i32,
    count: usize,
) {
    naked_asm!(
        core!(),
        "push {{r4, r5, r6, r7, r8, lr}}",
        "2:",
        "ldr r8, [r0], #4",
        "ldr r12, [r1], #4",
        "sxtb16 r4, r8",
        "sxtb16 r5, r8, ror #8",
        "sxtb16 r6, r12",
        "sxtb16 r7, r12, ror #8",
        "stm r2!, {{r4, r5, r6, r7}}",
        "subs r3, #1",
        "bne 2b",
        "pop {{r4, r5, r6, r7, r8, pc}}",
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

/// Four channels of a row as columns of pairs, each value beside its right neighbour's. `x` begins with the first pixel's, `slot`
/// with the first column.
#[inline(always)]
pub fn load_row(load: &Load, x: &[i8], slot: &mut [i32]) {
    let (columns, pixels) = (load.columns(), load.pixels());
    let fits = columns >= 1
        && slot.len() >= (columns - 1) * load.column + 4
        && x.len() >= (pixels - 1) * load.channels + 4;
    if !fits {
        return;
    }
    let run = if load.step == 1 { pair_every } else { pair_every_other };
    // SAFETY: reads four bytes of each of the pixels and writes four words of each column, which end inside the slices.
    unsafe { run(x.as_ptr(), slot.as_mut_ptr(), load) }
}

/// Brings in the pixel at r0: its even values to $even, its odd ones to $odd.
macro_rules! pixel {
    ($even:literal, $odd:literal) => {
        concat!(
            "ldr ",
            $even,
            ", [r0]\n",
            "add r0, r2\n",
            "sxtb16 ",
            $odd,
            ", ",
            $even,
            ", ror #8\n",
            "sxtb16 ",
            $even,
            ", ",
            $even,
            "\n",
        )
    };
}

/// Writes the column at r1 from the even and odd values of two pixels.
macro_rules! column {
    ($even:literal, $odd:literal, $next_even:literal, $next_odd:literal) => {
        concat!(
            "pkhbt r8, ",
            $even,
            ", ",
            $next_even,
            ", lsl #16\n",
            "pkhbt r9, ",
            $odd,
            ", ",
            $next_odd,
            ", lsl #16\n",
            "pkhtb r10, ",
            $next_even,
            ", ",
            $even,
            ", asr #16\n",
            "pkhtb r11, ",
            $next_odd,
            ", ",
            $odd,
            ", asr #16\n",
            "stm r1, {{r8, r9, r10, r11}}\n",
            "add r1, r3\n",
        )
    };
}

/// Registers for both: r2: bytes from pixel to pixel, r3: from column to column, r12: columns left, lr: twice what stands for the
/// outside; r4 is whether there is a left column, and the top of the stack whether there is a right one.
macro_rules! load_frame {
    () => {
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}
         ldrd r4, r5, [r2, #16]
         push {{r5}}
         ldm r2, {{r2, r3, r12, lr}}
         lsl r3, r3, #2
         cmp r4, #0"
    };
}

/// A column for each pixel but the last, and what is left and right of them.
#[unsafe(naked)]
unsafe extern "C" fn pair_every(x: *const i8, slot: *mut i32, load: &Load) {
    naked_asm!(
        core!(),
        load_frame!(),
        pixel!("r6", "r7"),
        "beq 2f",
        column!("lr", "lr", "r6", "r7"),
        "2:",
        "cmp r12, #0",
        "beq 5f",
        "3:",
        pixel!("r4", "r5"),
        column!("r6", "r7", "r4", "r5"),
        "subs r12, #1",
        "beq 4f",
        pixel!("r6", "r7"),
        column!("r4", "r5", "r6", "r7"),
        "subs r12, #1",
        "bne 3b",
        "b 5f",
        "4:",
        "mov r6, r4",
        "mov r7, r5",
        "5:",
        "pop {{r4}}",
        "cmp r4, #0",
        "beq 6f",
        column!("r6", "r7", "lr", "lr"),
        "6:",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// A column for every two pixels, and what is left and right of them.
#[unsafe(naked)]
unsafe extern "C" fn pair_every_other(x: *const i8, slot: *mut i32, load: &Load) {
    naked_asm!(
        core!(),
        load_frame!(),
        "beq 2f",
        pixel!("r6", "r7"),
        column!("lr", "lr", "r6", "r7"),
        "2:",
        "cmp r12, #0",
        "beq 4f",
        "3:",
        pixel!("r4", "r5"),
        pixel!("r6", "r7"),
        column!("r4", "r5", "r6", "r7"),
        "subs r12, #1",
        "bne 3b",
        "4:",
        "pop {{r12}}",
        "cmp r12, #0",
        "beq 5f",
        pixel!("r4", "r5"),
        column!("r4", "r5", "lr", "lr"),
        "5:",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}
