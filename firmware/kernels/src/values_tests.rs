//! PReLUs and residual adds of the packed kernels against the scalar ones, with plain Rust as the inner loops.

use proptest::prelude::*;

use super::scalar::tests::numbers;
use super::scalar::{Slope, Sum};
use super::{Words, dsp, mve};

type RunSlope = fn(&Slope<'_>, &mut [i8]);
type RunSum = fn(&Sum, &[i8], &mut [i8]);

const SLOPES: [(&str, RunSlope); 2] = [("dsp", dsp::slope), ("mve", mve::slope)];
const SUMS: [(&str, RunSum); 2] = [("dsp", dsp::sum), ("mve", mve::sum)];

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
        let found = wanted.clone();
        slope.run(&mut wanted);
        for (name, run) in SLOPES {
            let mut found = found.clone();
            run(&slope, &mut found);
            prop_assert_eq!(&found, &wanted, "{}", name);
        }
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
        for (name, run) in SUMS {
            let mut found = y.clone();
            run(&sum, &x, &mut found);
            prop_assert_eq!(&found, &wanted, "{}", name);
        }
    }
}
