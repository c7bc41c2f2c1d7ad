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
    (Term::Step, [638.730, 644.465, 803.449]),
    (Term::InputGrey, [4.662, 4.651, 6.961]),
    (Term::InputColour, [3.605, 3.611, 5.002]),
    (Term::Sum, [22.020, 22.021, 21.984]),
    (Term::FloatSum, [38.036, 37.032, 627.442]),
    (Term::Lookup, [3.714, 3.712, 7.892]),
    (Term::LookupChannels, [6.607, 6.605, 7.302]),
    (Term::Slope, [12.395, 12.391, 21.972]),
    (Term::Planes, [10.068, 10.069, 8.348]),
    (Term::Product, [32.994, 32.996, 28.961]),
    (Term::ProductByChannel, [27.879, 29.503, 26.182]),
    (Term::MaxPooled, [8.161, 8.162, 9.545]),
    (Term::MaxPoolPixel, [98.005, 98.613, 95.451]),
    (Term::MaxPoolTap, [23.106, 22.991, 9.561]),
    (Term::Upsampled, [1.131, 1.133, 0.899]),
    (Term::UpsampledBytes, [3.672, 3.680, 2.978]),
    (Term::UpsampledPixel, [47.614, 47.690, 52.121]),
    (Term::Placed, [4.712, 4.713, 6.994]),
    (Term::PlacedPixel, [19.742, 19.719, 14.965]),
    (Term::Copied, [1.083, 1.086, 1.394]),
    (Term::Conv, [1954.188, 1981.145, 1497.448]),
    (Term::ConvTiled, [3.366, 3.491, 2.658]),
    (Term::ConvSingle, [5.113, 5.326, 4.458]),
    (Term::ConvBlock, [516.577, 520.605, 213.520]),
    (Term::ConvPlace, [77.340, 77.992, 70.705]),
    (Term::ConvGathered, [0.515, 0.310, 8.018]),
    (Term::ConvHighMul, [26.183, 26.684, 10.139]),
    (Term::ConvShifted, [50.634, 50.825, 76.318]),
    (Term::ConvFloat, [51.592, 38.604, 426.446]),
    (Term::ConvUniform, [50.815, 53.349, 38.917]),
    (Term::Depthwise, [1188.167, 1192.483, 1632.659]),
    (Term::DepthwiseBlocked, [7.575, 8.757, 1.219]),
    (Term::DepthwiseSingle, [8.344, 9.359, 10.754]),
    (Term::DepthwiseTap, [39.080, 40.185, 0.000]),
    (Term::DepthwiseBlock, [271.521, 272.722, 86.225]),
    (Term::DepthwiseHighMul, [17.493, 21.540, 54.834]),
    (Term::DepthwiseShifted, [43.519, 43.409, 119.403]),
    (Term::DepthwiseFloat, [44.986, 30.780, 468.955]),
    (Term::DepthwiseUniform, [42.380, 42.184, 84.801]),
    (Term::DspSum, [9.054, 9.054, 0.000]),
    (Term::DspSlope, [8.016, 8.014, 0.000]),
    (Term::DspConv, [1791.624, 1822.635, 0.000]),
    (Term::DspPixels, [60.145, 55.163, 0.000]),
    (Term::DspWindows, [365.944, 372.587, 0.000]),
    (Term::DspExpanded, [8.067, 8.107, 0.000]),
    (Term::DspTile, [13.060, 13.074, 0.000]),
    (Term::DspTileOfOne, [17.966, 17.952, 0.000]),
    (Term::DspBlock, [32.080, 31.494, 0.000]),
    (Term::DspBlockOfOne, [34.725, 32.224, 0.000]),
    (Term::DspSums, [232.159, 180.257, 0.000]),
    (Term::DspGathered, [123.617, 123.899, 0.000]),
    (Term::DspGatheredRow, [41.301, 40.880, 0.000]),
    (Term::DspGatheredByte, [0.000, 0.000, 0.000]),
    (Term::DspHighMul, [207.241, 231.547, 0.000]),
    (Term::DspShifted, [0.741, 12.946, 0.000]),
    (Term::DspFloat, [1.889, 0.000, 0.000]),
    (Term::DspUniform, [0.000, 10.194, 0.000]),
    (Term::DspDepthwise, [1525.975, 1534.273, 0.000]),
    (Term::DspFilled, [0.000, 0.000, 0.000]),
    (Term::DspStrip, [184.732, 182.559, 0.000]),
    (Term::DspStripWeight, [37.831, 38.451, 0.000]),
    (Term::DspStripRow, [122.359, 124.302, 0.000]),
    (Term::DspStripValue, [4.501, 6.012, 0.000]),
    (Term::DspStripPixel3, [77.167, 75.525, 0.000]),
    (Term::DspStripPixel3By2, [88.215, 84.569, 0.000]),
    (Term::DspStripPixel, [121.505, 115.925, 0.000]),
    (Term::DspStripPair, [4.487, 4.706, 0.000]),
    (Term::DspStripSum, [280.874, 222.435, 0.000]),
    (Term::DspStripSumPair, [11.694, 11.852, 0.000]),
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
