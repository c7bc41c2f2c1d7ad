//! Windows against blocks of packed weights: sixteen taps of one window with four output channels.

use core::arch::naked_asm;

use super::{Steps, Windows};
use crate::mve::{BLOCK, TAPS};

/// All taps of one window with one block. r0: window, r1: weights, r2: taps; sums in r4, r6, r8 and r10. Moves r1 to the next
/// block.
macro_rules! all_taps {
    () => {
        "dlstp.8 lr, r2
         4:
         vldrb.u8 q0, [r0], #16
         vldrb.u8 q1, [r1], #16
         vmladava.s8 r4, q0, q1
         vldrb.u8 q1, [r1], #16
         vmladava.s8 r6, q0, q1
         vldrb.u8 q1, [r1], #16
         vmladava.s8 r8, q0, q1
         vldrb.u8 q1, [r1], #16
         vmladava.s8 r10, q0, q1
         letp lr, 4b"
    };
}

/// What [`finish_asm`] works with, word by word.
#[repr(C)]
struct Finish {
    x: *const i8,
    weights: *const i8,
    bias: *const [u8; 4],
    mults: *const [u8; 4],
    y: *mut i8,
    taps: usize,
    blocks: usize,
    x_step: usize,
    y_step: usize,
    count: usize,
    steps: Steps,
}

/// The outputs of whole blocks for every window, `y_step` bytes apart: a bias and a multiplier for each channel.
#[inline(always)]
pub fn finish(
    windows: &Windows<'_>,
    weights: &[i8],
    [bias, mults]: [&[[u8; 4]]; 2],
    steps: &Steps,
    y: &mut [i8],
    y_step: usize,
) {
    let (taps, count, blocks) = (windows.taps, windows.count, bias.len().min(mults.len()) / BLOCK);
    let fits = windows.fit()
        && blocks >= 1
        && taps >= 1
        && weights.len() >= blocks * taps.div_ceil(TAPS) * TAPS * BLOCK
        && y.len() >= (count - 1) * y_step + blocks * BLOCK;
    if !fits {
        return;
    }
    let mut frame = Finish {
        x: windows.x.as_ptr(),
        weights: weights.as_ptr(),
        bias: bias.as_ptr(),
        mults: mults.as_ptr(),
        y: y.as_mut_ptr(),
        taps,
        blocks,
        x_step: windows.step,
        y_step,
        count,
        steps: *steps,
    };
    // SAFETY: windows, the blocks' weights, constants and outputs lie in their slices, as was found above.
    unsafe { finish_asm(&mut frame) }
}

/// r12: frame, r3: biases, r5: multipliers, r7: outputs, r9: zero point, r11: blocks; q2 and q3: least and greatest output.
#[unsafe(naked)]
unsafe extern "C" fn finish_asm(frame: &mut Finish) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "mov r12, r0",
        "ldr r2, [r12, #20]",
        "ldr r9, [r12, #40]",
        "ldrd r0, r1, [r12, #44]",
        "vdup.32 q2, r0",
        "vdup.32 q3, r1",
        "2:",
        "ldrd r1, r3, [r12, #4]",
        "ldrd r5, r7, [r12, #12]",
        "ldr r11, [r12, #24]",
        "3:",
        "ldr r0, [r12]",
        "ldr r4, [r3], #4",
        "ldr r6, [r3], #4",
        "ldr r8, [r3], #4",
        "ldr r10, [r3], #4",
        all_taps!(),
        "vmov q0[2], q0[0], r4, r8",
        "vmov q0[3], q0[1], r6, r10",
        "vldrb.u8 q1, [r5], #16",
        "vrmulh.s32 q0, q0, q1",
        "vadd.i32 q0, q0, r9",
        "vmax.s32 q0, q0, q2",
        "vmin.s32 q0, q0, q3",
        "vstrb.32 q0, [r7], #4",
        "subs r11, #1",
        "bne 3b",
        "ldrd r4, r6, [r12, #28]",
        "ldr r0, [r12]",
        "ldr r7, [r12, #16]",
        "ldr r8, [r12, #36]",
        "add r0, r4",
        "add r7, r6",
        "str r0, [r12]",
        "str r7, [r12, #16]",
        "subs r8, #1",
        "str r8, [r12, #36]",
        "bne 2b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// What [`sums_asm`] works with, word by word.
#[repr(C)]
struct Sums {
    x: *const i8,
    weights: *const i8,
    taps: usize,
    sums: *mut [i32; BLOCK],
    blocks: usize,
}

/// The dot products of one window with blocks of weights.
pub fn sums(window: &[i8], weights: &[i8], sums: &mut [[i32; BLOCK]]) {
    let (taps, blocks) = (window.len(), sums.len());
    if blocks < 1 || taps < 1 || weights.len() < blocks * taps.div_ceil(TAPS) * TAPS * BLOCK {
        return;
    }
    let (x, weights, sums) = (window.as_ptr(), weights.as_ptr(), sums.as_mut_ptr());
    // SAFETY: there are weights for each of the blocks, and sums, which are written.
    unsafe { sums_asm(&Sums { x, weights, taps, sums, blocks }) }
}

/// r3: sums, r5: window, r7: blocks.
#[unsafe(naked)]
unsafe extern "C" fn sums_asm(frame: &Sums) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, r9, r10, lr}}",
        "ldr r7, [r0, #16]",
        "ldm r0, {{r0, r1, r2, r3}}",
        "mov r5, r0",
        "3:",
        "mov r0, r5",
        "movs r4, #0",
        "movs r6, #0",
        "mov r8, r4",
        "mov r10, r4",
        all_taps!(),
        "strd r4, r6, [r3], #8",
        "strd r8, r10, [r3], #8",
        "subs r7, #1",
        "bne 3b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, pc}}",
    )
}
