//! What puts pixels or channels beside one another: nearest neighbours in whole factors, and Concat.

use tract_onnx::pb::NodeProto;

use super::{Reader, View};
use crate::onnx::float::Op;
use crate::onnx::float::error::{NodeError, ReadError};
use crate::onnx::float::windows::Attributes;
use crate::onnx::tensor::Tensor;

/// Times that a row or column may be repeated.
const MOST: usize = 8;

/// What is taken, for errors.
const REPEATED: &str = "nearest neighbours that repeat rows and columns 1 to 8 times";

impl<'m> Reader<'m> {
    pub(super) fn resize(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let allowed = [
            "antialias",
            "coordinate_transformation_mode",
            "cubic_coeff_a",
            "exclude_outside",
            "extrapolation_value",
            "keep_aspect_ratio_policy",
            "mode",
            "nearest_mode",
        ];
        let attributes = Attributes::of(node, &allowed)?;
        attributes.must_be("antialias", 0)?;
        let mode = attributes.text("mode")?.unwrap_or_else(|| "nearest".into());
        // Operator set 10 had no choice of coordinates.
        let [coordinates, rounding] = match self.opset {
            ..=10 => ["asymmetric".into(), "floor".into()],
            _ => [
                attributes.text("coordinate_transformation_mode")?.unwrap_or_else(|| "half_pixel".into()),
                attributes.text("nearest_mode")?.unwrap_or_else(|| "round_prefer_floor".into()),
            ],
        };
        let view = self.unflat(node)?;
        let given = |index| self.constant(node, index).map(|t| t.filter(|t| !t.dims.contains(&0)));
        let (scales, sizes) = match self.opset {
            ..=10 => (given(1)?, None),
            _ => (given(2)?, given(3)?),
        };
        let factors = self.factors(view, scales.as_ref(), sizes.as_ref());
        let factors = factors.filter(|_| mode == "nearest");
        let Some(factors) = factors.filter(|f| f.iter().all(|&f| repeats(&coordinates, &rounding, f))) else {
            let told = |t: &Tensor| t.f32s().map_or(format!("{:?}", t.i64s()), |v| format!("{v:?}"));
            let by = [scales, sizes].iter().flatten().map(told).collect::<Vec<_>>().join(", ");
            let problem = format!("mode {mode:?} by {coordinates:?} and {rounding:?} to {by}");
            return Err(NodeError::new(node, problem, REPEATED).into());
        };
        self.repeated(node, view, factors)
    }

    /// Resize as it was called before operator set 10.
    pub(super) fn upsample(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let attributes = Attributes::of(node, &["mode", "scales"])?;
        let mode = attributes.text("mode")?.unwrap_or_else(|| "nearest".into());
        let view = self.unflat(node)?;
        let scales = self.constant(node, 1)?;
        let factors = self.factors(view, scales.as_ref(), None).filter(|_| mode == "nearest");
        let Some(factors) = factors else {
            return Err(NodeError::new(node, format!("mode {mode:?}, or its scales"), REPEATED).into());
        };
        self.repeated(node, view, factors)
    }

    fn repeated(&mut self, node: &'m NodeProto, view: View, factors: [usize; 2]) -> Result<View, ReadError> {
        let map = &self.graph.tensors[view.tensor];
        let shape = [map.channels, map.height * factors[0], map.width * factors[1]];
        self.layer(node, Op::Upsample(factors), vec![view.tensor], shape, false)
    }

    /// The whole factors of rows and columns; `None` where they are others.
    fn factors(&self, view: View, scales: Option<&Tensor>, sizes: Option<&Tensor>) -> Option<[usize; 2]> {
        let dims = self.dims(view);
        let found: Vec<f32> = match (scales.map(Tensor::f32s), sizes.map(Tensor::i64s)) {
            (Some(scales), _) => scales?.to_vec(),
            (None, sizes) => sizes??.iter().zip(&dims).map(|(&s, &d)| s as f32 / d as f32).collect(),
        };
        let whole = |f: f32| (1..=MOST).find(|&whole| whole as f32 == f);
        match found[..] {
            [1.0, 1.0, rows, columns] => Some([whole(rows)?, whole(columns)?]),
            _ => None,
        }
    }

    /// Channels one after the other.
    pub(super) fn concat(&mut self, node: &'m NodeProto) -> Result<View, ReadError> {
        let axis = Attributes::of(node, &["axis"])?.int("axis")?;
        let views: Vec<View> = (0..node.input.len()).map(|i| self.map(node, i)).collect::<Result<_, _>>()?;
        let Some(&first) = views.first() else {
            return Err(NodeError::new(node, "no input", "maps of one size").into());
        };
        let rank = self.dims(first).len() as i64;
        if axis.is_none_or(|axis| axis != 1 && axis != 1 - rank) {
            let problem = format!("attribute axis = {}", axis.unwrap_or_default());
            return Err(NodeError::new(node, problem, "axis = 1, the channels").into());
        }
        let side = |view: &View| {
            let map = &self.graph.tensors[view.tensor];
            (map.height, map.width, view.flat)
        };
        let (height, width, flat) = side(&first);
        if views.iter().any(|view| side(view) != (height, width, flat)) || (flat && height * width != 1) {
            let shapes: Vec<String> = views.iter().map(|&v| format!("{:?}", self.dims(v))).collect();
            return Err(NodeError::new(node, shapes.join(" with "), "maps of one size").into());
        }
        let channels = views.iter().map(|v| self.graph.tensors[v.tensor].channels).sum();
        let inputs = views.iter().map(|v| v.tensor).collect();
        self.layer(node, Op::Concat, inputs, [channels, height, width], flat)
    }
}

/// Whether nearest neighbours by these rules are every value repeated `factor` times.
fn repeats(coordinates: &str, rounding: &str, factor: usize) -> bool {
    let scale = factor as f32;
    let source = |output: usize| {
        let at = match coordinates {
            "asymmetric" => output as f32 / scale,
            "half_pixel" | "pytorch_half_pixel" => (output as f32 + 0.5) / scale - 0.5,
            _ => return None,
        };
        let nearest = match rounding {
            "floor" => at.floor(),
            "ceil" => at.ceil(),
            "round_prefer_floor" => (at - 0.5).ceil(),
            "round_prefer_ceil" => (at + 0.5).floor(),
            _ => return None,
        };
        Some(nearest.max(0.0) as usize)
    };
    // What holds for a few blocks inside and at both ends holds for all.
    let last = 3 * factor - 1;
    factor == 1 || (0..=last).all(|output| source(output).map(|s| s.min(2)) == Some(output / factor))
}

#[cfg(test)]
mod tests {
    use super::repeats;

    #[test]
    fn only_some_rules_repeat_values() {
        for factor in 1..=8 {
            assert!(repeats("asymmetric", "floor", factor));
            assert!(repeats("half_pixel", "round_prefer_floor", factor));
            assert!(repeats("pytorch_half_pixel", "round_prefer_ceil", factor));
        }
        assert!(
            repeats("asymmetric", "round_prefer_floor", 2) && !repeats("asymmetric", "round_prefer_floor", 3)
        );
        assert!(!repeats("half_pixel", "floor", 2) && !repeats("asymmetric", "ceil", 2));
        assert!(!repeats("align_corners", "floor", 2) && !repeats("asymmetric", "up", 2));
    }
}
