//! The core's own counter of instructions, which is exact.

use riscv::register::minstret;
#[cfg(feature = "rvv")]
use riscv::register::mstatus;

/// Switches the vector registers on.
#[cfg(feature = "rvv")]
pub fn switch_vectors_on() {
    // SAFETY: the program runs in machine mode, and has nothing in these registers yet.
    unsafe { mstatus::set_vs(mstatus::VS::Initial) };
}

/// Counts the instructions between two looks.
pub struct Clock {
    last: u64,
}

impl Clock {
    /// Looks for the first time.
    pub fn start() -> Self {
        Clock { last: minstret::read64() }
    }

    /// Instructions since the last look, or since the start.
    pub fn lap(&mut self) -> u64 {
        let now = minstret::read64();
        core::mem::replace(&mut self.last, now).abs_diff(now)
    }
}
