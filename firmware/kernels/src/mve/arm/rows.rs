//! Windows against the weights of one channel of a depthwise convolution.

use core::arch::naked_asm;
use core::mem::offset_of;

use super::{LANES, Map, Room, Steps, Taps};
use crate::mve::TAPS;

/// What [`window_sums_asm`] works with, word by word.
#[repr(C)]
struct Window {
    x: *const i8,
    weights: *const i8,
    bias: *const [u8; 4],
    sums: *mut [i32; LANES],
    minus_zero: i32,
    channels: usize,
    /// Bytes from behind a row to the next one, in the input.
    x_skip: usize,
    /// The same of the weights.
    w_skip: usize,
    /// Channels, for each of which there is a bias.
    count: usize,
    rows: usize,
    columns: usize,
}

/// The sums of one window for some channels, one for each bias. `x` and `weights` begin with the first channel's.
#[inline(always)]
pub fn window_sums(taps: &Taps, x: &[i8], weights: &[i8], bias: &[[u8; 4]], sums: &mut [[i32; LANES]]) {
    let Taps { rows, columns, x_row, w_row, channels, zero } = *taps;
    let (count, row) = (bias.len(), columns * channels);
    let end = |step: usize| (rows - 1) * step + (columns - 1) * channels + count;
    let fits = rows >= 1
        && columns >= 1
        && count >= 1
        && count <= sums.as_flattened().len()
        && x_row >= row
        && w_row >= row
        && x.len() >= end(x_row)
        && weights.len() >= end(w_row);
    if !fits {
        return;
    }
    let window = Window {
        x: x.as_ptr(),
        weights: weights.as_ptr(),
        bias: bias.as_ptr(),
        sums: sums.as_mut_ptr(),
        minus_zero: -(zero as i32),
        channels,
        x_skip: x_row - row,
        w_skip: w_row - row,
        count,
        rows,
        columns,
    };
    // SAFETY: values and weights of the last row and column, and the biases, lie in their slices for as many channels as there are
    // biases; lanes behind them are not read; there are whole fours of sums for them.
    unsafe { window_sums_asm(&window) }
}

/// r0: values, r1: weights, r2: biases, r3: sums, r4: minus the zero point, r5: channels, r6 and r7: bytes to skip behind a row, r8:
/// channels to come, r9: rows to come, r10: columns, r12: the window.
#[unsafe(naked)]
unsafe extern "C" fn window_sums_asm(window: &Window) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "mov r12, r0",
        "ldr r10, [r12, #{columns}]",
        "ldm r12, {{r0, r1, r2, r3, r4, r5, r6, r7, r8}}",
        "mov r11, #0",
        "2:",
        "vctp.32 r8",
        "vpst",
        "vldrbt.u8 q0, [r2], #16",
        "ldr r9, [r12, #{rows}]",
        "3:",
        "dls lr, r10",
        "4:",
        "vpstt",
        "vldrbt.s32 q1, [r0]",
        "vldrbt.s32 q2, [r1]",
        "vadd.i32 q1, q1, r4",
        "vmul.i32 q1, q1, q2",
        "vadd.i32 q0, q0, q1",
        "add r0, r5",
        "add r1, r5",
        "le lr, 4b",
        "add r0, r6",
        "add r1, r7",
        "subs r9, #1",
        "bne 3b",
        "vstrw.32 q0, [r3], #16",
        "ldrd r0, r1, [r12]",
        "add r11, #4",
        "add r0, r11",
        "add r1, r11",
        "subs r8, #4",
        "bgt 2b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        columns = const offset_of!(Window, columns),
        rows = const offset_of!(Window, rows),
    )
}

/// What [`by_3`] and its like work with, word by word.
#[repr(C)]
struct Frame {
    weights: *const i8,
    list: *const i8,
    taps: usize,
    copies: *mut i8,
    copies_end: *mut i8,
    zero: i32,
    bias: i32,
    mult: i32,
    steps: Steps,
    channels: usize,
    rows: usize,
    step: usize,
    /// Rows that come into the strip before the next row of outputs: the whole kernel's, then `down` each time.
    to_load: usize,
    down: usize,
    /// The slot that the next row comes into.
    slot: usize,
    /// Which row of the input that is, counted from 0; less than 0 above it.
    row: isize,
    height: usize,
    x: *const i8,
    x_row: usize,
    inside: usize,
    ring: *mut i8,
    columns: usize,
    /// Where a row's first pixel comes into the first slot.
    first: *mut i8,
    /// The next row's copy of the weights.
    copy: *const i8,
    y: *mut i8,
    y_row: usize,
    windows: usize,
    outputs: usize,
}

