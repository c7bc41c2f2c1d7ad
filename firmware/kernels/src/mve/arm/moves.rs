//! Windows from the input to where they are one run of bytes.

use core::arch::naked_asm;

/// Whether `count` runs of `length` bytes, `stride` bytes apart, lie in `bytes` bytes.
#[inline(always)]
fn fit(bytes: usize, length: usize, count: usize, stride: usize) -> bool {
    count >= 1 && bytes >= (count - 1) * stride + length
}

/// Copies `count` rows of `length` bytes, `strides` bytes apart in the source and in the target.
#[inline(always)]
pub fn copy_rows(x: &[i8], into: &mut [i8], length: usize, count: usize, strides: [usize; 2]) {
    if length >= 1 && fit(x.len(), length, count, strides[0]) && fit(into.len(), length, count, strides[1]) {
        // SAFETY: all rows lie in their slices.
        unsafe { copy_rows_asm(x.as_ptr(), into.as_mut_ptr(), length, count, strides[0], strides[1]) }
    }
}

#[unsafe(naked)]
unsafe extern "C" fn copy_rows_asm(
    x: *const i8,
    into: *mut i8,
    length: usize,
    count: usize,
    from: usize,
    to: usize,
) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, lr}}",
        "ldrd r6, r7, [sp, #24]",
        "2:",
        "mov r4, r0",
        "mov r5, r1",
        "dlstp.8 lr, r2",
        "3:",
        "vldrb.u8 q0, [r4], #16",
        "vstrb.8 q0, [r5], #16",
        "letp lr, 3b",
        "add r0, r6",
        "add r1, r7",
        "subs r3, #1",
        "bne 2b",
        "pop {{r4, r5, r6, r7, r8, pc}}",
    )
}

/// What [`copy_windows_asm`] works with, word by word.
#[repr(C)]
struct Copies {
    x: *const i8,
    into: *mut i8,
    length: usize,
    count: usize,
    rows: usize,
    x_row: usize,
    x_step: usize,
}

/// Copies `count` windows of `rows` rows of `length` bytes each, one behind the other. In the source rows are `steps[0]` bytes apart,
/// and windows `steps[1]`.
#[inline(always)]
pub fn copy_windows(
    x: &[i8],
    into: &mut [i8],
    count: usize,
    rows: usize,
    length: usize,
    [x_row, x_step]: [usize; 2],
) {
    let fits = count >= 1
        && length >= 1
        && fit(x.len(), (count - 1) * x_step + length, rows, x_row)
        && into.len() >= count * rows * length;
    if fits {
        let (x, into) = (x.as_ptr(), into.as_mut_ptr());
        // SAFETY: the last row of the last window lies in `x`, and all rows of all windows have room in `into`.
        unsafe { copy_windows_asm(&Copies { x, into, length, count, rows, x_row, x_step }) }
    }
}

/// r0: window, r1: target, r2: length, r3: windows, r4: rows, r5: bytes from row to row, r6: from window to window.
#[unsafe(naked)]
unsafe extern "C" fn copy_windows_asm(copies: &Copies) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, r9, r10, lr}}",
        "ldm.w r0, {{r0, r1, r2, r3, r4, r5, r6}}",
        "2:",
        "mov r7, r0",
        "mov r8, r4",
        "3:",
        "mov r9, r7",
        "mov r10, r1",
        "dlstp.8 lr, r2",
        "4:",
        "vldrb.u8 q0, [r9], #16",
        "vstrb.8 q0, [r10], #16",
        "letp lr, 4b",
        "add r7, r5",
        "add r1, r2",
        "subs r8, #1",
        "bne 3b",
        "add r0, r6",
        "subs r3, #1",
        "bne 2b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, pc}}",
    )
}
