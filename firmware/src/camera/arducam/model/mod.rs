//! A model of the module at its two buses, for tests and for simulated devices.
//!
//! It keeps the registers of bridge and sensor, the FIFO with its pointers, and time, and takes pictures of a [`Scene`] as the registers
//! tell it to: a register with another value gives another picture, or none. It can fail: at any transfer a bus error, a loss of power,
//! an unplugged cable or a sensor that is deaf, and a capture that never ends, a FIFO that falls short, another sensor.
//!
//! It is written from the same public descriptions as the driver, with registers and bits of its own: it shares with the driver which
//! [`Bank`] and which [`Module`] is meant, and no number. So it shows that the driver does what these descriptions say, that none of its numbers
//! that matters for the picture is mistyped, and that the driver survives what may happen on a bus. It cannot show what both were written from
//! if that is wrong, nor what it leaves out: how light a picture is and its colours (exposure, gain, white balance: [`Model::register`]
//! tells what was written), pins' strength, clocks, undocumented registers, and the timing of a real module.

mod bridge;
mod sensor;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{self, I2c, NoAcknowledgeSource};
use embedded_hal::spi::{self, SpiDevice};

use super::{Bank, Module};
use bridge::Bridge;
use sensor::{ADDRESS, Sensor};

/// Microseconds between two pictures of the sensor.
pub const FRAME_US: u64 = 66_000;

/// Microseconds of a byte on SPI, at 8 MHz.
const SPI_BYTE_US: u64 = 1;
/// Microseconds of a byte on I2C, at 400 kHz.
const I2C_BYTE_US: u64 = 25;

/// What is before the lens; it fills the field of view whatever its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Red, green and blue, row by row from the top.
    pub pixels: Vec<[u8; 3]>,
}

/// What goes wrong, from the next transfer on, which has number 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This transfer fails on its bus, once.
    Transfer(u32),
    /// From this transfer on the module is not there, and its data line shows a level: 0x00 or 0xff.
    Unplugged(u32, u8),
    /// From this transfer on the sensor acknowledges nothing on I2C, while the bridge answers: its wires are off, or it is.
    Deaf(u32),
    /// Before this transfer the power goes for a moment.
    Power(u32),
    /// No capture ends.
    NeverDone,
    /// The next capture does not end, and none after it until the bridge is reset.
    Hung,
    /// The FIFO holds so many bytes less than were written.
    Short(u32),
    /// The sensor's product number.
    Product(u16),
    /// A register of the DSP's bank keeps nothing.
    Stuck(u8),
}

#[derive(Debug)]
struct State {
    bridge: Bridge,
    sensor: Sensor,
    scene: Scene,
    now_us: u64,
    transfers: u32,
    fault: Option<Fault>,
    /// The number of the transfer that the fault counts from.
    since: u32,
}

/// What a transfer meets.
enum Wire {
    Module,
    /// The bridge alone.
    Bridge,
    Error,
    Nobody(u8),
}

impl State {
    /// Time passes, and the bridge captures what it is to capture.
    fn advance(&mut self, us: u64) {
        self.now_us += us;
        let ends = match self.fault {
            Some(Fault::NeverDone) => false,
            Some(Fault::Hung) => self.bridge.hang(),
            _ => true,
        };
        self.bridge.advance(self.now_us, &self.sensor, &self.scene, ends);
    }

    fn transfer(&mut self) -> Wire {
        let number = self.transfers - self.since;
        self.transfers += 1;
        match self.fault {
            Some(Fault::Transfer(at)) if number == at => return Wire::Error,
            Some(Fault::Unplugged(at, level)) if number >= at => {
                self.power_off();
                return Wire::Nobody(level);
            }
            Some(Fault::Deaf(at)) if number >= at => return Wire::Bridge,
            Some(Fault::Power(at)) if number == at => self.power_off(),
            _ => {}
        }
        Wire::Module
    }

    fn power_off(&mut self) {
        self.bridge.power_off();
        self.sensor.power_off(self.now_us);
    }
}

/// A module, its scene and its time. Clones are the same module.
#[derive(Debug, Clone)]
pub struct Model(Arc<Mutex<State>>);

