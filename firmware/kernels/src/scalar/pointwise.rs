//! Operations on one value at a time: input tables, lookup tables, sums, products, slopes, and the change to plane order.

use crate::requant::HighMul;
use crate::{Shape, Words};

/// A crop's pixels through a table for each plane of the model: u8 interleaved R, G, B (or grey) to int8 HWC.
///
/// `tables` has 256 entries for each of one or three planes, in the order of the model's planes; `blue_first` says that those
/// are B, G, R.
pub fn pixels(blue_first: bool, tables: &[i8], crop: &[u8], y: &mut [i8]) {
    let (tables, _) = tables.as_chunks::<256>();
    match (tables, blue_first) {
        ([grey], _) => {
            for (y, &pixel) in y.iter_mut().zip(crop) {
                *y = grey[pixel as usize];
            }
        }
        ([first, second, third], false) => {
            for (y, pixel) in y.as_chunks_mut::<3>().0.iter_mut().zip(crop.as_chunks::<3>().0) {
                *y = [first[pixel[0] as usize], second[pixel[1] as usize], third[pixel[2] as usize]];
            }
        }
        ([first, second, third], true) => {
            for (y, pixel) in y.as_chunks_mut::<3>().0.iter_mut().zip(crop.as_chunks::<3>().0) {
                *y = [first[pixel[2] as usize], second[pixel[1] as usize], third[pixel[0] as usize]];
            }
        }
        _ => {}
    }
}

/// Replaces every value by its entry in one table of 256, indexed by the value's byte (two's complement).
pub fn lookup(table: &[i8], values: &mut [i8]) {
    let Some((table, _)) = table.split_first_chunk::<256>() else { return };
    for value in values {
        *value = table[*value as u8 as usize];
    }
}

/// The same with a table for every channel: `tables` has 256 entries for each.
pub fn lookup_channels(channels: usize, tables: &[i8], values: &mut [i8]) {
    let (tables, _) = tables.as_chunks::<256>();
    for pixel in values.chunks_exact_mut(channels.max(1)) {
        for (value, table) in pixel.iter_mut().zip(tables) {
            *value = table[*value as u8 as usize];
        }
    }
}

/// Two straight lines that meet at the zero point, the lower one with a slope for each channel: a PReLU.
///
/// `y = ((x - input_zero) * m + 2^(bits - 1)) >> bits`, plus the output's zero point, clamped; `m` is `positive` from the
/// zero point up and the channel's own below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slope<'p> {
    /// Fraction bits of the multipliers, `1..=24`.
    pub bits: u8,
    /// Multiplier from the zero point up.
    pub positive: i32,
    /// Multipliers below it, one for each channel.
    pub negative: Words<'p>,
    /// The int8 that stands for real zero in the input.
    pub input_zero: i8,
    /// The int8 that stands for real zero in the output.
    pub output_zero: i8,
}

impl Slope<'_> {
    /// The largest magnitude of a multiplier for which 255 steps and the rounding term stay inside an i32.
    pub fn greatest(&self) -> u32 {
        (i32::MAX as u32 - (1 << (self.bits - 1))) / 255
    }

    /// One value with the multiplier of its channel's lower line.
    #[inline(always)]
    pub fn value(&self, negative: i32, x: i8) -> i8 {
        let steps = x as i32 - self.input_zero as i32;
        let mult = if steps < 0 { negative } else { self.positive };
        let y = (steps * mult + (1 << (self.bits - 1))) >> self.bits;
        (y + self.output_zero as i32).clamp(-128, 127) as i8
    }

    /// Replaces every value of an activation with as many channels as there are lower multipliers.
    pub fn run(&self, values: &mut [i8]) {
        for pixel in values.chunks_exact_mut(self.negative.len().max(1)) {
            for (value, negative) in pixel.iter_mut().zip(self.negative.integers()) {
                *value = self.value(negative, *value);
            }
        }
    }
}

/// A residual add in integers:
/// `y = ((a - a_zero) * a_mult + (b - b_zero) * b_mult + 2^(bits - 1)) >> bits`, plus the output's zero point, clamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// Zero points of the operands.
    pub zeros: [i8; 2],
    /// Multipliers of the operands, positive.
    pub mults: [i32; 2],
    /// Fraction bits of the multipliers, `1..=24`.
    pub bits: u8,
    /// The int8 that stands for real zero in the output.
    pub output_zero: i8,
    /// Least output.
    pub lo: i8,
    /// Greatest output, not less than `lo`.
    pub hi: i8,
}

