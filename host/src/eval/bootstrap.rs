//! Intervals by drawing again: identities and runs with replacement (Efron's percentile bootstrap).
//!
//! Comparisons that share an identity are not independent, so identities are drawn, not comparisons: a figure is worked out
//! anew with each comparison weighted by how often its identities were drawn. Where several runs (trainings with different
//! seeds) saw the same identities, runs are drawn as well, and the figure is the mean over the runs drawn.

use crate::synth::dice::Dice;

/// One draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    /// Which runs, as many as there are.
    pub runs: Vec<usize>,
    /// How often each identity was drawn.
    pub weights: Vec<f64>,
}

impl Draw {
    /// Every run and every identity once: what the figure itself is worked out with.
    pub fn plain(runs: usize, identities: usize) -> Self {
        Draw { runs: (0..runs).collect(), weights: vec![1.0; identities] }
    }

    /// The mean over the runs drawn of `figure(run, weights)`.
    pub fn mean(&self, figure: impl Fn(usize, &[f64]) -> f64) -> f64 {
        self.runs.iter().map(|&run| figure(run, &self.weights)).sum::<f64>() / self.runs.len() as f64
    }
}

/// `number` draws, the same for the same seed. With one run that run is in all of them.
pub fn draws(runs: usize, identities: usize, number: usize, seed: u64) -> Vec<Draw> {
    let draw = |round: usize| {
        let mut dice = Dice::new(seed, round as u64, BOOTSTRAP, 0);
        let chosen = (0..runs).map(|_| dice.below(runs)).collect();
        let mut weights = vec![0.0; identities];
        for _ in 0..identities {
            weights[dice.below(identities)] += 1.0;
        }
        Draw { runs: chosen, weights }
    };
    (0..number).map(draw).collect()
}

/// The middle 95 % of `values`; values that are no number are left out, and of none at all the interval is unknown.
pub fn interval95(mut values: Vec<f64>) -> Option<(f64, f64)> {
    values.retain(|v| v.is_finite());
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let at = |share: f64| values[(share * last as f64).round() as usize];
    Some((at(0.025), at(0.975)))
}

/// The key that sets these random numbers apart.
const BOOTSTRAP: u64 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_draw_has_as_many_as_there_are() {
        let all = draws(3, 50, 20, 1);
        assert_eq!(all, draws(3, 50, 20, 1));
        assert_ne!(all, draws(3, 50, 20, 2));
        for draw in &all {
            assert_eq!(draw.runs.len(), 3);
            assert!(draw.runs.iter().all(|&run| run < 3));
            assert_eq!(draw.weights.iter().sum::<f64>(), 50.0);
        }
    }

    #[test]
    fn the_interval_of_a_mean_is_that_of_its_standard_error() {
        // Identities 0 to 99, a figure of 0 or 1 for each half: the standard error of the mean is 0.05.
        let mean = |_: usize, w: &[f64]| w[50..].iter().sum::<f64>() / w.iter().sum::<f64>();
        let values = draws(1, 100, 2000, 7).iter().map(|d| d.mean(mean)).collect();
        let (low, high) = interval95(values).unwrap();
        assert!((low - 0.402).abs() < 0.015 && (high - 0.598).abs() < 0.015, "{low} {high}");
        assert_eq!(Draw::plain(1, 100).mean(mean), 0.5);
        // Runs that differ widen it.
        let runs = |run: usize, _: &[f64]| run as f64;
        let values = draws(3, 1, 2000, 7).iter().map(|d| d.mean(runs)).collect();
        let (low, high) = interval95(values).unwrap();
        assert!(low < 0.5 && high > 1.5, "{low} {high}");
    }

    #[test]
    fn no_value_gives_no_interval() {
        assert_eq!(interval95(vec![]), None);
        assert_eq!(interval95(vec![f64::NAN, 2.0]), Some((2.0, 2.0)));
    }
}
