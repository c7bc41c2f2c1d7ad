//! Windows of one row against the weights of one channel of a depthwise convolution.

use core::arch::naked_asm;

use super::{Channel, Windows};
use crate::engine::kernels::mve::packing::TAPS;

/// The dot products of windows with the weights of one channel.
pub fn row_sums(windows: &Windows<'_>, weights: &[i8], sums: &mut [i32]) {
    if windows.taps >= 1 && windows.fit() && weights.len() >= windows.taps && sums.len() >= windows.count {
        let Windows { x, taps, step, count } = *windows;
        // SAFETY: windows, weights and sums lie in their slices.
        unsafe { row_sums_asm(x.as_ptr(), weights.as_ptr(), taps, count, step, sums.as_mut_ptr()) }
    }
}

#[unsafe(naked)]
unsafe extern "C" fn row_sums_asm(
    x: *const i8,
    weights: *const i8,
    taps: usize,
    count: usize,
    step: usize,
    sums: *mut i32,
) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, lr}}",
        "ldrd r6, r7, [sp, #24]",
        "2:",
        "mov r5, r0",
        "mov r8, r1",
        "movs r4, #0",
        "dlstp.8 lr, r2",
        "3:",
        "vldrb.u8 q0, [r5], #16",
        "vldrb.u8 q1, [r8], #16",
        "vmladava.s8 r4, q0, q1",
        "letp lr, 3b",
        "str r4, [r7], #4",
        "add r0, r6",
        "subs r3, #1",
        "bne 2b",
        "pop {{r4, r5, r6, r7, r8, pc}}",
    )
}

/// What the loops over a row's windows work with, word by word.
#[repr(C)]
struct Row {
    weights: *const i8,
    mult: i32,
    lo: i32,
    hi: i32,
    x: *const i8,
    y: *mut i8,
    count: usize,
    y_step: usize,
    bias: i32,
    zero_point: i32,
    step: usize,
}

/// The outputs of windows of at most 16 taps, `y_step` bytes apart. Four windows are read at once, 16 bytes each, and meet as
/// many weights, those behind the taps 0.
#[inline(always)]
pub fn finish_row(
    windows: &Windows<'_>,
    weights: &[i8; TAPS],
    channel: &Channel,
    y: &mut [i8],
    y_step: usize,
) {
    let Windows { x, step, count, .. } = *windows;
    let fits = count >= 1
        && x.len() >= (count.next_multiple_of(4) - 1) * step + TAPS
        && y.len() > (count - 1) * y_step;
    if !fits {
        return;
    }
    let frame = Row {
        weights: weights.as_ptr(),
        mult: channel.mult,
        lo: channel.steps.lo,
        hi: channel.steps.hi,
        x: x.as_ptr(),
        y: y.as_mut_ptr(),
        count,
        y_step,
        bias: channel.bias,
        zero_point: channel.steps.zero_point,
        step,
    };
    let run = match step {
        3 => finish_by_3,
        6 => finish_by_6,
        _ => finish_by_any,
    };
    // SAFETY: windows and outputs lie in their slices; of the last four windows only outputs that exist are written.
    unsafe { run(&frame) }
}

/// A loop over windows, four at a time: r0: windows, r1: outputs, r2: how many are left, r5: bias, r7: zero point, r9: bytes from
/// window to window, r11: from output to the fourth next; q1: weights, q2: multiplier, q3: places of outputs, q4 and q5: least and
/// greatest output. $load reads a window into q0 and moves r0 to the next one.
macro_rules! row_loop {
    ($name:ident, $load:expr) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(frame: &Row) {
            naked_asm!(
                ".cpu cortex-m55",
                "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
                "vpush {{d8, d9, d10, d11}}",
                "ldm r0!, {{r1, r2, r3, r4}}",
                "vldrb.u8 q1, [r1]",
                "vdup.32 q2, r2",
                "vdup.32 q4, r3",
                "vdup.32 q5, r4",
                "ldm.w r0, {{r0, r1, r2, r3, r5, r7, r9}}",
                "movs r4, #0",
                "vidup.u32 q3, r4, #1",
                "vmul.i32 q3, q3, r3",
                "lsl r11, r3, #2",
                "2:",
                $load,
                "vmladav.s8 r4, q0, q1",
                $load,
                "vmladav.s8 r6, q0, q1",
                $load,
                "vmladav.s8 r8, q0, q1",
                $load,
                "vmladav.s8 r10, q0, q1",
                "vmov q0[2], q0[0], r4, r8",
                "vmov q0[3], q0[1], r6, r10",
                "vadd.i32 q0, q0, r5",
                "vrmulh.s32 q0, q0, q2",
                "vadd.i32 q0, q0, r7",
                "vmax.s32 q0, q0, q4",
                "vmin.s32 q0, q0, q5",
                "vctp.32 r2",
                "vpst",
                "vstrbt.32 q0, [r1, q3]",
                "add r1, r11",
                "subs r2, #4",
                "bgt 2b",
                "vpop {{d8, d9, d10, d11}}",
                "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            )
        }
    };
}

row_loop!(finish_by_3, "vldrb.u8 q0, [r0], #3");
row_loop!(finish_by_6, "vldrb.u8 q0, [r0], #6");
row_loop!(finish_by_any, "vldrb.u8 q0, [r0]\n add r0, r9");
