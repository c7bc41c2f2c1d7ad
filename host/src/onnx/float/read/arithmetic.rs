//! Arithmetic with constants, and the embedding brought to unit length at the end.

use tract_onnx::pb::NodeProto;

use super::{Reader, Value, View};
use crate::onnx::float::TensorId;
use crate::onnx::float::error::{NodeError, ReadError};
use crate::onnx::float::windows::Attributes;

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
        let (map, constant) = self.map_and_constant(node)?;
        let view = self.map(node, map)?;
        let scale = self.channel_values(node, constant, view)?;
        self.affine(node, view, &scale, &vec![0.0; scale.len()])
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
