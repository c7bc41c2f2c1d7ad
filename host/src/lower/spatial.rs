//! What moves int8 values without computing new ones: the greatest of windows, repeated pixels, channels side by side.

use arcgate_firmware::kernels::{Shape, Window};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::TypedConcat;
use tract_onnx::tract_core::ops::cnn::MaxPool;
use tract_onnx::tract_core::ops::nn::resize::NearestUpsample;

use super::LowerError;
use super::network::{TensorId, Work};
use super::value::{Map, Source, Value, View};
use super::walk::Walk;

impl Walk<'_> {
    pub(super) fn max_pool(&mut self, node: &TypedNode, pool: &MaxPool) -> Result<Value, LowerError> {
        let spec = &pool.pool_spec;
        let plain = pool.with_index_outputs.is_none() && !spec.data_format.c_is_last() && spec.rank() == 2;
        if !plain || spec.dilations().iter().any(|&d| d != 1) {
            return Err(self.refuse(
                node,
                "its form is not known",
                "the greatest of windows of planes, dilation 1",
            ));
        }
        let (input, shape) = self.whole(node, 0)?;
        let pads = spec.computed_padding(&[shape.height, shape.width]);
        let window = Window {
            kernel: [spec.kernel_shape[0], spec.kernel_shape[1]],
            stride: [spec.stride(0), spec.stride(1)],
            pad: [pads[0].pad_before, pads[1].pad_before],
        };
        let output = Shape { height: pads[0].convoluted, width: pads[1].convoluted, ..shape };
        let id = self.network.push(&node.name, Work::MaxPool(window), Some(input), None, output);
        Ok(plain_value(id))
    }

    pub(super) fn upsample(&mut self, node: &TypedNode, op: &NearestUpsample) -> Result<Value, LowerError> {
        let (input, shape) = self.whole(node, 0)?;
        let [.., rows, columns] = op.scales[..] else {
            return Err(self.refuse(node, "it has no rows and columns", "maps of planes"));
        };
        if op.scales[..op.scales.len() - 2].iter().any(|&s| s != 1) {
            return Err(self.refuse(node, "it repeats channels", "rows and columns repeated"));
        }
        let output = Shape { height: shape.height * rows, width: shape.width * columns, ..shape };
        let id = self.network.push(&node.name, Work::Upsample, Some(input), None, output);
        Ok(plain_value(id))
    }

    /// Each operand through its table into its channels of the output.
    pub(super) fn concat(&mut self, node: &TypedNode, op: &TypedConcat) -> Result<Value, LowerError> {
        let accepted = "int8 maps of one size, one after the other by channels";
        let shape = self.shape(node, node.id.into())?;
        let inner: usize = shape[op.axis + 1..].iter().product();
        let mut operands = Vec::new();
        for slot in 0..node.inputs.len() {
            if self.constant(node.inputs[slot]).is_some() {
                return Err(self.refuse(node, "an operand is a constant", accepted));
            }
            // A table for all channels goes with the move; others are layers of their own.
            let shared = match self.value(node, slot)? {
                Value::Map(map) => map.table.clone().filter(|t| t.shape()[0] == 1).zip(Some(map.view)),
                Value::Pair(_) => None,
            };
            let values = shared.and_then(|(table, view)| {
                let table = table.try_as_plain_ram().ok()?.as_slice::<i8>().ok()?.to_vec();
                Some((view, table))
            });
            let (view, table) = match values {
                Some((view @ View { source: Source::Tensor(_), stride: [1, 1] }, table)) => (view, table),
                _ => (self.activation(node, slot)?.1, (0..=255u8).map(|byte| byte as i8).collect()),
            };
            let (Source::Tensor(id), [1, 1]) = (view.source, view.stride) else {
                return Err(self.refuse(node, "an operand skips rows or columns", accepted));
            };
            let channels = self.shape(node, node.inputs[slot])?[op.axis];
            let stored = self.network.tensors[id];
            if stored.channels != channels || stored.height * stored.width != inner {
                return Err(self.refuse(node, "it does not run along the channels", accepted));
            }
            operands.push((id, table));
        }
        let Some(&(first, _)) = operands.first() else {
            return Err(self.refuse(node, "it has no operand", accepted));
        };
        let one = self.network.tensors[first];
        if operands.iter().any(|(id, _)| self.network.tensors[*id].height != one.height) {
            return Err(self.refuse(node, "its operands differ in rows", accepted));
        }
        let output = self.network.tensor(Shape { channels: shape[op.axis], ..one });
        let mut at = 0;
        for (id, table) in operands {
            let channels = self.network.tensors[id].channels;
            self.network.push_into(&node.name, Work::Place { table, first: at }, id, output);
            at += channels;
        }
        Ok(plain_value(output))
    }

    /// An activation that is read as a layer wrote it.
    fn whole(&mut self, node: &TypedNode, slot: usize) -> Result<(TensorId, Shape), LowerError> {
        let (id, view) = self.activation(node, slot)?;
        let stored = self.network.tensors[id];
        let shape = self.shape(node, node.inputs[slot])?;
        let planes =
            shape.len() >= 3 && shape[shape.len() - 3..] == [stored.channels, stored.height, stored.width];
        if !planes || view.stride != [1, 1] {
            return Err(self.refuse(node, "its input was reshaped", "what a layer wrote"));
        }
        Ok((id, stored))
    }
}

fn plain_value(id: TensorId) -> Value {
    Value::Map(Map::identity(View { source: Source::Tensor(id), stride: [1, 1] }))
}
