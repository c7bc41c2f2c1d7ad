//! The ArduChip: registers and the FIFO, over SPI mode 0, at most 8 MHz.
//!
//! ```text
//! write   1aaaaaaa dddddddd             register a becomes d
//! read    0aaaaaaa -------- -> d        register a
//! burst   00111100 -------- -> d ...    bytes from the FIFO, as many as are clocked while the module is selected
//! ```
//!
//! Several bursts go on where the last one ended. On some modules the first byte after a capture is none of the picture's.
//! Source: ArduCAM Camera Shield Series, SPI Camera Hardware and Software Application Notes, with the
//! vendor's answer on consecutive bursts (<https://github.com/ArduCAM/Arduino/issues/53>).

use embedded_hal::delay::DelayNs;
use embedded_hal::spi::{Error, Operation, SpiDevice};

use super::ArduCamError;

/// Set in the address of a register that is written.
pub(super) const WRITE: u8 = 0x80;

/// Keeps what is written to it.
pub(super) const TEST: u8 = 0x00;
/// Bits 2..0: pictures to be captured, less one.
pub(super) const FRAMES: u8 = 0x01;
/// Control of the FIFO, see below; reads as 0.
pub(super) const FIFO: u8 = 0x04;
/// Pins that lead to the sensor.
pub(super) const PINS: u8 = 0x06;
/// Resets the bridge while bit 7 is set.
pub(super) const RESET: u8 = 0x07;
/// Reads the FIFO.
pub(super) const BURST: u8 = 0x3c;
/// What the bridge is at.
pub(super) const TRIGGER: u8 = 0x41;
/// Bytes in the FIFO: bits 7..0, 15..8 and 22..16 in three registers from here on.
pub(super) const LENGTH: u8 = 0x42;

/// [`FIFO`]: clears the capture-done flag.
pub(super) const FIFO_CLEAR: u8 = 0x01;
/// [`FIFO`]: captures the next picture that the sensor begins.
pub(super) const FIFO_START: u8 = 0x02;
/// [`FIFO`]: the next byte is written and read at the beginning.
pub(super) const FIFO_REWIND: u8 = 0x30;
/// [`PINS`]: the sensor stands by.
pub(super) const PINS_STANDBY: u8 = 0x02;
/// [`RESET`]: the bridge is held in reset.
pub(super) const RESET_HELD: u8 = 0x80;
/// [`TRIGGER`]: a picture is in the FIFO.
pub(super) const TRIGGER_DONE: u8 = 0x08;

/// What the test register is given. A bridge that lost its power has forgotten it; a bus that hangs shows 0x00 or 0xff.
pub(super) const COOKIE: u8 = 0xa5;
/// Milliseconds that the bridge is held in reset, and that it is left alone afterwards, as in the vendor's examples.
const RESET_MS: u32 = 100;

/// The bridge on its bus.
#[derive(Debug)]
pub(super) struct Bridge<S> {
    spi: S,
    /// Perhaps in reset, where it keeps nothing.
    held: bool,
}

impl<S> Bridge<S> {
    pub const fn new(spi: S) -> Self {
        Bridge { spi, held: false }
    }
}

impl<S: SpiDevice> Bridge<S> {
    pub fn read(&mut self, register: u8) -> Result<u8, ArduCamError> {
        let mut bytes = [register, 0];
        self.spi.transfer_in_place(&mut bytes).map_err(|e| failed(register, &e))?;
        Ok(bytes[1])
    }

    pub fn write(&mut self, register: u8, value: u8) -> Result<(), ArduCamError> {
        self.spi.write(&[register | WRITE, value]).map_err(|e| failed(register, &e))
    }

    /// Checks that a bridge answers, resets it, and marks it as set up.
    pub fn reset<D: DelayNs>(&mut self, delay: &mut D) -> Result<(), ArduCamError> {
        // A module that is not there costs no waiting.
        if !self.held {
            self.mark()?;
        }
        self.held = true;
        self.write(RESET, RESET_HELD)?;
        delay.delay_ms(RESET_MS);
        self.write(RESET, 0)?;
        self.held = false;
        delay.delay_ms(RESET_MS);
        self.mark()
    }

    fn mark(&mut self) -> Result<(), ArduCamError> {
        self.write(TEST, COOKIE)?;
        self.check()
    }

    /// Whether this is still the bridge that was set up.
    pub fn check(&mut self) -> Result<(), ArduCamError> {
        match self.read(TEST)? {
            COOKIE => Ok(()),
            found => Err(ArduCamError::Bridge { expected: COOKIE, found }),
        }
    }

    /// Puts the sensor in standby, or back to work. Its registers stay.
    pub fn stand_by(&mut self, resting: bool) -> Result<(), ArduCamError> {
        let pins = self.read(PINS)? & !PINS_STANDBY;
        self.write(PINS, if resting { pins | PINS_STANDBY } else { pins })
    }

    /// Begins to capture one picture.
    pub fn capture(&mut self) -> Result<(), ArduCamError> {
        self.write(FIFO, FIFO_CLEAR)?;
        self.write(FIFO, FIFO_REWIND)?;
        self.write(FRAMES, 0)?;
        self.write(FIFO, FIFO_START)
    }

    /// The trigger register.
    pub fn trigger(&mut self) -> Result<u8, ArduCamError> {
        self.read(TRIGGER)
    }

    /// Bytes in the FIFO.
    pub fn length(&mut self) -> Result<u32, ArduCamError> {
        let [low, middle, high] = [self.read(LENGTH)?, self.read(LENGTH + 1)?, self.read(LENGTH + 2)?];
        Ok(u32::from_le_bytes([low, middle, high & 0x7f, 0]))
    }

    /// Fills `out` from the FIFO, without the first byte if `dummy`.
    pub fn burst(&mut self, dummy: bool, out: &mut [u8]) -> Result<(), ArduCamError> {
        let command = [BURST, 0];
        let command = if dummy { &command[..] } else { &command[..1] };
        self.spi
            .transaction(&mut [Operation::Write(command), Operation::Read(out)])
            .map_err(|e| failed(BURST, &e))
    }
}

fn failed<E: Error>(register: u8, error: &E) -> ArduCamError {
    ArduCamError::Spi { register, kind: error.kind() }
}
