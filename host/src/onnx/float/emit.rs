//! A [`FloatGraph`] back as ONNX with chosen tensors as outputs and some of them rounded, for tract to run.

use tract_onnx::pb::{ModelProto, ValueInfoProto, tensor_proto::DataType};

use std::collections::HashMap;

use super::{Clamp, Conv, Curve, FloatGraph, Layer, Op, Pool, TensorId};
use crate::onnx::build::{GraphBuilder, float, int, ints, text, value};
use crate::quantize::lattice::Quantization;

impl FloatGraph {
    /// The graph with everything folded, its input FLOAT [1, C, H, W] and `outputs` in that order.
    ///
    /// Every name and shape in it is arcgate's own, so it is well-formed whatever file the graph came from.
    pub fn to_onnx(&self, outputs: &[TensorId]) -> ModelProto {
        self.to_onnx_rounding(outputs, &HashMap::new())
    }

    /// [`FloatGraph::to_onnx`] with tensors rounded to steps and cut to the steps of int8, still as floats.
    pub fn to_onnx_rounding(
        &self,
        outputs: &[TensorId],
        rounded: &HashMap<TensorId, Quantization>,
    ) -> ModelProto {
        let mut g = GraphBuilder::new();
        for layer in &self.layers {
            emit(&mut g, layer, self, rounded.get(&layer.output));
        }
        let shaped = |t: &TensorId| {
            let map = &self.tensors[*t];
            value(&tensor_name(*t), DataType::Float, &[1, map.channels, map.height, map.width])
        };
        let outputs: Vec<ValueInfoProto> = outputs.iter().map(shaped).collect();
        g.finish("float", vec![shaped(&0)], outputs)
    }
}

/// What a tensor is called in [`FloatGraph::to_onnx`]; before its cut, where it has one, that and `_raw`.
pub fn tensor_name(tensor: TensorId) -> String {
    format!("t{tensor}")
}

fn emit(g: &mut GraphBuilder, layer: &Layer, graph: &FloatGraph, rounded: Option<&Quantization>) {
    let made = tensor_name(layer.output);
    let output = if rounded.is_some() { format!("{made}_exact") } else { made.clone() };
    let inputs: Vec<String> = layer.inputs.iter().map(|&t| tensor_name(t)).collect();
    let cut = layer.clamp != Clamp::NONE;
    let raw = if cut { format!("{output}_raw") } else { output.clone() };
    match &layer.op {
        Op::Conv(conv) => {
            let Conv { outputs, inputs_per_group, kernel: [rows, columns], .. } = *conv;
            let w =
                g.f32s(&format!("{output}_w"), &[outputs, inputs_per_group, rows, columns], &conv.weights);
            let b = g.f32s(&format!("{output}_b"), &[outputs], &conv.bias);
            g.node("Conv", &[&inputs[0], &w, &b], &raw, conv_attributes(conv));
        }
        Op::Add => {
            g.node("Add", &[&inputs[0], &inputs[1]], &raw, vec![]);
        }
        Op::Slope(slopes) if slopes.len() == 1 => {
            g.node("LeakyRelu", &[&inputs[0]], &raw, vec![float("alpha", slopes[0])]);
        }
        Op::Curve(shape) => curve(g, *shape, &inputs[0], &raw),
        Op::Slope(slopes) => {
            let channels = graph.tensors[layer.output].channels;
            let s = g.f32s(&format!("{output}_s"), &[channels, 1, 1], slopes);
            g.node("PRelu", &[&inputs[0], &s], &raw, vec![]);
        }
        Op::MaxPool(pool) => {
            g.node("MaxPool", &[&inputs[0]], &raw, pool_attributes(pool));
        }
        Op::Upsample(factors) => {
            let scales = upsample_factors(g, &format!("{output}_scales"), *factors);
            g.node("Resize", &[&inputs[0], "", &scales], &raw, upsample_attributes());
        }
        Op::Concat => {
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            g.node("Concat", &inputs, &raw, vec![int("axis", 1)]);
        }
        Op::Product => {
            g.node("Mul", &[&inputs[0], &inputs[1]], &raw, vec![]);
        }
    }
    if cut {
        let lo = g.f32s(&format!("{output}_lo"), &[], &[layer.clamp.lo.max(f32::MIN)]);
        let hi = g.f32s(&format!("{output}_hi"), &[], &[layer.clamp.hi.min(f32::MAX)]);
        g.node("Clip", &[&raw, &lo, &hi], &output, vec![]);
    }
    if let Some(q) = rounded {
        round(g, &output, &made, q);
    }
}

/// `output` is `exact` in whole steps of int8.
fn round(g: &mut GraphBuilder, exact: &str, output: &str, q: &Quantization) {
    let [counted, whole, cut] = ["counted", "whole", "cut"].map(|w| format!("{output}_{w}"));
    let zero = f32::from(q.zero_point);
    let scale = g.f32s(&format!("{output}_step"), &[], &[q.scale]);
    let [lo, hi] = [("least", -128.0 - zero), ("most", 127.0 - zero)]
        .map(|(what, value)| g.f32s(&format!("{output}_{what}"), &[], &[value]));
    g.node("Div", &[exact, &scale], &counted, vec![]);
    g.node("Round", &[&counted], &whole, vec![]);
    g.node("Clip", &[&whole, &lo, &hi], &cut, vec![]);
    g.node("Mul", &[&cut, &scale], output, vec![]);
}

/// Adds the operators of a curve; those between are named after `output`.
pub fn curve(g: &mut GraphBuilder, curve: Curve, input: &str, output: &str) {
    match curve {
        Curve::Sigmoid => g.node("Sigmoid", &[input], output, vec![]),
        Curve::HardSigmoid { alpha, beta } => {
            g.node("HardSigmoid", &[input], output, vec![float("alpha", alpha), float("beta", beta)])
        }
        Curve::HardSwish => g.node("HardSwish", &[input], output, vec![]),
        Curve::Silu => {
            let gate = g.node("Sigmoid", &[input], &format!("{output}/gate"), vec![]);
            g.node("Mul", &[input, &gate], output, vec![])
        }
    };
}

/// Adds the factors of a Resize over [1, channels, rows, columns].
pub fn upsample_factors(g: &mut GraphBuilder, name: &str, [rows, columns]: [usize; 2]) -> String {
    g.f32s(name, &[4], &[1.0, 1.0, rows as f32, columns as f32])
}

/// The attributes of a Resize that repeats pixels.
pub fn upsample_attributes() -> Vec<tract_onnx::pb::AttributeProto> {
    let texts =
        [("coordinate_transformation_mode", "asymmetric"), ("mode", "nearest"), ("nearest_mode", "floor")];
    texts.map(|(name, value)| text(name, value)).to_vec()
}

fn wide(values: &[usize]) -> Vec<i64> {
    values.iter().map(|&v| v as i64).collect()
}

/// The attributes of a MaxPool.
pub fn pool_attributes(pool: &Pool) -> Vec<tract_onnx::pb::AttributeProto> {
    vec![
        ints("kernel_shape", &wide(&pool.kernel)),
        ints("pads", &wide(&pool.pads)),
        ints("strides", &wide(&pool.strides)),
    ]
}

/// The attributes that a Conv and a QLinearConv share.
pub fn conv_attributes(conv: &Conv) -> Vec<tract_onnx::pb::AttributeProto> {
    vec![
        ints("dilations", &[1, 1]),
        int("group", conv.group as i64),
        ints("kernel_shape", &wide(&conv.kernel)),
        ints("pads", &wide(&conv.pads)),
        ints("strides", &wide(&conv.strides)),
    ]
}
