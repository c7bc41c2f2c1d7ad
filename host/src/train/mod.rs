//! Images to a float model: the loop, its recipe, its data, its checkpoints, its export.
//!
//! [`train`] takes a [`Recipe`] and gives a float ONNX. Everything random is a function of the recipe's seed and of the step,
//! so a training that was stopped and resumed gives the same weights, bit for bit, as one that was not.

pub mod augment;
mod aware;
mod backbone;
pub mod bench;
pub mod checkpoint;
mod degrade;
pub mod distill;
pub mod export;
mod init;
mod keep;
pub mod metrics;
pub mod optimizer;
pub mod paths;
pub mod place;
pub mod recipe;
mod replicas;
pub mod schedule;
pub mod source;
pub mod split;
pub(crate) mod state;
pub mod validate;
pub mod weights;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rayon::prelude::*;
use tract_onnx::pb::ModelProto;

use crate::disk;
use crate::loss::{Head, Loss, Moment};
use crate::net::{Net, free_buffers};
use crate::onnx::origin;
use crate::quantize::{self, ImportError};
use crate::synth::dice::Dice;

pub use aware::QuantizationConfig;
pub use checkpoint::{Checkpoint, CheckpointError};
pub use init::InitError;
pub use place::{Place, PlaceError};
pub use recipe::{Recipe, RecipeError};
pub use source::{Source, SourceError, UNSEEN_FIRST};
pub use validate::Validation;

use aware::Float;
use backbone::Backbone;
use init::Initial;
use keep::Kept;
use metrics::{Metrics, MetricsError};
use optimizer::Optimizer;
use replicas::{Found, Replicas};
use state::Values;

/// What is trained: the backbone, and the head that is left behind at the end.
#[derive(Module, Debug)]
struct Model<N: Module> {
    net: N,
    head: Head,
    /// From the student's embedding to the teacher's, where their lengths differ.
    projection: Option<Param<Tensor<2>>>,
}

/// Where a training stands.
#[derive(Debug, Clone, Copy)]
pub struct Status {
    /// Images seen.
    pub images: usize,
    /// Images to see in all.
    pub total: usize,
    /// Mean over about the last fifty steps.
    pub loss: f64,
    /// The learning rate.
    pub rate: f64,
    /// Since this process began.
    pub images_per_second: f64,
    /// The last one, once there is one.
    pub validation: Option<Validation>,
}

/// Who watches a training.
pub trait Progress {
    /// Called once, when the images are found and before the first step.
    fn begin(&mut self, _source: &Source) {}
    /// Called while a fine-tuning with simulated int8 chooses its first ranges.
    fn calibrate(&mut self, _progress: quantize::Progress) {}
    /// Called after every step; `Break` stops after writing a checkpoint.
    fn step(&mut self, status: &Status) -> ControlFlow<()>;
}

/// Nobody.
impl Progress for () {
    fn step(&mut self, _: &Status) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// A closure that watches.
impl<F: FnMut(&Status) -> ControlFlow<()>> Progress for F {
    fn step(&mut self, status: &Status) -> ControlFlow<()> {
        self(status)
    }
}

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

/// Why a training ended without a model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// There are no images.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The file with the first weights cannot be used.
    #[error(transparent)]
    Init(#[from] InitError),
    /// The weights cannot be written.
    #[error("cannot write {}: {why}", path.display())]
    Weights {
        /// Which file.
        path: PathBuf,
        /// What the file system said.
        why: std::io::Error,
    },
    /// Nothing was named to fine-tune.
    #[error(
        "the recipe's [quantization] table fine-tunes a trained network, and none was named\n  \
         accepted: --init with its float .onnx or its .safetensors (also with --resume), or a recipe without the table"
    )]
    NothingToTune,
    /// The network has no int8 form to simulate.
    #[error(transparent)]
    Quantize(#[from] ImportError),
    /// The metrics cannot be kept.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The device cannot be used.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The loss is no number any more.
    #[error("the loss is {loss} at step {step}: {cause}")]
    NotFinite {
        /// The loss.
        loss: f32,
        /// The step, counted from 0.
        step: usize,
        /// Where the first number that is none was found, and what helps.
        cause: String,
    },
    /// Nothing moves any more.
    #[error(
        "the loss is frozen at {loss}: for {steps} steps up to step {step} its gradient was 0\n  {cause}"
    )]
    Frozen {
        /// The loss.
        loss: f32,
        /// The step, counted from 0.
        step: usize,
        /// Steps without a gradient.
        steps: usize,
        /// Why, and what helps.
        cause: &'static str,
    },
    /// The watcher stopped it.
    #[error("stopped after {images} images{}", checkpoint.as_ref().map_or_else(String::new, |c| format!("; go on with --resume (checkpoint {})", c.display())))]
    Stopped {
        /// Images seen.
        images: usize,
        /// Where the state was written.
        checkpoint: Option<PathBuf>,
    },
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