impl Model {
    /// A module that was just powered, before a black wall.
    pub fn new(module: Module) -> Self {
        let scene = Scene { width: 1, height: 1, pixels: vec![[0; 3]] };
        Model(Arc::new(Mutex::new(State {
            bridge: Bridge::new(module),
            sensor: Sensor::new(),
            scene,
            now_us: 0,
            transfers: 0,
            fault: None,
            since: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts something else before the lens.
    pub fn show(&self, scene: Scene) {
        assert_eq!(scene.pixels.len(), scene.width * scene.height, "pixels of the scene");
        self.state().scene = scene;
    }

    /// Lets time pass.
    pub fn advance(&self, us: u64) {
        self.state().advance(us);
    }

    /// Breaks something, or mends it: a module that was unplugged is plugged in.
    pub fn set_fault(&self, fault: Option<Fault>) {
        let mut state = self.state();
        (state.fault, state.since) = (fault, state.transfers);
        state.bridge.set_missing(fault);
    }

    /// Transfers up to now, on both buses.
    pub fn transfers(&self) -> u32 {
        self.state().transfers
    }

    /// What a register of the sensor holds.
    pub fn register(&self, bank: Bank, register: u8) -> u8 {
        self.state().sensor.peek(bank, register)
    }

    /// Changes a register of the sensor past the bus.
    pub fn poke(&self, bank: Bank, register: u8, value: u8) {
        self.state().sensor.poke(bank, register, value);
    }

    /// Whether the sensor stands by.
    pub fn is_resting(&self) -> bool {
        self.state().bridge.is_resting()
    }
}

/// An error on a modelled bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusError;

impl spi::Error for BusError {
    fn kind(&self) -> spi::ErrorKind {
        spi::ErrorKind::Other
    }
}

impl i2c::Error for BusError {
    fn kind(&self) -> i2c::ErrorKind {
        i2c::ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown)
    }
}

impl spi::ErrorType for Model {
    type Error = BusError;
}

impl SpiDevice for Model {
    fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), BusError> {
        let mut state = self.state();
        let wire = state.transfer();
        if let Wire::Error = wire {
            return Err(BusError);
        }
        state.bridge.select();
        let mut exchange = |byte: u8| {
            state.advance(SPI_BYTE_US);
            match wire {
                Wire::Nobody(level) => level,
                _ => {
                    let now = state.now_us;
                    state.bridge.exchange(byte, now)
                }
            }
        };
        for operation in operations {
            match operation {
                spi::Operation::Read(words) => words.iter_mut().for_each(|w| *w = exchange(0)),
                spi::Operation::Write(words) => words.iter().for_each(|&w| _ = exchange(w)),
                spi::Operation::Transfer(read, write) => {
                    for at in 0..read.len().max(write.len()) {
                        let byte = exchange(write.get(at).copied().unwrap_or(0));
                        if let Some(word) = read.get_mut(at) {
                            *word = byte;
                        }
                    }
                }
                spi::Operation::TransferInPlace(words) => words.iter_mut().for_each(|w| *w = exchange(*w)),
                // No byte is clocked meanwhile.
                spi::Operation::DelayNs(_) => {}
            }
        }
        Ok(())
    }
}

impl i2c::ErrorType for Model {
    type Error = BusError;
}

impl I2c for Model {
    fn transaction(&mut self, address: u8, operations: &mut [i2c::Operation<'_>]) -> Result<(), BusError> {
        let mut state = self.state();
        let Wire::Module = state.transfer() else { return Err(BusError) };
        // SCCB has no repeated start.
        let [operation] = operations else { return Err(BusError) };
        if address != ADDRESS || state.bridge.is_resting() || !state.sensor.is_awake(state.now_us) {
            return Err(BusError);
        }
        let fault = state.fault;
        match operation {
            i2c::Operation::Write(bytes) => {
                state.advance(I2C_BYTE_US * bytes.len() as u64);
                let now = state.now_us;
                state.sensor.write(bytes, now, fault)
            }
            i2c::Operation::Read([byte]) => {
                state.advance(I2C_BYTE_US);
                *byte = state.sensor.read(fault)?;
                Ok(())
            }
            i2c::Operation::Read(_) => Err(BusError),
        }
    }
}

impl DelayNs for Model {
    fn delay_ns(&mut self, ns: u32) {
        self.advance((ns as u64).div_ceil(1000));
    }
}
