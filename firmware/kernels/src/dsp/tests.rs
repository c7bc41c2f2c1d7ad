//! The packed kernels against the formulas of the scalar ones' tests, on random shapes; here with plain Rust as the inner loops.
//! `firmware/boards/qemu-kernels` holds the assembly to the same on emulated cores.

use proptest::prelude::*;

use super::{conv, conv_scratch_bytes, depthwise, depthwise_scratch_bytes, packing};
use crate::scalar::tests::{Case, case, numbers};
use crate::scalar::{Conv, Depthwise};
use crate::{Words, as_i8, as_i8_mut};

/// Bytes at a multiple of 4, or `off` behind one.
fn placed(bytes: &[u8], off: usize, work: impl FnOnce(&mut [u8])) {
    let mut room = vec![0u32; bytes.len() / 4 + 2];
    // SAFETY: a u32 is four bytes, all of which are initialized; the borrow is exclusive.
    let room = unsafe { core::slice::from_raw_parts_mut(room.as_mut_ptr().cast::<u8>(), 4 * room.len()) };
    room[off..][..bytes.len()].copy_from_slice(bytes);
    work(&mut room[off..][..bytes.len()]);
}

impl Case {
    /// The same with `inner` input channels a group.
    pub(crate) fn widened(mut self, inner: usize) -> Self {
        let mut next = numbers(inner as u64);
        let taps = inner * self.window.kernel[0] * self.window.kernel[1];
        self.input.channels = inner * self.groups;
        self.x = (0..self.input.bytes()).map(|_| next() as i8).collect();
        self.weights = (0..self.output.channels * taps).map(|_| next() as i8).collect();
        self
    }

    /// Through the kernel, with the weights `off` bytes behind a multiple of 4.
    fn dsp_conv(&self, off: usize) -> Vec<i8> {
        let Case { input, output, window, groups, input_zero, .. } = *self;
        let mut y = vec![0x55; output.bytes()];
        let scratch = vec![0x55; conv_scratch_bytes(input, output, window, groups)];
        let packed = packing(input, output, window, groups).packed(&self.weights);
        let packed: Vec<u8> = packed.into_iter().map(|weight| weight as u8).collect();
        placed(&packed, off, |weights| {
            placed(&self.folded(), 0, |bias| {
                placed(&scratch, 0, |scratch| {
                    self.with_finish(|finish| {
                        let (weights, bias) = (as_i8(weights), Words::new(bias));
                        let packed =
                            Conv { input, output, window, groups, input_zero, weights, bias, finish };
                        conv(&packed, &self.x, as_i8_mut(scratch), &mut y);
                    });
                });
            });
        });
        y
    }

    /// Through the kernel, with the scratch `off` bytes behind a multiple of 4.
    fn dsp_depthwise(&self, off: usize) -> Vec<i8> {
        let Case { input, output, window, input_zero, .. } = *self;
        let (weights, bias) =
            (self.by_tap(), self.bias.iter().flat_map(|b| b.to_le_bytes()).collect::<Vec<_>>());
        let mut y = vec![0x55; output.bytes()];
        let scratch = vec![0x55; depthwise_scratch_bytes(input, output, window)];
        placed(&scratch, off, |scratch| {
            self.with_finish(|finish| {
                let (weights, bias) = (&weights[..], Words::new(&bias));
                let scalar = Depthwise { input, output, window, input_zero, weights, bias, finish };
                depthwise(&scalar, &self.x, as_i8_mut(scratch), &mut y);
            });
        });
        y
    }
}

proptest! {
    #![proptest_config(crate::cases(1024))]

    #[test]
    fn convolutions_equal_their_formula(case in case(false), off in prop_oneof![9 => Just(0usize), 1 => 1..4usize]) {
        prop_assert_eq!(case.dsp_conv(off), case.naive());
    }

    #[test]
    fn depthwise_convolutions_equal_their_formula(case in case(true), off in prop_oneof![9 => Just(0usize), 1 => 1..4usize]) {
        prop_assert_eq!(case.dsp_depthwise(off), case.naive());
    }

    #[test]
    fn long_windows_equal_their_formula(case in case(false), taps in 1000..3000usize) {
        let inner = taps.div_ceil(case.window.kernel[0] * case.window.kernel[1]);
        let case = case.widened(inner);
        prop_assert_eq!(case.dsp_conv(0), case.naive());
    }
}
