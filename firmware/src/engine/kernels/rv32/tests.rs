//! The kernels for RV32 against the formulas, on random shapes and by every rule.

use proptest::prelude::*;

use super::{conv, depthwise};
use crate::engine::kernels::requant::{Output, Requant};
use crate::engine::kernels::scalar::tests::{Case, case};
use crate::engine::kernels::scalar::{Conv, Depthwise, scratch_bytes};
use crate::engine::kernels::{Shape, Window, Words};

/// The bytes of words at an address that is a multiple of four, as plans have their constants.
struct Aligned(Vec<[u8; 4]>, usize);

impl Aligned {
    fn new(bytes: &[u8]) -> Self {
        // Room for the bytes wherever the vector begins.
        let mut room = vec![[0; 4]; bytes.len() / 4 + 1];
        let first = room.as_flattened().as_ptr().align_offset(4);
        room.as_flattened_mut()[first..first + bytes.len()].copy_from_slice(bytes);
        Aligned(room, first)
    }

    fn words(&self) -> Words<'_> {
        let bytes = self.0.as_flattened();
        Words::new(&bytes[self.1..self.1 + bytes.len() - 4])
    }
}

/// Calls `work` with the output stage of `case`, its multipliers aligned.
fn with_finish<T>(case: &Case, work: impl FnOnce(Output<'_>) -> T) -> T {
    let mults: Vec<u8> = case.mults.iter().flat_map(|mult| mult.to_le_bytes()).collect();
    let mults = Aligned::new(&mults);
    case.with_finish(|finish| match finish.requant {
        Requant::HighMul { .. } => {
            work(Output { requant: Requant::HighMul { mults: mults.words() }, ..finish })
        }
        _ => work(finish),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn convolutions_equal_their_formula(case in case(false)) {
        let Case { input, output, window, groups, input_zero, .. } = case;
        let bias = Aligned::new(&case.folded());
        let mut y = vec![0; output.bytes()];
        with_finish(&case, |finish| {
            let (weights, bias) = (&case.weights[..], bias.words());
            let mut scratch = vec![0; scratch_bytes(input, output, window, groups)];
            let layer = Conv { input, output, window, groups, input_zero, weights, bias, finish };
            conv(&layer, &case.x, &mut scratch, &mut y);
        });
        prop_assert_eq!(y, case.naive());
    }

    #[test]
    fn pixel_for_pixel_convolutions_equal_their_formula(mut case in case(false)) {
        // One group, each output pixel from the input pixel in its place.
        case.groups = 1;
        case.window = Window { kernel: [1; 2], stride: [1; 2], pad: [0; 2] };
        case.output = Shape { channels: case.output.channels, ..case.input };
        let taps = case.input.channels;
        let weights = case.weights.iter().copied().cycle().take(taps * case.output.channels).collect();
        case.weights = weights;
        let bias = Aligned::new(&case.folded());
        let Case { input, output, window, groups, input_zero, .. } = case;
        let mut y = vec![0; output.bytes()];
        with_finish(&case, |finish| {
            let (weights, bias) = (&case.weights[..], bias.words());
            let layer = Conv { input, output, window, groups, input_zero, weights, bias, finish };
            conv(&layer, &case.x, &mut [], &mut y);
        });
        prop_assert_eq!(y, case.naive());
    }

    #[test]
    fn depthwise_convolutions_equal_their_formula(mut case in case(true), small in 0..3) {
        // Most kernels are 3x3, in which the edges lie as they did.
        if small > 0 {
            let (input, window) = (&mut case.input, &mut case.window);
            window.kernel = [3; 2];
            window.pad = window.pad.map(|pad| pad.min(2));
            let size = |of: usize, axis: usize| {
                let beyond = window.pad[axis] + case.output.height % 3;
                let of = of.max(3usize.saturating_sub(beyond));
                (of, (of + beyond - 3) / window.stride[axis] + 1)
            };
            let [(height, rows), (width, columns)] = [size(input.height, 0), size(input.width, 1)];
            case.output = Shape { height: rows, width: columns, channels: input.channels };
            *input = Shape { height, width, channels: input.channels };
            let again = |values: &[i8], count| values.iter().copied().cycle().take(count).collect();
            case.x = again(&case.x, case.input.bytes());
            case.weights = again(&case.weights, 9 * case.input.channels);
        }
        let weights = case.by_tap();
        let bias: Vec<u8> = case.bias.iter().flat_map(|bias| bias.to_le_bytes()).collect();
        let bias = Aligned::new(&bias);
        let Case { input, output, window, input_zero, .. } = case;
        let mut y = vec![0; output.bytes()];
        with_finish(&case, |finish| {
            let (weights, bias) = (&weights[..], bias.words());
            let layer = Depthwise { input, output, window, input_zero, weights, bias, finish };
            depthwise(&layer, &case.x, &mut y);
        });
        prop_assert_eq!(y, case.naive());
    }
}
