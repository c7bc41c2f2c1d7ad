//! Operations with constants of noise, of the shapes that MobileFaceNet has, for the benches of the kernels.

use arcgate_firmware::kernels::requant::{Output, Requant};
use arcgate_firmware::kernels::scalar::{Conv, Depthwise, Slope, Sum};
use arcgate_firmware::kernels::{Shape, Window, Words};

/// Values without a pattern.
pub fn noise(count: usize, mut seed: u32) -> Vec<i8> {
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as i8
    };
    (0..count).map(|_| next()).collect()
}

/// The same word so many times.
fn words(count: usize, word: i32) -> Vec<u8> {
    word.to_le_bytes().repeat(count)
}

/// The constants of a convolution and of the PReLU behind it.
pub struct Layer {
    input: Shape,
    output: Shape,
    window: Window,
    weights: Vec<i8>,
    bias: Vec<u8>,
    mults: Vec<u8>,
    slopes: Vec<u8>,
}

impl Layer {
    /// A square map of `side` and channels `from`, to channels `to`, by a square kernel with `stride`, padded by `pad`; of each
    /// channel by itself when `depthwise`.
    pub fn new(
        side: usize,
        [from, to]: [usize; 2],
        kernel: usize,
        stride: usize,
        pad: usize,
        depthwise: bool,
    ) -> Self {
        let outputs = (side + 2 * pad - kernel) / stride + 1;
        let square = |side, channels| Shape { height: side, width: side, channels };
        let inputs = if depthwise { 1 } else { from };
        Layer {
            input: square(side, from),
            output: square(outputs, to),
            window: Window { kernel: [kernel; 2], stride: [stride; 2], pad: [pad; 2] },
            weights: noise(to * kernel * kernel * inputs, 7),
            bias: words(to, 100),
            mults: words(to, 20_000_002),
            slopes: words(to, 250_001),
        }
    }

    /// Multiply-accumulates.
    pub fn macs(&self) -> u64 {
        (self.weights.len() * self.output.height * self.output.width) as u64
    }

    /// An input, and room for the output.
    pub fn maps(&self) -> [Vec<i8>; 2] {
        [noise(self.input.bytes(), 3), vec![0; self.output.bytes()]]
    }

    fn finish(&self) -> Output<'_> {
        let requant = Requant::HighMul { mults: Words::new(&self.mults) };
        Output { requant, zero_point: 3, lo: i8::MIN, hi: i8::MAX }
    }

    /// As a convolution.
    pub fn conv(&self) -> Conv<'_> {
        let Layer { input, output, window, weights, .. } = self;
        let (input, output, window) = (*input, *output, *window);
        let (bias, finish) = (Words::new(&self.bias), self.finish());
        Conv { input, output, window, groups: 1, input_zero: 3, weights, bias, finish }
    }

    /// As a depthwise convolution.
    pub fn depthwise(&self) -> Depthwise<'_> {
        let Layer { input, output, window, weights, .. } = self;
        let (input, output, window) = (*input, *output, *window);
        let (bias, finish) = (Words::new(&self.bias), self.finish());
        Depthwise { input, output, window, input_zero: 3, weights, bias, finish }
    }

    /// The PReLU.
    pub fn slope(&self) -> Slope<'_> {
        let negative = Words::new(&self.slopes);
        Slope { bits: 20, positive: 1_234_567, negative, input_zero: 3, output_zero: -20 }
    }
}

/// A residual add.
pub const SUM: Sum =
    Sum { zeros: [1, 2], mults: [700_000, 500_000], bits: 20, output_zero: 0, lo: i8::MIN, hi: i8::MAX };