/// The outputs of one channel whose windows have at most 16 taps, with its bias and its multiplier. `x`, `weights` and `y` begin with
/// the channel's first value; `room` has a strip in which four windows can be read at once, 16 bytes each.
pub fn channel(
    map: &Map,
    x: &[i8],
    weights: &[i8],
    (bias, mult): (i32, i32),
    steps: &Steps,
    room: &mut Room<'_>,
    y: &mut [i8],
) {
    let Map { rows, channels, columns, inside, height, x_row, step, windows, outputs, .. } = *map;
    let Room { ring, copies, places } = room;
    let (lists, taps, turns) = (places.bytes(), places.taps(), copies.len() / TAPS);
    let strip = ((windows.next_multiple_of(4) - 1) * step + TAPS)
        .max((columns - 1) * rows + rows)
        .max((map.first + inside) * rows);
    let fits = taps <= TAPS
        && (1..=rows).contains(&map.down)
        && turns >= 1
        && copies.len() == turns * TAPS
        && lists.len() >= turns * 2 * taps
        && places.greatest() < weights.len()
        && 8 * channels.max(rows) <= u16::MAX as usize
        && ring.len() >= strip
        && x.len() > (height - 1) * x_row + (inside - 1) * channels
        && y.len() > (outputs * windows - 1) * channels;
    if !fits {
        return;
    }
    let (first, copies) = (ring.as_mut_ptr().wrapping_add(map.first * rows), copies.as_mut_ptr_range());
    let mut frame = Frame {
        weights: weights.as_ptr(),
        list: lists.as_ptr(),
        taps,
        copies: copies.start,
        copies_end: copies.end,
        zero: map.zero as i32,
        bias,
        mult,
        steps: *steps,
        channels,
        rows,
        step,
        to_load: rows,
        down: map.down,
        slot: 0,
        row: -(map.above as isize),
        height,
        x: x.as_ptr(),
        x_row,
        inside,
        ring: ring.as_mut_ptr(),
        columns,
        first,
        copy: copies.start,
        y: y.as_mut_ptr(),
        y_row: windows * channels,
        windows,
        outputs,
    };
    let run = match step {
        3 => by_3,
        6 => by_6,
        _ => by_any,
    };
    // SAFETY: no row of the input beyond its last one is read; the list's weights and every output lie in their slices; rows,
    // windows and copies lie in the room.
    unsafe { run(&mut frame) }
}