/// A batch on its way from the painters to the network.
#[derive(Clone)]
struct Batch {
    pixels: Vec<f32>,
    labels: Vec<i64>,
    /// The teacher's embeddings, one after the other; none without a teacher.
    targets: Vec<f32>,
}

struct Trainer<'a, N: Backbone = Net> {
    recipe: &'a Recipe,
    source: &'a Source,
    device: Device,
    model: Model<N>,
    replicas: Replicas,
    optimizer: Optimizer,
    kept: Kept,
    /// Digests of files that decide the weights, as in [`Checkpoint::files`].
    files: BTreeMap<String, String>,
    /// Over about the last fifty steps; no number before the first.
    mean_loss: f64,
    /// Steps in a row without a gradient.
    still: usize,
}

impl<N: Backbone> Drop for Trainer<'_, N> {
    fn drop(&mut self) {
        free_buffers();
    }
}

impl<'a> Trainer<'a, Net> {
    fn new(recipe: &'a Recipe, source: &'a Source, device: &Device) -> Self {
        let mut dice = Dice::new(recipe.seed, 0, WEIGHTS, 0);
        let net = Net::new(&recipe.net, &mut dice, &device.clone().autodiff());
        Self::around(net, &mut dice, recipe, source, device)
    }
}

impl<'a, N: Backbone> Trainer<'a, N> {
    /// Of `net`, with a head that `dice` decides.
    fn around(net: N, dice: &mut Dice, recipe: &'a Recipe, source: &'a Source, device: &Device) -> Self {
        let device = device.clone().autodiff();
        // A head that is never asked is none of a million classes.
        let classes = if recipe.heeds_labels() { source.classes() } else { 2 };
        let head = recipe.loss.head(classes, recipe.net.embedding, dice, &device);
        let projection = source.teacher().and_then(|t| distill::projection(t, recipe, &device));
        let teacher = source.teacher().map(|t| ("teacher".to_owned(), t.sha256().to_owned()));
        let t = &recipe.train;
        let optimizer = Optimizer::new(t.optimizer, t.momentum, t.weight_decay, t.clip);
        let kept = Kept::new(t.ema, t.patience);
        let replicas = Replicas::new(t.replicas, rayon::current_num_threads(), t.frozen_norm);
        Trainer {
            recipe,
            source,
            device,
            model: Model { net, head, projection },
            replicas,
            optimizer,
            kept,
            files: teacher.into_iter().collect(),
            mean_loss: f64::NAN,
            still: 0,
        }
    }

    fn checkpoint(&self) -> Checkpoint {
        let mut values = state::values(&self.model.valid());
        for (path, vectors) in self.optimizer.state() {
            let named = |(i, v): (usize, &Tensor<1>)| (format!("optimizer{i}.{path}"), state::floats(v));
            values.extend(vectors.iter().enumerate().map(named));
        }
        self.kept.store(&mut values);
        // The bits of an f64 in two of the f32 that vectors hold.
        let bits = self.mean_loss.to_bits();
        let words = [bits >> 32, bits, self.still as u64];
        values.insert(COURSE.into(), words.map(|word| f32::from_bits(word as u32)).to_vec());
        let (recipe, replicas) = (self.recipe.digest(), self.recipe.train.replicas);
        let (steps, files) = (self.optimizer.steps(), self.files.clone());
        Checkpoint { recipe, replicas, steps, files, values }
    }

