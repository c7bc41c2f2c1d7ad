//! A [`FloatGraph`] back as ONNX with chosen tensors as outputs and some of them rounded, for tract to run.

use tract_onnx::pb::{ModelProto, ValueInfoProto, tensor_proto::DataType};

use std::collections::HashMap;

use super::{Clamp, Conv, Curve, FloatGraph, Layer, Op, TensorId};
use crate::onnx::build::{GraphBuilder, float, int, ints, value};
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
        Op::Curve(curve) => {
            let (operator, attributes) = curve_node(*curve);
            g.node(operator, &[&inputs[0]], &raw, attributes);
        }
        Op::Slope(slopes) => {
            let channels = graph.tensors[layer.output].channels;
            let s = g.f32s(&format!("{output}_s"), &[channels, 1, 1], slopes);
            g.node("PRelu", &[&inputs[0], &s], &raw, vec![]);
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

/// The operator and the attributes of a curve.
pub fn curve_node(curve: Curve) -> (&'static str, Vec<tract_onnx::pb::AttributeProto>) {
    match curve {
        Curve::Sigmoid => ("Sigmoid", vec![]),
        Curve::HardSigmoid { alpha, beta } => {
            ("HardSigmoid", vec![float("alpha", alpha), float("beta", beta)])
        }
        Curve::HardSwish => ("HardSwish", vec![]),
    }
}

/// The attributes that a Conv and a QLinearConv share.
pub fn conv_attributes(conv: &Conv) -> Vec<tract_onnx::pb::AttributeProto> {
    let wide = |values: &[usize]| -> Vec<i64> { values.iter().map(|&v| v as i64).collect() };
    vec![
        ints("dilations", &[1, 1]),
        int("group", conv.group as i64),
        ints("kernel_shape", &wide(&conv.kernel)),
        ints("pads", &wide(&conv.pads)),
        ints("strides", &wide(&conv.strides)),
    ]
}
