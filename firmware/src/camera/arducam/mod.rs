//! A driver for the ArduCAM Mini 2MP and 2MP Plus: an OV2640 behind a bridge with a FIFO, on one SPI and one I2C bus.
//!
//! In: [`Settings`], and the buses as `embedded-hal` has them (SPI in mode 0, at most 8 MHz; I2C at most 400 kHz). Out: pictures as
//! [`Camera`] gives them, in RGB565 or made into grey or three bytes a pixel on the way. The FIFO holds the picture, so the board need
//! not have memory for more than a row.
//!
//! ```text
//!          start              capture done, length right          last row fetched
//! Off ----------> Capturing ----------------------------> Ready ------------------> Idle --start--> Capturing
//!  ^  sets up        |  start: it never came                                          | rest
//!  +-----------------+------------------- any error ----------------------------------+--> Resting --start--> Capturing
//! ```
//!
//! A picture is not taken for one when it may not be: the FIFO must hold as many bytes as the geometry asks for, and the bridge
//! must still know, when the picture is ready and when its last row was fetched, what was written to its test register at set-up.
//!
//! Set-up takes about a quarter of a second of the [`DelayNs`] it is given, almost all of it only where a bridge answers; nothing else
//! waits. The driver was held against a model of the module at its buses (`model`, feature `sim`), not yet against a module.

mod bridge;
mod error;
#[cfg(any(test, feature = "sim"))]
pub mod model;
mod registers;
mod sensor;
mod settings;
#[cfg(test)]
mod tests;

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use embedded_hal::spi::SpiDevice;

use super::{Camera, Geometry, Place};
use crate::align::luma;
use crate::frame::{Frame, PixelFormat};
use bridge::{Bridge, TRIGGER_DONE};
pub use error::ArduCamError;
pub use registers::Bank;
pub use sensor::ADDRESS;
use sensor::Sensor;
pub use settings::{Gain, Mains, Module, Resolution, Settings, Tuning};

/// Bytes beyond the picture's that the FIFO may hold: what the bridge writes until it sees the picture's end.
const SLACK: u32 = 8;

/// Pixels that are turned into another format at a time.
const CHUNK: usize = 64;

/// Milliseconds after which a sensor that stood by sends pictures again.
const WAKE_MS: u32 = 5;

/// What the module is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not set up, or not in order.
    Off,
    /// Nothing.
    Idle,
    /// The sensor stands by.
    Resting,
    /// A picture is on its way into the FIFO.
    Capturing,
    /// The next pixel to be fetched.
    Ready(Place),
}

/// The module on its buses `S` and `I`.
#[derive(Debug)]
pub struct ArduCam<S, I, D> {
    bridge: Bridge<S>,
    sensor: Sensor<I>,
    delay: D,
    settings: Settings,
    state: State,
    /// Pictures still to be thrown away.
    unsettled: u8,
}

impl<S: SpiDevice, I: I2c, D: DelayNs> ArduCam<S, I, D> {
    /// A module that the first [`Camera::start`] sets up; nothing is sent to it before that.
    pub const fn new(spi: S, i2c: I, delay: D, settings: Settings) -> Self {
        ArduCam {
            bridge: Bridge::new(spi),
            sensor: Sensor(i2c),
            delay,
            settings,
            state: State::Off,
            unsettled: 0,
        }
    }

