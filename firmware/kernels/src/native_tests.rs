//! The kernels of desktops, for every instruction set that this processor has, against the scalar kernels: byte for byte.

use std::string::String;
use std::vec::Vec;
use std::{format, println, vec};

use proptest::prelude::*;

#[cfg(target_arch = "aarch64")]
use super::aarch64::{Add, Conv, Depthwise, Slopes};
use super::numbers::Numbers;
use super::requant::{Output, Requant, UniformScale};
use super::scalar::{self, Slope, Sum, scratch_bytes};
#[cfg(target_arch = "x86_64")]
use super::x86::{Add, Conv, Depthwise, Slopes};
use super::{Isa, Shape, Window, Words, cases};

/// The instruction sets to test; says which this processor lacks.
fn isas(test: &str) -> Vec<Isa> {
    let all = Isa::ALL.iter().copied().filter(|&isa| isa != Isa::Scalar);
    let (here, missing): (Vec<Isa>, Vec<Isa>) = all.partition(|isa| isa.is_available());
    for isa in missing {
        println!("skipped: {test} on {}: this processor does not have its instructions", isa.name());
    }
    here
}

/// Where `found` on `isa` is not as `wanted`.
fn compare(isa: Isa, found: &[i8], wanted: &[i8]) -> Result<(), TestCaseError> {
    let first = found.iter().zip(wanted).position(|(found, wanted)| found != wanted);
    let place: Option<String> =
        first.map(|at| format!("{} at {at}: {} for {}", isa.name(), found[at], wanted[at]));
    prop_assert_eq!(place, None);
    prop_assert_eq!(found.len(), wanted.len());
    Ok(())
}

impl Numbers {
    fn flag(&mut self) -> bool {
        self.below(2) == 0
    }

    /// Any bytes from `least` on, or mostly the extreme ones.
    fn int8s(&mut self, count: usize, least: i8) -> Vec<i8> {
        let (ends, extreme) = ([least, i8::MAX, least + 1, 0], self.flag());
        let mut one = || if extreme { ends[self.below(4)] } else { (self.next() as i8).max(least) };
        (0..count).map(|_| one()).collect()
    }

    fn clamp(&mut self) -> [i8; 2] {
        let ends = [self.next() as i8, self.next() as i8];
        if self.flag() { [i8::MIN, i8::MAX] } else { [ends[0].min(ends[1]), ends[0].max(ends[1])] }
    }
}

/// The constants of a random PReLU.
#[derive(Debug)]
struct SlopeCase {
    bits: u8,
    positive: i32,
    negative: Vec<u8>,
    zeros: [i8; 2],
}

impl SlopeCase {
    fn new(numbers: &mut Numbers, channels: usize) -> Self {
        let bits = numbers.below(24) as u8 + 1;
        let zeros = [numbers.next() as i8, numbers.next() as i8];
        let mut case = SlopeCase { bits, positive: 0, negative: Vec::new(), zeros };
        let greatest = case.slope().greatest() as i32;
        // Slopes around 1 as models have them, or whatever is allowed.
        let around = if numbers.flag() { greatest } else { greatest.min(2 << bits) };
        let mut mult = || (numbers.next() as i32 % around.max(1)).clamp(-greatest, greatest);
        case.positive = mult();
        case.negative = (0..channels).flat_map(|_| mult().to_le_bytes()).collect();
        case
    }

    fn slope(&self) -> Slope<'_> {
        Slope {
            bits: self.bits,
            positive: self.positive,
            negative: Words::new(&self.negative),
            input_zero: self.zeros[0],
            output_zero: self.zeros[1],
        }
    }
}

/// A random operation with its constants as bytes.
#[derive(Debug)]
struct Case {
    input: Shape,
    output: Shape,
    window: Window,
    groups: usize,
    x: Vec<i8>,
    weights: Vec<i8>,
    bias: Vec<u8>,
    input_zero: i8,
    mults: Vec<u8>,
    shifts: Vec<u8>,
    scales: Vec<u8>,
    uniform: UniformScale,
    zero: i8,
    clamp: [i8; 2],
    rule: usize,
    slope: Option<SlopeCase>,
}

