//! The innermost loops in assembly, for Cortex-M cores with the DSP instructions. `tile.rs` says in plain Rust what they do.
//!
//! SXTB16 makes two 16-bit values of bytes 0 and 2 of a word, rotated by 8 of bytes 1 and 3; SMLAD multiplies two pairs of them
//! and adds both products. SMMLAR is the requantization: the rounded upper half of a 64-bit product, plus the zero point. After
//! saturation to a byte, four outputs are clamped at once: SSUB8 compares, SEL takes the greater or the lesser bytes.

use core::arch::naked_asm;

use super::packing::TAPS;
pub use super::steps::{LANES, Row, Steps, Tile};

/// Lets the assembler take the instructions where the target's name leaves them open.
#[cfg(arm_dsp = "v8m")]
macro_rules! core {
    () => {
        ".cpu cortex-m33"
    };
}
#[cfg(not(arm_dsp = "v8m"))]
macro_rules! core {
    () => {
        ""
    };
}

/// Four taps of two pixels with two outputs. r0: pairs, r1: weights; sums in r8 and r9 (first output), r10 and r11.
macro_rules! two_by_two {
    () => {
        "ldm.w r0!, {{r4, r5, r6, r7}}
         ldrd r12, lr, [r1], #8
         sxtb16 r3, r12
         smlad r8, r4, r3, r8
         smlad r9, r6, r3, r9
         sxtb16 r3, r12, ror #8
         smlad r8, r5, r3, r8
         smlad r9, r7, r3, r9
         sxtb16 r3, lr
         smlad r10, r4, r3, r10
         smlad r11, r6, r3, r11
         sxtb16 r3, lr, ror #8
         smlad r10, r5, r3, r10
         smlad r11, r7, r3, r11"
    };
}

/// Four taps of one pixel with four outputs. r0: pairs, r1: weights; sums in r6 to r9.
macro_rules! one_by_four {
    () => {
        "ldrd r4, r5, [r0], #8
         ldm.w r1!, {{r10, r11, r12, lr}}
         sxtb16 r3, r10
         smlad r6, r4, r3, r6
         sxtb16 r3, r10, ror #8
         smlad r6, r5, r3, r6
         sxtb16 r3, r11
         smlad r7, r4, r3, r7
         sxtb16 r3, r11, ror #8
         smlad r7, r5, r3, r7
         sxtb16 r3, r12
         smlad r8, r4, r3, r8
         sxtb16 r3, r12, ror #8
         smlad r8, r5, r3, r8
         sxtb16 r3, lr
         smlad r9, r4, r3, r9
         sxtb16 r3, lr, ror #8
         smlad r9, r5, r3, r9"
    };
}

/// Fours of taps of one turn of the loop over them.
const TURN: usize = 8;

/// All taps of a block, $body being four of them. Of the frame at sp the first three words are the pairs, the turns, and the bytes
/// of instructions that the first turn leaves out.
macro_rules! all_taps {
    ($body:expr) => {
        concat!(
            "ldrd r0, r2, [sp]
             ldr r3, [sp, #8]
             add pc, r3
             nop
             3:
             .rept 8
             ",
            $body,
            "
             .endr
             subs r2, #1
             bne 3b"
        )
    };
}

/// Where the loop over `fours` begins.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Turns {
    turns: usize,
    /// Bytes of instructions.
    skipped: usize,
}

impl Turns {
    /// Those of one pixel, whose four taps take 18 instructions of 4 bytes, or of two, whose take 14.
    fn of(fours: usize, pixels: usize) -> Self {
        let body = if pixels == 1 { 18 * 4 } else { 14 * 4 };
        Turns { turns: fours.div_ceil(TURN), skipped: (TURN - 1 - (fours + TURN - 1) % TURN) * body }
    }
}

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

