//! The OV2640: its registers, over I2C (OmniVision's SCCB), and what the driver writes to them.
//!
//! Registers are in two banks; register 0xff, which both have, selects one. A picture's way through them:
//!
//! ```text
//! array 1600x1200 -> binned to 800x600 -> DSP: window -> divided by 1, 2 or 4 -> scaled to the output -> RGB565 -> the bridge
//!                    COM7, window           HSIZE, XOFF    CTRLI                  ZMOW, ZMOH          IMAGE_MODE
//! ```
//!
//! The whole array is always taken, binned: four times the light of a single pixel, and the same field of view for each
//! [`Resolution`]. Divider and scaler follow one another, because the scaler alone only goes down to half.
//!
//! Source: OmniVision, OV2640 datasheet 1.6 and OV2640 Camera Module Software Application Notes 1.03. Settings that these do not
//! describe (colour, gamma, lens) are left as the sensor has them after its reset; [`Settings::tuning`] is the place for others.

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{Error, I2c};

use super::ArduCamError;
use super::settings::{Mains, Resolution, Settings};

/// The sensor's address on the bus.
pub const ADDRESS: u8 = 0x30;

/// Pixels in a row of the binned array.
pub(super) const SENSOR_WIDTH: u16 = 800;
/// Rows of the binned array.
pub(super) const SENSOR_HEIGHT: u16 = 600;

/// A set of registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Bank {
    /// Of the image processor.
    Dsp = 0,
    /// Of the array, with exposure and gain.
    Array = 1,
}

/// Both banks: which bank is selected.
pub(super) const BANK: u8 = 0xff;

/// Product number, upper byte: 0x26.
pub(super) const PIDH: u8 = 0x0a;
/// Product number, lower byte: 0x41 or 0x42.
pub(super) const PIDL: u8 = 0x0b;
/// Bits 3..2 and 1..0: the lowest bits of the window's last and first row.
pub(super) const COM1: u8 = 0x03;
/// Mirror, flip, and how the array is read for them.
pub(super) const REG04: u8 = 0x04;
const COM2: u8 = 0x09;
const COM3: u8 = 0x0c;
const CLKRC: u8 = 0x11;
/// Bit 7 resets all registers; bits 6..4: how the array is read.
pub(super) const COM7: u8 = 0x12;
pub(super) const COM8: u8 = 0x13;
pub(super) const COM9: u8 = 0x14;
/// The window's first and last column in units of two pixels, bits 10..3; then its rows, bits 9..2.
pub(super) const HREFST: u8 = 0x17;
pub(super) const HREFEND: u8 = 0x18;
pub(super) const VSTRT: u8 = 0x19;
pub(super) const VEND: u8 = 0x1a;
pub(super) const AEW: u8 = 0x24;
pub(super) const AEB: u8 = 0x25;
pub(super) const VV: u8 = 0x26;
/// Bits 5..3 and 2..0: the lowest bits of the window's last and first column.
pub(super) const REG32: u8 = 0x32;

/// Bit 0: the array's pixels go past the DSP.
pub(super) const R_BYPASS: u8 = 0x05;
/// Bits 5..3 and 2..0: rows and columns are divided by two to the power of this.
pub(super) const CTRLI: u8 = 0x50;
/// The DSP's window: width / 4, height / 4, first column and row; upper bits in the two registers below.
pub(super) const HSIZE: u8 = 0x51;
pub(super) const VSIZE: u8 = 0x52;
pub(super) const XOFFL: u8 = 0x53;
pub(super) const YOFFL: u8 = 0x54;
/// Bit 7 VSIZE[8], bits 6..4 YOFF[10:8], bit 3 HSIZE[8], bits 2..0 XOFF[10:8].
pub(super) const VHYX: u8 = 0x55;
/// Bit 7 HSIZE[9].
pub(super) const TEST: u8 = 0x57;
/// The output: width / 4, height / 4; upper bits in the register below.
pub(super) const ZMOW: u8 = 0x5a;
pub(super) const ZMOH: u8 = 0x5b;
/// Bit 2 OUTH[8], bits 1..0 OUTW[9:8].
pub(super) const ZMHH: u8 = 0x5c;
pub(super) const CTRL2: u8 = 0x86;
const CTRL3: u8 = 0x87;
/// The lowest bits of the next two; bits 5..3 of the width, 2..0 of the height.
pub(super) const SIZEL: u8 = 0x8c;
/// What the DSP gets from the array: width / 8, height / 8.
pub(super) const HSIZE8: u8 = 0xc0;
pub(super) const VSIZE8: u8 = 0xc1;
pub(super) const CTRL0: u8 = 0xc2;
const CTRL1: u8 = 0xc3;
const R_DVP_SP: u8 = 0xd3;
/// Bits 3..2: the output's format; bit 0: the lower byte of a pixel first.
pub(super) const IMAGE_MODE: u8 = 0xda;
/// Holds parts of the DSP in reset; bit 2: its output.
pub(super) const RESET: u8 = 0xe0;

