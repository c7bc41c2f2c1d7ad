//! tract's decluttered graph, node by node, to layers.

use std::collections::HashMap;
use std::sync::Arc;

use arcgate_firmware::engine::plan::{MAPS, map_shape};
use arcgate_firmware::kernels::Shape;
use arcgate_firmware::model::{ModelInfo, Task};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::TypedConcat;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::cnn::{Conv, MaxPool};
use tract_onnx::tract_core::ops::downsample::Downsample;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::logic::Iff;
use tract_onnx::tract_core::ops::nn::resize::NearestUpsample;
use tract_onnx::tract_core::ops::quant::DequantizeLinearF32;
use tract_onnx::tract_core::ops::source::TypedSource;

use super::network::{Network, Slopes, TensorId, Work};
use super::value::{Affine, Map, Source, Value, View};
use super::{LowerError, slope};
use crate::quantize::lattice::Quantization;

/// Lowers a decluttered graph.
pub fn walk(model: &TypedModel, info: &ModelInfo, task: Task) -> Result<Network, LowerError> {
    let network = Network::new(info.clone(), task);
    let mut walk = Walk { model, network, values: HashMap::new() };
    check_interface(model, info, task)?;
    let order = model.eval_order().map_err(|e| LowerError::Graph(format!("{e:#}")))?;
    for id in order {
        let node = model.node(id);
        if node.outputs.len() == 1 && node.outputs[0].fact.konst.is_none() {
            let value = walk.node(node)?;
            walk.values.insert(id.into(), value);
        }
    }
    walk.finish()
}

/// The input and output that every arcgate model has.
fn check_interface(model: &TypedModel, info: &ModelInfo, task: Task) -> Result<(), LowerError> {
    let input = [1, info.order.channels(), info.height as usize, info.width as usize];
    check_facts(model, "input", &model.inputs, u8::datum_type(), vec![input.to_vec()])?;
    match task {
        Task::Embedding => {
            let output = vec![1, info.dimension as usize];
            check_facts(model, "output", &model.outputs, i8::datum_type(), vec![output])
        }
        Task::Detection => {
            let map = |at| {
                let Shape { height, width, channels } = map_shape(at, info.width, info.height);
                vec![1, channels, height, width]
            };
            check_facts(model, "output", &model.outputs, f32::datum_type(), (0..MAPS).map(map).collect())
        }
    }
}

/// Checks that a graph's ends are tensors of one type and these shapes.
fn check_facts(
    model: &TypedModel,
    which: &'static str,
    outlets: &[OutletId],
    datum_type: DatumType,
    shapes: Vec<Vec<usize>>,
) -> Result<(), LowerError> {
    let accepted = || match &shapes[..] {
        [shape] => format!("one {datum_type:?} tensor of shape {shape:?}"),
        all => format!("{} {datum_type:?} tensors, the first of shape {:?}", all.len(), all[0]),
    };
    if outlets.len() != shapes.len() {
        let found = format!("{} tensors", outlets.len());
        return Err(LowerError::Interface { which, found, accepted: accepted() });
    }
    for (&outlet, shape) in outlets.iter().zip(&shapes) {
        let fact = model.outlet_fact(outlet).map_err(|e| LowerError::Graph(format!("{e:#}")))?;
        if fact.datum_type != datum_type || fact.shape.as_concrete() != Some(&shape[..]) {
            let found = format!("{:?} of shape {:?}", fact.datum_type, fact.shape);
            return Err(LowerError::Interface { which, found, accepted: accepted() });
        }
    }
    Ok(())
}

/// A graph half lowered.
pub(super) struct Walk<'m> {
    pub(super) model: &'m TypedModel,
    pub(super) network: Network,
    pub(super) values: HashMap<OutletId, Value>,
}

