//! The least-squares similarity between five landmarks and a template, closed form, as a fixed-point map.
//!
//! With centred landmarks p and centred template points q, the similarity `q ~ [a -b; b a] p` of least squared error has
//! `a = P / S`, `b = Q / S` where `P = sum p.q`, `Q = sum p x q`, `S = sum |p|^2` (Horn 1987, or Umeyama 1991 in two
//! dimensions without reflections, where the singular values have this closed form). A warp needs its inverse, from
//! crop to frame: `[a b; -b a] / (a^2 + b^2)`, which is `[P Q; -Q P] * k` with `k = S / (P^2 + Q^2)`: one division.

use nalgebra::{Matrix2x3, Point2, Vector2};

use super::AlignError;
use crate::frame::Landmarks;

/// Fractional bits of [`Similarity::crop_to_frame`].
pub const FRACTION_BITS: u32 = 32;

/// Landmarks may lie outside the frame, but not farther than this from its origin, in pixels.
pub const MAX_COORDINATE: f32 = 131_072.0;

/// The least number of frame pixels that one crop pixel may span: below it the landmarks coincide, for all practical ends.
pub const MIN_SCALE: f32 = 1.0 / 64.0;

/// The greatest number of frame pixels that one crop pixel may span.
pub const MAX_SCALE: f32 = 1024.0;

/// Rotation, uniform scale and shift from crop pixels to frame pixels, in fixed point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Similarity {
    crop_to_frame: Matrix2x3<i64>,
}

impl Similarity {
    /// The map under which the frame's `landmarks` come closest (least squares, in crop pixels) to the crop's `template`.
    ///
    /// # Errors
    /// When a coordinate is not finite or too large, the points coincide, or their shape has nothing of the template's.
    pub fn from_landmarks(landmarks: &Landmarks, template: &Landmarks) -> Result<Self, AlignError> {
        check_coordinates(landmarks)?;
        check_coordinates(template)?;
        let (from, to) = (centroid(landmarks), centroid(template));
        let (mut inner, mut outer, mut square) = (0.0f64, 0.0f64, 0.0f64);
        for (landmark, goal) in landmarks.iter().zip(template) {
            let p = Vector2::new(landmark.x as f64 - from.x, landmark.y as f64 - from.y);
            let q = Vector2::new(goal.x as f64 - to.x, goal.y as f64 - to.y);
            inner += p.x * q.x + p.y * q.y;
            outer += p.x * q.y - p.y * q.x;
            square += p.x * p.x + p.y * p.y;
        }
        let common = inner * inner + outer * outer;
        let k = square / common;
        let (cos, sin) = (inner * k, outer * k);
        // |(cos, sin)| squared without another division: (P^2 + Q^2) k^2 = S k. A NaN fails both comparisons.
        let scale_squared = square * k;
        let least = MIN_SCALE as f64 * MIN_SCALE as f64;
        let most = MAX_SCALE as f64 * MAX_SCALE as f64;
        if !(scale_squared >= least && scale_squared <= most) {
            return Err(AlignError::Scale { scale: libm::sqrt(scale_squared) as f32 });
        }
        let shift = Vector2::new(from.x - (cos * to.x + sin * to.y), from.y - (cos * to.y - sin * to.x));
        let [c, s, x, y] = [cos, sin, shift.x, shift.y].map(fixed);
        Ok(Similarity { crop_to_frame: Matrix2x3::new(c, s, x, -s, c, y) })
    }

    /// A shift by whole pixels: crop pixel (0, 0) is frame pixel (`x`, `y`).
    pub fn shift(x: i32, y: i32) -> Self {
        let one = 1i64 << FRACTION_BITS;
        let (x, y) = ((x as i64) << FRACTION_BITS, (y as i64) << FRACTION_BITS);
        Similarity { crop_to_frame: Matrix2x3::new(one, 0, x, 0, one, y) }
    }

    /// From crop to frame, `[x'; y'] = M [x; y; 1]`, each entry in units of `2^-32` ([`FRACTION_BITS`]).
    pub fn crop_to_frame(&self) -> &Matrix2x3<i64> {
        &self.crop_to_frame
    }
}

/// Rounds to the nearest multiple of `2^-32`, halves away from zero. Exact: the product only moves the exponent.
fn fixed(value: f64) -> i64 {
    let scaled = value * (1u64 << FRACTION_BITS) as f64;
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i64
}

fn check_coordinates(points: &Landmarks) -> Result<(), AlignError> {
    for (i, p) in points.iter().enumerate() {
        let inside = |v: f32| (-MAX_COORDINATE..=MAX_COORDINATE).contains(&v);
        if !inside(p.x) || !inside(p.y) {
            return Err(AlignError::Coordinate { point: i as u8, x: p.x, y: p.y });
        }
    }
    Ok(())
}

/// The mean point; the factor 1/5 is a constant, so that the transform divides only once.
fn centroid(points: &Landmarks) -> Point2<f64> {
    let (mut x, mut y) = (0.0f64, 0.0f64);
    for p in points {
        x += p.x as f64;
        y += p.y as f64;
    }
    Point2::new(x * 0.2, y * 0.2)
}

#[cfg(test)]
mod tests {
    use nalgebra::{Matrix2, Point2, Vector2};
    use proptest::prelude::*;

