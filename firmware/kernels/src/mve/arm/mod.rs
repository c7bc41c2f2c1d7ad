//! The innermost loops in assembly, for cores with MVE. `tile.rs` says in plain Rust what they do.
//!
//! VMLADAVA multiplies sixteen pairs of bytes and adds all products to a register. DLSTP and LETP make a loop whose last turn
//! leaves out the lanes behind the end, in loads and stores as in sums: what lies there is neither read nor written. VRMULH is
//! the requantization: the rounded upper half of four 64-bit products.
//!
//! Each function checks that everything lies in its slices, and does nothing where it does not.

mod dots;
mod moves;
mod rows;
mod values;

pub use super::steps::{LANES, Map, Places, Room, Steps, Taps, Windows};
pub use dots::{finish, sums};
pub use moves::{copy_rows, copy_windows};
pub use rows::{channel, window_sums};
pub use values::{slope, sum};
