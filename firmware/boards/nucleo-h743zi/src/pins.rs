//! What is connected where, by the STM32H743's pins. The board's own LEDs and blue button serve; the link goes through the ST-LINK's USB.
//!
//! | signal | pin | | signal | pin |
//! |---|---|---|---|---|
//! | link TX (USART3) | PD8 | | lock (high opens; 10 k to ground) | PF13 |
//! | link RX | PD9 | | green light: LD1 | PB0 |
//! | camera SDA (OV2640) | PB9 | | red light: LD3 | PB14 |
//! | camera SCL | PB8 | | yellow light: LD2 | PE1 |
//! | camera SCK (SPI1) | PA5 | | buzzer | PF12 |
//! | camera MISO | PA6 | | button: B1, high is pressed | PC13 |
//! | camera MOSI | PB5 | | presence (PIR, high: somebody) | PF14 |
//! | camera CS | PD14 | | | |
//!
//! The pins of the NUCLEO-H743ZI2 (MB1364): the older NUCLEO-H743ZI (MB1137) has LD2 on PB7.

use arcgate_firmware::camera::arducam::{ArduCam, Module, Settings};
use arcgate_firmware::link::packet::MAX_PACKET;
use arcgate_firmware::panel::{Inputs, Pin, Pins};
use arcgate_real_support::Polled;
use embassy_stm32::gpio::{Input, Level, Output, Pull, Speed};
use embassy_stm32::mode::Blocking;
use embassy_stm32::time::Hertz;
use embassy_stm32::usart::BufferedUart;
use embassy_stm32::{Peri, Peripherals, i2c, peripherals, spi, usart};
use embassy_time::Delay;
use embedded_hal_bus::spi::ExclusiveDevice;
use static_cell::ConstStaticCell;

use crate::Interrupts;

/// Baud of the link.
const BAUD: u32 = 921_600;
/// The most that the camera's bridge takes; the driver finds the next lower rate.
const SPI_RATE: Hertz = Hertz(8_000_000);
const I2C_RATE: Hertz = Hertz(100_000);
/// Milliseconds for which somebody is taken to be there after the sensor went off.
const PRESENCE_HOLD_MS: u32 = 5000;
/// Bytes that the driver keeps each way: in, a packet.
const RECEIVED: usize = MAX_PACKET;
const SENT: usize = 256;

type Bus = spi::Spi<'static, Blocking, spi::mode::Master>;
type Wire = i2c::I2c<'static, Blocking, i2c::Master>;
type Out = Output<'static>;

/// The camera's driver.
pub type Camera = ArduCam<ExclusiveDevice<Bus, Out, Delay>, Wire, Delay>;

/// What is connected, and of the chip itself what the device needs.
pub struct Connected {
    pub camera: Camera,
    pub outputs: Pins<Out, Out, Out, Out, Out>,
    pub inputs: Inputs<Input<'static>, Input<'static>>,
    pub port: Polled<BufferedUart<'static>>,
    pub flash: Peri<'static, peripherals::FLASH>,
    pub rng: Peri<'static, peripherals::RNG>,
    pub watchdog: Peri<'static, peripherals::IWDG1>,
}

/// Takes the pins, all outputs off; `None` when called again, or when the UART has no such rate.
pub fn connect(p: Peripherals) -> Option<Connected> {
    static RX: ConstStaticCell<[u8; RECEIVED]> = ConstStaticCell::new([0; RECEIVED]);
    static TX: ConstStaticCell<[u8; SENT]> = ConstStaticCell::new([0; SENT]);
    let (rx, tx) = (RX.try_take()?, TX.try_take()?);
    let mut uart = usart::Config::default();
    uart.baudrate = BAUD;
    let mut spi = spi::Config::default();
    spi.frequency = SPI_RATE;
    let mut i2c = i2c::Config::default();
    i2c.frequency = I2C_RATE;
    let bus = spi::Spi::new_blocking(p.SPI1, p.PA5, p.PB5, p.PA6, spi);
    let select = Output::new(p.PD14, Level::High, Speed::High);
    // Setting the pin cannot fail.
    let Ok(device) = ExclusiveDevice::new(bus, select, Delay);
    let wire = i2c::I2c::new_blocking(p.I2C1, p.PB8, p.PB9, i2c);
    let (off, speed) = (Level::Low, Speed::Low);
    Some(Connected {
        camera: ArduCam::new(device, wire, Delay, Settings::new(Module::Mini2Mp)),
        outputs: Pins {
            lock: Pin::high(Output::new(p.PF13, off, speed)),
            green: Pin::high(Output::new(p.PB0, off, speed)),
            red: Pin::high(Output::new(p.PB14, off, speed)),
            yellow: Pin::high(Output::new(p.PE1, off, speed)),
            buzzer: Pin::high(Output::new(p.PF12, off, speed)),
        },
        inputs: Inputs::new(
            Pin::high(Input::new(p.PC13, Pull::Down)),
            Pin::high(Input::new(p.PF14, Pull::Down)),
            PRESENCE_HOLD_MS,
        ),
        port: Polled::new(BufferedUart::new(p.USART3, p.PD9, p.PD8, tx, rx, Interrupts, uart).ok()?),
        flash: p.FLASH,
        rng: p.RNG,
        watchdog: p.IWDG1,
    })
}
