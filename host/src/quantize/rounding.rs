//! From real weights to levels of int8, each one's error made up for by those that come after it.

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use rayon::prelude::*;

use super::twin::Residual;
use crate::onnx::float::{Conv, ConvKind, Map};

/// What is added to the inputs' second moments, in parts of their mean: with few crops, many inputs look alike.
const DAMPING: f64 = 0.01;

/// Groups from which on the groups go in parallel, and not the crops within each.
const MANY: usize = 4;

/// Crops whose sums are in memory at once.
const CHUNK: usize = 8;

/// How the weights of a convolution become levels.
///
/// With x the inputs of an output's taps, as int8 has them, and a last 1 for the bias, H is the mean of x x^T. Weights are rounded
/// one after the other. What each one's error does to the output is made up for, as well as least squares can, by the weights
/// that are still real, the bias last (Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
/// Transformers", 2023). The bias also takes in what the output lost on average in the layers before.
pub(super) struct Rounding {
    /// The upper factor of the inverse of H, for each group.
    groups: Vec<DMatrix<f64>>,
    /// What is missing from each output on average.
    missing: Vec<f64>,
}

impl Rounding {
    /// Learns from crops how the inputs of `conv`, a map of the shape of `map`, go together.
    pub fn learn(conv: &Conv, map: &Map, residual: &Residual<'_>) -> Self {
        // The equal weights of an average stay equal.
        let inputs = if conv.kind == ConvKind::Average { &[] } else { residual.inputs };
        let factor = |group| upper_factor(moments(conv, map, group, inputs));
        let groups = match conv.group {
            ..MANY => (0..conv.group).map(factor).collect(),
            _ => (0..conv.group).into_par_iter().map(factor).collect(),
        };
        Rounding { groups, missing: residual.missing.clone() }
    }

    /// Each weight to the nearest level, the bias as it is.
    pub fn nearest(conv: &Conv) -> Self {
        let size = conv.taps() + 1;
        Rounding { groups: vec![DMatrix::identity(size, size); conv.group], missing: vec![0.0; conv.outputs] }
    }

    /// The levels of output `c` in steps of `scale`, and its bias.
    pub fn round(&self, conv: &Conv, c: usize, scale: f32) -> (Vec<i8>, f64) {
        let taps = conv.taps();
        let upper = &self.groups[c / (conv.outputs / conv.group)];
        let weights = conv.weights[c * taps..(c + 1) * taps].iter().map(|&w| f64::from(w));
        let mut left: Vec<f64> = weights.chain([f64::from(conv.bias[c]) + self.missing[c]]).collect();
        let scale = f64::from(scale);
        let mut levels = Vec::with_capacity(taps);
        for j in 0..taps {
            let level = (left[j] / scale).round_ties_even().clamp(-127.0, 127.0);
            let error = (left[j] - level * scale) / upper[(j, j)];
            for (k, weight) in left.iter_mut().enumerate().skip(j + 1) {
                *weight -= error * upper[(j, k)];
            }
            levels.push(level as i8);
        }
        (levels, left[taps])
    }
}

/// The mean of x x^T for the inputs of one group and a last 1: [taps + 1, taps + 1].
fn moments(conv: &Conv, map: &Map, group: usize, crops: &[Vec<f32>]) -> DMatrix<f64> {
    let size = conv.taps() + 1;
    let mut sums = DMatrix::<f64>::zeros(size, size);
    let mut places = 0;
    for chunk in crops.chunks(CHUNK) {
        let product = |inputs: &Vec<f32>| {
            let under = under_taps(conv, map, group, inputs);
            (&under * under.transpose(), under.ncols())
        };
        let of_crops: Vec<(DMatrix<f32>, usize)> = match conv.group {
            ..MANY => chunk.par_iter().map(product).collect(),
            _ => chunk.iter().map(product).collect(),
        };
        // In the order of the crops, whatever the number of threads.
        for (product, area) in of_crops {
            sums.zip_apply(&product, |sum, v| *sum += f64::from(v));
            places += area;
        }
    }
    sums / places.max(1) as f64
}

