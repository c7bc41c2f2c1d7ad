//! Instructions of each [`Term`], as counted.
//!
//! `tests/bench-mcu --write` wrote the table: the scalar kernels, and those for RV32, as `firmware/boards/qemu-bench` builds them (opt-level 3, one
//! link-time unit, each target's plain settings), run by QEMU over the shapes in `tests/src/mcu/shapes.rs`, one instruction a
//! nanosecond of its clock; then least squares over relative errors, no rate below 0. A rate of 0 means that the others
//! explain the counts without it. `tests/tests/qemu_counts.rs` holds whole models against the estimate.

use super::Isa;
use super::work::Term;

/// For each term, instructions on [`Isa::Armv7em`], [`Isa::Armv8m`] and [`Isa::Rv32imac`].
pub const RATES: [(Term, [f64; 3]); 39] = [
    // bench-mcu: begin
    (Term::Step, [811.301, 812.181, 799.521]),
    (Term::InputGrey, [4.651, 4.634, 6.961]),
    (Term::InputColour, [3.488, 3.490, 5.002]),
    (Term::Sum, [26.121, 26.120, 21.984]),
    (Term::FloatSum, [37.135, 35.142, 623.446]),
    (Term::Lookup, [3.981, 3.985, 7.896]),
    (Term::LookupChannels, [6.409, 6.407, 7.305]),
    (Term::Slope, [12.581, 12.627, 21.973]),
    (Term::Planes, [10.080, 10.082, 8.350]),
    (Term::Product, [31.074, 32.074, 27.969]),
    (Term::ProductByChannel, [34.384, 33.134, 26.159]),
    (Term::MaxPooled, [8.162, 8.162, 9.546]),
    (Term::MaxPoolPixel, [96.926, 99.480, 99.346]),
    (Term::MaxPoolTap, [24.552, 24.120, 9.348]),
    (Term::Upsampled, [1.147, 1.149, 0.898]),
    (Term::UpsampledBytes, [3.707, 3.706, 2.980]),
    (Term::UpsampledPixel, [48.011, 47.990, 51.966]),
    (Term::Placed, [4.708, 4.714, 6.995]),
    (Term::PlacedPixel, [20.541, 20.536, 14.974]),
    (Term::Copied, [1.084, 1.087, 1.396]),
    (Term::Conv, [2645.959, 2713.689, 1494.361]),
    (Term::ConvTiled, [3.358, 3.482, 2.658]),
    (Term::ConvSingle, [5.166, 5.388, 4.458]),
    (Term::ConvBlock, [509.102, 512.814, 213.520]),
    (Term::ConvPlace, [78.333, 79.062, 70.705]),
    (Term::ConvGathered, [0.328, 0.108, 8.018]),
    (Term::ConvHighMul, [26.175, 26.674, 10.139]),
    (Term::ConvShifted, [50.785, 50.965, 76.318]),
    (Term::ConvFloat, [52.287, 39.191, 426.446]),
    (Term::ConvUniform, [50.529, 53.036, 38.917]),
    (Term::Depthwise, [1241.114, 1257.423, 1632.659]),
    (Term::DepthwiseBlocked, [7.927, 8.768, 1.219]),
    (Term::DepthwiseSingle, [8.319, 9.316, 10.754]),
    (Term::DepthwiseTap, [37.272, 38.159, 0.000]),
    (Term::DepthwiseBlock, [292.836, 302.010, 86.225]),
    (Term::DepthwiseHighMul, [15.995, 17.911, 54.834]),
    (Term::DepthwiseShifted, [42.560, 42.400, 119.403]),
    (Term::DepthwiseFloat, [44.614, 30.775, 468.955]),
    (Term::DepthwiseUniform, [40.689, 38.942, 84.801]),
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
