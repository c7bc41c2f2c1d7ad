//! From an ONNX graph to a [`FloatGraph`]: node after node, each operator in the file of its kind.

mod activation;
mod arithmetic;
mod ends;
mod grow;
mod linear;
mod operands;
mod pool;
mod reshape;
mod resize;

use std::collections::HashMap;

use arcgate_firmware::model::Task;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};

use super::error::{NodeError, ReadError};
use super::windows::Attributes;
use super::{FloatGraph, TensorId, shape};
use crate::onnx::tensor::{Tensor, Values};
use ends::input_map;
pub use ends::{fix_input, keep_output};

/// What the reader takes, for the error about an operator that it does not.
const OPERATORS: &str = "Conv, BatchNormalization, Relu, Clip, LeakyRelu, PRelu, Sigmoid, HardSigmoid, HardSwish, Add, Mul, Sub and Div by \
    constants, Concat of channels, Gemm, MatMul, Flatten, Reshape, Squeeze, Unsqueeze, Transpose at the ends, Pad before a Conv, MaxPool, \
    AveragePool, GlobalAveragePool, Resize and Upsample that repeat pixels, ReduceMean over the map, ReduceL2 and Div or LpNormalization of the embedding, Identity, Dropout, Constant";

impl FloatGraph {
    /// Reads a float embedder or detector.
    ///
    /// # Errors
    /// When an operator, an attribute, a shape or a constant is not taken; the error names the node and what would be.
    pub fn read(model: &ModelProto) -> Result<Self, ReadError> {
        let graph = model
            .graph
            .as_ref()
            .ok_or_else(|| refuse("the file holds no graph".into(), "an ONNX model with a graph"))?;
        let opset = opset(model)?;
        let mut reader = Reader::new(graph, opset)?;
        for node in &graph.node {
            reader.node(node)?;
        }
        reader.finish(graph)
    }
}

fn refuse(problem: String, accepted: &'static str) -> ReadError {
    ReadError::Graph { problem, accepted }
}

/// The version of the standard operators.
fn opset(model: &ModelProto) -> Result<i64, ReadError> {
    let standard = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    let version = model.opset_import.iter().find(|o| standard(&o.domain)).map(|o| o.version);
    match version {
        Some(version @ 7..=25) => Ok(version),
        other => Err(refuse(
            other.map_or("the model names no operator set".into(), |v| {
                format!("the operator set is version {v}")
            }),
            "version 7 to 25 of the standard operators",
        )),
    }
}

/// A tensor as a node sees it.
#[derive(Clone, Copy)]
struct View {
    tensor: TensorId,
    /// [1, volume] instead of [1, channels, height, width]; with the channels last [1, height x width, channels].
    flat: bool,
    /// Nothing else reads the layer that made it, so what follows may be folded into that layer.
    sole: bool,
    /// [1, height, width, channels]: the picture before its Transpose, an output after its own.
    channels_last: bool,
    /// Zeros around it that the convolution which reads it takes into its own: top, left, bottom, right.
    pads: [usize; 4],
}

impl View {
    /// A tensor as it is.
    fn plain(tensor: TensorId, flat: bool, sole: bool) -> Self {
        View { tensor, flat, sole, channels_last: false, pads: [0; 4] }
    }
}

enum Value<'m> {
    Stored(&'m TensorProto),
    Constant(Tensor),
    Map(View),
    /// The length of an embedding.
    Length(TensorId),
}

struct Reader<'m> {
    values: HashMap<&'m str, Value<'m>>,
    uses: HashMap<&'m str, usize>,
    /// The layer that makes each tensor.
    makers: Vec<Option<usize>>,
    graph: FloatGraph,
    /// The tensor that was brought to unit length.
    normalised: Option<TensorId>,
    opset: i64,
}

impl<'m> Reader<'m> {
    fn new(graph: &'m GraphProto, opset: i64) -> Result<Self, ReadError> {
        let mut values: HashMap<&str, Value<'_>> = HashMap::new();
        for constant in &graph.initializer {
            if values.insert(&constant.name, Value::Stored(constant)).is_some() {
                return Err(refuse(
                    format!("two constants are named {:?}", constant.name),
                    "one of each name",
                ));
            }
        }
        if let Some(sparse) = graph.sparse_initializer.first() {
            let name = sparse.values.as_ref().map(|v| v.name.clone()).unwrap_or_default();
            return Err(refuse(format!("constant {name:?} is sparse"), "dense constants"));
        }
        let inputs: Vec<&ValueInfoProto> =
            graph.input.iter().filter(|i| !values.contains_key(i.name.as_str())).collect();
        let [input] = inputs.as_slice() else {
            return Err(refuse(format!("the graph has {} inputs", inputs.len()), "one input, the picture"));
        };
        let mut uses: HashMap<&str, usize> = HashMap::new();
        let read = graph.node.iter().flat_map(|n| n.input.iter()).map(String::as_str);
        for name in read.chain(graph.output.iter().map(|o| o.name.as_str())) {
            *uses.entry(name).or_default() += 1;
        }
        let (map, channels_last) = input_map(input)?;
        let picture = View { channels_last, ..View::plain(0, false, false) };
        values.insert(&input.name, Value::Map(picture));
        let (tensors, layers) = (vec![map], Vec::new());
        let graph = FloatGraph { tensors, layers, task: Task::Embedding, outputs: Vec::new() };
        Ok(Reader { values, uses, makers: vec![None], graph, normalised: None, opset })
    }