/// U of the inverse, U^T U, of damped second moments; one that makes nothing up where they say nothing.
fn upper_factor(mut moments: DMatrix<f64>) -> DMatrix<f64> {
    let size = moments.nrows();
    let mean = moments.diagonal().rows(0, size - 1).mean();
    for j in 0..size - 1 {
        moments[(j, j)] += DAMPING * mean;
    }
    let factor = |m: DMatrix<f64>| Cholesky::<f64, Dyn>::new(m);
    let inverse = factor(moments).map(|c| c.inverse());
    let lower = inverse.and_then(factor).map(|c| c.unpack());
    lower.map_or_else(|| DMatrix::from_diagonal(&DVector::repeat(size, 1.0)), |lower| lower.transpose())
}

/// What lies under each tap of a group at each place of the output, and a last row of ones: [taps + 1, places].
fn under_taps(conv: &Conv, map: &Map, group: usize, inputs: &[f32]) -> DMatrix<f32> {
    let [rows, columns] = conv.kernel;
    let [down, right] = conv.strides;
    let [top, left, bottom, end] = conv.pads;
    let heights = (map.height + top + bottom - rows) / down + 1;
    let widths = (map.width + left + end - columns) / right + 1;
    let mut under = DMatrix::<f32>::zeros(conv.taps() + 1, heights * widths);
    let planes =
        inputs.chunks_exact(map.area()).skip(group * conv.inputs_per_group).take(conv.inputs_per_group);
    for (at, plane) in planes.enumerate() {
        for (row, column) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
            let tap = (at * rows + row) * columns + column;
            for (y, x) in (0..heights).flat_map(|y| (0..widths).map(move |x| (y, x))) {
                let from_y = (y * down + row).wrapping_sub(top);
                let from_x = (x * right + column).wrapping_sub(left);
                if from_y < map.height && from_x < map.width {
                    under[(tap, y * widths + x)] = plane[from_y * map.width + from_x];
                }
            }
        }
    }
    under.row_mut(conv.taps()).fill(1.0);
    under
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conv(weights: Vec<f32>, kernel: [usize; 2], inputs_per_group: usize) -> Conv {
        Conv {
            kind: ConvKind::Conv,
            outputs: 1,
            inputs_per_group,
            group: 1,
            kernel,
            strides: [2, 2],
            pads: [kernel[0] / 2; 4],
            weights,
            bias: vec![0.0],
        }
    }

    fn map(channels: usize, side: usize) -> Map {
        Map { name: "x".into(), channels, height: side, width: side }
    }

    #[test]
    fn taps_see_the_map_and_its_padding() {
        let values: Vec<f32> = (0..16).map(|v| v as f32).collect();
        let under = under_taps(&conv(vec![0.0; 9], [3, 3], 1), &map(1, 4), 0, &values);
        // The centre tap sees rows and columns 0 and 2, the first tap row 1 and column 1, and padding.
        assert_eq!(under.row(4).iter().copied().collect::<Vec<_>>(), [0.0, 2.0, 8.0, 10.0]);
        assert_eq!(under.row(0).iter().copied().collect::<Vec<_>>(), [0.0, 0.0, 0.0, 5.0]);
        assert_eq!(under.row(9).sum(), 4.0);
    }

    #[test]
    fn like_inputs_share_a_rounding_error() {
        // Two inputs that are always equal: what counts is the sum of their weights, 0.4 + 0.4 steps.
        let conv = conv(vec![0.4, 0.4], [1, 1], 2);
        let inputs: Vec<Vec<f32>> = (0..8).map(|v| vec![v as f32, v as f32]).collect();
        let missing = vec![0.25];
        let rounding = Rounding::learn(&conv, &map(2, 1), &Residual { inputs: &inputs, missing });
        let (levels, bias) = rounding.round(&conv, 0, 1.0);
        assert_eq!(levels.iter().map(|&l| i32::from(l)).sum::<i32>(), 1, "{levels:?}");
        // What is left, -0.2 times a mean of 3.5, and what was missing before, is in the bias as well as a constant can be.
        assert!((-0.8..0.3).contains(&bias), "{bias}");
    }

    #[test]
    fn the_mean_error_goes_into_the_bias() {
        let conv = conv(vec![0.3], [1, 1], 1);
        let inputs = vec![vec![5.0]; 4];
        let missing = vec![0.5];
        let rounding = Rounding::learn(&conv, &map(1, 1), &Residual { inputs: &inputs, missing });
        let (levels, bias) = rounding.round(&conv, 0, 1.0);
        assert_eq!(levels, [0]);
        assert!((bias - 2.0).abs() < 0.05, "0.3 x 5 + 0.5 is {bias}");
    }
}
