//! virt with an RV32 core: two chips of CFI NOR flash and DRAM. The program runs where it lies, in the first chip.
//!
//! ```text
//! first chip   0x20000000   32 MB    firmware
//! second chip  0x22000000   8 MB     the NOR chip, in sectors of 256 KB
//!              0x22800000   3 MB     plan that QEMU loads
//!              0x22b00000   256 KB   detector that QEMU loads
//! DRAM         0x80000000   16 MB    variables and stack
//! ```

use arcgate_firmware::board::LONGEST_SLEEP_MS;
use arcgate_firmware::device::Clock;
use arcgate_firmware::engine::plan::Target;
use arcgate_firmware::flash::Mapped;
use arcgate_firmware::link::status::Unit;
use riscv::register::minstret;

use crate::Region;
use crate::cfi::CfiFlash;

/// What the weights of its plans are packed for.
pub const TARGET: Target = Target::Portable;

/// The first chip of flash.
pub const FLASH: Region = Region::new(0x2000_0000, 32 << 20);

/// As much of the DRAM as the board takes.
pub const RAM: Region = Region::new(0x8000_0000, 16 << 20);

/// A plan that QEMU has laid into the memory: what runs while no slot has a model.
pub const PLAN: Region = Region::new(0x2280_0000, 3 << 20);

/// A detector's plan that QEMU has laid beside it.
pub const DETECTOR: Region = Region::new(0x22B0_0000, 256 << 10);

/// Where the NOR chip begins, which is drawn in [`MAP`](crate::MAP).
pub const fn chip() -> usize {
    0x2200_0000
}

/// The NS16550 of the link.
pub const UART: usize = 0x1000_0000;

/// Its interrupt at the PLIC.
pub const UART_INTERRUPT: usize = 10;

/// The platform's interrupt controller.
pub const PLIC: usize = 0x0c00_0000;

/// The most stack that was painted over, and a little more.
pub const STACK: usize = 68_000;

/// A part of the chip.
pub type Flash = Mapped<CfiFlash>;

/// Takes a part of the chip, as it was when the power went.
///
/// # Safety
/// Whole sectors of the chip, each taken once; nobody uses what [`Region::bytes`] gives of a part while that is written to.
pub unsafe fn flash(region: Region) -> Flash {
    // SAFETY: the second chip is there, the caller has its sectors alone, and the program lies in the first chip. Between commands,
    // which this one core gives one after the other, the chip shows its array.
    unsafe { Mapped::new(CfiFlash::new(region), region.begin as *const u8) }
}

/// Starts the machine anew, by its finisher.
pub fn restart() -> ! {
    const FINISHER: *mut u32 = 0x0010_0000 as *mut u32;
    const RESET: u32 = 0x7777;
    // SAFETY: the machine has this register, and nothing is left to be done.
    unsafe { FINISHER.write_volatile(RESET) };
    loop {
        riscv::asm::wfi();
    }
}

/// The core's own counter of instructions.
pub const CLOCK: Clock = Clock { now: || minstret::read() as u32, unit: Unit::Instructions, per_tick: 1 };

/// It has no lock and no lights.
pub type Lights = ();

/// Ticks of the CLINT's timer in a millisecond: 10 MHz.
const TICKS_PER_MS: u64 = 10_000;

/// Waits for an interrupt, at most for [`LONGEST_SLEEP_MS`]. Interrupts are switched off in `mstatus`, so that none is handled.
pub fn wait() {
    const COMPARE: [*mut u32; 2] = [0x0200_4000 as *mut u32, 0x0200_4004 as *mut u32];
    let end = ticks() + u64::from(LONGEST_SLEEP_MS) * TICKS_PER_MS;
    let [low, high] = COMPARE;
    // SAFETY: the CLINT has these registers, which touch no memory, and no handler is there to be called.
    unsafe {
        high.write_volatile(u32::MAX);
        low.write_volatile(end as u32);
        high.write_volatile((end >> 32) as u32);
        riscv::register::mie::set_mtimer();
    }
    riscv::asm::wfi();
}

/// Milliseconds since the machine was switched on.
pub fn milliseconds() -> u64 {
    ticks() / TICKS_PER_MS
}

/// The CLINT's timer.
fn ticks() -> u64 {
    const LOW: *const u32 = 0x0200_bff8 as *const u32;
    const HIGH: *const u32 = 0x0200_bffc as *const u32;
    loop {
        // SAFETY: the CLINT has these registers, which reading does not change.
        let [high, low, again] = unsafe { [HIGH, LOW, HIGH].map(|half| half.read_volatile()) };
        if high == again {
            return (high as u64) << 32 | low as u64;
        }
    }
}