/// [`COM7`]: all registers back to what they are at power-on.
pub(super) const COM7_RESET: u8 = 0x80;
/// [`COM7`]: two by two pixels binned to one.
pub(super) const COM7_SVGA: u8 = 0x40;
/// [`REG04`]: columns from right to left.
pub(super) const REG04_MIRROR: u8 = 0x80;
/// [`REG04`]: rows from bottom to top.
pub(super) const REG04_FLIP: u8 = 0x40;
/// [`REG04`]: begins one row later, so that flipped rows begin with the same colour.
const REG04_FLIP_START: u8 = 0x10;
/// [`REG04`]: begins one column later, as the window of [`ARRAY`] is for.
const REG04_START: u8 = 0x28;
/// [`IMAGE_MODE`]: RGB565, upper byte first.
pub(super) const IMAGE_MODE_RGB565: u8 = 0x08;
/// [`RESET`]: the output is held.
pub(super) const RESET_OUTPUT: u8 = 0x04;
/// [`CTRLI`]: the dividers average what they leave out.
const CTRLI_AVERAGE: u8 = 0x80;
/// [`COM8`]: exposure (bit 0), gain (bit 2) and avoidance of flicker (bit 5) are automatic; bits 7..6 as after reset.
pub(super) const COM8_AUTOMATIC: u8 = 0xe5;
/// [`COM3`]: flicker as told by bit 2, which means 50 Hz; bits 5..3 as after reset.
const COM3_MANUAL: u8 = 0x38;
const COM3_HZ50: u8 = 0x04;

/// Milliseconds after which a sensor that was reset can be written to, and that the DSP takes to start again.
const RESET_MS: u32 = 10;

/// The array: what of it is read, and how fast.
const ARRAY: [(u8, u8); 9] = [
    // Pins are driven three times as strongly as at the least.
    (COM2, 0x02),
    // Half of the module's clock: about 15 pictures a second.
    (CLKRC, 0x01),
    (COM7, COM7_SVGA),
    // Columns from 2 * 137 to 2 * 537: 800 pixels.
    (HREFST, 0x11),
    (HREFEND, 0x43),
    (REG32, 0x09),
    // Rows from 2 * 2 to 2 * 302: 600 rows.
    (VSTRT, 0x00),
    (VEND, 0x4b),
    (COM1, 0x0a),
];

/// The DSP: what it does to pixels.
const PROCESSING: [(u8, u8); 5] = [
    // Colours from the array's pattern, by way of YUV.
    (CTRL0, 0x0e),
    // Interpolation, gamma, white balance found and applied, first corrections; neither digital gain nor lens correction.
    (CTRL1, 0xed),
    // Scaler (bit 5), colour matrix, and averaged colours.
    (CTRL2, 0x3d),
    // Black and white defects of single pixels are corrected.
    (CTRL3, 0xc0),
    (R_BYPASS, 0x00),
];

/// The sensor on its bus.
#[derive(Debug)]
pub(super) struct Sensor<I>(pub I);

impl<I: I2c> Sensor<I> {
    /// Resets the sensor, looks which it is, and writes all that makes pictures as `settings` ask.
    pub fn set_up<D: DelayNs>(&mut self, settings: &Settings, delay: &mut D) -> Result<(), ArduCamError> {
        self.write_all(Bank::Array, &[(COM7, COM7_RESET)])?;
        delay.delay_ms(RESET_MS);
        // A reset also forgets which bank was selected.
        self.write_all(Bank::Array, &[])?;
        let found = u16::from_be_bytes([self.read(PIDH)?, self.read(PIDL)?]);
        if !matches!(found, 0x2641 | 0x2642) {
            return Err(ArduCamError::Sensor { found });
        }
        self.write_all(Bank::Dsp, &PROCESSING)?;
        self.write_all(Bank::Array, &exposure(settings))?;
        for extra in settings.tuning {
            self.write_all(extra.bank, &[(extra.register, extra.value)])?;
        }
        self.write_all(Bank::Array, &ARRAY)?;
        self.write_all(Bank::Array, &[(REG04, orientation(settings))])?;
        let output = output(settings.resolution);
        self.write_all(Bank::Dsp, &output)?;
        self.verify(&output, &[CTRLI, HSIZE, VSIZE, ZMOW, ZMOH, ZMHH, IMAGE_MODE])?;
        delay.delay_ms(RESET_MS);
        Ok(())
    }

