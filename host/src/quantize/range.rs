//! The range of a tensor: which real values its 256 steps cover.
//!
//! Four rules propose one each, from what calibration saw of the tensor; the one whose rounding causes the least error is taken.

use rayon::prelude::*;
use serde::Serialize;

use super::calibrate::Observed;
use super::lattice::Quantization;
use crate::onnx::float::Clamp;

/// How far ends are drawn in, in parts of the observed range, from one candidate to the next.
const FINEST: f32 = 0.02;

/// The part of values beyond each end of a range by percentile.
const TAIL: f64 = 1e-4;

/// Bins of the histogram that entropy is taken of: eight a step.
const BINS: usize = 2048;

/// How a range was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The pixels' own range.
    Pixels,
    /// That of the layer's input, whose values it moves.
    Kept,
    /// All that was seen.
    MinMax,
    /// All but one value in ten thousand at each end.
    Percentile,
    /// The least mean squared error.
    SquaredError,
    /// The least Kullback-Leibler divergence of the values' distribution from the rounded ones'.
    Entropy,
    /// Learnt in training.
    Learnt,
}

impl Rule {
    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Pixels => "pixels",
            Rule::Kept => "as its input",
            Rule::MinMax => "min-max",
            Rule::Percentile => "percentile",
            Rule::SquaredError => "squared error",
            Rule::Entropy => "entropy",
            Rule::Learnt => "training",
        }
    }
}

/// What the range of a tensor is chosen by.
pub(super) struct Seen<'s> {
    pub observed: &'s Observed,
    /// Where its values are cut.
    pub clamp: Clamp,
    /// Its values before the cut, for some crops.
    pub values: &'s [Vec<f32>],
    /// What the square of an error in each channel counts.
    pub importance: &'s [f64],
    /// An embedding's zero point is 0.
    pub symmetric: bool,
}

/// The scale and zero point whose rounding causes the least error.
pub(super) fn choose(seen: &Seen<'_>) -> (Rule, Quantization) {
    let proposed = if seen.symmetric { symmetric(seen.observed) } else { affine(seen.observed, seen.clamp) };
    let caused = |(rule, q): (Rule, Quantization)| (caused_error(seen, q), rule, q);
    let least = proposed.into_iter().map(caused).min_by(|a, b| a.0.total_cmp(&b.0));
    // `proposed` is not empty.
    least.map_or((Rule::MinMax, of_reach(seen.observed, 1.0)), |(_, rule, q)| (rule, q))
}

/// The mean over crops of the square of a crop's weighted squared error: one crop that is cut off is worse than many that are
/// rounded.
fn caused_error(seen: &Seen<'_>, q: Quantization) -> f64 {
    let Clamp { lo, hi } = seen.clamp;
    let crop = |values: &Vec<f32>| -> f64 {
        let planes = values.chunks_exact(values.len() / seen.importance.len());
        let weighted = planes.zip(seen.importance).map(|(plane, importance)| {
            let cut = plane.iter().map(|v| v.clamp(lo, hi));
            importance * cut.map(|v| f64::from(q.nearest(v) - v).powi(2)).sum::<f64>()
        });
        weighted.sum::<f64>().powi(2)
    };
    let crops: Vec<f64> = seen.values.par_iter().map(crop).collect();
    crops.iter().sum()
}

