//! Every instruction set that this processor has against the scalar kernels, byte for byte.

use std::string::String;
use std::vec::Vec;
use std::{format, println, vec};

use proptest::prelude::*;

use super::{Add, Conv, Depthwise, Isa, Slopes};
use crate::engine::kernels::requant::{Output, Requant, UniformScale};
use crate::engine::kernels::scalar::{self, Slope, Sum, scratch_bytes};
use crate::engine::kernels::{Shape, Window, Words};

/// The instruction sets to test; says which this processor lacks.
fn isas(test: &str) -> Vec<Isa> {
    let (here, missing): (Vec<Isa>, Vec<Isa>) =
        Isa::ALL.iter().copied().filter(|&isa| isa != Isa::Scalar).partition(|isa| isa.is_available());
    for isa in missing {
        println!("skipped: {test} on {}: this processor does not have its instructions", isa.name());
    }
    here
}

/// Numbers without end from a seed (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Any byte, or mostly the extreme ones.
    fn int8s(&mut self, count: usize, extreme: bool) -> Vec<i8> {
        let ends = [i8::MIN, i8::MAX, i8::MIN + 1, 0];
        let mut one = || if extreme { ends[self.below(4)] } else { self.next() as i8 };
        (0..count).map(|_| one()).collect()
    }
}

/// A random operation with its constants as bytes.
#[derive(Debug, Clone)]
struct Case {
    input: Shape,
    output: Shape,
    window: Window,
    groups: usize,
    input_zero: i8,
    x: Vec<i8>,
    weights: Vec<i8>,
    bias: Vec<u8>,
    mults: Vec<u8>,
    shifts: Vec<u8>,
    scales: Vec<u8>,
    uniform: UniformScale,
    rule: u8,
    zero: i8,
    clamp: [i8; 2],
    slope: Option<SlopeCase>,
}

/// A random PReLU.
#[derive(Debug, Clone)]
struct SlopeCase {
    bits: u8,
    positive: i32,
    negative: Vec<u8>,
    zeros: [i8; 2],
}

impl SlopeCase {
    fn random(numbers: &mut Numbers, channels: usize) -> Self {
        let bits = numbers.below(24) as u8 + 1;
        let zeros = [numbers.next() as i8, numbers.next() as i8];
        let mut slope = SlopeCase { bits, positive: 0, negative: Vec::new(), zeros };
        let greatest = slope.with(|slope| slope.greatest()) as i32;
        // Slopes around 1 as models have them, or whatever is allowed.
        let around = if numbers.below(2) == 0 { greatest } else { greatest.min(2 << bits) };
        let mut mult = || (numbers.next() as i32 % around.max(1)).clamp(-greatest, greatest);
        slope.positive = mult();
        slope.negative = (0..channels).flat_map(|_| mult().to_le_bytes()).collect();
        slope
    }

    fn with<T>(&self, work: impl FnOnce(Slope<'_>) -> T) -> T {
        work(Slope {
            bits: self.bits,
            positive: self.positive,
            negative: Words::new(&self.negative),
            input_zero: self.zeros[0],
            output_zero: self.zeros[1],
        })
    }
}

/// Operations of `groups` groups of `inner` inputs and `outer` outputs each.
fn case(channels: impl Strategy<Value = [usize; 3]>, extent: usize) -> impl Strategy<Value = Case> {
    let geometry = (1..extent, 1..extent, 1..5usize, 1..5usize, 1..4usize, 1..4usize);
    let pointwise = any::<bool>();
    (channels, geometry, pointwise, any::<u64>(), 0..4u8, any::<[bool; 4]>()).prop_filter_map(
        "windows touch the input",
        |(
            [groups, inner, outer],
            (height, width, kh, kw, sh, sw),
            pointwise,
            seed,
            rule,
            [extreme, wide, prelu, single],
        )| {
            let mut numbers = Numbers(seed);
            let [kh, kw, sh, sw] = if pointwise { [1; 4] } else { [kh, kw, sh, sw] };
            let pad = [numbers.below(kh), numbers.below(kw)];
            let ends = [numbers.below(kh), numbers.below(kw)];
            let across = |size: usize, axis: usize, kernel: usize, stride: usize| {
                (size + pad[axis] + ends[axis]).checked_sub(kernel).map(|room| room / stride + 1)
            };
            let input = Shape { height, width, channels: groups * inner };
            let output = Shape {
                height: across(height, 0, kh, sh)?,
                width: across(width, 1, kw, sw)?,
                channels: groups * outer,
            };
            let taps = kh * kw * inner;
            let x = numbers.int8s(input.bytes(), extreme);
            let weights = numbers.int8s(output.channels * taps, extreme);
            let bias =
                (0..output.channels).flat_map(|_| (numbers.next() as i32 >> 10).to_le_bytes()).collect();
            // Outputs that fill int8, or multipliers of any size.
            let typical = ((1u64 << 32) / (2 * taps as u64 + 60)) as i32;
            let mut mult = |_| {
                let mult = if wide { numbers.next() as i32 } else { numbers.next() as i32 % typical };
                let mult = mult.unsigned_abs().clamp(1, i32::MAX as u32) as i32;
                // As on the lattice: 24 bits, and no halves.
                let low = 8 - mult.leading_zeros().min(8);
                if single { (mult | 1 << 20 | 1) >> low << low | 1 << low } else { mult }
            };
            let mults: Vec<i32> = (0..output.channels).map(&mut mult).collect();
            let shifts = (0..output.channels).map(|_| numbers.below(9) as u8).collect();
            let scale = |mult: i32| mult as f32 * 2f32.powi(if wide { -28 } else { -34 });
            let scales =
                mults.iter().flat_map(|&mult| (scale(mult) + f32::MIN_POSITIVE).to_le_bytes()).collect();
            let clamp = [numbers.next() as i8, numbers.next() as i8];
            let clamp = if wide { [i8::MIN, i8::MAX] } else { clamp };
            Some(Case {
                input,
                output,
                window: Window { kernel: [kh, kw], stride: [sh, sw], pad },
                groups,
                input_zero: numbers.int8s(1, extreme)[0],
                x,
                weights,
                bias,
                uniform: UniformScale::new(scale(mults[0]).max(2f32.powi(-32)))?,
                mults: mults.iter().flat_map(|mult| mult.to_le_bytes()).collect(),
                shifts,
                scales,
                rule,
                zero: numbers.next() as i8,
                clamp: [clamp[0].min(clamp[1]), clamp[0].max(clamp[1])],
                slope: prelu.then(|| SlopeCase::random(&mut numbers, output.channels)),
            })
        },
    )
}

impl Case {
    fn finish(&self) -> Output<'_> {
        let requant = match self.rule {
            0 => Requant::HighMul { mults: Words::new(&self.mults) },
            1 => Requant::ShiftedHighMul { mults: Words::new(&self.mults), shifts: &self.shifts },
            2 => Requant::PerChannelF32 { scales: Words::new(&self.scales) },
            _ => Requant::Uniform(self.uniform),
        };
        Output { requant, zero_point: self.zero, lo: self.clamp[0], hi: self.clamp[1] }
    }

