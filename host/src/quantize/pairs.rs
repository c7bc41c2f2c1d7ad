//! Scales of sums and products, placed where every runtime's rule is one on all pairs of operands: those that
//! [`lattice`](super::lattice) proves, and onnxruntime's when it fuses the dequantized operands, the operator and its QuantizeLinear
//! into one kernel of its own.
//!
//! A fused kernel, on the processors that have one, rounds intermediate values in its own way and differs from the operators one by
//! one where a pair lies on a rounding boundary: one value in some ten million.

use arcgate_firmware::kernels::requant::HighMul;

use super::lattice::{Quantization, SUM_BITS, SumMultipliers, TRIES, product, sum, zigzag};

/// The output scale nearest to `output.scale` for which [`sum`] holds, also where onnxruntime fuses it, with its multipliers and
/// relative move.
pub fn place_sum_scale(
    a: Quantization,
    b: Quantization,
    output: Quantization,
) -> Option<(f32, SumMultipliers, f64)> {
    (0..TRIES).find_map(|k| {
        let moved = zigzag(k) as f64 * 1e-6;
        let scale = (output.scale as f64 * (1.0 + moved)) as f32;
        let output = Quantization { scale, ..output };
        let multipliers = sum(a, b, output).filter(|&m| sum_agrees(a, b, output, m))?;
        Some((scale, multipliers, moved.abs()))
    })
}

/// The output scale nearest to `output.scale` for which [`product`] holds, also where onnxruntime fuses it, with its relative move.
pub fn place_product_scale(a: Quantization, b: Quantization, output: Quantization) -> Option<(f32, f64)> {
    (0..TRIES).find_map(|k| {
        let moved = zigzag(k) as f64 * 1e-6;
        let scale = (output.scale as f64 * (1.0 + moved)) as f32;
        let output = Quantization { scale, ..output };
        product(a, b, output).filter(|&high| product_agrees(a, b, output, high))?;
        Some((scale, moved.abs()))
    })
}

/// Whether every fused sum of `a` and `b` in the steps of `output` equals the integer one with `multipliers` on all pairs.
fn sum_agrees(a: Quantization, b: Quantization, output: Quantization, multipliers: SumMultipliers) -> bool {
    let (ratio_a, ratio_b) = (a.scale / output.scale, b.scale / output.scale);
    let [zero_a, zero_b, zero] = [a, b, output].map(|q| f32::from(q.zero_point));
    let fixed = zero - (ratio_a * zero_a + ratio_b * zero_b);
    let vector = Vector::of(ratio_a, ratio_b);
    let clamp = |step: i32| step.clamp(-128, 127);
    (-128..=127i32).all(|x| {
        // Without fused multiply-add, and with one: the product is exact in f64, and so is the sum before it is rounded.
        let separate = fixed + x as f32 * ratio_a;
        let steps_x = x - i32::from(a.zero_point);
        (-128..=127i32).all(|y| {
            let steps_y = y - i32::from(b.zero_point);
            let rounding = 1 << (SUM_BITS - 1);
            let integer = (steps_x * multipliers.a + steps_y * multipliers.b + rounding) >> SUM_BITS;
            let integer = clamp(integer + i32::from(output.zero_point));
            let inner = (f64::from(y as f32) * f64::from(ratio_b) + f64::from(fixed)) as f32;
            let fused = (f64::from(x as f32) * f64::from(ratio_a) + f64::from(inner)) as f32;
            let by_vector = vector.map(|v| clamp(v.apply(steps_x, steps_y) + i32::from(output.zero_point)));
            integer == clamp((separate + y as f32 * ratio_b).round_ties_even() as i32)
                && integer == clamp(fused.round_ties_even() as i32)
                && by_vector.is_none_or(|step| step == integer)
        })
    })
}

/// The integers that aarch64 takes: two multipliers, the greater one of 22 bits, and a rounding shift, halves away from zero.
#[derive(Clone, Copy)]
struct Vector {
    multipliers: [i32; 2],
    shift: u32,
}

impl Vector {
    /// `None` outside the ratios for which it takes integers.
    fn of(ratio_a: f32, ratio_b: f32) -> Option<Self> {
        let range = 2f32.powi(-14)..2f32.powi(8);
        let exponent = (ratio_a.max(ratio_b).to_bits() >> 23) as i32 - 127;
        let shift = u32::try_from(21 - exponent).ok().filter(|s| (13..=31).contains(s))?;
        let multiplier = |ratio: f32| (ratio * 2f32.powi(shift as i32)).round_ties_even() as i32;
        let multipliers = [ratio_a, ratio_b].map(multiplier);
        let fits = multipliers.iter().all(|&m| m < 1 << 22) && multipliers.iter().any(|&m| m >= 1 << 21);
        (range.contains(&ratio_a) && range.contains(&ratio_b) && fits)
            .then_some(Vector { multipliers, shift })
    }

