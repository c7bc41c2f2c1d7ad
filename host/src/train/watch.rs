//! Watching a training.

use std::ops::ControlFlow;

use super::{Source, Validation};
use crate::quantize;

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