impl Case {
    /// An operation of `groups` groups of `inner` inputs and `outer` outputs each, on at most `extent` rows and columns.
    fn new(seed: u64, [groups, inner, outer]: [usize; 3], extent: usize) -> Self {
        let mut numbers = Numbers(seed);
        let mut window = Window { kernel: [1; 2], stride: [1; 2], pad: [0; 2] };
        let (mut sizes, mut outputs) = ([0; 2], [0; 2]);
        let pointwise = numbers.below(3) == 0;
        for axis in 0..2 {
            let mut end = 0;
            if !pointwise {
                window.kernel[axis] = 1 + numbers.below(5);
                window.stride[axis] = 1 + numbers.below(3);
                window.pad[axis] = numbers.below(window.kernel[axis]);
                end = numbers.below(window.kernel[axis]);
            }
            let beyond = window.pad[axis] + end;
            // The first window touches the input and lies within it and its edges.
            sizes[axis] = (1 + numbers.below(extent)).max(window.kernel[axis].saturating_sub(beyond));
            let most = (sizes[axis] + beyond - window.kernel[axis]) / window.stride[axis] + 1;
            // An output may also leave rows and columns out at the end.
            outputs[axis] = most.saturating_sub(numbers.below(3)).max(1);
        }
        let input = Shape { height: sizes[0], width: sizes[1], channels: groups * inner };
        let output = Shape { height: outputs[0], width: outputs[1], channels: groups * outer };
        let taps = window.kernel[0] * window.kernel[1] * inner;
        // Outputs that fill int8, or multipliers of any size.
        let typical = ((1u64 << 32) / (2 * taps as u64 + 60)) as i32;
        let (wide, form) = (numbers.flag(), numbers.below(3));
        let mult = |numbers: &mut Numbers| {
            let mult = if wide { numbers.next() as i32 } else { numbers.next() as i32 % typical };
            let mult = mult.unsigned_abs().clamp(2, i32::MAX as u32) as i32;
            let low = 8 - mult.leading_zeros().min(8);
            match form {
                // As on the lattice: even; or of 24 bits, and no halves.
                0 => mult & !1,
                1 => (mult | 1 << 20 | 1) >> low << low | 1 << low,
                _ => mult,
            }
        };
        let mults: Vec<i32> = (0..output.channels).map(|_| mult(&mut numbers)).collect();
        let scale = |mult: i32| mult as f32 * 2f32.powi(if wide { -28 } else { -34 });
        let least = if numbers.flag() { i8::MIN } else { -127 };
        Case {
            input,
            output,
            window,
            groups,
            x: numbers.int8s(input.bytes(), i8::MIN),
            weights: numbers.int8s(output.channels * taps, least),
            bias: (0..output.channels).flat_map(|_| (numbers.next() as i32 >> 10).to_le_bytes()).collect(),
            input_zero: numbers.int8s(1, i8::MIN)[0],
            uniform: UniformScale::new(scale(mults[0]).max(2f32.powi(-32))).expect("within its range"),
            scales: mults.iter().flat_map(|&mult| scale(mult).to_le_bytes()).collect(),
            mults: mults.iter().flat_map(|mult| mult.to_le_bytes()).collect(),
            shifts: (0..output.channels).map(|_| numbers.below(9) as u8).collect(),
            zero: numbers.next() as i8,
            clamp: numbers.clamp(),
            rule: numbers.below(4),
            slope: numbers.flag().then(|| SlopeCase::new(&mut numbers, output.channels)),
        }
    }

    fn finish(&self) -> Output<'_> {
        let requant = match self.rule {
            0 => Requant::HighMul { mults: Words::new(&self.mults) },
            1 => Requant::ShiftedHighMul { mults: Words::new(&self.mults), shifts: &self.shifts },
            2 => Requant::PerChannelF32 { scales: Words::new(&self.scales) },
            _ => Requant::Uniform(self.uniform),
        };
        Output { requant, zero_point: self.zero, lo: self.clamp[0], hi: self.clamp[1] }
    }

    /// The convolution on each of `isas` is the scalar one.
    fn check_conv(&self, isas: &[Isa]) -> Result<(), TestCaseError> {
        let Case { input, output, window, groups, input_zero, ref weights, .. } = *self;
        let (bias, finish) = (Words::new(&self.bias), self.finish());
        let conv = scalar::Conv { input, output, window, groups, input_zero, weights, bias, finish };
        let mut scratch = vec![0; scratch_bytes(input, output, window, groups)];
        let mut wanted = vec![0; output.bytes()];
        conv.run(&self.x, &mut scratch, &mut wanted);
        let slope = self.slope.as_ref().map(SlopeCase::slope);
        slope.iter().for_each(|slope| slope.run(&mut wanted));
        for &isa in isas {
            let packed = Conv::new(isa, &conv, slope.as_ref()).expect("available");
            let (mut scratch, mut y) = (vec![[0x55; 4]; packed.scratch_words()], vec![0; output.bytes()]);
            packed.run(&self.x, &mut scratch, &mut y).expect("its shapes");
            compare(isa, &y, &wanted)?;
        }
        Ok(())
    }

    /// The depthwise convolution on each of `isas` is the scalar one.
    fn check_depthwise(&self, isas: &[Isa]) -> Result<(), TestCaseError> {
        let Case { input, output, window, input_zero, ref weights, .. } = *self;
        let (bias, finish) = (Words::new(&self.bias), self.finish());
        let depthwise = scalar::Depthwise { input, output, window, input_zero, weights, bias, finish };
        let mut wanted = vec![0; output.bytes()];
        depthwise.run(&self.x, &mut wanted);
        let slope = self.slope.as_ref().map(SlopeCase::slope);
        slope.iter().for_each(|slope| slope.run(&mut wanted));
        for &isa in isas {
            let Some(packed) = Depthwise::new(isa, &depthwise, slope.as_ref()) else {
                prop_assert!(input.channels < 16);
                continue;
            };
            let mut y = vec![0; output.bytes()];
            packed.run(&self.x, &mut y).expect("its shapes");
            compare(isa, &y, &wanted)?;
        }
        Ok(())
    }
}

