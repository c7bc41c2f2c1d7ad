//! Registers of the OV2640 by their number, and what they hold.
//!
//! Source: OmniVision, OV2640 datasheet 1.6 and OV2640 Camera Module Software Application Notes 1.03.

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
pub(super) const COM2: u8 = 0x09;
pub(super) const COM3: u8 = 0x0c;
pub(super) const CLKRC: u8 = 0x11;
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
/// Bit 7 `VSIZE[8]`, bits 6..4 `YOFF[10:8]`, bit 3 `HSIZE[8]`, bits 2..0 `XOFF[10:8]`.
pub(super) const VHYX: u8 = 0x55;
/// Bit 7 `HSIZE[9]`.
pub(super) const TEST: u8 = 0x57;
/// The output: width / 4, height / 4; upper bits in the register below.
pub(super) const ZMOW: u8 = 0x5a;
pub(super) const ZMOH: u8 = 0x5b;
/// Bit 2 `OUTH[8]`, bits 1..0 `OUTW[9:8]`.
pub(super) const ZMHH: u8 = 0x5c;
pub(super) const CTRL2: u8 = 0x86;
pub(super) const CTRL3: u8 = 0x87;
/// The lowest bits of the next two; bits 5..3 of the width, 2..0 of the height.
pub(super) const SIZEL: u8 = 0x8c;
/// What the DSP gets from the array: width / 8, height / 8.
pub(super) const HSIZE8: u8 = 0xc0;
pub(super) const VSIZE8: u8 = 0xc1;
pub(super) const CTRL0: u8 = 0xc2;
pub(super) const CTRL1: u8 = 0xc3;
pub(super) const R_DVP_SP: u8 = 0xd3;
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
pub(super) const REG04_FLIP_START: u8 = 0x10;
/// [`REG04`]: begins one column later, as the window that the driver sets is for.
pub(super) const REG04_START: u8 = 0x28;
/// [`IMAGE_MODE`]: RGB565, upper byte first.
pub(super) const IMAGE_MODE_RGB565: u8 = 0x08;
/// [`RESET`]: the output is held.
pub(super) const RESET_OUTPUT: u8 = 0x04;
/// [`CTRLI`]: the dividers average what they leave out.
pub(super) const CTRLI_AVERAGE: u8 = 0x80;
/// [`COM8`]: exposure (bit 0), gain (bit 2) and avoidance of flicker (bit 5) are automatic; bits 7..6 as after reset.
pub(super) const COM8_AUTOMATIC: u8 = 0xe5;
/// [`COM3`]: flicker as told by bit 2, which means 50 Hz; bits 5..3 as after reset.
pub(super) const COM3_MANUAL: u8 = 0x38;
pub(super) const COM3_HZ50: u8 = 0x04;
