//! The innermost loops in assembly, for Cortex-M cores with the DSP instructions. `tile.rs` says in plain Rust what they do.
//!
//! SXTB16 makes two 16-bit values of bytes 0 and 2 of a word, rotated by 8 of bytes 1 and 3; SMLAD multiplies two pairs of them
//! and adds both products. SMMLAR is the requantization: the rounded upper half of a 64-bit product, plus the zero point. After
//! saturation to a byte, four outputs are clamped at once: SSUB8 compares, SEL takes the greater or the lesser bytes.
//!
//! Each function checks that everything lies in its slices, and does nothing where it does not.

/// Lets the assembler take the instructions where the target's name leaves them open.
#[cfg(arm_dsp = "v8m")]
macro_rules! core {
    () => {
        ".cpu cortex-m33"
    };
}
#[cfg(not(arm_dsp = "v8m"))]
macro_rules! core {
    () => {
        ""
    };
}

mod dots;
mod gather;
mod rows;
mod values;

pub use super::steps::{LANES, Load, Pixels, Row, Steps, Tile};
pub use dots::{add, finish, finish_pixels};
pub use gather::{copy_rows, expand, load_row};
pub use rows::{finish_row, sum_row};
pub use values::{mix, slope};
