//! A convolution over whole steps, its weights and its bias in whole steps too.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};

use super::{GREATEST_LEVEL, slowed, step_rate, vector};
use crate::net::fused::{Convolution, layer};
use crate::net::patches::patches;
use crate::net::requantize::straight;
use crate::onnx::float::{Conv, ConvKind, Map};
use crate::train::state::floats;

/// What a convolution learns.
#[derive(Module, Debug)]
pub(super) struct IntegerConv {
    /// [outputs, inputs of a group, rows, columns], 1 being 127 of the first steps of its output.
    weight: Param<Tensor<4>>,
    /// 1 being the range of the output, 127 of its first steps.
    bias: Param<Tensor<1>>,
    /// How much the step of each output's weights has grown: its logarithm.
    growth: Param<Tensor<1>>,
    #[module(skip)]
    first: Arc<First>,
}

/// The steps of the beginning.
#[derive(Debug)]
struct First {
    /// Of each output's weights.
    scales: Vec<f32>,
    /// Of the output.
    output: f32,
}

impl IntegerConv {
    /// `conv` with weights in steps of `scales` and an output in steps of `output`. An average learns nothing but its bias: its
    /// weights are one step each.
    pub fn new(conv: &Conv, scales: &[f32], output: f32, device: &Device) -> Self {
        let shape = [conv.outputs, conv.inputs_per_group, conv.kernel[0], conv.kernel[1]];
        let rows = conv.weights.chunks_exact(conv.taps()).zip(scales);
        let fractions = rows.flat_map(|(row, &scale)| row.iter().map(move |w| w / (GREATEST_LEVEL * scale)));
        let weight = Tensor::from_data(TensorData::new(fractions.collect::<Vec<f32>>(), shape), device);
        let bias = conv.bias.iter().map(|b| b / (GREATEST_LEVEL * output)).collect();
        let learns = conv.kind != ConvKind::Average;
        let vector = |values: Vec<f32>| Param::from_tensor(vector(values, device));
        IntegerConv {
            weight: Param::from_tensor(weight).set_require_grad(learns),
            bias: vector(bias),
            growth: vector(vec![0.0; scales.len()]).set_require_grad(learns),
            first: Arc::new(First { scales: scales.to_vec(), output }),
        }
    }

    /// Gives `conv` the real weights and biases.
    pub fn store(&self, conv: &mut Conv) {
        let taps = conv.taps();
        let scale = |at: usize| GREATEST_LEVEL * self.first.scales[at / taps];
        conv.weights = floats(&self.weight.val());
        conv.weights.iter_mut().enumerate().for_each(|(at, w)| *w *= scale(at));
        conv.bias = floats(&self.bias.val());
        conv.bias.iter_mut().for_each(|b| *b *= GREATEST_LEVEL * self.first.output);
    }

    /// The step of each output's weights.
    pub fn scales(&self) -> Tensor<1> {
        vector(self.first.scales.clone(), &self.growth.val().device()) * self.growth().exp()
    }

    fn growth(&self) -> Tensor<1> {
        let [_, taps @ ..] = self.weight.dims();
        slowed(
            self.growth.val(),
            self.first.scales.iter().map(|&s| step_rate(taps.iter().product(), s)).collect(),
        )
    }

    /// The sums [b, h', w', outputs] for `x` [b, h, w, inputs], a map of the shape of `map` in steps of `step`, and what a unit of
    /// each output's sums is worth. No gradient goes to `x` where it is `data`.
    pub fn sums(
        &self,
        conv: &Conv,
        (map, data): (&Map, bool),
        x: Tensor<4>,
        step: Tensor<1>,
    ) -> (Tensor<4>, Tensor<1>) {
        let shrunk = self.growth().neg().exp().mul_scalar(GREATEST_LEVEL).reshape([conv.outputs, 1, 1, 1]);
        let levels = straight(self.weight.val() * shrunk).clamp(-GREATEST_LEVEL, GREATEST_LEVEL);
        let unit = self.scales() * step;
        let bias = self.bias.val().mul_scalar(GREATEST_LEVEL * self.first.output);
        let bias = straight(bias / unit.clone());
        (convolve(conv, (map, data), x, levels, bias), unit)
    }
}

/// The convolution `conv` of `x` [b, h, w, c], a map of the shape of `map`, plus `bias`: by the backbone's kernels where they know
/// its form.
fn convolve(
    conv: &Conv,
    (map, data): (&Map, bool),
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
) -> Tensor<4> {
    let Conv { outputs, inputs_per_group, group, kernel, strides, pads, .. } = *conv;
    let (dense, depthwise) = (group == 1, inputs_per_group == 1 && group == outputs);
    let whole = kernel == [map.height, map.width];
    match (kernel, strides, pads) {
        ([1, 1], [1, 1], [0, 0, 0, 0]) if dense => plus(x, weight, bias, Convolution::Dense),
        ([3, 3], [2, 2], [1, 1, 1, 1]) if dense && data => {
            plus(patches(x.permute([0, 3, 1, 2])), weight, bias, Convolution::Dense)
        }
        (_, _, [0, 0, 0, 0]) if dense && whole => {
            let images = x.dims()[0];
            let (x, weight) = (x.reshape([images, 1, 1, map.volume()]), weight.permute([0, 2, 3, 1]));
            plus(x, weight.reshape([outputs, map.volume(), 1, 1]), bias, Convolution::Dense)
        }
        (_, [stride, across], [pad, left, bottom, right])
            if depthwise && stride == across && [left, bottom, right] == [pad; 3] =>
        {
            plus(x, weight, bias, Convolution::Depthwise { stride, pad })
        }
        (_, _, [top, left, bottom, right]) => {
            let padding = [(top, bottom), (left, right)];
            let options = ConvOptions::new_with_padding(strides, padding, [1, 1], group);
            conv2d(x.permute([0, 3, 1, 2]), weight, Some(bias), options).permute([0, 2, 3, 1])
        }
    }
}

/// A layer of the backbone that normalises by moments 0 and 1 and bends nothing: the sums, plus the bias.
fn plus(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, convolution: Convolution) -> Tensor<4> {
    let (outputs, device) = (bias.dims()[0], x.device());
    let ones = Tensor::<1>::ones([outputs], &device);
    let moments = Tensor::cat(vec![Tensor::zeros([1, outputs], &device), ones.clone().unsqueeze_dim(0)], 0);
    layer(x, weight, [ones.clone(), bias, ones], None, Some(moments), convolution, 0.0).0
}
