//! What bends: cuts and slopes.

use tract_onnx::pb::NodeProto;

use super::{Reader, View};
use crate::onnx::float::error::{NodeError, ReadError};
use crate::onnx::float::windows::Attributes;
use crate::onnx::float::{Clamp, Curve, Op};

impl<'m> Reader<'m> {
    /// Cuts to `lo..=hi`: in the layer before, or as a layer of its own.
    pub(super) fn cut(&mut self, node: &NodeProto, view: View, lo: f32, hi: f32) -> Result<View, ReadError> {
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

    pub(super) fn clip(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
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

    pub(super) fn slope(&mut self, node: &'m NodeProto, slopes: Vec<f32>) -> Result<View, ReadError> {
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

    /// A function of each value by itself.
    pub(super) fn curve(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let curve = match node.op_type.as_str() {
            "HardSigmoid" => {
                let attributes = Attributes::of(node, &["alpha", "beta"])?;
                let [alpha, beta] = [("alpha", 0.2), ("beta", 0.5)]
                    .map(|(name, default)| attributes.float(name).map(|value| value.unwrap_or(default)));
                let (alpha, beta) = (alpha?, beta?);
                if !(alpha.is_finite() && beta.is_finite()) {
                    let problem = format!("attributes alpha = {alpha}, beta = {beta}");
                    return Err(NodeError::new(node, problem, "finite values").into());
                }
                Curve::HardSigmoid { alpha, beta }
            }
            name => {
                Attributes::of(node, &[])?;
                if name == "Sigmoid" { Curve::Sigmoid } else { Curve::HardSwish }
            }
        };
        // It does not matter to a curve in which order values come: a detector's stands behind its Transpose and Reshape.
        let view = self.any_map(node, 0)?;
        let view = if view.channels_last && view.tensor != 0 { view } else { self.map(node, 0)? };
        let map = &self.graph.tensors[view.tensor];
        let shape = [map.channels, map.height, map.width];
        let made = self.layer(node, Op::Curve(curve), vec![view.tensor], shape, view.flat)?;
        Ok(View { channels_last: view.channels_last, ..made })
    }

    pub(super) fn prelu(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        Attributes::of(node, &[])?;
        let view = self.map(node, 0)?;
        let slopes = self.channel_values(node, 1, view)?;
        self.slope(node, slopes)
    }
}
