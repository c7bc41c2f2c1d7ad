//! The lattice: scales for which tract, onnxruntime and one integer multiply are the same function.
//!
//! Each runtime requantizes an i32 accumulator by a rule of its own: tract multiplies by an f32 that it folds with a
//! reciprocal, or (one scale for all channels) rounds the exact product half to even, onnxruntime multiplies by an f32
//! that it divides, a core has one rounding high multiply. All of them are monotone step functions of the accumulator
//! with at most 255 steps between the clamps, so they are equal everywhere if they are equal on both sides of each step.
//! [`place_weight_scale`] moves a weight scale until that holds, [`super::pairs`] does the same for sums and products over all
//! 65,536 pairs, [`place_table_scale`] keeps every entry of a lookup table away from rounding boundaries.
//! The importer places, the compiler proves again with [`weight_scale`] and [`sum`] from the ONNX alone.

use arcgate_firmware::kernels::requant::{HighMul, MAX_SHIFT};

/// The smallest requantization scale that is placed; smaller ones are raised to it (dead channels).
pub const LEAST_SCALE: f64 = 1.0 / 32768.0;

/// The largest requantization scale that is placed.
pub const GREATEST_SCALE: f64 = (1 << (MAX_SHIFT - 1)) as f64;

/// Fraction bits of a residual add's multipliers.
pub const SUM_BITS: u32 = 20;

/// Least distance, in steps, of a table's entries from a rounding boundary.
pub const TABLE_MARGIN: f64 = 1e-4;

/// Tries before a placement gives up.
pub(super) const TRIES: i64 = 20_000;

/// The output steps that a layer can reach before its zero point is added: one beyond each end of int8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    lo: i64,
    hi: i64,
}

impl Steps {
    /// The steps of an int8 output with this zero point.
    pub fn of_zero_point(zero_point: i8) -> Self {
        Steps { lo: -129 - zero_point as i64, hi: 128 - zero_point as i64 }
    }
}

/// A weight scale on the lattice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placed {
    /// The scale to write into the model.
    pub scale: f32,
    /// The multiplier that equals every runtime's rule.
    pub multiplier: HighMul,
    /// How far the scale moved, relative to where it was wanted.
    pub moved: f64,
}

/// The multipliers of a residual add: `y = ((a - a_zp) * a + (b - b_zp) * b + 2^(SUM_BITS - 1)) >> SUM_BITS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SumMultipliers {
    /// For the first operand.
    pub a: i32,
    /// For the second operand.
    pub b: i32,
}

/// tract's scale when channels differ: a folded product with a reciprocal.
fn tract_per_channel(weight: f32, input: f32, output: f32) -> f32 {
    (weight * input) * (1.0 / output)
}

/// onnxruntime's scale, and tract's when all channels share one.
fn divided(weight: f32, input: f32, output: f32) -> f32 {
    (weight * input) / output
}

/// The requantization scale in every order in which a runtime may multiply the three scales out in f32.
///
/// tract folds constants where it meets them, and so, from one graph to the next, in one order or another; the last bit of
/// the result depends on it, and one last bit is a different byte where an accumulator lies on a step.
fn every_order(weight: f32, input: f32, output: f32) -> [f32; 5] {
    let reciprocal = 1.0 / output;
    [
        tract_per_channel(weight, input, output),
        divided(weight, input, output),
        weight * (input * reciprocal),
        weight * (input / output),
        input * (weight * reciprocal),
    ]
}

/// `acc` times `scale` in f32, halves to even, the sign put back: tract's per-channel rule and onnxruntime's.
fn round_f32(acc: i64, scale: f32) -> i64 {
    let magnitude = (acc.unsigned_abs() as f32 * scale).round_ties_even() as i64;
    if acc < 0 { -magnitude } else { magnitude }
}

/// The exact product of `acc` and `scale` rounded half to even: tract's rule for one scale.
fn round_exact(acc: i64, scale: f32) -> i64 {
    let bits = scale.to_bits();
    let mantissa = ((bits & 0x7f_ffff) | 0x80_0000) as i128;
    let shift = 150 - (bits >> 23 & 0xff) as i32;
    let product = acc.unsigned_abs() as i128 * mantissa;
    let magnitude = if shift <= 0 {
        product << -shift
    } else {
        let floor = product >> shift;
        let rest = product & ((1i128 << shift) - 1);
        let half = 1i128 << (shift - 1);
        floor + (rest > half || (rest == half && floor & 1 == 1)) as i128
    } as i64;
    if acc < 0 { -magnitude } else { magnitude }
}

/// The multiplier nearest to `scale` on the grid of even 32-bit multipliers, or `None` outside what can be expressed.
fn multiplier_near(scale: f64) -> Option<HighMul> {
    let mut shift = 0;
    while scale >= 0.5 * (1u32 << shift) as f64 {
        shift += 1;
        if shift > MAX_SHIFT {
            return None;
        }
    }
    let mult = 2 * (scale * 2f64.powi(31 - shift as i32)).round() as i64;
    (mult > 0 && mult <= i32::MAX as i64).then_some(HighMul { mult: mult as i32, shift })
}

