//! Figures of several runs with their intervals, and the difference between two losses.

use serde::Serialize;

use super::measure::{Figures, Measured};
use crate::eval::bootstrap::{Draw, draws, interval95};

/// Draws of which intervals are made.
const DRAWS: usize = 1000;

/// A figure and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean over the seeds.
    pub value: f64,
    /// Over identities and seeds drawn again.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Estimate {
    /// Whether the whole interval lies below the other's.
    pub fn below(&self, other: &Estimate) -> bool {
        self.high < other.low
    }
}

/// The figures of [`Figures`], each with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the figure that each is the estimate of has its words")]
pub struct Estimates {
    pub accuracy: Estimate,
    pub tar: Estimate,
    pub fnir: Estimate,
    pub intra: Estimate,
    pub inter: Estimate,
}

/// The same draws for everything that is compared, so that differences are between equals.
#[derive(Debug)]
pub struct Sampler {
    plain: Draw,
    draws: Vec<Draw>,
}

/// The figures of a loss's runs under every draw.
#[derive(Debug, Clone)]
pub struct Sampled {
    plain: Figures,
    drawn: Vec<Option<Figures>>,
}

impl Sampler {
    /// For `runs` seeds and `identities` people.
    pub fn new(runs: usize, identities: usize) -> Self {
        Sampler { plain: Draw::plain(runs, identities), draws: draws(runs, identities, DRAWS, 1) }
    }

    /// Of the runs of a loss, one a seed; `None` when no run gave a model. Runs that gave none are passed over.
    pub fn sample(&self, runs: &[Option<Measured>]) -> Option<Sampled> {
        let drawn = self.draws.iter().map(|draw| mean(runs, draw)).collect();
        Some(Sampled { plain: mean(runs, &self.plain)?, drawn })
    }
}

/// The mean over those of the draw's runs that there are.
fn mean(runs: &[Option<Measured>], draw: &Draw) -> Option<Figures> {
    let mut of_run: Vec<Option<Figures>> = vec![None; runs.len()];
    for &run in &draw.runs {
        if let (None, Some(measured)) = (of_run[run], &runs[run]) {
            of_run[run] = Some(measured.figures(&draw.weights));
        }
    }
    let there: Vec<Figures> = draw.runs.iter().filter_map(|&run| of_run[run]).collect();
    if there.is_empty() {
        return None;
    }
    let of = |pick: fn(&Figures) -> f64| there.iter().map(pick).sum::<f64>() / there.len() as f64;
    Some(Figures {
        accuracy: of(|f| f.accuracy),
        tar: of(|f| f.tar),
        fnir: of(|f| f.fnir),
        intra: of(|f| f.intra),
        inter: of(|f| f.inter),
    })
}

impl Sampled {
    /// Every figure with its interval.
    pub fn estimates(&self) -> Estimates {
        let of = |pick: fn(&Figures) -> f64| {
            estimate(pick(&self.plain), self.drawn.iter().flatten().map(pick).collect())
        };
        Estimates {
            accuracy: of(|f| f.accuracy),
            tar: of(|f| f.tar),
            fnir: of(|f| f.fnir),
            intra: of(|f| f.intra),
            inter: of(|f| f.inter),
        }
    }

    /// This FNIR less the other's, under the same draws.
    pub fn fnir_less(&self, other: &Sampled) -> Estimate {
        let both = self.drawn.iter().zip(&other.drawn);
        let differences = both.filter_map(|(a, b)| Some(a.as_ref()?.fnir - b.as_ref()?.fnir)).collect();
        estimate(self.plain.fnir - other.plain.fnir, differences)
    }
}

fn estimate(value: f64, drawn: Vec<f64>) -> Estimate {
    let (low, high) = interval95(drawn).unwrap_or((value, value));
    Estimate { value, low, high }
}

#[cfg(test)]
mod tests {
    use super::super::config::MeasureConfig;
    use super::super::measure::Identities;
    use super::*;
    use crate::synth::dice::Dice;

    const CONFIG: MeasureConfig =
        MeasureConfig { enrolled: 15, templates: 1, galleries: 4, fpir: 0.1, far: 0.01 };

    /// Thirty people in eight dimensions, five images each; `noise` scatters the images.
    fn run(noise: f32, seed: u64) -> Option<Measured> {
        let mut dice = Dice::new(seed, 1, 1, 1);
        let mut vectors = Vec::new();
        for person in 0..30 {
            let mut of_person = Dice::new(9, person, 1, 1);
            let centre: Vec<f32> = (0..8).map(|_| of_person.bell()).collect();
            vectors.extend((0..5).map(|_| centre.iter().map(|c| c + noise * dice.bell()).collect()));
        }
        let identities = Identities::new((0..150).map(|i| i / 5));
        Some(Measured::new(vectors, &identities, &CONFIG).unwrap())
    }

    #[test]
    fn better_embeddings_are_told_from_worse_ones_and_equal_ones_are_not() {
        let sampler = Sampler::new(2, 30);
        let good = sampler.sample(&[run(0.2, 1), run(0.2, 2)]).unwrap();
        let bad = sampler.sample(&[run(0.8, 1), run(0.8, 2)]).unwrap();
        let (of_good, of_bad) = (good.estimates(), bad.estimates());
        for estimate in [of_good.accuracy, of_good.fnir, of_bad.fnir, of_bad.intra] {
            assert!(estimate.low <= estimate.value && estimate.value <= estimate.high, "{estimate:?}");
        }
        assert!(of_good.fnir.below(&of_bad.fnir), "{of_good:?} {of_bad:?}");
        assert!(of_good.intra.below(&of_bad.intra));
        assert!(good.fnir_less(&bad).high < 0.0 && bad.fnir_less(&good).low > 0.0);
        let same = good.fnir_less(&good);
        assert_eq!((same.low, same.value, same.high), (0.0, 0.0, 0.0));
    }

    #[test]
    fn runs_without_a_model_are_passed_over() {
        let sampler = Sampler::new(3, 30);
        assert!(sampler.sample(&[None, None, None]).is_none());
        let one = sampler.sample(&[None, run(0.4, 1), None]).unwrap();
        let alone = Sampler::new(1, 30).sample(&[run(0.4, 1)]).unwrap();
        assert_eq!(one.estimates().fnir.value, alone.estimates().fnir.value);
    }
}
