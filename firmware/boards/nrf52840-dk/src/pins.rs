//! What is connected where, by the nRF52840 DK's pins. Its own LEDs and first button serve; the link goes through the DK's USB.
//!
//! | signal | pin | | signal | pin |
//! |---|---|---|---|---|
//! | link TX (to the interface's RX) | P0.06 | | lock (high opens; 10 k to ground) | P1.01 |
//! | link RX | P0.08 | | green light: LED1, low is on | P0.13 |
//! | camera SDA (OV2640) | P0.26 | | red light: LED2 | P0.14 |
//! | camera SCL | P0.27 | | yellow light: LED3 | P0.15 |
//! | camera CS | P1.12 | | buzzer | P1.02 |
//! | camera MOSI | P1.13 | | button: Button 1, to ground | P0.11 |
//! | camera MISO | P1.14 | | presence (PIR, high: somebody) | P1.03 |
//! | camera SCK | P1.15 | | | |

use arcgate_firmware::camera::arducam::{ArduCam, Module, Resolution, Settings};
use arcgate_firmware::link::packet::MAX_PACKET;
use arcgate_firmware::panel::{Inputs, Pin, Pins};
use arcgate_real_support::Polled;
use embassy_nrf::buffered_uarte::BufferedUarte;
use embassy_nrf::gpio::{Input, Level, Output, OutputDrive, Pull};
use embassy_nrf::{Peri, Peripherals, peripherals, spim, twim, uarte};
use embassy_time::Delay;
use embedded_hal_bus::spi::ExclusiveDevice;
use static_cell::ConstStaticCell;

use crate::Interrupts;
use crate::wire::Wire;

/// Milliseconds for which somebody is taken to be there after the sensor went off.
const PRESENCE_HOLD_MS: u32 = 5000;
/// Bytes that the driver keeps each way: in, a packet, rounded to an even number as the DMA has it.
const RECEIVED: usize = MAX_PACKET.next_multiple_of(2);
const SENT: usize = 256;
/// The longest write to the sensor.
const TWIM: usize = 16;

type Out = Output<'static>;

/// The camera's driver.
pub type Camera = ArduCam<ExclusiveDevice<spim::Spim<'static>, Out, Delay>, Wire, Delay>;

/// What is connected, and of the chip itself what the device needs.
pub struct Connected {
    pub camera: Camera,
    pub outputs: Pins<Out, Out, Out, Out, Out>,
    pub inputs: Inputs<Input<'static>, Input<'static>>,
    pub port: Polled<BufferedUarte<'static>>,
    pub flash: Peri<'static, peripherals::NVMC>,
    pub rng: Peri<'static, peripherals::RNG>,
    pub watchdog: Peri<'static, peripherals::WDT>,
}

/// Takes the pins, all outputs off; `None` when called again.
pub fn connect(p: Peripherals) -> Option<Connected> {
    static RX: ConstStaticCell<[u8; RECEIVED]> = ConstStaticCell::new([0; RECEIVED]);
    static TX: ConstStaticCell<[u8; SENT]> = ConstStaticCell::new([0; SENT]);
    static TO_SENSOR: ConstStaticCell<[u8; TWIM]> = ConstStaticCell::new([0; TWIM]);
    let (rx, tx, to_sensor) = (RX.try_take()?, TX.try_take()?, TO_SENSOR.try_take()?);
    let mut uart = uarte::Config::default();
    uart.baudrate = uarte::Baudrate::Baud1m;
    let mut spi = spim::Config::default();
    spi.frequency = spim::Frequency::M8;
    let mut i2c = twim::Config::default();
    i2c.frequency = twim::Frequency::K100;
    // Not the fast instance: its anomaly 198 can spoil what it sends while something else uses the same RAM.
    let bus = spim::Spim::new(p.SPI2, Interrupts, p.P1_15, p.P1_14, p.P1_13, spi);
    let select = Output::new(p.P1_12, Level::High, OutputDrive::Standard);
    // Setting the pin cannot fail.
    let Ok(device) = ExclusiveDevice::new(bus, select, Delay);
    let wire = Wire(twim::Twim::new(p.TWISPI0, Interrupts, p.P0_26, p.P0_27, i2c, to_sensor));
    let settings = Settings { resolution: Resolution::Qqvga, ..Settings::new(Module::Mini2Mp) };
    let (off, dark) = (Level::Low, Level::High);
    let drive = OutputDrive::Standard;
    let uart = BufferedUarte::new(
        p.UARTE0,
        p.TIMER0,
        p.PPI_CH0,
        p.PPI_CH1,
        p.PPI_GROUP0,
        p.P0_08,
        p.P0_06,
        Interrupts,
        uart,
        rx,
        tx,
    );
    Some(Connected {
        camera: ArduCam::new(device, wire, Delay, settings),
        outputs: Pins {
            lock: Pin::high(Output::new(p.P1_01, off, drive)),
            green: Pin::low(Output::new(p.P0_13, dark, drive)),
            red: Pin::low(Output::new(p.P0_14, dark, drive)),
            yellow: Pin::low(Output::new(p.P0_15, dark, drive)),
            buzzer: Pin::high(Output::new(p.P1_02, off, drive)),
        },
        inputs: Inputs::new(
            Pin::low(Input::new(p.P0_11, Pull::Up)),
            Pin::high(Input::new(p.P1_03, Pull::Down)),
            PRESENCE_HOLD_MS,
        ),
        port: Polled::new(uart),
        flash: p.NVMC,
        rng: p.RNG,
        watchdog: p.WDT,
    })
}