    /// Goes on from a checkpoint, which must have begun from the file `given`, if any, and have the same teacher.
    fn go_on(
        &mut self,
        from: Checkpoint,
        path: &Path,
        given: Option<(&Path, &str)>,
    ) -> Result<(), CheckpointError> {
        if let Some((given, sha256)) = given {
            from.check_file("init", given, sha256, path)?;
        }
        if let Some(teacher) = self.source.teacher() {
            from.check_file("teacher", teacher.path(), teacher.sha256(), path)?;
        }
        self.restore(from, path)
    }

    fn restore(&mut self, from: Checkpoint, path: &Path) -> Result<(), CheckpointError> {
        from.expect_replicas(self.recipe.train.replicas, path)?;
        let missing = |name: String| CheckpointError::missing(path, &name);
        self.model = state::with_values(self.model.clone(), &from.values).map_err(missing)?;
        self.kept.restore(&from.values).map_err(missing)?;
        let Some(&[high, low, still]) = from.values.get(COURSE).map(Vec::as_slice) else {
            return Err(CheckpointError::missing(path, COURSE));
        };
        self.still = still.to_bits() as usize;
        self.mean_loss = f64::from_bits(u64::from(high.to_bits()) << 32 | u64::from(low.to_bits()));
        let mut vectors: BTreeMap<String, Vec<Tensor<1>>> = BTreeMap::new();
        let plain = self.device.clone().inner();
        // "optimizer0.x" comes before "optimizer1.x", so the vectors come back in their order.
        for (name, values) in &from.values {
            if let Some((_, name)) = name.strip_prefix("optimizer").and_then(|n| n.split_once('.')) {
                let data = TensorData::new(values.clone(), [values.len()]);
                vectors.entry(name.to_owned()).or_default().push(Tensor::from_data(data, &plain));
            }
        }
        self.optimizer.restore(from.steps, vectors);
        self.files = from.files;
        Ok(())
    }

    fn run(mut self, options: &Options, progress: &mut dyn Progress) -> Result<Trained, TrainError> {
        let (steps, batch) = (self.recipe.steps(), self.recipe.train.batch);
        let first = self.optimizer.steps();
        // A training whose patience had ended goes no further.
        let steps_left = if self.kept.ended() { first..first } else { first..steps };
        let begun = Instant::now();
        let mut status = Status {
            images: first * batch,
            total: steps * batch,
            loss: self.mean_loss,
            rate: 0.0,
            images_per_second: 0.0,
            validation: None,
        };
        let mut metrics =
            options.metrics.as_ref().map(|path| Metrics::open(path, first * batch)).transpose()?;
        let between_lines = (steps / METRICS_LINES).max(1);
        let (recipe, source) = (self.recipe, self.source);
        let painted = steps_left.clone();
        std::thread::scope(|scope| {
            // Two batches ahead: painting fills the moments in which the network keeps only one core busy.
            let (sender, receiver) = sync_channel(2);
            scope.spawn(move || {
                for step in painted {
                    let batch = load(recipe, source, step);
                    if sender.send(batch).is_err() {
                        return;
                    }
                }
            });
            for (step, batch_of_step) in steps_left.zip(receiver.iter()) {
                let loss = f64::from(self.step(step, batch_of_step?, &mut status)?);
                let before = self.mean_loss;
                self.mean_loss = if before.is_nan() { loss } else { 0.98 * before + 0.02 * loss };
                status.loss = self.mean_loss;
                status.images = (step + 1) * batch;
                let seen = (status.images - first * batch) as f64;
                status.images_per_second = seen / begun.elapsed().as_secs_f64();
                let every = recipe.train.validate_every.max(batch);
                let due = status.images / every != step * batch / every || step + 1 == steps;
                let validation = due.then(|| self.validate());
                status.validation = validation.or(status.validation);
                let enough = validation.is_some_and(|v| self.heard(v));
                if let Some(metrics) = metrics.as_mut().filter(|_| due || (step + 1) % between_lines == 0) {
                    metrics.add(&status, validation)?;
                }
                let go_on = progress.step(&status);
                if let Some(path) = options.checkpoint.as_ref().filter(|_| due || go_on.is_break()) {
                    self.checkpoint().write(path)?;
                }
                if enough {
                    break;
                }
                if go_on.is_break() && step + 1 < steps {
                    let checkpoint = options.checkpoint.clone();
                    return Err(TrainError::Stopped { images: status.images, checkpoint });
                }
            }
            Ok(())
        })?;
        let net = with(self.model.valid().net, self.kept.result());
        // The figures of what is given, which the last validation's are not where the best weights are kept.
        if status.validation.is_none() || recipe.train.patience > 0 {
            status.validation = Some(self.validate_net(&net));
        }
        if let Some(path) = &options.weights {
            let bytes = weights::to_bytes(&weights::of(&Model { net: net.clone(), ..self.model.valid() }));
            disk::replace(path, &bytes).map_err(|why| TrainError::Weights { path: path.clone(), why })?;
        }
        let mut model = net.export(recipe);
        if let Some(licence) = &recipe.licence {
            origin::set_licence(&mut model, licence);
        }
        let (classes, parameters, broken) = (source.classes(), Module::num_params(&net), source.broken());
        let dimension = self.recipe.net.embedding;
        let class_weights =
            self.model.head.class_weights().map(|weights| {
                state::floats(&weights).chunks_exact(dimension).map(<[f32]>::to_vec).collect()
            });
        Ok(Trained { model, classes, parameters, class_weights, status, broken })
    }

