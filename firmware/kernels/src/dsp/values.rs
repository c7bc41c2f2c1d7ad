//! Operations on one value at a time: PReLUs and residual adds. Lookup tables have no faster form than the scalar kernel's.

use super::steps::{FourSlopes, Mix};
use super::tile;
use crate::scalar::{self, Slope, Sum};

/// Bytes of an activation that are gone through four channels after four channels, before the next ones: some lines of a cache.
const PART: usize = 4096;

/// Replaces every value of an activation with as many channels as `slope` has lower multipliers.
pub fn slope(slope: &Slope<'_>, values: &mut [i8]) {
    let channels = slope.negative.len();
    let fours = channels / 4;
    if channels == 0 || fours > 0 && FourSlopes::of(slope, 0).is_none() {
        return slope.run(values);
    }
    for values in values.chunks_mut(((PART / channels).max(16) * channels).max(1)) {
        for four in 0..fours {
            if let (Some(slopes), Some(values)) =
                (FourSlopes::of(slope, 4 * four), values.get_mut(4 * four..))
            {
                tile::slope(&slopes, values, channels);
            }
        }
        for pixel in values.chunks_exact_mut(channels) {
            for (value, negative) in pixel.iter_mut().zip(slope.negative.integers()).skip(4 * fours) {
                *value = slope.value(negative, *value);
            }
        }
    }
}

/// Replaces every value of `y` by `sum` of one of `x` and itself.
///
/// With operands in places of the other, the zero points and the multipliers change theirs, and the sum is the same.
pub fn sum(sum: &Sum, x: &[i8], y: &mut [i8]) {
    let Some(mix) = Mix::of(sum) else {
        return scalar::zip(x, y, |a, b| sum.value(a, b));
    };
    let length = x.len().min(y.len());
    let (Some(x), Some(y)) = (x.get(..length), y.get_mut(..length)) else { return };
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks(), y.as_chunks_mut());
    tile::mix(&mix, x, y);
    scalar::zip(x_rest, y_rest, |a, b| sum.value(a, b));
}
