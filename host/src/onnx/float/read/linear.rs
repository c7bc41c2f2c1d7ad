//! What is linear: convolutions, products with a matrix, batch normalisation, averages and sums.

use tract_onnx::pb::NodeProto;

use super::operands::spread;
use super::{Reader, Value, View};
use crate::onnx::float::error::{NodeError, ReadError};
use crate::onnx::float::windows::{Attributes, Windows};
use crate::onnx::float::{Clamp, Conv, ConvKind, Layer, Op};

impl<'m> Reader<'m> {
    pub(super) fn conv(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let allowed = ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"];
        let attributes = Attributes::of(node, &allowed)?;
        let View { pads: around, .. } = self.any_map(node, 0)?;
        let view = match around {
            [0, 0, 0, 0] => self.map(node, 0)?,
            _ => View { pads: [0; 4], ..self.any_map(node, 0)? },
        };
        let (dims, weights) = self.some_weights(node, 1)?;
        let &[outputs, inputs_per_group, rows, columns] = dims.as_slice() else {
            let problem = format!("weights of the shape {dims:?}");
            return Err(NodeError::new(node, problem, "four axes: a two-dimensional convolution").into());
        };
        let map = &self.graph.tensors[view.tensor];
        if view.flat {
            return Err(
                NodeError::new(node, "its input is flat", "a map [1, channels, height, width]").into()
            );
        }
        let group = attributes.int("group")?.unwrap_or(1);
        let groups = usize::try_from(group)
            .ok()
            .filter(|&g| g > 0 && outputs % g == 0 && g.checked_mul(inputs_per_group) == Some(map.channels));
        let Some(group) = groups.filter(|_| outputs > 0 && rows > 0 && columns > 0) else {
            let problem =
                format!("attribute group = {group} with weights {dims:?} over {} channels", map.channels);
            return Err(
                NodeError::new(node, problem, "groups that divide the channels and the outputs").into()
            );
        };
        let kernel = [rows, columns];
        let [top, left, bottom, right] = around;
        let padded = [map.height + top + bottom, map.width + left + right];
        let mut windows = Windows::of(node, &attributes, kernel, padded)?;
        windows.pads.iter_mut().zip(around).for_each(|(pad, more)| *pad += more);
        if (0..4).any(|side| windows.pads[side] >= kernel[side % 2]) {
            let problem = format!("with Pad before it, pads {:?}", windows.pads);
            return Err(
                NodeError::new(node, problem, "fewer zeros at each side than the kernel has there").into()
            );
        }
        let bias = match node.input.get(2) {
            Some(name) if !name.is_empty() => self.per_channel(node, 2, outputs)?,
            _ => vec![0.0; outputs],
        };
        let Windows { strides, pads, output: [height, width] } = windows;
        let kind = ConvKind::Conv;
        let conv = Conv { kind, outputs, inputs_per_group, group, kernel, strides, pads, weights, bias };
        self.layer(node, Op::Conv(conv), vec![view.tensor], [outputs, height, width], false)
    }

    /// A fully connected layer: `weights` is [outputs, volume of the map].
    pub(super) fn connected(
        &mut self,
        node: &NodeProto,
        view: View,
        weights: Vec<f32>,
        bias: Vec<f32>,
    ) -> Result<View, ReadError> {
        let map = &self.graph.tensors[view.tensor];
        let outputs = bias.len();
        let conv = Conv {
            kind: ConvKind::Connected,
            outputs,
            inputs_per_group: map.channels,
            group: 1,
            kernel: [map.height, map.width],
            strides: [1, 1],
            pads: [0; 4],
            weights,
            bias,
        };
        self.layer(node, Op::Conv(conv), vec![view.tensor], [outputs, 1, 1], true)
    }

