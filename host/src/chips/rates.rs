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
    (Term::Step, [650.131, 653.811, 791.040]),
    (Term::InputGrey, [4.641, 4.638, 6.970]),
    (Term::InputColour, [3.499, 3.492, 5.006]),
    (Term::Sum, [19.296, 19.299, 15.989]),
    (Term::FloatSum, [33.049, 31.050, 620.449]),
    (Term::Lookup, [3.726, 3.724, 7.902]),
    (Term::LookupChannels, [6.441, 6.441, 7.308]),
    (Term::Slope, [12.411, 12.414, 21.976]),
    (Term::Planes, [6.116, 6.115, 6.140]),
    (Term::Product, [29.540, 29.549, 21.976]),
    (Term::ProductByChannel, [28.237, 28.233, 22.191]),
    (Term::MaxPooled, [8.167, 8.167, 10.547]),
    (Term::MaxPoolPixel, [96.730, 96.785, 107.533]),
    (Term::MaxPoolTap, [28.803, 28.794, 11.545]),
    (Term::Upsampled, [3.495, 3.495, 7.012]),
    (Term::UpsampledBytes, [3.566, 3.573, 7.013]),
    (Term::UpsampledPixel, [17.184, 17.135, 10.488]),
    (Term::Placed, [4.733, 4.731, 6.998]),
    (Term::PlacedPixel, [17.479, 17.499, 13.987]),
    (Term::Copied, [1.100, 1.093, 1.391]),
    (Term::Conv, [2142.593, 2202.562, 1233.362]),
    (Term::ConvTiled, [3.708, 3.864, 2.668]),
    (Term::ConvSingle, [4.791, 4.299, 4.467]),
    (Term::ConvBlock, [464.751, 461.231, 203.260]),
    (Term::ConvPlace, [84.710, 85.201, 79.716]),
    (Term::ConvGathered, [0.000, 0.000, 4.675]),
    (Term::ConvHighMul, [23.932, 27.529, 9.740]),
    (Term::ConvShifted, [49.667, 50.359, 69.790]),
    (Term::ConvFloat, [53.182, 39.305, 420.881]),
    (Term::ConvUniform, [53.190, 52.912, 36.242]),
    (Term::Depthwise, [1288.127, 1286.286, 1613.207]),
    (Term::DepthwiseBlocked, [7.598, 8.435, 1.240]),
    (Term::DepthwiseSingle, [8.294, 9.303, 9.764]),
    (Term::DepthwiseTap, [41.601, 44.419, 0.000]),
    (Term::DepthwiseBlock, [260.108, 263.746, 59.349]),
    (Term::DepthwiseHighMul, [17.095, 20.161, 56.826]),
    (Term::DepthwiseShifted, [42.297, 42.467, 119.753]),
    (Term::DepthwiseFloat, [44.676, 30.125, 467.307]),
    (Term::DepthwiseUniform, [41.389, 43.124, 85.774]),
    (Term::DspSum, [9.073, 9.075, 0.000]),
    (Term::DspSlope, [8.003, 8.008, 0.000]),
    (Term::DspConv, [1899.742, 1918.608, 0.000]),
    (Term::DspPixels, [56.687, 59.008, 0.000]),
    (Term::DspWindows, [354.069, 361.551, 0.000]),
    (Term::DspExpanded, [8.084, 8.141, 0.000]),
    (Term::DspTile, [13.082, 13.089, 0.000]),
    (Term::DspTileOfOne, [17.959, 17.936, 0.000]),
    (Term::DspBlock, [32.115, 31.455, 0.000]),
    (Term::DspBlockOfOne, [36.016, 33.878, 0.000]),
    (Term::DspSums, [224.330, 171.805, 0.000]),
    (Term::DspGathered, [137.451, 134.357, 0.000]),
    (Term::DspGatheredRow, [41.089, 40.781, 0.000]),
    (Term::DspGatheredByte, [0.000, 0.000, 0.000]),
    (Term::DspHighMul, [196.729, 221.093, 0.000]),
    (Term::DspShifted, [1.570, 13.275, 0.000]),
    (Term::DspFloat, [2.278, 0.000, 0.000]),
    (Term::DspUniform, [0.000, 12.408, 0.000]),
    (Term::DspDepthwise, [1541.788, 1567.012, 0.000]),
    (Term::DspFilled, [0.000, 0.000, 0.000]),
    (Term::DspStrip, [190.317, 192.345, 0.000]),
    (Term::DspStripWeight, [29.571, 30.232, 0.000]),
    (Term::DspStripRow, [114.831, 116.558, 0.000]),
    (Term::DspStripValue, [8.893, 10.337, 0.000]),
    (Term::DspStripPixel3, [74.798, 73.170, 0.000]),
    (Term::DspStripPixel3By2, [83.680, 80.279, 0.000]),
    (Term::DspStripPixel, [114.143, 109.143, 0.000]),
    (Term::DspStripPair, [5.120, 5.298, 0.000]),
    (Term::DspStripSum, [268.277, 208.586, 0.000]),
    (Term::DspStripSumPair, [12.568, 12.851, 0.000]),
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
