//! When two boxes are one face.

use super::Face;

/// Intersection over union of two boxes, 0..=1; 0 when one of them has no area.
pub fn overlap(a: &Face, b: &Face) -> f32 {
    let wide = (a.x + a.width).min(b.x + b.width) - a.x.max(b.x);
    let high = (a.y + a.height).min(b.y + b.height) - a.y.max(b.y);
    if wide <= 0.0 || high <= 0.0 {
        return 0.0;
    }
    let shared = wide * high;
    shared / (a.width * a.height + b.width * b.height - shared)
}

#[cfg(test)]
mod tests {
    use nalgebra::Point2;

    use super::*;

    #[test]
    fn overlaps_by_hand() {
        let square = |x: f32| Face {
            x,
            y: 5.0,
            width: 10.0,
            height: 10.0,
            landmarks: [Point2::new(0.0, 0.0); 5],
            score: 1.0,
        };
        assert_eq!(overlap(&square(0.0), &square(0.0)), 1.0);
        assert!((overlap(&square(0.0), &square(5.0)) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(overlap(&square(0.0), &square(10.0)), 0.0);
        let flat = Face { width: 0.0, ..square(0.0) };
        assert_eq!(overlap(&flat, &flat), 0.0);
    }
}