    /// A flat view and the [inputs, outputs] matrix at input 1, turned to [outputs, inputs].
    pub(super) fn matrix(
        &self,
        node: &'m NodeProto,
        transposed: bool,
    ) -> Result<(View, usize, Vec<f32>), ReadError> {
        let view = self.map(node, 0)?;
        let inputs = self.graph.tensors[view.tensor].volume();
        let (dims, values) = self.some_weights(node, 1)?;
        let wanted = if transposed { format!("[outputs, {inputs}]") } else { format!("[{inputs}, outputs]") };
        if !view.flat {
            let problem = format!("its input is {:?}", self.dims(view));
            return Err(NodeError::new(node, problem, "a flat input (Flatten before it)").into());
        }
        let outputs = match *dims.as_slice() {
            [o, i] if transposed && i == inputs && o > 0 => o,
            [i, o] if !transposed && i == inputs && o > 0 => o,
            _ => {
                let problem = format!("weights of the shape {dims:?}");
                return Err(NodeError::new(node, problem, wanted).into());
            }
        };
        if transposed {
            return Ok((view, outputs, values));
        }
        let turned = (0..outputs).flat_map(|o| values.iter().skip(o).step_by(outputs).copied()).collect();
        Ok((view, outputs, turned))
    }

    pub(super) fn gemm(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let attributes = Attributes::of(node, &["alpha", "beta", "transA", "transB"])?;
        attributes.must_be("transA", 0)?;
        let transposed = attributes.int("transB")?.unwrap_or(0) != 0;
        let alpha = attributes.float("alpha")?.unwrap_or(1.0);
        let beta = attributes.float("beta")?.unwrap_or(1.0);
        let (view, outputs, mut weights) = self.matrix(node, transposed)?;
        let mut bias = match self.weights(node, 2)? {
            None => vec![0.0; outputs],
            Some((dims, values)) => spread(node, 2, &dims, values, &[1, outputs])?,
        };
        weights.iter_mut().for_each(|w| *w *= alpha);
        bias.iter_mut().for_each(|b| *b *= beta);
        if !weights.iter().chain(&bias).all(|v| v.is_finite()) {
            let problem = format!("attributes alpha = {alpha}, beta = {beta}");
            return Err(NodeError::new(node, problem, "finite weights").into());
        }
        self.connected(node, view, weights, bias)
    }

    pub(super) fn mat_mul(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        Attributes::of(node, &[])?;
        let (view, outputs, weights) = self.matrix(node, false)?;
        self.connected(node, view, weights, vec![0.0; outputs])
    }

    pub(super) fn batch_normalization(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let attributes = Attributes::of(node, &["epsilon", "momentum", "spatial", "training_mode"])?;
        attributes.must_be("spatial", 1)?;
        attributes.must_be("training_mode", 0)?;
        let epsilon = attributes.float("epsilon")?.unwrap_or(1e-5);
        let view = self.map(node, 0)?;
        let map = &self.graph.tensors[view.tensor];
        let channels = map.channels;
        if view.flat && map.area() != 1 {
            let problem = format!("it normalises {} values of a flattened map", map.volume());
            return Err(
                NodeError::new(node, problem, "BatchNormalization before Flatten, or after Gemm").into()
            );
        }
        let gamma = self.per_channel(node, 1, channels)?;
        let beta = self.per_channel(node, 2, channels)?;
        let mean = self.per_channel(node, 3, channels)?;
        let variance = self.per_channel(node, 4, channels)?;
        if let Some(at) = variance.iter().position(|v| v + epsilon <= 0.0) {
            let problem = format!("variance {} at index {at} with epsilon = {epsilon}", variance[at]);
            return Err(NodeError::new(node, problem, "variances above -epsilon").into());
        }
        let scale: Vec<f32> = (0..channels).map(|c| gamma[c] / (variance[c] + epsilon).sqrt()).collect();
        let shift: Vec<f32> = (0..channels).map(|c| beta[c] - mean[c] * scale[c]).collect();
        self.affine(node, view, &scale, &shift)
    }

