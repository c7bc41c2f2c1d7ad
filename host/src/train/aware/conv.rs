//! A convolution over whole steps, its weights and its bias in whole steps too.

use burn::module::{Module, Param};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};

use super::{LEAST_STEP, slowed, step_rate, vector};
use crate::net::fused::{Convolution, layer};
use crate::net::patches::patches;
use crate::net::requantize::straight;
use crate::onnx::float::{Conv, ConvKind, Map};
use crate::train::state::floats;

/// What a convolution learns, as real numbers.
#[derive(Module, Debug)]
pub(super) struct IntegerConv {
    /// [outputs, inputs of a group, rows, columns].
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
    /// The step of each output's weights.
    scales: Param<Tensor<1>>,
}

impl IntegerConv {
    /// `conv` with weights in steps of `scales`. An average learns nothing but its bias: its weights are one step each.
    pub fn new(conv: &Conv, scales: &[f32], device: &Device) -> Self {
        let shape = [conv.outputs, conv.inputs_per_group, conv.kernel[0], conv.kernel[1]];
        let weight = Tensor::from_data(TensorData::new(conv.weights.clone(), shape), device);
        let learns = conv.kind != ConvKind::Average;
        let vector = |values: &[f32]| Param::from_tensor(vector(values.to_vec(), device));
        IntegerConv {
            weight: Param::from_tensor(weight).set_require_grad(learns),
            bias: vector(&conv.bias),
            scales: vector(scales).set_require_grad(learns),
        }
    }

    /// Gives `conv` the real weights and biases.
    pub fn store(&self, conv: &mut Conv) {
        (conv.weights, conv.bias) = (floats(&self.weight.val()), floats(&self.bias.val()));
    }

    /// The step of each output's weights.
    pub fn scales(&self) -> Tensor<1> {
        let [outputs, taps @ ..] = self.weight.dims();
        let rates = vec![step_rate(taps.iter().product()); outputs];
        slowed(self.scales.val(), rates).clamp_min(LEAST_STEP)
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
        let scales = self.scales();
        let each = scales.clone().reshape([conv.outputs, 1, 1, 1]);
        let levels = straight(self.weight.val() / each).clamp(-127.0, 127.0);
        let unit = scales * step;
        let bias = straight(self.bias.val() / unit.clone());
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
