//! arcgate's firmware on a Raspberry Pi Pico 2 (RP2350, Cortex-M33 at 150 MHz), with an ArduCAM Mini 2MP.
//!
//! `cargo run --release` flashes it through a debug probe and shows its log. The device's secret lies in the program
//! (`real-support/src/secret.rs`): nothing keeps it from whoever reads the flash chip, which is a part of its own. Built and linked; it
//! was not run on the board.
#![no_std]
#![no_main]

mod map;
mod pins;
mod wire;

use core::cell::RefCell;

use arcgate_firmware::board::{Guarded, Watchdog};
use arcgate_firmware::device::Clock;
use arcgate_firmware::link::status::Unit;
use arcgate_firmware::time::Uptime;
use arcgate_real_support::{Around, ChipSecret, Entropy, Start, run, sleep, within};
use cortex_m::peripheral::SCB;
use cortex_m_rt::{entry, exception};
use defmt_rtt as _;
use embassy_rp::bind_interrupts;
use embassy_rp::flash::{self, Flash};
use embassy_rp::peripherals::{FLASH, I2C0, TRNG, UART0};
use embassy_rp::trng::{self, Trng};
use embassy_rp::uart::BufferedInterruptHandler;
use embassy_rp::{clocks, i2c, otp, watchdog};
use embassy_time::{Duration, Instant};
use panic_probe as _;
use static_cell::{ConstStaticCell, StaticCell};

bind_interrupts!(struct Interrupts {
    UART0_IRQ => BufferedInterruptHandler<UART0>;
    TRNG_IRQ => trng::InterruptHandler<TRNG>;
    I2C0_IRQ => i2c::InterruptHandler<I2C0>;
});

/// The most that its counter holds is 16.8 s; a round with a run of a model, or one of an update, takes less, and erasing feeds it.
const PATIENCE: Duration = Duration::from_secs(16);

type Chip = Guarded<Flash<'static, FLASH, flash::Blocking, { map::FLASH }>, Dog>;

struct Dog(watchdog::Watchdog);

impl Watchdog for Dog {
    fn feed(&mut self) {
        self.0.feed(PATIENCE);
    }
}

/// Milliseconds that the generator may take: it has about 2 for 24 bytes, and begins again where they fail its tests.
const ENTROPY_MS: u64 = 1000;

struct Ring(Trng<'static, TRNG>);

impl Entropy for Ring {
    fn draw(&mut self) -> Option<[u8; 32]> {
        let mut bytes = [0; 32];
        // The driver's calls that block wait for ever, or panic, where it fails.
        within(ENTROPY_MS, uptime, self.0.fill_bytes(&mut bytes))?;
        Some(bytes)
    }
}

fn uptime() -> Uptime {
    Uptime(Instant::now().as_millis())
}

/// The chip's timer counts microseconds.
const CLOCK: Clock = Clock { now: microseconds, unit: Unit::Nanoseconds, per_tick: 1000 };

fn microseconds() -> u32 {
    Instant::now().as_micros() as u32
}

/// Wakes the core from its sleep.
#[exception]
fn SysTick() {}

#[entry]
fn main() -> ! {
    static CHIP: StaticCell<RefCell<Chip>> = StaticCell::new();
    static ROOM: ConstStaticCell<map::Room> = ConstStaticCell::new(map::Room::new());
    let peripherals = embassy_rp::init(Default::default());
    let (Some(connected), Some(room)) = (pins::connect(peripherals), ROOM.try_take()) else {
        SCB::sys_reset()
    };
    let mut dog = watchdog::Watchdog::new(connected.watchdog);
    dog.start(PATIENCE);
    let chip = Guarded::new(Flash::new_blocking(connected.flash), Dog(dog));
    let Some(flash) = CHIP.try_init_with(|| RefCell::new(chip)) else { SCB::sys_reset() };
    if let Some(mut core) = cortex_m::Peripherals::take() {
        sleep::start(&mut core.SYST, clocks::clk_sys_freq());
    }
    let number = otp::get_chipid().unwrap_or_default();
    let ring = Ring(Trng::new(connected.trng, Interrupts, trng::Config::default()));
    let start = Start {
        flash,
        map: map::MAP,
        base: map::BASE as *const u8,
        port: connected.port,
        secret: ChipSecret::new(&number.to_le_bytes(), ring),
        clock: CLOCK,
    };
    let around = Around {
        camera: connected.camera,
        outputs: connected.outputs,
        inputs: connected.inputs,
        uptime,
        sleep: sleep::sleep,
    };
    // SAFETY: the chip is read at `BASE`, and the driver's writes and erases leave its cache clean.
    if let Err(fault) = unsafe { run(start, around, room.lend()) } {
        defmt::error!("the board does not start: {}", fault);
    }
    SCB::sys_reset()
}
