//! Instructions of each [`Term`], as counted.
//!
//! `tests/bench-mcu --write` wrote the table: the kernels as `firmware/boards/qemu-bench` builds them (opt-level 3, one
//! link-time unit, each target's plain settings), run by QEMU over the shapes in `tests/src/mcu/shapes.rs`, one instruction a
//! nanosecond of its clock; then least squares over relative errors, no rate below 0. A rate of 0 means that the others
//! explain the counts without it, or that the core never does such a thing. `tests/tests/qemu_counts.rs` holds whole models against the estimate.

use super::Isa;
use super::work::Term;

/// For each term, instructions on [`Isa::Armv7em`], [`Isa::Armv8m`] and [`Isa::Rv32imac`].
pub const RATES: [(Term, [f64; 3]); 69] = [
    // bench-mcu: begin
    (Term::Step, [811.301, 812.181, 965.620]),
    (Term::InputGrey, [4.651, 4.634, 7.949]),
    (Term::InputColour, [3.488, 3.490, 5.333]),
    (Term::Sum, [26.121, 26.120, 23.077]),
    (Term::FloatSum, [37.135, 35.142, 655.535]),
    (Term::Lookup, [3.981, 3.985, 8.893]),
    (Term::LookupChannels, [6.409, 6.407, 7.302]),
    (Term::Slope, [12.581, 12.627, 22.157]),
    (Term::Planes, [10.080, 10.082, 8.356]),
    (Term::Product, [31.074, 32.074, 32.008]),
    (Term::ProductByChannel, [34.384, 33.134, 26.256]),
    (Term::MaxPooled, [8.162, 8.162, 9.547]),
    (Term::MaxPoolPixel, [96.926, 99.480, 99.427]),
    (Term::MaxPoolTap, [24.552, 24.120, 9.342]),
    (Term::Upsampled, [1.147, 1.149, 0.896]),
    (Term::UpsampledBytes, [3.707, 3.706, 2.984]),
    (Term::UpsampledPixel, [48.011, 47.990, 51.959]),
    (Term::Placed, [4.708, 4.714, 7.000]),
    (Term::PlacedPixel, [20.541, 20.536, 15.998]),
    (Term::Copied, [1.084, 1.087, 1.411]),
    (Term::Conv, [2645.959, 2713.689, 3487.996]),
    (Term::ConvTiled, [3.358, 3.482, 3.847]),
    (Term::ConvSingle, [5.166, 5.388, 6.776]),
    (Term::ConvBlock, [509.102, 512.814, 517.176]),
    (Term::ConvPlace, [78.333, 79.062, 53.896]),
    (Term::ConvGathered, [0.328, 0.108, 2.635]),
    (Term::ConvHighMul, [26.175, 26.674, 46.369]),
    (Term::ConvShifted, [50.785, 50.965, 73.113]),
    (Term::ConvFloat, [52.287, 39.191, 430.177]),
    (Term::ConvUniform, [50.529, 53.036, 52.681]),
    (Term::Depthwise, [1241.114, 1257.423, 1805.448]),
    (Term::DepthwiseBlocked, [7.927, 8.768, 12.068]),
    (Term::DepthwiseSingle, [8.319, 9.316, 11.918]),
    (Term::DepthwiseTap, [37.272, 38.159, 22.640]),
    (Term::DepthwiseBlock, [292.836, 302.010, 296.060]),
    (Term::DepthwiseHighMul, [15.995, 17.911, 42.242]),
    (Term::DepthwiseShifted, [42.560, 42.400, 67.716]),
    (Term::DepthwiseFloat, [44.614, 30.775, 429.590]),
    (Term::DepthwiseUniform, [40.689, 38.942, 45.174]),
    (Term::DspSum, [0.000, 0.000, 0.000]),
    (Term::DspSlope, [0.000, 0.000, 0.000]),
    (Term::DspConv, [0.000, 0.000, 0.000]),
    (Term::DspPixels, [0.000, 0.000, 0.000]),
    (Term::DspWindows, [0.000, 0.000, 0.000]),
    (Term::DspExpanded, [0.000, 0.000, 0.000]),
    (Term::DspTile, [0.000, 0.000, 0.000]),
    (Term::DspTileOfOne, [0.000, 0.000, 0.000]),
    (Term::DspBlock, [0.000, 0.000, 0.000]),
    (Term::DspBlockOfOne, [0.000, 0.000, 0.000]),
    (Term::DspSums, [0.000, 0.000, 0.000]),
    (Term::DspGathered, [0.000, 0.000, 0.000]),
    (Term::DspGatheredRow, [0.000, 0.000, 0.000]),
    (Term::DspGatheredByte, [0.000, 0.000, 0.000]),
    (Term::DspHighMul, [0.000, 0.000, 0.000]),
    (Term::DspShifted, [0.000, 0.000, 0.000]),
    (Term::DspFloat, [0.000, 0.000, 0.000]),
    (Term::DspUniform, [0.000, 0.000, 0.000]),
    (Term::DspDepthwise, [0.000, 0.000, 0.000]),
    (Term::DspFilled, [0.000, 0.000, 0.000]),
    (Term::DspStrip, [0.000, 0.000, 0.000]),
    (Term::DspStripWeight, [0.000, 0.000, 0.000]),
    (Term::DspStripRow, [0.000, 0.000, 0.000]),
    (Term::DspStripValue, [0.000, 0.000, 0.000]),
    (Term::DspStripPixel3, [0.000, 0.000, 0.000]),
    (Term::DspStripPixel3By2, [0.000, 0.000, 0.000]),
    (Term::DspStripPixel, [0.000, 0.000, 0.000]),
    (Term::DspStripPair, [0.000, 0.000, 0.000]),
    (Term::DspStripSum, [0.000, 0.000, 0.000]),
    (Term::DspStripSumPair, [0.000, 0.000, 0.000]),
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
