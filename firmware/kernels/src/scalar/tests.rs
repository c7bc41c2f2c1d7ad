//! The kernels against loops that follow the formulas word by word, on random shapes; the wider build against the
//! portable one.

use proptest::prelude::*;

use super::{Conv, Depthwise, MaxPool, Product, place, scratch_bytes, upsample};
use crate::numbers::Numbers;
use crate::requant::{HighMul, Output, Requant, UniformScale};
use crate::{Shape, Window, Words};

/// A random convolution with its constants as bytes.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) input: Shape,
    pub(crate) output: Shape,
    pub(crate) window: Window,
    pub(crate) groups: usize,
    pub(crate) input_zero: i8,
    pub(crate) x: Vec<i8>,
    /// `[output][row][column][input of the group]`.
    pub(crate) weights: Vec<i8>,
    pub(crate) bias: Vec<i32>,
    pub(crate) mults: Vec<i32>,
    pub(crate) shifts: Vec<u8>,
    pub(crate) rule: u8,
    pub(crate) zero: i8,
    pub(crate) clamp: [i8; 2],
}

/// Numbers without end from a seed.
pub(crate) fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut numbers = Numbers(seed);
    move || numbers.next()
}

/// Cases with `groups` groups of `per` input and `per_out` output channels.
pub(crate) fn case(depthwise: bool) -> impl Strategy<Value = Case> {
    let channels = if depthwise {
        (1..70usize).prop_map(|groups| (groups, 1, 1)).boxed()
    } else {
        (1..4usize, 1..20usize, 1..40usize).boxed()
    };
    let geometry = (1..9usize, 1..9usize, 1..5usize, 1..5usize, 1..3usize, 1..3usize);
    (channels, geometry, any::<u64>(), 0..4u8, any::<[i8; 2]>(), any::<[i8; 2]>()).prop_filter_map(
        "windows touch the input",
        |((groups, inner, outer), (height, width, kh, kw, sh, sw), seed, rule, zeros, clamp)| {
            let mut numbers = Numbers(seed);
            let pad = [numbers.below(kh), numbers.below(kw)];
            let (end_h, end_w) = (numbers.below(kh), numbers.below(kw));
            // An output may also leave rows and columns out at the end.
            let (less_h, less_w) = (numbers.below(3), numbers.below(3));
            let mut next = move || numbers.next();
            let across = |size: usize, [pad, end, less]: [usize; 3], kernel: usize, stride: usize| {
                let most = (size + pad + end).checked_sub(kernel)? / stride + 1;
                Some(most.saturating_sub(less).max(1))
            };
            let input = Shape { height, width, channels: groups * inner };
            let output = Shape {
                height: across(height, [pad[0], end_h, less_h], kh, sh)?,
                width: across(width, [pad[1], end_w, less_w], kw, sw)?,
                channels: groups * outer,
            };
            let mut byte = || next() as i8;
            let x = (0..input.bytes()).map(|_| byte()).collect();
            let weights = (0..output.channels * inner * kh * kw).map(|_| byte()).collect();
            let bias = (0..output.channels).map(|_| next() as i32 >> 12).collect();
            let mults =
                (0..output.channels).map(|_| (next() as i32 >> 7).unsigned_abs() as i32 | 2).collect();
            let shifts = (0..output.channels).map(|_| (next() % 3) as u8).collect();
            let window = Window { kernel: [kh, kw], stride: [sh, sw], pad };
            let clamp = [clamp[0].min(clamp[1]), clamp[0].max(clamp[1])];
            let [input_zero, zero] = zeros;
            Some(Case {
                input,
                output,
                window,
                groups,
                input_zero,
                x,
                weights,
                bias,
                mults,
                shifts,
                rule,
                zero,
                clamp,
            })
        },
    )
}

impl Case {
    fn scale(&self, channel: usize) -> f32 {
        self.mults[channel] as f32 * 2f32.powi(-32)
    }

    /// The definition, one output at a time, in 64-bit integers and f64.
    pub(crate) fn naive(&self) -> Vec<i8> {
        let (inner, outer) = (self.input.channels / self.groups, self.output.channels / self.groups);
        let [kh, kw] = self.window.kernel;
        let mut y = Vec::new();
        for oy in 0..self.output.height {
            for ox in 0..self.output.width {
                for o in 0..self.output.channels {
                    let mut acc = self.bias[o] as i64;
                    for ky in 0..kh {
                        for kx in 0..kw {
                            let iy = (oy * self.window.stride[0] + ky) as i64 - self.window.pad[0] as i64;
                            let ix = (ox * self.window.stride[1] + kx) as i64 - self.window.pad[1] as i64;
                            let inside = (0..self.input.height as i64).contains(&iy)
                                && (0..self.input.width as i64).contains(&ix);
                            for i in (0..inner).filter(|_| inside) {
                                let pixel = iy as usize * self.input.width + ix as usize;
                                let x = self.x[pixel * self.input.channels + o / outer * inner + i];
                                let w = self.weights[((o * kh + ky) * kw + kx) * inner + i];
                                acc += (x as i64 - self.input_zero as i64) * w as i64;
                            }
                        }
                    }
                    let steps = self.requantize(o, acc) + self.zero as i64;
                    y.push(steps.clamp(self.clamp[0] as i64, self.clamp[1] as i64) as i8);
                }
            }
        }
        y
    }