    /// One step; the batch's loss.
    fn step(&mut self, step: usize, batch: Batch, status: &mut Status) -> Result<f32, TrainError> {
        let (steps, t) = (self.recipe.steps(), &self.recipe.train);
        let done = step as f64 / steps as f64;
        let warmup = (t.warmup * steps as f64) as usize;
        status.rate = t.schedule.rate(step, steps, warmup, t.rate, &t.drops);
        let [columns, rows] = self.recipe.net.input;
        let number = batch.labels.len();
        let shape = [number, self.recipe.net.planes(), rows, columns];
        let pixels = Tensor::<4>::from_data(TensorData::new(batch.pixels, shape), &self.device);
        let labels = Tensor::<1, Int>::from_data(TensorData::new(batch.labels, [number]), &self.device);
        let at = Moment { warmth: self.recipe.loss.warmth(done) };
        let model = &self.model;
        let loss = |embeddings: Tensor<2>| {
            let own = || model.head.forward(embeddings.clone(), labels, at);
            match &self.recipe.distill {
                Some(distill) => distill.mix(model.cosines(embeddings.clone(), batch.targets), own),
                None => own(),
            }
        };
        let found = self.replicas.gradients(model, pixels, loss);
        let Found { loss: value, gradients: Some(gradients), moments, .. } = found else {
            let cause = self.why_not_finite(&found.embeddings);
            return Err(TrainError::NotFinite { loss: found.loss, step, cause });
        };
        self.model.net.run_on(&moments);
        let norm;
        (self.model, norm) = self.optimizer.step(self.model.clone(), gradients, status.rate);
        self.kept.step(step, || state::values(&self.model.valid().net));
        self.still = if norm > STILL { 0 } else { self.still + 1 };
        if self.still >= MOST_STILL {
            let cause = match self.recipe.loss.needs_pairs() {
                true => {
                    "no pair or triplet breaks the margin any more; raise loss.margin, take fewer train.images, or mine harder"
                }
                false => "nothing reaches the weights; lower loss.scale",
            };
            return Err(TrainError::Frozen { loss: value, step, steps: MOST_STILL, cause });
        }
        Ok(value)
    }

