//! What operations with packed weights do on Arm cores with the DSP instructions, in amounts that instructions are
//! proportional to.
//!
//! The amounts follow `firmware/kernels/src/dsp`: a convolution brings the windows of two output pixels (one, where
//! there is only one) into pairs of 16 bits and multiplies them with block after block of output channels; a depthwise
//! convolution goes through strips of four channels, whose rows it keeps as pairs.

use arcgate_firmware::kernels::dsp::depthwise_scratch_bytes;
use arcgate_firmware::kernels::dsp::{TAPS, packing};
use arcgate_firmware::kernels::requant::Requant;
use arcgate_firmware::kernels::scalar::{Conv, Depthwise, scratch_bytes};

use super::term::Term;

/// Channels of a strip.
const STRIP: usize = 4;

/// An output that comes by way of its sum, by its rule.
fn stored(requant: Requant<'_>) -> Term {
    match requant {
        Requant::HighMul { .. } => Term::DspHighMul,
        Requant::ShiftedHighMul { .. } => Term::DspShifted,
        Requant::PerChannelF32 { .. } => Term::DspFloat,
        Requant::Uniform(_) => Term::DspUniform,
    }
}

/// How often one run of a convolution does what.
pub fn convolution(conv: &Conv<'_>) -> Vec<(Term, u64)> {
    let Conv { input, output, window, groups, .. } = *conv;
    let packing = packing(input, output, window, groups);
    let (fours, block) = (packing.runs(), packing.block());
    let pixels = output.height * output.width;
    let together = if pixels == 1 { 1 } else { 2 };
    let (turns, outputs) = (groups * pixels.div_ceil(together), output.channels / groups);
    let direct = scratch_bytes(input, output, window, groups) == 0;
    let fused = matches!(conv.finish.requant, Requant::HighMul { .. });
    // Whole blocks are requantized in registers; what is left over, and other rules, by way of sums.
    let finished = if fused { outputs / block } else { 0 };
    let summed = outputs - finished * block;
    let blocks = finished + summed.div_ceil(block);
    let whole = direct
        && window.kernel == [1, 1]
        && window.stride == [1, 1]
        && input.width == output.width
        && packing.taps().is_multiple_of(TAPS)
        && summed == 0;
    let windows = if direct { 0 } else { turns * together };
    let (tile, finish) = if together == 1 {
        (Term::DspTileOfOne, Term::DspBlockOfOne)
    } else {
        (Term::DspTile, Term::DspBlock)
    };
    let amounts = [
        (Term::DspConv, 1),
        (if whole { Term::DspPixels } else { Term::DspWindows }, turns),
        (Term::DspExpanded, turns * together * fours),
        (tile, turns * blocks * fours),
        (finish, turns * finished),
        (Term::DspSums, turns * summed.div_ceil(block)),
        (stored(conv.finish.requant), turns * together * summed),
        (Term::DspGathered, windows),
        (Term::DspGatheredRow, windows * window.kernel[0] * if groups == 1 { 1 } else { window.kernel[1] }),
        (Term::DspGatheredByte, windows * packing.taps()),
    ];
    amounts.map(|(term, amount)| (term, amount as u64)).to_vec()
}

/// How often one run of a depthwise convolution does what; `None` where the scalar kernel runs.
pub fn depthwise(depthwise: &Depthwise<'_>) -> Option<Vec<(Term, u64)>> {
    let Depthwise { input, output, window, .. } = *depthwise;
    let scratch = depthwise_scratch_bytes(input, output, window);
    if scratch == 0 {
        return None;
    }
    let [rows, taps] = window.kernel;
    let (strips, pairs) = (input.channels.div_ceil(STRIP), taps.div_ceil(2));
    let pixels = strips * output.height * output.width;
    let loaded = (output.height - 1) * window.stride[0] + rows;
    let values = if window.stride[1].is_multiple_of(2) { input.width.div_ceil(2) } else { input.width };
    let fused = matches!(depthwise.finish.requant, Requant::HighMul { .. });
    let (each, pair) = match (fused, window.kernel, window.stride[1]) {
        (true, [3, 3], 1) => (Term::DspStripPixel3, None),
        (true, [3, 3], 2) => (Term::DspStripPixel3By2, None),
        (true, ..) => (Term::DspStripPixel, Some(Term::DspStripPair)),
        (false, ..) => (Term::DspStripSum, Some(Term::DspStripSumPair)),
    };
    let mut amounts = vec![
        (Term::DspDepthwise, 1),
        (Term::DspFilled, scratch / 4),
        (Term::DspStrip, strips),
        (Term::DspStripWeight, strips * rows.min(output.height) * rows * pairs),
        (Term::DspStripRow, strips * loaded),
        (Term::DspStripValue, strips * loaded.min(input.height) * values),
        (each, pixels),
    ];
    amounts.extend(pair.map(|pair| (pair, pixels * rows * pairs)));
    if !fused {
        amounts.push((stored(depthwise.finish.requant), pixels * STRIP));
    }
    Some(amounts.into_iter().map(|(term, amount)| (term, amount as u64)).collect())
}
