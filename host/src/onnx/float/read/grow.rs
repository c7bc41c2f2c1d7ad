//! How the graph grows: new layers, and what is folded into the one before.

use tract_onnx::pb::NodeProto;

use super::{Reader, View};
use crate::onnx::float::error::{NodeError, ReadError, display_name};
use crate::onnx::float::{Clamp, Layer, Map, Op, TensorId};

/// Values that a tensor may hold: 64 MiB of f32.
const LARGEST_VOLUME: usize = 1 << 24;

impl<'m> Reader<'m> {
    /// Adds a layer that makes a new tensor.
    pub(super) fn layer(
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
        Ok(View::plain(output, flat, true))
    }

    /// The layer that made `view`, if what follows may be folded into it. What only moves values keeps the steps of what it reads,
    /// and takes nothing in.
    pub(super) fn open_layer(&mut self, view: View) -> Option<&mut Layer> {
        let layer = &mut self.graph.layers[self.makers[view.tensor].filter(|_| view.sole)?];
        (!matches!(layer.op, Op::MaxPool(_) | Op::Upsample(_) | Op::Concat)).then_some(layer)
    }

    /// Says that `node` was folded into the layer that made `view`.
    pub(super) fn folded(&mut self, node: &NodeProto, view: View) -> View {
        let name = node.output.first().cloned().unwrap_or_default();
        self.graph.tensors[view.tensor].name = name;
        if let Some(layer) = self.open_layer(view) {
            layer.kind = format!("{}+{}", layer.kind, node.op_type);
        }
        view
    }

    pub(super) fn dims(&self, view: View) -> Vec<usize> {
        let map = &self.graph.tensors[view.tensor];
        match view {
            View { flat: true, channels_last: true, .. } => vec![1, map.area(), map.channels],
            View { flat: true, .. } => vec![1, map.volume()],
            View { channels_last: true, .. } => vec![1, map.height, map.width, map.channels],
            _ => vec![1, map.channels, map.height, map.width],
        }
    }
}
