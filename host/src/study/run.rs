//! One training of a study, and what stays of it on disk: `model.onnx`, `run.json`, and `metrics.jsonl` beside them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StudyError;
use crate::disk;
use crate::onnx::file;
use crate::train::{Options, Place, Progress, Recipe, TrainError, metrics, train_with};

/// How far the training had come, and what it was worth then.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Of training, at the speed of the process that ended it.
    pub seconds: f64,
    /// Balanced accuracy on the identities that are validated on.
    pub accuracy: f64,
}

/// What `run.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Of the recipe.
    digest: String,
    /// Seconds of training.
    pub seconds: f64,
    /// Images a second.
    pub images_per_second: f64,
    /// Classes learnt.
    pub classes: usize,
    /// Parameters of the backbone.
    pub parameters: usize,
    /// At each validation.
    pub curve: Vec<Point>,
    /// The head's weights, a vector for each class, where the loss has any and the embedding two dimensions.
    pub class_weights: Option<Vec<Vec<f32>>>,
    /// Why there is no model, where training stopped by itself.
    pub diverged: Option<String>,
}

/// Where the model of a run lies.
pub fn model_of(folder: &Path) -> PathBuf {
    folder.join("model.onnx")
}

/// The run that `folder` holds of `recipe`, if it holds a finished one.
///
/// # Errors
/// When it holds the run of another recipe, or what it holds cannot be read.
pub fn finished(folder: &Path, recipe: &Recipe) -> Result<Option<Record>, StudyError> {
    let path = folder.join("run.json");
    let text = match std::fs::read_to_string(&path) {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|source| StudyError::Io { path: path.clone(), source })?,
    };
    match serde_json::from_str::<Record>(&text) {
        Ok(record) if record.digest == recipe.digest() => Ok(Some(record)),
        Ok(_) => Err(StudyError::Other { path, what: "is of another study".into() }),
        Err(why) => Err(StudyError::Other { path, what: format!("is damaged ({why})") }),
    }
}

/// Trains `recipe` in `folder`, going on where an earlier process stopped. A loss that is no number or frozen is a result, not an
/// error.
///
/// # Errors
/// When training ends by anything else, or the disk says no.
pub fn train(
    folder: &Path,
    recipe: &Recipe,
    place: Place,
    progress: &mut dyn Progress,
) -> Result<Record, StudyError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| StudyError::Io { path, source }
    };
    std::fs::create_dir_all(folder).map_err(io(folder))?;
    let (checkpoint, lines) = (folder.join("training.checkpoint"), folder.join("metrics.jsonl"));
    let options = Options {
        resume: checkpoint.exists(),
        checkpoint: Some(checkpoint.clone()),
        metrics: Some(lines.clone()),
        place,
        ..Options::default()
    };
    let digest = recipe.digest();
    let record = match train_with(recipe, &options, progress) {
        Ok(trained) => {
            file::write(&model_of(folder), &trained.model)?;
            let lines = metrics::read(&lines);
            // A process that only had to write the model trained at no speed; then the one before it counts.
            let before = || lines.iter().rev().map(|line| line.images_per_second).find(|&s| s > 0.0);
            let speed = Some(trained.status.images_per_second).filter(|&s| s > 0.0).or_else(before);
            let speed = speed.unwrap_or(f64::MAX);
            // To the millisecond: of so few digits a record that is read again says the same.
            let seconds = |images: usize| (1000.0 * images as f64 / speed).round() / 1000.0;
            let curve = lines
                .iter()
                .filter_map(|line| Some(Point { seconds: seconds(line.images), accuracy: line.accuracy? }));
            Record {
                digest,
                seconds: seconds(trained.status.images),
                images_per_second: speed,
                classes: trained.classes,
                parameters: trained.parameters,
                curve: curve.collect(),
                class_weights: trained.class_weights.filter(|_| recipe.net.embedding == 2),
                diverged: None,
            }
        }
        Err(why @ (TrainError::NotFinite { .. } | TrainError::Frozen { .. })) => Record {
            digest,
            seconds: 0.0,
            images_per_second: 0.0,
            classes: 0,
            parameters: 0,
            curve: Vec::new(),
            class_weights: None,
            diverged: Some(why.to_string()),
        },
        Err(why) => return Err(StudyError::Train(why)),
    };
    let path = folder.join("run.json");
    let text = serde_json::to_string_pretty(&record).expect("plain fields serialize");
    disk::replace(&path, text.as_bytes()).map_err(io(&path))?;
    // The record stands for it now.
    match std::fs::remove_file(&checkpoint) {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => Err(io(&checkpoint)(why)),
        _ => Ok(record),
    }
}
