//! SysTick, which counts the core's cycles down from 2^24: of the machine's clock, at a nanosecond an instruction.

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{Peripherals, SYST};

/// Instructions between two cycles: the nanoseconds of a cycle at 25 MHz (mps2-an386, mps2-an500) and 20 MHz (mps2-an505).
const INSTRUCTIONS_PER_CYCLE: u64 = if cfg!(armv8m) { 50 } else { 40 };

/// Where SysTick begins again.
const PERIOD: u32 = 1 << 24;

/// Counts the instructions between two looks, in steps of [`INSTRUCTIONS_PER_CYCLE`].
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

    /// Instructions since the last look, or since the start; of 671 million and more whole turns are lost.
    pub fn lap(&mut self) -> u64 {
        let now = SYST::get_current();
        let cycles = self.last.wrapping_sub(now) % PERIOD;
        self.last = now;
        cycles as u64 * INSTRUCTIONS_PER_CYCLE
    }
}
