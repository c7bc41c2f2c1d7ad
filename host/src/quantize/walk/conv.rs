//! Convolutions: QLinearConv with a scale for each output channel's weights.

use super::super::conv::{self, QuantizedConv};
use super::super::lattice::Quantization;
use super::super::range::Rule;
use super::super::rounding::Rounding;
use super::super::twin::Residual;
use super::{Done, ImportError, Walk, fits, lattice};
use crate::onnx::float::{Conv, Layer, Map, Op, conv_attributes};

/// How a convolution's weights become levels.
pub(super) struct Weights {
    /// Wanted, one an output.
    scales: Vec<f64>,
    rounding: Rounding,
}

impl Weights {
    pub fn learnt(conv: &Conv, scales: &[f32]) -> Self {
        Weights { scales: scales.iter().map(|&s| f64::from(s)).collect(), rounding: Rounding::nearest(conv) }
    }

    pub fn calibrated(conv: &Conv, map: &Map, residual: &Residual<'_>) -> Self {
        Weights { scales: conv::wanted_scales(conv), rounding: Rounding::learn(conv, map, residual) }
    }
}

impl Walk<'_> {
    pub(super) fn conv(
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
}
