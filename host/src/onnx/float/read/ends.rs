//! The two ends of the graph: the picture that it takes and the embedding that it gives.

use std::collections::HashSet;

use tract_onnx::pb::{
    GraphProto, ModelProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto::dimension, type_proto,
};

use super::{Reader, Value, refuse};
use crate::onnx::float::error::ReadError;
use crate::onnx::float::{Clamp, FloatGraph, Layer, Map, Op, TensorId};

/// Rows or columns of an input.
const LARGEST_SIDE: usize = 4096;

/// The picture's geometry, and whether its channels come last.
pub(super) fn input_map(input: &ValueInfoProto) -> Result<(Map, bool), ReadError> {
    let accepted = "FLOAT [1, channels, height, width] or [1, height, width, channels] with 1 or 3 channels, and sides of 1 to 4096; \
         only the batch may vary (`arcgate import --input` fixes other sizes)";
    let r#type = input.r#type.as_ref().and_then(|t| t.value.as_ref());
    let Some(type_proto::Value::TensorType(tensor)) = r#type else {
        return Err(refuse(format!("the input {:?} has no type", input.name), accepted));
    };
    let dims = tensor.shape.as_ref().map(|s| s.dim.as_slice()).unwrap_or_default();
    let size = |dim: &tract_onnx::pb::tensor_shape_proto::Dimension| match &dim.value {
        Some(dimension::Value::DimValue(d)) => usize::try_from(*d).ok(),
        _ => None,
    };
    let told = |dim| size(dim).map_or("?".into(), |d: usize| d.to_string());
    let shape: Vec<String> = dims.iter().map(told).collect();
    let problem = || {
        let kind = DataType::try_from(tensor.elem_type).map_or("?", |t| t.as_str_name());
        format!("the input {:?} is {kind} [{}]", input.name, shape.join(", "))
    };
    let sizes: Vec<Option<usize>> = dims.iter().map(size).collect();
    let (batch, [channels, height, width], channels_last) = match sizes[..] {
        [batch, Some(c @ (1 | 3)), Some(h), Some(w)] => (batch, [c, h, w], false),
        [batch, Some(h), Some(w), Some(c @ (1 | 3))] => (batch, [c, h, w], true),
        _ => return Err(refuse(problem(), accepted)),
    };
    let sides = [height, width].iter().all(|side| (1..=LARGEST_SIDE).contains(side));
    if !matches!(batch, None | Some(0 | 1)) || !sides || tensor.elem_type != DataType::Float as i32 {
        return Err(refuse(problem(), accepted));
    }
    Ok((Map { name: input.name.clone(), channels, height, width }, channels_last))
}

/// Fixes the sizes that an exporter left open in the input of `model`: `dims` as a whole, in the order of the file.
///
/// # Errors
/// When the graph has another input than one of as many axes, or says another size itself.
pub fn fix_input(model: &mut ModelProto, dims: &[i64]) -> Result<(), ReadError> {
    let accepted = "an input of as many axes, and sizes only where the file leaves them open";
    let graph = model.graph.as_mut().ok_or_else(|| refuse("the file holds no graph".into(), accepted))?;
    let constants: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let mut inputs = graph.input.iter_mut().filter(|i| !constants.contains(i.name.as_str()));
    let (Some(input), None) = (inputs.next(), inputs.next()) else {
        return Err(refuse("the graph does not have one input".into(), accepted));
    };
    let name = input.name.clone();
    let r#type = input.r#type.as_mut().and_then(|t| t.value.as_mut());
    let shape = match r#type {
        Some(type_proto::Value::TensorType(tensor)) => tensor.shape.as_mut(),
        _ => None,
    };
    let Some(shape) = shape.filter(|s| s.dim.len() == dims.len()) else {
        return Err(refuse(format!("the input {name:?} does not have {} axes", dims.len()), accepted));
    };
    for (axis, (dim, &size)) in shape.dim.iter_mut().zip(dims).enumerate() {
        match dim.value {
            Some(dimension::Value::DimValue(found)) if found > 0 && found != size => {
                let problem = format!("axis {axis} of the input {name:?} is {found}, asked for {size}");
                return Err(refuse(problem, accepted));
            }
            _ => dim.value = Some(dimension::Value::DimValue(size)),
        }
    }
    Ok(())
}

