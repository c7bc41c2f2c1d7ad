//! What is connected where, by the Pico 2's pin numbers.
//!
//! | signal | pin | | signal | pin |
//! |---|---|---|---|---|
//! | link TX, to the host's RX | GP0 | | lock (high opens; 10 k to ground) | GP10 |
//! | link RX | GP1 | | green light | GP11 |
//! | camera SDA (OV2640) | GP4 | | red light | GP12 |
//! | camera SCL | GP5 | | yellow light | GP13 |
//! | camera MISO | GP16 | | buzzer | GP14 |
//! | camera CS | GP17 | | button, to ground | GP15 |
//! | camera SCK | GP18 | | presence (PIR, high: somebody) | GP22 |
//! | camera MOSI | GP19 | | | |

use arcgate_firmware::camera::arducam::{ArduCam, Module, Settings};
use arcgate_firmware::link::packet::MAX_PACKET;
use arcgate_firmware::panel::{Inputs, Pin, Pins};
use arcgate_real_support::Polled;
use embassy_rp::gpio::{Input, Level, Output, Pull};
use embassy_rp::uart::BufferedUart;
use embassy_rp::{Peri, Peripherals, i2c, peripherals, spi, uart};
use embassy_time::Delay;
use embedded_hal_bus::spi::ExclusiveDevice;
use static_cell::ConstStaticCell;

use crate::Interrupts;
use crate::wire::Wire;

/// Baud of the link.
const BAUD: u32 = 921_600;
/// The most that the camera's bridge takes.
const SPI_HERTZ: u32 = 8_000_000;
const I2C_HERTZ: u32 = 100_000;
/// Milliseconds for which somebody is taken to be there after the sensor went off.
const PRESENCE_HOLD_MS: u32 = 5000;
/// Bytes that the driver keeps each way: in, a packet.
const RECEIVED: usize = MAX_PACKET;
const SENT: usize = 256;

type Bus = spi::Spi<'static, peripherals::SPI0, spi::Blocking>;
type Out = Output<'static>;

/// The camera's driver.
pub type Camera = ArduCam<ExclusiveDevice<Bus, Out, Delay>, Wire, Delay>;

/// What is connected, and of the chip itself what the device needs.
pub struct Connected {
    pub camera: Camera,
    pub outputs: Pins<Out, Out, Out, Out, Out>,
    pub inputs: Inputs<Input<'static>, Input<'static>>,
    pub port: Polled<BufferedUart>,
    pub flash: Peri<'static, peripherals::FLASH>,
    pub trng: Peri<'static, peripherals::TRNG>,
    pub watchdog: Peri<'static, peripherals::WATCHDOG>,
}

/// Takes the pins, all outputs off; `None` when called again.
pub fn connect(p: Peripherals) -> Option<Connected> {
    static RX: ConstStaticCell<[u8; RECEIVED]> = ConstStaticCell::new([0; RECEIVED]);
    static TX: ConstStaticCell<[u8; SENT]> = ConstStaticCell::new([0; SENT]);
    let (rx, tx) = (RX.try_take()?, TX.try_take()?);
    let mut uart = uart::Config::default();
    uart.baudrate = BAUD;
    let mut spi = spi::Config::default();
    spi.frequency = SPI_HERTZ;
    let mut i2c = i2c::Config::default();
    i2c.frequency = I2C_HERTZ;
    let bus = spi::Spi::new_blocking(p.SPI0, p.PIN_18, p.PIN_19, p.PIN_16, spi);
    let select = Output::new(p.PIN_17, Level::High);
    // Setting the pin cannot fail.
    let Ok(device) = ExclusiveDevice::new(bus, select, Delay);
    let wire = Wire(i2c::I2c::new_async(p.I2C0, p.PIN_5, p.PIN_4, Interrupts, i2c));
    let off = Level::Low;
    Some(Connected {
        camera: ArduCam::new(device, wire, Delay, Settings::new(Module::Mini2Mp)),
        outputs: Pins {
            lock: Pin::high(Output::new(p.PIN_10, off)),
            green: Pin::high(Output::new(p.PIN_11, off)),
            red: Pin::high(Output::new(p.PIN_12, off)),
            yellow: Pin::high(Output::new(p.PIN_13, off)),
            buzzer: Pin::high(Output::new(p.PIN_14, off)),
        },
        inputs: Inputs::new(
            Pin::low(Input::new(p.PIN_15, Pull::Up)),
            Pin::high(Input::new(p.PIN_22, Pull::Down)),
            PRESENCE_HOLD_MS,
        ),
        port: Polled::new(BufferedUart::new(p.UART0, p.PIN_0, p.PIN_1, Interrupts, tx, rx, uart)),
        flash: p.FLASH,
        trng: p.TRNG,
        watchdog: p.WATCHDOG,
    })
}