    /// Where the first number that is none lies.
    fn why_not_finite(&self, embeddings: &Tensor<2>) -> String {
        let lower = "lower train.rate or train.clip, or lengthen train.warmup";
        let values = state::values(&self.model);
        if let Some((name, _)) = values.iter().find(|(_, v)| v.iter().any(|v| !v.is_finite())) {
            return format!("the last step left {name} without finite values; {lower}");
        }
        if state::floats(embeddings).iter().any(|v| !v.is_finite()) {
            return format!("weights are finite but the embeddings overflow; {lower}");
        }
        format!("weights and embeddings are finite, the loss is not: its scale is too large, or {lower}")
    }

    /// Tells [`Kept`] of a validation; whether the training has waited long enough for a better one.
    fn heard(&mut self, validation: Validation) -> bool {
        let average = self.kept.average().cloned();
        let net = &self.model.net;
        let figure = match validation.cosine_to_teacher {
            Some(cosine) if !self.recipe.heeds_labels() => cosine,
            _ => validation.tar_at_1e2,
        };
        self.kept.validated(figure, || average.unwrap_or_else(|| state::values(&net.valid())))
    }

    fn validate(&self) -> Validation {
        self.validate_net(&with(self.model.valid().net, self.kept.average()))
    }

    fn validate_net(&self, net: &N) -> Validation {
        let device = self.device.clone().inner();
        let [columns, rows] = self.recipe.net.input;
        let mut embeddings = Vec::new();
        for chunk in self.source.held_out().chunks(64) {
            let mut pixels = Vec::new();
            for (_, crop) in chunk {
                normalise(crop, self.recipe, &mut pixels);
            }
            let shape = [chunk.len(), self.recipe.net.planes(), rows, columns];
            let pixels = Tensor::<4>::from_data(TensorData::new(pixels, shape), &device);
            embeddings.extend(state::floats(&net.forward(pixels)));
        }
        let identities: Vec<usize> = self.source.held_out().iter().map(|h| h.0).collect();
        let mut figures = validate::validate(&embeddings, &identities);
        let targets = self.source.held_out_targets();
        if !targets.is_empty() {
            let shape = [identities.len(), self.recipe.net.embedding];
            let embeddings = Tensor::from_data(TensorData::new(embeddings, shape), &device);
            let cosines = self.model.valid().cosines(embeddings, targets.concat());
            figures.cosine_to_teacher = Some(f64::from(cosines.mean().into_scalar::<f32>()));
        }
        figures
    }
}

/// `net` with other weights of its own, if there are any.
fn with<N: Module>(net: N, values: Option<&Values>) -> N {
    match values {
        Some(values) => state::with_values(net, values).expect("values of the same net"),
        None => net,
    }
}

/// The name of the mean loss and the steps without a gradient among a checkpoint's vectors.
const COURSE: &str = "course";

/// Whether the training that wrote `checkpoint` had ended: after its last step, or because its patience had.
pub fn has_ended(recipe: &Recipe, checkpoint: &Checkpoint) -> bool {
    let mut kept = Kept::new(recipe.train.ema, recipe.train.patience);
    checkpoint.steps >= recipe.steps() || (kept.restore(&checkpoint.values).is_ok() && kept.ended())
}

/// Lines of metrics in a training, besides those at validations.
const METRICS_LINES: usize = 200;

/// The norm of all gradients up to which nothing moves.
const STILL: f64 = 1e-12;

/// Steps in a row without a gradient that end a training.
const MOST_STILL: usize = 200;

/// The key that sets the first weights' random numbers apart.
const WEIGHTS: u64 = 12;

fn load(recipe: &Recipe, source: &Source, step: usize) -> Result<Batch, SourceError> {
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
fn normalise(crop: &[u8], recipe: &Recipe, to: &mut Vec<f32>) {
    let planes = recipe.net.planes();
    let (mean, std) = (recipe.input.mean, recipe.input.std);
    for plane in 0..planes {
        let channel = if recipe.net.order == "bgr" { planes - 1 - plane } else { plane };
        to.extend(crop[channel..].iter().step_by(planes).map(|&v| (f32::from(v) / 255.0 - mean) / std));
    }
}

#[cfg(test)]
mod tests;
