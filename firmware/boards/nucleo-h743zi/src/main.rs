//! arcgate's firmware on ST's NUCLEO-H743ZI2 (STM32H743ZI, Cortex-M7 at 400 MHz), with an ArduCAM Mini 2MP.
//!
//! `cargo run --release` flashes it through the board's own ST-LINK and shows its log. The device's secret lies in the program
//! (`real-support/src/secret.rs`); for use, readout protection (RDP) is to be switched on. Built and linked; it was not run on the
//! board. The core's caches stay off: they would have to be cleaned behind each write to a model's slot.
//!
//! **A loss of power while its flash is written to may stop it for good**: see `map.rs`.
#![no_std]
#![no_main]

mod clocks;
mod map;
mod pins;

use core::cell::RefCell;

use arcgate_firmware::board::{Guarded, Watchdog};
use arcgate_firmware::device::Clock;
use arcgate_firmware::link::status::Unit;
use arcgate_firmware::time::Uptime;
use arcgate_real_support::{Around, ChipSecret, Entropy, Start, run, sleep};
use cortex_m::peripheral::{DWT, SCB};
use cortex_m_rt::{entry, exception};
use defmt_rtt as _;
use embassy_stm32::flash::{Blocking, Flash};
use embassy_stm32::peripherals::{IWDG1, RNG, USART3};
use embassy_stm32::rng::{self, Rng};
use embassy_stm32::wdg::IndependentWatchdog;
use embassy_stm32::{bind_interrupts, uid, usart};
use embassy_time::Instant;
use panic_probe as _;
use static_cell::{ConstStaticCell, StaticCell};

bind_interrupts!(struct Interrupts {
    USART3 => usart::BufferedInterruptHandler<USART3>;
    RNG => rng::InterruptHandler<RNG>;
});

/// The watchdog's; longer than a round with a run of a model or an erased sector.
const PATIENCE_US: u32 = 16_000_000;

struct Dog(IndependentWatchdog<'static, IWDG1>);

impl Watchdog for Dog {
    fn feed(&mut self) {
        self.0.pet();
    }
}

struct Noise(Rng<'static, RNG>);

impl Entropy for Noise {
    fn draw(&mut self) -> Option<[u8; 32]> {
        let mut bytes = [0; 32];
        self.0.fill_bytes(&mut bytes);
        Some(bytes)
    }
}

fn uptime() -> Uptime {
    Uptime(Instant::now().as_millis())
}

const CLOCK: Clock = Clock { now: DWT::cycle_count, unit: Unit::Cycles, per_tick: 1 };

/// Wakes the core from its sleep.
#[exception]
fn SysTick() {}

#[entry]
fn main() -> ! {
    static CHIP: StaticCell<RefCell<Guarded<Flash<'static, Blocking>, Dog>>> = StaticCell::new();
    static ROOM: ConstStaticCell<map::Room> = ConstStaticCell::new(map::Room::new());
    let peripherals = embassy_stm32::init(clocks::config());
    let (Some(connected), Some(room)) = (pins::connect(peripherals), ROOM.try_take()) else {
        SCB::sys_reset()
    };
    let mut dog = IndependentWatchdog::new(connected.watchdog, PATIENCE_US);
    dog.unleash();
    let chip = Guarded::new(Flash::new_blocking(connected.flash), Dog(dog));
    let Some(flash) = CHIP.try_init_with(|| RefCell::new(chip)) else { SCB::sys_reset() };
    if let Some(mut core) = cortex_m::Peripherals::take() {
        core.DCB.enable_trace();
        DWT::unlock();
        core.DWT.enable_cycle_counter();
        sleep::start(&mut core.SYST, clocks::CORE_HERTZ);
    }
    let start = Start {
        flash,
        map: map::MAP,
        base: map::BASE as *const u8,
        port: connected.port,
        secret: ChipSecret::new(&uid::uid(), Noise(Rng::new(connected.rng, Interrupts))),
        clock: CLOCK,
    };
    let around = Around {
        camera: connected.camera,
        outputs: connected.outputs,
        inputs: connected.inputs,
        uptime,
        sleep: sleep::sleep,
    };
    // SAFETY: the flash lies at `BASE`, and no cache is on.
    if let Err(fault) = unsafe { run(start, around, room.lend()) } {
        defmt::error!("the board does not start: {}", fault);
    }
    SCB::sys_reset()
}
