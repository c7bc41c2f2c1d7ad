//! The packed kernels against the formulas of the scalar ones' tests, on random shapes; here with plain Rust as the inner loops.
//! `firmware/boards/qemu-kernels` holds the assembly to the same on emulated cores.

use proptest::prelude::*;

use super::packing::Packing;
use super::{conv, conv_scratch_bytes, depthwise, depthwise_scratch_bytes};
use crate::engine::kernels::scalar::tests::{Case, case, numbers};
use crate::engine::kernels::scalar::{Conv, Depthwise, Slope, Sum};
use crate::engine::kernels::{Words, as_i8};

impl Case {
    fn in_sixteens(&self) -> Vec<u8> {
        let packing = Packing::of(self.input, self.output, self.window, self.groups);
        let mut packed = vec![0; packing.bytes()];
        for (channel, weights) in self.weights.chunks_exact(packing.taps()).enumerate() {
            for (tap, &weight) in weights.iter().enumerate() {
                packed[packing.place(channel, tap)] = weight as u8;
            }
        }
        packed
    }

    fn mve_conv(&self) -> Vec<i8> {
        let Case { input, output, window, groups, input_zero, .. } = *self;
        let mut y = vec![0x55; output.bytes()];
        let mut scratch = vec![0x55; conv_scratch_bytes(input, output, window, groups)];
        let (weights, bias) = (self.in_sixteens(), self.folded());
        self.with_finish(|finish| {
            let (weights, bias) = (as_i8(&weights), Words::new(&bias));
            let packed = Conv { input, output, window, groups, input_zero, weights, bias, finish };
            conv(&packed, &self.x, &mut scratch, &mut y);
        });
        y
    }

    fn mve_depthwise(&self) -> Vec<i8> {
        let Case { input, output, window, input_zero, .. } = *self;
        let (weights, bias) =
            (self.by_tap(), self.bias.iter().flat_map(|b| b.to_le_bytes()).collect::<Vec<_>>());
        let mut y = vec![0x55; output.bytes()];
        let mut scratch = vec![0x55; depthwise_scratch_bytes(input, output, window)];
        self.with_finish(|finish| {
            let (weights, bias) = (&weights[..], Words::new(&bias));
            let scalar = Depthwise { input, output, window, input_zero, weights, bias, finish };
            depthwise(&scalar, &self.x, &mut scratch, &mut y);
        });
        y
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn convolutions_equal_their_formula(case in case(false)) {
        prop_assert_eq!(case.mve_conv(), case.naive());
    }

    #[test]
    fn depthwise_convolutions_equal_their_formula(case in case(true)) {
        prop_assert_eq!(case.mve_depthwise(), case.naive());
    }

    #[test]
    fn long_windows_equal_their_formula(case in case(false), taps in 1000..3000usize) {
        let inner = taps.div_ceil(case.window.kernel[0] * case.window.kernel[1]);
        let case = case.widened(inner);
        prop_assert_eq!(case.mve_conv(), case.naive());
    }
}

proptest! {
    #[test]
    fn slopes_equal_the_scalar_ones(
        channels in 1..23usize, pixels in 1..40usize, bits in 8..=24u8, mults: [i32; 24], zeros: [i8; 2], seed: u64,
    ) {
        let [input_zero, output_zero] = zeros;
        let mut slope = Slope { bits, positive: 0, negative: Words::new(&[]), input_zero, output_zero };
        let mults = mults.map(|mult| mult % (slope.greatest() as i32 + 1));
        let negative: Vec<u8> = mults[..channels].iter().flat_map(|mult| mult.to_le_bytes()).collect();
        (slope.positive, slope.negative) = (mults[23], Words::new(&negative));
        let mut next = numbers(seed);
        let mut wanted: Vec<i8> = (0..channels * pixels).map(|_| next() as i8).collect();
        let mut found = wanted.clone();
        slope.run(&mut wanted);
        super::slope(&slope, &mut found);
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn sums_equal_the_scalar_ones(
        length in 1..99usize, bits in 1..=24u8, mults in [1..1 << 22, 1..1 << 22i32], zeros: [i8; 3], clamp: [i8; 2], seed: u64,
    ) {
        let (lo, hi) = (clamp[0].min(clamp[1]), clamp[0].max(clamp[1]));
        let sum = Sum { zeros: [zeros[0], zeros[1]], mults, bits, output_zero: zeros[2], lo, hi };
        prop_assume!(sum.fits());
        let mut next = numbers(seed);
        let [x, y] = [0; 2].map(|_| (0..length).map(|_| next() as i8).collect::<Vec<_>>());
        let wanted: Vec<i8> = x.iter().zip(&y).map(|(&a, &b)| sum.value(a, b)).collect();
        let mut found = y;
        super::sum(&sum, &x, &mut found);
        prop_assert_eq!(found, wanted);
    }
}
