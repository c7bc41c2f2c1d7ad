//! Cameras: a picture comes row by row, and nobody waits for it.
//!
//! A driver implements [`Camera`]; a device polls it between its other work. [`Grabber`] puts whole pictures together in memory of
//! its own, halves those that are larger, gives up what takes too long, and begins again after errors. [`arducam`] is a driver for the
//! ArduCAM Mini modules, `v4l2` (feature of that name) for the cameras of Linux boards, whose pixels [`yuyv`] reads.

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

/// How far a picture is fetched: the pixel that comes next. For drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Place {
    /// Its row; the number of rows behind the last pixel.
    pub row: u16,
    /// Its column.
    pub column: u16,
}

impl Place {
    /// Bytes from here to the end of the row, of a picture of this geometry.
    pub const fn left(self, geometry: Geometry) -> usize {
        geometry.width.saturating_sub(self.column) as usize * geometry.format.bytes_per_pixel()
    }

    /// Behind so many bytes, if these are pixels up to the end of the row at most.
    pub fn behind(self, bytes: usize, geometry: Geometry) -> Option<Place> {
        let (size, left) = (geometry.format.bytes_per_pixel(), self.left(geometry));
        let taken = bytes > 0 && bytes <= left && bytes.is_multiple_of(size) && self.row < geometry.height;
        let column = self.column.saturating_add((bytes / size) as u16);
        let next = Place { row: self.row.saturating_add(1), column: 0 };
        taken.then_some(if bytes == left { next } else { Place { column, ..self } })
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

    /// Fetches the next pixels, row by row from the top, into all of `out`: a whole row, or an even number of pixels and then the
    /// rest of the row. They are one picture only when this succeeded for the last of them: that is when a driver finds out that its
    /// camera was away meanwhile.
    ///
    /// # Errors
    /// When the camera failed, no picture is ready, all of it was fetched, or `out` has other bytes than those of pixels of one row.
    fn pixels(&mut self, out: &mut [u8]) -> Result<(), Self::Error>;

    /// Takes as little power as it can until the next [`Camera::start`]. The picture at hand is lost.
    ///
    /// # Errors
    /// When the camera cannot be told.
    fn rest(&mut self) -> Result<(), Self::Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_counted_to_the_end_of_a_row_and_of_the_picture() {
        let geometry = Geometry { format: PixelFormat::Rgb565, width: 5, height: 2 };
        let place = |row, column| Place { row, column };
        assert_eq!(place(0, 2).left(geometry), 6);
        for (at, bytes, behind) in [
            (place(0, 0), 10, Some(place(1, 0))),
            (place(0, 0), 4, Some(place(0, 2))),
            (place(1, 4), 2, Some(place(2, 0))),
            // Beyond the row, half a pixel, nothing, and behind the picture.
            (place(0, 2), 8, None),
            (place(0, 0), 3, None),
            (place(0, 0), 0, None),
            (place(2, 0), 2, None),
        ] {
            assert_eq!(at.behind(bytes, geometry), behind, "{bytes} bytes from {at:?}");
        }
    }
}
