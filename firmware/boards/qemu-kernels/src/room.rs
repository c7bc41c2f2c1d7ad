//! Buffers for everything that an operation reads and writes, and the operations built from them.

use arcgate_firmware::kernels::requant::{Output, Requant, UniformScale};
use arcgate_firmware::kernels::scalar::{self, Conv, Depthwise, Slope, Sum, scratch_bytes};
use arcgate_firmware::kernels::{Shape, Window, Words, as_i8, as_i8_mut};

use crate::fail;
use crate::tested::{self, conv_scratch_bytes, depthwise_scratch_bytes};

/// Values of the largest activation, with room for canaries.
pub const VALUES: usize = 1 << 17;

/// Weights of the largest convolution.
pub const WEIGHTS: usize = 1 << 17;

/// Output channels at most.
pub const CHANNELS: usize = 1 << 10;

/// Bytes before and behind what a kernel may write.
const MARGIN: usize = 16;

/// What lies there.
const CANARY: u8 = 0x5a;

/// How an operation's accumulators become steps.
#[derive(Debug, Clone, Copy)]
pub struct Finish {
    /// One of the four rules.
    pub rule: u32,
    /// Zero point of the output.
    pub zero: i8,
    /// Least and greatest output.
    pub clamp: [i8; 2],
}

/// The shape of a convolution.
#[derive(Debug, Clone, Copy)]
pub struct Geometry {
    /// Shape of the input.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
    /// How the kernel slides.
    pub window: Window,
    /// Groups.
    pub groups: usize,
    /// Zero point of the input.
    pub zero: i8,
}

/// Buffers, each at a multiple of 4.
#[repr(align(8))]
pub struct Room {
    /// Numbers without end.
    pub numbers: Numbers,
    x: [u8; VALUES],
    y: [u8; VALUES],
    wanted: [u8; VALUES],
    scratch: [u8; VALUES],
    weights: [u8; WEIGHTS],
    packed: [u8; WEIGHTS],
    bias: [u8; 4 * CHANNELS],
    mults: [u8; 4 * CHANNELS],
    shifts: [u8; CHANNELS],
}

/// A generator of numbers (xorshift).
pub struct Numbers(u32);

impl Numbers {
    /// The next one.
    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// One from `range`, its end included.
    pub fn within(&mut self, range: core::ops::RangeInclusive<usize>) -> usize {
        range.start() + self.next() as usize % (range.end() - range.start() + 1)
    }

    /// A byte that is extreme every other time.
    pub fn byte(&mut self) -> i8 {
        match self.next() >> 8 & 7 {
            0 | 1 => i8::MIN,
            2 => i8::MAX,
            3 => 0,
            _ => (self.next() >> 16) as i8,
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = (self.next() >> 11) as u8;
        }
    }
}

impl Room {
    /// Buffers full of nothing.
    pub fn new() -> Self {
        Room {
            numbers: Numbers(2_463_534_242),
            x: [0; VALUES],
            y: [0; VALUES],
            wanted: [0; VALUES],
            scratch: [0; VALUES],
            weights: [0; WEIGHTS],
            packed: [0; WEIGHTS],
            bias: [0; 4 * CHANNELS],
            mults: [0; 4 * CHANNELS],
            shifts: [0; CHANNELS],
        }
    }

    /// Weights, biases and requantization for `channels` channels.
    fn constants(&mut self, weights: usize, channels: usize) {
        let numbers = &mut self.numbers;
        numbers.fill(&mut self.weights[..weights]);
        for channel in 0..channels {
            let (bias, shift) = ((numbers.next() as i32) >> 12, numbers.within(1..=12));
            let mult = (numbers.next() >> shift) as i32 | 2;
            self.bias[4 * channel..][..4].copy_from_slice(&bias.to_le_bytes());
            self.mults[4 * channel..][..4].copy_from_slice(&(mult & !1).to_le_bytes());
            self.shifts[channel] = numbers.within(0..=3) as u8;
        }
    }