    use super::*;

    const TEMPLATE: [[f32; 2]; 5] =
        [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]];

    fn template() -> Landmarks {
        TEMPLATE.map(Point2::from)
    }

    fn real(s: &Similarity) -> [f64; 6] {
        let m = s.crop_to_frame();
        [m.m11, m.m12, m.m13, m.m21, m.m22, m.m23].map(|v| v as f64 / (1u64 << FRACTION_BITS) as f64)
    }

    /// Umeyama's solution by nalgebra's SVD, inverted.
    fn by_svd(landmarks: &Landmarks, template: &Landmarks) -> [f64; 6] {
        let mean = |points: &Landmarks| {
            points.iter().fold(Vector2::zeros(), |s, p| s + p.coords.cast::<f64>()) / 5.0
        };
        let (from, to) = (mean(landmarks), mean(template));
        let mut covariance = Matrix2::<f64>::zeros();
        let mut variance = 0.0;
        for (p, q) in landmarks.iter().zip(template) {
            let (p, q) = (p.coords.cast::<f64>() - from, q.coords.cast::<f64>() - to);
            covariance += q * p.transpose() / 5.0;
            variance += p.norm_squared() / 5.0;
        }
        let svd = covariance.svd(true, true);
        let (u, v_t) = (svd.u.unwrap(), svd.v_t.unwrap());
        let sign = if u.determinant() * v_t.determinant() < 0.0 { -1.0 } else { 1.0 };
        let d = Matrix2::new(1.0, 0.0, 0.0, sign);
        let rotation = u * d * v_t;
        let scale = (svd.singular_values[0] + sign * svd.singular_values[1]) / variance;
        let inverse = rotation.transpose() / scale;
        let shift = from - inverse * to;
        [inverse.m11, inverse.m12, shift.x, inverse.m21, inverse.m22, shift.y]
    }

    #[test]
    fn the_template_itself_is_the_identity() {
        let found = real(&Similarity::from_landmarks(&template(), &template()).unwrap());
        for (found, expected) in found.iter().zip([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]) {
            assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
        }
    }

    #[test]
    fn known_shift_turn_and_scale() {
        // Twice as large, turned by a quarter (x, y) -> (-y, x), then moved by (300, 20).
        let seen = template().map(|p| Point2::new(-2.0 * p.y + 300.0, 2.0 * p.x + 20.0));
        let found = real(&Similarity::from_landmarks(&seen, &template()).unwrap());
        for (found, expected) in found.iter().zip([0.0, -2.0, 300.0, 2.0, 0.0, 20.0]) {
            assert!((found - expected).abs() < 1e-4, "{found} for {expected}");
        }
    }

    #[test]
    fn whole_numbers_give_whole_fixed_point() {
        let square = [[0.0, 0.0], [8.0, 0.0], [4.0, 4.0], [0.0, 8.0], [8.0, 8.0]].map(Point2::<f32>::from);
        let moved = square.map(|p| Point2::new(p.x + 3.0, p.y + 5.0));
        assert_eq!(Similarity::from_landmarks(&moved, &square).unwrap(), Similarity::shift(3, 5));
    }

    #[test]
    fn degenerate_points_are_errors() {
        let t = template();
        let one = [Point2::new(10.0, 20.0); 5];
        assert!(matches!(Similarity::from_landmarks(&one, &t), Err(AlignError::Scale { .. })));
        assert!(matches!(Similarity::from_landmarks(&t, &one), Err(AlignError::Scale { .. })));
        let near = t.map(|p| Point2::new(p.x * 1e-3, p.y * 1e-3));
        assert!(
            matches!(Similarity::from_landmarks(&near, &t), Err(AlignError::Scale { scale }) if scale < 1.0)
        );
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -200_000.0] {
            let mut points = t;
            points[3].y = bad;
            let error = Similarity::from_landmarks(&points, &t).unwrap_err();
            assert!(matches!(error, AlignError::Coordinate { point: 3, .. }), "{bad}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn equals_the_svd_solution(xs in prop::array::uniform10(0.0f32..1000.0)) {
            let points: Landmarks = core::array::from_fn(|i| Point2::new(xs[2 * i], xs[2 * i + 1]));
            match Similarity::from_landmarks(&points, &template()) {
                Ok(found) => {
                    let expected = by_svd(&points, &template());
                    // Near the bound the shape has little of the template's, and the inverse is ill-conditioned.
                    let scale = expected[0].hypot(expected[1]);
                    let tolerance = 1e-6 * (1.0 + scale * scale);
                    for (found, expected) in real(&found).iter().zip(expected) {
                        prop_assert!((found - expected).abs() <= tolerance, "{found} for {expected}");
                    }
                }
                Err(AlignError::Scale { .. }) => {}
                Err(other) => prop_assert!(false, "{other}"),
            }
        }

        #[test]
        fn any_bits_give_a_map_or_an_error(bits in prop::array::uniform10(any::<u32>())) {
            let f = |i: usize| f32::from_bits(bits[i]);
            let points: Landmarks = core::array::from_fn(|i| Point2::new(f(2 * i), f(2 * i + 1)));
            let _ = Similarity::from_landmarks(&points, &template());
            let _ = Similarity::from_landmarks(&template(), &points);
        }
    }
}