/// What [`add_2x2`] and [`add_1x4`] keep on their stacks, word by word.
#[repr(C)]
struct Sums {
    pairs: *const i32,
    turns: Turns,
    weights: *const i32,
    /// Bytes of a block's weights that are left out.
    skip: usize,
    /// The first sum of the first pixel; the second pixel's are [`LANES`] words further.
    sums: *mut i32,
    /// Where the first pixel's sums end.
    end: *mut i32,
}

/// Adds the products of `blocks` blocks, from the tile's first one on, to their sums: a row for each pixel.
#[inline(always)]
pub fn add(tile: &Tile<'_>, pairs: &[i32], blocks: usize, sums: &mut [[i32; LANES]; 2]) {
    let lanes = if tile.pixels == 1 { 4 } else { 2 };
    let block = lanes * tile.fours;
    let fits = blocks >= 1
        && blocks * lanes <= LANES
        && block <= tile.block_words
        && tile.weights.len() >= (blocks - 1) * tile.block_words + block
        && pairs.len() >= 2 * tile.pixels * tile.fours;
    if !fits {
        return;
    }
    let first = sums.as_flattened_mut().as_mut_ptr();
    let frame = Sums {
        pairs: pairs.as_ptr(),
        turns: Turns::of(tile.fours, tile.pixels),
        weights: tile.weights.as_ptr(),
        skip: 4 * (tile.block_words - block),
        sums: first,
        end: first.wrapping_add(blocks * lanes),
    };
    // SAFETY: of pairs, weights and sums only what was found to be there above is read and written; all lie at multiples of 4, as
    // words do.
    unsafe { if tile.pixels == 1 { add_1x4(&frame) } else { add_2x2(&frame) } }
}