impl Sum {
    /// One pair.
    #[inline(always)]
    pub fn value(&self, a: i8, b: i8) -> i8 {
        let a = (a as i32 - self.zeros[0] as i32) * self.mults[0];
        let b = (b as i32 - self.zeros[1] as i32) * self.mults[1];
        let y = (a + b + (1 << (self.bits - 1))) >> self.bits;
        (y + self.output_zero as i32).max(self.lo as i32).min(self.hi as i32) as i8
    }

    /// Replaces every value of `y` by the sum of one of `x` and itself.
    pub fn run(&self, x: &[i8], y: &mut [i8]) {
        zip(x, y, |a, b| self.value(a, b));
    }

    /// The same add with its operands in each other's places.
    pub fn turned(&self) -> Self {
        let ([a, b], [x, y]) = (self.zeros, self.mults);
        Sum { zeros: [b, a], mults: [y, x], ..*self }
    }

    /// Whether no pair overflows an i32.
    pub fn fits(&self) -> bool {
        let [a, b] = self.mults.map(i64::from);
        let reach = |bits: u8| 255 * (a + b) + (1i64 << (bits - 1)) <= i32::MAX as i64;
        a > 0 && b > 0 && (1..=24).contains(&self.bits) && reach(self.bits)
    }
}

/// A residual add as tract computes it in f32, for scales off the lattice: both operands dequantized and added, times the
/// reciprocal of the output's scale, rounded half to even. Single IEEE 754 operations: the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FloatSum {
    /// Zero points of the operands.
    pub zeros: [i8; 2],
    /// Scales of the operands.
    pub scales: [f32; 2],
    /// Reciprocal of the output's scale.
    pub reciprocal: f32,
    /// The int8 that stands for real zero in the output.
    pub output_zero: i8,
    /// Least output.
    pub lo: i8,
    /// Greatest output, not less than `lo`.
    pub hi: i8,
}

impl FloatSum {
    /// One pair.
    #[inline(always)]
    pub fn value(&self, a: i8, b: i8) -> i8 {
        const ROUND: f32 = 12_582_912.0;
        let a = (a as i32 - self.zeros[0] as i32) as f32 * self.scales[0];
        let b = (b as i32 - self.zeros[1] as i32) as f32 * self.scales[1];
        // Clamped first: adding and taking away 1.5 * 2^23 rounds half to even for magnitudes below 2^22.
        let steps = ((a + b) * self.reciprocal).clamp(-1024.0, 1024.0);
        let steps = ((steps + ROUND) - ROUND) as i32;
        (steps + self.output_zero as i32).max(self.lo as i32).min(self.hi as i32) as i8
    }
}

/// A product in integers, of two activations of one shape or of an activation and a factor for each of its channels:
/// `y = (a - a_zero) * (b - b_zero)` times the scale, rounded, plus the output's zero point, clamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// Zero points of the operands.
    pub zeros: [i8; 2],
    /// `a_scale * b_scale / y_scale`.
    pub scale: HighMul,
    /// The int8 that stands for real zero in the output.
    pub output_zero: i8,
    /// Least output.
    pub lo: i8,
    /// Greatest output, not less than `lo`.
    pub hi: i8,
}

impl Product {
    /// One pair.
    #[inline(always)]
    pub fn value(&self, a: i8, b: i8) -> i8 {
        let a = a as i32 - self.zeros[0] as i32;
        let b = b as i32 - self.zeros[1] as i32;
        // At most 255^2 * 2^7 in magnitude: far inside an i32.
        (self.scale.apply(a * b) + self.output_zero as i32).max(self.lo as i32).min(self.hi as i32) as i8
    }

    /// Replaces every value of an activation by its product with the factor of its channel.
    pub fn by_channel(&self, factors: &[i8], values: &mut [i8]) {
        for pixel in values.chunks_exact_mut(factors.len().max(1)) {
            for (value, &factor) in pixel.iter_mut().zip(factors) {
                *value = self.value(*value, factor);
            }
        }
    }
}

/// Replaces every value of `y` by `value(x, y)`.
pub fn zip(x: &[i8], y: &mut [i8], value: impl Fn(i8, i8) -> i8) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = value(x, *y);
    }
}

/// HWC to planes (CHW): what a flattened output with several pixels needs.
pub fn planes(shape: Shape, x: &[i8], y: &mut [i8]) {
    let pixels = (shape.height * shape.width).max(1);
    for (channel, plane) in y.chunks_exact_mut(pixels).enumerate() {
        for (place, values) in plane.iter_mut().zip(x.chunks_exact(shape.channels.max(1))) {
            *place = values.get(channel).copied().unwrap_or_default();
        }
    }
}
