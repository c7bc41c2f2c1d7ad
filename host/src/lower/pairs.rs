//! Two tensors into one: sums and products between DequantizeLinear and QuantizeLinear.

use arcgate_firmware::kernels::Shape;
use arcgate_firmware::kernels::scalar::{FloatSum, Product, Sum};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::math::{Add, Max, Min, Mul};
use tract_onnx::tract_core::ops::quant::QuantizeLinearI8;

use super::LowerError;
use super::network::Work;
use super::value::{Affine, Map, Operation, Pair, Source, Value, View};
use super::walk::Walk;
use crate::quantize::lattice::{self, Quantization, SUM_BITS};

impl Walk<'_> {
    /// The sum or the product of two tensors, what clamps it, and what quantizes it; `None` for every other node.
    pub(super) fn pair(&mut self, node: &TypedNode) -> Result<Option<Value>, LowerError> {
        let constant = node.inputs.iter().find_map(|&outlet| self.constant(outlet));
        let slot = node.inputs.iter().position(|&outlet| self.constant(outlet).is_none()).unwrap_or(0);
        if let Some(Value::Pair(pair)) = self.values.get(&node.inputs[slot]) {
            let mut pair = pair.clone();
            if let Some(quantize) = node.op_as::<ElementWiseOp>().and_then(|op| op.0.downcast_ref()) {
                return match pair.operation {
                    Operation::Sum => self.quantize_sum(node, &pair, quantize).map(Some),
                    Operation::Product => self.quantize_product(node, &pair, quantize).map(Some),
                };
            }
            let bound =
                constant.and_then(|c| c.cast_to_scalar::<f32>().ok()).filter(|bound| bound.is_finite());
            match (node.op_as::<TypedBinOp>(), bound) {
                (Some(op), Some(bound)) if op.0.is::<Max>() => {
                    (pair.lo, pair.hi) = (pair.lo.max(bound), pair.hi.max(bound));
                }
                (Some(op), Some(bound)) if op.0.is::<Min>() => {
                    (pair.lo, pair.hi) = (pair.lo.min(bound), pair.hi.min(bound));
                }
                _ => return Ok(None),
            }
            return Ok(Some(Value::Pair(pair)));
        }
        let operation = match node.op_as::<TypedBinOp>() {
            Some(op) if op.0.is::<Add>() => Operation::Sum,
            Some(op) if op.0.is::<Mul>() => Operation::Product,
            _ => return Ok(None),
        };
        if constant.is_some() {
            return Ok(None);
        }
        let (Value::Map(a), Value::Map(b)) = (self.value(node, 0)?, self.value(node, 1)?) else {
            return Err(self.refuse(
                node,
                "it reads a sum or product that was not quantized",
                "the sum or product of two int8 tensors",
            ));
        };
        let operand = |map: &Map| map.affine.filter(|_| map.is_affine).map(|affine| (map.view, affine));
        match (operand(a), operand(b)) {
            _ if a.view == b.view => Ok(None),
            (Some(a), Some(b)) => {
                let (lo, hi) = (f32::NEG_INFINITY, f32::INFINITY);
                Ok(Some(Value::Pair(Pair { operation, operands: [a, b], lo, hi })))
            }
            _ => {
                let accepted =
                    "the sum or product of two int8 tensors, each straight from its DequantizeLinear";
                Err(self.refuse(node, "an operand is not a dequantized tensor", accepted))
            }
        }
    }

    /// A residual add: integers where the lattice proves them, tract's own f32 rule elsewhere.
    fn quantize_sum(
        &mut self,
        node: &TypedNode,
        sum: &Pair,
        quantize: &QuantizeLinearI8,
    ) -> Result<Value, LowerError> {
        let accepted = "the sum of two different int8 tensors of the same shape";
        let [(a, qa), (b, qb)] = sum.operands;
        let (Source::Tensor(first), Source::Tensor(second)) = (a.source, b.source) else {
            return Err(self.refuse(node, "it adds pixels", accepted));
        };
        let shape = self.network.tensors[first];
        if a.stride != [1, 1] || b.stride != [1, 1] || self.network.tensors[second] != shape {
            return Err(self.refuse(node, "its operands differ in shape", accepted));
        }
        let (zeros, (lo, hi)) = (self.zeros(node, sum)?, sum.clamp(quantize));
        let output_zero = quantize.zero_point;
        let operands = sum.quantizations(zeros);
        let proven = standing_for(quantize).find_map(|output| lattice::sum(operands[0], operands[1], output));
        let work = match proven {
            Some(mults) => {
                Work::Sum(Sum { zeros, mults: [mults.a, mults.b], bits: SUM_BITS as u8, output_zero, lo, hi })
            }
            None => {
                let (scales, reciprocal) = ([qa.scale, qb.scale], quantize.scale);
                Work::FloatSum(FloatSum { zeros, scales, reciprocal, output_zero, lo, hi })
            }
        };
        let id = self.network.push(&node.name, work, Some(first), Some(second), shape);
        Ok(Value::Map(Map::identity(View { source: Source::Tensor(id), stride: [1, 1] })))
    }

    /// A product: one of two tensors of one shape, or of a tensor and a factor for each of its channels.
    fn quantize_product(
        &mut self,
        node: &TypedNode,
        product: &Pair,
        quantize: &QuantizeLinearI8,
    ) -> Result<Value, LowerError> {
        let accepted = "the product of two int8 tensors of one shape, or one of them of one pixel";
        let mut product = product.clone();
        let tensor = |(view, _): (View, Affine)| match view {
            View { source: Source::Tensor(id), stride: [1, 1] } => Some((id, self.network.tensors[id])),
            _ => None,
        };
        let [Some(a), Some(b)] = product.operands.map(tensor) else {
            return Err(self.refuse(node, "it reads pixels, or skips rows or columns", accepted));
        };
        let factors = |by: Shape, of: Shape| by == of || by == Shape { height: 1, width: 1, ..of };
        let [of, by] = match (factors(b.1, a.1), factors(a.1, b.1)) {
            (true, _) => [a, b],
            (false, true) => {
                product.operands.swap(0, 1);
                [b, a]
            }
            (false, false) => return Err(self.refuse(node, "its operands differ in shape", accepted)),
        };
        let (zeros, (lo, hi)) = (self.zeros(node, &product)?, product.clamp(quantize));
        let operands = product.quantizations(zeros);
        let proven =
            standing_for(quantize).find_map(|output| lattice::product(operands[0], operands[1], output));
        let Some(scale) = proven else {
            let accepted =
                "scales for which every runtime's product is one; `arcgate import` writes such models";
            return Err(self.refuse(node, "no integer product equals tract's on all pairs", accepted));
        };
        let work = Work::Product(Product { zeros, scale, output_zero: quantize.zero_point, lo, hi });
        let id = self.network.push(&node.name, work, Some(of.0), Some(by.0), of.1);
        Ok(Value::Map(Map::identity(View { source: Source::Tensor(id), stride: [1, 1] })))
    }

    /// The zero points of the operands.
    fn zeros(&self, node: &TypedNode, pair: &Pair) -> Result<[i8; 2], LowerError> {
        let zero = |(_, affine): (View, Affine)| {
            let outside = || self.refuse(node, "a zero point is outside int8", "int8 tensors");
            i8::try_from(affine.zero).map_err(|_| outside())
        };
        let [a, b] = pair.operands;
        Ok([zero(a)?, zero(b)?])
    }
}