/// Proves that every runtime's rule is one high multiply for these scales, and gives that multiply.
///
/// `weight`, `input` and `output` are the scales as they stand in the model; the answer is `None` when two rules differ
/// for any accumulator. The rules are compared two accumulators to each side of every step.
pub fn weight_scale(weight: f32, input: f32, output: f32, steps: Steps) -> Option<HighMul> {
    let scales = every_order(weight, input, output);
    let [per_channel, shared, ..] = scales;
    if !(scales.iter().all(|s| s.is_normal()) && per_channel > 0.0) {
        return None;
    }
    let high = multiplier_near(per_channel as f64)?;
    let agree = (steps.lo..steps.hi).all(|step| {
        let centre = ((step as f64 + 0.5) / per_channel as f64).round() as i64;
        (centre - 2..=centre + 2).all(|acc| {
            let Ok(small) = i32::try_from(acc) else { return false };
            let wanted = high.apply(small) as i64;
            wanted == round_exact(acc, shared) && scales.iter().all(|&scale| wanted == round_f32(acc, scale))
        })
    });
    agree.then_some(high)
}

/// Whether a layer's accumulators survive the left shift of [`HighMul`]: `magnitude` is the largest `|acc|` it can reach.
pub fn shift_is_safe(multiplier: HighMul, magnitude: i64) -> bool {
    magnitude < 1i64 << (31 - multiplier.shift)
}

/// The weight scale nearest to `wanted` whose rules all agree. `wanted` is raised to [`LEAST_SCALE`] where it is smaller.
///
/// Returns `None` when the requantization scale is [`GREATEST_SCALE`] or more, or no neighbour within reach agrees.
pub fn place_weight_scale(wanted: f64, input: f32, output: f32, steps: Steps) -> Option<Placed> {
    let requant = (wanted * input as f64 / output as f64).max(LEAST_SCALE * 1.0001);
    if requant.is_nan() || requant >= GREATEST_SCALE {
        return None;
    }
    let start = multiplier_near(requant)?;
    let stride = 2.max((start.mult as f64 * 1e-7) as i64 * 2);
    for k in 0..TRIES {
        let mult = start.mult as i64 + zigzag(k) * stride;
        // A scale more than half a level of the largest weight too fine would cut that weight off.
        if mult * 256 < start.mult as i64 * 255 || mult > i32::MAX as i64 {
            continue;
        }
        let requant = mult as f64 * 2f64.powi(start.shift as i32 - 32);
        let scale = (requant * output as f64 / input as f64) as f32;
        if let Some(multiplier) = weight_scale(scale, input, output, steps) {
            let moved = (mult as f64 / start.mult as f64 - 1.0).abs();
            return Some(Placed { scale, multiplier, moved });
        }
    }
    None
}

/// 0, 1, -1, 2, -2, ...
pub(super) fn zigzag(k: i64) -> i64 {
    (k + 1) / 2 * if k % 2 == 1 { 1 } else { -1 }
}

/// A quantized tensor's scale and zero point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantization {
    /// Real value of one step.
    pub scale: f32,
    /// The int8 that stands for zero.
    pub zero_point: i8,
}

impl Quantization {
    /// `value` as the nearest of the steps of int8.
    pub fn nearest(self, value: f32) -> f32 {
        let zero = f32::from(self.zero_point);
        (value / self.scale).round_ties_even().clamp(-128.0 - zero, 127.0 - zero) * self.scale
    }
}

/// Proves that tract, onnxruntime and the integer form of a residual add agree on all 65,536 pairs of operands.
pub fn sum(a: Quantization, b: Quantization, output: Quantization) -> Option<SumMultipliers> {
    let one = (1i64 << SUM_BITS) as f64;
    let multiplier = |q: Quantization| (q.scale as f64 / output.scale as f64 * one).round();
    let (ma, mb) = (multiplier(a), multiplier(b));
    // Two products of at most 255 steps and the rounding term must fit an i32.
    if !(ma >= 1.0 && mb >= 1.0 && 255.0 * (ma + mb) < (i32::MAX - (1 << SUM_BITS)) as f64) {
        return None;
    }
    let (ma, mb) = (ma as i32, mb as i32);
    let reciprocal = 1.0 / output.scale;
    let zero = output.zero_point as i64;
    let clamp = |step: i64| (step + zero).clamp(-128, 127);
    let agree = (-128..=127i32).all(|x| {
        let x = x - a.zero_point as i32;
        let real_x = x as f32 * a.scale;
        (-128..=127i32).all(|y| {
            let y = y - b.zero_point as i32;
            let real = real_x + y as f32 * b.scale;
            let integer = clamp(((x * ma + y * mb + (1 << (SUM_BITS - 1))) >> SUM_BITS) as i64);
            integer == clamp((real * reciprocal).round_ties_even() as i64)
                && integer == clamp((real / output.scale).round_ties_even() as i64)
        })
    });
    agree.then_some(SumMultipliers { a: ma, b: mb })
}

