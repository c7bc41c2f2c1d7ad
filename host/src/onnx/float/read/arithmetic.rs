//! Arithmetic with constants, products of maps, and the embedding brought to unit length at the end.

use tract_onnx::pb::NodeProto;

use super::{Reader, Value, View};
use crate::onnx::float::error::{NodeError, ReadError};
use crate::onnx::float::windows::Attributes;
use crate::onnx::float::{Clamp, Curve, Map, Op, TensorId};

impl<'m> Reader<'m> {
    /// Which input is a map and which a constant, in that order.
    fn map_and_constant(&self, node: &'m NodeProto) -> Result<(usize, usize), NodeError> {
        let is_map = |index| Ok::<_, NodeError>(matches!(self.value(node, index)?, Value::Map(_)));
        match (is_map(0)?, is_map(1)?) {
            (true, false) => Ok((0, 1)),
            (false, true) => Ok((1, 0)),
            (both, _) => {
                let problem = if both { "of two feature maps" } else { "of no feature map" };
                Err(NodeError::new(node, problem, "one feature map and one constant"))
            }
        }
    }

    pub(super) fn subtract(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        Attributes::of(node, &[])?;
        let (map, constant) = self.map_and_constant(node)?;
        let view = self.map(node, map)?;
        let values = self.channel_values(node, constant, view)?;
        // map - constant, or constant - map.
        let sign = if map == 0 { 1.0 } else { -1.0 };
        let shift: Vec<f32> = values.iter().map(|v| -sign * v).collect();
        self.affine(node, view, &vec![sign; shift.len()], &shift)
    }

    pub(super) fn multiply(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        Attributes::of(node, &[])?;
        let is_map = |index| Ok::<_, NodeError>(matches!(self.value(node, index)?, Value::Map(_)));
        if is_map(0)? && is_map(1)? {
            return self.product(node);
        }
        let (map, constant) = self.map_and_constant(node)?;
        let view = self.map(node, map)?;
        let scale = self.channel_values(node, constant, view)?;
        self.affine(node, view, &scale, &vec![0.0; scale.len()])
    }

    /// A map by a map: of the same shape, or of one pixel, as in a squeeze-and-excite block. A map by its own sigmoid is a curve.
    fn product(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let [first, second] = [self.map(node, 0)?, self.map(node, 1)?];
        let (of, by) = match (self.multiplies(second, first), self.multiplies(first, second)) {
            (true, _) => (first, second),
            (false, true) => (second, first),
            (false, false) => {
                let problem = format!("a product of {:?} and {:?}", self.dims(first), self.dims(second));
                let accepted = "two maps of one shape, or one of them of one pixel";
                return Err(NodeError::new(node, problem, accepted).into());
            }
        };
        for (x, gate) in [(first, second), (second, first)] {
            if let Some(curve) = self.gated(x, gate) {
                if let Some(layer) = self.open_layer(gate) {
                    layer.op = Op::Curve(curve);
                }
                return Ok(self.folded(node, gate));
            }
        }
        let Map { channels, height, width, .. } = self.graph.tensors[of.tensor];
        self.layer(node, Op::Product, vec![of.tensor, by.tensor], [channels, height, width], of.flat)
    }

    /// Whether `by` has a factor for each value or for each channel of `of`.
    fn multiplies(&self, by: View, of: View) -> bool {
        let [factors, map] = [by, of].map(|view| &self.graph.tensors[view.tensor]);
        let same = (factors.height, factors.width) == (map.height, map.width);
        factors.channels == map.channels && by.flat == of.flat && (same || (factors.area() == 1 && !by.flat))
    }

    /// The curve that `x` times `gate` is, if nothing else reads the gate and it is a sigmoid of `x`.
    fn gated(&mut self, x: View, gate: View) -> Option<Curve> {
        let layer = self.open_layer(gate).filter(|l| l.inputs == [x.tensor] && l.clamp == Clamp::NONE)?;
        match layer.op {
            Op::Curve(Curve::Sigmoid) => Some(Curve::Silu),
            Op::Curve(Curve::HardSigmoid { alpha, beta: 0.5 }) if (alpha - 1.0 / 6.0).abs() < 1e-6 => {
                Some(Curve::HardSwish)
            }
            _ => None,
        }
    }

    pub(super) fn divide(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        Attributes::of(node, &[])?;
        let view = self.map(node, 0)?;
        if let Value::Length(tensor) = *self.value(node, 1)? {
            if tensor != view.tensor {
                return Err(
                    NodeError::new(node, "by the length of another tensor", "by its own length").into()
                );
            }
            return Ok(self.unit_length(view));
        }
        if let Value::Map(_) = self.value(node, 1)? {
            return Err(NodeError::new(node, "by a feature map", "by a constant or its own length").into());
        }
        let by = self.channel_values(node, 1, view)?;
        if let Some(at) = by.iter().position(|v| *v == 0.0) {
            return Err(NodeError::new(node, format!("by zero at index {at}"), "other divisors").into());
        }
        let scale: Vec<f32> = by.iter().map(|v| 1.0 / v).collect();
        self.affine(node, view, &scale, &vec![0.0; scale.len()])
    }

    pub(super) fn lp_normalization(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let attributes = Attributes::of(node, &["axis", "p"])?;
        attributes.must_be("p", 2)?;
        let view = self.map(node, 0)?;
        self.over_the_embedding(node, view, &[attributes.int("axis")?.unwrap_or(-1)])?;
        Ok(self.unit_length(view))
    }

    /// The embedding's length, which may be kept from zero, until the embedding is divided by it.
    pub(super) fn length(&mut self, node: &'m NodeProto) -> Result<TensorId, ReadError> {
        let attributes = Attributes::of(node, &["axes", "keepdims", "noop_with_empty_axes"])?;
        let view = self.map(node, 0)?;
        let axes = self.axes(node, &attributes, 18)?;
        self.over_the_embedding(node, view, &axes)?;
        Ok(view.tensor)
    }

    /// Checks that what is added to a length, or is its least, leaves a length.
    pub(super) fn kept_from_zero(&self, node: &'m NodeProto) -> Result<(), ReadError> {
        let (_, values) = self.some_weights(node, 1)?;
        match values.iter().find(|v| **v < 0.0) {
            Some(least) => Err(NodeError::new(node, format!("a length and {least}"), "0 or more").into()),
            None => Ok(()),
        }
    }

    fn over_the_embedding(&self, node: &NodeProto, view: View, axes: &[i64]) -> Result<(), NodeError> {
        let rank = self.dims(view).len() as i64;
        let whole = matches!(axes, [1]) || matches!(axes, [axis] if *axis == 1 - rank);
        if whole && self.graph.tensors[view.tensor].area() == 1 {
            return Ok(());
        }
        let problem = format!("over the axes {axes:?} of {:?}", self.dims(view));
        Err(NodeError::new(node, problem, "axis 1 of an embedding [1, D] or [1, D, 1, 1]"))
    }

    /// An embedding's length says nothing here: angles do not see it. Nothing may come after.
    fn unit_length(&mut self, view: View) -> View {
        self.normalised = Some(view.tensor);
        View { sole: false, ..view }
    }
}
