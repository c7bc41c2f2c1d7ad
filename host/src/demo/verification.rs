//! One person or two: float, int8 and the baselines on the same pairs.

use arcgate_firmware::embedding::angle;
use rayon::prelude::*;

use super::people::Album;
use super::{DemoError, baseline};
use crate::engine::{FloatEngine, Kind, Model};
use crate::eval::embed::cosine;
use crate::eval::{Accuracy, Score, Scores, pairs};
use crate::ui::Ui;

/// Pairs of each kind.
const PAIRS: usize = 3_000;

/// What verification gave.
#[derive(Debug, Clone)]
pub struct Verification {
    /// Pairs of both kinds.
    pub pairs: usize,
    /// The float model.
    pub float: Accuracy,
    /// The int8 plan.
    pub int8: Accuracy,
    /// [`baseline::raw_pixels`].
    pub raw_pixels: Accuracy,
    /// [`baseline::mean_colour`].
    pub mean_colour: Accuracy,
    /// int8 angles of pairs of one person, in degrees.
    pub mated: Vec<f32>,
    /// int8 angles of pairs of two people, in degrees.
    pub non_mated: Vec<f32>,
}

impl Verification {
    /// Measures on the pairs of an album.
    ///
    /// # Errors
    /// When an engine fails or a score is not finite.
    pub fn measure(album: &Album, float: &FloatEngine, model: &Model, ui: &Ui) -> Result<Self, DemoError> {
        let pairs =
            pairs::sample(&album.identities(), PAIRS, 1).map_err(|e| DemoError::Scores(e.to_string()))?;
        let int8 = album.embed(model, Kind::Plan, ui)?;
        let bar = ui.progress("float", "images", album.crops.len() as u64);
        let embed = |crop: &Vec<u8>| {
            let embedding = float.embed(crop);
            bar.inc(1);
            embedding
        };
        let float = album.crops.par_iter().map(embed).collect::<Result<Vec<_>, _>>()?;
        bar.finish_and_clear();

        let channels = model.info().order.channels();
        let accuracy = |similarity: &(dyn Fn(usize, usize) -> f64 + Sync)| {
            let score = |p: &pairs::IndexPair| Score {
                similarity: similarity(p.first, p.second),
                same: p.same,
                fold: p.fold,
            };
            Scores::new(pairs.par_iter().map(score).collect())
                .map_err(|at| DemoError::Scores(format!("pair {at} has a score that is no number")))?
                .accuracy()
                .ok_or_else(|| DemoError::Scores("there are fewer than two folds".into()))
        };
        let degrees = |a: usize, b: usize| angle(&int8[a], &int8[b]).degrees();
        let crops = &album.crops;
        let of = |same: bool| {
            pairs.iter().filter(|p| p.same == same).map(|p| degrees(p.first, p.second)).collect()
        };
        Ok(Verification {
            pairs: pairs.len(),
            float: accuracy(&|a, b| cosine(&float[a], &float[b]))?,
            int8: accuracy(&|a, b| -degrees(a, b) as f64)?,
            raw_pixels: accuracy(&|a, b| baseline::raw_pixels(&crops[a], &crops[b]))?,
            mean_colour: accuracy(&|a, b| baseline::mean_colour(&crops[a], &crops[b], channels))?,
            mated: of(true),
            non_mated: of(false),
        })
    }
}
