//! The walk through the graph that writes the int8 ONNX: each tensor's scale is final before what consumes it is placed.

mod conv;
mod moves;
mod pointwise;

use std::collections::HashSet;

use arcgate_firmware::model::Task;
use tract_onnx::pb::{ModelProto, tensor_proto::DataType};

use super::calibrate::Observed;
use super::input::Picture;
use super::lattice::{Quantization, place_table_scale};
use super::range::{self, Rule, Seen};
use super::twin::Twin;
use super::{ImportError, LayerRow, Progress, Ranges, equalize};
use crate::onnx::build::{GraphBuilder, int, value};
use crate::onnx::float::{self, Clamp, FloatGraph, Layer, Op, TensorId};
use conv::Weights;

/// What is known of a layer once it is written.
struct Done {
    name: String,
    quantization: Quantization,
    moved: f64,
    dead: usize,
}

/// A tensor of the int8 graph.
#[derive(Clone)]
struct Int8 {
    name: String,
    quantization: Quantization,
}

struct Walk<'a> {
    graph: &'a FloatGraph,
    builder: GraphBuilder,
    names: HashSet<String>,
    made: Vec<Option<Int8>>,
    rows: Vec<LayerRow>,
    meant: Vec<Op>,
    /// The scales of the weights that make each tensor.
    weights: Vec<Vec<f32>>,
}

/// What the walk writes.
pub(super) struct Quantized {
    /// The int8 graph.
    pub model: ModelProto,
    /// The input's, then each layer's.
    pub rows: Vec<LayerRow>,
    /// Each layer with the values that its integers stand for.
    pub meant: Vec<Op>,
    /// The steps of every tensor.
    pub steps: Vec<Quantization>,
    /// The scales of the weights that make each tensor, one an output; none where no convolution does.
    pub weights: Vec<Vec<f32>>,
}

/// The int8 graph of `graph`, in `learnt` ranges where there are any: then weights go to the nearest level.
pub(super) fn quantize(
    graph: &FloatGraph,
    observed: &[Observed],
    picture: &Picture,
    crops: &[Vec<u8>],
    learnt: Option<&Ranges>,
    progress: &dyn Fn(Progress),
) -> Result<Quantized, ImportError> {
    let outputs: Vec<String> = match graph.task {
        Task::Embedding => vec!["embedding".into()],
        Task::Detection => float::map_names().collect(),
    };
    let mut walk = Walk {
        graph,
        builder: GraphBuilder::new(),
        names: outputs.iter().cloned().chain(["pixels".into()]).collect(),
        made: vec![None; graph.tensors.len()],
        rows: Vec::new(),
        meant: Vec::new(),
        weights: vec![Vec::new(); graph.tensors.len()],
    };
    walk.input(picture)?;
    if let Some(ranges) = learnt {
        walk.same_input(ranges.tensors[0])?;
    }
    let mut twin = Twin::new(graph, crops, picture, walk.tensor(0)?.quantization);
    let importance = equalize::importance(graph, observed);
    for (done, layer) in graph.layers.iter().enumerate() {
        progress(Progress::Quantizing(done, graph.layers.len()));
        let exact = twin.exact(layer)?;
        let choose = || match learnt {
            Some(ranges) => (Rule::Learnt, ranges.tensors[layer.output]),
            None => range::choose(&Seen {
                observed: &observed[layer.output],
                clamp: layer.clamp,
                values: &exact,
                importance: &importance[layer.output],
                symmetric: graph.is_embedding(layer.output),
            }),
        };
        let meant = match &layer.op {
            Op::Conv(conv) => {
                let weights = match learnt {
                    Some(ranges) => Weights::learnt(conv, &ranges.weights[layer.output]),
                    None => {
                        let residual = twin.residual(layer, &exact)?;
                        Weights::calibrated(conv, &graph.tensors[layer.inputs[0]], &residual)
                    }
                };
                walk.conv(layer, conv, choose(), &weights)
            }
            Op::Add => walk.sum(layer, choose()),
            Op::Slope(slopes) => walk.slope(layer, slopes, choose()),
            Op::Curve(curve) => walk.curve(layer, *curve, choose()),
            Op::Product => walk.product(layer, choose()),
            Op::Concat => walk.concat(layer, choose()),
            Op::MaxPool(pool) => walk.max_pool(layer, pool),
            Op::Upsample(factors) => walk.upsample(layer, *factors),
        }?;
        twin.advance(layer, exact, &meant, walk.tensor(layer.output)?.quantization)?;
        walk.meant.push(meant);
    }
    progress(Progress::Quantizing(graph.layers.len(), graph.layers.len()));
    let steps = (0..graph.tensors.len()).map(|id| Ok(walk.tensor(id)?.quantization));
    let steps = steps.collect::<Result<_, ImportError>>()?;
    walk.outputs(&outputs)?;
    let pixels = value("pixels", DataType::Uint8, &[1, picture.channels, picture.height, picture.width]);
    let given = outputs.iter().zip(&graph.outputs).map(|(name, &output)| {
        let map = &graph.tensors[output];
        match graph.task {
            Task::Embedding => value(name, DataType::Int8, &[1, map.channels]),
            Task::Detection => value(name, DataType::Float, &[1, map.channels, map.height, map.width]),
        }
    });
    let model = walk.builder.finish("arcgate", vec![pixels], given.collect());
    Ok(Quantized { model, rows: walk.rows, meant: walk.meant, steps, weights: walk.weights })
}

