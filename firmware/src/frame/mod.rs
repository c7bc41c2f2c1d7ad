//! A picture: pixels as they come, how they are kept where they do not fit, and the five points of a face in them.
//!
//! - [`Frame`]: a borrowed picture of some [`PixelFormat`];
//! - [`Intake`]: a picture that arrives in pieces, halved on the way in until it fits the buffer that keeps it;
//! - [`means`]: a picture scaled to another size, each pixel the mean of the area under it.

mod area;
mod intake;

use nalgebra::Point2;
use serde::{Deserialize, Serialize};

pub use area::means;
pub use intake::{Intake, MAX_HALVINGS, TooLarge};

/// How the pixels of a [`Frame`] lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PixelFormat {
    /// One byte a pixel.
    Grey8,
    /// Three bytes a pixel: red, green, blue.
    Rgb8,
    /// Two bytes a pixel, big-endian as camera modules send them: rrrrrggg gggbbbbb.
    Rgb565,
}

impl PixelFormat {
    /// Bytes that one pixel takes.
    pub const fn bytes_per_pixel(self) -> usize {
        match self {
            PixelFormat::Grey8 => 1,
            PixelFormat::Rgb565 => 2,
            PixelFormat::Rgb8 => 3,
        }
    }

    /// Values that a pixel is made of.
    const fn values(self) -> usize {
        match self {
            PixelFormat::Grey8 => 1,
            PixelFormat::Rgb565 | PixelFormat::Rgb8 => 3,
        }
    }

    /// A pixel's values as they are stored, of a grey one the first; zeros where bytes are missing.
    fn unpack(self, pixel: &[u8]) -> [u8; 3] {
        match (self, pixel) {
            (PixelFormat::Grey8, &[v, ..]) => [v, 0, 0],
            (PixelFormat::Rgb8, &[r, g, b, ..]) => [r, g, b],
            (PixelFormat::Rgb565, &[high, low, ..]) => {
                let v = u16::from_be_bytes([high, low]);
                [(v >> 11) as u8, (v >> 5 & 0x3f) as u8, (v & 0x1f) as u8]
            }
            _ => [0; 3],
        }
    }

    /// The bytes of a pixel of these values: the first [`PixelFormat::bytes_per_pixel`].
    fn pack(self, [a, b, c]: [u8; 3]) -> [u8; 3] {
        match self {
            PixelFormat::Grey8 | PixelFormat::Rgb8 => [a, b, c],
            PixelFormat::Rgb565 => {
                let [high, low] = ((a as u16) << 11 | (b as u16) << 5 | c as u16).to_be_bytes();
                [high, low, 0]
            }
        }
    }
}

/// A borrowed picture, rows from top to bottom without gaps.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    format: PixelFormat,
    width: u16,
    height: u16,
    data: &'a [u8],
}

/// Five points in pixels, in the order of the alignment template: the eye at the image's left, the other eye, the nose,
/// the mouth corner at the image's left, the other corner. `x` counts columns, `y` rows; pixel centres are whole numbers.
pub type Landmarks = [Point2<f32>; 5];

/// Why a [`Frame`] could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FrameError {
    /// A side of zero pixels.
    Empty {
        /// Pixels in a row.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// The data is not `width * height * bytes_per_pixel` long.
    Length {
        /// Bytes that the geometry asks for.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
}

impl core::fmt::Display for FrameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            FrameError::Empty { width, height } => write!(f, "a frame of {width}x{height} pixels has none"),
            FrameError::Length { expected, found } => {
                write!(f, "the frame's geometry asks for {expected} bytes, {found} were given")
            }
        }
    }
}

impl core::error::Error for FrameError {}

impl<'a> Frame<'a> {
    /// Wraps `data` as a picture of `width` x `height` pixels.
    ///
    /// # Errors
    /// When a side is zero or `data` has another length than the geometry asks for.
    pub fn new(format: PixelFormat, width: u16, height: u16, data: &'a [u8]) -> Result<Self, FrameError> {
        if width == 0 || height == 0 {
            return Err(FrameError::Empty { width, height });
        }
        // 65,535 by 65,535 pixels do not fit the 32-bit usize of a device.
        let pixels = width as u64 * height as u64;
        let expected = usize::try_from(pixels * format.bytes_per_pixel() as u64).unwrap_or(usize::MAX);
        if data.len() != expected {
            return Err(FrameError::Length { expected, found: data.len() });
        }
        Ok(Frame { format, width, height, data })
    }

    /// How the pixels lie in memory.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Pixels in a row.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u16 {
        self.height
    }

    /// The bytes, rows from top to bottom.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Red, green and blue at column `x` and row `y`, each clamped into the picture (the border is replicated).
    pub fn rgb_clamped(&self, x: i32, y: i32) -> [u8; 3] {
        let x = x.min(self.width as i32 - 1).max(0) as usize;
        let y = y.min(self.height as i32 - 1).max(0) as usize;
        let at = (y * self.width as usize + x) * self.format.bytes_per_pixel();
        let [r, g, b] = self.format.unpack(self.data.get(at..).unwrap_or(&[]));
        match self.format {
            PixelFormat::Grey8 => [r; 3],
            PixelFormat::Rgb8 => [r, g, b],
            PixelFormat::Rgb565 => [r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometry_must_match_the_bytes() {
        assert_eq!(
            Frame::new(PixelFormat::Rgb8, 2, 2, &[0; 11]).unwrap_err(),
            FrameError::Length { expected: 12, found: 11 }
        );
        assert_eq!(
            Frame::new(PixelFormat::Grey8, 0, 2, &[]).unwrap_err(),
            FrameError::Empty { width: 0, height: 2 }
        );
    }

    #[test]
    fn rgb565_expands_to_the_full_range() {
        let data = [0xff, 0xff, 0xf8, 0x00, 0x07, 0xe0, 0x00, 0x1f];
        let frame = Frame::new(PixelFormat::Rgb565, 4, 1, &data).unwrap();
        let seen: [[u8; 3]; 4] = core::array::from_fn(|x| frame.rgb_clamped(x as i32, 0));
        assert_eq!(seen, [[255; 3], [255, 0, 0], [0, 255, 0], [0, 0, 255]]);
    }

    #[test]
    fn the_border_is_replicated() {
        let frame = Frame::new(PixelFormat::Grey8, 2, 2, &[1, 2, 3, 4]).unwrap();
        assert_eq!(frame.rgb_clamped(-5, -1), [1; 3]);
        assert_eq!(frame.rgb_clamped(7, 9), [4; 3]);
    }
}
