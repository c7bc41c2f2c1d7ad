//! Fine-tuning with simulated int8 (quantization-aware training): a network whose forward is what the exported int8 model computes.
//!
//! A map holds whole steps of its tensor, counted from the zero point: `q - z`, so that padding is 0. A convolution multiplies
//! them with whole steps of its weights; such sums are exact in f32 up to 2^24. [`requantize`] brings the sums to steps of the
//! output, in the order of operations that the lattice is proved for. Each tensor's step is learnt, each output channel's step of a
//! convolution's weights, and the weights, biases and slopes themselves; zero points and the input's step stay as calibration
//! chose them. Weights and biases are learnt as fractions of their ranges and steps as multiples of their first values, so that one
//! learning rate suits layers whose batch normalisation is folded. The model that comes out carries its steps, and `import` rounds
//! it by them.

mod begin;
mod conv;
mod export;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor, TensorData};
use tract_onnx::pb::ModelProto;

use super::Recipe;
use super::backbone::Backbone;
use super::state::floats;
use crate::net::requantize::requantize;
use crate::onnx::float::{Clamp, Curve, FloatGraph, Layer, Op, Pool, TensorId};
use crate::quantize::Ranges;
use crate::quantize::lattice::Quantization;
pub use begin::QuantizationConfig;
pub(super) use begin::{Float, begin};
use conv::IntegerConv;

/// The positive end of int8: what weights and biases are fractions of, and what a step's gradient is measured by.
const GREATEST_LEVEL: f32 = 127.0;

/// A network in simulated int8.
#[derive(Module, Debug)]
pub(super) struct Simulated {
    layers: Vec<Parts>,
    /// How much the step of every tensor has grown, in the order of the graph: its logarithm. The first, the input's, is not read.
    growth: Param<Tensor<1>>,
    #[module(skip)]
    form: Arc<Form>,
}

/// What a layer learns.
#[derive(Module, Debug)]
struct Parts {
    conv: Option<IntegerConv>,
    /// Of values below 0, one a channel. One for all channels is a constant.
    slopes: Option<Param<Tensor<1>>>,
}

/// What is not learnt.
#[derive(Debug)]
struct Form {
    /// The layers; their weights are those of the beginning.
    graph: FloatGraph,
    /// The steps of the beginning.
    tensors: Vec<Quantization>,
    /// The greatest steps, so that int8 ends where a layer is cut.
    caps: Vec<f32>,
    /// Whose step each tensor has: its own, or that of the tensor whose values a layer moves as they are.
    owners: Vec<TensorId>,
    /// The last layer that reads each tensor.
    last_readers: Vec<usize>,
}

/// Values on their way to whole steps: `x` times `up`, below 0 times `down`.
struct Unrounded {
    x: Tensor<4>,
    up: Tensor<1>,
    down: Tensor<1>,
}

impl Simulated {
    /// `graph` in steps of `ranges`.
    pub fn new(graph: &FloatGraph, ranges: &Ranges, device: &Device) -> Self {
        let vector = |values| Param::from_tensor(vector(values, device));
        let parts = |layer: &Layer| Parts {
            conv: match &layer.op {
                Op::Conv(conv) => {
                    let (scales, output) = (&ranges.weights[layer.output], ranges.tensors[layer.output]);
                    Some(IntegerConv::new(conv, scales, output.scale, device))
                }
                _ => None,
            },
            slopes: match &layer.op {
                Op::Slope(slopes) if slopes.len() > 1 => Some(vector(slopes.clone())),
                _ => None,
            },
        };
        let mut caps = vec![f32::MAX; graph.tensors.len()];
        let mut owners: Vec<TensorId> = (0..graph.tensors.len()).collect();
        let mut last_readers = vec![0; graph.tensors.len()];
        for (at, layer) in graph.layers.iter().enumerate() {
            layer.inputs.iter().for_each(|&read| last_readers[read] = at);
            if let Op::MaxPool(_) | Op::Upsample(_) = layer.op {
                owners[layer.output] = owners[layer.inputs[0]];
            }
            let steps = ranges.tensors[layer.output];
            caps[layer.output] = cap(layer.clamp, steps).max(steps.scale);
        }
        let (graph, tensors) = (graph.clone(), ranges.tensors.clone());
        Simulated {
            layers: graph.layers.iter().map(parts).collect(),
            growth: vector(vec![0.0; tensors.len()]),
            form: Arc::new(Form { graph, tensors, caps, owners, last_readers }),
        }
    }