impl Pair {
    /// The steps that the values are cut to: rounding is monotone, so a clamp of the real value is a clamp of its step.
    fn clamp(&self, quantize: &QuantizeLinearI8) -> (i8, i8) {
        let step = |bound: f32| {
            let steps = (bound * quantize.scale).round_ties_even() + quantize.zero_point as f32;
            steps.clamp(-128.0, 127.0) as i8
        };
        (step(self.lo), step(self.hi))
    }

    fn quantizations(&self, [a, b]: [i8; 2]) -> [Quantization; 2] {
        let of = |(_, affine): (View, Affine), zero_point| Quantization { scale: affine.scale, zero_point };
        [of(self.operands[0], a), of(self.operands[1], b)]
    }
}

/// The output quantizations that a QuantizeLinear may stand for: tract keeps only the reciprocal of the scale.
fn standing_for(quantize: &QuantizeLinearI8) -> impl Iterator<Item = Quantization> {
    let (reciprocal, zero_point) = (quantize.scale, quantize.zero_point);
    let nearest = 1.0 / reciprocal;
    let candidates = [nearest, nearest.next_up(), nearest.next_down()].into_iter();
    let exact = candidates.filter(move |scale| 1.0 / scale == reciprocal);
    exact.map(move |scale| Quantization { scale, zero_point })
}