    /// Calls `work` with the PReLU that follows, and gives `y` through the scalar one.
    fn with_slope<T>(&self, mut y: Vec<i8>, work: impl FnOnce(Option<&Slope<'_>>) -> T) -> (T, Vec<i8>) {
        match &self.slope {
            Some(slope) => slope.with(|slope| {
                slope.run(&mut y);
                (work(Some(&slope)), y)
            }),
            None => (work(None), y),
        }
    }

    /// What a convolution gives on each of `isas`, and what the scalar kernel gives.
    fn conv(&self, isas: &[Isa]) -> (Vec<Vec<i8>>, Vec<i8>) {
        let Case { input, output, window, groups, input_zero, ref x, ref weights, .. } = *self;
        let (bias, finish) = (Words::new(&self.bias), self.finish());
        let conv = scalar::Conv { input, output, window, groups, input_zero, weights, bias, finish };
        let mut scratch = vec![0; scratch_bytes(input, output, window, groups)];
        let mut y = vec![0; output.bytes()];
        conv.run(x, &mut scratch, &mut y);
        self.with_slope(y, |slope| {
            let run = |&isa: &Isa| {
                let packed = Conv::new(isa, &conv, slope).expect("available");
                let (mut scratch, mut y) = (vec![[0x55; 4]; packed.scratch_words()], vec![0; output.bytes()]);
                packed.run(x, &mut scratch, &mut y).expect("its shapes");
                y
            };
            isas.iter().map(run).collect()
        })
    }

    fn depthwise(&self, isas: &[Isa]) -> (Vec<Vec<i8>>, Vec<i8>) {
        let Case { input, output, window, input_zero, ref x, ref weights, .. } = *self;
        let (bias, finish) = (Words::new(&self.bias), self.finish());
        let depthwise = scalar::Depthwise { input, output, window, input_zero, weights, bias, finish };
        let mut y = vec![0; output.bytes()];
        depthwise.run(x, &mut y);
        self.with_slope(y, |slope| {
            let run = |&isa: &Isa| {
                let Some(packed) = Depthwise::new(isa, &depthwise, slope) else {
                    assert!(input.channels < 16);
                    return None;
                };
                let mut y = vec![0; output.bytes()];
                packed.run(x, &mut y).expect("its shapes");
                Some(y)
            };
            isas.iter().filter_map(run).collect()
        })
    }
}

/// What the runs on `isas` must be, named.
fn named(isas: &[Isa], found: Vec<Vec<i8>>, wanted: &[i8]) -> Result<(), TestCaseError> {
    for (isa, found) in isas.iter().zip(found) {
        let first = found.iter().zip(wanted).position(|(found, wanted)| found != wanted);
        let place: Option<String> =
            first.map(|at| format!("{} at {at}: {} for {}", isa.name(), found[at], wanted[at]));
        prop_assert_eq!(place, None);
        prop_assert_eq!(found.len(), wanted.len());
    }
    Ok(())
}

#[test]
fn convolutions_equal_scalar() {
    let isas = isas("convolutions_equal_scalar");
    let groups = (1..9usize, 1..9usize, 1..20usize).prop_map(|(g, i, o)| [g, i, o]);
    let dense = (1..80usize, 1..150usize).prop_map(|(i, o)| [1, i, o]);
    proptest!(crate::engine::kernels::cases(1000), |(case in case(prop_oneof![groups, dense], 9))| {
        let (found, wanted) = case.conv(&isas);
        named(&isas, found, &wanted)?;
    });
}

#[test]
fn multipliers_of_24_bits_are_taken_in_single_precision() {
    let isas = isas("multipliers_of_24_bits_are_taken_in_single_precision");
    for (mult, single) in [(20_000_003, false), (20_000_002, true), (1 << 20, false)] {
        let mults = i32::to_le_bytes(mult).repeat(40);
        let shape = Shape { height: 3, width: 5, channels: 40 };
        let window = Window { kernel: [1, 1], stride: [1, 1], pad: [0, 0] };
        let requant = Requant::HighMul { mults: Words::new(&mults) };
        let finish = Output { requant, zero_point: 3, lo: -128, hi: 127 };
        let (weights, bias) = (vec![1; 1600], vec![0; 160]);
        let (input, output, weights, bias) = (shape, shape, &weights[..], Words::new(&bias));
        let conv = scalar::Conv { input, output, window, groups: 1, input_zero: 0, weights, bias, finish };
        let depthwise = scalar::Depthwise { input, output, window, input_zero: 0, weights, bias, finish };
        for &isa in &isas {
            assert_eq!(Conv::new(isa, &conv, None).unwrap().conv.is_single(), single);
            let depthwise =
                Depthwise::new(isa, &scalar::Depthwise { weights: &weights[..40], ..depthwise }, None);
            assert_eq!(depthwise.unwrap().depthwise.is_single(), single);
        }
    }
}

#[test]
fn long_convolutions_equal_scalar() {
    // Windows too long for one chunk of pixels to be the whole output, and sums near the ends of 32 bits.
    let isas = isas("long_convolutions_equal_scalar");
    let long = (300..1200usize, 1..40usize).prop_map(|(i, o)| [1, i, o]);
    proptest!(crate::engine::kernels::cases(60), |(case in case(long, 12))| {
        let (found, wanted) = case.conv(&isas);
        named(&isas, found, &wanted)?;
    });
}

#[test]
fn depthwise_convolutions_equal_scalar() {
    let isas = isas("depthwise_convolutions_equal_scalar");
    let channels = (12..150usize).prop_map(|channels| [channels, 1, 1]);
    proptest!(crate::engine::kernels::cases(1000), |(case in case(channels, 9))| {
        let (found, wanted) = case.depthwise(&isas);
        named(&isas, found, &wanted)?;
    });
}

#[test]
fn slopes_equal_scalar() {
    let isas = isas("slopes_equal_scalar");
    proptest!(|(seed: u64, channels in 1..70usize, pixels in 1..9usize)| {
        let mut numbers = Numbers(seed);
        let slope = SlopeCase::random(&mut numbers, channels);
        let x = numbers.int8s(channels * pixels, false);
        slope.with(|slope| {
            let mut wanted = x.clone();
            slope.run(&mut wanted);
            let run = |&isa: &Isa| {
                let mut y = x.clone();
                Slopes::new(isa, &slope).expect("available").run(&mut y);
                y
            };
            named(&isas, isas.iter().map(run).collect(), &wanted)
        })?;
    });
}

#[test]
fn sums_equal_scalar() {
    let isas = isas("sums_equal_scalar");
    proptest!(|(seed: u64, count in 1..200usize, bits in 1..=24u8, zeros: [i8; 2], output_zero: i8, ends: [i8; 2])| {
        let mut numbers = Numbers(seed);
        // Multipliers up to the largest that fit.
        let room = (i32::MAX as usize - (1 << (bits - 1))) / 255;
        let first = 1 + numbers.below(room - 1);
        let mults = [first as i32, 1 + numbers.below(room - first) as i32];
        let sum = Sum { zeros, mults, bits, output_zero, lo: ends[0].min(ends[1]), hi: ends[0].max(ends[1]) };
        prop_assert!(sum.fits());
        let [a, b] = [numbers.int8s(count, false), numbers.int8s(count, false)];
        let wanted: Vec<i8> = a.iter().zip(&b).map(|(&a, &b)| sum.value(a, b)).collect();
        let in_second = |&isa: &Isa| {
            let mut y = b.clone();
            Add::new(isa, sum).expect("available").into_second(&a, &mut y);
            y
        };
        let in_first = |&isa: &Isa| {
            let mut y = a.clone();
            Add::new(isa, sum).expect("available").into_first(&mut y, &b);
            y
        };
        named(&isas, isas.iter().map(in_second).collect(), &wanted)?;
        named(&isas, isas.iter().map(in_first).collect(), &wanted)?;
    });
}
