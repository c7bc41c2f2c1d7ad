//! The kernels for RISC-V cores with the vector extension (RVV 1.0, of which they need `zve32x`), equal to [`super::scalar`] to the
//! byte.
//!
//! Weights lie as the scalar kernels have them: a window and the weights of an output are runs of bytes, multiplied as many at a
//! time as the core's registers have room for, whatever their length. Only the innermost loops are assembly, and only in a
//! program built for such cores (feature `rvv`); elsewhere plain Rust stands in their place, for tests.

/// Assembly with vector instructions, which the target's name leaves open. They leave no state that compiled code knows of.
#[cfg(riscv_rvv)]
macro_rules! vector {
    ([$($line:expr),* $(,)?] $($operands:tt)*) => {
        core::arch::asm!(".option push", ".option arch, +zve32x", $($line,)* ".option pop", $($operands)*)
    };
}
#[cfg(riscv_rvv)]
pub(super) use vector;

mod conv;
mod depthwise;
mod dots;
mod finish;
#[cfg(riscv_rvv)]
mod values;

pub(super) use conv::conv;
pub(super) use depthwise::depthwise;
#[cfg(riscv_rvv)]
pub(super) use values::{slope, sum};

/// Values of a layer that are finished together.
const BLOCK: usize = 64;

/// Whether this core has vector registers that its program has switched on: the field VS of the register `mstatus`, which machine
/// mode can read. It is 0 where there are none.
#[cfg(riscv_rvv)]
pub fn is_here() -> bool {
    let status: u32;
    // SAFETY: reading the register changes nothing.
    unsafe {
        core::arch::asm!("csrr {}, mstatus", out(reg) status, options(nomem, nostack, preserves_flags))
    };
    status >> 9 & 3 != 0
}
