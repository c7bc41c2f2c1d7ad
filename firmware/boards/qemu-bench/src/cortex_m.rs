//! SysTick, which counts the core's cycles down from 2^24: of the machine's clock, at a nanosecond an instruction.

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{Peripherals, SYST};

/// Instructions between four cycles: the nanoseconds of a cycle at 25 MHz (mps2-an386, mps2-an500), 20 MHz (mps2-an505) and 32 MHz
/// (mps3-an547).
const INSTRUCTIONS_PER_FOUR_CYCLES: u64 = if cfg!(feature = "mve") {
    125
} else if cfg!(armv8m) {
    200
} else {
    160
};

/// Where SysTick begins again.
const PERIOD: u32 = 1 << 24;

/// Counts the instructions between two looks, in steps of a cycle's.
pub struct Clock {
    last: u32,
}

impl Clock {
    /// Switches the counter on.
    pub fn start() -> Self {
        let Some(mut peripherals) = Peripherals::take() else { panic!("the clock starts once") };
        let systick: &mut SYST = &mut peripherals.SYST;
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload(PERIOD - 1);
        systick.clear_current();
        systick.enable_counter();
        Clock { last: SYST::get_current() }
    }

    /// Instructions since the last look, or since the start; of 524 million and more whole turns are lost.
    pub fn lap(&mut self) -> u64 {
        let now = SYST::get_current();
        let cycles = self.last.wrapping_sub(now) % PERIOD;
        self.last = now;
        cycles as u64 * INSTRUCTIONS_PER_FOUR_CYCLES / 4
    }
}