    /// Changes how pictures are taken, from the next [`Camera::start`] on. The picture at hand is lost.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
        self.state = State::Off;
    }

    /// Sets the module up from the beginning, whatever it is at.
    ///
    /// # Errors
    /// When a bus fails, bridge or sensor are not there or not what they should be, or pictures do not fit into the FIFO.
    pub fn restart(&mut self) -> Result<(), ArduCamError> {
        self.state = State::Off;
        let (needed, capacity) = (self.settings.sent().bytes() as u32, self.settings.module.fifo());
        if needed > capacity {
            return Err(ArduCamError::TooLarge { needed, capacity });
        }
        self.bridge.reset(&mut self.delay)?;
        self.bridge.stand_by(false)?;
        self.sensor.set_up(&self.settings, &mut self.delay)?;
        self.unsettled = self.settings.settle;
        self.state = State::Idle;
        Ok(())
    }

    fn capture(&mut self) -> Result<(), ArduCamError> {
        self.bridge.capture()?;
        self.state = State::Capturing;
        Ok(())
    }

    fn wake(&mut self) -> Result<(), ArduCamError> {
        self.bridge.stand_by(false)?;
        self.delay.delay_ms(WAKE_MS);
        self.unsettled = self.settings.settle;
        Ok(())
    }

    /// Looks whether the capture has ended, and with what.
    fn captured(&mut self) -> Result<(), ArduCamError> {
        if self.bridge.trigger()? & TRIGGER_DONE == 0 {
            return Ok(());
        }
        self.bridge.check()?;
        if self.unsettled > 0 {
            self.unsettled -= 1;
            return self.capture();
        }
        let (needed, found) = (self.settings.sent().bytes() as u32, self.bridge.length()?);
        if !(needed..=needed + SLACK).contains(&found) {
            return Err(ArduCamError::Fifo { needed, found });
        }
        self.state = State::Ready(Place::default());
        Ok(())
    }

    /// Fetches the pixels from `at` up to `next`.
    fn fetch(&mut self, at: Place, next: Place, out: &mut [u8]) -> Result<(), ArduCamError> {
        let mut dummy = at == Place::default() && self.settings.module.has_dummy_byte();
        let format = self.settings.format;
        if format == PixelFormat::Rgb565 {
            self.bridge.burst(dummy, out)?;
        } else {
            let mut sent = [0; CHUNK * PixelFormat::Rgb565.bytes_per_pixel()];
            for pixels in out.chunks_mut(CHUNK * format.bytes_per_pixel()) {
                let count = pixels.len() / format.bytes_per_pixel();
                let sent = sent.get_mut(..count * PixelFormat::Rgb565.bytes_per_pixel()).unwrap_or_default();
                self.bridge.burst(dummy, sent)?;
                dummy = false;
                convert(sent, format, pixels);
            }
        }
        if next.row < self.settings.geometry().height {
            self.state = State::Ready(next);
            return Ok(());
        }
        // A module that was away meanwhile has sent what an open line shows.
        self.bridge.check()?;
        let found = self.bridge.trigger()?;
        if found & TRIGGER_DONE == 0 {
            return Err(ArduCamError::Flag { found });
        }
        self.state = State::Idle;
        Ok(())
    }

    /// What comes of it; an error leaves nothing in order.
    fn settle<T>(&mut self, result: Result<T, ArduCamError>) -> Result<T, ArduCamError> {
        if result.is_err() {
            self.state = State::Off;
        }
        result
    }
}

impl<S: SpiDevice, I: I2c, D: DelayNs> Camera for ArduCam<S, I, D> {
    type Error = ArduCamError;

    fn start(&mut self) -> Result<(), ArduCamError> {
        // A capture that is still under way never came; a bridge that forgot its mark was away.
        let lost = matches!(self.state, State::Off | State::Capturing) || self.bridge.check().is_err();
        let ready = match self.state {
            _ if lost => self.restart(),
            State::Resting => self.wake(),
            _ => Ok(()),
        };
        let started = ready.and_then(|()| self.capture());
        self.settle(started)
    }

    fn poll(&mut self) -> Result<Option<Geometry>, ArduCamError> {
        if self.state == State::Capturing {
            let captured = self.captured();
            self.settle(captured)?;
        }
        Ok(matches!(self.state, State::Ready(_)).then_some(self.settings.geometry()))
    }

    fn pixels(&mut self, out: &mut [u8]) -> Result<(), ArduCamError> {
        let State::Ready(at) = self.state else { return Err(ArduCamError::NoPicture) };
        let (geometry, found) = (self.settings.geometry(), out.len());
        let next =
            at.behind(found, geometry).ok_or(ArduCamError::Buffer { left: at.left(geometry), found })?;
        let fetched = self.fetch(at, next, out);
        self.settle(fetched)
    }

    fn rest(&mut self) -> Result<(), ArduCamError> {
        if self.state != State::Off {
            let rested = self.bridge.stand_by(true);
            self.settle(rested)?;
            self.state = State::Resting;
        }
        Ok(())
    }
}

/// Pixels as they were `sent`, in another format.
fn convert(sent: &[u8], format: PixelFormat, out: &mut [u8]) {
    let count = sent.len() / PixelFormat::Rgb565.bytes_per_pixel();
    // At most a chunk of whole pixels: neither empty nor of another length.
    let Ok(pixels) = Frame::new(PixelFormat::Rgb565, count as u16, 1, sent) else { return };
    for (x, out) in out.chunks_exact_mut(format.bytes_per_pixel()).enumerate() {
        let rgb = pixels.rgb_clamped(x as i32, 0);
        match out {
            [grey] => *grey = luma(rgb),
            [_, _, _] => out.copy_from_slice(&rgb),
            _ => {}
        }
    }
}
