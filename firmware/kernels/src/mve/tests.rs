//! The packed kernels against the formulas of the scalar ones' tests, on random shapes; here with plain Rust as the inner loops.
//! `firmware/boards/qemu-kernels` holds the assembly to the same on emulated cores.

use proptest::prelude::*;

use super::{conv, conv_scratch_bytes, depthwise, depthwise_scratch_bytes, packing};
use crate::Words;
use crate::scalar::tests::{Case, case};
use crate::scalar::{Conv, Depthwise};

impl Case {
    fn mve_conv(&self) -> Vec<i8> {
        let Case { input, output, window, groups, input_zero, .. } = *self;
        let mut y = vec![0x55; output.bytes()];
        let mut scratch = vec![0x55; conv_scratch_bytes(input, output, window, groups)];
        let weights = packing(input, output, window, groups).packed(&self.weights);
        let bias = self.folded();
        self.with_finish(|finish| {
            let (weights, bias) = (&weights[..], Words::new(&bias));
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
