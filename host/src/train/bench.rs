//! One training step on a prepared batch, again and again: what `tests/bench-train` measures.

use burn::tensor::{Device, Tensor};

use super::batch::Batch;
use super::trainer::Trainer;
use super::{Recipe, Source, Status, TrainError};
use crate::synth::dice::Dice;

/// A training that sees the same batch at every step.
pub struct Bench<'a> {
    trainer: Trainer<'a>,
    batch: Batch,
    status: Status,
    steps: usize,
}

impl<'a> Bench<'a> {
    /// The first weights of `recipe` on `device`, and a batch of noise with labels spread over the classes.
    pub fn new(recipe: &'a Recipe, source: &'a Source, device: &Device) -> Self {
        let [columns, rows] = recipe.net.input;
        let number = recipe.train.batch;
        let mut dice = Dice::new(recipe.seed, 0, PIXELS, 0);
        let values = number * recipe.net.planes() * columns * rows;
        let pixels = (0..values).map(|_| dice.bell()).collect();
        let labels = (0..number).map(|i| (i * 7 % source.classes()) as i64).collect();
        let status = Status {
            images: 0,
            total: recipe.train.images,
            loss: f64::NAN,
            rate: 0.0,
            images_per_second: 0.0,
            validation: None,
        };
        Bench {
            trainer: Trainer::new(recipe, source, device),
            batch: Batch { pixels, labels, targets: Vec::new() },
            status,
            steps: 0,
        }
    }

    /// Forward, loss, backward and optimizer, as in a training; the loss before the step.
    ///
    /// # Errors
    /// When the loss is no number any more.
    pub fn step(&mut self) -> Result<f32, TrainError> {
        self.steps += 1;
        self.trainer.step(self.steps - 1, self.batch.clone(), &mut self.status)
    }

    /// Values that the optimizer has moved, backbone and head; 0 before the first step.
    pub fn parameters(&self) -> usize {
        let state = self.trainer.optimizer.state().values();
        state.filter_map(|vectors| vectors.first()).map(|v: &Tensor<1>| v.dims()[0]).sum()
    }

    /// Multiply-accumulates of the backbone for one image, forward.
    pub fn macs(&self) -> usize {
        self.trainer.model.net.macs(self.trainer.recipe.net.input)
    }
}

/// The key that sets the batch's random numbers apart.
const PIXELS: u64 = 13;
