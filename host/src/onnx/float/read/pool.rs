//! Averages and the greatest of windows, and the zeros around a map.

use tract_onnx::pb::NodeProto;

use super::{Reader, View};
use crate::onnx::float::error::{NodeError, ReadError};
use crate::onnx::float::windows::{Attributes, Windows};
use crate::onnx::float::{Conv, ConvKind, Op, Pool};
use crate::onnx::tensor::Tensor;

impl<'m> Reader<'m> {
    /// A depthwise convolution of equal weights.
    pub(super) fn average_pool(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let allowed =
            ["auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"];
        let attributes = Attributes::of(node, &allowed)?;
        attributes.must_be("ceil_mode", 0)?;
        let view = self.unflat(node)?;
        let map = &self.graph.tensors[view.tensor];
        let kernel = kernel_shape(node, &attributes)?;
        let Windows { strides, pads, output: [height, width] } =
            Windows::of(node, &attributes, kernel, [map.height, map.width])?;
        if pads != [0; 4] && attributes.int("count_include_pad")?.unwrap_or(0) == 0 {
            let problem = format!("pads {pads:?} that are left out of the average");
            return Err(NodeError::new(node, problem, "count_include_pad = 1, or no pads").into());
        }
        let (channels, area) = (map.channels, kernel[0] * kernel[1]);
        let conv = Conv {
            kind: ConvKind::Average,
            outputs: channels,
            inputs_per_group: 1,
            group: channels,
            kernel,
            strides,
            pads,
            weights: vec![1.0 / area as f32; channels * area],
            bias: vec![0.0; channels],
        };
        self.layer(node, Op::Conv(conv), vec![view.tensor], [channels, height, width], false)
    }

    /// The greatest of each window; what lies around the map is in none.
    pub(super) fn max_pool(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let allowed =
            ["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"];
        let attributes = Attributes::of(node, &allowed)?;
        attributes.must_be("ceil_mode", 0)?;
        attributes.must_be("storage_order", 0)?;
        let view = self.unflat(node)?;
        let map = &self.graph.tensors[view.tensor];
        let kernel = kernel_shape(node, &attributes)?;
        let Windows { strides, pads, output: [height, width] } =
            Windows::of(node, &attributes, kernel, [map.height, map.width])?;
        let pool = Op::MaxPool(Pool { kernel, strides, pads });
        let shape = [map.channels, height, width];
        self.layer(node, pool, vec![view.tensor], shape, false)
    }

    /// Input 0 as a map with rows and columns.
    pub(super) fn unflat(&self, node: &'m NodeProto) -> Result<View, NodeError> {
        let view = self.map(node, 0)?;
        if view.flat {
            return Err(NodeError::new(node, "its input is flat", "a map [1, channels, height, width]"));
        }
        Ok(view)
    }

    /// Zeros around a map, for the convolution that reads it.
    pub(super) fn pad(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let attributes = Attributes::of(node, &["mode", "pads", "value"])?;
        let mode = attributes.text("mode")?.unwrap_or_else(|| "constant".into());
        if mode != "constant" {
            let problem = format!("attribute mode = {mode:?}");
            return Err(NodeError::new(node, problem, "mode = \"constant\"").into());
        }
        let view = self.map(node, 0)?;
        let given = match self.constant(node, 1)? {
            Some(tensor) => tensor.i64s().map(<[i64]>::to_vec),
            None => attributes.ints("pads")?.map(<[i64]>::to_vec),
        };
        let value = match self.constant(node, 2)?.as_ref().map(Tensor::f32s) {
            Some(Some(&[value])) => value,
            Some(_) => return Err(NodeError::new(node, "its value is no FLOAT scalar", "zeros").into()),
            None => attributes.float("value")?.unwrap_or(0.0),
        };
        if value != 0.0 {
            return Err(NodeError::new(node, format!("it pads with {value}"), "zeros").into());
        }
        if node.input.get(3).is_some_and(|name| !name.is_empty()) {
            return Err(NodeError::new(node, "it names axes", "pads of all axes").into());
        }
        let sides = match given.as_deref() {
            Some(&[0, 0, top, left, 0, 0, bottom, right]) if !view.flat => [top, left, bottom, right],
            other => {
                let problem = format!("pads {:?} of {:?}", other.unwrap_or_default(), self.dims(view));
                return Err(NodeError::new(node, problem, "rows and columns of zeros around a map").into());
            }
        };
        if !sides.iter().all(|side| (0..=64).contains(side)) {
            return Err(NodeError::new(node, format!("pads {sides:?}"), "0 to 64 at each side").into());
        }
        Ok(View { pads: sides.map(|side| side as usize), ..view })
    }
}

/// Rows and columns of a pool's windows.
fn kernel_shape(node: &NodeProto, attributes: &Attributes<'_>) -> Result<[usize; 2], NodeError> {
    match attributes.ints("kernel_shape")? {
        Some(&[rows, columns]) if (1..=4096).contains(&rows) && (1..=4096).contains(&columns) => {
            Ok([rows as usize, columns as usize])
        }
        other => {
            let problem = format!("attribute kernel_shape = {:?}", other.unwrap_or_default());
            Err(NodeError::new(node, problem, "two sides of 1 to 4096"))
        }
    }
}
