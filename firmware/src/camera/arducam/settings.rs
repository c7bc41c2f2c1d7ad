//! What a board says of its module, and how pictures are to be taken.

use super::registers::{Bank, SENSOR_HEIGHT, SENSOR_WIDTH};
use crate::camera::Geometry;
use crate::frame::PixelFormat;

/// Which module it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Module {
    /// ArduCAM Mini 2MP: a FIFO of 384 KiB, whose first byte after a capture is none of the picture's.
    Mini2Mp,
    /// ArduCAM Mini 2MP Plus: a FIFO of 8 MiB.
    Mini2MpPlus,
}

impl Module {
    /// Bytes that the FIFO holds.
    pub const fn fifo(self) -> u32 {
        match self {
            Module::Mini2Mp => 0x5_ffff,
            Module::Mini2MpPlus => 0x7f_ffff,
        }
    }

    /// Whether the first burst after a capture begins with a byte that is none of the picture's.
    pub(super) const fn has_dummy_byte(self) -> bool {
        matches!(self, Module::Mini2Mp)
    }
}

/// Pixels of a picture. All show the sensor's whole field of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Resolution {
    /// 160 x 120.
    Qqvga,
    /// 320 x 240.
    Qvga,
    /// 400 x 300.
    QuarterSvga,
    /// 640 x 480; more than the FIFO of a [`Module::Mini2Mp`] holds.
    Vga,
    /// 800 x 600; more than the FIFO of a [`Module::Mini2Mp`] holds.
    Svga,
}

impl Resolution {
    /// All of them, from the smallest on.
    pub const ALL: [Resolution; 5] =
        [Resolution::Qqvga, Resolution::Qvga, Resolution::QuarterSvga, Resolution::Vga, Resolution::Svga];

    /// Pixels in a row, and rows.
    pub const fn size(self) -> (u16, u16) {
        match self {
            Resolution::Qqvga => (160, 120),
            Resolution::Qvga => (320, 240),
            Resolution::QuarterSvga => (400, 300),
            Resolution::Vga => (640, 480),
            Resolution::Svga => (SENSOR_WIDTH, SENSOR_HEIGHT),
        }
    }
}

/// The most that the automatic gain may amplify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Gain {
    /// Twice.
    X2,
    /// 4 times.
    X4,
    /// 8 times.
    X8,
    /// 16 times.
    X16,
    /// 32 times.
    X32,
    /// 64 times.
    X64,
    /// 128 times.
    X128,
}

/// How often lamps on the mains flicker: exposure times are multiples of a flicker, so that no bands cross the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Mains {
    /// 50 Hz.
    Hz50,
    /// 60 Hz.
    Hz60,
}

/// A register of the sensor that a board sets beyond what the driver does, such as a maker's corrections for a lens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// The bank that it is in.
    pub bank: Bank,
    /// Its number.
    pub register: u8,
    /// What it is to hold.
    pub value: u8,
}

/// How pictures are to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Which module it is.
    pub module: Module,
    /// Pixels of a picture.
    pub resolution: Resolution,
    /// How the rows are to lie in memory. The module sends [`PixelFormat::Rgb565`]; the others are made of it on the way.
    pub format: PixelFormat,
    /// Left and right exchanged, as in a mirror.
    pub mirrored: bool,
    /// Top and bottom exchanged, for a module that is mounted upside down (with `mirrored`).
    pub flipped: bool,
    /// The most that the automatic gain may amplify: more shows more in the dark, with more noise.
    pub gain: Gain,
    /// Mean luminance, 0 to 255, below which the automatic exposure takes more light, and above which less.
    pub luminance: (u8, u8),
    /// How lamps flicker.
    pub mains: Mains,
    /// Pictures thrown away after set-up and after rest, while exposure and white balance settle.
    pub settle: u8,
    /// Registers written after the driver's own and before those of geometry and format, which they cannot change.
    pub tuning: &'static [Tuning],
}

impl Settings {
    /// QVGA in colour, as it comes.
    pub const fn new(module: Module) -> Self {
        Settings {
            module,
            resolution: Resolution::Qvga,
            format: PixelFormat::Rgb565,
            mirrored: false,
            flipped: false,
            gain: Gain::X8,
            luminance: (0x38, 0x40),
            mains: Mains::Hz50,
            settle: 4,
            tuning: &[],
        }
    }

    /// The geometry of a picture.
    pub const fn geometry(&self) -> Geometry {
        let (width, height) = self.resolution.size();
        Geometry { format: self.format, width, height }
    }

    /// The geometry of a picture on the bus.
    pub(super) const fn sent(&self) -> Geometry {
        Geometry { format: PixelFormat::Rgb565, ..self.geometry() }
    }
}
