//! A frame of any size to a detector's picture, and the faces found there back to the frame.
//!
//! A frame that is larger than the detector's picture is scaled down by area means ([`means`](crate::frame::means)) until it fits,
//! with its shape; one that is smaller is taken as it is. It lies in the picture's upper left, and the rest is black. Where no face is
//! found, a second look shows the frame at half the size: a face that fills the picture is beyond what the largest cells can hold.

use super::{DetectError, Face};
use crate::align::scaled;
use crate::frame::Frame;
use crate::model::{ChannelOrder, ModelInfo};

/// Why a detector looked at nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LookError {
    /// The engine has no detector.
    NoDetector,
    /// The picture is not `height * width * channels` bytes.
    PictureLength {
        /// Bytes of a picture for this model.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The plan's bytes changed since it was validated.
    Changed,
    /// The runtime below the engine failed (tract only).
    Runtime,
    /// The maps are not those of the picture, which validation excludes.
    Maps(DetectError),
}

impl core::fmt::Display for LookError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            LookError::NoDetector => write!(f, "there is no detector"),
            LookError::PictureLength { expected, found } => {
                write!(f, "the detector takes pictures of {expected} bytes, {found} were given")
            }
            LookError::Changed => write!(f, "the detector's plan has changed since it was read"),
            LookError::Runtime => write!(f, "the runtime failed to run the detector"),
            LookError::Maps(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LookError {}

/// How large a frame is shown in a detector's picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Columns and rows of the frame.
    frame: [u16; 2],
    /// Columns and rows of the picture.
    room: [u16; 2],
    /// Columns and rows that the frame takes in it.
    shown: [u16; 2],
}

impl View {
    /// The frame as large as it fits into a picture of `room` columns and rows, but no larger than it is.
    pub fn fitting(frame: [u16; 2], room: [u16; 2]) -> Self {
        let ([width, height], [wide, high]) = (frame.map(u32::from), room.map(u32::from));
        // The other side in proportion, rounded to the nearest. No product reaches 2^32.
        let part = |side: u32, most: u32, of: u32| ((side * most + of / 2) / of.max(1)).max(1) as u16;
        let shown = if width <= wide && height <= high {
            frame
        } else if width * high >= height * wide {
            [room[0], part(height, wide, width).min(room[1])]
        } else {
            [part(width, high, height).min(room[0]), room[1]]
        };
        View { frame, room, shown }
    }

    /// The same at half the size.
    pub fn halved(self) -> Self {
        View { shown: self.shown.map(|side| (side / 2).max(1)), ..self }
    }

    /// Columns and rows that the frame takes in the picture.
    pub fn shown(&self) -> [u16; 2] {
        self.shown
    }

    /// Draws the frame into `picture`: interleaved R, G, B, or one luma byte a pixel for a grey detector.
    ///
    /// # Errors
    /// When `picture` has another length than its columns and rows ask for.
    pub fn draw(&self, frame: &Frame<'_>, order: ChannelOrder, picture: &mut [u8]) -> Result<(), LookError> {
        let [width, height] = self.room;
        let (expected, found) = (usize::from(width) * usize::from(height) * order.channels(), picture.len());
        if found != expected {
            return Err(LookError::PictureLength { expected, found });
        }
        picture.fill(0);
        scaled(frame, self.shown, order, width, picture);
        Ok(())
    }

    /// A face of the picture where it lies in the frame.
    pub fn in_frame(&self, face: &Face) -> Face {
        if self.frame == self.shown {
            return *face;
        }
        let ([width, height], [columns, rows]) = (self.frame.map(f32::from), self.shown.map(f32::from));
        face.scaled([width / columns, height / rows])
    }
}

/// The faces of a frame in its own pixels, the surest first. `find` is the detector of `info`; `picture` is the memory for what it is
/// shown, [`ModelInfo::crop_bytes`] long.
///
/// # Errors
/// When `picture` has another length, or those of `find`.
pub fn look<const N: usize>(
    frame: &Frame<'_>,
    info: &ModelInfo,
    picture: &mut [u8],
    mut find: impl FnMut(&[u8]) -> Result<heapless::Vec<Face, N>, LookError>,
) -> Result<heapless::Vec<Face, N>, LookError> {
    let whole = View::fitting([frame.width(), frame.height()], [info.width, info.height]);
    for view in [whole, whole.halved()] {
        view.draw(frame, info.order, picture)?;
        let mut faces = find(picture)?;
        if !faces.is_empty() {
            faces.iter_mut().for_each(|face| *face = view.in_frame(face));
            return Ok(faces);
        }
    }
    Ok(heapless::Vec::new())
}