    /// Writes registers of one bank, which stays selected.
    fn write_all(&mut self, bank: Bank, registers: &[(u8, u8)]) -> Result<(), ArduCamError> {
        self.write(BANK, bank as u8)?;
        registers.iter().try_for_each(|&(register, value)| self.write(register, value))
    }

    /// Holds `registers`, of the selected bank, against what was `written`.
    fn verify(&mut self, written: &[(u8, u8)], registers: &[u8]) -> Result<(), ArduCamError> {
        for &(register, expected) in written.iter().filter(|(register, _)| registers.contains(register)) {
            let found = self.read(register)?;
            if found != expected {
                return Err(ArduCamError::Register { register, expected, found });
            }
        }
        Ok(())
    }

    fn write(&mut self, register: u8, value: u8) -> Result<(), ArduCamError> {
        self.0.write(ADDRESS, &[register, value]).map_err(|e| failed(register, &e))
    }

    /// SCCB knows no repeated start: the register's number and its value are two transfers.
    fn read(&mut self, register: u8) -> Result<u8, ArduCamError> {
        let mut value = [0];
        self.0.write(ADDRESS, &[register]).map_err(|e| failed(register, &e))?;
        self.0.read(ADDRESS, &mut value).map_err(|e| failed(register, &e))?;
        Ok(value[0])
    }
}

fn failed<E: Error>(register: u8, error: &E) -> ArduCamError {
    ArduCamError::I2c { register, kind: error.kind() }
}

/// Exposure and gain, automatic within bounds.
fn exposure(settings: &Settings) -> [(u8, u8); 6] {
    let (a, b) = settings.luminance;
    let (low, high) = (a.min(b), a.max(b));
    let flicker = match settings.mains {
        Mains::Hz50 => COM3_MANUAL | COM3_HZ50,
        Mains::Hz60 => COM3_MANUAL,
    };
    [
        (COM8, COM8_AUTOMATIC),
        // Bits 7..5: the most gain; bit 3 as after reset.
        (COM9, (settings.gain as u8) << 5 | 0x08),
        (COM3, flicker),
        (AEW, high),
        (AEB, low),
        // Beyond twice the upper bound and below half the lower one exposure changes in larger steps.
        (VV, ((high / 8).min(15) << 4) | (low / 32)),
    ]
}

/// From where to where the array is read.
fn orientation(settings: &Settings) -> u8 {
    let mirror = if settings.mirrored { REG04_MIRROR } else { 0 };
    let flip = if settings.flipped { REG04_FLIP | REG04_FLIP_START } else { 0 };
    REG04_START | mirror | flip
}

/// The whole binned array, made as small as the resolution asks, in RGB565.
fn output(resolution: Resolution) -> [(u8, u8); 17] {
    let (width, height) = resolution.size();
    let divider = match resolution {
        Resolution::Svga | Resolution::Vga => 0,
        Resolution::QuarterSvga | Resolution::Qvga => 1,
        Resolution::Qqvga => 2,
    };
    let (window_width, window_height) = (SENSOR_WIDTH / 4, SENSOR_HEIGHT / 4);
    let (width, height) = (width / 4, height / 4);
    [
        (RESET, RESET_OUTPUT),
        (HSIZE8, (SENSOR_WIDTH / 8) as u8),
        (VSIZE8, (SENSOR_HEIGHT / 8) as u8),
        (SIZEL, (SENSOR_WIDTH as u8 & 7) << 3 | (SENSOR_HEIGHT as u8 & 7)),
        (CTRLI, CTRLI_AVERAGE | divider << 3 | divider),
        (HSIZE, window_width as u8),
        (VSIZE, window_height as u8),
        (XOFFL, 0),
        (YOFFL, 0),
        (VHYX, ((window_height >> 8 & 1) << 7 | (window_width >> 8 & 1) << 3) as u8),
        (TEST, ((window_width >> 9 & 1) << 7) as u8),
        (ZMOW, width as u8),
        (ZMOH, height as u8),
        (ZMHH, ((height >> 8 & 1) << 2 | (width >> 8 & 3)) as u8),
        // The output's clock follows the picture's size.
        (R_DVP_SP, 0x84),
        (IMAGE_MODE, IMAGE_MODE_RGB565),
        (RESET, 0),
    ]
}
