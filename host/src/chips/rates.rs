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
    (Term::Step, [800.182, 805.084, 927.378]),
    (Term::InputGrey, [4.712, 4.648, 6.969]),
    (Term::InputColour, [3.511, 3.503, 5.009]),
    (Term::Sum, [26.108, 26.116, 22.060]),
    (Term::FloatSum, [37.123, 35.120, 628.506]),
    (Term::Lookup, [3.982, 3.983, 7.921]),
    (Term::LookupChannels, [6.406, 6.402, 7.293]),
    (Term::Slope, [12.426, 12.422, 22.196]),
    (Term::Planes, [9.632, 9.631, 8.357]),
    (Term::Product, [20.0, 20.0, 20.0]),
    (Term::ProductByChannel, [20.0, 20.0, 20.0]),
    (Term::MaxPooled, [5.0, 5.0, 5.0]),
    (Term::MaxPoolPixel, [50.0, 50.0, 50.0]),
    (Term::MaxPoolTap, [20.0, 20.0, 20.0]),
    (Term::Upsampled, [1.0, 1.0, 1.0]),
    (Term::UpsampledPixel, [20.0, 20.0, 20.0]),
    (Term::Placed, [4.0, 4.0, 4.0]),
    (Term::PlacedPixel, [20.0, 20.0, 20.0]),
    (Term::Copied, [1.084, 1.084, 1.434]),
    (Term::Conv, [2641.514, 2696.341, 3458.664]),
    (Term::ConvTiled, [3.360, 3.485, 3.848]),
    (Term::ConvSingle, [5.136, 5.333, 6.765]),
    (Term::ConvBlock, [509.406, 512.626, 516.479]),
    (Term::ConvPlace, [78.303, 79.035, 54.040]),
    (Term::ConvGathered, [0.333, 0.129, 2.609]),
    (Term::ConvHighMul, [26.130, 26.621, 46.356]),
    (Term::ConvShifted, [50.764, 50.963, 73.127]),
    (Term::ConvFloat, [52.275, 39.196, 430.180]),
    (Term::ConvUniform, [50.512, 53.041, 52.691]),
    (Term::Depthwise, [1296.694, 1300.152, 1655.976]),
    (Term::DepthwiseBlocked, [7.843, 9.034, 12.133]),
    (Term::DepthwiseSingle, [8.328, 9.306, 12.119]),
    (Term::DepthwiseTap, [35.887, 37.251, 20.370]),
    (Term::DepthwiseBlock, [295.049, 299.552, 297.797]),
    (Term::DepthwiseHighMul, [15.303, 19.269, 40.602]),
    (Term::DepthwiseShifted, [44.506, 41.633, 66.823]),
    (Term::DepthwiseFloat, [44.818, 31.722, 429.395]),
    (Term::DepthwiseUniform, [39.310, 40.080, 44.511]),
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
