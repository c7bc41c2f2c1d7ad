//! The float graph run on crops: what values each tensor takes.

use std::collections::HashMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use tract_onnx::prelude::*;

use super::input::Picture;
use super::lattice::Quantization;
use super::{ImportError, Progress};
use crate::onnx::float::{FloatGraph, TensorId};

/// Values kept of each tensor over all crops, so that memory is bounded whatever the number of crops.
const SAMPLES: usize = 1 << 16;

/// Crops in flight at once: their activations all lie in memory.
const CHUNK: usize = 8;

/// What a tensor was seen to hold.
pub(super) struct Observed {
    /// The least value, and the greatest.
    pub lo: f32,
    pub hi: f32,
    /// Values drawn at random, as many from each crop.
    pub samples: Vec<f32>,
    /// Each channel by itself.
    pub channels: Vec<ObservedChannel>,
}

/// What a channel was seen to hold.
#[derive(Clone)]
pub(super) struct ObservedChannel {
    /// The least value, and the greatest.
    pub lo: f32,
    pub hi: f32,
    /// The mean of its squares.
    pub mean_square: f64,
}

impl ObservedChannel {
    /// The greatest distance from zero.
    pub fn reach(&self) -> f64 {
        f64::from(self.hi.max(-self.lo))
    }
}

/// A float graph ready to run, giving some of its tensors.
pub(super) struct FloatRunner {
    plan: Arc<TypedRunnableModel>,
    shape: [usize; 4],
}

impl FloatRunner {
    pub fn new(graph: &FloatGraph, outputs: &[TensorId]) -> Result<Self, ImportError> {
        Self::rounding(graph, outputs, &HashMap::new())
    }

    /// The same with some tensors rounded to their steps.
    pub fn rounding(
        graph: &FloatGraph,
        outputs: &[TensorId],
        rounded: &HashMap<TensorId, Quantization>,
    ) -> Result<Self, ImportError> {
        let input = graph.input();
        let plan = tract_onnx::onnx()
            .model_for_proto_model(&graph.to_onnx_rounding(outputs, rounded))
            .and_then(|m| m.into_optimized())
            .and_then(|m| m.into_runnable())
            .map_err(runtime)?;
        Ok(FloatRunner { plan, shape: [1, input.channels, input.height, input.width] })
    }

    /// The tensors asked for, flat.
    pub fn run(&self, reals: &[f32]) -> Result<Vec<Vec<f32>>, ImportError> {
        let input = Tensor::from_shape(&self.shape, reals).map_err(runtime)?;
        let outputs = self.plan.run(tvec!(input.into_tvalue())).map_err(runtime)?;
        let flat =
            |t: &TValue| -> TractResult<Vec<f32>> { Ok(t.try_as_plain_ram()?.as_slice::<f32>()?.to_vec()) };
        outputs.iter().map(|t| flat(t).map_err(runtime)).collect()
    }
}

fn runtime(error: TractError) -> ImportError {
    ImportError::Runtime { graph: "float", why: format!("{error:#}") }
}

/// Runs the float graph on every crop and gives what each of its tensors held, by [`TensorId`].
pub(super) fn observe(
    graph: &FloatGraph,
    crops: &[Vec<u8>],
    picture: &Picture,
    seed: u64,
    progress: &dyn Fn(Progress),
) -> Result<Vec<Observed>, ImportError> {
    let outputs: Vec<TensorId> = (1..graph.tensors.len()).collect();
    let runner = FloatRunner::new(graph, &outputs)?;
    let draws = SAMPLES.div_ceil(crops.len());
    let mut observed: Vec<Observed> = graph
        .tensors
        .iter()
        .map(|t| Observed {
            lo: f32::INFINITY,
            hi: f32::NEG_INFINITY,
            samples: vec![],
            channels: vec![
                ObservedChannel { lo: f32::INFINITY, hi: f32::NEG_INFINITY, mean_square: 0.0 };
                t.channels
            ],
        })
        .collect();
    progress(Progress::Calibrating(0, crops.len()));
    for (chunk, group) in crops.chunks(CHUNK).enumerate() {
        let run = |crop: &Vec<u8>| -> Result<Vec<Vec<f32>>, ImportError> {
            let reals = picture.reals(crop);
            let mut tensors = runner.run(&reals)?;
            tensors.insert(0, reals);
            Ok(tensors)
        };
        let held: Vec<Vec<Vec<f32>>> = group.par_iter().map(run).collect::<Result<_, _>>()?;
        // One tensor a task, crops in order within it: the sums do not depend on the number of threads.
        observed.par_iter_mut().enumerate().try_for_each(|(id, seen)| {
            held.iter().enumerate().try_for_each(|(i, tensors)| {
                let index = chunk * CHUNK + i;
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream((index as u64) << 32 | id as u64);
                seen.take(&tensors[id], draws, &mut rng)
                    .ok_or_else(|| ImportError::NotFinite { tensor: graph.tensors[id].name.clone(), index })
            })
        })?;
        progress(Progress::Calibrating(chunk * CHUNK + group.len(), crops.len()));
    }
    for (seen, area) in observed.iter_mut().zip(graph.tensors.iter().map(|t| t.area())) {
        seen.channels.iter_mut().for_each(|c| c.mean_square /= (crops.len() * area) as f64);
    }
    Ok(observed)
}

impl Observed {
    /// The step of a scale that covers all that was seen.
    pub fn step(&self) -> f64 {
        f64::from(self.hi - self.lo) / 255.0
    }

    /// What channel `c` may be multiplied with until it fills the tensor's range.
    pub fn room(&self, c: usize) -> f64 {
        let channel = &self.channels[c];
        let above = if channel.hi > 0.0 { f64::from(self.hi) / f64::from(channel.hi) } else { f64::INFINITY };
        let below = if channel.lo < 0.0 { f64::from(self.lo) / f64::from(channel.lo) } else { f64::INFINITY };
        let room = above.min(below);
        if room.is_finite() { room } else { 1.0 }
    }

    /// Adds one crop's values; `None` if one of them is not finite.
    fn take(&mut self, values: &[f32], draws: usize, rng: &mut ChaCha8Rng) -> Option<()> {
        let area = values.len() / self.channels.len();
        for (plane, channel) in values.chunks_exact(area).zip(&mut self.channels) {
            for &v in plane {
                channel.lo = channel.lo.min(v);
                channel.hi = channel.hi.max(v);
                channel.mean_square += v as f64 * v as f64;
            }
            self.lo = self.lo.min(channel.lo);
            self.hi = self.hi.max(channel.hi);
        }
        if values.len() <= draws {
            self.samples.extend_from_slice(values);
        } else {
            self.samples.extend((0..draws).map(|_| values[rng.random_range(0..values.len())]));
        }
        values.iter().all(|v| v.is_finite()).then_some(())
    }
}
