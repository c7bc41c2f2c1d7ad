//! A convolution's weights and bias in integers, its weight scales on the lattice.

use rayon::prelude::*;

use super::lattice::{LEAST_SCALE, Placed, Quantization, Steps, place_weight_scale, shift_is_safe};
use super::rounding::Rounding;
use crate::onnx::float::{Conv, ConvKind};

/// What stands in a QLinearConv.
pub(super) struct QuantizedConv {
    pub weights: Vec<i8>,
    pub scales: Vec<f32>,
    pub bias: Vec<i32>,
    /// The largest relative move of a live channel's scale.
    pub moved: f64,
    /// Channels raised to the least requantization scale.
    pub dead: usize,
}

struct Channel {
    weights: Vec<i8>,
    placed: Placed,
    bias: i32,
    dead: bool,
}

/// How much coarser a weight scale is tried after one that is not placed.
const COARSER: f64 = 65.0 / 64.0;

/// The weight scale that uses all of int8, for each output.
pub(super) fn wanted_scales(conv: &Conv) -> Vec<f64> {
    let largest = |w: &[f32]| w.iter().fold(0f32, |m, v| m.max(v.abs())) as f64;
    // A global average is a convolution of ones.
    let levels = if conv.kind == ConvKind::Average { 1.0 } else { 127.0 };
    conv.weights.chunks_exact(conv.taps()).map(|w| largest(w) / levels).collect()
}

/// The least output scale whose requantization scales can all be placed with room for the accumulators.
pub(super) fn least_output_scale(weight_scales: &[f64], input: f32) -> f32 {
    weight_scales.iter().copied().fold(0.0, f64::max) as f32 * input / 16.0
}

/// Quantizes `conv` between two tensors, its weights in steps of about `wanted`, one an output.
///
/// # Errors
/// The channel whose scale cannot be placed, and the requantization scale that it wants.
pub(super) fn quantize(
    conv: &Conv,
    wanted: &[f64],
    rounding: &Rounding,
    input: Quantization,
    output: Quantization,
) -> Result<QuantizedConv, (usize, f64)> {
    let steps = Steps::of_zero_point(output.zero_point);
    let channel = |c: usize| {
        let requant = wanted[c] * input.scale as f64 / output.scale as f64;
        let mut raised = wanted[c];
        // Near the least scale a whole neighbourhood may be off the lattice, and a large bias does not fit a fine scale's
        // accumulator: both want a coarser one.
        for _ in 0..24 {
            let Some(placed) = place_weight_scale(raised, input.scale, output.scale, steps) else {
                raised = raised.max(LEAST_SCALE * output.scale as f64 / input.scale as f64) * COARSER;
                continue;
            };
            let (levels, bias) = rounding.round(conv, c, placed.scale);
            let bias = (bias / (placed.scale as f64 * input.scale as f64)).round();
            // A kernel may take the zero point out of the inputs or into the bias: twice 128 a weight covers both.
            let reach = levels.iter().map(|l| l.unsigned_abs() as i64).sum::<i64>() * 256;
            if bias.abs() < i32::MAX as f64 && shift_is_safe(placed.multiplier, reach + bias.abs() as i64) {
                let dead = requant < LEAST_SCALE;
                return Ok(Channel { weights: levels, placed, bias: bias as i32, dead });
            }
            raised = (placed.scale as f64) * 2.0;
        }
        Err((c, requant))
    };
    let channels: Vec<Channel> = (0..conv.outputs).into_par_iter().map(channel).collect::<Result<_, _>>()?;
    let live = channels.iter().filter(|c| !c.dead);
    Ok(QuantizedConv {
        moved: live.map(|c| c.placed.moved).fold(0.0, f64::max),
        dead: channels.iter().filter(|c| c.dead).count(),
        scales: channels.iter().map(|c| c.placed.scale).collect(),
        bias: channels.iter().map(|c| c.bias).collect(),
        weights: channels.into_iter().flat_map(|c| c.weights).collect(),
    })
}

/// `conv` with the weights and the bias that its integers stand for, over an input of this scale.
pub(super) fn meant(conv: &Conv, weights: &[i8], scales: &[f32], bias: &[i32], input: f32) -> Conv {
    let channels = weights.chunks_exact(conv.taps()).zip(scales);
    let weights = channels.flat_map(|(levels, &scale)| levels.iter().map(move |&l| f32::from(l) * scale));
    let units = bias.iter().zip(scales);
    let bias = units.map(|(&b, &scale)| (f64::from(b) * f64::from(scale) * f64::from(input)) as f32);
    Conv { weights: weights.collect(), bias: bias.collect(), ..conv.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::twin::Residual;
    use super::*;
    use crate::onnx::float::Map;

    fn conv() -> Conv {
        Conv {
            kind: ConvKind::Conv,
            outputs: 1,
            inputs_per_group: 1,
            group: 1,
            kernel: [3, 3],
            strides: [2, 2],
            pads: [1, 1, 1, 1],
            weights: vec![0.013; 9],
            bias: vec![0.0],
        }
    }

    #[test]
    fn a_bias_beyond_the_accumulator_coarsens_the_scale() {
        let q = Quantization { scale: 1e-3, zero_point: 0 };
        let wide = Conv { bias: vec![5e5], ..conv() };
        let map = Map { name: "x".into(), channels: 1, height: 4, width: 4 };
        let residual = Residual { inputs: &[vec![0.5; 16]], missing: vec![0.0] };
        let rounding = Rounding::learn(&wide, &map, &residual);
        let output = Quantization { scale: 1e-2, zero_point: 0 };
        let done = quantize(&wide, &wanted_scales(&wide), &rounding, q, output).unwrap();
        assert!(done.scales[0] as f64 * 1e-3 * i32::MAX as f64 > 5e5);
        let real = done.bias[0] as f64 * done.scales[0] as f64 * 1e-3;
        assert!((real / 5e5 - 1.0).abs() < 1e-6, "{real}");
    }
}
