//! The float graph and what its integers mean, side by side on the same crops, a layer at a time.
//!
//! The walk places a layer knowing what its inputs really are in int8, and so can make up for what was lost before it.

use rayon::prelude::*;

use super::ImportError;
use super::calibrate::FloatRunner;
use super::input::Picture;
use super::lattice::Quantization;
use crate::onnx::float::{Clamp, Conv, FloatGraph, Layer, Map, Op, TensorId};

/// Bytes that the larger tensors' activations may take, both of them together.
const BUDGET: usize = 256 << 20;

/// The values of a tensor for each crop.
pub(super) type Values = Vec<Vec<f32>>;

/// What a tensor holds in float, and what its integers stand for.
struct Both {
    exact: Values,
    rounded: Values,
}

/// A layer's inputs as integers mean them, and what its outputs of those lack.
pub(super) struct Residual<'t> {
    pub inputs: &'t [Vec<f32>],
    /// The mean of each output in float, not cut, less the mean of what the layer makes of `inputs` with its own weights.
    pub missing: Vec<f64>,
}

/// Activations up to the layer that comes next.
pub(super) struct Twin<'g> {
    graph: &'g FloatGraph,
    held: Vec<Option<Both>>,
    /// Layers that have yet to read each tensor.
    readers: Vec<usize>,
}

impl<'g> Twin<'g> {
    /// Both graphs on some of `crops`, evenly chosen, as many as the memory for activations allows; `steps` are the input's.
    pub fn new(graph: &'g FloatGraph, crops: &[Vec<u8>], picture: &Picture, steps: Quantization) -> Self {
        let largest = graph.tensors.iter().map(|t| t.volume()).max().unwrap_or(1);
        let number = (BUDGET / (8 * largest)).clamp(1, crops.len());
        let chosen = (0..number).map(|k| picture.reals(&crops[k * crops.len() / number]));
        let exact: Values = chosen.collect();
        let rounded = exact.iter().map(|reals| reals.iter().map(|&v| steps.nearest(v)).collect()).collect();
        let mut held: Vec<Option<Both>> = graph.tensors.iter().map(|_| None).collect();
        held[0] = Some(Both { exact, rounded });
        let readers = |t: TensorId| graph.layers.iter().flat_map(|l| &l.inputs).filter(|&&i| i == t).count();
        Twin { graph, held, readers: (0..graph.tensors.len()).map(readers).collect() }
    }

    fn both(&self, tensor: TensorId) -> Result<&Both, ImportError> {
        self.held[tensor].as_ref().ok_or_else(|| ImportError::Runtime {
            graph: "float",
            why: format!("tensor {:?} is read before it is made", self.graph.tensors[tensor].name),
        })
    }

    /// What `layer`, the one that comes next, makes in float, not cut.
    pub fn exact(&self, layer: &Layer) -> Result<Values, ImportError> {
        self.through(layer, &layer.op, |both| &both.exact)
    }

    /// What `layer`, a convolution that makes `exact` in float, lacks in int8.
    pub fn residual(&self, layer: &Layer, exact: &Values) -> Result<Residual<'_>, ImportError> {
        let made = self.through(layer, &layer.op, |both| &both.rounded)?;
        let outputs = self.graph.tensors[layer.output].channels;
        let sums = |(exact, made): (&Vec<f32>, &Vec<f32>)| -> Vec<f64> {
            let area = exact.len() / outputs;
            let planes = exact.chunks_exact(area).zip(made.chunks_exact(area));
            let less = |(exact, made): (&[f32], &[f32])| {
                exact.iter().zip(made).map(|(e, m)| f64::from(e - m)).sum::<f64>() / area as f64
            };
            planes.map(less).collect()
        };
        let of_crops: Vec<Vec<f64>> = exact.par_iter().zip(&made).map(sums).collect();
        let mean = |c: usize| of_crops.iter().map(|crop| crop[c]).sum::<f64>() / of_crops.len() as f64;
        let missing = (0..outputs).map(mean).collect();
        Ok(Residual { inputs: &self.both(layer.inputs[0])?.rounded, missing })
    }

    /// Goes through `layer`, which makes `exact` in float and whose integers mean `meant`, in steps of `steps`.
    pub fn advance(
        &mut self,
        layer: &Layer,
        exact: Values,
        meant: &Op,
        steps: Quantization,
    ) -> Result<(), ImportError> {
        let rounded = self.through(layer, meant, |both| &both.rounded)?;
        let finish = |values: Values, last: &(dyn Fn(f32) -> f32 + Sync)| -> Values {
            values.into_par_iter().map(|of| of.into_iter().map(last).collect()).collect()
        };
        let Clamp { lo, hi } = layer.clamp;
        let exact = finish(exact, &|v| v.clamp(lo, hi));
        // The ends of the steps are the cut.
        let rounded = finish(rounded, &|v| steps.nearest(v));
        for &input in &layer.inputs {
            self.readers[input] -= 1;
            if self.readers[input] == 0 {
                self.held[input] = None;
            }
        }
        self.held[layer.output] = Some(Both { exact, rounded });
        Ok(())
    }

    /// What `op` in the place of `layer` makes of one side's inputs.
    fn through(
        &self,
        layer: &Layer,
        op: &Op,
        side: impl Fn(&Both) -> &Values + Sync,
    ) -> Result<Values, ImportError> {
        let held: Vec<&Both> = layer.inputs.iter().map(|&t| self.both(t)).collect::<Result<_, _>>()?;
        if let Op::Conv(conv) = op {
            let runner = self.runner(layer, conv)?;
            return side(held[0]).par_iter().map(|values| run(&runner, values)).collect();
        }
        let shapes: Vec<&Map> = layer.inputs.iter().map(|&t| &self.graph.tensors[t]).collect();
        let output = &self.graph.tensors[layer.output];
        let crop = |at: usize| {
            let inputs: Vec<&[f32]> = held.iter().map(|both| side(both)[at].as_slice()).collect();
            op.apply(&inputs, &shapes, output).ok_or_else(|| ImportError::Runtime {
                graph: "float",
                why: format!("layer {:?} has inputs that it cannot have", layer.name),
            })
        };
        (0..side(held[0]).len()).into_par_iter().map(crop).collect()
    }

    /// `conv` alone, cut nowhere.
    fn runner(&self, layer: &Layer, conv: &Conv) -> Result<FloatRunner, ImportError> {
        let tensors = [layer.inputs[0], layer.output].map(|t| self.graph.tensors[t].clone()).to_vec();
        let (op, clamp) = (Op::Conv(conv.clone()), Clamp::NONE);
        let alone = Layer { op, clamp, inputs: vec![0], output: 1, ..layer.clone() };
        let (layers, outputs, task) = (vec![alone], vec![1], self.graph.task);
        FloatRunner::new(&FloatGraph { tensors, layers, outputs, task }, &[1])
    }
}

fn run(runner: &FloatRunner, values: &[f32]) -> Result<Vec<f32>, ImportError> {
    Ok(runner.run(values)?.concat())
}
