//! The kernels for RV32 and for its vectors against the formulas, on random shapes and by every rule; here with plain Rust as the inner
//! loops. `firmware/boards/qemu-kernels` holds the assembly to the same on emulated cores.

use proptest::prelude::*;

use super::requant::{Output, Requant};
use super::scalar::tests::{Case, case};
use super::scalar::{Conv, Depthwise, scratch_bytes};
use super::{Shape, Window, Words, rv32, rvv};

type RunConv = fn(&Conv<'_>, &[i8], &mut [i8], &mut [i8]) -> Option<()>;
type RunDepthwise = fn(&Depthwise<'_>, &[i8], &mut [i8]) -> Option<()>;

const CONVS: [(&str, RunConv); 2] = [("rv32", rv32::conv), ("rvv", rvv::conv)];
const DEPTHWISES: [(&str, RunDepthwise); 2] = [("rv32", rv32::depthwise), ("rvv", rvv::depthwise)];

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

/// Runs the convolution by each kernel, and holds what it gives to the formula.
fn check_conv(case: &Case) -> Result<(), TestCaseError> {
    let Case { input, output, window, groups, input_zero, .. } = *case;
    let (bias, wanted) = (Aligned::new(&case.folded()), case.naive());
    for (name, run) in CONVS {
        let mut y = vec![0x55; output.bytes()];
        with_finish(case, |finish| {
            let (weights, bias) = (&case.weights[..], bias.words());
            let mut scratch = vec![0x55; scratch_bytes(input, output, window, groups)];
            let layer = Conv { input, output, window, groups, input_zero, weights, bias, finish };
            run(&layer, &case.x, &mut scratch, &mut y).expect("slices as long as their shapes");
        });
        prop_assert_eq!(&y, &wanted, "{}", name);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn convolutions_equal_their_formula(case in case(false)) {
        check_conv(&case)?;
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
        check_conv(&case)?;
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
        let wanted = case.naive();
        for (name, run) in DEPTHWISES {
            let mut y = vec![0x55; output.bytes()];
            with_finish(&case, |finish| {
                let (weights, bias) = (&weights[..], bias.words());
                let layer = Depthwise { input, output, window, input_zero, weights, bias, finish };
                run(&layer, &case.x, &mut y).expect("slices as long as their shapes");
            });
            prop_assert_eq!(&y, &wanted, "{}", name);
        }
    }
}