#[unsafe(naked)]
unsafe extern "C" fn add_2x2(frame: &Sums) {
    naked_asm!(
        core!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldm r0, {{r0, r1, r2, r3, r4, r5, r6}}",
        "sub sp, #28",
        "stm sp, {{r0, r1, r2, r3, r4, r5, r6}}",
        "mov r1, r3",
        "2:",
        "ldr r3, [sp, #20]",
        "ldrd r8, r10, [r3]",
        "ldrd r9, r11, [r3, #128]",
        all_taps!(two_by_two!()),
        "ldrd r4, r3, [sp, #16]",
        "add r1, r4",
        "strd r9, r11, [r3, #128]",
        "strd r8, r10, [r3], #8",
        "ldr r5, [sp, #24]",
        "str r3, [sp, #20]",
        "cmp r3, r5",
        "bne 2b",
        "add sp, #28",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

#[unsafe(naked)]
unsafe extern "C" fn add_1x4(frame: &Sums) {
    naked_asm!(
        core!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldm r0, {{r0, r1, r2, r3, r4, r5, r6}}",
        "sub sp, #28",
        "stm sp, {{r0, r1, r2, r3, r4, r5, r6}}",
        "mov r1, r3",
        "2:",
        "ldr r3, [sp, #20]",
        "ldm r3, {{r6, r7, r8, r9}}",
        all_taps!(one_by_four!()),
        "ldrd r4, r3, [sp, #16]",
        "add r1, r4",
        "stm r3!, {{r6, r7, r8, r9}}",
        "ldr r5, [sp, #24]",
        "str r3, [sp, #20]",
        "cmp r3, r5",
        "bne 2b",
        "add sp, #28",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// What [`finish_2x2`] and [`finish_1x4`] keep on their stacks, word by word.
#[repr(C)]
struct Finish {
    pairs: *const i32,
    turns: Turns,
    weights: *const i32,
    bias: *const i32,
    mults: *const i32,
    steps: Steps,
    end: *mut i8,
    y: *mut i8,
    second: *mut i8,
}

/// The outputs of `blocks` blocks at `places`, one for each pixel; `constants` are biases and multipliers.
#[inline(always)]
pub fn finish(
    tile: &Tile<'_>,
    pairs: &[i32],
    blocks: usize,
    [bias, mults]: [&[i32]; 2],
    steps: &Steps,
    y: &mut [i8],
    places: [usize; 2],
) {
    let lanes = if tile.pixels == 1 { 4 } else { 2 };
    let count = blocks * lanes;
    let fits = blocks >= 1
        && tile.weights.len() >= count * tile.fours
        && tile.block_words == lanes * tile.fours
        && bias.len() >= count
        && mults.len() >= count
        && pairs.len() >= 2 * tile.pixels * tile.fours
        && places.iter().take(tile.pixels).all(|&place| place <= y.len() && count <= y.len() - place);
    if !fits {
        return;
    }
    let [first, second] = places.map(|place| y.as_mut_ptr().wrapping_add(place));
    let frame = Finish {
        pairs: pairs.as_ptr(),
        turns: Turns::of(tile.fours, tile.pixels),
        weights: tile.weights.as_ptr(),
        bias: bias.as_ptr(),
        mults: mults.as_ptr(),
        steps: *steps,
        end: first.wrapping_add(count),
        y: first,
        second,
    };
    // SAFETY: of pairs, weights, biases and multipliers only what was found to be there above is read, at multiples of 4, as
    // words lie; `count` bytes are written at each of the places, which may be the same.
    unsafe { if tile.pixels == 1 { finish_1x4(&frame) } else { finish_2x2(&frame) } }
}

#[unsafe(naked)]
unsafe extern "C" fn finish_2x2(frame: &Finish) {
    naked_asm!(
        core!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldm r0, {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11}}",
        "sub sp, #48",
        "stm sp, {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11}}",
        "mov r1, r3",
        "2:",
        "ldr r3, [sp, #16]",
        "ldrd r8, r10, [r3], #8",
        "str r3, [sp, #16]",
        "mov r9, r8",
        "mov r11, r10",
        all_taps!(two_by_two!()),
        "ldr r3, [sp, #20]",
        "ldrd r4, r5, [r3], #8",
        "ldrd r6, r7, [sp, #24]",
        "str r3, [sp, #20]",
        "smmlar r8, r8, r4, r6",
        "smmlar r9, r9, r4, r6",
        "smmlar r10, r10, r5, r6",
        "smmlar r11, r11, r5, r6",
        "ldrd r2, r3, [sp, #32]",
        "ldrd r4, r5, [sp, #40]",
        "ssat r8, #8, r8",
        "ssat r9, #8, r9",
        "ssat r10, #8, r10",
        "ssat r11, #8, r11",
        "bfi r8, r10, #8, #8",
        "bfi r8, r9, #16, #8",
        "bfi r8, r11, #24, #8",
        "ssub8 r6, r8, r7",
        "sel r8, r8, r7",
        "ssub8 r6, r2, r8",
        "sel r8, r8, r2",
        "strh r8, [r4], #2",
        "lsr r8, r8, #16",
        "strh r8, [r5], #2",
        "strd r4, r5, [sp, #40]",
        "cmp r4, r3",
        "bne 2b",
        "add sp, #48",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

#[unsafe(naked)]
unsafe extern "C" fn finish_1x4(frame: &Finish) {
    naked_asm!(
        core!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldm r0, {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11}}",
        "sub sp, #48",
        "stm sp, {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11}}",
        "mov r1, r3",
        "2:",
        "ldr r3, [sp, #16]",
        "ldm r3!, {{r6, r7, r8, r9}}",
        "str r3, [sp, #16]",
        all_taps!(one_by_four!()),
        "ldr r3, [sp, #20]",
        "ldm r3!, {{r4, r5, r10, r11}}",
        "str r3, [sp, #20]",
        "ldrd r12, lr, [sp, #24]",
        "smmlar r6, r6, r4, r12",
        "smmlar r7, r7, r5, r12",
        "smmlar r8, r8, r10, r12",
        "smmlar r9, r9, r11, r12",
        "ldrd r2, r3, [sp, #32]",
        "ldr r4, [sp, #40]",
        "ssat r6, #8, r6",
        "ssat r7, #8, r7",
        "ssat r8, #8, r8",
        "ssat r9, #8, r9",
        "bfi r6, r7, #8, #8",
        "bfi r6, r8, #16, #8",
        "bfi r6, r9, #24, #8",
        "ssub8 r5, r6, lr",
        "sel r6, r6, lr",
        "ssub8 r5, r2, r6",
        "sel r6, r6, r2",
        "str r6, [r4], #4",
        "str r4, [sp, #40]",
        "cmp r4, r3",
        "bne 2b",
        "add sp, #48",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
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

/// What the loops over a row's windows keep on their stacks, word by word.
#[repr(C)]
struct RowFrame {
    y: *mut u8,
    /// Bytes from an output to the next.
    y_step: usize,
    /// Where the outputs end.
    end: *mut u8,
    rows: usize,
    pairs: usize,
    /// Bytes from behind a pair's column to the next pair's.
    to_pair: usize,
    /// Bytes from behind the last pair's next column to the next window.
    to_window: isize,
    /// Bytes of the constants before the last four words.
    constants: usize,
}

/// The frame for `count` windows, whose outputs begin at `y`; `None` unless they and their constants lie in the slices.
#[inline(always)]
fn frame(
    row: &Row,
    strip: &[i32],
    constants: &[i32],
    count: usize,
    y: *mut u8,
    y_step: usize,
) -> Option<RowFrame> {
    let column = 4 * row.rows;
    let all = column * row.pairs;
    let window = (row.pairs - 1) * row.pair_words + column;
    let fits = count >= 1
        && strip.len() >= (count - 1) * row.pixel_words + window
        && constants.len() >= all + 12
        && row.pair_words >= column;
    fits.then(|| RowFrame {
        y,
        y_step,
        end: y.wrapping_add(count * y_step),
        rows: row.rows,
        pairs: row.pairs,
        to_pair: 4 * (row.pair_words - column),
        to_window: 4 * (row.pixel_words as isize - (row.pairs * row.pair_words) as isize),
        constants: 4 * (all + 8),
    })
}

/// The sums of windows of one row. `constants` begin with biases and weights.
pub fn sum_row(row: &Row, strip: &[i32], constants: &[i32], sums: &mut [[i32; 4]]) {
    let y = sums.as_mut_ptr().cast::<u8>();
    let Some(frame) = frame(row, strip, constants, sums.len(), y, 16) else { return };
    // SAFETY: windows and constants lie in their slices, and 16 bytes are written for each of the sums.
    unsafe { sum_any(strip.as_ptr(), constants.as_ptr(), &frame) }
}

/// The outputs of `count` windows of one row, `channels` bytes apart in `y`. `constants` are biases, weights, multipliers, and
/// the words of [`Steps`].
#[inline(always)]
pub fn finish_row(row: &Row, strip: &[i32], constants: &[i32], y: &mut [i8], channels: usize, count: usize) {
    if count < 1 || y.len() < (count - 1) * channels + 4 {
        return;
    }
    let y = y.as_mut_ptr().cast::<u8>();
    let Some(frame) = frame(row, strip, constants, count, y, channels) else { return };
    let (strip, constants) = (strip.as_ptr(), constants.as_ptr());
    let run = match [row.rows, row.pairs, row.pair_words, row.pixel_words] {
        [3, 2, 24, 12] => finish_3x3,
        [3, 2, 12, 12] => finish_3x3_stride_2,
        _ => finish_any,
    };
    // SAFETY: windows and constants lie in their slices, and 4 bytes are written for each of the outputs.
    unsafe { run(strip, constants, &frame) }
}

/// One row of the kernel in one pair of taps: r0: strip, r1: weights; sums in r4 to r7.
macro_rules! pair_of_taps {
    () => {
        "ldm r0!, {{r8, r9, r10, r11}}
         ldm r1!, {{r2, r3, r12, lr}}
         smlad r4, r8, r2, r4
         smlad r5, r9, r3, r5
         smlad r6, r10, r12, r6
         smlad r7, r11, lr, r7
         "
    };
}

/// All pairs of taps of any kernel, with the frame at sp.
macro_rules! any_taps {
    () => {
        "ldr r3, [sp, #16]
         3:
         ldr r2, [sp, #12]
         4:
         ldm r0!, {{r8, r9, r10, r11}}
         ldrd r12, lr, [r1], #8
         smlad r4, r8, r12, r4
         smlad r5, r9, lr, r5
         ldrd r12, lr, [r1], #8
         smlad r6, r10, r12, r6
         smlad r7, r11, lr, r7
         subs r2, #1
         bne 4b
         ldr r12, [sp, #20]
         add r0, r12
         subs r3, #1
         bne 3b
         ldr r12, [sp, #24]
         add r0, r12"
    };
}

/// Requantizes r4 to r7 and stores the four bytes; r1: multipliers and what follows them, r8 and r9: the output and the next one's
/// distance. Leaves the next output in r8.
macro_rules! finish_four {
    () => {
        "ldm r1!, {{r8, r9, r10, r11}}
         ldm r1, {{r2, r3, r12}}
         smmlar r4, r4, r8, r2
         smmlar r5, r5, r9, r2
         smmlar r6, r6, r10, r2
         smmlar r7, r7, r11, r2
         ldrd r8, r9, [sp]
         ssat r4, #8, r4
         ssat r5, #8, r5
         ssat r6, #8, r6
         ssat r7, #8, r7
         bfi r4, r5, #8, #8
         bfi r4, r6, #16, #8
         bfi r4, r7, #24, #8
         ssub8 r5, r4, r3
         sel r4, r4, r3
         ssub8 r5, r12, r4
         sel r4, r4, r12
         ldr r10, [sp, #8]
         str r4, [r8]
         add r8, r9
         str r8, [sp]
         cmp r8, r10"
    };
}

/// A loop over the windows of one row: r0: strip, r1: constants, r2: a [`RowFrame`]. $window adds up a window and moves r0 to the
/// next one; $finish stores the outputs and compares the next one's place with the end; $back moves r1 to the beginning.
macro_rules! row_loop {
    ($name:ident, $window:expr, $finish:expr, $back:expr) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(strip: *const i32, constants: *const i32, frame: &RowFrame) {
            naked_asm!(
                core!(),
                "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
                "ldm r2, {{r4, r5, r6, r7, r8, r9, r10, r11}}",
                "sub sp, #32",
                "stm sp, {{r4, r5, r6, r7, r8, r9, r10, r11}}",
                "2:",
                "ldm r1!, {{r4, r5, r6, r7}}",
                $window,
                $finish,
                $back,
                "bne 2b",
                "add sp, #32",
                "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            )
        }
    };
}

row_loop!(
    finish_3x3,
    concat!(
        ".rept 3\n",
        pair_of_taps!(),
        ".endr\n",
        "add r0, #48\n",
        ".rept 3\n",
        pair_of_taps!(),
        ".endr\n",
        "sub r0, #96"
    ),
    finish_four!(),
    "sub r1, #128"
);
row_loop!(
    finish_3x3_stride_2,
    concat!(".rept 6\n", pair_of_taps!(), ".endr\n", "sub r0, #48"),
    finish_four!(),
    "sub r1, #128"
);
row_loop!(finish_any, any_taps!(), finish_four!(), "ldr r9, [sp, #28]\n sub r1, r9");
row_loop!(
    sum_any,
    any_taps!(),
    "ldrd r8, r9, [sp]
     ldr r10, [sp, #8]
     stm r8, {{r4, r5, r6, r7}}
     add r8, r9
     str r8, [sp]
     cmp r8, r10",
    "ldr r9, [sp, #28]\n sub r1, r9\n add r1, #16"
);
