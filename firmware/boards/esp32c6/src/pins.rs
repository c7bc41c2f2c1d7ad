//! What is connected where, by the ESP32-C6-DevKitC-1's pins. The link goes through the board's USB bridge, the log through the chip's
//! own USB.
//!
//! | signal | pin | | signal | pin |
//! |---|---|---|---|---|
//! | link TX (to the bridge) | GPIO16 | | lock (high opens; 10 k to ground) | GPIO10 |
//! | link RX | GPIO17 | | green light | GPIO11 |
//! | camera SDA (OV2640) | GPIO22 | | red light | GPIO2 |
//! | camera SCL | GPIO23 | | yellow light | GPIO3 |
//! | camera SCK | GPIO19 | | buzzer | GPIO1 |
//! | camera MOSI | GPIO18 | | button, to ground | GPIO0 |
//! | camera MISO | GPIO20 | | presence (PIR, high: somebody) | GPIO7 |
//! | camera CS | GPIO21 | | | |

use arcgate_firmware::camera::arducam::{ArduCam, Module, Resolution, Settings};
use arcgate_firmware::panel::{Inputs, Pin, Pins};
use embedded_hal_bus::spi::ExclusiveDevice;
use esp_hal::delay::Delay;
use esp_hal::gpio::{Input, InputConfig, Level, Output, OutputConfig, Pull};
use esp_hal::peripherals::{ADC1, FLASH, Peripherals, RNG, TIMG0};
use esp_hal::time::Rate;
use esp_hal::{Blocking, i2c, spi, uart};

use crate::port::Port;

/// Baud of the link.
const BAUD: u32 = 921_600;
/// Milliseconds for which somebody is taken to be there after the sensor went off.
const PRESENCE_HOLD_MS: u32 = 5000;

type Bus = spi::master::Spi<'static, Blocking>;
type Wire = i2c::master::I2c<'static, Blocking>;
type Out = Output<'static>;

/// The camera's driver.
pub type Camera = ArduCam<ExclusiveDevice<Bus, Out, Delay>, Wire, Delay>;

/// What is connected, and of the chip itself what the device needs.
pub struct Connected {
    pub camera: Camera,
    pub outputs: Pins<Out, Out, Out, Out, Out>,
    pub inputs: Inputs<Input<'static>, Input<'static>>,
    pub port: Port,
    pub flash: FLASH<'static>,
    pub rng: RNG<'static>,
    pub adc: ADC1<'static>,
    pub timers: TIMG0<'static>,
}

/// Takes the pins, all outputs off; `None` when a bus or the UART has no such rate.
pub fn connect(p: Peripherals) -> Option<Connected> {
    let spi = spi::master::Config::default().with_frequency(Rate::from_mhz(8));
    let i2c = i2c::master::Config::default().with_frequency(Rate::from_khz(100));
    let uart = uart::Config::default().with_baudrate(BAUD);
    let bus = spi::master::Spi::new(p.SPI2, spi).ok()?;
    let bus = bus.with_sck(p.GPIO19).with_mosi(p.GPIO18).with_miso(p.GPIO20);
    let out = OutputConfig::default();
    let select = Output::new(p.GPIO21, Level::High, out);
    // Setting the pin cannot fail.
    let Ok(device) = ExclusiveDevice::new(bus, select, Delay::new());
    let wire = i2c::master::I2c::new(p.I2C0, i2c).ok()?.with_sda(p.GPIO22).with_scl(p.GPIO23);
    let uart = uart::Uart::new(p.UART0, uart).ok()?.with_tx(p.GPIO16).with_rx(p.GPIO17);
    let settings = Settings { resolution: Resolution::Qqvga, ..Settings::new(Module::Mini2Mp) };
    let off = Level::Low;
    Some(Connected {
        camera: ArduCam::new(device, wire, Delay::new(), settings),
        outputs: Pins {
            lock: Pin::high(Output::new(p.GPIO10, off, out)),
            green: Pin::high(Output::new(p.GPIO11, off, out)),
            red: Pin::high(Output::new(p.GPIO2, off, out)),
            yellow: Pin::high(Output::new(p.GPIO3, off, out)),
            buzzer: Pin::high(Output::new(p.GPIO1, off, out)),
        },
        inputs: Inputs::new(
            Pin::low(Input::new(p.GPIO0, InputConfig::default().with_pull(Pull::Up))),
            Pin::high(Input::new(p.GPIO7, InputConfig::default().with_pull(Pull::Down))),
            PRESENCE_HOLD_MS,
        ),
        port: Port::start(uart),
        flash: p.FLASH,
        rng: p.RNG,
        adc: p.ADC1,
        timers: p.TIMG0,
    })
}
