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
    (Term::Step, [647.736, 634.365, 810.314]),
    (Term::InputGrey, [4.646, 4.665, 6.968]),
    (Term::InputColour, [3.603, 3.627, 4.998]),
    (Term::Sum, [20.538, 20.544, 20.998]),
    (Term::FloatSum, [40.036, 38.041, 626.443]),
    (Term::Lookup, [3.721, 3.726, 7.899]),
    (Term::LookupChannels, [6.576, 6.579, 7.305]),
    (Term::Slope, [12.864, 12.866, 21.973]),
    (Term::Planes, [9.827, 9.831, 8.350]),
    (Term::Product, [36.002, 34.011, 27.969]),
    (Term::ProductByChannel, [33.638, 33.647, 26.189]),
    (Term::MaxPooled, [8.158, 8.163, 9.546]),
    (Term::MaxPoolPixel, [90.386, 90.375, 97.328]),
    (Term::MaxPoolTap, [27.226, 27.228, 9.353]),
    (Term::Upsampled, [1.140, 1.150, 0.900]),
    (Term::UpsampledBytes, [3.704, 3.703, 2.985]),
    (Term::UpsampledPixel, [47.679, 47.620, 51.125]),
    (Term::Placed, [4.703, 4.705, 6.996]),
    (Term::PlacedPixel, [19.313, 19.365, 13.981]),
    (Term::Copied, [1.087, 1.088, 1.397]),
    (Term::Conv, [1995.261, 2041.646, 1518.421]),
    (Term::ConvTiled, [3.367, 3.491, 2.658]),
    (Term::ConvSingle, [5.109, 5.329, 4.456]),
    (Term::ConvBlock, [516.664, 520.324, 214.723]),
    (Term::ConvPlace, [77.350, 78.021, 71.110]),
    (Term::ConvGathered, [0.511, 0.304, 7.844]),
    (Term::ConvHighMul, [26.181, 26.692, 10.034]),
    (Term::ConvShifted, [50.620, 50.836, 76.198]),
    (Term::ConvFloat, [51.589, 38.614, 426.388]),
    (Term::ConvUniform, [50.826, 53.343, 38.820]),
    (Term::Depthwise, [1244.457, 1234.348, 1639.575]),
    (Term::DepthwiseBlocked, [7.568, 8.763, 0.672]),
    (Term::DepthwiseSingle, [8.338, 9.368, 10.749]),
    (Term::DepthwiseTap, [39.217, 40.012, 0.000]),
    (Term::DepthwiseBlock, [270.319, 274.179, 73.937]),
    (Term::DepthwiseHighMul, [17.580, 21.484, 59.972]),
    (Term::DepthwiseShifted, [43.568, 43.327, 122.602]),
    (Term::DepthwiseFloat, [45.045, 30.728, 473.107]),
    (Term::DepthwiseUniform, [42.446, 42.157, 90.105]),
    (Term::DspSum, [9.067, 9.065, 0.000]),
    (Term::DspSlope, [8.022, 8.029, 0.000]),
    (Term::DspConv, [1864.508, 1880.566, 0.000]),
    (Term::DspPixels, [54.610, 56.134, 0.000]),
    (Term::DspWindows, [368.010, 374.859, 0.000]),
    (Term::DspExpanded, [7.785, 7.934, 0.000]),
    (Term::DspTile, [13.051, 13.053, 0.000]),
    (Term::DspTileOfOne, [18.056, 18.012, 0.000]),
    (Term::DspBlock, [32.056, 31.453, 0.000]),
    (Term::DspBlockOfOne, [35.524, 34.839, 0.000]),
    (Term::DspSums, [232.573, 180.633, 0.000]),
    (Term::DspGathered, [137.137, 134.527, 0.000]),
    (Term::DspGatheredRow, [42.861, 42.388, 0.000]),
    (Term::DspGatheredByte, [0.000, 0.000, 0.000]),
    (Term::DspHighMul, [208.084, 232.341, 0.000]),
    (Term::DspShifted, [0.701, 12.950, 0.000]),
    (Term::DspFloat, [1.886, 0.000, 0.000]),
    (Term::DspUniform, [0.000, 10.224, 0.000]),
    (Term::DspDepthwise, [1572.560, 1591.057, 0.000]),
    (Term::DspFilled, [0.000, 0.000, 0.000]),
    (Term::DspStrip, [190.606, 181.126, 0.000]),
    (Term::DspStripWeight, [37.584, 38.169, 0.000]),
    (Term::DspStripRow, [132.740, 135.515, 0.000]),
    (Term::DspStripValue, [4.597, 6.126, 0.000]),
    (Term::DspStripPixel3, [77.155, 75.512, 0.000]),
    (Term::DspStripPixel3By2, [88.016, 84.508, 0.000]),
    (Term::DspStripPixel, [121.278, 124.424, 0.000]),
    (Term::DspStripPair, [4.502, 4.139, 0.000]),
    (Term::DspStripSum, [281.376, 223.011, 0.000]),
    (Term::DspStripSumPair, [11.567, 11.709, 0.000]),
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