#[test]
fn convolutions_equal_scalar() {
    let isas = isas("convolutions_equal_scalar");
    let groups = (1..9usize, 1..9usize, 1..20usize).prop_map(|(g, i, o)| [g, i, o]);
    let dense = (1..80usize, 1..150usize).prop_map(|(i, o)| [1, i, o]);
    // Windows that are read where they lie.
    let whole = (1..5usize, 1..70usize).prop_map(|(i, o)| [1, 16 * i, o]);
    let channels = prop_oneof![groups, dense, whole];
    proptest!(cases(1000), |(seed: u64, channels in channels)| {
        Case::new(seed, channels, 9).check_conv(&isas)?;
    });
}

#[test]
fn long_convolutions_equal_scalar() {
    // Windows too long for one chunk of pixels to be the whole output, and sums near the ends of 32 bits.
    let isas = isas("long_convolutions_equal_scalar");
    let long = (300..1200usize, 1..40usize).prop_map(|(i, o)| [1, i, o]);
    proptest!(cases(60), |(seed: u64, channels in long)| {
        Case::new(seed, channels, 9).check_conv(&isas)?;
    });
}

#[test]
fn depthwise_convolutions_equal_scalar() {
    let isas = isas("depthwise_convolutions_equal_scalar");
    proptest!(cases(1000), |(seed: u64, channels in 12..150usize)| {
        Case::new(seed, [channels, 1, 1], 9).check_depthwise(&isas)?;
    });
}

#[test]
fn slopes_equal_scalar() {
    let isas = isas("slopes_equal_scalar");
    proptest!(|(seed: u64, channels in 1..70usize, pixels in 1..9usize)| {
        let mut numbers = Numbers(seed);
        let case = SlopeCase::new(&mut numbers, channels);
        let x = numbers.int8s(channels * pixels, i8::MIN);
        let mut wanted = x.clone();
        case.slope().run(&mut wanted);
        for &isa in &isas {
            let mut y = x.clone();
            Slopes::new(isa, &case.slope()).expect("available").run(&mut y);
            compare(isa, &y, &wanted)?;
        }
    });
}

#[test]
fn sums_equal_scalar() {
    let isas = isas("sums_equal_scalar");
    proptest!(|(seed: u64, count in 1..200usize, bits in 1..=24u8, zeros: [i8; 2], output_zero: i8)| {
        let mut numbers = Numbers(seed);
        // Multipliers up to the largest that fit.
        let room = (i32::MAX as usize - (1 << (bits - 1))) / 255;
        let first = 1 + numbers.below(room - 1);
        let mults = [first as i32, 1 + numbers.below(room - first) as i32];
        let [lo, hi] = numbers.clamp();
        let sum = Sum { zeros, mults, bits, output_zero, lo, hi };
        prop_assert!(sum.fits());
        let [a, b] = [numbers.int8s(count, i8::MIN), numbers.int8s(count, i8::MIN)];
        let wanted: Vec<i8> = a.iter().zip(&b).map(|(&a, &b)| sum.value(a, b)).collect();
        for &isa in &isas {
            let add = Add::new(isa, sum).expect("available");
            let (mut in_second, mut in_first) = (b.clone(), a.clone());
            add.into_second(&a, &mut in_second);
            add.into_first(&mut in_first, &b);
            compare(isa, &in_second, &wanted)?;
            compare(isa, &in_first, &wanted)?;
        }
    });
}
