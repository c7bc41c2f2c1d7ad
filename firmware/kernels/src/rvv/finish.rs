//! From sums to outputs.

use crate::Words;
use crate::requant::Output;
use crate::rv32::Finish;

/// Writes the outputs of channels `first..`, at most [`super::BLOCK`], from their sums without the bias.
#[inline]
pub fn store(
    finish: Option<&Finish<'_>>,
    bias: Words<'_>,
    output: &Output<'_>,
    first: usize,
    sums: &mut [i32],
    y: &mut [i8],
) {
    match finish {
        Some(finish) => high_mul(finish, first, sums, y),
        None => by_rule(bias, output, first, sums, y),
    }
}

/// The same by any rule, as the scalar kernels do it.
#[inline(never)]
fn by_rule(bias: Words<'_>, output: &Output<'_>, first: usize, sums: &mut [i32], y: &mut [i8]) {
    for (sum, bias) in sums.iter_mut().zip(bias.part(first, y.len()).integers()) {
        *sum = sum.wrapping_add(bias);
    }
    output.store(first, sums, y);
}

/// The same by one high multiply.
#[inline]
fn high_mul(finish: &Finish<'_>, first: usize, sums: &[i32], y: &mut [i8]) {
    let count = y.len();
    let (sums, bias, mults) =
        (&sums[..count], &finish.bias[first..][..count], &finish.mults[first..][..count]);
    #[cfg(riscv_rvv)]
    if count > 0 {
        // SAFETY: `count` words are read at each of three pointers, and as many bytes written at `y`.
        unsafe {
            super::vector!(
                [
                    "2: vsetvli {step}, {left}, e32, m4, ta, ma",
                    "vle32.v v8, ({sums})",
                    "vle32.v v12, ({bias})",
                    "vle32.v v16, ({mults})",
                    "vadd.vv v8, v8, v12",
                    // The high half of the product, and one more where the low half is at least a half.
                    "vmulh.vv v12, v8, v16",
                    "vmul.vv v8, v8, v16",
                    "vsrl.vi v8, v8, 31",
                    "vadd.vv v8, v8, v12",
                    "vadd.vx v8, v8, {zero_point}",
                    "vmax.vx v8, v8, {lo}",
                    "vmin.vx v8, v8, {hi}",
                    "vsetvli zero, zero, e16, m2, ta, ma",
                    "vnsrl.wi v12, v8, 0",
                    "vsetvli zero, zero, e8, m1, ta, ma",
                    "vnsrl.wi v8, v12, 0",
                    "vse8.v v8, ({y})",
                    "sub {left}, {left}, {step}",
                    "add {y}, {y}, {step}",
                    "slli {step}, {step}, 2",
                    "add {sums}, {sums}, {step}",
                    "add {bias}, {bias}, {step}",
                    "add {mults}, {mults}, {step}",
                    "bnez {left}, 2b",
                ]
                step = out(reg) _,
                left = inout(reg) count => _,
                sums = inout(reg) sums.as_ptr() => _,
                bias = inout(reg) bias.as_ptr() => _,
                mults = inout(reg) mults.as_ptr() => _,
                y = inout(reg) y.as_mut_ptr() => _,
                zero_point = in(reg) finish.zero,
                lo = in(reg) finish.lo,
                hi = in(reg) finish.hi,
                options(nostack),
            );
        }
    }
    #[cfg(not(riscv_rvv))]
    for (((y, sum), bias), &mult) in y.iter_mut().zip(sums).zip(bias).zip(mults) {
        *y = finish.value(mult, sum.wrapping_add(*bias));
    }
}
