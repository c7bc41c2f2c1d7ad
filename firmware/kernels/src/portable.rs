//! The kernels for plans whose weights lie as [`super::scalar`] has them, on the core that this program is built for: RISC-V cores
//! have loops of their own, in vectors where there are any, and all others take the scalar ones.

use super::rv32;
#[cfg(riscv_rvv)]
use super::rvv;
use super::scalar::{Conv, Depthwise, Slope, Sum};

/// Convolves `x` into `y`. `scratch` has [`super::scalar::scratch_bytes`] bytes. `None` where a slice is too short.
pub fn conv(conv: &Conv<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) -> Option<()> {
    #[cfg(riscv_rvv)]
    if rvv::is_here() {
        return rvv::conv(conv, x, scratch, y);
    }
    if cfg!(target_arch = "riscv32") { rv32::conv(conv, x, scratch, y) } else { conv.run(x, scratch, y) }
}

/// Convolves `x` into `y`. `None` where a slice is too short.
pub fn depthwise(depthwise: &Depthwise<'_>, x: &[i8], y: &mut [i8]) -> Option<()> {
    #[cfg(riscv_rvv)]
    if rvv::is_here() {
        return rvv::depthwise(depthwise, x, y);
    }
    if cfg!(target_arch = "riscv32") { rv32::depthwise(depthwise, x, y) } else { depthwise.run(x, y) }
}

/// Replaces every value of an activation with as many channels as there are lower multipliers.
pub fn slope(slope: &Slope<'_>, values: &mut [i8]) {
    #[cfg(riscv_rvv)]
    if rvv::is_here() {
        return rvv::slope(slope, values);
    }
    slope.run(values);
}

/// Replaces every value of `y` by `sum` of one of `x` and itself.
pub fn sum(sum: &Sum, x: &[i8], y: &mut [i8]) {
    #[cfg(riscv_rvv)]
    if rvv::is_here() {
        return rvv::sum(sum, x, y);
    }
    sum.run(x, y);
}
