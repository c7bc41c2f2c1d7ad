//! The walk through the graph that writes the int8 ONNX: each tensor's scale is final before what consumes it is placed.

use std::collections::HashSet;

use arcgate_firmware::engine::Task;
use tract_onnx::pb::{ModelProto, tensor_proto::DataType};

use super::calibrate::Observed;
use super::conv::{self, QuantizedConv};
use super::input::Picture;
use super::lattice::{
    Quantization, TABLE_MARGIN, place_product_scale, place_sum_scale, place_table_scale, table_margin,
};
use super::range::{self, Rule, Seen};
use super::rounding::Rounding;
use super::twin::{Residual, Twin};
use super::{ImportError, LayerRow, Progress, Ranges, equalize};
use crate::onnx::build::{self, GraphBuilder, int, value};
use crate::onnx::float::{
    self, Clamp, Conv, Curve, FloatGraph, Layer, Map, Op, Pool, TensorId, conv_attributes,
};

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

/// How a convolution's weights become levels.
struct Weights {
    /// Wanted, one an output.
    scales: Vec<f64>,
    rounding: Rounding,
}

impl Weights {
    fn learnt(conv: &Conv, scales: &[f32]) -> Self {
        Weights { scales: scales.iter().map(|&s| f64::from(s)).collect(), rounding: Rounding::nearest(conv) }
    }

    fn calibrated(conv: &Conv, map: &Map, residual: &Residual<'_>) -> Self {
        Weights { scales: conv::wanted_scales(conv), rounding: Rounding::learn(conv, map, residual) }
    }
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

    fn conv(
        &mut self,
        layer: &Layer,
        conv: &Conv,
        (rule, mut output): (Rule, Quantization),
        weights: &Weights,
    ) -> Result<Op, ImportError> {
        let input = self.tensor(layer.inputs[0])?;
        let least = conv::least_output_scale(&weights.scales, input.quantization.scale);
        output.scale = output.scale.max(least);
        fits(layer, output)?;
        let Weights { scales, rounding } = weights;
        let quantized = conv::quantize(conv, scales, rounding, input.quantization, output);
        let QuantizedConv { weights, scales, bias, moved, dead } =
            quantized.map_err(|(channel, requant)| {
                let problem = format!(
                    "channel {channel} wants the requantization scale {requant:e}, which is not placed"
                );
                lattice(layer, problem, "weights, biases and activations of ordinary sizes")
            })?;
        let name = self.name(&layer.name);
        let [xs, xz] = self.scalars(&format!("{name}/x"), input.quantization);
        let [ys, yz] = self.scalars(&format!("{name}/y"), output);
        let [w, ws, wz, b] =
            ["w", "w_scale", "w_zero_point", "bias"].map(|n| self.name(&format!("{name}/{n}")));
        let outputs = conv.outputs;
        let meant = Op::Conv(conv::meant(conv, &weights, &scales, &bias, input.quantization.scale));
        let g = &mut self.builder;
        g.i8s(&w, &[outputs, conv.inputs_per_group, conv.kernel[0], conv.kernel[1]], &weights);
        g.f32s(&ws, &[outputs], &scales);
        g.i8s(&wz, &[outputs], &vec![0; outputs]);
        g.i32s(&b, &[outputs], &bias);
        let inputs = [&input.name, &xs, &xz, &w, &ws, &wz, &ys, &yz, &b].map(String::as_str);
        g.node("QLinearConv", &inputs, &name, conv_attributes(conv));
        self.weights[layer.output] = scales;
        self.finish(layer.output, &layer.kind, rule, Done { name, quantization: output, moved, dead });
        Ok(meant)
    }

    fn sum(&mut self, layer: &Layer, (rule, mut output): (Rule, Quantization)) -> Result<Op, ImportError> {
        let (a, b) = (self.tensor(layer.inputs[0])?, self.tensor(layer.inputs[1])?);
        // Two products must fit an i32.
        output.scale = output.scale.max((a.quantization.scale + b.quantization.scale) / 7.5);
        let (scale, _, moved) = place_sum_scale(a.quantization, b.quantization, output).ok_or_else(|| {
            let (a, b, y) = (a.quantization.scale, b.quantization.scale, output.scale);
            let problem = format!("no output scale near {y} suits a sum of steps of {a} and {b}");
            lattice(layer, problem, "operands whose ranges are within a factor of 100,000")
        })?;
        output.scale = scale;
        fits(layer, output)?;
        let name = self.name(&layer.name);
        self.combine(&name, "Add", [&a, &b], output);
        self.finish(layer.output, &layer.kind, rule, Done { name, quantization: output, moved, dead: 0 });
        Ok(Op::Add)
    }

