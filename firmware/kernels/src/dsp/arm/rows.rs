//! Windows of one row against the weights of four channels of a depthwise convolution.

use core::arch::naked_asm;

use super::Row;

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
