//! Operations on one value at a time: PReLUs and residual adds.

use crate::scalar::{Slope, Sum};

/// Replaces every value of an activation as [`Slope::run`] does.
pub(crate) fn slope(slope: &Slope<'_>, values: &mut [i8]) {
    if let Some(negative) = slope.negative.aligned().filter(|negative| !negative.is_empty()) {
        let pixels = values.len() / negative.len();
        if pixels == 0 {
            return;
        }
        // SAFETY: a word is read for each channel, and whole pixels of as many values are read and written.
        unsafe {
            super::vector!(
                [
                    "2: vsetvli {done}, {left}, e32, m4, ta, mu",
                    "vle32.v v4, ({negative})",
                    "mv {at}, {values}",
                    "mv {count}, {pixels}",
                    "3: vle8.v v16, ({at})",
                    "vsext.vf4 v8, v16",
                    "vsub.vx v8, v8, {input_zero}",
                    "vmslt.vx v0, v8, zero",
                    "vmul.vx v12, v8, {positive}",
                    "vmul.vv v12, v8, v4, v0.t",
                    "vadd.vx v12, v12, {half}",
                    "vsra.vx v12, v12, {bits}",
                    "vadd.vx v12, v12, {output_zero}",
                    // What is outside becomes the nearer end.
                    "vsetvli zero, zero, e16, m2, ta, ma",
                    "vnclip.wi v8, v12, 0",
                    "vsetvli zero, zero, e8, m1, ta, ma",
                    "vnclip.wi v12, v8, 0",
                    "vse8.v v12, ({at})",
                    "vsetvli zero, zero, e32, m4, ta, mu",
                    "add {at}, {at}, {channels}",
                    "addi {count}, {count}, -1",
                    "bnez {count}, 3b",
                    "sub {left}, {left}, {done}",
                    "add {values}, {values}, {done}",
                    "slli {done}, {done}, 2",
                    "add {negative}, {negative}, {done}",
                    "bnez {left}, 2b",
                ]
                done = out(reg) _,
                at = out(reg) _,
                count = out(reg) _,
                left = inout(reg) negative.len() => _,
                negative = inout(reg) negative.as_ptr() => _,
                values = inout(reg) values.as_mut_ptr() => _,
                pixels = in(reg) pixels,
                channels = in(reg) negative.len(),
                positive = in(reg) slope.positive,
                half = in(reg) 1 << (slope.bits - 1),
                bits = in(reg) slope.bits as u32,
                input_zero = in(reg) slope.input_zero as i32,
                output_zero = in(reg) slope.output_zero as i32,
                options(nostack),
            );
        }
        return;
    }
    slope.run(values);
}

/// Replaces every value of `y` by `sum` of one of `x` and itself, as [`Sum::run`] does.
pub(crate) fn sum(sum: &Sum, x: &[i8], y: &mut [i8]) {
    let count = x.len().min(y.len());
    let (x, y) = (&x[..count], &mut y[..count]);
    if count > 0 {
        // Only all terms together stay inside 32 bits.
        let zeros = [0, 1].map(|at| (sum.zeros[at] as i32).wrapping_mul(sum.mults[at]));
        let constant = (1i32 << (sum.bits - 1)).wrapping_sub(zeros[0]).wrapping_sub(zeros[1]);
        // SAFETY: `x` and `y` are read, and `y` is written, to their ends.
        unsafe {
            super::vector!(
                [
                    "2: vsetvli {step}, {left}, e32, m8, ta, ma",
                    "vle8.v v24, ({x})",
                    "vle8.v v26, ({y})",
                    "vsext.vf4 v8, v24",
                    "vsext.vf4 v16, v26",
                    "vmul.vx v8, v8, {first}",
                    "vmacc.vx v8, {second}, v16",
                    "vadd.vx v8, v8, {constant}",
                    "vsra.vx v8, v8, {bits}",
                    "vadd.vx v8, v8, {zero_point}",
                    "vmax.vx v8, v8, {lo}",
                    "vmin.vx v8, v8, {hi}",
                    "vsetvli zero, zero, e16, m4, ta, ma",
                    "vnsrl.wi v16, v8, 0",
                    "vsetvli zero, zero, e8, m2, ta, ma",
                    "vnsrl.wi v8, v16, 0",
                    "vse8.v v8, ({y})",
                    "add {x}, {x}, {step}",
                    "add {y}, {y}, {step}",
                    "sub {left}, {left}, {step}",
                    "bnez {left}, 2b",
                ]
                step = out(reg) _,
                left = inout(reg) count => _,
                x = inout(reg) x.as_ptr() => _,
                y = inout(reg) y.as_mut_ptr() => _,
                first = in(reg) sum.mults[0],
                second = in(reg) sum.mults[1],
                constant = in(reg) constant,
                bits = in(reg) sum.bits as u32,
                zero_point = in(reg) sum.output_zero as i32,
                lo = in(reg) sum.lo as i32,
                hi = in(reg) sum.hi as i32,
                options(nostack),
            );
        }
    }
}
