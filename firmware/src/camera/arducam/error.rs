//! What can go wrong with a module.

use embedded_hal::{i2c, spi};

/// Why a module did not do what it should. After any of these [`Camera::start`](crate::camera::Camera::start) sets it up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ArduCamError {
    /// The SPI bus failed.
    Spi {
        /// The bridge's register that was to be read or written.
        register: u8,
        /// What the bus said.
        #[cfg_attr(feature = "defmt", defmt(Debug2Format))]
        kind: spi::ErrorKind,
    },
    /// The I2C bus failed; without acknowledge there is no sensor.
    I2c {
        /// The sensor's register that was to be read or written.
        register: u8,
        /// What the bus said.
        #[cfg_attr(feature = "defmt", defmt(Debug2Format))]
        kind: i2c::ErrorKind,
    },
    /// The bridge does not keep what is written to its test register: it is not there, or lost its power meanwhile.
    Bridge {
        /// What was written.
        expected: u8,
        /// What was read.
        found: u8,
    },
    /// Another sensor than an OV2640.
    Sensor {
        /// Its product number; accepted: 0x26, and 0x41 or 0x42 as the lower byte.
        found: u16,
    },
    /// The sensor does not keep what is written to a register.
    Register {
        /// Which one, of the DSP's bank.
        register: u8,
        /// What was written.
        expected: u8,
        /// What was read.
        found: u8,
    },
    /// The resolution asks for more than the module's FIFO holds.
    TooLarge {
        /// Bytes of a picture.
        needed: u32,
        /// Bytes of the FIFO.
        capacity: u32,
    },
    /// The FIFO holds something else than one picture.
    Fifo {
        /// Bytes of a picture.
        needed: u32,
        /// Bytes in the FIFO.
        found: u32,
    },
    /// The capture-done flag was gone while the picture was fetched.
    Flag {
        /// What the trigger register held.
        found: u8,
    },
    /// The buffer for pixels takes more than the rest of their row, or no whole pixels.
    Buffer {
        /// Bytes to the end of the row.
        left: usize,
        /// Bytes of the buffer.
        found: usize,
    },
    /// No picture is ready to be fetched.
    NoPicture,
}

impl core::fmt::Display for ArduCamError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            ArduCamError::Spi { register, kind } => {
                write!(f, "SPI failed at the bridge's register {register:#04x}: {kind}")
            }
            ArduCamError::I2c { register, kind } => {
                write!(f, "I2C failed at the sensor's register {register:#04x}: {kind}")
            }
            ArduCamError::Bridge { expected, found } => write!(
                f,
                "no ArduChip on the SPI bus, or it lost its power: its test register holds {found:#04x}, {expected:#04x} was written"
            ),
            ArduCamError::Sensor { found } => {
                write!(f, "the sensor's product number is {found:#06x}; accepted: 0x2641, 0x2642 (OV2640)")
            }
            ArduCamError::Register { register, expected, found } => {
                write!(
                    f,
                    "the sensor's register {register:#04x} holds {found:#04x}, {expected:#04x} was written"
                )
            }
            ArduCamError::TooLarge { needed, capacity } => {
                write!(f, "a picture takes {needed} bytes, the module's FIFO holds {capacity}")
            }
            ArduCamError::Fifo { needed, found } => {
                write!(f, "the module's FIFO holds {found} bytes, a picture takes {needed}")
            }
            ArduCamError::Flag { found } => {
                write!(
                    f,
                    "the trigger register held {found:#04x}, without the capture-done flag, after the last row"
                )
            }
            ArduCamError::Buffer { left, found } => {
                write!(
                    f,
                    "the buffer has {found} bytes; accepted: whole pixels, of which the row has {left} bytes"
                )
            }
            ArduCamError::NoPicture => f.write_str("no picture is ready to be fetched"),
        }
    }
}

impl core::error::Error for ArduCamError {}
