//! arcgate's firmware on Espressif's ESP32-C6-DevKitC-1 (RV32IMAC at 160 MHz), with an ArduCAM Mini 2MP.
//!
//! `cargo run --release` flashes it through the chip's USB and shows its log. A model that the build was given lies in the program, which
//! puts it into a slot where neither has one. The device's secret lies in the program
//! (`real-support/src/secret.rs`); for use, flash encryption is to be switched on, which keeps it from whoever reads the flash chip, and
//! secure boot. What the device itself writes is read as it was written: it is sealed, but for models. Built and linked; it was not run on
//! the board. The core does not sleep between rounds.
#![no_std]
#![no_main]

mod flash;
mod map;
mod pins;
mod port;

use core::cell::RefCell;

use arcgate_firmware::board::{Guarded, Watchdog};
use arcgate_firmware::device::Clock;
use arcgate_firmware::link::status::Unit;
use arcgate_firmware::time::Uptime;
use arcgate_real_support::{Around, ChipSecret, Entropy, Start, run};
use esp_backtrace as _;
use esp_hal::clock::CpuClock;
use esp_hal::peripherals::TIMG0;
use esp_hal::rng::{Trng, TrngSource};
use esp_hal::time::{Duration, Instant};
use esp_hal::timer::timg::{MwdtStage, TimerGroup, Wdt};
use esp_hal::{efuse, main, system};
use esp_println as _;
use esp_storage::FlashStorage;
use static_cell::{ConstStaticCell, StaticCell};

esp_bootloader_esp_idf::esp_app_desc!();

/// The watchdog's: longer than a round with a run of a model or one of an update.
const PATIENCE: Duration = Duration::from_secs(16);

struct Dog(Wdt<TIMG0<'static>>);

impl Watchdog for Dog {
    fn feed(&mut self) {
        self.0.feed();
    }
}

/// The chip's generator, with noise of its converter.
struct Noise {
    generator: Option<Trng>,
    _source: TrngSource<'static>,
}

impl Entropy for Noise {
    fn draw(&mut self) -> Option<[u8; 32]> {
        let mut bytes = [0; 32];
        self.generator.as_ref()?.read(&mut bytes);
        Some(bytes)
    }
}

fn uptime() -> Uptime {
    Uptime(Instant::now().duration_since_epoch().as_millis())
}

/// The chip's timer, in microseconds.
const CLOCK: Clock = Clock { now: microseconds, unit: Unit::Nanoseconds, per_tick: 1000 };

fn microseconds() -> u32 {
    Instant::now().duration_since_epoch().as_micros() as u32
}

#[main]
fn main() -> ! {
    static CHIP: StaticCell<RefCell<Guarded<flash::Chip, Dog>>> = StaticCell::new();
    static ROOM: ConstStaticCell<map::Room> = ConstStaticCell::new(map::Room::new());
    let peripherals = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    let (Some(connected), Some(room)) = (pins::connect(peripherals), ROOM.try_take()) else {
        system::software_reset()
    };
    let Some(chip) = flash::Chip::new(FlashStorage::new(connected.flash)) else { system::software_reset() };
    let mut dog = TimerGroup::new(connected.timers).wdt;
    dog.set_timeout(MwdtStage::Stage0, PATIENCE);
    dog.enable();
    let chip = Guarded::new(chip, Dog(dog));
    let Some(flash) = CHIP.try_init_with(|| RefCell::new(chip)) else { system::software_reset() };
    let source = TrngSource::new(connected.rng, connected.adc);
    let noise = Noise { generator: Trng::try_new().ok(), _source: source };
    let start = Start {
        flash,
        map: map::MAP,
        base: flash::BASE as *const u8,
        port: connected.port,
        secret: ChipSecret::new(efuse::base_mac_address().as_bytes(), noise),
        clock: CLOCK,
    };
    let around = Around {
        camera: connected.camera,
        outputs: connected.outputs,
        inputs: connected.inputs,
        uptime,
        sleep: || (),
    };
    // SAFETY: `flash` maps both slots from its base on, and takes what is written out of the cache.
    if let Err(fault) = unsafe { run(start, around, room.lend()) } {
        defmt::error!("the board does not start: {}", fault);
    }
    system::software_reset()
}
