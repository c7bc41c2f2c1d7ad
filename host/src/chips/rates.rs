//! Instructions of each [`Term`], as counted.
//!
//! `tests/bench-mcu --write` wrote the table: the kernels as `firmware/boards/qemu-bench` builds them (opt-level 3, one
//! link-time unit, each target's plain settings), run by QEMU over the shapes in `tests/src/mcu/shapes.rs`, one instruction a
//! nanosecond of its clock; then least squares over relative errors, no rate below 0. A rate of 0 means that the others
//! explain the counts without it, or that the core never does such a thing. `tests/tests/qemu_counts.rs` holds whole models against the estimate.

use super::Isa;
use super::term::Term;

/// For each term, instructions on [`Isa::Armv7em`], [`Isa::Armv8m`] and [`Isa::Rv32imac`].
pub const RATES: [(Term, [f64; 3]); 69] = [
    // bench-mcu: begin
    (Term::Step, [633.094, 626.320, 872.983]),
    (Term::InputGrey, [4.673, 4.672, 6.977]),
    (Term::InputColour, [3.487, 3.499, 5.002]),
    (Term::Sum, [21.789, 21.793, 20.973]),
    (Term::FloatSum, [37.032, 35.037, 626.421]),
    (Term::Lookup, [3.709, 3.715, 7.857]),
    (Term::LookupChannels, [6.612, 6.613, 7.280]),
    (Term::Slope, [12.854, 12.911, 21.952]),
    (Term::Planes, [10.070, 10.069, 8.320]),
    (Term::Product, [32.988, 32.003, 27.906]),
    (Term::ProductByChannel, [31.848, 30.354, 26.126]),
    (Term::MaxPooled, [8.161, 8.163, 9.533]),
    (Term::MaxPoolPixel, [92.194, 92.701, 94.713]),
    (Term::MaxPoolTap, [22.943, 22.809, 9.373]),
    (Term::Upsampled, [1.133, 1.126, 0.883]),
    (Term::UpsampledBytes, [3.678, 3.682, 2.937]),
    (Term::UpsampledPixel, [47.516, 47.655, 52.108]),
    (Term::Placed, [4.696, 4.721, 6.970]),
    (Term::PlacedPixel, [19.292, 19.426, 14.836]),
    (Term::Copied, [1.083, 1.079, 1.382]),
    (Term::Conv, [1968.765, 1985.924, 1513.915]),
    (Term::ConvTiled, [3.241, 3.366, 2.658]),
    (Term::ConvSingle, [5.278, 5.541, 4.458]),
    (Term::ConvBlock, [547.373, 556.730, 213.519]),
    (Term::ConvPlace, [77.961, 77.659, 70.704]),
    (Term::ConvGathered, [0.407, 0.031, 8.017]),
    (Term::ConvHighMul, [23.894, 26.380, 10.139]),
    (Term::ConvShifted, [50.389, 49.488, 76.318]),
    (Term::ConvFloat, [53.572, 38.907, 426.446]),
    (Term::ConvUniform, [52.872, 52.518, 38.917]),
    (Term::Depthwise, [1215.096, 1195.606, 1647.541]),
    (Term::DepthwiseBlocked, [7.569, 8.762, 1.219]),
    (Term::DepthwiseSingle, [8.341, 9.374, 10.754]),
    (Term::DepthwiseTap, [39.140, 40.041, 0.000]),
    (Term::DepthwiseBlock, [270.903, 273.105, 86.253]),
    (Term::DepthwiseHighMul, [17.521, 21.527, 54.835]),
    (Term::DepthwiseShifted, [43.529, 43.385, 119.397]),
    (Term::DepthwiseFloat, [45.047, 30.749, 468.949]),
    (Term::DepthwiseUniform, [42.446, 42.141, 84.795]),
    (Term::DspSum, [9.072, 9.069, 0.000]),
    (Term::DspSlope, [8.019, 8.026, 0.000]),
    (Term::DspConv, [1831.499, 1834.663, 0.000]),
    (Term::DspPixels, [53.886, 57.007, 0.000]),
    (Term::DspWindows, [363.125, 376.426, 0.000]),
    (Term::DspExpanded, [7.869, 7.970, 0.000]),
    (Term::DspTile, [13.037, 13.055, 0.000]),
    (Term::DspTileOfOne, [18.023, 17.993, 0.000]),
    (Term::DspBlock, [32.089, 31.481, 0.000]),
    (Term::DspBlockOfOne, [34.835, 34.048, 0.000]),
    (Term::DspSums, [232.500, 180.078, 0.000]),
    (Term::DspGathered, [135.725, 133.703, 0.000]),
    (Term::DspGatheredRow, [42.764, 42.115, 0.000]),
    (Term::DspGatheredByte, [0.000, 0.000, 0.000]),
    (Term::DspHighMul, [206.742, 232.028, 0.000]),
    (Term::DspShifted, [0.720, 12.952, 0.000]),
    (Term::DspFloat, [1.886, 0.000, 0.000]),
    (Term::DspUniform, [0.000, 10.206, 0.000]),
    (Term::DspDepthwise, [1503.930, 1522.274, 0.000]),
    (Term::DspFilled, [0.000, 0.000, 0.000]),
    (Term::DspStrip, [183.348, 180.025, 0.000]),
    (Term::DspStripWeight, [37.405, 38.132, 0.000]),
    (Term::DspStripRow, [132.745, 135.336, 0.000]),
    (Term::DspStripValue, [4.748, 6.169, 0.000]),
    (Term::DspStripPixel3, [76.922, 75.321, 0.000]),
    (Term::DspStripPixel3By2, [87.607, 84.117, 0.000]),
    (Term::DspStripPixel, [123.403, 119.237, 0.000]),
    (Term::DspStripPair, [4.348, 4.474, 0.000]),
    (Term::DspStripSum, [281.038, 222.795, 0.000]),
    (Term::DspStripSumPair, [11.619, 11.754, 0.000]),
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