#[cfg(test)]
mod tests {
    use nalgebra::Point2;

    use super::*;
    use crate::frame::PixelFormat;

    fn info(width: u16, height: u16) -> ModelInfo {
        ModelInfo {
            width,
            height,
            order: ChannelOrder::Rgb,
            template: None,
            dimension: 0,
            embedding_id: [0; 32],
        }
    }

    fn face(x: f32, side: f32) -> Face {
        let landmarks = core::array::from_fn(|i| Point2::new(x + i as f32, x));
        Face { x, y: x, width: side, height: side, landmarks, score: 0.9 }
    }

    #[test]
    fn frames_are_scaled_down_until_they_fit_and_never_up() {
        let shown = |frame| View::fitting(frame, [64, 32]).shown();
        assert_eq!(shown([64, 32]), [64, 32]);
        assert_eq!(shown([10, 20]), [10, 20]);
        assert_eq!(shown([128, 20]), [64, 10]);
        assert_eq!(shown([65, 20]), [64, 20], "19.7");
        assert_eq!(shown([20, 64]), [10, 32]);
        assert_eq!(shown([640, 480]), [43, 32], "42.7");
        assert_eq!(shown([u16::MAX, 1]), [64, 1]);
        assert_eq!(shown([1, u16::MAX]), [1, 32]);
        assert_eq!(shown([u16::MAX; 2]), [32, 32]);
        assert_eq!(View::fitting([1, 7], [64, 32]).halved().shown(), [1, 3]);
        let all = [1, 2, 3, 31, 32, 33, 63, 64, 65, 100, 641, 65_535];
        for frame in all.iter().flat_map(|&w| all.map(|h| [w, h])) {
            let [w, h] = shown(frame);
            assert!((1..=64).contains(&w) && (1..=32).contains(&h), "{frame:?}: {w}x{h}");
            assert!(w <= frame[0] && h <= frame[1], "{frame:?}: {w}x{h}");
        }
    }

    #[test]
    fn the_rest_of_the_picture_is_black() {
        let data: Vec<u8> = (1..=12).collect();
        let frame = Frame::new(PixelFormat::Grey8, 4, 3, &data).unwrap();
        let mut picture = [7; 5 * 4 * 3];
        let view = View::fitting([4, 3], [5, 4]);
        view.draw(&frame, ChannelOrder::Rgb, &mut picture).unwrap();
        let seen: Vec<u8> = picture.chunks(3).map(|p| p[0]).collect();
        assert_eq!(seen, [1, 2, 3, 4, 0, 5, 6, 7, 8, 0, 9, 10, 11, 12, 0, 0, 0, 0, 0, 0]);
        view.halved().draw(&frame, ChannelOrder::Rgb, &mut picture).unwrap();
        // Two by one: the means of 1 2 5 6 9 10 and 3 4 7 8 11 12, rounded up from the halves.
        assert_eq!(picture[..9], [6, 6, 6, 8, 8, 8, 0, 0, 0]);
        assert!(picture[9..].iter().all(|&v| v == 0));
        let wrong = view.draw(&frame, ChannelOrder::Rgb, &mut [0; 59]);
        assert_eq!(wrong, Err(LookError::PictureLength { expected: 60, found: 59 }));
    }

    #[test]
    fn faces_come_back_in_the_frames_pixels() {
        let data = [9; 64 * 64];
        let mut picture = vec![0; 32 * 32 * 3];
        let mut seen = 0;
        let mut looked = |size: u16, first: bool| {
            let frame =
                Frame::new(PixelFormat::Grey8, size, size, &data[..size as usize * size as usize]).unwrap();
            seen = 0;
            look::<4>(&frame, &info(32, 32), &mut picture, |_| {
                seen += 1;
                let found = first || seen == 2;
                Ok(found.then(|| face(7.5, 8.0)).into_iter().collect())
            })
            .unwrap()
        };
        assert_eq!(looked(32, true)[..], [face(7.5, 8.0)], "the same pixels");
        // Half the size: (7.5 + .5) * 2 - .5.
        let twice = looked(64, true)[0];
        assert_eq!([twice.x, twice.y, twice.width, twice.landmarks[0].x], [15.5, 15.5, 16.0, 15.5]);
        assert_eq!(twice.landmarks[1].x, 17.5);
        let second = looked(64, false)[0];
        assert_eq!([second.x, second.width], [31.5, 32.0]);
        assert_eq!(seen, 2);
    }
}