    /// A convolution through both kernels on random values, input and output `off` bytes behind a multiple of 4. `around` is given
    /// the core's own one to call. `None` when it does not fit.
    pub fn conv(
        &mut self,
        geometry: &Geometry,
        finish: Finish,
        off: usize,
        mut around: impl FnMut(&mut dyn FnMut()),
    ) -> Option<()> {
        let Geometry { input, output, window, groups, zero } = *geometry;
        let weights = window.kernel[0] * window.kernel[1] * (input.channels / groups) * output.channels;
        let scratch = conv_scratch_bytes(input, output, window, groups);
        let plain = scratch_bytes(input, output, window, groups);
        let fits = weights <= WEIGHTS
            && output.channels <= CHANNELS
            && input.bytes().max(output.bytes()).max(scratch).max(plain) + 3 * MARGIN <= VALUES;
        if !fits {
            return None;
        }
        self.constants(weights, output.channels);
        self.numbers.fill(&mut self.x[off..][..input.bytes()]);
        let packed = tested::pack(geometry, &self.weights[..weights], &mut self.packed)?;
        let finish = finish.with(&self.mults[..4 * output.channels], &self.shifts[..output.channels]);
        let bias = Words::new(&self.bias[..4 * output.channels]);
        let weights = as_i8(&self.weights[..weights]);
        let conv = Conv { input, output, window, groups, input_zero: zero, weights, bias, finish };
        let x = as_i8(&self.x[off..][..input.bytes()]);
        let wanted = &mut as_i8_mut(&mut self.wanted)[..output.bytes()];
        conv.run(x, &mut as_i8_mut(&mut self.scratch)[..plain], wanted);

        let conv = Conv { weights: as_i8(&self.packed[..packed]), ..conv };
        let mut y = Guarded::new(&mut self.y, off, output.bytes());
        let mut scratch = Guarded::new(&mut self.scratch, 0, scratch);
        let mut ran = None;
        around(&mut || ran = tested::conv(&conv, x, scratch.inside(), y.inside()));
        ran?;
        y.check(wanted);
        scratch.check(&[]);
        Some(())
    }

    /// A depthwise convolution, likewise.
    pub fn depthwise(
        &mut self,
        geometry: &Geometry,
        finish: Finish,
        off: usize,
        mut around: impl FnMut(&mut dyn FnMut()),
    ) -> Option<()> {
        let Geometry { input, output, window, zero, .. } = *geometry;
        let weights = window.kernel[0] * window.kernel[1] * input.channels;
        let scratch = depthwise_scratch_bytes(input, output, window);
        let fits = weights <= WEIGHTS
            && input.channels <= CHANNELS
            && input.bytes().max(output.bytes()).max(scratch) + 3 * MARGIN <= VALUES;
        if !fits {
            return None;
        }
        self.constants(weights, input.channels);
        self.numbers.fill(&mut self.x[off..][..input.bytes()]);
        let finish = finish.with(&self.mults[..4 * input.channels], &self.shifts[..input.channels]);
        let bias = Words::new(&self.bias[..4 * input.channels]);
        let weights = as_i8(&self.weights[..weights]);
        let depthwise = Depthwise { input, output, window, input_zero: zero, weights, bias, finish };
        let x = as_i8(&self.x[off..][..input.bytes()]);
        let wanted = &mut as_i8_mut(&mut self.wanted)[..output.bytes()];
        depthwise.run(x, wanted);
        let mut y = Guarded::new(&mut self.y, off, output.bytes());
        let mut scratch = Guarded::new(&mut self.scratch, 0, scratch);
        let mut ran = None;
        around(&mut || ran = tested::depthwise(&depthwise, x, scratch.inside(), y.inside()));
        ran?;
        y.check(wanted);
        scratch.check(&[]);
        Some(())
    }