    /// A function of (channel, int8): every entry of its table stays off the rounding boundaries.
    fn slope(
        &mut self,
        layer: &Layer,
        slopes: &[f32],
        (rule, mut output): (Rule, Quantization),
    ) -> Result<Op, ImportError> {
        let input = self.tensor(layer.inputs[0])?;
        let steps = |slope: f32| move |q: i32| (q - input.quantization.zero_point as i32) as f32 * slope;
        let real = |q: i32| steps(input.quantization.scale)(q);
        let positive = (-128..=127).map(real).filter(|&v| v >= 0.0);
        let negative: Vec<f32> = (-128..=127).map(real).filter(|&v| v < 0.0).collect();
        let shared = slopes.len() == 1;
        let values: Vec<f32> = match slopes {
            &[slope] => positive.chain(negative.iter().map(|v| v * slope)).collect(),
            _ => positive.collect(),
        };
        let wanted = output.scale;
        let unplaced = || {
            let problem = format!("no scale near {wanted} keeps its table off the rounding boundaries");
            lattice(layer, problem, "slopes and activations of ordinary sizes")
        };
        let (scale, mut moved) = place_table_scale(output.scale, &values).ok_or_else(unplaced)?;
        output.scale = scale;
        fits(layer, output)?;
        let name = self.name(&layer.name);
        let [xs, xz] = self.scalars(&format!("{name}/x"), input.quantization);
        let [ys, yz] = self.scalars(&format!("{name}/y"), output);
        let [before, after] = ["x", "sloped"].map(|n| self.name(&format!("{name}/{n}")));
        self.builder.node("DequantizeLinear", &[&input.name, &xs, &xz], &before, vec![]);
        let meant = if shared {
            self.builder.node("LeakyRelu", &[&before], &after, vec![build::float("alpha", slopes[0])]);
            Op::Slope(slopes.to_vec())
        } else {
            // With the scale settled for the half that all channels share, each channel's slope is placed by itself.
            let placed: Option<Vec<(f32, f64)>> =
                slopes.iter().map(|&s| place_slope(s, &negative, scale)).collect();
            let placed = placed.ok_or_else(unplaced)?;
            moved = placed.iter().map(|p| p.1).fold(moved, f64::max);
            let values: Vec<f32> = placed.iter().map(|p| p.0).collect();
            let constant = self.name(&format!("{name}/slopes"));
            self.builder.f32s(&constant, &[slopes.len(), 1, 1], &values);
            self.builder.node("PRelu", &[&before, &constant], &after, vec![]);
            Op::Slope(values)
        };
        self.builder.node("QuantizeLinear", &[&after, &ys, &yz], &name, vec![]);
        self.finish(layer.output, &layer.kind, rule, Done { name, quantization: output, moved, dead: 0 });
        Ok(meant)
    }

    /// A function of int8, the same for all channels: every entry of its table stays off the rounding boundaries, by more than the
    /// runtimes' own forms of the curve differ.
    fn curve(
        &mut self,
        layer: &Layer,
        curve: Curve,
        (rule, mut output): (Rule, Quantization),
    ) -> Result<Op, ImportError> {
        let input = self.tensor(layer.inputs[0])?;
        let Quantization { scale, zero_point } = input.quantization;
        let real = |q: i32| (q - i32::from(zero_point)) as f32 * scale;
        let values: Vec<f32> = (-128..=127).map(|q| curve.at(real(q))).collect();
        let placed = place_table_scale(output.scale, &values);
        let (scale, moved) = placed.ok_or_else(|| {
            let problem =
                format!("no scale near {} keeps its table off the rounding boundaries", output.scale);
            lattice(layer, problem, "activations of ordinary sizes")
        })?;
        output.scale = scale;
        fits(layer, output)?;
        let name = self.name(&layer.name);
        let [xs, xz] = self.scalars(&format!("{name}/x"), input.quantization);
        let [ys, yz] = self.scalars(&format!("{name}/y"), output);
        let [before, after] = ["x", "bent"].map(|n| self.name(&format!("{name}/{n}")));
        self.builder.node("DequantizeLinear", &[&input.name, &xs, &xz], &before, vec![]);
        float::curve(&mut self.builder, curve, &before, &after);
        self.builder.node("QuantizeLinear", &[&after, &ys, &yz], &name, vec![]);
        self.finish(layer.output, &layer.kind, rule, Done { name, quantization: output, moved, dead: 0 });
        Ok(Op::Curve(curve))
    }

    fn product(
        &mut self,
        layer: &Layer,
        (rule, mut output): (Rule, Quantization),
    ) -> Result<Op, ImportError> {
        let (a, b) = (self.tensor(layer.inputs[0])?, self.tensor(layer.inputs[1])?);
        let placed = place_product_scale(a.quantization, b.quantization, output);
        let (scale, moved) = placed.ok_or_else(|| {
            let (a, b, y) = (a.quantization.scale, b.quantization.scale, output.scale);
            let problem = format!("no output scale near {y} suits a product of steps of {a} and {b}");
            lattice(layer, problem, "activations of ordinary sizes")
        })?;
        output.scale = scale;
        fits(layer, output)?;
        let name = self.name(&layer.name);
        self.combine(&name, "Mul", [&a, &b], output);
        self.finish(layer.output, &layer.kind, rule, Done { name, quantization: output, moved, dead: 0 });
        Ok(Op::Product)
    }

