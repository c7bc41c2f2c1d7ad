//! The two ends of the graph: the picture that it takes and the embedding that it gives.

use std::collections::HashSet;

use arcgate_firmware::detect::STRIDES;
use arcgate_firmware::engine::plan::map_shape;
use arcgate_firmware::kernels::Shape;
use arcgate_firmware::model::Task;
use tract_onnx::pb::{
    GraphProto, ModelProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto::dimension, type_proto,
};

use super::{Reader, Value, View, refuse};
use crate::onnx::float::error::ReadError;
use crate::onnx::float::{Clamp, FloatGraph, Layer, Map, Op, TensorId, map_names};

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

/// Leaves `model` with the one of its outputs that is named.
///
/// # Errors
/// When it has none of that name; the error lists those that it has.
pub fn keep_output(model: &mut ModelProto, name: &str) -> Result<(), ReadError> {
    let outputs = model.graph.as_mut().map(|g| &mut g.output);
    let Some(outputs) = outputs.filter(|o| o.iter().any(|o| o.name == name)) else {
        let listed = model.graph.iter().flat_map(|g| &g.output).map(|o| format!("{:?}", o.name));
        let listed: Vec<String> = listed.collect();
        let problem = format!("no output is named {name:?}; there are {}", listed.join(", "));
        return Err(refuse(problem, "the name of an output"));
    };
    outputs.retain(|o| o.name == name);
    Ok(())
}

impl<'m> Reader<'m> {
    /// The graph without what its outputs do not need.
    pub(super) fn finish(mut self, proto: &GraphProto) -> Result<FloatGraph, ReadError> {
        let named = |name: &String| proto.output.iter().find(|o| o.name == *name);
        let detector: Option<Vec<_>> = map_names().map(|name| named(&name)).collect();
        match (proto.output.as_slice(), detector) {
            ([output], _) => {
                let embedding = self.embedding(output)?;
                self.graph.outputs = vec![embedding];
            }
            (all, Some(maps)) if all.len() == maps.len() => {
                self.graph.task = Task::Detection;
                self.graph.outputs = maps
                    .iter()
                    .enumerate()
                    .map(|(at, map)| self.map_of(at, map))
                    .collect::<Result<_, _>>()?;
            }
            (all, _) => {
                let listed: Vec<String> = all.iter().map(|o| format!("{:?}", o.name)).collect();
                let problem = format!("the graph has {} outputs: {}", all.len(), listed.join(", "));
                let accepted = "one output, the embedding (`arcgate import --embedding NAME` keeps one of several), or the twelve of a \
                                YuNet detector: cls_S, obj_S, bbox_S and kps_S for the strides 8, 16 and 32";
                return Err(refuse(problem, accepted));
            }
        }
        let mut needed: HashSet<TensorId> = self.graph.outputs.iter().copied().collect();
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
        Ok(prune(self.graph, &needed))
    }

    /// What an output holds.
    fn given(&self, output: &ValueInfoProto) -> Result<View, ReadError> {
        match self.values.get(output.name.as_str()) {
            Some(Value::Map(view)) => Ok(*view),
            _ => Err(refuse(format!("no node computes the output {:?}", output.name), "an output of a node")),
        }
    }

    /// Map `at` of a detector, in the order of [`FloatGraph::outputs`].
    fn map_of(&self, at: usize, output: &ValueInfoProto) -> Result<TensorId, ReadError> {
        let view = self.given(output)?;
        let (input, map) = (&self.graph.tensors[0], &self.graph.tensors[view.tensor]);
        let (width, height) = (input.width as u16, input.height as u16);
        let stride = usize::from(STRIDES[STRIDES.len() - 1]);
        if input.width % stride != 0 || input.height % stride != 0 {
            let problem = format!("the picture of a detector has {}x{} pixels", input.width, input.height);
            return Err(refuse(problem, "multiples of 32"));
        }
        let Shape { height, width, channels } = map_shape(at, width, height);
        if [map.height, map.width, map.channels] != [height, width, channels] || view.tensor == 0 {
            let problem = format!("the output {:?} has the shape {:?}", output.name, self.dims(view));
            return Err(refuse(
                problem,
                "a cell for each stride of rows and columns, with 1, 1, 4 and 10 values",
            ));
        }
        Ok(view.tensor)
    }

    /// The embedding, cut nowhere.
    fn embedding(&mut self, output: &ValueInfoProto) -> Result<TensorId, ReadError> {
        let view = self.given(output)?;
        let embedding = &self.graph.tensors[view.tensor];
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
        // Its zero point is 0, which a cut or what keeps the steps of its input might not have: a layer that copies the embedding
        // out of such a one keeps that exact.
        let maker = self.makers[view.tensor].map(|l| &self.graph.layers[l]);
        let open = |l: &&Layer| {
            l.clamp == Clamp::NONE && !matches!(l.op, Op::MaxPool(_) | Op::Upsample(_) | Op::Concat)
        };
        let Some(maker) = maker.filter(|l| !open(l)) else { return Ok(view.tensor) };
        let (name, kind) = (format!("{}/embedding", maker.name), "Identity".into());
        let map = self.graph.tensors[view.tensor].clone();
        let output = self.graph.tensors.len();
        self.graph.tensors.push(Map { name: format!("{}/embedding", map.name), ..map });
        let (op, inputs) = (Op::Slope(vec![1.0]), vec![view.tensor]);
        self.graph.layers.push(Layer { name, kind, op, clamp: Clamp::NONE, inputs, output });
        Ok(output)
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
    let outputs = graph.outputs.iter().map(|&o| numbers[o]).collect();
    FloatGraph { tensors, layers, task: graph.task, outputs }
}
