//! Cortex-M55 and others with MVE: two rows at a time, which share what is loaded of the probe, 16 values an instruction.

use core::num::NonZero;

use super::{GROUP, Hit, LINE, Line};

/// [`super::Probe::scan`].
pub fn scan(probe: &[Line], rows: &[Line], from: usize, bound: i32) -> Option<Hit> {
    let lines = NonZero::new(probe.len())?;
    let mut first = from;
    loop {
        let rest = rows.get(first * lines.get()..)?;
        // Where there is only one row it is multiplied with itself beside it.
        let (count, pairs) = match rest.len() / lines {
            0 => return None,
            1 => (1, 1),
            more => (2, more / 2),
        };
        let pairs = rest.get(..pairs * count * lines.get())?.as_ptr_range();
        let mut walk = Walk {
            probe: probe.as_ptr(),
            lines: lines.get(),
            bound,
            stride: (count - 1) * lines.get() * LINE,
            end: pairs.end,
            row: pairs.start,
            products: [0; 2],
        };
        // SAFETY: from `row` to `end` lie whole pairs of rows, or one row, to which the stride of 0 adds none; a row has as
        // many lines as the probe; both are only read, and `walk` is ours.
        let found = unsafe { walk_pairs(&mut walk) } != 0;
        // SAFETY: it is left at the end of a row.
        first += unsafe { walk.row.offset_from(pairs.start) } as usize / lines;
        if found {
            let mut hit = Hit { first: first - count, count, products: [0; GROUP] };
            hit.products[..2].copy_from_slice(&walk.products);
            return Some(hit);
        }
    }
}

/// What the assembly is given, in the order in which it takes it, and what it gives.
#[repr(C)]
struct Walk {
    probe: *const Line,
    lines: usize,
    bound: i32,
    stride: usize,
    end: *const Line,
    row: *const Line,
    products: [i32; 2],
}

/// Multiplies pairs of rows from `row` on until one of the two products is above `bound` (1) or the rows are at their end (0).
#[unsafe(naked)]
unsafe extern "C" fn walk_pairs(walk: *mut Walk) -> u32 {
    core::arch::naked_asm!(
        // The target's name leaves them open.
        ".cpu cortex-m55",
        "push {{r4-r10, lr}}",
        "ldrd r5, r10, [r0]",
        "ldrd r8, r9, [r0, #8]",
        "ldrd r7, r1, [r0, #16]",
        "add r2, r1, r9",
        // Takes the 128 off the values at even places.
        "vmov.i16 q3, #0x80",
        // A pair: its rows are at r1 and r2, the probe at r3, the products in r4 and r6.
        "2: mov r3, r5",
        "movs r4, #0",
        "movs r6, #0",
        "dls lr, r10",
        // A line of each.
        "3:",
        ".rept 4",
        "vldrw.u32 q0, [r3], #16",
        "vldrw.u32 q1, [r1], #16",
        "vldrw.u32 q2, [r2], #16",
        "veor q1, q1, q3",
        "veor q2, q2, q3",
        "vmladava.s8 r4, q1, q0",
        "vmladava.s8 r6, q2, q0",
        ".endr",
        "le lr, 3b",
        "cmp r4, r8",
        "it le",
        "cmple r6, r8",
        "bgt 4f",
        // The second row of this pair ends where the next pair begins.
        "mov r1, r2",
        "add r2, r9",
        "cmp r1, r7",
        "bne 2b",
        "str r1, [r0, #20]",
        "movs r0, #0",
        "pop {{r4-r10, pc}}",
        "4: str r2, [r0, #20]",
        "strd r4, r6, [r0, #24]",
        "movs r0, #1",
        "pop {{r4-r10, pc}}",
    )
}
