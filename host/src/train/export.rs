//! A trained network as float ONNX, batch normalisation folded into the convolutions.

use burn::tensor::Tensor;
use tract_onnx::pb::{ModelProto, tensor_proto::DataType};

use crate::net::{Activation, ConvBn, Kind, Net, NetConfig};
use crate::onnx::build::{GraphBuilder, int, ints, value};
use crate::onnx::metadata::FloatInput;

use super::state::floats;

/// Writes `net` (from `valid()`, so that its statistics are complete) with the operators Conv, Relu or PRelu, Add, Flatten.
///
/// Input "pixels" [1, planes, rows, columns], normalised as `input` says; output "embedding" [1, d], not of unit length.
pub fn export(net: &Net, config: &NetConfig, input: &FloatInput, name: &str) -> ModelProto {
    let mut graph = GraphBuilder::new();
    let mut last = conv(&mut graph, &net.stem, "stem", "pixels");
    last = conv(&mut graph, &net.stem_depthwise, "stem_depthwise", &last);
    for (i, block) in net.blocks.iter().enumerate() {
        let before = last;
        last = conv(&mut graph, &block.up, &format!("block{i}_up"), &before);
        last = conv(&mut graph, &block.depthwise, &format!("block{i}_depthwise"), &last);
        last = conv(&mut graph, &block.down, &format!("block{i}_down"), &last);
        if block.residual {
            last = graph.node("Add", &[&last, &before], &format!("block{i}"), vec![]);
        }
    }
    last = conv(&mut graph, &net.head, "head", &last);
    last = conv(&mut graph, &net.pool, "pool", &last);
    last = conv(&mut graph, &net.embedding, "linear", &last);
    graph.node("Flatten", &[&last], "embedding", vec![int("axis", 1)]);
    let [columns, rows] = config.input;
    let pixels = value("pixels", DataType::Float, &[1, config.planes(), rows, columns]);
    let embedding = value("embedding", DataType::Float, &[1, config.embedding]);
    let mut model = graph.finish(name, vec![pixels], vec![embedding]);
    input.store(&mut model);
    model
}

/// Adds a convolution with its normalisation folded in, and its activation; returns the output's name.
fn conv(graph: &mut GraphBuilder, layer: &ConvBn, name: &str, input: &str) -> String {
    let (shape, weight, bias) = folded(layer);
    let [cout, _, kh, kw] = shape;
    let (stride, pad, group) = match layer.kind {
        Kind::Stem => (2, 1, 1),
        Kind::Pointwise => (1, 0, 1),
        Kind::Depthwise { stride } => (stride as i64, 1, cout as i64),
        Kind::Global { .. } => (1, 0, cout as i64),
    };
    let weight = graph.f32s(&format!("{name}_weight"), &shape, &weight);
    let bias = graph.f32s(&format!("{name}_bias"), &[cout], &bias);
    let attributes = vec![
        ints("kernel_shape", &[kh as i64, kw as i64]),
        ints("strides", &[stride; 2]),
        ints("pads", &[pad; 4]),
        int("group", group),
    ];
    let out = graph.node("Conv", &[input, &weight, &bias], &format!("{name}_conv"), attributes);
    match (layer.activation, &layer.slopes) {
        (Activation::Relu, _) => graph.node("Relu", &[&out], &format!("{name}_relu"), vec![]),
        (Activation::Prelu, Some(slopes)) => {
            let slopes = graph.f32s(&format!("{name}_slope"), &[cout, 1, 1], &floats(&slopes.val()));
            graph.node("PRelu", &[&out, &slopes], &format!("{name}_prelu"), vec![])
        }
        _ => out,
    }
}

/// Shape, weights and biases of `gamma (w x - mean) / sqrt(variance + epsilon) + beta`, worked out in f64.
fn folded(layer: &ConvBn) -> ([usize; 4], Vec<f32>, Vec<f32>) {
    let norm = &layer.norm;
    let f64s = |t: Tensor<1>| floats(&t).into_iter().map(f64::from).collect::<Vec<_>>();
    let (gamma, beta) = (f64s(norm.gamma.val()), f64s(norm.beta.val()));
    let (mean, variance) = (f64s(norm.running_mean.value()), f64s(norm.running_var.value()));
    let shape = layer.weight.val().dims();
    let weight = floats(&layer.weight.val());
    let per_channel = weight.len() / shape[0];
    let factor: Vec<f64> = gamma.iter().zip(&variance).map(|(g, v)| g / (v + norm.epsilon).sqrt()).collect();
    let weight = weight.iter().enumerate().map(|(i, &w)| (f64::from(w) * factor[i / per_channel]) as f32);
    let bias = (0..shape[0]).map(|c| (beta[c] - mean[c] * factor[c]) as f32);
    (shape, weight.collect(), bias.collect())
}
