//! A convolution's weights and bias in integers, its weight scales on the lattice.

use rayon::prelude::*;

use super::lattice::{LEAST_SCALE, Placed, Quantization, Steps, place_weight_scale, shift_is_safe};
use crate::onnx::float::{Conv, ConvKind, Map};

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

/// The weight scale that uses all of int8, for each output.
fn wanted_scales(conv: &Conv) -> Vec<f64> {
    let largest = |w: &[f32]| w.iter().fold(0f32, |m, v| m.max(v.abs())) as f64;
    // A global average is a convolution of ones.
    let levels = if conv.kind == ConvKind::Average { 1.0 } else { 127.0 };
    conv.weights.chunks_exact(conv.taps()).map(|w| largest(w) / levels).collect()
}

/// The least output scale whose requantization scales can all be placed with room for the accumulators.
pub(super) fn least_output_scale(conv: &Conv, input: f32) -> f32 {
    wanted_scales(conv).into_iter().fold(0.0, f64::max) as f32 * input / 16.0
}

/// Quantizes `conv` between two tensors; `means` is the mean of the input at each place of `map`.
///
/// # Errors
/// The channel whose scale cannot be placed, and the requantization scale that it wants.
pub(super) fn quantize(
    conv: &Conv,
    map: &Map,
    means: &[f64],
    input: Quantization,
    output: Quantization,
) -> Result<QuantizedConv, (usize, f64)> {
    let steps = Steps::of_zero_point(output.zero_point);
    let taps = conv.taps();
    let seen = mean_under_taps(conv, map, means);
    let per_group = conv.outputs / conv.group;
    let wanted = wanted_scales(conv);
    let channel = |c: usize| {
        let weights = &conv.weights[c * taps..(c + 1) * taps];
        let under = &seen[c / per_group * taps..][..taps];
        let requant = wanted[c] * input.scale as f64 / output.scale as f64;
        let mut raised = wanted[c];
        // A large bias wants a coarser weight scale, to fit the accumulator.
        for _ in 0..24 {
            let placed = place_weight_scale(raised, input.scale, output.scale, steps).ok_or((c, requant))?;
            let levels: Vec<i8> = weights.iter().map(|w| level(*w, placed.scale)).collect();
            // What rounding the weights adds to the output on average is taken out again.
            let drift: f64 = levels
                .iter()
                .zip(weights)
                .zip(under)
                .map(|((&l, &w), mean)| (l as f64 * placed.scale as f64 - w as f64) * mean)
                .sum();
            let unit = placed.scale as f64 * input.scale as f64;
            let bias = ((conv.bias[c] as f64 - drift) / unit).round();
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

fn level(weight: f32, scale: f32) -> i8 {
    (weight as f64 / scale as f64).round_ties_even().clamp(-127.0, 127.0) as i8
}

/// The mean input under each tap of each group, over the output's places; padding counts as zero.
fn mean_under_taps(conv: &Conv, map: &Map, means: &[f64]) -> Vec<f64> {
    let [rows, columns] = conv.kernel;
    let [down, right] = conv.strides;
    let [top, left, bottom, end] = conv.pads;
    let heights = (map.height + top + bottom - rows) / down + 1;
    let widths = (map.width + left + end - columns) / right + 1;
    let channels = conv.inputs_per_group * conv.group;
    let mut out = Vec::with_capacity(channels * rows * columns);
    for channel in means.chunks_exact(map.area()).take(channels) {
        for row in 0..rows {
            for column in 0..columns {
                let mut sum = 0.0;
                for y in (0..heights).map(|o| (o * down + row).wrapping_sub(top)).filter(|&y| y < map.height)
                {
                    let line = &channel[y * map.width..(y + 1) * map.width];
                    let xs = (0..widths).map(|o| (o * right + column).wrapping_sub(left));
                    sum += xs.filter(|&x| x < map.width).map(|x| line[x]).sum::<f64>();
                }
                out.push(sum / (heights * widths) as f64);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn taps_see_the_map_and_its_padding() {
        let map = Map { name: "x".into(), channels: 1, height: 4, width: 4 };
        let means: Vec<f64> = (0..16).map(f64::from).collect();
        let seen = mean_under_taps(&conv(), &map, &means);
        // The centre tap sees rows and columns 0 and 2, the first tap rows and columns 1, and padding.
        assert_eq!(seen[4], (0.0 + 2.0 + 8.0 + 10.0) / 4.0);
        assert_eq!(seen[0], 5.0 / 4.0);
    }

    #[test]
    fn a_bias_beyond_the_accumulator_coarsens_the_scale() {
        let map = Map { name: "x".into(), channels: 1, height: 4, width: 4 };
        let q = Quantization { scale: 1e-3, zero_point: 0 };
        let wide = Conv { bias: vec![5e5], ..conv() };
        let done = quantize(&wide, &map, &[0.0; 16], q, Quantization { scale: 1e-2, zero_point: 0 }).unwrap();
        assert!(done.scales[0] as f64 * 1e-3 * i32::MAX as f64 > 5e5);
        let real = done.bias[0] as f64 * done.scales[0] as f64 * 1e-3;
        assert!((real / 5e5 - 1.0).abs() < 1e-6, "{real}");
    }
}