impl Walk<'_> {
    /// An error that names `node`.
    pub(super) fn refuse(
        &self,
        node: &TypedNode,
        why: impl Into<String>,
        accepted: &'static str,
    ) -> LowerError {
        let name = |outlet: &OutletId| format!("\"{}\"", self.model.node(outlet.node).name);
        let constant = |outlet: &&OutletId| self.model.outlet_fact(**outlet).is_ok_and(|f| f.konst.is_some());
        let inputs: Vec<String> = node.inputs.iter().filter(|o| !constant(o)).map(name).collect();
        LowerError::Node {
            node: node.name.clone(),
            op: node.op.name().into_owned(),
            why: why.into(),
            between: format!("{} and \"{}\"", inputs.join(", "), node.name),
            accepted,
        }
    }

    /// The constant on an outlet, if it holds one.
    pub(super) fn constant(&self, outlet: OutletId) -> Option<Arc<Tensor>> {
        self.model.outlet_fact(outlet).ok()?.konst.clone()
    }

    /// The shape of an outlet; every dimension is a number.
    pub(super) fn shape(&self, node: &TypedNode, outlet: OutletId) -> Result<TVec<usize>, LowerError> {
        let fact = self.model.outlet_fact(outlet).ok();
        let shape = fact.and_then(|f| f.shape.as_concrete()).map(|s| s.iter().copied().collect());
        shape.ok_or_else(|| {
            self.refuse(node, "a shape is not fixed", "models whose every dimension is a number")
        })
    }

    pub(super) fn value(&self, node: &TypedNode, slot: usize) -> Result<&Value, LowerError> {
        self.values.get(&node.inputs[slot]).ok_or_else(|| {
            self.refuse(
                node,
                "it reads a wire that was not lowered",
                "graphs with one input and one output a node",
            )
        })
    }

    fn node(&mut self, node: &TypedNode) -> Result<Value, LowerError> {
        if node.op_is::<TypedSource>() {
            return Ok(Value::Map(Map::identity(View { source: Source::Pixels, stride: [1, 1] })));
        }
        if let Some(conv) = node.op_as::<Conv>() {
            return self.conv(node, conv);
        }
        if let Some(product) = node.op_as::<EinSum>() {
            return self.product(node, product);
        }
        if let Some(op) = node.op_as::<AxisOp>() {
            return self.axes(node, op);
        }
        if let Some(op) = node.op_as::<Downsample>() {
            return self.downsample(node, op);
        }
        if let Some(pool) = node.op_as::<MaxPool>() {
            return self.max_pool(node, pool);
        }
        if let Some(op) = node.op_as::<NearestUpsample>() {
            return self.upsample(node, op);
        }
        if let Some(op) = node.op_as::<TypedConcat>() {
            return self.concat(node, op);
        }
        if let Some(value) = self.pair(node)? {
            return Ok(value);
        }
        let element_wise = node.op_is::<ElementWiseOp>()
            || node.op_is::<TypedBinOp>()
            || node.op_is::<Iff>()
            || node.op_is::<Cast>()
            || node.op_is::<DequantizeLinearF32>();
        if element_wise {
            return self.element_wise(node);
        }
        Err(self.refuse(
            node,
            "no integer form is known for this operator",
            "QLinearConv, and element-wise operators between DequantizeLinear and QuantizeLinear; `arcgate import` \
             writes such models",
        ))
    }

    /// Reshapes keep the order of values; a transposition of more than one real axis does not.
    fn axes(&self, node: &TypedNode, op: &AxisOp) -> Result<Value, LowerError> {
        if let AxisOp::Move(from, to) = *op {
            let shape = self.shape(node, node.inputs[0])?;
            let (low, high) = (from.min(to), from.max(to));
            let crossed = if from < to { &shape[low + 1..=high] } else { &shape[low..high] };
            if shape[from] != 1 && crossed.iter().any(|&d| d != 1) {
                return Err(self.refuse(node, "it changes the order of values", "reshapes that keep it"));
            }
        }
        Ok(self.value(node, 0)?.clone())
    }

    /// Every n-th row or column: the stride of a 1x1 convolution that tract took out of it.
    fn downsample(&self, node: &TypedNode, op: &Downsample) -> Result<Value, LowerError> {
        let accepted = "every n-th row or column, from the first, in front of a 1x1 convolution";
        let rank = self.shape(node, node.inputs[0])?.len();
        let axis = (op.axis + 2).checked_sub(rank).filter(|axis| *axis < 2 && rank >= 3);
        let (Some(axis), 1.., 0, Value::Map(map)) = (axis, op.stride, op.modulo, self.value(node, 0)?) else {
            return Err(self.refuse(node, "it does not slice rows or columns from the first on", accepted));
        };
        let mut map = map.clone();
        map.view.stride[axis] *= op.stride as usize;
        Ok(Value::Map(map))
    }

    /// Rows, columns and channels of what a view shows.
    pub(super) fn seen(&self, view: View) -> Shape {
        let info = &self.network.info;
        let shape = match view.source {
            Source::Pixels => Shape {
                height: info.height as usize,
                width: info.width as usize,
                channels: info.order.channels(),
            },
            Source::Tensor(id) => self.network.tensors[id],
        };
        let [rows, columns] = view.stride;
        Shape { height: shape.height.div_ceil(rows), width: shape.width.div_ceil(columns), ..shape }
    }

    /// An element-wise node on 256 values for each channel, computed by tract.
    fn element_wise(&mut self, node: &TypedNode) -> Result<Value, LowerError> {
        let accepted =
            "element-wise operators on one int8 tensor, with constants that are one value or one a channel";
        let mut of: Option<Map> = None;
        for slot in 0..node.inputs.len() {
            if self.constant(node.inputs[slot]).is_some() {
                continue;
            }
            match self.value(node, slot)? {
                Value::Map(map) if of.as_ref().is_none_or(|of| of.view == map.view) => of = Some(map.clone()),
                Value::Map(_) => {
                    let accepted = "the sum or the product of two tensors";
                    return Err(self.refuse(node, "it combines two tensors", accepted));
                }
                Value::Pair(_) => {
                    let accepted = "Relu, Clip or QuantizeLinear after the sum or product of two tensors";
                    return Err(self.refuse(node, "it follows a sum or a product", accepted));
                }
            }
        }
        let Some(of) = of else { return Err(self.refuse(node, "all its inputs are constants", accepted)) };
        // What is dequantized is an activation of its own, so that an add can read it.
        let of = match (node.op_is::<DequantizeLinearF32>(), &of.table) {
            (true, Some(table)) if table.datum_type() == i8::datum_type() => {
                Map::identity(self.activation(node, 0)?.1)
            }
            _ => of,
        };
        let mut inputs = tvec!();
        for &outlet in &node.inputs {
            let tensor = match self.constant(outlet) {
                Some(constant) => self.channel_constant(node, &constant, of.view)?,
                None => match self.values.get(&outlet) {
                    Some(Value::Map(Map { table: Some(table), .. })) => table.clone().into_tvalue(),
                    _ => identity_table(of.view.source).into_tvalue(),
                },
            };
            inputs.push(tensor);
        }
        let outputs = node
            .op
            .eval(&EvalContext::out_of_plan(), inputs)
            .map_err(|e| self.refuse(node, format!("tract cannot compute it: {e:#}"), accepted))?;
        let table = outputs[0].clone().into_arc_tensor();
        let dequantized = node.op_as::<DequantizeLinearF32>().filter(|_| of.table.is_none());
        let affine = match dequantized {
            Some(op) => Some(Affine { scale: op.scale, zero: op.zero_point }),
            None => of.affine,
        };
        Ok(Value::Map(Map { view: of.view, table: Some(table), affine, is_affine: dequantized.is_some() }))
    }

    /// A constant operand as `[1, 1]` or `[channels, 1]`.
    fn channel_constant(
        &self,
        node: &TypedNode,
        constant: &Tensor,
        view: View,
    ) -> Result<TValue, LowerError> {
        let accepted = "one value, or one for each channel";
        let mut tensor = constant.clone();
        let axes: Vec<usize> = (0..constant.rank()).filter(|&axis| constant.shape()[axis] != 1).collect();
        let rows = match axes[..] {
            [] => 1,
            [axis] => {
                let output = self.shape(node, node.id.into())?;
                let seen = self.seen(view);
                let from_end = constant.rank() - axis;
                let inner: usize = output[output.len() + 1 - from_end..].iter().product();
                if constant.shape()[axis] != seen.channels || inner != seen.height * seen.width {
                    return Err(self.refuse(
                        node,
                        "a constant runs along another axis than channels",
                        accepted,
                    ));
                }
                seen.channels
            }
            _ => return Err(self.refuse(node, "a constant has more than one axis", accepted)),
        };
        tensor.set_shape(&[rows, 1]).map_err(|e| self.refuse(node, format!("{e:#}"), accepted))?;
        Ok(tensor.into_tvalue())
    }

    /// The activation behind an int8 wire, through a table layer if the wire is a function of another activation.
    pub(super) fn activation(
        &mut self,
        node: &TypedNode,
        slot: usize,
    ) -> Result<(TensorId, View), LowerError> {
        let outlet = node.inputs[slot];
        let name = self.model.node(outlet.node).name.clone();
        let Some(Value::Map(map)) = self.values.get(&outlet).cloned() else {
            return Err(self.refuse(
                node,
                "it reads a sum or product that was not quantized",
                "int8 tensors",
            ));
        };
        let view = self.materialize(node, &name, &map)?;
        self.values.insert(outlet, Value::Map(Map::identity(view)));
        match view.source {
            Source::Tensor(id) => Ok((id, view)),
            Source::Pixels => {
                Err(self.refuse(node, "it reads pixels that were not quantized", "int8 tensors"))
            }
        }
    }

    /// Adds the table layer that `map` stands for, if it is one.
    fn materialize(&mut self, node: &TypedNode, name: &str, map: &Map) -> Result<View, LowerError> {
        let Some(table) = &map.table else { return Ok(map.view) };
        let rows = table.shape()[0];
        let plain = table.try_as_plain_ram().ok();
        let Some(values) = plain.as_ref().and_then(|plain| plain.as_slice::<i8>().ok()) else {
            let why = format!("it reads {:?} values", table.datum_type());
            return Err(self.refuse(
                node,
                why,
                "int8 tensors: a QuantizeLinear after what computes in float",
            ));
        };
        let id = match map.view.source {
            Source::Pixels => {
                if map.view.stride != [1, 1] {
                    return Err(self.refuse(node, "it skips pixels", "all pixels of the input"));
                }
                let shape = self.seen(map.view);
                let tables = if rows == 1 { values.repeat(shape.channels) } else { values.to_vec() };
                self.network.push(name, Work::Input(tables), None, None, shape)
            }
            Source::Tensor(source) => {
                let shape = self.network.tensors[source];
                let shared = values.chunks_exact(256).all(|row| row == &values[..256]);
                let work = if shared {
                    Work::Lookup(values[..256].to_vec())
                } else {
                    let input_zero = map.affine.and_then(|affine| i8::try_from(affine.zero).ok());
                    match input_zero.and_then(|zero| slope::slopes(values, zero)) {
                        Some(slopes) => Work::Slope(slopes),
                        None => Work::LookupChannels(values.to_vec()),
                    }
                };
                self.network.push(name, work, Some(source), None, shape)
            }
        };
        Ok(View { source: Source::Tensor(id), ..map.view })
    }

    fn finish(self) -> Result<Network, LowerError> {
        match self.network.task {
            Task::Embedding => self.finish_embedding(),
            Task::Detection => self.finish_detection(),
        }
    }

    /// The embedding: what the graph's last wire holds, in plane order, with zero point 0.
    fn finish_embedding(mut self) -> Result<Network, LowerError> {
        let outlet = self.model.outputs[0];
        let node = self.model.node(outlet.node);
        let Some(Value::Map(map)) = self.values.get(&outlet).cloned() else {
            return Err(self.refuse(node, "the output is a sum that was not quantized", "an int8 output"));
        };
        let view = self.materialize(node, &node.name, &map)?;
        let Source::Tensor(id) = view.source else {
            return Err(self.refuse(node, "the output is the input", "an embedding"));
        };
        if view.stride != [1, 1] {
            return Err(self.refuse(node, "the output skips rows or columns", "all of them"));
        }
        self.network.fold_clamps();
        let shape = self.network.tensors[id];
        let flat = Shape { height: 1, width: 1, channels: shape.bytes() };
        let last = self.network.layers.last().map(|layer| layer.output);
        if last != Some(id) {
            return Err(self.refuse(node, "the output is computed before the last layer", "an embedding"));
        }
        let zero = match self.network.layers.last().map(|layer| &layer.work) {
            Some(Work::Conv(conv)) => conv.output_zero,
            Some(Work::Sum(sum)) => sum.output_zero,
            Some(Work::FloatSum(sum)) => sum.output_zero,
            Some(Work::Product(product)) => product.output_zero,
            Some(Work::Slope(Slopes { output_zero, .. })) => *output_zero,
            _ => 0,
        };
        if zero != 0 {
            let why = format!("the embedding has zero point {zero}");
            return Err(self.refuse(node, why, "zero point 0, so that angles are integer dot products"));
        }
        if shape.height * shape.width > 1 && shape.channels > 1 {
            self.network.push(&format!("{}.planes", node.name), Work::Planes, Some(id), None, flat);
        }
        Ok(self.network)
    }

    /// A detector's maps: each a dequantized activation of the shape that its place among the outputs asks for.
    fn finish_detection(mut self) -> Result<Network, LowerError> {
        let (width, height) = (self.network.info.width, self.network.info.height);
        for (at, outlet) in self.model.outputs.iter().enumerate() {
            let node = self.model.node(outlet.node);
            let accepted = "the DequantizeLinear of an int8 tensor";
            let map = match self.values.get(outlet) {
                Some(Value::Map(map @ Map { is_affine: true, .. })) if map.view.stride == [1, 1] => map,
                _ => return Err(self.refuse(node, "an output is no dequantized tensor", accepted)),
            };
            let (Source::Tensor(id), Some(affine)) = (map.view.source, map.affine) else {
                return Err(self.refuse(node, "an output is the input", accepted));
            };
            if self.network.tensors[id] != map_shape(at, width, height) {
                let why = format!("map {at} has another shape than its stride asks for");
                return Err(self.refuse(node, why, "cls, obj, bbox and kps for the strides 8, 16 and 32"));
            }
            let zero_point = i8::try_from(affine.zero)
                .map_err(|_| self.refuse(node, "an output's zero point is outside int8", accepted))?;
            self.network.maps.push((id, Quantization { scale: affine.scale, zero_point }));
        }
        self.network.fold_clamps();
        Ok(self.network)
    }
}

/// The 256 values of a source: all bytes, as u8 pixels or as int8 steps.
fn identity_table(source: Source) -> Tensor {
    let bytes: Vec<u8> = (0..=255).collect();
    let table = match source {
        Source::Pixels => tensor1(&bytes),
        Source::Tensor(_) => tensor1(&bytes.iter().map(|&b| b as i8).collect::<Vec<i8>>()),
    };
    table.into_shape(&[1, 256]).expect("256 values are one row of 256")
}
