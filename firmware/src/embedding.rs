//! Unit vectors in int8: dot product, norm, angle, and which of two templates is more alike.

use serde::{Deserialize, Serialize};

pub use crate::kernels::dot::{MAX_DIMENSION, dot};

/// The angle between two embeddings, in thousandths of a degree, `0..=180_000`. Smaller is more alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Angle(u32);

impl Angle {
    /// Opposite vectors; also what a zero vector has to any other, so that it matches nobody.
    pub const MAX: Angle = Angle(180_000);

    /// An angle of `millidegrees`, at most 180 degrees.
    pub const fn from_millidegrees(millidegrees: u32) -> Self {
        if millidegrees > Self::MAX.0 { Self::MAX } else { Angle(millidegrees) }
    }

    /// The angle whose cosine is `cosine`, clamped into -1..=1, rounded to the nearest thousandth of a degree.
    ///
    /// `libm` computes it in software on every machine, so the result is the same everywhere.
    /// What is no number is [`Angle::MAX`]: it is like nobody.
    pub fn from_cosine(cosine: f64) -> Self {
        if cosine.is_nan() {
            return Self::MAX;
        }
        let degrees = libm::acos(cosine.clamp(-1.0, 1.0)) * (180_000.0 / core::f64::consts::PI);
        Self::from_millidegrees(libm::round(degrees) as u32)
    }

    /// Thousandths of a degree.
    pub const fn millidegrees(self) -> u32 {
        self.0
    }

    /// Degrees, for people.
    pub fn degrees(self) -> f32 {
        self.0 as f32 / 1000.0
    }
}

impl core::fmt::Display for Angle {
    /// Degrees with one decimal unless a precision is asked for.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:.*}", f.precision().unwrap_or(1), self.degrees())
    }
}

/// The squared Euclidean norm.
pub fn norm_squared(a: &[i8]) -> i32 {
    dot(a, a)
}

/// The angle between two embeddings of equal length; [`Angle::MAX`] if one of them is zero.
pub fn angle(a: &[i8], b: &[i8]) -> Angle {
    angle_from_products(dot(a, b), norm_squared(a), norm_squared(b))
}

/// The angle from a dot product and two squared norms, for a search that keeps the norms.
pub fn angle_from_products(dot: i32, norm_squared_a: i32, norm_squared_b: i32) -> Angle {
    if norm_squared_a == 0 || norm_squared_b == 0 {
        return Angle::MAX;
    }
    Angle::from_cosine(dot as f64 / libm::sqrt(norm_squared_a as f64 * norm_squared_b as f64))
}

/// How alike a template is to a probe, comparable without a square root: `sign(dot) dot^2 / norm^2`, as a fraction.
#[derive(Debug, Clone, Copy)]
pub struct Likeness {
    /// The dot product of probe and template.
    pub dot: i32,
    /// The squared norm of the template, not 0.
    pub norm_squared: i32,
}

impl Likeness {
    /// Whether this template is nearer to the probe than `other`. Exact: no rounding makes two templates equal.
    pub fn exceeds(self, other: Likeness) -> bool {
        let (mine, its) = (self.dot.signum(), other.dot.signum());
        if mine != its {
            return mine > its;
        }
        let (mine, its) = (scaled(self.dot, other.norm_squared), scaled(other.dot, self.norm_squared));
        if self.dot < 0 { mine < its } else { mine > its }
    }
}

/// `dot^2 norm`, its high and its low bits: cheaper than a product of 128 bits where registers have 32.
fn scaled(dot: i32, norm: i32) -> (u64, u32) {
    let (dot, norm) = (dot.unsigned_abs() as u64, norm.unsigned_abs() as u64);
    let square = dot * dot;
    let low = (square & u32::MAX as u64) * norm;
    ((square >> 32) * norm + (low >> 32), low as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn likeness_orders_as_angles_do() {
        let l = |dot, norm_squared| Likeness { dot, norm_squared };
        // Cosines 3/5, 1/2 and -3/5 to a probe of length 1.
        assert!(l(3, 25).exceeds(l(1, 4)) && !l(1, 4).exceeds(l(3, 25)));
        assert!(l(0, 4).exceeds(l(-3, 25)) && l(-3, 25).exceeds(l(-2, 4)));
        assert!(!l(3, 25).exceeds(l(6, 100)) && !l(6, 100).exceeds(l(3, 25)));
    }

    proptest! {
        #[test]
        fn likeness_is_the_exact_fraction(dots in any::<[i16; 2]>(), large in any::<[i32; 2]>(), norms in any::<[i32; 2]>()) {
            let norms = norms.map(|n| n.saturating_abs().max(1));
            for dots in [large, dots.map(i32::from), [i32::from(dots[0]); 2]] {
                let [a, b] = [0, 1].map(|i| Likeness { dot: dots[i], norm_squared: norms[i] });
                let square = |l: Likeness| i128::from(l.dot) * i128::from(l.dot).abs();
                let exact = square(a) * i128::from(norms[1]) > square(b) * i128::from(norms[0]);
                prop_assert_eq!(a.exceeds(b), exact, "{:?} {:?}", a, b);
            }
        }
    }

    #[test]
    fn angles_of_known_vectors() {
        assert_eq!(angle(&[100, 0], &[50, 0]).millidegrees(), 0);
        assert_eq!(angle(&[100, 0], &[0, -3]).millidegrees(), 90_000);
        assert_eq!(angle(&[7, 7], &[0, 127]).millidegrees(), 45_000);
        assert_eq!(angle(&[7, -7], &[-7, 7]), Angle::MAX);
    }

    #[test]
    fn a_zero_vector_matches_nobody() {
        assert_eq!(angle(&[0, 0], &[1, 2]), Angle::MAX);
        assert_eq!(angle(&[0, 0], &[0, 0]), Angle::MAX);
        assert_eq!(Angle::from_cosine(f64::NAN), Angle::MAX);
    }

    #[test]
    fn shown_in_degrees() {
        assert_eq!(format!("{}", Angle::from_millidegrees(31_449)), "31.4");
        assert_eq!(format!("{:.3}", Angle::from_millidegrees(31_449)), "31.449");
    }
}
