//! The generalised Pareto distribution: what the largest of many values do beyond those that were seen.
//!
//! Excesses over a high threshold follow `P(X > x) = (1 + k x / s)^(-1/k)`, `exp(-x / s)` at k = 0 (Pickands 1975, Balkema and
//! de Haan 1974); k is the shape, below 0 where the tail has an end, and s the scale. Parameters are those of
//! probability-weighted moments (Hosking and Wallis 1987), which are steady on few excesses where maximum likelihood is not.

/// A generalised Pareto distribution of excesses from 0 up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pareto {
    /// Above 0: the tail is heavier than an exponential one; below 0: it ends at `-scale / shape`.
    pub shape: f64,
    /// In the unit of the excesses.
    pub scale: f64,
}

impl Pareto {
    /// The distribution of `excesses`, each with its weight; `None` when fewer than three have any, or all are 0. The shape is kept
    /// to -0.9..=0: what is measured here are angles down to 0, so that every tail has an end.
    pub fn fit(excesses: &[(f64, f64)]) -> Option<Self> {
        let mut sorted: Vec<(f64, f64)> = excesses.iter().copied().filter(|e| e.1 > 0.0).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = sorted.iter().map(|e| e.1).sum();
        if sorted.len() < 3 || total <= 0.0 {
            return None;
        }
        // b0 is the mean, b1 the mean of each value times the share of values above it, which for a value inside its own
        // weight is the middle of it.
        let (mut below, mut b0, mut b1) = (0.0, 0.0, 0.0);
        for (value, weight) in sorted {
            let above = 1.0 - (below + 0.5 * weight) / total;
            b0 += value * weight / total;
            b1 += value * above * weight / total;
            below += weight;
        }
        let bottom = b0 - 2.0 * b1;
        if !(b0 > 0.0 && bottom > 0.0) {
            return None;
        }
        let shape = (2.0 - b0 / bottom).clamp(-0.9, 0.0);
        // The scale that keeps the mean, s / (1 - k).
        Some(Pareto { shape, scale: b0 * (1.0 - shape) })
    }

    /// The excess above which lies the share `tail` of them, more than 0 and at most 1.
    pub fn quantile(&self, tail: f64) -> f64 {
        if self.shape.abs() < 1e-9 {
            return -self.scale * tail.ln();
        }
        self.scale / self.shape * (tail.powf(-self.shape) - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::dice::Dice;

    fn sample(pareto: Pareto, number: usize, seed: u64) -> Vec<(f64, f64)> {
        let mut dice = Dice::new(seed, 0, 0, 0);
        let mut draw = || pareto.quantile(f64::from(dice.between(0.0, 1.0)).max(1e-7));
        (0..number).map(|_| (draw(), 1.0)).collect()
    }

    #[test]
    fn known_parameters_are_found_again() {
        for (shape, scale) in [(-0.4, 3.0), (-0.2, 1.0), (-0.1, 2.0)] {
            let found = Pareto::fit(&sample(Pareto { shape, scale }, 40_000, 3)).unwrap();
            assert!((found.shape - shape).abs() < 0.03, "{shape} {scale}: {found:?}");
            assert!((found.scale / scale - 1.0).abs() < 0.03, "{shape} {scale}: {found:?}");
        }
    }

    #[test]
    fn quantiles_reach_beyond_the_sample() {
        // From 400 excesses the level that one in 4,000 exceeds, over 200 samples: right on average, and never far off.
        let pareto = Pareto { shape: -0.2, scale: 2.0 };
        let wanted = pareto.quantile(1.0 / 4000.0);
        let found =
            (0..200).map(|seed| Pareto::fit(&sample(pareto, 400, seed)).unwrap().quantile(1.0 / 4000.0));
        let found: Vec<f64> = found.collect();
        let mean = found.iter().sum::<f64>() / 200.0;
        assert!((mean / wanted - 1.0).abs() < 0.05, "{mean}, {wanted} wanted");
        let near = found.iter().filter(|&f| (f / wanted - 1.0).abs() < 0.4).count();
        assert!(near >= 180, "{near} of 200 are near");
    }

    #[test]
    fn a_weight_counts_as_so_many() {
        let values = [0.1, 0.4, 0.5, 0.9, 1.7, 2.5];
        let weighted: Vec<(f64, f64)> = values.map(|v| (v, 2.0)).to_vec();
        let once: Vec<(f64, f64)> = values.map(|v| (v, 1.0)).to_vec();
        assert_eq!(Pareto::fit(&weighted), Pareto::fit(&once));
        let [a, b] = [0.3, 0.001].map(|tail| Pareto { shape: 1e-12, scale: 2.0 }.quantile(tail));
        assert!((a + 2.0 * 0.3f64.ln()).abs() < 1e-9 && b > a);
    }

    #[test]
    fn too_little_gives_none() {
        assert_eq!(Pareto::fit(&[(1.0, 1.0), (2.0, 1.0), (3.0, 0.0)]), None);
        assert_eq!(Pareto::fit(&[(0.0, 1.0); 5]), None);
    }
}