/// r12: frame. First the copies of the weights, which leave their sum in r4. Then for each row of outputs new rows come into the
/// strip (r4: row of the input, r8: slot, r10: rows to come), and the windows are gone through, four at a time: r0: windows, r1:
/// outputs, r2: how many are left, r5: bias, r7: zero point, r9: bytes from window to window, r11: from output to the fourth next;
/// q1: weights, q2: multiplier, q3: places of outputs, q4 and q5: least and greatest output, q6 and q7: places of pixels in the
/// input and in the strip. $load reads a window into q0 and moves r0 to the next one.
macro_rules! channel_asm {
    ($name:ident, $load:expr) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(frame: &mut Frame) {
            naked_asm!(
                ".cpu cortex-m55",
                "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
                "vpush {{d8, d9, d10, d11, d12, d13, d14, d15}}",
                "mov r12, r0",
                "ldm r12, {{r0, r5}}",
                "ldr r2, [r12, #{taps}]",
                "ldrd r7, r9, [r12, #{copies}]",
                "2:",
                "mov r1, r5",
                "mov r3, r7",
                "movs r4, #0",
                "dlstp.16 lr, r2",
                "3:",
                "vldrb.u8 q0, [r1], #16",
                "vldrb.u16 q1, [r0, q0]",
                "vmovlb.s8 q0, q1",
                "vaddva.s16 r4, q0",
                "vstrb.16 q1, [r3], #8",
                "letp lr, 3b",
                "add r5, r5, r2, lsl #1",
                "adds r7, #16",
                "cmp r7, r9",
                "bne 2b",
                "ldrd r6, r5, [r12, #{zero}]",
                "mls r5, r6, r4, r5",
                "ldrd r0, r7, [r12, #{mult}]",
                "vdup.32 q2, r0",
                "ldrd r0, r1, [r12, #{lo}]",
                "vdup.32 q4, r0",
                "vdup.32 q5, r1",
                "ldrd r3, r4, [r12, #{channels}]",
                "movs r0, #0",
                "vidup.u16 q0, r0, #1",
                "vmul.i16 q6, q0, r3",
                "vmul.i16 q7, q0, r4",
                "movs r0, #0",
                "vidup.u32 q0, r0, #1",
                "vmul.i32 q3, q0, r3",
                "lsl r11, r3, #2",
                "ldr r9, [r12, #{step}]",
                "2:",
                "ldrd r10, r6, [r12, #{to_load}]",
                "str r6, [r12, #{to_load}]",
                "ldrd r8, r4, [r12, #{slot}]",
                "3:",
                "ldrd r6, r0, [r12, #{height}]",
                "ldr r3, [r12, #{rows}]",
                "cmp r4, r6",
                "bhs 5f",
                "ldrd r6, r2, [r12, #{x_row}]",
                "ldr r1, [r12, #{first}]",
                "add r6, r0",
                "str r6, [r12, #{x}]",
                "add r1, r8",
                "dlstp.16 lr, r2",
                "4:",
                "vldrb.u16 q0, [r0, q6]",
                "vstrb.16 q0, [r1, q7]",
                "add r0, r0, r11, lsl #1",
                "add r1, r1, r3, lsl #3",
                "letp lr, 4b",
                "b 7f",
                "5:",
                "ldrd r1, r2, [r12, #{ring}]",
                "ldr r0, [r12, #{zero}]",
                "vdup.16 q0, r0",
                "add r1, r8",
                "dlstp.16 lr, r2",
                "6:",
                "vstrb.16 q0, [r1, q7]",
                "add r1, r1, r3, lsl #3",
                "letp lr, 6b",
                "7:",
                "add r4, #1",
                "add r8, #1",
                "cmp r8, r3",
                "it eq",
                "moveq r8, #0",
                "subs r10, #1",
                "bne 3b",
                "strd r8, r4, [r12, #{slot}]",
                "ldrd r0, r1, [r12, #{copy}]",
                "vldrb.u8 q1, [r0], #16",
                "ldr r6, [r12, #{copies_end}]",
                "cmp r0, r6",
                "it eq",
                "ldreq r0, [r12, #{copies}]",
                "ldrd r3, r2, [r12, #{y_row}]",
                "add r3, r1",
                "strd r0, r3, [r12, #{copy}]",
                "ldr r0, [r12, #{ring}]",
                "8:",
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
                "bgt 8b",
                "ldr r6, [r12, #{outputs}]",
                "subs r6, #1",
                "str r6, [r12, #{outputs}]",
                "bne 2b",
                "vpop {{d8, d9, d10, d11, d12, d13, d14, d15}}",
                "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
                taps = const offset_of!(Frame, taps),
                copies = const offset_of!(Frame, copies),
                copies_end = const offset_of!(Frame, copies_end),
                zero = const offset_of!(Frame, zero),
                mult = const offset_of!(Frame, mult),
                lo = const offset_of!(Frame, steps) + offset_of!(Steps, lo),
                channels = const offset_of!(Frame, channels),
                rows = const offset_of!(Frame, rows),
                step = const offset_of!(Frame, step),
                to_load = const offset_of!(Frame, to_load),
                slot = const offset_of!(Frame, slot),
                height = const offset_of!(Frame, height),
                x = const offset_of!(Frame, x),
                x_row = const offset_of!(Frame, x_row),
                first = const offset_of!(Frame, first),
                ring = const offset_of!(Frame, ring),
                copy = const offset_of!(Frame, copy),
                y_row = const offset_of!(Frame, y_row),
                outputs = const offset_of!(Frame, outputs),
            )
        }
    };
}

channel_asm!(by_3, "vldrb.u8 q0, [r0], #3");
channel_asm!(by_6, "vldrb.u8 q0, [r0], #6");
channel_asm!(by_any, "vldrb.u8 q0, [r0]\n add r0, r9");
