//! Angles between different people, and the threshold at a false-match rate.

use arcgate_firmware::embedding::{Angle, angle_from_products, dot, norm_squared};
use arcgate_firmware::engine::Threshold;
use rayon::prelude::*;

/// A false-match rate is only as good as the matches it rests on: fewer than this are refused.
pub const LEAST_MATCHES: f64 = 10.0;

/// How often each angle, in thousandths of a degree, occurred. Exact, whatever the number of pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AngleHistogram {
    counts: Vec<u64>,
    pairs: u64,
}

/// Why there is no threshold.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ThresholdError {
    /// Not a rate.
    #[error("a false-match rate of {0}\n  accepted: more than 0 and less than 1")]
    Rate(f64),
    /// Too few pairs for the rate.
    #[error(
        "a false-match rate of {rate} on {pairs} impostor pairs would rest on {expected:.1} false matches\n  \
         accepted: at least 10 expected, so a rate of {least:.2e} or more, or {needed} impostor pairs or more"
    )]
    TooFewPairs {
        /// The rate asked for.
        rate: f64,
        /// Impostor pairs measured.
        pairs: u64,
        /// Their product.
        expected: f64,
        /// The least rate that these pairs support.
        least: f64,
        /// The pairs that the rate needs.
        needed: u64,
    },
    /// So many impostors look alike that no angle keeps to the rate.
    #[error(
        "{matches} of {pairs} impostor pairs have an angle of 0: no threshold keeps the false-match rate {rate}\n  \
         accepted: a model whose embeddings differ, and a set whose identities are different people"
    )]
    Degenerate {
        /// Pairs at 0 degrees.
        matches: u64,
        /// Impostor pairs measured.
        pairs: u64,
        /// The rate asked for.
        rate: f64,
    },
}

impl Default for AngleHistogram {
    fn default() -> Self {
        AngleHistogram { counts: vec![0; Angle::MAX.millidegrees() as usize + 1], pairs: 0 }
    }
}

impl AngleHistogram {
    /// Counts one angle.
    pub fn add(&mut self, angle: Angle) {
        self.counts[angle.millidegrees() as usize] += 1;
        self.pairs += 1;
    }

    /// Angles counted.
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// The largest angle at or below which lie at most `rate` of the angles, and the rate and pairs as measured.
    ///
    /// # Errors
    /// When the rate is none, [`LEAST_MATCHES`] cannot be expected of so few pairs, or no angle keeps the rate.
    pub fn threshold(&self, rate: f64) -> Result<Threshold, ThresholdError> {
        if !(rate > 0.0 && rate < 1.0) {
            return Err(ThresholdError::Rate(rate));
        }
        let (pairs, expected) = (self.pairs, rate * self.pairs as f64);
        // A rate like 0.001 is not exact in binary: 0.001 x 10,000 must be 10.
        if expected + 1e-9 < LEAST_MATCHES {
            let least = LEAST_MATCHES / pairs.max(1) as f64;
            let needed = (LEAST_MATCHES / rate - 1e-6).ceil() as u64;
            return Err(ThresholdError::TooFewPairs { rate, pairs, expected, least, needed });
        }
        let most = (expected + 1e-9).floor() as u64;
        let (mut matches, mut angle) = (0, None);
        for (millidegrees, count) in self.counts.iter().enumerate() {
            if matches + count > most {
                break;
            }
            matches += count;
            angle = Some(Angle::from_millidegrees(millidegrees as u32));
        }
        match angle {
            Some(angle) => Ok(Threshold {
                angle,
                false_match_rate: (matches as f64 / pairs as f64) as f32,
                impostor_pairs: pairs,
            }),
            None => Err(ThresholdError::Degenerate { matches: self.counts[0], pairs, rate }),
        }
    }

    fn merge(mut self, other: Self) -> Self {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.pairs += other.pairs;
        self
    }

