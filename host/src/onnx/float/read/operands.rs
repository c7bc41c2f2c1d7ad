//! What a node reads: feature maps, and constants as the operators want them.

use tract_onnx::pb::NodeProto;

use super::{Reader, Value, View};
use crate::onnx::float::error::{NodeError, ReadError};
use crate::onnx::float::windows::Attributes;
use crate::onnx::tensor::{Tensor, Values};

/// A constant's dimensions and its values.
type Weights = (Vec<usize>, Vec<f32>);

impl<'m> Reader<'m> {
    /// The name of input `index`.
    pub(super) fn input(&self, node: &'m NodeProto, index: usize) -> Result<&'m str, NodeError> {
        match node.input.get(index) {
            Some(name) if !name.is_empty() => Ok(name),
            _ => Err(NodeError::new(node, format!("input {index} is missing"), "all inputs of the operator")),
        }
    }

    pub(super) fn value(&self, node: &'m NodeProto, index: usize) -> Result<&Value<'m>, NodeError> {
        let name = self.input(node, index)?;
        self.values.get(name).ok_or_else(|| {
            NodeError::new(
                node,
                format!("no earlier node makes {name:?}"),
                "nodes after what they read, no cycles",
            )
        })
    }

    /// Input `index` as a feature map with its channels first and nothing around it.
    pub(super) fn map(&self, node: &'m NodeProto, index: usize) -> Result<View, NodeError> {
        let view = self.any_map(node, index)?;
        if view.pads != [0; 4] {
            return Err(NodeError::new(node, "its input was padded", "a Conv right after Pad"));
        }
        if view.channels_last && self.graph.tensors[view.tensor].area() == 1 {
            return Ok(View { flat: true, channels_last: false, ..view });
        }
        if view.channels_last {
            let accepted =
                "the picture as [1, channels, height, width], or a Transpose with perm = [0, 3, 1, 2] first";
            return Err(NodeError::new(node, "its input has the channels last", accepted));
        }
        Ok(view)
    }

    /// Input `index` as a feature map, whatever its form.
    pub(super) fn any_map(&self, node: &'m NodeProto, index: usize) -> Result<View, NodeError> {
        match self.value(node, index)? {
            Value::Map(view) => Ok(*view),
            Value::Length(_) => {
                Err(NodeError::new(node, format!("input {index} is a length"), "an embedding divided by it"))
            }
            _ => Err(NodeError::new(node, format!("input {index} is a constant"), "a feature map there")),
        }
    }

    /// Input `index` as a constant; `None` where it is left out.
    pub(super) fn constant(&self, node: &'m NodeProto, index: usize) -> Result<Option<Tensor>, ReadError> {
        if node.input.get(index).is_none_or(|name| name.is_empty()) {
            return Ok(None);
        }
        match self.value(node, index)? {
            Value::Stored(proto) => Ok(Some(Tensor::of(proto)?)),
            Value::Constant(tensor) => Ok(Some(tensor.clone())),
            Value::Map(_) | Value::Length(_) => {
                let problem = format!("input {index} ({:?}) is computed", node.input[index]);
                Err(NodeError::new(node, problem, "a constant there").into())
            }
        }
    }

    /// Input `index` as finite real numbers.
    pub(super) fn weights(&self, node: &'m NodeProto, index: usize) -> Result<Option<Weights>, ReadError> {
        let Some(tensor) = self.constant(node, index)? else { return Ok(None) };
        let name = &node.input[index];
        let Values::F32(values) = tensor.values else {
            let problem = format!("constant {name:?} holds integers");
            return Err(NodeError::new(node, problem, "FLOAT values").into());
        };
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            let problem = format!("constant {name:?} holds {} at index {at}", values[at]);
            return Err(NodeError::new(node, problem, "finite values").into());
        }
        Ok(Some((tensor.dims, values)))
    }

    pub(super) fn some_weights(&self, node: &'m NodeProto, index: usize) -> Result<Weights, ReadError> {
        let missing = || NodeError::new(node, format!("input {index} is missing"), "a constant there");
        self.weights(node, index)?.ok_or_else(|| missing().into())
    }

    /// A list of one value a channel.
    pub(super) fn per_channel(
        &self,
        node: &'m NodeProto,
        index: usize,
        channels: usize,
    ) -> Result<Vec<f32>, ReadError> {
        let (dims, values) = self.some_weights(node, index)?;
        if dims != [channels] {
            let problem = format!("constant {:?} has the shape {dims:?}", node.input[index]);
            return Err(NodeError::new(node, problem, format!("[{channels}], one value a channel")).into());
        }
        Ok(values)
    }

    /// All inputs as constants, or `None` if one is a map (or there is none).
    pub(super) fn all_constant(&self, node: &'m NodeProto) -> Result<Option<Vec<Tensor>>, ReadError> {
        let is_map = |name: &String| {
            !matches!(self.values.get(name.as_str()), Some(Value::Stored(_) | Value::Constant(_)))
        };
        if node.input.is_empty() || node.input.iter().any(is_map) || node.op_type == "Identity" {
            return Ok(None);
        }
        let all: Result<Vec<_>, _> = (0..node.input.len()).map(|i| self.constant(node, i)).collect();
        Ok(Some(all?.into_iter().flatten().collect()))
    }

    /// The axes of an operator that took them from an attribute before operator set `since` and takes an input now.
    pub(super) fn axes(
        &self,
        node: &'m NodeProto,
        attributes: &Attributes<'_>,
        since: i64,
    ) -> Result<Vec<i64>, ReadError> {
        let from_input = match self.constant(node, 1)? {
            Some(tensor) if self.opset >= since => tensor.i64s().map(<[i64]>::to_vec),
            _ => None,
        };
        let axes = from_input.or(attributes.ints("axes")?.map(<[i64]>::to_vec));
        axes.ok_or_else(|| NodeError::new(node, "it names no axes", "axes [2, 3]").into())
    }

    /// Constant input `index` as one value a channel of `view`, broadcast by ONNX's rules.
    pub(super) fn channel_values(
        &self,
        node: &'m NodeProto,
        index: usize,
        view: View,
    ) -> Result<Vec<f32>, ReadError> {
        let map = &self.graph.tensors[view.tensor];
        let (dims, values) = self.some_weights(node, index)?;
        let shape = if view.flat { vec![1, map.channels] } else { vec![1, map.channels, 1, 1] };
        if view.flat && map.area() != 1 && values.len() != 1 {
            let problem = format!("constant {:?} varies within channels", node.input[index]);
            return Err(NodeError::new(node, problem, "one value, or one a channel").into());
        }
        Ok(spread(node, index, &dims, values, &shape)?)
    }
}

/// The value of a Constant node.
pub(super) fn constant(node: &NodeProto) -> Result<Tensor, ReadError> {
    let kinds = ["value", "value_float", "value_floats", "value_int", "value_ints"];
    Attributes::of(node, &kinds)?;
    let vector = |values: Values, length| Tensor { dims: vec![length], values };
    match node.attribute.as_slice() {
        [a] => match (a.name.as_str(), &a.t) {
            ("value", Some(tensor)) => Ok(Tensor::of(tensor)?),
            ("value_float", _) => Ok(Tensor { dims: vec![], values: Values::F32(vec![a.f]) }),
            ("value_floats", _) => Ok(vector(Values::F32(a.floats.clone()), a.floats.len())),
            ("value_int", _) => Ok(Tensor { dims: vec![], values: Values::I64(vec![a.i]) }),
            ("value_ints", _) => Ok(vector(Values::I64(a.ints.clone()), a.ints.len())),
            _ => Err(NodeError::new(node, "its value is no tensor", kinds.join(", ")).into()),
        },
        other => {
            let problem = format!("{} attributes", other.len());
            Err(NodeError::new(node, problem, format!("one of {}", kinds.join(", "))).into())
        }
    }
}

/// Constant values as one value a channel: `shape` has the channels in axis 1 and ones elsewhere, and `dims` broadcasts to it.
pub(super) fn spread(
    node: &NodeProto,
    index: usize,
    dims: &[usize],
    values: Vec<f32>,
    shape: &[usize],
) -> Result<Vec<f32>, NodeError> {
    let channels = shape[1];
    let aligned = dims.len() <= shape.len()
        && dims.iter().rev().zip(shape.iter().rev()).all(|(d, s)| d == s || *d == 1);
    if !aligned || values.is_empty() {
        let problem = format!("constant {:?} has the shape {dims:?}", node.input[index]);
        return Err(NodeError::new(node, problem, format!("one value, or {:?}", &shape[1..])));
    }
    Ok(if values.len() == 1 { vec![values[0]; channels] } else { values })
}
