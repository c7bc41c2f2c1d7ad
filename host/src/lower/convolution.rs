//! QLinearConv and QLinearMatMul, as tract types them, to convolution layers.

use arcgate_firmware::kernels::requant::UniformScale;
use arcgate_firmware::kernels::{Shape, Window};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat};
use tract_onnx::tract_core::ops::einsum::EinSum;

use super::LowerError;
use super::network::{Convolution, Requantization, Work};
use super::value::{Map, Source, Value, View};
use super::walk::Walk;
use crate::quantize::lattice::{self, Steps};

/// The constants of a quantized product, in the order of its inputs from the second on.
struct Constants {
    weights: Arc<Tensor>,
    bias: Vec<i32>,
    input_zero: i8,
    input_scale: f32,
    weight_scales: Vec<f32>,
    output_zero: i8,
    output_scale: f32,
}

/// A convolution before its weights are put in order.
struct Geometry {
    input: Shape,
    output: Shape,
    window: Window,
    groups: usize,
}

impl Walk<'_> {
    /// A convolution node.
    pub(super) fn conv(&mut self, node: &TypedNode, conv: &Conv) -> Result<Value, LowerError> {
        let constants = self.constants(node, conv.q_params, conv.output_channels())?;
        let spec = &conv.pool_spec;
        let plain =
            conv.kernel_fmt == KernelFormat::OIHW && !spec.data_format.c_is_last() && spec.rank() == 2;
        if !plain || spec.dilations().iter().any(|&d| d != 1) {
            let accepted = "two-dimensional convolutions of planes, dilation 1";
            return Err(self.refuse(node, "its form is not known", accepted));
        }
        let shape = self.shape(node, node.inputs[0])?;
        let shape = spec.data_format.shape(shape).map_err(|e| LowerError::Graph(format!("{e:#}")))?;
        let (channels, hw) = (*shape.c_dim(), shape.hw_dims());
        let pads = spec.computed_padding(hw);
        let (tensor, view) = self.activation(node, 0)?;
        let stored = self.network.tensors[tensor];
        let logical = Shape { height: hw[0], width: hw[1], channels };
        let window = Window {
            kernel: [spec.kernel_shape[0], spec.kernel_shape[1]],
            stride: [spec.stride(0), spec.stride(1)],
            pad: [pads[0].pad_before, pads[1].pad_before],
        };
        let output =
            Shape { height: pads[0].convoluted, width: pads[1].convoluted, channels: conv.output_channels() };
        let (window, groups) = if stored == logical && view.stride == [1, 1] {
            (window, conv.group)
        } else if window.kernel == [1, 1] && window.pad == [0, 0] && conv.group == 1 {
            (self.one_by_one(node, view, stored, channels, hw[0] * hw[1], window.stride)?, 1)
        } else {
            return Err(self.refuse(node, "its input was reshaped", "convolutions of what a layer wrote"));
        };
        self.convolution(node, tensor, Geometry { input: stored, output, window, groups }, &constants)
    }

    /// A product over channels: a 1x1 convolution, a fully connected layer, a QLinearMatMul with constant weights.
    pub(super) fn product(&mut self, node: &TypedNode, product: &EinSum) -> Result<Value, LowerError> {
        let accepted = "QLinearConv, or QLinearMatMul with constant weights on the right";
        let form =
            |walk: &Self| walk.refuse(node, format!("the product {} is not known", product.axes), accepted);
        let Some(weights) = node.inputs.get(1).and_then(|&outlet| self.constant(outlet)) else {
            return Err(form(self));
        };
        let (inputs, outputs) = product.axes.to_strs();
        let [x, w, ..] = &inputs[..] else { return Err(form(self)) };
        let y = &outputs[0];
        // Axes of 1 say nothing, except where there is no other.
        let real = |axes: Vec<(usize, char)>| {
            let real =
                axes.iter().copied().filter(|&(axis, _)| weights.shape()[axis] != 1).collect::<Vec<_>>();
            if real.is_empty() { axes.into_iter().take(1).collect() } else { real }
        };
        let (kept, summed): (Vec<_>, Vec<_>) = w.chars().enumerate().partition(|(_, c)| y.contains(*c));
        let (kept, summed) = (real(kept), real(summed));
        // A single output channel may have no axis in the weights.
        let (n_axis, n) = match kept[..] {
            [] => (w.len(), y.chars().find(|c| !x.contains(*c)).unwrap_or_default()),
            [one] => one,
            _ => return Err(form(self)),
        };
        let places: Option<Vec<usize>> = summed.iter().map(|&(_, c)| x.find(c)).collect();
        let (Some(places), Some(to)) = (places.filter(|p| !p.is_empty()), y.find(n)) else {
            return Err(form(self));
        };
        // The summed axes are one run of values in both operands.
        let (from, until) = (places[0], places[places.len() - 1] + 1);
        let shape = self.shape(node, node.inputs[0])?;
        let between = (from..until.max(from)).filter(|axis| !places.contains(axis));
        let one_run = places.is_sorted() && between.map(|axis| shape[axis]).all(|d| d == 1);
        let n_first = n_axis < summed[0].0;
        let n_last = n_axis > summed[summed.len() - 1].0;
        let out_shape = self.shape(node, node.id.into())?;
        let outer = shape[..from].iter().chain(&out_shape[..to]).product::<usize>();
        let whole = !kept.is_empty() || out_shape[to] == 1;
        if !one_run || outer != 1 || !(n_first || n_last) || !whole {
            return Err(form(self));
        }
        let inputs: usize = shape[from..until].iter().product();
        let inner: usize = shape[until..].iter().product();
        let outputs = out_shape[to];
        let mut constants = self.constants(node, product.q_params, outputs)?;
        if n_last {
            // To [output, input].
            let matrix = ints(&constants.weights).map_err(|_| form(self))?;
            if matrix.len() != outputs * inputs {
                return Err(form(self));
            }
            let turned: Vec<i8> =
                (0..outputs * inputs).map(|i| matrix[i % inputs * outputs + i / inputs] as i8).collect();
            constants.weights = tensor1(&turned).into_arc_tensor();
        }
        let (tensor, view) = self.activation(node, 0)?;
        let stored = self.network.tensors[tensor];
        let window = self.one_by_one(node, view, stored, inputs, inner, [1, 1])?;
        let across = |axis: usize, size: usize| (size - window.kernel[axis]) / window.stride[axis] + 1;
        let output =
            Shape { height: across(0, stored.height), width: across(1, stored.width), channels: outputs };
        self.convolution(node, tensor, Geometry { input: stored, output, window, groups: 1 }, &constants)
    }

    /// The window of a product over `channels` values at `pixels` places: 1x1 with the view's stride, or the whole map when
    /// it was flattened.
    fn one_by_one(
        &self,
        node: &TypedNode,
        view: View,
        stored: Shape,
        channels: usize,
        pixels: usize,
        stride: [usize; 2],
    ) -> Result<Window, LowerError> {
        let [rows, columns] = view.stride;
        let seen = stored.height.div_ceil(rows) * stored.width.div_ceil(columns);
        if channels == stored.channels && pixels == seen {
            return Ok(Window {
                kernel: [1, 1],
                stride: [rows * stride[0], columns * stride[1]],
                pad: [0, 0],
            });
        }
        if channels == stored.bytes() && pixels == 1 && view.stride == [1, 1] {
            return Ok(Window { kernel: [stored.height, stored.width], stride: [1, 1], pad: [0, 0] });
        }
        let accepted = "a product over the channels of a layer's output, or over all of it flattened";
        Err(self.refuse(node, "its input was reshaped into something else", accepted))
    }

    fn constants(
        &self,
        node: &TypedNode,
        datum_type: Option<DatumType>,
        channels: usize,
    ) -> Result<Constants, LowerError> {
        let accepted = "int8 QLinearConv or QLinearMatMul with constant weights, scales and zero points, as \
                        `arcgate import` writes";
        if datum_type.map(|dt| dt.unquantized()) != Some(i8::datum_type()) || node.inputs.len() != 9 {
            let found = datum_type.map_or("float".into(), |dt| format!("{dt:?}"));
            return Err(self.refuse(node, format!("it computes {found}"), accepted));
        }
        let tensor = |slot: usize| {
            let found = self.constant(node.inputs[slot]);
            found.ok_or_else(|| self.refuse(node, format!("input {slot} is not a constant"), accepted))
        };
        let unreadable = |e: TractError| self.refuse(node, format!("{e:#}"), accepted);
        let integers =
            |slot: usize| -> Result<Vec<i32>, LowerError> { ints(&*tensor(slot)?).map_err(unreadable) };
        let floats = |slot: usize| -> Result<Vec<f32>, LowerError> {
            let cast = tensor(slot)?.cast_to::<f32>().map_err(unreadable)?.into_owned();
            Ok(cast.try_as_plain_ram().map_err(unreadable)?.as_slice::<f32>().map_err(unreadable)?.to_vec())
        };
        let one = |what: &str, values: &[f32]| match values {
            [value] => Ok(*value),
            _ => {
                let why = format!("its {what} has {} values", values.len());
                Err(self.refuse(node, why, "one value for the whole tensor"))
            }
        };
        let zero = |slot: usize, what: &str| match integers(slot)?[..] {
            [value] if (-128..=127).contains(&value) => Ok(value as i8),
            _ => {
                Err(self.refuse(node, format!("its {what} is not one int8"), "one int8 for the whole tensor"))
            }
        };
        if integers(5)?.iter().any(|&zero| zero != 0) {
            return Err(self.refuse(node, "its weights have a zero point", "weight zero point 0"));
        }
        let per_channel = |what: &str, count: usize| {
            let why = format!("its {what} has {count} values for {channels} channels");
            self.refuse(node, why, "one value, or one for each output channel")
        };
        let mut bias = integers(2)?;
        if bias.len() == 1 {
            bias.resize(channels, bias[0]);
        }
        let mut weight_scales = floats(6)?;
        if weight_scales.len() == 1 {
            weight_scales.resize(channels, weight_scales[0]);
        }
        for (what, count) in [("bias", bias.len()), ("weight scale", weight_scales.len())] {
            if count != channels {
                return Err(per_channel(what, count));
            }
        }
        Ok(Constants {
            weights: tensor(1)?,
            bias,
            input_zero: zero(3, "input zero point")?,
            input_scale: one("input scale", &floats(4)?)?,
            weight_scales,
            output_zero: zero(7, "output zero point")?,
            output_scale: one("output scale", &floats(8)?)?,
        })
    }

    fn convolution(
        &mut self,
        node: &TypedNode,
        tensor: usize,
        geometry: Geometry,
        constants: &Constants,
    ) -> Result<Value, LowerError> {
        let Geometry { input, output, window, groups } = geometry;
        let unreadable = |e: TractError| LowerError::Graph(format!("{e:#}"));
        let weights = ints(&constants.weights).map_err(unreadable)?;
        let (inner, taps) = (input.channels / groups, window.kernel[0] * window.kernel[1]);
        let expected = output.channels * inner * taps;
        if weights.len() != expected {
            let why = format!("it has {} weights, its shapes ask for {expected}", weights.len());
            return Err(self.refuse(node, why, "weights [output, input, rows, columns]"));
        }
        let depthwise = groups > 1 && groups == input.channels && groups == output.channels;
        // From [output][input of the group][tap].
        let at = |o: usize, tap: usize, i: usize| weights[(o * inner + i) * taps + tap] as i8;
        let ordered: Vec<i8> = if depthwise {
            (0..expected).map(|j| at(j % groups, j / groups, 0)).collect()
        } else {
            (0..expected).map(|j| at(j / (taps * inner), j / inner % taps, j % inner)).collect()
        };
        let rows: Vec<&[i32]> = weights.chunks_exact(inner * taps).collect();
        let zero = constants.input_zero as i64;
        let mut bias = constants.bias.clone();
        if !depthwise {
            for (bias, row) in bias.iter_mut().zip(&rows) {
                let folded = *bias as i64 - zero * row.iter().map(|&w| w as i64).sum::<i64>();
                *bias = i32::try_from(folded).map_err(|_| self.overflow(node))?;
            }
        }
        // The largest accumulator that an int8 input can give.
        let reach = |channel: usize| {
            let furthest = (127 - zero).max(128 + zero);
            let sum: i64 = rows[channel].iter().map(|&w| (w as i64).abs()).sum();
            sum * furthest + (constants.bias[channel] as i64).abs()
        };
        let reaches: Vec<i64> = (0..output.channels).map(reach).collect();
        if reaches.iter().any(|&reach| reach > i32::MAX as i64) {
            return Err(self.overflow(node));
        }
        let requantization = self.requantization(node, constants, &reaches)?;
        let work = Work::Conv(Convolution {
            depthwise,
            window,
            groups,
            input_zero: constants.input_zero,
            weights: ordered,
            bias,
            requantization,
            output_zero: constants.output_zero,
            lo: i8::MIN,
            hi: i8::MAX,
        });
        let id = self.network.push(&node.name, work, Some(tensor), None, output);
        Ok(Value::Map(Map::identity(View { source: Source::Tensor(id), stride: [1, 1] })))
    }

    fn overflow(&self, node: &TypedNode) -> LowerError {
        self.refuse(node, "its sums can leave 32 bits", "weights and biases whose sums stay inside 32 bits")
    }

    /// One high multiply where the lattice proves it for every channel, tract's own rule elsewhere.
    fn requantization(
        &self,
        node: &TypedNode,
        constants: &Constants,
        reaches: &[i64],
    ) -> Result<Requantization, LowerError> {
        let Constants { input_scale, output_scale, output_zero, .. } = *constants;
        let steps = Steps::of_zero_point(output_zero);
        // The accumulator in a plan has the zero point folded in, so that its products alone reach further.
        let proven = |(&weight, &reach): (&f32, &i64)| {
            let multiplier = lattice::weight_scale(weight, input_scale, output_scale, steps)?;
            lattice::shift_is_safe(multiplier, 2 * reach).then_some(multiplier)
        };
        let scales = &constants.weight_scales;
        if let Some(multipliers) = scales.iter().zip(reaches).map(proven).collect::<Option<Vec<_>>>() {
            return Ok(Requantization::HighMul(multipliers));
        }
        let reciprocal = 1.0 / output_scale;
        let folded: Vec<f32> = scales.iter().map(|weight| (weight * input_scale) * reciprocal).collect();
        let divided: Vec<f32> = scales.iter().map(|weight| (weight * input_scale) / output_scale).collect();
        let accepted = "scales that keep requantized sums below 2^30";
        let in_reach =
            |(&scale, &reach): (&f32, &i64)| scale > 0.0 && scale * (reach as f32) < (1u32 << 29) as f32;
        if !folded.iter().zip(reaches).all(in_reach) {
            return Err(self.refuse(node, "a scale is not positive, or too large", accepted));
        }
        if divided.iter().all(|scale| scale == &divided[0]) {
            return match UniformScale::new(divided[0]) {
                Some(_) => Ok(Requantization::Uniform(divided[0])),
                None => Err(self.refuse(node, format!("its scale is {:e}", divided[0]), "2^-32 up to 2^7")),
            };
        }
        Ok(Requantization::PerChannelF32(folded))
    }
}

/// A tensor's values as i32.
fn ints(tensor: &Tensor) -> TractResult<Vec<i32>> {
    let cast = tensor.cast_to::<i32>()?;
    let plain = cast.try_as_plain_ram()?;
    Ok(plain.as_slice::<i32>()?.to_vec())
}
