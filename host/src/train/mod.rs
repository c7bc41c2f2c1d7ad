//! Images to a float model: the loop, its recipe, its data, its checkpoints, its export.
//!
//! [`train`] takes a [`Recipe`] and gives a float ONNX. Everything random is a function of the recipe's seed and of the step,
//! so a training that was stopped and resumed gives the same weights, bit for bit, as one that was not.

pub mod augment;
mod aware;
mod backbone;
mod batch;
pub mod bench;
pub mod checkpoint;
mod degrade;
pub mod distill;
mod error;
pub mod export;
mod init;
mod keep;
pub mod metrics;
mod model;
pub mod optimizer;
pub mod paths;
pub mod place;
pub mod recipe;
mod replicas;
pub mod schedule;
pub mod source;
pub mod split;
pub(crate) mod state;
mod trainer;
pub mod validate;
mod watch;
pub mod weights;

use std::cell::RefCell;
use std::path::PathBuf;

use tract_onnx::pb::ModelProto;

use crate::synth::dice::Dice;

pub use aware::QuantizationConfig;
pub use checkpoint::{Checkpoint, CheckpointError};
pub use error::TrainError;
pub use init::InitError;
pub use place::{Place, PlaceError};
pub use recipe::{Recipe, RecipeError};
pub use source::{Source, SourceError, UNSEEN_FIRST};
pub use validate::Validation;
pub use watch::{Progress, Status};

use aware::Float;
use init::Initial;
use keep::Kept;
use trainer::{Trainer, WEIGHTS};

/// What a training gives.
#[derive(Debug)]
pub struct Trained {
    /// Float ONNX with its [`crate::onnx::metadata::FloatInput`].
    pub model: ModelProto,
    /// Classes learnt.
    pub classes: usize,
    /// Parameters of the backbone.
    pub parameters: usize,
    /// The head's weights, a vector of the embedding's length for each class, where the loss has any.
    pub class_weights: Option<Vec<Vec<f32>>>,
    /// Where it stood at the end.
    pub status: Status,
    /// Records that gave no image, with why; another image of the same class was taken for each.
    pub broken: Vec<String>,
}

/// How a training is run, beside what it is.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where checkpoints go: at every validation and when stopped. None are written without it.
    pub checkpoint: Option<PathBuf>,
    /// Go on from the checkpoint.
    pub resume: bool,
    /// Where JSON lines about the loss and the validations go.
    pub metrics: Option<PathBuf>,
    /// Where the first weights come from: a float ONNX of the recipe's network, or a `.safetensors` of [`Options::weights`]. A
    /// training that goes on has them in its checkpoint; then it must be the file that it began from.
    pub init: Option<PathBuf>,
    /// Where the weights go at the end beside the model, unfolded and with the head's: a `.safetensors`.
    pub weights: Option<PathBuf>,
    /// Where it computes. First weights, batches and formulas are the same everywhere; sums are rounded in other orders.
    pub place: Place,
}

/// Trains `recipe` from the beginning, without checkpoints.
///
/// # Errors
/// See [`TrainError`].
pub fn train(recipe: &Recipe, progress: &mut dyn Progress) -> Result<Trained, TrainError> {
    train_with(recipe, &Options::default(), progress)
}

/// Trains `recipe`.
///
/// # Errors
/// See [`TrainError`].
pub fn train_with(
    recipe: &Recipe,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Trained, TrainError> {
    let device = options.place.open_for(recipe.train.replicas)?.device;
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = recipe.train.threads.min(available);
    // Steps must run on this thread, not inside a pool: burn keeps running statistics by thread. So the limit is put on the
    // process's own pool; one that has been started already keeps its size. Replicas divide that pool's size.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    let init = options.init.as_deref();
    let checkpoint = options.checkpoint.as_deref().filter(|_| options.resume);
    let read = |path| Ok::<_, TrainError>((path, Checkpoint::read(path, &recipe.digest())?));
    let from = || checkpoint.map(read).transpose();
    if let Some(config) = &recipe.quantization {
        let given = init.ok_or(TrainError::NothingToTune)?;
        let (float, from) = (Float::read(given, recipe)?, from()?);
        let source = Source::open(recipe)?;
        progress.begin(&source);
        let watcher = RefCell::new(&mut *progress);
        let watch = |at| watcher.borrow_mut().calibrate(at);
        let net = aware::begin(&float, recipe, config, &source, &device.clone().autodiff(), &watch)?;
        let mut trainer =
            Trainer::around(net, &mut Dice::new(recipe.seed, 0, WEIGHTS, 0), recipe, &source, &device);
        match from {
            Some((path, from)) => trainer.go_on(from, path, Some((given, &float.sha256)))?,
            None => {
                trainer.take_head(&float.head);
                trainer.files.insert("init".into(), float.sha256);
            }
        }
        return trainer.run(options, progress);
    }
    let initial = init.map(|path| Ok::<_, InitError>((path, Initial::read(path, recipe)?))).transpose()?;
    let from = from()?;
    let source = Source::open(recipe)?;
    progress.begin(&source);
    let mut trainer = Trainer::new(recipe, &source, &device);
    match (from, initial) {
        (Some((path, from)), initial) => {
            trainer.go_on(from, path, initial.as_ref().map(|(given, i)| (*given, i.sha256.as_str())))?;
        }
        (None, Some((_, initial))) => trainer.begin_from(&initial)?,
        (None, None) => {}
    }
    trainer.run(options, progress)
}

/// Whether the training that wrote `checkpoint` had ended: after its last step, or because its patience had.
pub fn has_ended(recipe: &Recipe, checkpoint: &Checkpoint) -> bool {
    let mut kept = Kept::new(recipe.train.ema, recipe.train.patience);
    checkpoint.steps >= recipe.steps() || (kept.restore(&checkpoint.values).is_ok() && kept.ended())
}

#[cfg(test)]
mod tests;