    /// A PReLU through both kernels, on as many values as fit.
    pub fn slope(
        &mut self,
        channels: usize,
        pixels: usize,
        bits: u8,
        off: usize,
        mut around: impl FnMut(&mut dyn FnMut()),
    ) -> Option<()> {
        let bytes = channels * pixels;
        if channels > CHANNELS || bytes + 3 * MARGIN > VALUES {
            return None;
        }
        let numbers = &mut self.numbers;
        let (input_zero, output_zero) = (numbers.byte(), numbers.byte());
        let mut slope = Slope { bits, positive: 0, negative: Words::new(&[]), input_zero, output_zero };
        let greatest = slope.greatest() as i32;
        let mut mult = || numbers.next() as i32 % (greatest + 1);
        slope.positive = mult();
        for word in self.mults.as_chunks_mut().0.iter_mut().take(channels) {
            *word = mult().to_le_bytes();
        }
        slope.negative = Words::new(&self.mults[..4 * channels]);
        let wanted = &mut as_i8_mut(&mut self.wanted)[..bytes];
        self.numbers.fill(&mut self.x[..bytes]);
        wanted.copy_from_slice(as_i8(&self.x[..bytes]));
        slope.run(wanted);
        let mut y = Guarded::new(&mut self.y, off, bytes);
        y.inside().copy_from_slice(as_i8(&self.x[..bytes]));
        around(&mut || tested::slope(&slope, y.inside()));
        y.check(wanted);
        Some(())
    }

    /// A residual add through both kernels.
    pub fn sum(
        &mut self,
        bytes: usize,
        finish: Finish,
        bits: u8,
        off: usize,
        mut around: impl FnMut(&mut dyn FnMut()),
    ) -> Option<()> {
        let numbers = &mut self.numbers;
        let mut mult = || (numbers.next() >> 12) as i32 + 1;
        let mults = [mult(), mult()];
        let zeros = [numbers.byte(), numbers.byte()];
        let Finish { zero: output_zero, clamp: [lo, hi], .. } = finish;
        let sum = Sum { zeros, mults, bits, output_zero, lo, hi };
        if !sum.fits() || bytes + 3 * MARGIN > VALUES {
            return None;
        }
        self.numbers.fill(&mut self.x[off..][..bytes]);
        self.numbers.fill(&mut self.scratch[..bytes]);
        let (x, before) = (as_i8(&self.x[off..][..bytes]), as_i8(&self.scratch[..bytes]));
        let wanted = &mut as_i8_mut(&mut self.wanted)[..bytes];
        wanted.copy_from_slice(before);
        scalar::zip(x, wanted, |a, b| sum.value(a, b));
        let mut y = Guarded::new(&mut self.y, off, bytes);
        y.inside().copy_from_slice(before);
        around(&mut || tested::sum(&sum, x, y.inside()));
        y.check(wanted);
        Some(())
    }
}

impl Finish {
    /// The last step of an operation with these multipliers.
    fn with<'p>(self, mults: &'p [u8], shifts: &'p [u8]) -> Output<'p> {
        let words = Words::new(mults);
        let requant = match self.rule {
            0 => Requant::HighMul { mults: words },
            1 => Requant::ShiftedHighMul { mults: words, shifts },
            // The bits of a positive multiplier below 2^31 are those of a positive f32, finite or not: any will do.
            2 => Requant::PerChannelF32 { scales: words },
            _ => match UniformScale::new(0.001_234) {
                Some(scale) => Requant::Uniform(scale),
                None => fail(format_args!("no scale")),
            },
        };
        Output { requant, zero_point: self.zero, lo: self.clamp[0], hi: self.clamp[1] }
    }
}

/// Bytes that a kernel writes, between canaries.
struct Guarded<'a> {
    bytes: &'a mut [u8],
    first: usize,
    length: usize,
}

impl<'a> Guarded<'a> {
    fn new(bytes: &'a mut [u8], off: usize, length: usize) -> Self {
        let first = MARGIN + off;
        bytes[..first + length + MARGIN].fill(CANARY);
        Guarded { bytes, first, length }
    }

    fn inside(&mut self) -> &mut [i8] {
        as_i8_mut(&mut self.bytes[self.first..][..self.length])
    }

    /// Fails unless the canaries are there and the bytes are those `wanted`; with none wanted any will do.
    fn check(&mut self, wanted: &[i8]) {
        let end = self.first + self.length;
        let outside = self.bytes[..self.first].iter().chain(&self.bytes[end..][..MARGIN]);
        if outside.into_iter().any(|&byte| byte != CANARY) {
            fail(format_args!("bytes outside were written"));
        }
        if let Some(at) = self.inside().iter().zip(wanted).position(|(y, wanted)| y != wanted) {
            fail(format_args!("value {at} is {}, not {}", self.inside()[at], wanted[at]));
        }
    }
}
