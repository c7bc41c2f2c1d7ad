//! Instructions of each [`Term`], as counted.
//!
//! `tests/bench-mcu --write` wrote the table: the scalar kernels as `firmware/boards/qemu-bench` builds them (opt-level 3, one
//! link-time unit, each target's plain settings), run by QEMU over the shapes in `tests/src/mcu/shapes.rs`, one instruction a
//! nanosecond of its clock; then least squares over relative errors, no rate below 0. A rate of 0 means that the others
//! explain the counts without it. `tests/tests/qemu_counts.rs` holds whole models against the estimate.

use super::Isa;
use super::work::Term;

/// For each term, instructions on [`Isa::Armv7em`], [`Isa::Armv8m`] and [`Isa::Rv32imac`].
pub const RATES: [(Term, [f64; 3]); 38] = [
    // bench-mcu: begin
    (Term::Step, [816.905, 817.711, 979.986]),
    (Term::InputGrey, [4.621, 4.604, 7.863]),
    (Term::InputColour, [3.475, 3.478, 5.297]),
    (Term::Sum, [26.120, 26.120, 23.071]),
    (Term::FloatSum, [37.134, 35.142, 655.529]),
    (Term::Lookup, [3.978, 3.982, 8.886]),
    (Term::LookupChannels, [6.408, 6.407, 7.296]),
    (Term::Slope, [12.581, 12.628, 22.151]),
    (Term::Planes, [10.078, 10.080, 8.351]),
    (Term::Product, [31.064, 32.066, 31.986]),
    (Term::ProductByChannel, [34.312, 33.070, 26.206]),
    (Term::MaxPooled, [8.182, 8.178, 9.552]),
    (Term::MaxPoolPixel, [104.859, 105.813, 104.019]),
    (Term::MaxPoolTap, [22.094, 22.185, 8.146]),
    (Term::Upsampled, [1.203, 1.206, 1.127]),
    (Term::UpsampledPixel, [52.302, 52.261, 50.187]),
    (Term::Placed, [4.813, 4.820, 6.995]),
    (Term::PlacedPixel, [16.317, 16.310, 15.992]),
    (Term::Copied, [1.082, 1.083, 1.412]),
    (Term::Conv, [2644.980, 2711.990, 3487.451]),
    (Term::ConvTiled, [3.359, 3.483, 3.847]),
    (Term::ConvSingle, [5.130, 5.321, 6.739]),
    (Term::ConvBlock, [508.766, 512.163, 516.922]),
    (Term::ConvPlace, [78.327, 79.044, 53.876]),
    (Term::ConvGathered, [0.347, 0.150, 2.657]),
    (Term::ConvHighMul, [26.156, 26.639, 46.342]),
    (Term::ConvShifted, [50.797, 50.992, 73.122]),
    (Term::ConvFloat, [52.298, 39.214, 430.186]),
    (Term::ConvUniform, [50.538, 53.058, 52.688]),
    (Term::Depthwise, [1279.022, 1290.473, 1857.110]),
    (Term::DepthwiseBlocked, [7.931, 8.767, 12.069]),
    (Term::DepthwiseSingle, [8.352, 9.341, 11.955]),
    (Term::DepthwiseTap, [36.747, 37.748, 22.005]),
    (Term::DepthwiseBlock, [294.830, 303.281, 298.707]),
    (Term::DepthwiseHighMul, [15.925, 17.891, 42.158]),
    (Term::DepthwiseShifted, [42.535, 42.422, 67.692]),
    (Term::DepthwiseFloat, [44.611, 30.814, 429.576]),
    (Term::DepthwiseUniform, [40.681, 38.979, 45.174]),
    // bench-mcu: end
];

/// Instructions that `term` takes each time.
pub fn rate(term: Term, isa: Isa) -> f64 {
    let column = match isa {
        Isa::Armv7em => 0,
        Isa::Armv8m => 1,
        Isa::Rv32imac => 2,
    };
    RATES[term as usize].1[column]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_finds_its_own_row() {
        for (at, (term, rates)) in RATES.iter().enumerate() {
            assert_eq!(*term as usize, at);
            assert!(rates.iter().all(|rate| rate.is_finite() && *rate >= 0.0), "{term:?} {rates:?}");
        }
        // A multiply-accumulate takes at least a load and a multiplication, shared by a tile of eight or not.
        for isa in [Isa::Armv7em, Isa::Armv8m, Isa::Rv32imac] {
            assert!((1.0..8.0).contains(&rate(Term::ConvTiled, isa)), "{isa:?}");
            assert!(rate(Term::ConvSingle, isa) > rate(Term::ConvTiled, isa), "{isa:?}");
        }
    }
}
