//! A [`FloatGraph`] back as ONNX with chosen tensors as outputs, for tract to run.

use tract_onnx::pb::{ModelProto, ValueInfoProto, tensor_proto::DataType};

use super::{Clamp, Conv, FloatGraph, Layer, Op, TensorId};
use crate::onnx::build::{GraphBuilder, float, int, ints, value};

impl FloatGraph {
    /// The graph with everything folded, its input FLOAT [1, C, H, W] and `outputs` in that order.
    ///
    /// Every name and shape in it is arcgate's own, so it is well-formed whatever file the graph came from.
    pub fn to_onnx(&self, outputs: &[TensorId]) -> ModelProto {
        let mut g = GraphBuilder::new();
        for layer in &self.layers {
            emit(&mut g, layer, self);
        }
        let shaped = |t: &TensorId| {
            let map = &self.tensors[*t];
            value(&name(*t), DataType::Float, &[1, map.channels, map.height, map.width])
        };
        let outputs: Vec<ValueInfoProto> = outputs.iter().map(shaped).collect();
        g.finish("float", vec![shaped(&0)], outputs)
    }
}

fn name(tensor: TensorId) -> String {
    format!("t{tensor}")
}

fn emit(g: &mut GraphBuilder, layer: &Layer, graph: &FloatGraph) {
    let output = name(layer.output);
    let inputs: Vec<String> = layer.inputs.iter().map(|&t| name(t)).collect();
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
