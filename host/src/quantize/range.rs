//! The range of a tensor: which real values its 256 steps cover.

use super::calibrate::Observed;
use super::lattice::Quantization;
use crate::onnx::float::Clamp;

/// How far ends are drawn in, in parts of the observed range, in search of the least squared error.
const FINEST: f32 = 0.02;

/// The scale and zero point for a tensor that is cut to `clamp`, with the least squared error on its samples.
pub(super) fn affine(seen: &Observed, clamp: Clamp) -> Quantization {
    let (lo, hi) = (seen.lo.min(0.0).max(clamp.lo), seen.hi.max(0.0).min(clamp.hi));
    if (hi - lo).is_nan() || hi - lo < f32::MIN_POSITIVE * 1e6 {
        // Nothing but zeros was seen.
        return Quantization { scale: 1.0 / 255.0, zero_point: if clamp.lo == 0.0 { -128 } else { 0 } };
    }
    let of = |(down, up): (f32, f32)| of_range(lo * down, hi * up);
    let least = |candidates: Vec<(f32, f32)>| {
        let errors = candidates.into_iter().map(|c| (squared_error(&seen.samples, of(c)), c));
        errors.min_by(|a, b| a.0.total_cmp(&b.0)).map_or((1.0, 1.0), |(_, c)| c)
    };
    // Both ends together first, then one end at a time around the best.
    let (down, up) = least((0..30).map(|k| 1.0 - FINEST * k as f32).map(|part| (part, part)).collect());
    let around = |centre: f32| (-8..=8).map(move |k| (centre + FINEST * k as f32).clamp(0.2, 1.0));
    let (down, _) = least(around(down).map(|down| (down, up)).collect());
    of(least(around(up).map(|up| (down, up)).collect()))
}

/// The scale for an embedding, whose zero point is 0.
pub(super) fn symmetric(seen: &Observed) -> Quantization {
    let reach = seen.hi.max(-seen.lo).max(f32::MIN_POSITIVE * 1e6);
    let of = |part: f32| Quantization { scale: reach * part / 127.0, zero_point: 0 };
    let candidates = (0..30).map(|k| of(1.0 - FINEST * k as f32));
    let error = |q: &Quantization| squared_error(&seen.samples, *q);
    candidates.min_by(|a, b| error(a).total_cmp(&error(b))).unwrap_or(of(1.0))
}

/// 256 steps over `lo..=hi`, which holds zero.
fn of_range(lo: f32, hi: f32) -> Quantization {
    let scale = (hi - lo) / 255.0;
    let zero_point = (-128.0 - lo / scale).round_ties_even().clamp(-128.0, 127.0) as i8;
    Quantization { scale, zero_point }
}

fn squared_error(samples: &[f32], q: Quantization) -> f64 {
    let zero = q.zero_point as f32;
    let (lo, hi) = (-128.0 - zero, 127.0 - zero);
    let inverse = 1.0 / q.scale;
    let error = |&v: &f32| {
        let seen = (v * inverse).round_ties_even().clamp(lo, hi) * q.scale;
        let difference = (seen - v) as f64;
        difference * difference
    };
    samples.iter().map(error).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(samples: Vec<f32>) -> Observed {
        let lo = samples.iter().copied().fold(f32::INFINITY, f32::min);
        let hi = samples.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        Observed { lo, hi, samples, mean: vec![] }
    }

    #[test]
    fn a_rectified_tensor_starts_at_the_bottom() {
        let q = affine(&seen((0..1000).map(|i| i as f32 / 100.0).collect()), Clamp { lo: 0.0, hi: 6.0 });
        assert_eq!(q.zero_point, -128);
        assert!(q.scale <= 6.0 / 255.0 + 1e-9);
    }

    #[test]
    fn a_lone_outlier_is_cut_off() {
        let mut samples: Vec<f32> = (0..400_000).map(|i| (i as f32 / 1000.0).sin()).collect();
        samples.push(1.5);
        let q = affine(&seen(samples), Clamp::NONE);
        assert!(q.scale < 2.3 / 255.0, "scale {}", q.scale);
    }

    #[test]
    fn zeros_have_a_scale_too() {
        let q = affine(&seen(vec![0.0; 10]), Clamp::NONE);
        assert!(q.scale > 0.0);
        assert!(symmetric(&seen(vec![0.0; 10])).scale > 0.0);
    }
}
