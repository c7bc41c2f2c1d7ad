//! Two face detectors on the same pictures: which faces the second misses, and how far its landmarks lie from the first's.

use arcgate_firmware::detect::{Face, overlap};
use image::RgbImage;
use rayon::prelude::*;
use serde::Serialize;

use crate::photo::{Detector, PhotoError};

/// The least intersection over union of two boxes that are one face.
const SAME: f32 = 0.5;

/// What [`compare`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Pictures that both looked at.
    pub pictures: usize,
    /// Pictures in which the first saw a face; the one that the picture is about counts.
    pub faces: usize,
    /// Of these, faces that the second did not see.
    pub missed: usize,
    /// Pictures in which the second saw a face and the first none.
    pub added: usize,
    /// Distance of the second's landmarks from the first's, in pixels: the median over all points of all faces that both saw.
    pub median_pixels: Option<f32>,
    /// The 95th percentile.
    pub p95_pixels: Option<f32>,
}

impl std::fmt::Display for Comparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Comparison { pictures, faces, missed, added, .. } = self;
        write!(
            f,
            "{pictures} pictures: {faces} faces by the first, {missed} of them missed by the second, {added} more seen"
        )?;
        match (self.median_pixels, self.p95_pixels) {
            (Some(median), Some(p95)) => {
                write!(f, "; landmarks {median:.2} pixels apart (median), 95 % within {p95:.2}")
            }
            _ => Ok(()),
        }
    }
}

/// What one picture says.
enum Seen {
    /// The distances of the five landmarks.
    Both([f32; 5]),
    Missed,
    Added,
    Neither,
}

/// Looks at every picture with both. `done` is called once a picture, from many threads.
///
/// # Errors
/// When a detector does not run.
pub fn compare(
    first: &Detector,
    second: &Detector,
    pictures: &[RgbImage],
    done: impl Fn() + Sync,
) -> Result<Comparison, PhotoError> {
    let each = |picture: &RgbImage| {
        let (wanted, found) = (first.look(picture)?, second.look(picture)?);
        done();
        Ok(seen(&wanted, &found, picture.width() as u16, picture.height() as u16))
    };
    let seen: Vec<Seen> = pictures.par_iter().map(each).collect::<Result<_, PhotoError>>()?;
    Ok(count(&seen))
}

fn seen(wanted: &[Face], found: &[Face], width: u16, height: u16) -> Seen {
    let Some(meant) = Face::main(wanted, width, height).map(|at| &wanted[at]) else {
        return if found.is_empty() { Seen::Neither } else { Seen::Added };
    };
    let best = found.iter().max_by(|a, b| overlap(a, meant).total_cmp(&overlap(b, meant)));
    match best.filter(|face| overlap(face, meant) >= SAME) {
        Some(face) => Seen::Both(std::array::from_fn(|i| (face.landmarks[i] - meant.landmarks[i]).norm())),
        None => Seen::Missed,
    }
}

fn count(seen: &[Seen]) -> Comparison {
    let mut distances: Vec<f32> = Vec::new();
    let (mut missed, mut added) = (0, 0);
    for one in seen {
        match one {
            Seen::Both(points) => distances.extend(points),
            Seen::Missed => missed += 1,
            Seen::Added => added += 1,
            Seen::Neither => {}
        }
    }
    let faces = distances.len() / 5 + missed;
    distances.sort_by(f32::total_cmp);
    let quantile = |share: f64| distances.get((distances.len() as f64 * share) as usize).copied();
    let (median_pixels, p95_pixels) = (quantile(0.5), quantile(0.95));
    Comparison { pictures: seen.len(), faces, missed, added, median_pixels, p95_pixels }
}

#[cfg(test)]
mod tests {
    use nalgebra::Point2;

    use super::*;

    fn face(x: f32, side: f32, shift: f32) -> Face {
        let landmarks = std::array::from_fn(|i| Point2::new(x + i as f32 + shift, 9.0));
        Face { x, y: 0.0, width: side, height: side, landmarks, score: 0.9 }
    }

    #[test]
    fn the_face_that_is_meant_is_looked_for() {
        let wanted = [face(0.0, 40.0, 0.0), face(60.0, 10.0, 0.0)];
        // The small one alone is not the one that is meant.
        assert!(matches!(seen(&wanted, &[face(60.0, 10.0, 0.0)], 80, 40), Seen::Missed));
        let Seen::Both(apart) = seen(&wanted, &[face(60.0, 10.0, 0.0), face(1.0, 40.0, 2.0)], 80, 40) else {
            panic!("it is there");
        };
        assert_eq!(apart, [3.0; 5]);
        assert!(matches!(seen(&[], &wanted, 80, 40), Seen::Added));
        assert!(matches!(seen(&[], &[], 80, 40), Seen::Neither));
    }

    #[test]
    fn counts_and_quantiles() {
        let apart = |d: f32| Seen::Both([d; 5]);
        let seen = [apart(1.0), apart(2.0), apart(9.0), Seen::Missed, Seen::Added, Seen::Neither];
        let found = count(&seen);
        assert_eq!((found.pictures, found.faces, found.missed, found.added), (6, 4, 1, 1));
        assert_eq!((found.median_pixels, found.p95_pixels), (Some(2.0), Some(9.0)));
        assert_eq!(count(&[Seen::Missed]).median_pixels, None);
    }
}
