//! What moves no value: flattening, reshaping, and the dropout that inference leaves out.

use tract_onnx::pb::NodeProto;

use super::{Reader, View};
use crate::onnx::float::error::{NodeError, ReadError};
use crate::onnx::float::windows::Attributes;
use crate::onnx::tensor::Tensor;

impl<'m> Reader<'m> {
    pub(super) fn flatten(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let axis = Attributes::of(node, &["axis"])?.int("axis")?.unwrap_or(1);
        let view = self.map(node, 0)?;
        let rank = self.dims(view).len() as i64;
        if axis != 1 && axis != 1 - rank {
            return Err(NodeError::new(node, format!("attribute axis = {axis}"), "axis = 1").into());
        }
        Ok(View { flat: true, ..view })
    }

    pub(super) fn dropout(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        Attributes::of(node, &["ratio", "seed", "is_test"])?;
        if let Some(training) = self.constant(node, 2)?
            && training.i64s().is_none_or(|v| v.iter().any(|&v| v != 0))
        {
            return Err(NodeError::new(node, "training_mode is on", "training_mode off or left out").into());
        }
        Ok(self.map(node, 0)?)
    }

    pub(super) fn reshape(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let attributes = Attributes::of(node, &["allowzero"])?;
        let copies_zero = attributes.int("allowzero")?.unwrap_or(0) == 0;
        let view = self.any_map(node, 0)?;
        let view = if view.channels_last && view.pads == [0; 4] { view } else { self.map(node, 0)? };
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
            let accepted = match view.channels_last {
                true => "the pixels of a transposed output in one row",
                false => "[1, volume] or the shape that it has",
            };
            NodeError::new(node, problem, accepted).into()
        })
    }

    /// `view` with the shape `wanted`, if only the flatness changes.
    pub(super) fn reshaped(&self, view: View, wanted: &[i64]) -> Option<View> {
        // One pixel has no order of values.
        if view.channels_last && wanted.len() == 2 && self.graph.tensors[view.tensor].area() == 1 {
            return self.reshaped(View { channels_last: false, ..view }, wanted);
        }
        let is = |flat: bool| {
            self.dims(View { flat, ..view }).iter().map(|&d| d as i64).eq(wanted.iter().copied())
        };
        if is(true) {
            return Some(View { flat: true, ..view });
        }
        is(false).then_some(View { flat: false, ..view })
    }

    pub(super) fn squeeze(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
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

    pub(super) fn unsqueeze(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let attributes = Attributes::of(node, &["axes"])?;
        let view = self.map(node, 0)?;
        let axes = self.axes(node, &attributes, 13)?;
        let mut axes: Vec<i64> = axes.iter().map(|&a| if a < 0 { a.saturating_add(4) } else { a }).collect();
        axes.sort();
        if !view.flat || axes != [2, 3] || self.graph.tensors[view.tensor].area() != 1 {
            let problem = format!("the axes {axes:?} of {:?}", self.dims(view));
            return Err(NodeError::new(node, problem, "axes [2, 3] of [1, channels]").into());
        }
        Ok(View { flat: false, ..view })
    }

    /// A picture's channels to the front, or an output's to the end.
    pub(super) fn transpose(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let perm = Attributes::of(node, &["perm"])?.ints("perm")?.unwrap_or_default();
        let view = self.any_map(node, 0)?;
        let plain = !view.flat && view.pads == [0; 4];
        match (view.channels_last, perm) {
            (true, [0, 3, 1, 2]) if plain => Ok(View { channels_last: false, ..view }),
            (false, [0, 2, 3, 1]) if plain => Ok(View { channels_last: true, ..view }),
            _ => {
                let problem = format!("perm = {perm:?} of {:?}", self.dims(view));
                let accepted = "[0, 3, 1, 2] of a picture [1, height, width, channels], or [0, 2, 3, 1] of an output [1, channels, height, width]";
                Err(NodeError::new(node, problem, accepted).into())
            }
        }
    }
}
