//! Functions of one value or of two: sums, products, slopes and curves between DequantizeLinear and QuantizeLinear.

use super::super::lattice::{Quantization, TABLE_MARGIN, place_table_scale, table_margin};
use super::super::pairs::{place_product_scale, place_sum_scale};
use super::super::range::Rule;
use super::{Done, ImportError, Int8, Walk, fits, lattice};
use crate::onnx::build;
use crate::onnx::float::{self, Curve, Layer, Op};

impl Walk<'_> {
    pub(super) fn sum(
        &mut self,
        layer: &Layer,
        (rule, mut output): (Rule, Quantization),
    ) -> Result<Op, ImportError> {
        let (a, b) = (self.tensor(layer.inputs[0])?, self.tensor(layer.inputs[1])?);
        // Two products must fit an i32.
        output.scale = output.scale.max((a.quantization.scale + b.quantization.scale) / 7.5);
        let (scale, _, moved) = place_sum_scale(a.quantization, b.quantization, output).ok_or_else(|| {
            let (a, b, y) = (a.quantization.scale, b.quantization.scale, output.scale);
            let problem = format!("no output scale near {y} suits a sum of steps of {a} and {b}");
            lattice(layer, problem, "operands whose ranges are within a factor of 100,000")
        })?;
        output.scale = scale;
        fits(layer, output)?;
        let name = self.name(&layer.name);
        self.combine(&name, "Add", [&a, &b], output);
        self.finish(layer.output, &layer.kind, rule, Done { name, quantization: output, moved, dead: 0 });
        Ok(Op::Add)
    }

    /// A function of (channel, int8): every entry of its table stays off the rounding boundaries.
    pub(super) fn slope(
        &mut self,
        layer: &Layer,
        slopes: &[f32],
        (rule, mut output): (Rule, Quantization),
    ) -> Result<Op, ImportError> {
        let input = self.tensor(layer.inputs[0])?;
        let steps = |slope: f32| move |q: i32| (q - input.quantization.zero_point as i32) as f32 * slope;
        let real = |q: i32| steps(input.quantization.scale)(q);
        let positive = (-128..=127).map(real).filter(|&v| v >= 0.0);
        let negative: Vec<f32> = (-128..=127).map(real).filter(|&v| v < 0.0).collect();
        let shared = slopes.len() == 1;
        let values: Vec<f32> = match slopes {
            &[slope] => positive.chain(negative.iter().map(|v| v * slope)).collect(),
            _ => positive.collect(),
        };
        let wanted = output.scale;
        let unplaced = || {
            let problem = format!("no scale near {wanted} keeps its table off the rounding boundaries");
            lattice(layer, problem, "slopes and activations of ordinary sizes")
        };
        let (scale, mut moved) = place_table_scale(output.scale, &values).ok_or_else(unplaced)?;
        output.scale = scale;
        fits(layer, output)?;
        let name = self.name(&layer.name);
        let [xs, xz] = self.scalars(&format!("{name}/x"), input.quantization);
        let [ys, yz] = self.scalars(&format!("{name}/y"), output);
        let [before, after] = ["x", "sloped"].map(|n| self.name(&format!("{name}/{n}")));
        self.builder.node("DequantizeLinear", &[&input.name, &xs, &xz], &before, vec![]);
        let meant = if shared {
            self.builder.node("LeakyRelu", &[&before], &after, vec![build::float("alpha", slopes[0])]);
            Op::Slope(slopes.to_vec())
        } else {
            // With the scale settled for the half that all channels share, each channel's slope is placed by itself.
            let placed: Option<Vec<(f32, f64)>> =
                slopes.iter().map(|&s| place_slope(s, &negative, scale)).collect();
            let placed = placed.ok_or_else(unplaced)?;
            moved = placed.iter().map(|p| p.1).fold(moved, f64::max);
            let values: Vec<f32> = placed.iter().map(|p| p.0).collect();
            let constant = self.name(&format!("{name}/slopes"));
            self.builder.f32s(&constant, &[slopes.len(), 1, 1], &values);
            self.builder.node("PRelu", &[&before, &constant], &after, vec![]);
            Op::Slope(values)
        };
        self.builder.node("QuantizeLinear", &[&after, &ys, &yz], &name, vec![]);
        self.finish(layer.output, &layer.kind, rule, Done { name, quantization: output, moved, dead: 0 });
        Ok(meant)
    }

    /// A function of int8, the same for all channels: every entry of its table stays off the rounding boundaries, by more than the
    /// runtimes' own forms of the curve differ.
    pub(super) fn curve(
        &mut self,
        layer: &Layer,
        curve: Curve,
        (rule, mut output): (Rule, Quantization),
    ) -> Result<Op, ImportError> {
        let input = self.tensor(layer.inputs[0])?;
        let Quantization { scale, zero_point } = input.quantization;
        let real = |q: i32| (q - i32::from(zero_point)) as f32 * scale;
        let values: Vec<f32> = (-128..=127).map(|q| curve.at(real(q))).collect();
        let placed = place_table_scale(output.scale, &values);
        let (scale, moved) = placed.ok_or_else(|| {
            let problem =
                format!("no scale near {} keeps its table off the rounding boundaries", output.scale);
            lattice(layer, problem, "activations of ordinary sizes")
        })?;
        output.scale = scale;
        fits(layer, output)?;
        let name = self.name(&layer.name);
        let [xs, xz] = self.scalars(&format!("{name}/x"), input.quantization);
        let [ys, yz] = self.scalars(&format!("{name}/y"), output);
        let [before, after] = ["x", "bent"].map(|n| self.name(&format!("{name}/{n}")));
        self.builder.node("DequantizeLinear", &[&input.name, &xs, &xz], &before, vec![]);
        float::curve(&mut self.builder, curve, &before, &after);
        self.builder.node("QuantizeLinear", &[&after, &ys, &yz], &name, vec![]);
        self.finish(layer.output, &layer.kind, rule, Done { name, quantization: output, moved, dead: 0 });
        Ok(Op::Curve(curve))
    }

    pub(super) fn product(
        &mut self,
        layer: &Layer,
        (rule, mut output): (Rule, Quantization),
    ) -> Result<Op, ImportError> {
        let (a, b) = (self.tensor(layer.inputs[0])?, self.tensor(layer.inputs[1])?);
        let placed = place_product_scale(a.quantization, b.quantization, output);
        let (scale, moved) = placed.ok_or_else(|| {
            let (a, b, y) = (a.quantization.scale, b.quantization.scale, output.scale);
            let problem = format!("no output scale near {y} suits a product of steps of {a} and {b}");
            lattice(layer, problem, "activations of ordinary sizes")
        })?;
        output.scale = scale;
        fits(layer, output)?;
        let name = self.name(&layer.name);
        self.combine(&name, "Mul", [&a, &b], output);
        self.finish(layer.output, &layer.kind, rule, Done { name, quantization: output, moved, dead: 0 });
        Ok(Op::Product)
    }

    /// Two tensors dequantized, an operator, and its output `name` quantized.
    fn combine(&mut self, name: &str, operator: &str, operands: [&Int8; 2], output: Quantization) {
        let mut reals = Vec::new();
        for (operand, x) in ["a", "b"].into_iter().zip(operands) {
            let [s, z] = self.scalars(&format!("{name}/{operand}"), x.quantization);
            let real = self.name(&format!("{name}/{operand}"));
            reals.push(self.builder.node("DequantizeLinear", &[&x.name, &s, &z], &real, vec![]));
        }
        let [ys, yz] = self.scalars(&format!("{name}/y"), output);
        let exact = if operator == "Add" { "sum" } else { "product" };
        let real = self.name(&format!("{name}/{exact}"));
        self.builder.node(operator, &[&reals[0], &reals[1]], &real, vec![]);
        self.builder.node("QuantizeLinear", &[&real, &ys, &yz], name, vec![]);
    }
}

/// The slope nearest to `wanted` that keeps `negative` values times it off the rounding boundaries, and its relative move.
fn place_slope(wanted: f32, negative: &[f32], scale: f32) -> Option<(f32, f64)> {
    (0..20_000i32).find_map(|k| {
        let moved = (k + 1) / 2 * if k % 2 == 1 { 1 } else { -1 };
        let moved = moved as f64 * 1e-6;
        let slope = (wanted as f64 * (1.0 + moved)) as f32;
        let values: Vec<f32> = negative.iter().map(|v| v * slope).collect();
        (table_margin(&values, scale) >= TABLE_MARGIN).then_some((slope, moved.abs()))
    })
}
