//! The 64 bytes of one operation.

use super::PlanError;
use crate::bytes::{self, u16_at, u32_at};
use crate::kernels::{Shape, Window};

/// Bytes of one operation.
pub const RECORD_BYTES: usize = 64;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Kind {
    /// The crop through a table for each plane (`a`: the tables).
    Input = 0,
    /// Convolution (`a`: weights, `b`: folded bias, `c`: requantization).
    Conv = 1,
    /// Depthwise convolution (`a`: weights, `b`: bias, `c`: requantization).
    Depthwise = 2,
    /// Residual add in integers (`a`, `b`: the multipliers).
    Sum = 3,
    /// Residual add in f32 (`a`, `b`: the scales, `c`: the reciprocal of the output's scale).
    FloatSum = 4,
    /// One lookup table (`a`: the table), in place or not.
    Lookup = 5,
    /// A lookup table for every channel (`a`: the tables), in place or not.
    LookupChannels = 6,
    /// A PReLU (`a`: the positive multiplier, `b`: the negative ones), in place or not.
    Slope = 7,
    /// HWC to planes.
    Planes = 8,
    /// The greatest value of each window.
    MaxPool = 9,
    /// Every pixel as a block of pixels; how large follows from the shapes.
    Upsample = 10,
    /// Channels through a table (`a`: the table) into some of the output's (`groups`: the first of them). The operations that
    /// fill one output follow one another, from its first channel to its last.
    Place = 11,
    /// Product in integers (`a`: the multiplier, fraction bits: its shift) with a second operand of the same shape (`groups`: 0)
    /// or of one pixel (`groups`: 1).
    Product = 12,
}

/// How a convolution requantizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Rule {
    /// One high multiply for each channel (`c`: multipliers).
    HighMul = 0,
    /// The same with shifts (`c`: multipliers, then one byte of shift for each channel).
    ShiftedHighMul = 1,
    /// tract's f32 rule (`c`: scales).
    PerChannelF32 = 2,
    /// tract's rule for one scale (`c`: the scale itself, f32).
    Uniform = 3,
}

/// One operation as it stands in a plan. Offsets `a`, `b`, `c` count from the plan's beginning, the others in the arena.
///
/// ```text
///  0  kind            8  input offset            20  input: height u16, width u16, channels u32
///  1  rule           12  output offset           28  output: height u16, width u16, channels u32
///  2  input zero     16  second operand of a     36  kernel rows u16, columns u16
///  3  output zero        sum or a product, or    40  stride rows u8, columns u8; pad top u8, left u8
///  4  least output       scratch of a            44  groups
///  5  greatest output    convolution             48  a     52  b     56  c     60  0
///  6  second zero
///  7  fraction bits
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What it does.
    pub kind: Kind,
    /// How a convolution requantizes.
    pub rule: Rule,
    /// Zero point of the input.
    pub input_zero: i8,
    /// Zero point of the output.
    pub output_zero: i8,
    /// Least output.
    pub lo: i8,
    /// Greatest output.
    pub hi: i8,
    /// Zero point of the second operand.
    pub second_zero: i8,
    /// Fraction bits of multipliers.
    pub bits: u8,
    /// Where the input lies.
    pub input: u32,
    /// Where the output lies.
    pub output: u32,
    /// Where the second operand or the scratch lies.
    pub second: u32,
    /// Shape of the input.
    pub input_shape: Shape,
    /// Shape of the output.
    pub output_shape: Shape,
    /// How the kernel slides.
    pub window: Window,
    /// Groups of a convolution.
    pub groups: u32,
    /// See [`Kind`].
    pub a: u32,
    /// See [`Kind`].
    pub b: u32,
    /// See [`Kind`].
    pub c: u32,
}

impl Record {
    /// Reads the record of operation `step`.
    ///
    /// # Errors
    /// When the kind, the rule or the last word is unknown.
    pub fn read(bytes: &[u8; RECORD_BYTES], step: usize) -> Result<Self, PlanError> {
        let word = |at| u32_at(bytes, at);
        let half = |at| usize::from(u16_at(bytes, at));
        let wrong = |field, value: u32, accepted| PlanError::step(step, field, value as usize, accepted);
        let kind = match bytes[0] {
            0 => Kind::Input,
            1 => Kind::Conv,
            2 => Kind::Depthwise,
            3 => Kind::Sum,
            4 => Kind::FloatSum,
            5 => Kind::Lookup,
            6 => Kind::LookupChannels,
            7 => Kind::Slope,
            8 => Kind::Planes,
            9 => Kind::MaxPool,
            10 => Kind::Upsample,
            11 => Kind::Place,
            12 => Kind::Product,
            other => return Err(wrong("kind", other as u32, "0 to 12")),
        };
        let rule = match bytes[1] {
            0 => Rule::HighMul,
            1 => Rule::ShiftedHighMul,
            2 => Rule::PerChannelF32,
            3 => Rule::Uniform,
            other => return Err(wrong("rule", other as u32, "0 to 3")),
        };
        if word(60) != 0 {
            return Err(wrong("reserved word", word(60), "0"));
        }
        let shape = |at| Shape { height: half(at), width: half(at + 2), channels: word(at + 4) as usize };
        Ok(Record {
            kind,
            rule,
            input_zero: bytes[2] as i8,
            output_zero: bytes[3] as i8,
            lo: bytes[4] as i8,
            hi: bytes[5] as i8,
            second_zero: bytes[6] as i8,
            bits: bytes[7],
            input: word(8),
            output: word(12),
            second: word(16),
            input_shape: shape(20),
            output_shape: shape(28),
            window: Window {
                kernel: [half(36), half(38)],
                stride: [bytes[40] as usize, bytes[41] as usize],
                pad: [bytes[42] as usize, bytes[43] as usize],
            },
            groups: word(44),
            a: word(48),
            b: word(52),
            c: word(56),
        })
    }

    /// The 64 bytes; `None` when a shape or the window does not fit its fields.
    pub fn to_bytes(&self) -> Option<[u8; RECORD_BYTES]> {
        let mut bytes = [0; RECORD_BYTES];
        let mut put = |at, field: &[u8]| bytes::put(&mut bytes, at, field);
        let small = [self.input_zero, self.output_zero, self.lo, self.hi, self.second_zero].map(|v| v as u8);
        put(0, &[self.kind as u8, self.rule as u8]);
        put(2, &small);
        put(7, &[self.bits]);
        put(8, &self.input.to_le_bytes());
        put(12, &self.output.to_le_bytes());
        put(16, &self.second.to_le_bytes());
        for (at, shape) in [(20, self.input_shape), (28, self.output_shape)] {
            put(at, &u16::try_from(shape.height).ok()?.to_le_bytes());
            put(at + 2, &u16::try_from(shape.width).ok()?.to_le_bytes());
            put(at + 4, &u32::try_from(shape.channels).ok()?.to_le_bytes());
        }
        for axis in 0..2 {
            put(36 + 2 * axis, &u16::try_from(self.window.kernel[axis]).ok()?.to_le_bytes());
            put(40 + axis, &[u8::try_from(self.window.stride[axis]).ok()?]);
            put(42 + axis, &[u8::try_from(self.window.pad[axis]).ok()?]);
        }
        put(44, &self.groups.to_le_bytes());
        put(48, &self.a.to_le_bytes());
        put(52, &self.b.to_le_bytes());
        put(56, &self.c.to_le_bytes());
        Some(bytes)
    }
}