impl Walk<'_> {
    /// A name that nothing in the graph has yet.
    fn name(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut k = 2;
        while !self.names.insert(name.clone()) {
            name = format!("{wanted}_{k}");
            k += 1;
        }
        name
    }

    fn scalars(&mut self, prefix: &str, q: Quantization) -> [String; 2] {
        let [scale, zero_point] = ["scale", "zero_point"].map(|what| format!("{prefix}_{what}"));
        let (scale, zero_point) = (self.name(&scale), self.name(&zero_point));
        self.builder.f32s(&scale, &[], &[q.scale]);
        self.builder.i8s(&zero_point, &[], &[q.zero_point]);
        [scale, zero_point]
    }

    fn tensor(&self, id: TensorId) -> Result<Int8, ImportError> {
        self.made[id].clone().ok_or_else(|| ImportError::Runtime {
            graph: "int8",
            why: format!("tensor {:?} is read before it is made", self.graph.tensors[id].name),
        })
    }

    fn finish(&mut self, id: TensorId, op: &str, rule: Rule, done: Done) {
        let Done { name, quantization, moved, dead } = done;
        let map = &self.graph.tensors[id];
        self.rows.push(LayerRow {
            name: name.clone(),
            op: op.into(),
            shape: [map.channels, map.height, map.width],
            scale: quantization.scale,
            zero_point: quantization.zero_point,
            rule,
            moved,
            dead,
        });
        self.made[id] = Some(Int8 { name, quantization });
    }

    /// Cast, Sub, Mul, QuantizeLinear: 256 values a plane, every one away from a rounding boundary.
    fn input(&mut self, picture: &Picture) -> Result<(), ImportError> {
        let table = picture.table();
        let lo = table.iter().copied().fold(0.0, f32::min);
        let hi = table.iter().copied().fold(0.0, f32::max);
        let wanted = Quantization { scale: (hi - lo) / 255.0, zero_point: 0 };
        let (scale, moved) = place_table_scale(wanted.scale, &table).ok_or_else(|| ImportError::Lattice {
            layer: self.graph.input().name.clone(),
            op: "input".into(),
            problem: format!(
                "no scale near {} keeps the pixels' table off the rounding boundaries",
                wanted.scale
            ),
            accepted: "another mean or std",
        })?;
        let zero_point = (-128.0 - lo / scale).round_ties_even().clamp(-128.0, 127.0) as i8;
        let q = Quantization { scale, zero_point };
        let per_plane = [picture.channels, 1, 1];
        let [mean, factor] = ["input_mean", "input_factor"].map(|n| self.name(n));
        let [scale, zero_point] = self.scalars("input", q);
        let [cast, centred, scaled, input] =
            ["input/cast", "input/centred", "input/scaled", "input"].map(|n| self.name(n));
        let g = &mut self.builder;
        g.f32s(&mean, &per_plane, &picture.mean);
        g.f32s(&factor, &per_plane, &picture.factor);
        g.node("Cast", &["pixels"], &cast, vec![int("to", DataType::Float as i64)]);
        g.node("Sub", &[&cast, &mean], &centred, vec![]);
        g.node("Mul", &[&centred, &factor], &scaled, vec![]);
        g.node("QuantizeLinear", &[&scaled, &scale, &zero_point], &input, vec![]);
        self.finish(0, "pixels", Rule::Pixels, Done { name: input, quantization: q, moved, dead: 0 });
        Ok(())
    }

    /// Checks that ranges were learnt on pixels that mean what these do.
    fn same_input(&self, learnt: Quantization) -> Result<(), ImportError> {
        let own = self.tensor(0)?.quantization;
        if own == learnt {
            return Ok(());
        }
        let problem = format!("the pixels' steps are {learnt:?}, those of this mean and std {own:?}");
        Err(ImportError::Ranges { problem, accepted: "the mean and std that the model was trained with" })
    }

    /// The embedding in one row; a detector's maps as the real values that they stand for.
    fn outputs(&mut self, names: &[String]) -> Result<(), ImportError> {
        for (name, &output) in names.iter().zip(&self.graph.outputs) {
            let Int8 { name: last, quantization } = self.tensor(output)?;
            match self.graph.task {
                Task::Embedding => {
                    let shape = self.name("embedding/shape");
                    self.builder.i64s(&shape, &[2], &[1, -1]);
                    self.builder.node("Reshape", &[&last, &shape], name, vec![]);
                }
                Task::Detection => {
                    let [scale, zero_point] = self.scalars(name, quantization);
                    self.builder.node("DequantizeLinear", &[&last, &scale, &zero_point], name, vec![]);
                }
            }
        }
        Ok(())
    }
}

/// Checks that the steps of int8 end where the layer is cut, to half a step.
fn fits(layer: &Layer, q: Quantization) -> Result<(), ImportError> {
    let end = |step: i32| (step - q.zero_point as i32) as f32;
    let slack = 0.5 + 1e-3;
    let Clamp { lo, hi } = layer.clamp;
    if end(-128) < lo / q.scale - slack || end(127) > hi / q.scale + slack {
        let problem = format!("steps of {} are too coarse for a cut to {lo} ... {hi}", q.scale);
        return Err(lattice(layer, problem, "weights and activations of ordinary sizes"));
    }
    Ok(())
}

fn lattice(layer: &Layer, problem: String, accepted: &'static str) -> ImportError {
    ImportError::Lattice { layer: layer.name.clone(), op: layer.kind.clone(), problem, accepted }
}