/// Proves that tract, onnxruntime and one high multiply of a product agree on all pairs of operands.
pub fn product(a: Quantization, b: Quantization, output: Quantization) -> Option<HighMul> {
    let scale = f64::from(a.scale) * f64::from(b.scale) / f64::from(output.scale);
    let high = multiplier_near(scale).filter(|_| scale.is_normal())?;
    let reciprocal = 1.0 / output.scale;
    let zero = i64::from(output.zero_point);
    let clamp = |step: i64| (step + zero).clamp(-128, 127);
    let agree = (-128..=127i32).all(|x| {
        let x = x - i32::from(a.zero_point);
        let real_x = x as f32 * a.scale;
        (-128..=127i32).all(|y| {
            let y = y - i32::from(b.zero_point);
            let real = real_x * (y as f32 * b.scale);
            let integer = clamp(i64::from(high.apply(x * y)));
            integer == clamp((real * reciprocal).round_ties_even() as i64)
                && integer == clamp((real / output.scale).round_ties_even() as i64)
        })
    });
    agree.then_some(high)
}

/// The least distance, in steps, of `values / scale` from a rounding boundary.
pub fn table_margin(values: &[f32], scale: f32) -> f64 {
    let distance = |&v: &f32| {
        let steps = v as f64 / scale as f64;
        (steps - steps.floor() - 0.5).abs()
    };
    values.iter().map(distance).fold(0.5, f64::min)
}

/// The scale nearest to `wanted` that keeps every value at least [`TABLE_MARGIN`] steps from a rounding boundary.
///
/// `values` gives the table's real values for a candidate scale, because an input scale may depend on it. Returns the
/// scale and its relative move.
pub fn place_table_scale(wanted: f32, values: &[f32]) -> Option<(f32, f64)> {
    (0..TRIES).find_map(|k| {
        let moved = zigzag(k) as f64 * 1e-6;
        let scale = (wanted as f64 * (1.0 + moved)) as f32;
        (table_margin(values, scale) >= TABLE_MARGIN).then_some((scale, moved.abs()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    /// Accumulators near every step and far beyond the clamps, through the three f32 rules.
    fn check_widely(scale: f32, input: f32, output: f32, steps: Steps, high: HighMul) {
        let (tract, shared) = (tract_per_channel(scale, input, output), divided(scale, input, output));
        let reach = ((steps.hi.max(-steps.lo) + 3) as f64 / tract as f64) as i64;
        let clamp = |v: i64| v.clamp(steps.lo, steps.hi);
        for k in -40_000..=40_000i64 {
            let acc = k * reach / 40_000;
            let wanted = clamp(high.apply(acc as i32) as i64);
            assert_eq!(wanted, clamp(round_f32(acc, tract)), "acc {acc}");
            assert_eq!(wanted, clamp(round_f32(acc, shared)), "acc {acc}");
            assert_eq!(wanted, clamp(round_exact(acc, shared)), "acc {acc}");
        }
    }

    #[test]
    fn weight_scales_are_always_placed() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for exponent in [1, -1, -3, -5, -9, -13, -15] {
            for zero_point in [-128, 0, 11] {
                let steps = Steps::of_zero_point(zero_point);
                let (input, output) = (rng.random_range(0.005..0.1f32), rng.random_range(0.005..0.1f32));
                let requant = 2f64.powi(exponent) * rng.random_range(1.0..2.0);
                let wanted = requant * output as f64 / input as f64;
                let placed = place_weight_scale(wanted, input, output, steps)
                    .unwrap_or_else(|| panic!("2^{exponent}, zero point {zero_point}"));
                assert!(placed.moved < 1e-2, "2^{exponent} moved {}", placed.moved);
                check_widely(placed.scale, input, output, steps, placed.multiplier);
            }
        }
    }

    #[test]
    fn most_scales_are_off_the_lattice_by_nature() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(2);
        let steps = Steps::of_zero_point(-128);
        let on = (0..200).filter(|_| {
            let (x, y) = (rng.random_range(0.005..0.1f32), rng.random_range(0.005..0.1f32));
            weight_scale(rng.random_range(1e-4..2e-4) * y / x, x, y, steps).is_some()
        });
        assert!(on.count() < 100, "the proof accepts nearly everything, so it proves nothing");
    }

    #[test]
    fn tables_keep_their_distance() {
        let values: Vec<f32> = (0..256).map(|p| (p as f32 - 123.675) * (1.0 / 58.395)).collect();
        let (scale, moved) = place_table_scale(0.0187, &values).expect("placed");
        assert!(table_margin(&values, scale) >= TABLE_MARGIN && moved < 1e-2);
    }
}
