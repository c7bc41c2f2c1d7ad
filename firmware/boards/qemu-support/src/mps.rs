//! What the MPS boards share: the counters and lights of their FPGA, the core's timer, and a NOR chip emulated over RAM.

use arcgate_firmware::board::LONGEST_SLEEP_MS;
use arcgate_firmware::device::Clock;
use arcgate_firmware::flash::nor::MemoryNor;
use arcgate_firmware::link::status::Unit;
use arcgate_firmware::panel::{Output, Outputs};
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{Peripherals, SCB};
use embedded_hal::digital::ErrorKind;

use crate::Region;
use crate::machine::{FPGA_IO, NANOSECONDS_PER_CYCLE};

/// A part of the chip.
pub type Flash = MemoryNor<Memory>;

/// Memory that stands for flash.
#[derive(Debug)]
pub struct Memory(Region);

impl AsRef<[u8]> for Memory {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: whoever called `flash` said that it is there, and that nobody writes to it but through this.
        unsafe { self.0.bytes() }
    }
}

impl AsMut<[u8]> for Memory {
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; and that nobody uses other references to it now.
        unsafe { self.0.bytes_mut() }
    }
}

/// Takes a part of the chip, as it was when the power went.
///
/// # Safety
/// Memory of the chip, each part taken once; nobody uses what [`Region::bytes`] gives of a part while that is written to.
pub unsafe fn flash(region: Region) -> Flash {
    MemoryNor::new(Memory(region))
}

/// Starts the machine anew.
pub fn restart() -> ! {
    SCB::sys_reset()
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

/// Waits for an interrupt, at most for [`LONGEST_SLEEP_MS`]. Interrupts are switched off, so that none is handled.
pub fn wait() {
    const CYCLES: u32 = LONGEST_SLEEP_MS * (1_000_000 / NANOSECONDS_PER_CYCLE);
    // SAFETY: the timer is used here alone.
    let mut timer = unsafe { Peripherals::steal() }.SYST;
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(CYCLES);
    timer.clear_current();
    timer.enable_interrupt();
    timer.enable_counter();
    cortex_m::asm::wfi();
    timer.disable_counter();
    SCB::clear_pendst();
}

/// Lock, lights and buzzer on the FPGA's register of LEDs, a bit for each in the order of [`Output::ALL`]. The MPS2 boards have two
/// of these LEDs, the lock's and the green one.
#[derive(Debug, Default)]
pub struct Lights(u32);

impl Outputs for Lights {
    fn set(&mut self, output: Output, on: bool) -> Result<(), ErrorKind> {
        let bit = 1 << output as u32;
        self.0 = if on { self.0 | bit } else { self.0 & !bit };
        // SAFETY: the FPGA's I/O block begins with this register, which touches no memory.
        unsafe { (FPGA_IO as *mut u32).write_volatile(self.0) };
        Ok(())
    }
}

fn read(register: usize) -> u32 {
    // SAFETY: the FPGA's I/O block has both registers, which reading does not change.
    unsafe { ((FPGA_IO + register) as *const u32).read_volatile() }
}
