//! Sleep until an interrupt, and at most until the next tick of the core's timer: for chips on which that goes on while the core sleeps.

use arcgate_firmware::board::LONGEST_SLEEP_MS;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

/// Has the core's timer tick for a core of `hertz`. The board's `SysTick` handler does nothing: that it came wakes the core.
pub fn start(timer: &mut SYST, hertz: u32) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload((hertz / 1000).saturating_mul(LONGEST_SLEEP_MS).min(0x00ff_ffff));
    timer.clear_current();
    timer.enable_interrupt();
    timer.enable_counter();
}

/// Sleeps.
pub fn sleep() {
    cortex_m::asm::wfi();
}