    fn node(&mut self, node: &'m NodeProto) -> Result<(), ReadError> {
        if !(node.domain.is_empty() || node.domain == "ai.onnx") {
            let problem = format!("an operator of the domain {:?}", node.domain);
            return Err(NodeError::new(node, problem, "the standard operators").into());
        }
        match node.op_type.as_str() {
            "Constant" => {
                let value = operands::constant(node)?;
                return self.define(node, Value::Constant(value));
            }
            "Shape" => {
                Attributes::of(node, &[])?;
                let dims = self.dims(self.map(node, 0)?);
                let dims: Vec<i64> = dims.iter().map(|&d| d as i64).collect();
                let value = Tensor { dims: vec![dims.len()], values: Values::I64(dims) };
                return self.define(node, Value::Constant(value));
            }
            _ => {}
        }
        if let Some(inputs) = self.all_constant(node)?
            && let Some(folded) = shape::fold(node, &inputs)?
        {
            return self.define(node, Value::Constant(folded));
        }
        let first = node.input.first().and_then(|name| self.values.get(name.as_str()));
        match (node.op_type.as_str(), first) {
            ("ReduceL2", _) => {
                let length = self.length(node)?;
                return self.define(node, Value::Length(length));
            }
            // A length kept from zero, or repeated for each value, is that length.
            ("Clip" | "Max" | "Add" | "Expand" | "Identity" | "Unsqueeze", Some(Value::Length(tensor))) => {
                let length = *tensor;
                if matches!(node.op_type.as_str(), "Max" | "Add") {
                    self.kept_from_zero(node)?;
                }
                return self.define(node, Value::Length(length));
            }
            _ => {}
        }
        let view = match node.op_type.as_str() {
            "Identity" => {
                Attributes::of(node, &[])?;
                if let Some(Value::Stored(constant)) = self.values.get(self.input(node, 0)?) {
                    let constant = *constant;
                    return self.define(node, Value::Stored(constant));
                }
                self.any_map(node, 0)?
            }
            "Dropout" => self.dropout(node)?,
            "Conv" => self.conv(node)?,
            "Gemm" => self.gemm(node)?,
            "MatMul" => self.mat_mul(node)?,
            "BatchNormalization" => self.batch_normalization(node)?,
            "GlobalAveragePool" => {
                Attributes::of(node, &[])?;
                self.global_average(node, false)?
            }
            "ReduceMean" => self.reduce_mean(node)?,
            "AveragePool" => self.average_pool(node)?,
            "MaxPool" => self.max_pool(node)?,
            "Resize" => self.resize(node)?,
            "Upsample" => self.upsample(node)?,
            "Concat" => self.concat(node)?,
            "Pad" => self.pad(node)?,
            "Add" => self.add(node)?,
            "Sub" => self.subtract(node)?,
            "Mul" => self.multiply(node)?,
            "Div" => self.divide(node)?,
            "LpNormalization" => self.lp_normalization(node)?,
            "Relu" => {
                Attributes::of(node, &[])?;
                let view = self.map(node, 0)?;
                self.cut(node, view, 0.0, f32::INFINITY)?
            }
            "Clip" => self.clip(node)?,
            "LeakyRelu" => {
                let slope = Attributes::of(node, &["alpha"])?.float("alpha")?.unwrap_or(0.01);
                self.slope(node, vec![slope])?
            }
            "PRelu" => self.prelu(node)?,
            "Sigmoid" | "HardSigmoid" | "HardSwish" => self.curve(node)?,
            "Flatten" => self.flatten(node)?,
            "Reshape" => self.reshape(node)?,
            "Squeeze" => self.squeeze(node)?,
            "Unsqueeze" => self.unsqueeze(node)?,
            "Transpose" => self.transpose(node)?,
            _ => {
                return Err(
                    NodeError::new(node, "an operator without an integer form here", OPERATORS).into()
                );
            }
        };
        let output = node.output.first().map(String::as_str).unwrap_or_default();
        let sole = view.sole && self.uses.get(output).copied().unwrap_or(0) == 1;
        self.define(node, Value::Map(View { sole, ..view }))
    }

    /// Gives the node's output its value.
    fn define(&mut self, node: &'m NodeProto, value: Value<'m>) -> Result<(), ReadError> {
        let [output, others @ ..] = node.output.as_slice() else {
            return Err(NodeError::new(node, "no output", "one output").into());
        };
        if let Some(used) = others.iter().find(|o| self.uses.contains_key(o.as_str())) {
            let problem = format!("its output {used:?} is read");
            return Err(NodeError::new(node, problem, "only the first output in use").into());
        }
        if output.is_empty() || self.values.insert(output, value).is_some() {
            let problem = format!("its output {output:?} was made before");
            return Err(NodeError::new(node, problem, "every tensor made once").into());
        }
        Ok(())
    }
}
