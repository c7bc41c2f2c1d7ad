//! arcgate's firmware on Nordic's nRF52840 DK (Cortex-M4F at 64 MHz), with an ArduCAM Mini 2MP.
//!
//! `cargo run --release` flashes it through the DK's own probe and shows its log. The device's secret lies in the program
//! (`real-support/src/secret.rs`); for use, APPROTECT is to be switched on, which keeps a debug probe from reading the flash. Built and
//! linked; it was not run on the board. The core does not sleep between rounds.
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
use arcgate_real_support::{Around, ChipSecret, Entropy, Start, run};
use cortex_m::peripheral::{DWT, SCB};
use cortex_m_rt::entry;
use defmt_rtt as _;
use embassy_nrf::config::{Config, HfclkSource};
use embassy_nrf::mode::Blocking;
use embassy_nrf::nvmc::Nvmc;
use embassy_nrf::peripherals::{SPI2, TWISPI0, UARTE0};
use embassy_nrf::rng::Rng;
use embassy_nrf::{bind_interrupts, buffered_uarte, pac, spim, twim, wdt};
use embassy_time::Instant;
use panic_probe as _;
use static_cell::{ConstStaticCell, StaticCell};

bind_interrupts!(struct Interrupts {
    UARTE0 => buffered_uarte::InterruptHandler<UARTE0>;
    SPI2 => spim::InterruptHandler<SPI2>;
    TWISPI0 => twim::InterruptHandler<TWISPI0>;
});

/// Ticks of its 32,768 Hz clock: a minute, for the core is slow and a round may run a model more than once.
const PATIENCE_TICKS: u32 = 60 * 32_768;

struct Dog(wdt::WatchdogHandle);

impl Watchdog for Dog {
    fn feed(&mut self) {
        self.0.pet();
    }
}

struct Noise(Rng<'static, Blocking>);

impl Entropy for Noise {
    fn draw(&mut self) -> Option<[u8; 32]> {
        let mut bytes = [0; 32];
        self.0.set_bias_correction(true);
        self.0.blocking_fill_bytes(&mut bytes);
        Some(bytes)
    }
}

fn uptime() -> Uptime {
    Uptime(Instant::now().as_millis())
}

const CLOCK: Clock = Clock { now: DWT::cycle_count, unit: Unit::Cycles, per_tick: 1 };

/// The number that the maker gave the chip.
fn number() -> [u8; 8] {
    let words = [0, 1].map(|word| pac::FICR.deviceid(word).read().to_le_bytes());
    core::array::from_fn(|i| words[i / 4][i % 4])
}

#[entry]
fn main() -> ! {
    static CHIP: StaticCell<RefCell<Guarded<Nvmc<'static>, Dog>>> = StaticCell::new();
    static ROOM: ConstStaticCell<map::Room> = ConstStaticCell::new(map::Room::new());
    let mut config = Config::default();
    // The UART's rate wants the crystal.
    config.hfclk_source = HfclkSource::ExternalXtal;
    let peripherals = embassy_nrf::init(config);
    let (Some(connected), Some(room)) = (pins::connect(peripherals), ROOM.try_take()) else {
        SCB::sys_reset()
    };
    let mut patience = wdt::Config::default();
    patience.timeout_ticks = PATIENCE_TICKS;
    // One that runs with another period is another program's: only a restart by the power ends it.
    let Ok((_, [dog])) = wdt::Watchdog::try_new(connected.watchdog, patience) else { SCB::sys_reset() };
    let chip = Guarded::new(Nvmc::new(connected.flash), Dog(dog));
    let Some(flash) = CHIP.try_init_with(|| RefCell::new(chip)) else { SCB::sys_reset() };
    if let Some(mut core) = cortex_m::Peripherals::take() {
        core.DCB.enable_trace();
        core.DWT.enable_cycle_counter();
    }
    let start = Start {
        flash,
        map: map::MAP,
        base: map::BASE as *const u8,
        port: connected.port,
        secret: ChipSecret::new(&number(), Noise(Rng::new_blocking(connected.rng))),
        clock: CLOCK,
    };
    let around = Around {
        camera: connected.camera,
        outputs: connected.outputs,
        inputs: connected.inputs,
        uptime,
        // The core's timer stands still while the core sleeps: nothing would wake it to close the lock.
        sleep: || (),
    };
    // SAFETY: the flash lies at `BASE`, and the controller's cache for code is off.
    if let Err(fault) = unsafe { run(start, around, room.lend()) } {
        defmt::error!("the board does not start: {}", fault);
    }
    SCB::sys_reset()
}