/// A range a rule for a tensor that is cut to `clamp`.
fn affine(seen: &Observed, clamp: Clamp) -> Vec<(Rule, Quantization)> {
    let (lo, hi) = (seen.lo.min(0.0).max(clamp.lo), seen.hi.max(0.0).min(clamp.hi));
    if (hi - lo).is_nan() || hi - lo < f32::MIN_POSITIVE * 1e6 {
        // Nothing but zeros was seen.
        let zero_point = if clamp.lo == 0.0 { -128 } else { 0 };
        return vec![(Rule::MinMax, Quantization { scale: 1.0 / 255.0, zero_point })];
    }
    let of = |(down, up): (f32, f32)| of_range(lo * down, hi * up);
    let both = || (0..30).map(|k| 1.0 - FINEST * k as f32).map(|part| (part, part));
    let least = |candidates: Vec<(f32, f32)>| {
        let errors = candidates.into_iter().map(|c| (squared_error(&seen.samples, of(c)), c));
        errors.min_by(|a, b| a.0.total_cmp(&b.0)).map_or((1.0, 1.0), |(_, c)| c)
    };
    // Both ends together first, then one end at a time around the best.
    let (down, up) = least(both().collect());
    let around = |centre: f32| (-8..=8).map(move |k| (centre + FINEST * k as f32).clamp(0.2, 1.0));
    let (down, _) = least(around(down).map(|down| (down, up)).collect());
    let squares = least(around(up).map(|up| (down, up)).collect());
    let [low, high] = tails(&seen.samples).map(|end| end.clamp(lo, hi));
    let percentile = of_range(low.min(0.0), high.max(f32::MIN_POSITIVE * 1e6));
    let histogram = Histogram::of(&seen.samples, lo, hi);
    let entropies = both().map(|part| (histogram.divergence(of(part)), part));
    let entropy = entropies.min_by(|a, b| a.0.total_cmp(&b.0)).map_or((1.0, 1.0), |(_, part)| part);
    vec![
        (Rule::MinMax, of((1.0, 1.0))),
        (Rule::Percentile, percentile),
        (Rule::SquaredError, of(squares)),
        (Rule::Entropy, of(entropy)),
    ]
}

/// A range a rule for an embedding.
fn symmetric(seen: &Observed) -> Vec<(Rule, Quantization)> {
    let reach = seen.hi.max(-seen.lo).max(f32::MIN_POSITIVE * 1e6);
    let parts = || (0..30).map(|k| 1.0 - FINEST * k as f32);
    let least = |error: &dyn Fn(Quantization) -> f64| {
        let errors = parts().map(|part| of_reach(seen, part)).map(|q| (error(q), q));
        errors.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(of_reach(seen, 1.0), |(_, q)| q)
    };
    let [low, high] = tails(&seen.samples);
    let histogram = Histogram::of(&seen.samples, -reach, reach);
    vec![
        (Rule::MinMax, of_reach(seen, 1.0)),
        (Rule::Percentile, of_reach(seen, (high.max(-low) / reach).clamp(0.2, 1.0))),
        (Rule::SquaredError, least(&|q| squared_error(&seen.samples, q))),
        (Rule::Entropy, least(&|q| histogram.divergence(q))),
    ]
}

/// 255 steps around zero that cover `part` of what was seen.
fn of_reach(seen: &Observed, part: f32) -> Quantization {
    let reach = seen.hi.max(-seen.lo).max(f32::MIN_POSITIVE * 1e6);
    Quantization { scale: reach * part / 127.0, zero_point: 0 }
}

/// 256 steps over `lo..=hi`, which holds zero.
fn of_range(lo: f32, hi: f32) -> Quantization {
    let scale = (hi - lo) / 255.0;
    let zero_point = (-128.0 - lo / scale).round_ties_even().clamp(-128.0, 127.0) as i8;
    Quantization { scale, zero_point }
}

fn squared_error(samples: &[f32], q: Quantization) -> f64 {
    samples.iter().map(|&v| f64::from(q.nearest(v) - v).powi(2)).sum()
}

/// Between which values all samples but the tails lie.
fn tails(samples: &[f32]) -> [f32; 2] {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f32::total_cmp);
    let beyond = (samples.len() as f64 * TAIL) as usize;
    let at = |index: usize| sorted.get(index).copied().unwrap_or(0.0);
    [at(beyond), at(samples.len().saturating_sub(1 + beyond))]
}

/// How often values fall into bins of equal width.
struct Histogram {
    /// The middle of each bin, and how many values fell there.
    bins: Vec<(f32, f64)>,
}

impl Histogram {
    fn of(samples: &[f32], lo: f32, hi: f32) -> Self {
        let width = (hi - lo) / BINS as f32;
        let mut bins: Vec<(f32, f64)> = (0..BINS).map(|k| (lo + width * (k as f32 + 0.5), 0.0)).collect();
        for v in samples {
            bins[(((v - lo) / width) as usize).min(BINS - 1)].1 += 1.0;
        }
        Histogram { bins }
    }

