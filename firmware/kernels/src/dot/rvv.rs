//! RISC-V cores with the vector extension: two rows at a time, which share what is loaded of the probe.

use super::{EXCESS, Hit, LINE, Line, groups};
use crate::rvv::vector;

/// [`super::Probe::scan`].
pub fn scan(probe: &[Line], rows: &[Line], from: usize, bound: i32) -> Option<Hit> {
    groups::scan(probe.len(), rows, from, bound, |rows| products(probe, rows))
}

/// The dot products of the values in `probe` with each of two rows, which have as many lines.
fn products(probe: &[Line], rows: [&[Line]; 2]) -> [i32; 2] {
    let (a, b) = (rows[0][..probe.len()].as_ptr(), rows[1][..probe.len()].as_ptr());
    let range = probe.as_ptr_range();
    let (first, second): (i32, i32);
    // SAFETY: a probe has at least one line; of the rows as much is read as of it.
    unsafe {
        vector!(
            [
                "vsetvli {step}, zero, e32, m8, ta, ma",
                "vmv.v.i v8, 0",
                "vmv.v.i v16, 0",
                // Takes the 128 off the values at even places, which are widened as if they had none.
                "vsetvli {step}, zero, e32, m4, ta, ma",
                "vmv.v.x v28, {excess}",
                // Registers have room for a power of two, so that a line is a whole number of steps.
                "vsetvli {step}, {line}, e16, m4, tu, ma",
                "2: vle8.v v2, ({probe})",
                "vle8.v v6, ({a})",
                "vle8.v v26, ({b})",
                "vsext.vf2 v0, v2",
                "vsext.vf2 v4, v6",
                "vsext.vf2 v24, v26",
                "vxor.vv v4, v4, v28",
                "vxor.vv v24, v24, v28",
                "vwmacc.vv v8, v4, v0",
                "vwmacc.vv v16, v24, v0",
                "add {a}, {a}, {step}",
                "add {b}, {b}, {step}",
                "add {probe}, {probe}, {step}",
                "bne {probe}, {end}, 2b",
                "vsetvli {step}, zero, e32, m8, ta, ma",
                "vmv.s.x v0, zero",
                "vredsum.vs v8, v8, v0",
                "vredsum.vs v16, v16, v0",
                "vmv.x.s {first}, v8",
                "vmv.x.s {second}, v16",
            ]
            step = out(reg) _,
            probe = inout(reg) range.start => _,
            end = in(reg) range.end,
            a = inout(reg) a => _,
            b = inout(reg) b => _,
            // A widened value differs from the wanted one in the sign and in all bits above it.
            excess = in(reg) (EXCESS as i8 as i16 as u16) as u32,
            line = in(reg) LINE,
            first = lateout(reg) first,
            second = lateout(reg) second,
            options(readonly, nostack),
        );
    }
    [first, second]
}
