//! The images of one step, as the network takes them.

use rayon::prelude::*;

use super::{Recipe, Source, SourceError};

/// A batch on its way from the painters to the network.
#[derive(Clone)]
pub(super) struct Batch {
    pub pixels: Vec<f32>,
    pub labels: Vec<i64>,
    /// The teacher's embeddings, one after the other; none without a teacher.
    pub targets: Vec<f32>,
}

/// The batch of step `step`.
pub(super) fn load(recipe: &Recipe, source: &Source, step: usize) -> Result<Batch, SourceError> {
    let numbers = step * recipe.train.batch..(step + 1) * recipe.train.batch;
    let samples: Result<Vec<_>, SourceError> = numbers.into_par_iter().map(|n| source.sample(n)).collect();
    let mut batch = Batch { pixels: Vec::new(), labels: Vec::new(), targets: Vec::new() };
    for sample in samples? {
        normalise(&sample.crop, recipe, &mut batch.pixels);
        batch.labels.push(sample.class as i64);
        batch.targets.extend(sample.target);
    }
    Ok(batch)
}

/// Appends the planes of an interleaved crop, in the model's order, normalised.
pub(super) fn normalise(crop: &[u8], recipe: &Recipe, to: &mut Vec<f32>) {
    let planes = recipe.net.planes();
    let (mean, std) = (recipe.input.mean, recipe.input.std);
    for plane in 0..planes {
        let channel = if recipe.net.order == "bgr" { planes - 1 - plane } else { plane };
        to.extend(crop[channel..].iter().step_by(planes).map(|&v| (f32::from(v) / 255.0 - mean) / std));
    }
}