impl<'m> Reader<'m> {
    /// The graph without what its output does not need.
    pub(super) fn finish(mut self, proto: &GraphProto) -> Result<FloatGraph, ReadError> {
        let [output] = proto.output.as_slice() else {
            let problem = format!("the graph has {} outputs", proto.output.len());
            return Err(refuse(problem, "one output, the embedding"));
        };
        let Some(Value::Map(view)) = self.values.get(output.name.as_str()) else {
            return Err(refuse(
                format!("no node computes the output {:?}", output.name),
                "an output of a node",
            ));
        };
        let (view, embedding) = (*view, &self.graph.tensors[view.tensor]);
        if embedding.area() != 1 || view.tensor == 0 {
            let problem = format!("the output {:?} has the shape {:?}", output.name, self.dims(view));
            return Err(refuse(problem, "an embedding [1, D] or [1, D, 1, 1]"));
        }
        let longest = arcgate_firmware::embedding::MAX_DIMENSION;
        if embedding.channels > longest {
            let problem = format!("the embedding has {} values", embedding.channels);
            return Err(refuse(problem, "1 to 512 values"));
        }
        if let Some(normalised) = self.normalised
            && (normalised != view.tensor || self.graph.layers.iter().any(|l| l.inputs.contains(&normalised)))
        {
            let problem =
                format!("layers follow the unit length of {:?}", self.graph.tensors[normalised].name);
            return Err(refuse(
                problem,
                "the embedding brought to unit length as the last step, or not at all",
            ));
        }
        let mut needed: HashSet<TensorId> = HashSet::from([view.tensor]);
        for layer in self.graph.layers.iter().rev() {
            if needed.contains(&layer.output) {
                needed.extend(&layer.inputs);
            }
        }
        if !needed.contains(&0) {
            return Err(refuse(
                "the output does not depend on the picture".into(),
                "a network of the picture",
            ));
        }
        // The embedding is cut nowhere: its zero point is 0. A layer that copies it out of a cut one keeps that exact.
        let last =
            self.makers[view.tensor].map(|l| (self.graph.layers[l].name.clone(), self.graph.layers[l].clamp));
        if let Some((name, clamp)) = last
            && clamp != Clamp::NONE
        {
            let map = self.graph.tensors[view.tensor].clone();
            let output = self.graph.tensors.len();
            self.graph.tensors.push(Map { name: format!("{}/embedding", map.name), ..map });
            let (name, kind) = (format!("{name}/embedding"), "Identity".into());
            let (op, inputs) = (Op::Slope(vec![1.0]), vec![view.tensor]);
            self.graph.layers.push(Layer { name, kind, op, clamp: Clamp::NONE, inputs, output });
            needed.insert(output);
        }
        Ok(prune(self.graph, &needed))
    }
}

/// Leaves out the layers whose output nobody needs, and numbers the tensors anew.
fn prune(graph: FloatGraph, needed: &HashSet<TensorId>) -> FloatGraph {
    let mut numbers = vec![usize::MAX; graph.tensors.len()];
    let mut tensors = Vec::new();
    for (old, map) in graph.tensors.into_iter().enumerate() {
        if needed.contains(&old) {
            numbers[old] = tensors.len();
            tensors.push(map);
        }
    }
    let mut layers: Vec<Layer> = graph.layers.into_iter().filter(|l| needed.contains(&l.output)).collect();
    for layer in &mut layers {
        layer.output = numbers[layer.output];
        layer.inputs.iter_mut().for_each(|i| *i = numbers[*i]);
    }
    FloatGraph { tensors, layers }
}
