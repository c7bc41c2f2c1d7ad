//! From an ONNX graph to a [`FloatGraph`].

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, tensor_proto::DataType,
    tensor_shape_proto::dimension, type_proto,
};

use super::error::{NodeError, ReadError, display_name};
use super::windows::{Attributes, Windows};
use super::{Clamp, Conv, ConvKind, FloatGraph, Layer, Map, Op, TensorId, shape};
use crate::onnx::tensor::{Tensor, Values};

/// Values that a tensor may hold: 64 MiB of f32.
const LARGEST_VOLUME: usize = 1 << 24;

/// Rows or columns of an input.
const LARGEST_SIDE: usize = 4096;

/// What the reader takes, for the error about an operator that it does not.
const OPERATORS: &str = "Conv, BatchNormalization, Relu, Clip, LeakyRelu, PRelu, Add, Gemm, MatMul, Flatten, \
    Reshape, Squeeze, GlobalAveragePool, ReduceMean over the map, Identity, Dropout, Constant";

impl FloatGraph {
    /// Reads a float embedder.
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

/// A constant's dimensions and its values.
type Weights = (Vec<usize>, Vec<f32>);

/// A tensor as a node sees it.
#[derive(Clone, Copy)]
struct View {
    tensor: TensorId,
    /// [1, volume] instead of [1, channels, height, width].
    flat: bool,
    /// Nothing else reads the layer that made it, so what follows may be folded into that layer.
    sole: bool,
}

enum Value<'m> {
    Stored(&'m TensorProto),
    Constant(Tensor),
    Map(View),
}

struct Reader<'m> {
    values: HashMap<&'m str, Value<'m>>,
    uses: HashMap<&'m str, usize>,
    /// The layer that makes each tensor.
    makers: Vec<Option<usize>>,
    graph: FloatGraph,
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
        let map = input_map(input)?;
        values.insert(&input.name, Value::Map(View { tensor: 0, flat: false, sole: false }));
        let graph = FloatGraph { tensors: vec![map], layers: Vec::new() };
        Ok(Reader { values, uses, makers: vec![None], graph, opset })
    }

    fn node(&mut self, node: &'m NodeProto) -> Result<(), ReadError> {
        if !(node.domain.is_empty() || node.domain == "ai.onnx") {
            let problem = format!("an operator of the domain {:?}", node.domain);
            return Err(NodeError::new(node, problem, "the standard operators").into());
        }
        match node.op_type.as_str() {
            "Constant" => {
                let value = constant(node)?;
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
        let view = match node.op_type.as_str() {
            "Identity" => {
                Attributes::of(node, &[])?;
                if let Some(Value::Stored(constant)) = self.values.get(self.input(node, 0)?) {
                    let constant = *constant;
                    return self.define(node, Value::Stored(constant));
                }
                self.map(node, 0)?
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
            "Add" => self.add(node)?,
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
            "Flatten" => {
                let axis = Attributes::of(node, &["axis"])?.int("axis")?.unwrap_or(1);
                let view = self.map(node, 0)?;
                let rank = self.dims(view).len() as i64;
                if axis != 1 && axis != 1 - rank {
                    return Err(NodeError::new(node, format!("attribute axis = {axis}"), "axis = 1").into());
                }
                View { flat: true, ..view }
            }
            "Reshape" => self.reshape(node)?,
            "Squeeze" => self.squeeze(node)?,
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

    /// The name of input `index`.
    fn input(&self, node: &'m NodeProto, index: usize) -> Result<&'m str, NodeError> {
        match node.input.get(index) {
            Some(name) if !name.is_empty() => Ok(name),
            _ => Err(NodeError::new(node, format!("input {index} is missing"), "all inputs of the operator")),
        }
    }

    fn value(&self, node: &'m NodeProto, index: usize) -> Result<&Value<'m>, NodeError> {
        let name = self.input(node, index)?;
        self.values.get(name).ok_or_else(|| {
            NodeError::new(
                node,
                format!("no earlier node makes {name:?}"),
                "nodes after what they read, no cycles",
            )
        })
    }

    /// Input `index` as a feature map.
    fn map(&self, node: &'m NodeProto, index: usize) -> Result<View, NodeError> {
        match self.value(node, index)? {
            Value::Map(view) => Ok(View { sole: view.sole, ..*view }),
            _ => Err(NodeError::new(node, format!("input {index} is a constant"), "a feature map there")),
        }
    }

    /// Input `index` as a constant; `None` where it is left out.
    fn constant(&self, node: &'m NodeProto, index: usize) -> Result<Option<Tensor>, ReadError> {
        if node.input.get(index).is_none_or(|name| name.is_empty()) {
            return Ok(None);
        }
        match self.value(node, index)? {
            Value::Stored(proto) => Ok(Some(Tensor::of(proto)?)),
            Value::Constant(tensor) => Ok(Some(tensor.clone())),
            Value::Map(_) => {
                let problem = format!("input {index} ({:?}) is computed", node.input[index]);
                Err(NodeError::new(node, problem, "a constant there").into())
            }
        }
    }

    /// Input `index` as finite real numbers.
    fn weights(&self, node: &'m NodeProto, index: usize) -> Result<Option<Weights>, ReadError> {
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

    fn some_weights(&self, node: &'m NodeProto, index: usize) -> Result<Weights, ReadError> {
        let missing = || NodeError::new(node, format!("input {index} is missing"), "a constant there");
        self.weights(node, index)?.ok_or_else(|| missing().into())
    }

    /// A list of one value a channel.
    fn per_channel(&self, node: &'m NodeProto, index: usize, channels: usize) -> Result<Vec<f32>, ReadError> {
        let (dims, values) = self.some_weights(node, index)?;
        if dims != [channels] {
            let problem = format!("constant {:?} has the shape {dims:?}", node.input[index]);
            return Err(NodeError::new(node, problem, format!("[{channels}], one value a channel")).into());
        }
        Ok(values)
    }

    /// All inputs as constants, or `None` if one is a map (or there is none).
    fn all_constant(&self, node: &'m NodeProto) -> Result<Option<Vec<Tensor>>, ReadError> {
        let is_map = |name: &String| {
            !matches!(self.values.get(name.as_str()), Some(Value::Stored(_) | Value::Constant(_)))
        };
        if node.input.is_empty() || node.input.iter().any(is_map) || node.op_type == "Identity" {
            return Ok(None);
        }
        let all: Result<Vec<_>, _> = (0..node.input.len()).map(|i| self.constant(node, i)).collect();
        Ok(Some(all?.into_iter().flatten().collect()))
    }

    fn dims(&self, view: View) -> Vec<usize> {
        let map = &self.graph.tensors[view.tensor];
        if view.flat { vec![1, map.volume()] } else { vec![1, map.channels, map.height, map.width] }
    }

    /// Adds a layer that makes a new tensor.
    fn layer(
        &mut self,
        node: &NodeProto,
        op: Op,
        inputs: Vec<TensorId>,
        [channels, height, width]: [usize; 3],
        flat: bool,
    ) -> Result<View, ReadError> {
        let name = node.output.first().cloned().unwrap_or_default();
        let volume = [height, width].iter().try_fold(channels, |v, &d| v.checked_mul(d));
        if volume.is_none_or(|v| v > LARGEST_VOLUME) {
            let problem = format!("its output would be {channels}x{height}x{width}");
            return Err(NodeError::new(node, problem, format!("at most {LARGEST_VOLUME} values")).into());
        }
        let output = self.graph.tensors.len();
        self.graph.tensors.push(Map { name, channels, height, width });
        self.makers.push(Some(self.graph.layers.len()));
        let layer = Layer {
            name: display_name(node),
            kind: node.op_type.clone(),
            op,
            clamp: Clamp::NONE,
            inputs,
            output,
        };
        self.graph.layers.push(layer);
        Ok(View { tensor: output, flat, sole: true })
    }

    /// The layer that made `view`, if what follows may be folded into it.
    fn open_layer(&mut self, view: View) -> Option<&mut Layer> {
        let layer = &mut self.graph.layers[self.makers[view.tensor].filter(|_| view.sole)?];
        Some(layer)
    }

    /// Says that `node` was folded into the layer that made `view`.
    fn folded(&mut self, node: &NodeProto, view: View) -> View {
        let name = node.output.first().cloned().unwrap_or_default();
        self.graph.tensors[view.tensor].name = name;
        if let Some(layer) = self.open_layer(view) {
            layer.kind = format!("{}+{}", layer.kind, node.op_type);
        }
        view
    }

    /// Multiplies by `scale` and adds `shift`, one a channel: into the convolution before, or as one of its own.
    fn affine(
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

    fn conv(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let allowed = ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"];
        let attributes = Attributes::of(node, &allowed)?;
        let view = self.map(node, 0)?;
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
        let windows = Windows::of(node, &attributes, kernel, [map.height, map.width])?;
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
    fn connected(
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
    fn matrix(&self, node: &'m NodeProto, transposed: bool) -> Result<(View, usize, Vec<f32>), ReadError> {
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

    fn gemm(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
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

    fn mat_mul(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        Attributes::of(node, &[])?;
        let (view, outputs, weights) = self.matrix(node, false)?;
        self.connected(node, view, weights, vec![0.0; outputs])
    }

    fn batch_normalization(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
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

    fn global_average(&mut self, node: &'m NodeProto, flat: bool) -> Result<View, ReadError> {
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

    fn reduce_mean(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let attributes = Attributes::of(node, &["axes", "keepdims", "noop_with_empty_axes"])?;
        let axes = self.axes(node, &attributes, 18)?;
        let mut axes: Vec<i64> = axes.iter().map(|&a| if a < 0 { a.saturating_add(4) } else { a }).collect();
        axes.sort();
        if axes != [2, 3] {
            return Err(NodeError::new(node, format!("a mean over the axes {axes:?}"), "axes [2, 3]").into());
        }
        self.global_average(node, attributes.int("keepdims")?.unwrap_or(1) == 0)
    }

    /// The axes of an operator that took them from an attribute before operator set `since` and takes an input now.
    fn axes(
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

    fn add(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
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

    /// Constant input `index` as one value a channel of `view`, broadcast by ONNX's rules.
    fn channel_values(&self, node: &'m NodeProto, index: usize, view: View) -> Result<Vec<f32>, ReadError> {
        let map = &self.graph.tensors[view.tensor];
        let (dims, values) = self.some_weights(node, index)?;
        let shape = if view.flat { vec![1, map.channels] } else { vec![1, map.channels, 1, 1] };
        if view.flat && map.area() != 1 && values.len() != 1 {
            let problem = format!("constant {:?} varies within channels", node.input[index]);
            return Err(NodeError::new(node, problem, "one value, or one a channel").into());
        }
        Ok(spread(node, index, &dims, values, &shape)?)
    }

    /// Cuts to `lo..=hi`: in the layer before, or as a layer of its own.
    fn cut(&mut self, node: &NodeProto, view: View, lo: f32, hi: f32) -> Result<View, ReadError> {
        if !(lo <= 0.0 && hi >= 0.0 && lo < hi) {
            let problem = format!("a cut to {lo} ... {hi}");
            return Err(NodeError::new(node, problem, "limits around zero: low <= 0 <= high").into());
        }
        if let Some(layer) = self.open_layer(view) {
            let clamp = &mut layer.clamp;
            *clamp = Clamp { lo: clamp.lo.max(lo), hi: clamp.hi.min(hi) };
            if clamp.lo < clamp.hi {
                return Ok(self.folded(node, view));
            }
            let problem = format!("after the cut before it, nothing but {lo} ... {hi} is left");
            return Err(NodeError::new(node, problem, "limits with values between them").into());
        }
        let map = &self.graph.tensors[view.tensor];
        let shape = [map.channels, map.height, map.width];
        let view = self.layer(node, Op::Slope(vec![1.0]), vec![view.tensor], shape, view.flat)?;
        if let Some(layer) = self.open_layer(view) {
            layer.clamp = Clamp { lo, hi };
        }
        Ok(view)
    }

    fn clip(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let attributes = Attributes::of(node, if self.opset < 11 { &["min", "max"] } else { &[] })?;
        let view = self.map(node, 0)?;
        let limit = |index: usize, name: &str| -> Result<Option<f32>, ReadError> {
            if self.opset < 11 {
                return Ok(attributes.float(name)?);
            }
            let Some(tensor) = self.constant(node, index)? else { return Ok(None) };
            match tensor.f32s() {
                Some(&[value]) => Ok(Some(value)),
                _ => {
                    let problem = format!("input {index} ({name}) has the shape {:?}", tensor.dims);
                    Err(NodeError::new(node, problem, "one FLOAT value").into())
                }
            }
        };
        // The largest f32 is how exporters write "no limit".
        let lo = limit(1, "min")?.filter(|&v| v != f32::MIN).unwrap_or(f32::NEG_INFINITY);
        let hi = limit(2, "max")?.filter(|&v| v != f32::MAX).unwrap_or(f32::INFINITY);
        self.cut(node, view, lo, hi)
    }

    fn slope(&mut self, node: &'m NodeProto, slopes: Vec<f32>) -> Result<View, ReadError> {
        if let Some(strange) = slopes.iter().find(|s| !s.is_finite()) {
            return Err(NodeError::new(node, format!("a slope of {strange}"), "finite slopes").into());
        }
        let view = self.map(node, 0)?;
        let map = &self.graph.tensors[view.tensor];
        let shape = [map.channels, map.height, map.width];
        let shared = slopes.iter().all(|s| *s == slopes[0]);
        let slopes = if shared { slopes[..1].to_vec() } else { slopes };
        self.layer(node, Op::Slope(slopes), vec![view.tensor], shape, view.flat)
    }

    fn prelu(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        Attributes::of(node, &[])?;
        let view = self.map(node, 0)?;
        let slopes = self.channel_values(node, 1, view)?;
        self.slope(node, slopes)
    }

    fn dropout(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        Attributes::of(node, &["ratio", "seed", "is_test"])?;
        if let Some(training) = self.constant(node, 2)?
            && training.i64s().is_none_or(|v| v.iter().any(|&v| v != 0))
        {
            return Err(NodeError::new(node, "training_mode is on", "training_mode off or left out").into());
        }
        Ok(self.map(node, 0)?)
    }

    fn reshape(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let attributes = Attributes::of(node, &["allowzero"])?;
        let copies_zero = attributes.int("allowzero")?.unwrap_or(0) == 0;
        let view = self.map(node, 0)?;
        let dims = self.dims(view);
        let volume = self.graph.tensors[view.tensor].volume();
        let target = self.constant(node, 1)?;
        let target = target.as_ref().and_then(Tensor::i64s).unwrap_or_default();
        let mut wanted: Vec<i64> =
            (0..target.len())
                .map(|i| {
                    if target[i] == 0 && copies_zero {
                        dims.get(i).map_or(0, |&d| d as i64)
                    } else {
                        target[i]
                    }
                })
                .collect();
        let known = wanted.iter().filter(|&&d| d != -1).try_fold(1i64, |n, &d| n.checked_mul(d));
        if let Some(known) = known.filter(|&k| k > 0)
            && wanted.iter().filter(|&&d| d == -1).count() == 1
        {
            wanted.iter_mut().filter(|d| **d == -1).for_each(|d| *d = volume as i64 / known);
        }
        self.reshaped(view, &wanted).ok_or_else(|| {
            let problem = format!("from {dims:?} to {target:?}");
            NodeError::new(node, problem, format!("[1, {volume}] or the shape that it has")).into()
        })
    }

    /// `view` with the shape `wanted`, if only the flatness changes.
    fn reshaped(&self, view: View, wanted: &[i64]) -> Option<View> {
        let is = |flat: bool| {
            self.dims(View { flat, ..view }).iter().map(|&d| d as i64).eq(wanted.iter().copied())
        };
        if is(true) {
            return Some(View { flat: true, ..view });
        }
        is(false).then_some(View { flat: false, ..view })
    }

    fn squeeze(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let attributes = Attributes::of(node, &["axes"])?;
        let view = self.map(node, 0)?;
        let axes = self.axes(node, &attributes, 13)?;
        let rank = self.dims(view).len() as i64;
        let mut axes: Vec<i64> =
            axes.iter().map(|&a| if a < 0 { a.saturating_add(rank) } else { a }).collect();
        axes.sort();
        if view.flat || axes != [2, 3] || self.graph.tensors[view.tensor].area() != 1 {
            let problem = format!("the axes {axes:?} of {:?}", self.dims(view));
            return Err(NodeError::new(node, problem, "axes [2, 3] of [1, channels, 1, 1]").into());
        }
        Ok(View { flat: true, ..view })
    }

    /// The graph without what its output does not need.
    fn finish(mut self, proto: &GraphProto) -> Result<FloatGraph, ReadError> {
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

/// The picture's geometry.
fn input_map(input: &ValueInfoProto) -> Result<Map, ReadError> {
    let accepted = "FLOAT [1, channels, height, width] with 1 or 3 channels, and sides of 1 to 4096; only the batch may vary";
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
    match sizes.as_slice() {
        &[batch, Some(channels @ (1 | 3)), Some(height), Some(width)]
            if matches!(batch, None | Some(0 | 1))
                && (1..=LARGEST_SIDE).contains(&height)
                && (1..=LARGEST_SIDE).contains(&width)
                && tensor.elem_type == DataType::Float as i32 =>
        {
            Ok(Map { name: input.name.clone(), channels, height, width })
        }
        _ => Err(refuse(problem(), accepted)),
    }
}

/// The value of a Constant node.
fn constant(node: &NodeProto) -> Result<Tensor, ReadError> {
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
fn spread(
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
