//! Runs the kernels that an emulated core has of its own: against the scalar kernels on random shapes, byte for byte and with canaries
//! around what they write; then counted on the shapes that `tests/bench-mcu` reports.
//!
//! Standard output has `equal KIND CASES` for each kind of operation, then `kernel NAME INSTRUCTIONS MACS` for each shape, MACS being
//! the values of an operation without multiplications; and `faces COUNT HASH` of the detector's decoding. QEMU runs with `-icount shift=0`: an instruction a nanosecond.
#![no_std]
#![no_main]

#[cfg_attr(target_arch = "arm", path = "../../qemu-bench/src/cortex_m.rs")]
#[cfg_attr(target_arch = "riscv32", path = "../../qemu-bench/src/riscv.rs")]
mod core_clock;
mod counted;
mod decoded;
mod random;
mod room;
#[cfg_attr(target_arch = "arm", path = "packed.rs")]
#[cfg_attr(target_arch = "riscv32", path = "portable.rs")]
mod tested;

use core_clock::Clock;
use semihosting::{println, process};

#[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
#[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
fn main() -> ! {
    #[cfg(feature = "rvv")]
    core_clock::switch_vectors_on();
    // On the stack, which has all of the RAM: nothing else does.
    let mut room = room::Room::new();
    random::all(&mut room);
    counted::all(&mut room, &mut Clock::start());
    let (count, hash) = decoded::digest();
    println!("faces {count} {hash}");
    process::exit(0)
}

/// Says what went wrong and ends the run.
fn fail(what: core::fmt::Arguments<'_>) -> ! {
    println!("failed: {what}");
    process::exit(1)
}
