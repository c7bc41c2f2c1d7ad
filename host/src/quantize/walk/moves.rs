//! What moves values: channels side by side, the greatest of windows, repeated pixels.

use super::super::lattice::{Quantization, place_table_scale};
use super::super::range::Rule;
use super::{Done, ImportError, Int8, Walk, lattice};
use crate::onnx::build::int;
use crate::onnx::float::{self, Layer, Op, Pool};

impl Walk<'_> {
    /// Every operand in the output's steps: each a table that stays off the rounding boundaries.
    pub(super) fn concat(
        &mut self,
        layer: &Layer,
        (rule, mut output): (Rule, Quantization),
    ) -> Result<Op, ImportError> {
        let inputs: Vec<Int8> = layer.inputs.iter().map(|&t| self.tensor(t)).collect::<Result<_, _>>()?;
        let reals =
            |q: Quantization| (-128..=127).map(move |x| (x - i32::from(q.zero_point)) as f32 * q.scale);
        let values: Vec<f32> = inputs.iter().flat_map(|input| reals(input.quantization)).collect();
        let (scale, moved) = place_table_scale(output.scale, &values).ok_or_else(|| {
            let problem =
                format!("no scale near {} keeps its tables off the rounding boundaries", output.scale);
            lattice(layer, problem, "operands of like ranges")
        })?;
        output.scale = scale;
        let name = self.name(&layer.name);
        let mut operands = Vec::new();
        for (at, x) in inputs.iter().enumerate() {
            let [xs, xz] = self.scalars(&format!("{name}/{at}/x"), x.quantization);
            let [ys, yz] = self.scalars(&format!("{name}/{at}/y"), output);
            let [real, rounded] = ["real", "rounded"].map(|n| self.name(&format!("{name}/{at}/{n}")));
            self.builder.node("DequantizeLinear", &[&x.name, &xs, &xz], &real, vec![]);
            operands.push(self.builder.node("QuantizeLinear", &[&real, &ys, &yz], &rounded, vec![]));
        }
        let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
        self.builder.node("Concat", &operands, &name, vec![int("axis", 1)]);
        self.finish(layer.output, &layer.kind, rule, Done { name, quantization: output, moved, dead: 0 });
        Ok(Op::Concat)
    }

    pub(super) fn max_pool(&mut self, layer: &Layer, pool: &Pool) -> Result<Op, ImportError> {
        let input = self.tensor(layer.inputs[0])?;
        let name = self.name(&layer.name);
        self.builder.node("MaxPool", &[&input.name], &name, float::pool_attributes(pool));
        self.keep(layer, name, input.quantization);
        Ok(layer.op.clone())
    }

    pub(super) fn upsample(&mut self, layer: &Layer, factors: [usize; 2]) -> Result<Op, ImportError> {
        let input = self.tensor(layer.inputs[0])?;
        let name = self.name(&layer.name);
        let scales = self.name(&format!("{name}/scales"));
        float::upsample_factors(&mut self.builder, &scales, factors);
        self.builder.node("Resize", &[&input.name, "", &scales], &name, float::upsample_attributes());
        self.keep(layer, name, input.quantization);
        Ok(layer.op.clone())
    }

    /// A layer that moves values as they are.
    fn keep(&mut self, layer: &Layer, name: String, quantization: Quantization) {
        self.finish(layer.output, &layer.kind, Rule::Kept, Done { name, quantization, moved: 0.0, dead: 0 });
    }
}