    fn requantize(&self, o: usize, acc: i64) -> i64 {
        let (mult, scale) = (self.mults[o] as i64, self.scale(o));
        match self.rule {
            0 => (acc * mult + (1 << 31)) >> 32,
            1 => ((acc << self.shifts[o]) * mult + (1 << 31)) >> 32,
            2 => (acc.unsigned_abs() as f32 * scale).round_ties_even() as i64 * acc.signum(),
            // Accumulators of at most 25 bits times 24 bits of scale are exact in an f64.
            _ => (acc as f64 * self.scale(0) as f64).round_ties_even() as i64,
        }
    }

    /// Runs `work` with the output stage that the case asks for.
    pub(crate) fn with_finish<T>(&self, work: impl FnOnce(Output<'_>) -> T) -> T {
        let mults: Vec<u8> = self.mults.iter().flat_map(|m| m.to_le_bytes()).collect();
        let scales: Vec<u8> =
            (0..self.mults.len()).flat_map(|channel| self.scale(channel).to_le_bytes()).collect();
        let requant = match self.rule {
            0 => Requant::HighMul { mults: Words::new(&mults) },
            1 => Requant::ShiftedHighMul { mults: Words::new(&mults), shifts: &self.shifts },
            2 => Requant::PerChannelF32 { scales: Words::new(&scales) },
            _ => Requant::Uniform(UniformScale::new(self.scale(0).max(2f32.powi(-32))).unwrap()),
        };
        work(Output { requant, zero_point: self.zero, lo: self.clamp[0], hi: self.clamp[1] })
    }

    /// The biases with the input's zero point folded in, as a convolution has them.
    pub(crate) fn folded(&self) -> Vec<u8> {
        let taps = self.weights.len() / self.output.channels;
        let fold = |(row, &bias): (&[i8], &i32)| {
            let sum: i32 = row.iter().map(|&w| w as i32).sum();
            (bias - self.input_zero as i32 * sum).to_le_bytes()
        };
        self.weights.chunks_exact(taps).zip(&self.bias).flat_map(fold).collect()
    }

    /// The weights as a depthwise convolution has them.
    pub(crate) fn by_tap(&self) -> Vec<i8> {
        let channels = self.input.channels;
        let taps = self.weights.len() / channels;
        (0..self.weights.len()).map(|j| self.weights[j % channels * taps + j / channels]).collect()
    }

    /// Through the kernel: chosen at run time, and portable.
    fn conv(&self) -> [Vec<i8>; 2] {
        let folded = self.folded();
        let Case { input, output, window, groups, input_zero, .. } = *self;
        self.with_finish(|finish| {
            let (weights, bias) = (&self.weights[..], Words::new(&folded));
            let conv = Conv { input, output, window, groups, input_zero, weights, bias, finish };
            let mut scratch = vec![0; scratch_bytes(input, output, window, groups)];
            let mut ys = [vec![0; output.bytes()], vec![0; output.bytes()]];
            conv.run(&self.x, &mut scratch, &mut ys[0]);
            conv.run_plain(&self.x, &mut scratch, &mut ys[1]);
            ys
        })
    }

    fn depthwise(&self) -> [Vec<i8>; 2] {
        let weights = self.by_tap();
        let bias: Vec<u8> = self.bias.iter().flat_map(|b| b.to_le_bytes()).collect();
        let Case { input, output, window, input_zero, .. } = *self;
        self.with_finish(|finish| {
            let (weights, bias) = (&weights[..], Words::new(&bias));
            let depthwise = Depthwise { input, output, window, input_zero, weights, bias, finish };
            let mut ys = [vec![0; output.bytes()], vec![0; output.bytes()]];
            depthwise.run(&self.x, &mut ys[0]);
            depthwise.run_plain(&self.x, &mut ys[1]);
            ys
        })
    }
}

proptest! {
    #[test]
    fn convolutions_equal_their_formula(case in case(false)) {
        let wanted = case.naive();
        let [wide, portable] = case.conv();
        prop_assert_eq!(&portable, &wanted);
        prop_assert_eq!(&wide, &wanted);
    }

    #[test]
    fn depthwise_convolutions_equal_their_formula(case in case(true)) {
        let wanted = case.naive();
        let [wide, portable] = case.depthwise();
        prop_assert_eq!(&portable, &wanted);
        prop_assert_eq!(&wide, &wanted);
    }

    #[test]
    fn max_pools_equal_their_formula(case in case(true)) {
        let Case { input, output, window, x, .. } = case;
        let mut found = vec![0; output.bytes()];
        MaxPool { input, output, window }.run(&x, &mut found);
        for (at, &found) in found.iter().enumerate() {
            let (pixel, channel) = (at / output.channels, at % output.channels);
            let place = [pixel / output.width, pixel % output.width];
            let mut greatest = None;
            for tap in 0..window.kernel[0] * window.kernel[1] {
                let tap = [tap / window.kernel[1], tap % window.kernel[1]];
                let [row, column] = [0, 1].map(|i| (place[i] * window.stride[i] + tap[i]).wrapping_sub(window.pad[i]));
                if row < input.height && column < input.width {
                    greatest = greatest.max(Some(x[(row * input.width + column) * input.channels + channel]));
                }
            }
            prop_assert_eq!(Some(found), greatest);
        }
    }

    #[test]
    fn moves_equal_their_formulas(
        (height, width, channels, more) in (1..6usize, 1..6usize, 1..9usize, 0..9usize),
        (down, right, first) in (1..4usize, 1..4usize, 0..9usize),
        seed: u64,
    ) {
        let mut next = numbers(seed);
        let input = Shape { height, width, channels };
        let x: Vec<i8> = (0..input.bytes()).map(|_| next() as i8).collect();
        let output = Shape { height: height * down, width: width * right, channels };
        let mut y = vec![0; output.bytes()];
        upsample(input, output, &x, &mut y);
        for (at, &y) in y.iter().enumerate() {
            let (pixel, channel) = (at / channels, at % channels);
            let (row, column) = (pixel / output.width / down, pixel % output.width / right);
            prop_assert_eq!(y, x[(row * width + column) * channels + channel]);
        }
        let first = first.min(more);
        let of = channels + more;
        let table: Vec<i8> = (0..256).map(|_| next() as i8).collect();
        let before: Vec<i8> = (0..height * width * of).map(|_| next() as i8).collect();
        let mut y = before.clone();
        place(&table, first, channels, of, &x, &mut y);
        for (at, &y) in y.iter().enumerate() {
            let (pixel, channel) = (at / of, at % of);
            let wanted = match channel.checked_sub(first).filter(|c| *c < channels) {
                Some(from) => table[x[pixel * channels + from] as u8 as usize],
                None => before[at],
            };
            prop_assert_eq!(y, wanted);
        }
    }

    #[test]
    fn products_equal_their_formula(zeros: [i8; 2], mult in 1..=i32::MAX, shift in 0..=8u8, output_zero: i8, clamp: [i8; 2]) {
        let (lo, hi) = (clamp[0].min(clamp[1]), clamp[0].max(clamp[1]));
        let product = Product { zeros, scale: HighMul { mult, shift }, output_zero, lo, hi };
        for a in i8::MIN..=i8::MAX {
            for b in [i8::MIN, -77, zeros[1], 0, 3, i8::MAX] {
                let exact = (a as i128 - zeros[0] as i128) * (b as i128 - zeros[1] as i128) * mult as i128;
                let half = 1i128 << (31 - shift);
                let steps = (exact + half) >> (32 - shift);
                let wanted = (steps + output_zero as i128).clamp(lo as i128, hi as i128) as i8;
                prop_assert_eq!(product.value(a, b), wanted);
            }
        }
        let mut values = [1i8, 2, 3, 4];
        product.by_channel(&[5, -6], &mut values);
        prop_assert_eq!(values, [product.value(1, 5), product.value(2, -6), product.value(3, 5), product.value(4, -6)]);
    }
}

#[test]
fn full_scale_values_do_not_overflow() {
    let x = vec![i8::MIN; 9 * 64];
    let shape = Shape { height: 3, width: 3, channels: 64 };
    let one = Shape { height: 1, width: 1, channels: 64 };
    let window = Window { kernel: [3, 3], stride: [1, 1], pad: [0, 0] };
    let (bias, mults) = (vec![0u8; 256], 2i32.pow(17).to_le_bytes().repeat(64));
    let requant = Requant::HighMul { mults: Words::new(&mults) };
    let finish = Output { requant, zero_point: 0, lo: i8::MIN, hi: i8::MAX };
    let weights = vec![i8::MIN; 9 * 64];
    let depthwise = Depthwise {
        input: shape,
        output: one,
        window,
        input_zero: 127,
        weights: &weights,
        bias: Words::new(&bias),
        finish,
    };
    let mut y = vec![0; 64];
    depthwise.run(&x, &mut y);
    // 9 * 255 * 128 * 2^-15 = 8.96
    assert_eq!(y, vec![9; 64]);
}
