//! A detector's output maps to faces with five landmarks.
//!
//! In: what a YuNet-style detector (anchor-free, strides 8, 16 and 32, Wu et al. 2023) computed from a picture: for each cell
//! of each map a class score, an objectness, a box and five points. Out: the faces, best first, overlapping ones
//! suppressed, in a [`heapless::Vec`] of the caller's capacity. Damaged maps are errors or ignored cells, never a panic.
//! Before and behind the detector, [`look`](look()) makes its picture of a frame of any size and finds the faces' places in the frame.

mod decode;
mod look;
mod suppress;

pub use decode::{DetectError, Map, STRIDES, Values, decode};
pub use look::{LookError, View, look};
pub use suppress::overlap;

use nalgebra::Point2;

use crate::frame::Landmarks;

/// Faces that a device tells apart in one picture, at most: the surest ones.
pub const MOST_FACES: usize = 32;

/// A face in a picture. Pixels; pixel centres are whole numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// Left edge of the box.
    pub x: f32,
    /// Upper edge of the box.
    pub y: f32,
    /// Width of the box.
    pub width: f32,
    /// Height of the box.
    pub height: f32,
    /// The five points.
    pub landmarks: Landmarks,
    /// How sure the detector is, 0..=1.
    pub score: f32,
}

impl Face {
    /// The face in a picture that has so many times the columns and rows of the one in which it lies.
    pub fn scaled(&self, [sx, sy]: [f32; 2]) -> Self {
        // Pixel centres are whole numbers: the left edge is at -1/2 in both.
        let (x_of, y_of) = (|x: f32| (x + 0.5) * sx - 0.5, |y: f32| (y + 0.5) * sy - 0.5);
        Face {
            x: x_of(self.x),
            y: y_of(self.y),
            width: self.width * sx,
            height: self.height * sy,
            landmarks: self.landmarks.map(|p| Point2::new(x_of(p.x), y_of(p.y))),
            score: self.score,
        }
    }

    /// The index of the face that a picture is about: the one with the largest box, which is nearest to the camera; of equally large
    /// ones the one whose box's centre is nearest to the picture's. `None` when there is none.
    pub fn main(faces: &[Face], width: u16, height: u16) -> Option<usize> {
        let weight = |f: &Face| {
            let dx = f.x + f.width * 0.5 - width as f32 * 0.5;
            let dy = f.y + f.height * 0.5 - height as f32 * 0.5;
            [f.width * f.height, -(dx * dx + dy * dy)]
        };
        let mut best: Option<(usize, [f32; 2])> = None;
        for (i, face) in faces.iter().enumerate() {
            let weight = weight(face);
            if best.is_none_or(|(_, most)| weight > most) {
                best = Some((i, weight));
            }
        }
        best.map(|(i, _)| i)
    }
}

/// What counts as a face, and when two boxes are one face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The least score, 0..=1.
    pub least_score: f32,
    /// Boxes whose intersection over union exceeds this are one face.
    pub most_overlap: f32,
}

impl Default for Settings {
    /// Score 0.6 and overlap 0.3, the detector's published defaults.
    fn default() -> Self {
        Settings { least_score: 0.6, most_overlap: 0.3 }
    }
}

#[cfg(test)]
mod tests {
    use nalgebra::Point2;

    use super::*;

    fn face(x: f32, y: f32, side: f32) -> Face {
        Face { x, y, width: side, height: side, landmarks: [Point2::new(x, y); 5], score: 0.9 }
    }

    #[test]
    fn the_largest_face_is_meant_and_of_equals_the_one_in_the_middle() {
        let faces =
            [face(40.0, 40.0, 30.0), face(0.0, 0.0, 31.0), face(45.0, 45.0, 8.0), face(30.0, 0.0, 31.0)];
        assert_eq!(Face::main(&faces, 100, 100), Some(3));
        assert_eq!(Face::main(&faces[..3], 100, 100), Some(1));
        assert_eq!(Face::main(&faces[..1], 100, 100), Some(0));
        assert_eq!(Face::main(&[], 100, 100), None);
    }
}
