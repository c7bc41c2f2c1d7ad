//! The loop: from a recipe and its images to a model, step by step.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::backbone::Backbone;
use super::batch::{Batch, load, normalise};
use super::keep::Kept;
use super::metrics::Metrics;
use super::model::Model;
use super::optimizer::Optimizer;
use super::replicas::{Found, Replicas};
use super::state::Values;
use super::watch::{Progress, Status};
use super::{
    Checkpoint, CheckpointError, Options, Recipe, Source, TrainError, Trained, Validation, distill, state,
    validate, weights,
};
use crate::disk;
use crate::loss::{Loss, Moment};
use crate::net::{Net, free_buffers};
use crate::onnx::origin;
use crate::synth::dice::Dice;

/// The name of the mean loss and the steps without a gradient among a checkpoint's vectors.
const COURSE: &str = "course";

/// Lines of metrics in a training, besides those at validations.
const METRICS_LINES: usize = 200;

/// The norm of all gradients up to which nothing moves.
const STILL: f64 = 1e-12;

/// Steps in a row without a gradient that end a training.
const MOST_STILL: usize = 200;

/// The key that sets the first weights' random numbers apart.
pub(super) const WEIGHTS: u64 = 12;

/// A training under way.
pub(super) struct Trainer<'a, N: Backbone = Net> {
    pub recipe: &'a Recipe,
    pub source: &'a Source,
    pub device: Device,
    pub model: Model<N>,
    replicas: Replicas,
    pub optimizer: Optimizer,
    pub kept: Kept,
    /// Digests of files that decide the weights, as in [`Checkpoint::files`].
    pub files: BTreeMap<String, String>,
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
    pub fn new(recipe: &'a Recipe, source: &'a Source, device: &Device) -> Self {
        let mut dice = Dice::new(recipe.seed, 0, WEIGHTS, 0);
        let net = Net::new(&recipe.net, &mut dice, &device.clone().autodiff());
        Self::around(net, &mut dice, recipe, source, device)
    }
}

impl<'a, N: Backbone> Trainer<'a, N> {
    /// Of `net`, with a head that `dice` decides.
    pub fn around(net: N, dice: &mut Dice, recipe: &'a Recipe, source: &'a Source, device: &Device) -> Self {
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

    pub fn checkpoint(&self) -> Checkpoint {
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
    pub fn go_on(
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

    pub fn restore(&mut self, from: Checkpoint, path: &Path) -> Result<(), CheckpointError> {
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

    pub fn run(mut self, options: &Options, progress: &mut dyn Progress) -> Result<Trained, TrainError> {
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
    pub fn step(&mut self, step: usize, batch: Batch, status: &mut Status) -> Result<f32, TrainError> {
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

    pub fn validate(&self) -> Validation {
        self.validate_net(&with(self.model.valid().net, self.kept.average()))
    }

    pub fn validate_net(&self, net: &N) -> Validation {
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