    /// Two tensors dequantized, an operator, and its output `name` quantized.
    fn combine(&mut self, name: &str, operator: &str, operands: [&Int8; 2], output: Quantization) {
        let mut reals = Vec::new();
        for (operand, x) in ["a", "b"].into_iter().zip(operands) {
            let [s, z] = self.scalars(&format!("{name}/{operand}"), x.quantization);
            let real = self.name(&format!("{name}/{operand}"));
            reals.push(self.builder.node("DequantizeLinear", &[&x.name, &s, &z], &real, vec![]));
        }
        let [ys, yz] = self.scalars(&format!("{name}/y"), output);
        let exact = if operator == "Add" { "sum" } else { "product" };
        let real = self.name(&format!("{name}/{exact}"));
        self.builder.node(operator, &[&reals[0], &reals[1]], &real, vec![]);
        self.builder.node("QuantizeLinear", &[&real, &ys, &yz], name, vec![]);
    }

    /// Every operand in the output's steps: each a table that stays off the rounding boundaries.
    fn concat(&mut self, layer: &Layer, (rule, mut output): (Rule, Quantization)) -> Result<Op, ImportError> {
        let inputs: Vec<Int8> = layer.inputs.iter().map(|&t| self.tensor(t)).collect::<Result<_, _>>()?;
        let reals =
            |q: Quantization| (-128..=127).map(move |x| (x - i32::from(q.zero_point)) as f32 * q.scale);
        let values: Vec<f32> = inputs.iter().flat_map(|input| reals(input.quantization)).collect();
        let (scale, moved) = place_table_scale(output.scale, &values).ok_or_else(|| {
            let problem =
                format!("no scale near {} keeps its tables off the rounding boundaries", output.scale);
            lattice(layer, problem, "operands of like ranges")
        })?;
        output.scale = scale;
        let name = self.name(&layer.name);
        let mut operands = Vec::new();
        for (at, x) in inputs.iter().enumerate() {
            let [xs, xz] = self.scalars(&format!("{name}/{at}/x"), x.quantization);
            let [ys, yz] = self.scalars(&format!("{name}/{at}/y"), output);
            let [real, rounded] = ["real", "rounded"].map(|n| self.name(&format!("{name}/{at}/{n}")));
            self.builder.node("DequantizeLinear", &[&x.name, &xs, &xz], &real, vec![]);
            operands.push(self.builder.node("QuantizeLinear", &[&real, &ys, &yz], &rounded, vec![]));
        }
        let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
        self.builder.node("Concat", &operands, &name, vec![int("axis", 1)]);
        self.finish(layer.output, &layer.kind, rule, Done { name, quantization: output, moved, dead: 0 });
        Ok(Op::Concat)
    }

    fn max_pool(&mut self, layer: &Layer, pool: &Pool) -> Result<Op, ImportError> {
        let input = self.tensor(layer.inputs[0])?;
        let name = self.name(&layer.name);
        self.builder.node("MaxPool", &[&input.name], &name, float::pool_attributes(pool));
        self.keep(layer, name, input.quantization);
        Ok(layer.op.clone())
    }

    fn upsample(&mut self, layer: &Layer, factors: [usize; 2]) -> Result<Op, ImportError> {
        let input = self.tensor(layer.inputs[0])?;
        let name = self.name(&layer.name);
        let scales = self.name(&format!("{name}/scales"));
        float::upsample_factors(&mut self.builder, &scales, factors);
        self.builder.node("Resize", &[&input.name, "", &scales], &name, float::upsample_attributes());
        self.keep(layer, name, input.quantization);
        Ok(layer.op.clone())
    }

    /// A layer that moves values as they are.
    fn keep(&mut self, layer: &Layer, name: String, quantization: Quantization) {
        self.finish(layer.output, &layer.kind, Rule::Kept, Done { name, quantization, moved: 0.0, dead: 0 });
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

/// The slope nearest to `wanted` that keeps `negative` values times it off the rounding boundaries, and its relative move.
fn place_slope(wanted: f32, negative: &[f32], scale: f32) -> Option<(f32, f64)> {
    (0..20_000i32).find_map(|k| {
        let moved = (k + 1) / 2 * if k % 2 == 1 { 1 } else { -1 };
        let moved = moved as f64 * 1e-6;
        let slope = (wanted as f64 * (1.0 + moved)) as f32;
        let values: Vec<f32> = negative.iter().map(|v| v * slope).collect();
        (table_margin(&values, scale) >= TABLE_MARGIN).then_some((slope, moved.abs()))
    })
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