    /// Counts every pair of embeddings of different identities, in parallel. `done` is called with the number of pairs
    /// counted since it was last called.
    pub fn of_impostors(embeddings: &[(usize, Vec<i8>)], done: impl Fn(u64) + Sync) -> Self {
        let norms: Vec<i32> = embeddings.iter().map(|(_, e)| norm_squared(e)).collect();
        let row = |mut histogram: Self, i: usize| {
            let (identity, a) = &embeddings[i];
            let before = histogram.pairs;
            for (j, (other, b)) in embeddings.iter().enumerate().skip(i + 1) {
                if other != identity {
                    histogram.add(angle_from_products(dot(a, b), norms[i], norms[j]));
                }
            }
            done(histogram.pairs - before);
            histogram
        };
        let rows = (0..embeddings.len()).into_par_iter();
        rows.fold(Self::default, row).reduce(Self::default, Self::merge)
    }
}

impl Extend<Angle> for AngleHistogram {
    fn extend<T: IntoIterator<Item = Angle>>(&mut self, angles: T) {
        angles.into_iter().for_each(|angle| self.add(angle));
    }
}

/// The threshold at a false-match rate from impostor angles at hand: [`AngleHistogram::threshold`].
///
/// # Errors
/// Those of [`AngleHistogram::threshold`].
pub fn threshold_at(
    false_match_rate: f64,
    impostors: impl IntoIterator<Item = Angle>,
) -> Result<Threshold, ThresholdError> {
    let mut histogram = AngleHistogram::default();
    histogram.extend(impostors);
    histogram.threshold(false_match_rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_by_hand() {
        // 1,000 angles at 40.000, 40.001, ... degrees: ten of them at or below 40.009.
        let angles = |n: u32| (0..n).map(|i| Angle::from_millidegrees(40_000 + i));
        let found = threshold_at(0.01, angles(1000)).unwrap();
        assert_eq!(found.angle.millidegrees(), 40_009);
        assert_eq!((found.false_match_rate, found.impostor_pairs), (0.01, 1000));
    }

    #[test]
    fn equal_angles_stay_out_together() {
        let mut angles = vec![Angle::from_millidegrees(50_000); 20];
        angles.extend(vec![Angle::from_millidegrees(90_000); 980]);
        let found = threshold_at(0.01, angles.clone()).unwrap();
        assert_eq!((found.angle.millidegrees(), found.false_match_rate), (49_999, 0.0));
        let found = threshold_at(0.02, angles).unwrap();
        assert_eq!((found.angle.millidegrees(), found.false_match_rate), (89_999, 0.02));
    }

    #[test]
    fn rates_that_the_pairs_cannot_support_are_refused() {
        let angles = || vec![Angle::from_millidegrees(80_000); 5000];
        let error = threshold_at(0.001, angles()).unwrap_err().to_string();
        assert!(error.contains("on 5000 impostor pairs would rest on 5.0 false matches"), "{error}");
        assert!(error.contains("2.00e-3 or more, or 10000 impostor pairs"), "{error}");
        assert!(threshold_at(0.002, angles()).is_ok());
        for rate in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(matches!(threshold_at(rate, angles()), Err(ThresholdError::Rate(_))), "{rate}");
        }
        assert!(threshold_at(0.5, []).is_err());
        let zero = vec![Angle::from_millidegrees(0); 100];
        assert!(matches!(threshold_at(0.1, zero), Err(ThresholdError::Degenerate { matches: 100, .. })));
    }

    #[test]
    fn only_different_identities_are_impostors() {
        let embeddings = [(0, vec![100, 0]), (0, vec![100, 1]), (1, vec![0, 100]), (2, vec![-100, 0])];
        let histogram = AngleHistogram::of_impostors(&embeddings, |_| ());
        assert_eq!(histogram.pairs(), 5);
        assert_eq!(histogram.counts[180_000], 1);
        assert_eq!(histogram.counts[90_000], 2);
    }
}