    fn apply(self, x: i32, y: i32) -> i32 {
        let [a, b] = self.multipliers;
        let sum = i64::from(x * a + y * b);
        ((sum + (sum >> 63) + (1 << (self.shift - 1))) >> self.shift) as i32
    }
}

/// Whether the fused product of `a` and `b` in the steps of `output` equals the integer one with `scale` on all pairs.
fn product_agrees(a: Quantization, b: Quantization, output: Quantization, scale: HighMul) -> bool {
    let ratio = a.scale * b.scale / output.scale;
    let zero = output.zero_point;
    let clamp = |step: i32| step.clamp(-128, 127);
    (-128..=127i32).all(|x| {
        let x = x - i32::from(a.zero_point);
        (-128..=127i32).all(|y| {
            let product = x * (y - i32::from(b.zero_point));
            let integer = clamp(scale.apply(product) + i32::from(zero));
            integer == clamp((product as f32 * ratio + f32::from(zero)).round_ties_even() as i32)
        })
    })
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// Operands and an output of a residual sum, or of a gated product, at random.
    fn case(rng: &mut impl rand::Rng, gate: bool) -> [Quantization; 3] {
        let mut q = |zeros: std::ops::Range<i8>| Quantization {
            scale: rng.random_range(0.01..0.08),
            zero_point: rng.random_range(zeros),
        };
        let (a, mut b, mut y) = (q(-128..20), q(-128..20), q(-100..20));
        if gate {
            b = Quantization { scale: 1.0 / 255.0, zero_point: -128 };
        }
        y.scale = if gate { a.scale * 0.9 } else { a.scale.max(b.scale) * 1.3 };
        [a, b, y]
    }

    #[test]
    fn what_is_placed_agrees_and_what_is_only_proven_one_by_one_need_not() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(6);
        let (mut sums, mut alone) = (0, 0);
        for k in 0..60 {
            let [a, b, y] = case(&mut rng, false);
            if k < 4 {
                let (scale, multipliers, moved) = place_sum_scale(a, b, y).expect("placed");
                let y = Quantization { scale, ..y };
                assert!(moved < 1e-2 && sum(a, b, y) == Some(multipliers), "{moved}");
                assert!(sum_agrees(a, b, y, multipliers));
            }
            // The nearest scales for which the operators agree one by one.
            for step in 0..40 {
                let y = Quantization { scale: y.scale * (1.0 + step as f32 * 1e-6), ..y };
                if let Some(multipliers) = sum(a, b, y) {
                    sums += 1;
                    alone += usize::from(!sum_agrees(a, b, y, multipliers));
                }
            }
        }
        assert!(alone > 0 && sums > alone, "{alone} of {sums} sums differ where they are fused");
        for _ in 0..4 {
            let [a, b, y] = case(&mut rng, true);
            let (scale, _) = place_product_scale(a, b, y).expect("placed");
            let y = Quantization { scale, ..y };
            assert!(product_agrees(a, b, y, product(a, b, y).expect("proven")));
        }
    }

    #[test]
    fn sums_are_placed_within_a_few_moves() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        for _ in 0..5 {
            let mut q = || Quantization {
                scale: rng.random_range(0.01..0.08),
                zero_point: rng.random_range(-128..20),
            };
            let (a, b, mut y) = (q(), q(), q());
            y.scale = a.scale.max(b.scale) * 1.3;
            let (scale, multipliers, moved) = place_sum_scale(a, b, y).expect("placed");
            assert!(moved < 1e-3);
            assert_eq!(sum(a, b, Quantization { scale, ..y }), Some(multipliers));
        }
    }

    #[test]
    fn products_are_placed_within_some_moves() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(4);
        for k in 0..6 {
            let mut q = |lo| Quantization {
                scale: rng.random_range(0.01..0.08),
                zero_point: rng.random_range(lo..20),
            };
            // Half of them as a gate, between 0 and 1.
            let gate = Quantization { scale: 1.0 / 255.0, zero_point: -128 };
            let (a, b, mut y) = (q(-128), if k % 2 == 0 { gate } else { q(-20) }, q(-128));
            y.scale = a.scale * b.scale * if k % 2 == 0 { 200.0 } else { 70.0 };
            let (scale, moved) = place_product_scale(a, b, y).expect("placed");
            assert!(moved < 1e-3, "{moved}");
            assert!(product(a, b, Quantization { scale, ..y }).is_some());
        }
        let wide = Quantization { scale: 1.0, zero_point: 0 };
        assert_eq!(
            product(wide, wide, Quantization { scale: 1e-3, zero_point: 0 }),
            None,
            "a factor of 1,000"
        );
    }
}