    /// The Kullback-Leibler divergence of the values, those beyond the steps counted at the ends, from what 256 steps can say of
    /// them: within a step, all bins that hold anything hold the same.
    fn divergence(&self, q: Quantization) -> f64 {
        let step =
            |v: f32| ((v / q.scale).round_ties_even() as i64 + i64::from(q.zero_point)).clamp(-128, 127);
        let ends = [-128, 127].map(|level: i32| (level - i32::from(q.zero_point)) as f32 * q.scale);
        let mut inside = vec![0.0; BINS];
        for (at, &(middle, count)) in self.bins.iter().enumerate() {
            // The bin of the nearest value that the steps reach.
            let [first, last] = [0, BINS - 1].map(|k| self.bins[k].0);
            let shown = middle.clamp(ends[0].max(first), ends[1].min(last).max(first));
            let position = (shown - first) / (last - first) * (BINS - 1) as f32;
            inside[if shown == middle { at } else { position.round() as usize }] += count;
        }
        let (mut total, mut held, mut used) = (0.0, [0.0; 256], [0.0; 256]);
        for (&count, bin) in inside.iter().zip(&self.bins).filter(|(count, _)| **count > 0.0) {
            let level = (step(bin.0) + 128) as usize;
            held[level] += count;
            used[level] += 1.0;
            total += count;
        }
        // What was counted at the ends is what the values are; what the steps say knows only of those that were there before.
        let said = |at: usize, level: usize| {
            let own: f64 = if self.bins[at].1 > 0.0 { held[level] / used[level] } else { 1e-4 };
            own / total
        };
        let terms = inside.iter().enumerate().filter(|(_, count)| **count > 0.0).map(|(at, &count)| {
            let level = (step(self.bins[at].0) + 128) as usize;
            count / total * (count / total / said(at, level)).ln()
        });
        terms.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(samples: Vec<f32>) -> Observed {
        let lo = samples.iter().copied().fold(f32::INFINITY, f32::min);
        let hi = samples.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        Observed { lo, hi, samples, channels: vec![] }
    }

    fn chosen(samples: Vec<f32>, clamp: Clamp) -> (Rule, Quantization) {
        let values = [samples.clone()];
        let observed = observed(samples);
        let importance = &[1.0];
        choose(&Seen { observed: &observed, clamp, values: &values, importance, symmetric: false })
    }

    #[test]
    fn a_rectified_tensor_starts_at_the_bottom() {
        let (_, q) = chosen((0..1000).map(|i| i as f32 / 100.0).collect(), Clamp { lo: 0.0, hi: 6.0 });
        assert_eq!(q.zero_point, -128);
        assert!(q.scale <= 6.0 / 255.0 + 1e-9);
    }

    #[test]
    fn a_lone_outlier_is_cut_off() {
        let mut samples: Vec<f32> = (0..400_000).map(|i| (i as f32 / 1000.0).sin()).collect();
        samples.push(1.5);
        let (rule, q) = chosen(samples, Clamp::NONE);
        assert!(q.scale < 2.3 / 255.0, "scale {} by {rule:?}", q.scale);
    }

    #[test]
    fn rare_values_that_count_are_kept() {
        // The same outlier in a channel that says everything about the embedding.
        let plain: Vec<f32> = (0..400_000).map(|i| (i as f32 / 1000.0).sin()).collect();
        let outlier: Vec<f32> = (0..400_000).map(|i| if i == 7 { 2.0 } else { 0.0 }).collect();
        let samples = [plain, outlier].concat();
        let (values, observed) = ([samples.clone()], observed(samples));
        let with = |importance: &[f64]| {
            let clamp = Clamp::NONE;
            choose(&Seen { observed: &observed, clamp, values: &values, importance, symmetric: false }).1
        };
        let reach = |q: Quantization| q.nearest(10.0);
        assert!(reach(with(&[1e-6, 1.0])) > 1.98);
        assert!(reach(with(&[1.0, 0.0])) < 1.5);
    }

    #[test]
    fn entropy_prefers_steps_where_the_values_are() {
        let dense: Vec<f32> = (0..100_000).map(|i| (i % 1000) as f32 / 1000.0).collect();
        let far = [dense.clone(), vec![40.0; 3]].concat();
        let histogram = Histogram::of(&far, 0.0, 40.0);
        let of = |hi: f32| histogram.divergence(of_range(0.0, hi));
        assert!(of(20.0) < of(40.0), "{} {}", of(20.0), of(40.0));
    }

    #[test]
    fn zeros_have_a_scale_too() {
        let (_, q) = chosen(vec![0.0; 10], Clamp::NONE);
        assert!(q.scale > 0.0);
        assert!(symmetric(&observed(vec![0.0; 10])).iter().all(|(_, q)| q.scale > 0.0));
    }
}
