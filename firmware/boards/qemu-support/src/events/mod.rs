//! What happens on the device, for whoever watches QEMU's standard error or a defmt decoder.

#[cfg(feature = "defmt")]
mod logged;
#[cfg(not(feature = "defmt"))]
mod said;

#[cfg(feature = "defmt")]
pub use logged::{boot, changed, stack, tell};
#[cfg(not(feature = "defmt"))]
pub use said::{boot, changed, stack, tell};

use crate::machine::{FLASH, RAM};

unsafe extern "C" {
    // Where the runtimes' linker scripts put things: only their addresses mean something.
    static _stack_start: u8;
    static __sheap: u8;
    static __sdata: u8;
    static __edata: u8;
    static __sidata: u8;
}

/// Bytes that the linker placed in flash and in RAM.
fn placed() -> [usize; 2] {
    let initial = &raw const __edata as usize - &raw const __sdata as usize;
    [
        (&raw const __sidata as usize).wrapping_add(initial).wrapping_sub(FLASH.begin),
        (&raw const __sheap as usize).wrapping_sub(RAM.begin),
    ]
}

/// Bytes of stack above `lowest`.
fn above(lowest: usize) -> usize {
    (&raw const _stack_start as usize).wrapping_sub(lowest)
}
