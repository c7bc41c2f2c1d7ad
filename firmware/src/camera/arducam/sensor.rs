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
use super::registers::*;
use super::settings::{Mains, Resolution, Settings};

/// The sensor's address on the bus.
pub const ADDRESS: u8 = 0x30;

/// Milliseconds after which a sensor that was reset can be written to, and that the DSP takes to start again.
const RESET_MS: u32 = 10;

/// The array: what of it is read, and how fast.
const ARRAY: [(u8, u8); 9] = [
    // Pins are driven twice as strongly as at the least.
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