    pub(super) fn global_average(&mut self, node: &'m NodeProto, flat: bool) -> Result<View, ReadError> {
        let view = self.map(node, 0)?;
        if view.flat {
            return Err(
                NodeError::new(node, "its input is flat", "a map [1, channels, height, width]").into()
            );
        }
        let map = &self.graph.tensors[view.tensor];
        if map.area() == 1 {
            return Ok(View { flat, ..view });
        }
        let (channels, area) = (map.channels, map.area());
        let conv = Conv {
            kind: ConvKind::Average,
            outputs: channels,
            inputs_per_group: 1,
            group: channels,
            kernel: [map.height, map.width],
            strides: [1, 1],
            pads: [0; 4],
            weights: vec![1.0 / area as f32; channels * area],
            bias: vec![0.0; channels],
        };
        self.layer(node, Op::Conv(conv), vec![view.tensor], [channels, 1, 1], flat)
    }

    pub(super) fn reduce_mean(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let attributes = Attributes::of(node, &["axes", "keepdims", "noop_with_empty_axes"])?;
        let axes = self.axes(node, &attributes, 18)?;
        let mut axes: Vec<i64> = axes.iter().map(|&a| if a < 0 { a.saturating_add(4) } else { a }).collect();
        axes.sort();
        if axes != [2, 3] {
            return Err(NodeError::new(node, format!("a mean over the axes {axes:?}"), "axes [2, 3]").into());
        }
        self.global_average(node, attributes.int("keepdims")?.unwrap_or(1) == 0)
    }

    pub(super) fn add(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        Attributes::of(node, &[])?;
        let is_map = |value: &Value<'_>| matches!(value, Value::Map(_));
        match (is_map(self.value(node, 0)?), is_map(self.value(node, 1)?)) {
            (true, true) => {
                let (a, b) = (self.map(node, 0)?, self.map(node, 1)?);
                let (left, right) = (&self.graph.tensors[a.tensor], &self.graph.tensors[b.tensor]);
                let shape = [left.channels, left.height, left.width];
                if a.flat != b.flat || shape != [right.channels, right.height, right.width] {
                    let problem = format!("a sum of {:?} and {:?}", self.dims(a), self.dims(b));
                    return Err(NodeError::new(node, problem, "two maps of one shape").into());
                }
                self.layer(node, Op::Add, vec![a.tensor, b.tensor], shape, a.flat)
            }
            (false, false) => {
                Err(NodeError::new(node, "a sum of constants", "at least one feature map").into())
            }
            (left_is_map, _) => {
                let (map, constant) = if left_is_map { (0, 1) } else { (1, 0) };
                let view = self.map(node, map)?;
                let shift = self.channel_values(node, constant, view)?;
                self.affine(node, view, &vec![1.0; shift.len()], &shift)
            }
        }
    }

    /// Multiplies by `scale` and adds `shift`, one a channel: into the convolution before, or as one of its own.
    pub(super) fn affine(
        &mut self,
        node: &NodeProto,
        view: View,
        scale: &[f32],
        shift: &[f32],
    ) -> Result<View, ReadError> {
        if !scale.iter().chain(shift).all(|v| v.is_finite()) {
            return Err(NodeError::new(node, "its scale or shift overflows", "finite values").into());
        }
        if let Some(Layer { op: Op::Conv(conv), clamp: Clamp::NONE, .. }) = self.open_layer(view) {
            conv.fold(scale, shift);
            if !conv.weights.iter().chain(&conv.bias).all(|v| v.is_finite()) {
                let problem = "folded into the convolution before it, it overflows";
                return Err(NodeError::new(node, problem, "finite values").into());
            }
            return Ok(self.folded(node, view));
        }
        let map = &self.graph.tensors[view.tensor];
        let (channels, shape) = (map.channels, [map.channels, map.height, map.width]);
        let conv = Conv {
            kind: ConvKind::Normalise,
            outputs: channels,
            inputs_per_group: 1,
            group: channels,
            kernel: [1, 1],
            strides: [1, 1],
            pads: [0; 4],
            weights: scale.to_vec(),
            bias: shift.to_vec(),
        };
        self.layer(node, Op::Conv(conv), vec![view.tensor], shape, view.flat)
    }
}
