//! Which operations are requantized in single precision. What they give is tested beside the other desktops' kernels.

use std::vec;

use super::{Conv, Depthwise, Isa};
use crate::requant::{Output, Requant};
use crate::{Shape, Window, Words, scalar};

#[test]
fn multipliers_of_24_bits_are_taken_in_single_precision() {
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
        for isa in Isa::available().filter(|&isa| isa != Isa::Scalar) {
            assert_eq!(Conv::new(isa, &conv, None).unwrap().conv.is_single(), single);
            let depthwise =
                Depthwise::new(isa, &scalar::Depthwise { weights: &weights[..40], ..depthwise }, None);
            assert_eq!(depthwise.unwrap().depthwise.is_single(), single);
        }
    }
}
