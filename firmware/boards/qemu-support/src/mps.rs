//! What the MPS boards share: the counters of their FPGA, and a NOR chip emulated over RAM.

use arcgate_firmware::device::Clock;
use arcgate_firmware::gallery::nor::MemoryNor;
use arcgate_firmware::link::message::Unit;

use crate::machine::{CHIP, FPGA_IO, NANOSECONDS_PER_CYCLE};

/// The flash of gallery, event log and state.
pub type Chip = MemoryNor<&'static mut [u8]>;

/// Takes the chip, as it was when the power went.
///
/// # Safety
/// Once.
pub unsafe fn chip() -> Chip {
    // SAFETY: the linker places nothing there, and the caller says that nobody else has it.
    MemoryNor::new(unsafe { CHIP.bytes_mut() })
}

/// The board's counter of cycles. Under `-icount shift=0`, where an instruction takes a nanosecond, it counts instructions by as
/// many as a cycle has nanoseconds.
pub const CLOCK: Clock = Clock { now: cycles, unit: Unit::Nanoseconds, per_tick: NANOSECONDS_PER_CYCLE };

fn cycles() -> u32 {
    read(0x18)
}

/// Milliseconds since the board was switched on, in steps of ten; it begins again after 497 days.
pub fn milliseconds() -> u64 {
    read(0x14) as u64 * 10
}

fn read(register: usize) -> u32 {
    // SAFETY: the FPGA's I/O block has both registers, which reading does not change.
    unsafe { ((FPGA_IO + register) as *const u32).read_volatile() }
}
