//! How fast to learn: a linear warm-up, then one of four ways down.

use serde::{Deserialize, Serialize};

/// The way from the highest rate to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Half a cosine down to 0.
    #[default]
    Cosine,
    /// A straight line down to 0.
    Linear,
    /// A tenth at each of `train.drops`.
    Step,
    /// The highest rate to the end.
    Constant,
}

impl Schedule {
    /// The rate at step `step` of `total`, for a peak of `peak` reached after `warmup` steps. `drops` are shares of the
    /// training, warm-up included, at which [`Schedule::Step`] divides by ten.
    pub fn rate(self, step: usize, total: usize, warmup: usize, peak: f64, drops: &[f64]) -> f64 {
        if step < warmup {
            return peak * (step + 1) as f64 / warmup as f64;
        }
        let done = ((step - warmup) as f64 / (total - warmup).max(1) as f64).min(1.0);
        match self {
            Schedule::Cosine => peak * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            Schedule::Linear => peak * (1.0 - done),
            Schedule::Step => {
                let passed = drops.iter().filter(|&&at| step as f64 >= at * total as f64).count();
                peak * 0.1f64.powi(passed as i32)
            }
            Schedule::Constant => peak,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: Schedule) -> Vec<f64> {
        (0..100).map(|s| schedule.rate(s, 100, 10, 0.2, &[0.5, 0.8])).collect()
    }

    #[test]
    fn all_rise_to_the_peak() {
        for schedule in [Schedule::Cosine, Schedule::Linear, Schedule::Step, Schedule::Constant] {
            let rates = rates(schedule);
            assert!(rates[..10].windows(2).all(|w| w[0] < w[1]), "{schedule:?}");
            assert!((rates[9] - 0.2).abs() < 1e-12 && (rates[10] - 0.2).abs() < 1e-12, "{schedule:?}");
            assert!(schedule.rate(0, 1, 0, 0.2, &[]) == 0.2);
        }
    }

    #[test]
    fn each_comes_down_its_own_way() {
        for schedule in [Schedule::Cosine, Schedule::Linear] {
            assert!(rates(schedule)[10..].windows(2).all(|w| w[0] > w[1]), "{schedule:?}");
        }
        assert!(rates(Schedule::Cosine)[99] < 1e-3 * 0.2);
        assert!((rates(Schedule::Linear)[55] - 0.1).abs() < 1e-12);
        let step = rates(Schedule::Step);
        let at = [step[49], step[50], step[79], step[80], step[99]];
        for (found, expected) in at.iter().zip([0.2, 0.02, 0.02, 0.002, 0.002]) {
            assert!((found - expected).abs() < 1e-12, "{at:?}");
        }
        assert_eq!(rates(Schedule::Constant)[99], 0.2);
    }
}
