//! Cameras: a picture comes row by row, and nobody waits for it.
//!
//! A driver implements [`Camera`]; a device polls it between its other work. [`Grabber`] puts whole pictures together in memory of
//! its own, gives up what takes too long, and begins again after errors. [`arducam`] is a driver for the ArduCAM Mini modules,
//! `v4l2` (feature of that name) for the cameras of Linux boards, whose pixels [`yuyv`] reads.

pub mod arducam;
mod fault;
mod grabber;
#[cfg(all(feature = "v4l2", target_os = "linux"))]
pub mod v4l2;
pub mod yuyv;

pub use fault::CameraFault;
pub use grabber::{Failure, Grabber, Patience};

use crate::frame::PixelFormat;

/// How a picture's rows lie in memory, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Geometry {
    /// How the pixels lie.
    pub format: PixelFormat,
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

impl Geometry {
    /// Bytes of a row.
    pub const fn row_bytes(self) -> usize {
        self.width as usize * self.format.bytes_per_pixel()
    }

    /// Bytes of the picture.
    pub const fn bytes(self) -> usize {
        self.row_bytes() * self.height as usize
    }
}

/// A source of pictures. No call waits for a picture; a call may take as long as the bus traffic for one row, and [`start`] as
/// long as the camera's set-up.
///
/// An error ends the picture at hand. The next [`start`] sets the camera up again from the beginning, so that a camera which was
/// unplugged works again when it is back. How long a picture may take is for the caller to say: `start` while one is
/// still awaited gives it up, with the same set-up from the beginning.
///
/// [`start`]: Camera::start
pub trait Camera {
    /// Why it failed.
    type Error;

    /// Begins a picture, which shows what is before the camera after this call. Rows of an earlier one that were not fetched are lost.
    ///
    /// # Errors
    /// When the camera cannot be set up or told to begin.
    fn start(&mut self) -> Result<(), Self::Error>;

    /// The picture's geometry once it can be fetched; `None` until then, and when none was begun.
    ///
    /// # Errors
    /// When the camera failed, or took something other than the picture it was to take.
    fn poll(&mut self) -> Result<Option<Geometry>, Self::Error>;

    /// Fetches the next row, from top to bottom, into all of `out`. The rows are one picture only when this succeeded for the last
    /// one: that is when a driver finds out that its camera was away meanwhile.
    ///
    /// # Errors
    /// When the camera failed, no picture is ready, all its rows were fetched, or `out` is not [`Geometry::row_bytes`] long.
    fn row(&mut self, out: &mut [u8]) -> Result<(), Self::Error>;

    /// Takes as little power as it can until the next [`Camera::start`]. The picture at hand is lost.
    ///
    /// # Errors
    /// When the camera cannot be told.
    fn rest(&mut self) -> Result<(), Self::Error>;
}