    /// The network as a float graph: what it computes without rounding.
    pub fn graph(&self) -> FloatGraph {
        let mut graph = self.form.graph.clone();
        for (layer, parts) in graph.layers.iter_mut().zip(&self.layers) {
            match (&mut layer.op, &parts.conv, &parts.slopes) {
                (Op::Conv(conv), Some(own), _) => own.store(conv),
                (Op::Slope(slopes), _, Some(own)) => *slopes = floats(&own.val()),
                _ => {}
            }
        }
        graph
    }

    /// The steps as they are now.
    pub fn ranges(&self) -> Ranges {
        let steps = floats(&self.steps());
        let mut tensors = self.form.tensors.clone();
        let learnt = tensors.iter_mut().zip(&self.form.owners).filter(|(_, owner)| **owner != 0);
        learnt.for_each(|(tensor, &owner)| tensor.scale = steps[owner]);
        let mut weights = vec![Vec::new(); tensors.len()];
        for (layer, parts) in self.form.graph.layers.iter().zip(&self.layers) {
            weights[layer.output] = parts.conv.as_ref().map_or_else(Vec::new, |conv| floats(&conv.scales()));
        }
        Ranges { tensors, weights }
    }

    /// Every tensor's step.
    fn steps(&self) -> Tensor<1> {
        let Form { graph, tensors, caps, .. } = &*self.form;
        let device = self.growth.val().device();
        let rates = graph.tensors.iter().zip(tensors).map(|(map, q)| step_rate(map.volume(), q.scale));
        let growth = slowed(self.growth.val(), rates.collect()).exp();
        let first = vector(tensors.iter().map(|q| q.scale).collect(), &device);
        (first * growth).min_pair(vector(caps.clone(), &device))
    }

    /// The embedding [b, 1, 1, d] in its steps, before these are rounded; and their size.
    fn unrounded(&self, pixels: Tensor<4>) -> (Unrounded, Tensor<1>) {
        let Form { graph, tensors, owners, last_readers, .. } = &*self.form;
        let steps = self.steps();
        let input = vector(vec![tensors[0].scale], &pixels.device());
        let step = |tensor: TensorId| match owners[tensor] {
            0 => input.clone(),
            owner => steps.clone().slice(owner..owner + 1),
        };
        let mut maps: Vec<Option<Tensor<4>>> = vec![None; graph.tensors.len()];
        let planes = input.clone().recip().expand([graph.input().channels]);
        let pixels = pixels.permute([0, 2, 3, 1]);
        maps[0] = Some(requantize(pixels, planes.clone(), planes, ends(tensors[0])));
        let mut last = None;
        for (at, (layer, parts)) in graph.layers.iter().zip(&self.layers).enumerate() {
            if let Some((output, Unrounded { x, up, down })) = last.take() {
                maps[output] = Some(requantize(x, up, down, ends(tensors[output])));
            }
            let read = |at: usize| {
                let tensor = layer.inputs[at];
                let map = maps[tensor].clone().expect("layers stand in an order in which inputs are made");
                (map, step(tensor))
            };
            last = Some((layer.output, self.layer(layer, parts, read, step(layer.output))));
            layer.inputs.iter().filter(|&&read| last_readers[read] == at).for_each(|&read| maps[read] = None);
        }
        let (output, unrounded) = last.expect("a graph that was read has layers");
        (unrounded, step(output))
    }

    /// What `layer` makes of the maps and steps that `read` gives, in steps of `made`.
    fn layer(
        &self,
        layer: &Layer,
        parts: &Parts,
        read: impl Fn(usize) -> (Tensor<4>, Tensor<1>),
        made: Tensor<1>,
    ) -> Unrounded {
        let graph = &self.form.graph;
        let channels = graph.tensors[layer.output].channels;
        let evenly = |x: Tensor<4>, m: Tensor<1>| {
            let up = m.expand([channels]);
            Unrounded { x, down: up.clone(), up }
        };
        let real = |at: usize| {
            let (x, step) = read(at);
            x * step.reshape([1, 1, 1, 1])
        };
        match &layer.op {
            Op::Conv(conv) => {
                let own = parts.conv.as_ref().expect("every convolution has its weights");
                let ((x, step), tensor) = (read(0), layer.inputs[0]);
                let (x, unit) = own.sums(conv, (&graph.tensors[tensor], tensor == 0), x, step);
                evenly(x, unit * made.recip())
            }
            Op::Slope(slopes) => {
                let (x, step) = read(0);
                let slopes = match &parts.slopes {
                    Some(own) => own.val(),
                    None => vector(slopes.clone(), &x.device()),
                };
                let Unrounded { x, up, down } = evenly(x, step / made);
                Unrounded { x, up, down: down * slopes }
            }
            Op::Curve(curve) => evenly(bent(*curve, real(0)), made.recip()),
            Op::Add => evenly(real(0) + real(1), made.recip()),
            Op::Product => evenly(real(0) * real(1), made.recip()),
            Op::Concat => {
                let all = (0..layer.inputs.len()).map(real).collect();
                evenly(Tensor::cat(all, 3), made.recip())
            }
            // Whole steps of the same size before and after.
            Op::MaxPool(pool) => evenly(greatest(pool, read(0).0), made.ones_like()),
            Op::Upsample(factors) => evenly(blocks(*factors, read(0).0), made.ones_like()),
        }
    }
}

