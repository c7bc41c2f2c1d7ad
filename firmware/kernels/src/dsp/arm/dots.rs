//! Windows of two pixels against two output channels, or of one against four, for every block of packed weights.

use core::arch::naked_asm;

use super::gather::expand_raw;
use super::{LANES, Pixels, Steps, Tile};
use crate::dsp::TAPS;

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
        && tile.fours >= 1
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

/// The frame for `blocks` blocks, without its places in the output; `None` unless everything it reads lies in the slices.
#[inline(always)]
fn finishing(
    tile: &Tile<'_>,
    pairs: &[i32],
    blocks: usize,
    [bias, mults]: [&[i32]; 2],
    steps: &Steps,
) -> Option<Finish> {
    let lanes = if tile.pixels == 1 { 4 } else { 2 };
    let count = blocks * lanes;
    let fits = blocks >= 1
        && tile.fours >= 1
        && tile.block_words == lanes * tile.fours
        && tile.weights.len() >= blocks * tile.block_words
        && bias.len() >= count
        && mults.len() >= count
        && pairs.len() >= 2 * tile.pixels * tile.fours;
    let none = core::ptr::null_mut();
    fits.then(|| Finish {
        pairs: pairs.as_ptr(),
        turns: Turns::of(tile.fours, tile.pixels),
        weights: tile.weights.as_ptr(),
        bias: bias.as_ptr(),
        mults: mults.as_ptr(),
        steps: *steps,
        end: none,
        y: none,
        second: none,
    })
}

/// The outputs of `blocks` blocks, from the tile's first one on, at `places`, one for each pixel; `constants` are biases and
/// multipliers.
#[inline(always)]
pub fn finish(
    tile: &Tile<'_>,
    pairs: &[i32],
    blocks: usize,
    constants: [&[i32]; 2],
    steps: &Steps,
    y: &mut [i8],
    places: [usize; 2],
) {
    let count = if tile.pixels == 1 { 4 * blocks } else { 2 * blocks };
    let inside = |&place: &usize| place <= y.len() && count <= y.len() - place;
    if !places.iter().take(tile.pixels).all(inside) {
        return;
    }
    let Some(mut frame) = finishing(tile, pairs, blocks, constants, steps) else { return };
    [frame.y, frame.second] = places.map(|place| y.as_mut_ptr().wrapping_add(place));
    frame.end = frame.y.wrapping_add(count);
    // SAFETY: pairs, weights, biases and multipliers lie in their slices, at multiples of 4, as words do; `count` bytes are written
    // at each of the places, which may be the same.
    unsafe { if tile.pixels == 1 { finish_1x4(&frame) } else { finish_2x2(&frame) } }
}

/// The outputs of `blocks` blocks, from the first one on, of many pixels.
#[expect(clippy::too_many_arguments, reason = "one call for a whole layer")]
pub fn finish_pixels(
    tile: &Tile<'_>,
    pixels: &Pixels,
    x: &[i8],
    pairs: &mut [i32],
    blocks: usize,
    constants: [&[i32]; 2],
    steps: &Steps,
    y: &mut [i8],
) {
    let Pixels { count, x_step, y_step } = *pixels;
    let outputs = if tile.pixels == 1 { 4 * blocks } else { 2 * blocks };
    let fits = count >= 1
        && x.len() >= (count - 1) * x_step + tile.fours * TAPS
        && y.len() >= (count - 1) * y_step + outputs;
    let frame = finishing(tile, pairs, blocks, constants, steps);
    let Some(mut frame) = frame.filter(|_| fits) else { return };
    let (x, pairs, y) = (x.as_ptr(), pairs.as_mut_ptr(), y.as_mut_ptr());
    frame.pairs = pairs;
    for pixel in 0..count.div_ceil(tile.pixels) {
        let pixel = pixel * tile.pixels;
        // The last one of an odd count is there twice, and its bytes are written twice.
        let second = if pixel + 1 < count { pixel + 1 } else { pixel };
        let windows = [pixel, second].map(|pixel| x.wrapping_add(pixel * x_step).cast());
        [frame.y, frame.second] = [pixel, second].map(|pixel| y.wrapping_add(pixel * y_step));
        frame.end = frame.y.wrapping_add(outputs);
        // SAFETY: windows and outputs of the last pixel lie in `x` and `y`, and so do those before it; for the rest see `finish`.
        unsafe {
            expand_raw(windows[0], windows[1], tile.pixels, pairs, tile.fours);
            if tile.pixels == 1 { finish_1x4(&frame) } else { finish_2x2(&frame) }
        }
    }
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
