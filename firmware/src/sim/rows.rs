//! Stored pictures as a camera gives them: row by row.

use std::fmt;

use super::StoredCamera;
use crate::camera::{Camera, Geometry};
use crate::frame::Landmarks;

/// Why a stored picture could not be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredError {
    /// Its data is not as long as its geometry asks for.
    Length {
        /// Bytes of the picture.
        needed: usize,
        /// Bytes of its data.
        found: usize,
    },
    /// The buffer for a row is not as long as a row.
    RowLength {
        /// Bytes of a row.
        needed: usize,
        /// Bytes of the buffer.
        found: usize,
    },
    /// No picture was begun, there is none left, or all its rows were fetched.
    NoPicture,
}

impl fmt::Display for StoredError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoredError::Length { needed, found } => {
                write!(f, "the stored picture's geometry asks for {needed} bytes, it has {found}")
            }
            StoredError::RowLength { needed, found } => {
                write!(f, "a row takes {needed} bytes, the buffer has {found}")
            }
            StoredError::NoPicture => f.write_str("no stored picture is ready to be fetched"),
        }
    }
}

impl std::error::Error for StoredError {}

impl StoredCamera {
    /// The landmarks of the picture that is being fetched or was fetched last, where somebody found them.
    pub fn landmarks(&self) -> Option<Landmarks> {
        self.shown.as_ref()?.landmarks
    }

    fn geometry(&self) -> Option<Geometry> {
        let shot = self.shown.as_ref().filter(|shot| self.row < shot.height)?;
        Some(Geometry { format: shot.format, width: shot.width, height: shot.height })
    }
}

impl Camera for StoredCamera {
    type Error = StoredError;

    fn start(&mut self) -> Result<(), StoredError> {
        (self.shown, self.row) = (self.shots.pop_front(), 0);
        Ok(())
    }

    /// Ready at once; never, once all pictures were shown.
    fn poll(&mut self) -> Result<Option<Geometry>, StoredError> {
        let Some((geometry, shot)) = self.geometry().zip(self.shown.as_ref()) else { return Ok(None) };
        let (needed, found) = (geometry.bytes(), shot.data.len());
        if needed != found {
            self.shown = None;
            return Err(StoredError::Length { needed, found });
        }
        Ok(Some(geometry))
    }

    fn row(&mut self, out: &mut [u8]) -> Result<(), StoredError> {
        let needed = self.poll()?.ok_or(StoredError::NoPicture)?.row_bytes();
        if needed != out.len() {
            return Err(StoredError::RowLength { needed, found: out.len() });
        }
        let rows = self.shown.iter().flat_map(|shot| shot.data.chunks_exact(needed.max(1)));
        for row in rows.skip(self.row.into()).take(1) {
            out.copy_from_slice(row);
        }
        self.row += 1;
        Ok(())
    }

    fn rest(&mut self) -> Result<(), StoredError> {
        (self.shown, self.row) = (None, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::{Failure, Grabber, Patience};
    use crate::decide::time::Uptime;
    use crate::frame::PixelFormat;
    use crate::sim::StoredShot;
    use nalgebra::Point2;

    fn shot(width: u16, height: u16, first: u8) -> StoredShot {
        let bytes = usize::from(width) * usize::from(height) * 3;
        let landmarks = Some([Point2::new(f32::from(first), 0.0); 5]);
        let data = (0..bytes).map(|at| first.wrapping_add(at as u8)).collect();
        StoredShot { format: PixelFormat::Rgb8, width, height, data, landmarks }
    }

    #[test]
    fn each_picture_comes_once_and_whole() {
        let shots = [shot(4, 3, 1), shot(2, 5, 2)];
        let patience = Patience { picture_ms: 50, rows: 2, ..Patience::default() };
        let mut grabber = Grabber::new(StoredCamera::new(shots.clone()), [0; 36], patience);
        let mut now = 0;
        for expected in &shots {
            let data = loop {
                now += 1;
                if let Some(frame) = grabber.poll(Uptime(now)).unwrap() {
                    assert_eq!((frame.width(), frame.height()), (expected.width, expected.height));
                    break frame.data().to_vec();
                }
            };
            assert_eq!(data, expected.data);
        }
        let none = (0..100).find_map(|at| grabber.poll(Uptime(now + at)).err());
        assert!(matches!(none, Some(Failure::Late { .. })));
    }

    #[test]
    fn what_cannot_be_given_is_said() {
        let mut wrong = shot(2, 2, 3);
        wrong.data.pop();
        let mut camera = StoredCamera::new([wrong, shot(2, 2, 4)]);
        let mut row = [0; 6];
        assert_eq!((camera.poll(), camera.row(&mut row)), (Ok(None), Err(StoredError::NoPicture)));
        camera.start().unwrap();
        assert_eq!(camera.poll(), Err(StoredError::Length { needed: 12, found: 11 }));
        camera.start().unwrap();
        assert_eq!(camera.landmarks(), shot(2, 2, 4).landmarks);
        assert_eq!(camera.row(&mut row[1..]), Err(StoredError::RowLength { needed: 6, found: 5 }));
        assert_eq!((camera.row(&mut row), row), (Ok(()), [4, 5, 6, 7, 8, 9]));
        assert_eq!((camera.row(&mut row), row), (Ok(()), [10, 11, 12, 13, 14, 15]));
        assert_eq!((camera.poll(), camera.row(&mut row)), (Ok(None), Err(StoredError::NoPicture)));
    }
}