impl Backbone for Simulated {
    fn forward(&self, pixels: Tensor<4>) -> Tensor<2> {
        let (Unrounded { x, up, down }, step) = self.unrounded(pixels);
        let whole = requantize(x, up, down, ends(self.form.tensors[self.form.graph.outputs[0]]));
        whole.flatten::<2>(1, 3) * step.reshape([1, 1])
    }

    fn learn(&self, pixels: Tensor<4>) -> (Tensor<2>, Vec<Tensor<2>>) {
        (self.forward(pixels), Vec::new())
    }

    /// Batch normalisation is folded; nothing runs along.
    fn run_on(&self, _: &[Tensor<2>]) {}

    fn export(&self, recipe: &Recipe) -> ModelProto {
        export::export(&self.graph(), &self.ranges(), recipe)
    }
}

fn vector(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let shape = [values.len()];
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The least and the greatest whole step of a tensor, counted from its zero point.
fn ends(tensor: Quantization) -> [f32; 2] {
    [-128.0, 127.0].map(|end| end - f32::from(tensor.zero_point))
}

/// The greatest step with which int8 reaches no further than `clamp`.
fn cap(clamp: Clamp, tensor: Quantization) -> f32 {
    let [lo, hi] = ends(tensor);
    let least = |end: f32, steps: f32| if steps == 0.0 { f32::MAX } else { (end / steps).min(f32::MAX) };
    least(clamp.lo, lo).min(least(clamp.hi, hi))
}

/// What the gradient of the logarithm of a step that so many values share is multiplied by, so that plain gradient descent moves
/// it, as a share of itself, about as fast as weights: 1 / sqrt(values levels) as in "Learned Step Size Quantization" (Esser et al.,
/// 2020), there of the gradient of the step itself.
fn step_rate(values: usize, step: f32) -> f32 {
    1.0 / ((values as f32 * GREATEST_LEVEL).sqrt() * step * step)
}

/// `values` to the bit, their gradients multiplied by `rates`.
fn slowed(values: Tensor<1>, rates: Vec<f32>) -> Tensor<1> {
    let still = values.clone().detach();
    let rates = vector(rates, &values.device());
    (values - still.clone()) * rates + still
}

/// `x` through a curve.
fn bent(curve: Curve, x: Tensor<4>) -> Tensor<4> {
    match curve {
        Curve::Sigmoid => sigmoid(x),
        Curve::HardSigmoid { alpha, beta } => x.mul_scalar(alpha).add_scalar(beta).clamp(0.0, 1.0),
        Curve::HardSwish => x.clone() * x.div_scalar(6.0).add_scalar(0.5).clamp(0.0, 1.0),
        Curve::Silu => x.clone() * sigmoid(x),
    }
}

/// The greatest of each window of `x` [b, h, w, c].
fn greatest(pool: &Pool, x: Tensor<4>) -> Tensor<4> {
    let Pool { kernel, strides, pads: [top, left, bottom, right] } = *pool;
    let options = MaxPoolOptions::new(kernel).with_stride(strides);
    let options = options.with_padding_pairs([(top, bottom), (left, right)]);
    max_pool2d(x.permute([0, 3, 1, 2]), options).permute([0, 2, 3, 1])
}

/// Every pixel of `x` [b, h, w, c] as a block of so many rows and columns.
fn blocks([rows, columns]: [usize; 2], x: Tensor<4>) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    let each: Tensor<6> = x.reshape([b, h, 1, w, 1, c]).expand([b, h, rows, w, columns, c]);
    each.reshape([b, h * rows, w * columns, c])
}
