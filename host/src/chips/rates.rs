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
    (Term::Step, [640.927, 633.735, 872.983]),
    (Term::InputGrey, [4.671, 4.737, 6.977]),
    (Term::InputColour, [3.605, 3.626, 5.002]),
    (Term::Sum, [22.036, 22.035, 20.973]),
    (Term::FloatSum, [36.032, 34.037, 626.421]),
    (Term::Lookup, [3.708, 3.715, 7.857]),
    (Term::LookupChannels, [6.474, 6.477, 7.280]),
    (Term::Slope, [12.956, 13.012, 21.952]),
    (Term::Planes, [10.068, 10.068, 8.320]),
    (Term::Product, [30.993, 32.996, 27.906]),
    (Term::ProductByChannel, [33.655, 33.661, 26.126]),
    (Term::MaxPooled, [8.159, 8.161, 9.533]),
    (Term::MaxPoolPixel, [92.561, 92.821, 94.713]),
    (Term::MaxPoolTap, [22.870, 22.838, 9.373]),
    (Term::Upsampled, [1.139, 1.144, 0.883]),
    (Term::UpsampledBytes, [3.683, 3.696, 2.937]),
    (Term::UpsampledPixel, [47.565, 47.595, 52.108]),
    (Term::Placed, [4.694, 4.693, 6.970]),
    (Term::PlacedPixel, [20.319, 20.376, 14.836]),
    (Term::Copied, [1.080, 1.083, 1.382]),
    (Term::Conv, [1970.143, 2007.252, 1515.973]),
    (Term::ConvTiled, [3.366, 3.491, 2.658]),
    (Term::ConvSingle, [5.109, 5.325, 4.458]),
    (Term::ConvBlock, [516.634, 520.508, 213.519]),
    (Term::ConvPlace, [77.352, 77.966, 70.704]),
    (Term::ConvGathered, [0.513, 0.318, 8.017]),
    (Term::ConvHighMul, [26.183, 26.687, 10.139]),
    (Term::ConvShifted, [50.614, 50.830, 76.317]),
    (Term::ConvFloat, [51.595, 38.611, 426.446]),
    (Term::ConvUniform, [50.820, 53.342, 38.917]),
    (Term::Depthwise, [1218.887, 1217.320, 1647.541]),
    (Term::DepthwiseBlocked, [7.571, 8.758, 1.219]),
    (Term::DepthwiseSingle, [8.337, 9.364, 10.754]),
    (Term::DepthwiseTap, [39.152, 40.048, 0.000]),
    (Term::DepthwiseBlock, [271.459, 273.606, 86.253]),
    (Term::DepthwiseHighMul, [17.482, 21.567, 54.835]),
    (Term::DepthwiseShifted, [43.513, 43.387, 119.397]),
    (Term::DepthwiseFloat, [45.025, 30.765, 468.949]),
    (Term::DepthwiseUniform, [42.392, 42.179, 84.795]),
    (Term::DspSum, [9.063, 9.064, 0.000]),
    (Term::DspSlope, [8.021, 8.021, 0.000]),
    (Term::DspConv, [1835.289, 1850.737, 0.000]),
    (Term::DspPixels, [53.921, 55.728, 0.000]),
    (Term::DspWindows, [358.442, 365.125, 0.000]),
    (Term::DspExpanded, [7.858, 8.005, 0.000]),
    (Term::DspTile, [13.041, 13.043, 0.000]),
    (Term::DspTileOfOne, [18.028, 17.979, 0.000]),
    (Term::DspBlock, [32.153, 31.563, 0.000]),
    (Term::DspBlockOfOne, [34.598, 34.391, 0.000]),
    (Term::DspSums, [232.062, 180.225, 0.000]),
    (Term::DspGathered, [140.311, 137.775, 0.000]),
    (Term::DspGatheredRow, [42.474, 42.025, 0.000]),
    (Term::DspGatheredByte, [0.000, 0.000, 0.000]),
    (Term::DspHighMul, [205.509, 229.754, 0.000]),
    (Term::DspShifted, [0.729, 12.958, 0.000]),
    (Term::DspFloat, [1.904, 0.000, 0.000]),
    (Term::DspUniform, [0.000, 10.202, 0.000]),
    (Term::DspDepthwise, [1554.541, 1508.316, 0.000]),
    (Term::DspFilled, [0.000, 0.000, 0.000]),
    (Term::DspStrip, [183.976, 186.100, 0.000]),
    (Term::DspStripWeight, [37.249, 38.204, 0.000]),
    (Term::DspStripRow, [133.736, 134.608, 0.000]),
    (Term::DspStripValue, [4.706, 6.172, 0.000]),
    (Term::DspStripPixel3, [77.003, 75.408, 0.000]),
    (Term::DspStripPixel3By2, [87.739, 84.433, 0.000]),
    (Term::DspStripPixel, [126.150, 118.831, 0.000]),
    (Term::DspStripPair, [4.193, 4.507, 0.000]),
    (Term::DspStripSum, [280.970, 222.786, 0.000]),
    (Term::DspStripSumPair, [11.595, 11.732, 0.000]),
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
