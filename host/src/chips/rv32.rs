//! What a convolution does on RV32, where `firmware/kernels/src/rv32` has its loops: in the terms of [`Term`], of which a
//! multiply-accumulate in a tile stands for [`TILED`] instructions of such a loop, and so on.

use arcgate_firmware::kernels::Window;
use arcgate_firmware::kernels::requant::Requant;
use arcgate_firmware::kernels::scalar::{Conv, Depthwise, scratch_bytes};

use super::term::Term;
use super::window::{inside, whole};

/// Taps that a loop goes through in one turn.
const TAPS: u64 = 8;

/// Instructions of three windows against four outputs, per multiply-accumulate.
const TILED: f64 = 8.0 / 3.0;

/// Instructions of one window against one output, per multiply-accumulate.
const SINGLE: f64 = 4.5;

/// Channels that a depthwise convolution computes at once where its weights do not stay in registers.
const CHANNELS: u64 = 4;

/// Instructions of the loops over `taps` for `p` windows against `n` outputs.
fn loops(taps: u64, p: u64, n: u64) -> u64 {
    let turn = |taps: u64| taps * (p + n + 2 * p * n) + p + n + 1;
    taps / TAPS * turn(TAPS) + taps % TAPS * turn(1)
}

/// How often a convolution does what.
pub(super) fn convolution(conv: &Conv<'_>) -> Vec<(Term, u64)> {
    let groups = conv.groups as u64;
    let pixels = (conv.output.height * conv.output.width) as u64;
    let channels = conv.output.channels as u64 / groups;
    let places = (conv.window.kernel[0] * conv.window.kernel[1]) as u64;
    let taps = places * (conv.input.channels as u64 / groups);
    let gathers = scratch_bytes(conv.input, conv.output, conv.window, conv.groups) > 0;
    // Windows that meet the weights together, the last ones as many as are left.
    let together = if gathers { 2 } else { 3 };
    let (mut tiled, mut single, mut blocks) = (0, 0, 0);
    for (windows, times) in [(together, pixels / together), (pixels % together, 1)] {
        if windows > 0 {
            let outputs = if windows == 1 { 8 } else { 4 };
            tiled += times * (channels / outputs) * loops(taps, windows, outputs);
            single += times * (channels % outputs) * loops(taps, windows, 1);
            blocks += times * (channels / outputs + channels % outputs);
        }
    }
    let rule = match conv.finish.requant {
        Requant::HighMul { .. } => Term::ConvHighMul,
        Requant::ShiftedHighMul { .. } => Term::ConvShifted,
        Requant::PerChannelF32 { .. } => Term::ConvFloat,
        Requant::Uniform(_) => Term::ConvUniform,
    };
    // Windows inside the input are copied by rows, the others by places.
    let columns = whole(conv.input.width, conv.output.width, conv.window, 1);
    let rows = whole(conv.input.height, conv.output.height, conv.window, 0);
    let by_rows = if groups == 1 { rows * columns } else { 0 };
    let gathered = u64::from(gathers) * groups;
    vec![
        (Term::Conv, 1),
        (Term::ConvTiled, (groups as f64 * tiled as f64 / TILED) as u64),
        (Term::ConvSingle, (groups as f64 * single as f64 / SINGLE) as u64),
        (Term::ConvBlock, groups * blocks),
        (Term::ConvPlace, gathered * (pixels - by_rows) * places),
        (Term::ConvGathered, gathered * by_rows * taps),
        (rule, groups * channels * pixels),
    ]
}

/// How often a depthwise convolution does what.
pub(super) fn depthwise(depthwise: &Depthwise<'_>) -> Vec<(Term, u64)> {
    let channels = depthwise.output.channels as u64;
    let [rows, columns] = [depthwise.output.height as u64, depthwise.output.width as u64];
    let taps = inside([depthwise.input, depthwise.output], depthwise.window);
    let rule = match depthwise.finish.requant {
        Requant::HighMul { .. } => Term::DepthwiseHighMul,
        Requant::ShiftedHighMul { .. } => Term::DepthwiseShifted,
        Requant::PerChannelF32 { .. } => Term::DepthwiseFloat,
        Requant::Uniform(_) => Term::DepthwiseUniform,
    };
    // Columns that are computed row by row, with a channel's weights in registers.
    let by_rows = if depthwise.window.kernel == [3, 3] && rule == Term::DepthwiseHighMul {
        whole(depthwise.input.width, depthwise.output.width, depthwise.window, 1)
    } else {
        0
    };
    // Of the taps inside the input, those of the columns that are not.
    let of_all_columns = inside([depthwise.input, depthwise.output], along_rows(depthwise.window));
    let row_taps = 3 * by_rows * of_all_columns / columns.max(1);
    let blocks = channels / CHANNELS + channels % CHANNELS;
    let pixel_taps = taps - row_taps.min(taps);
    vec![
        (Term::Depthwise, 1),
        (Term::DepthwiseBlocked, 9 * by_rows * rows * channels),
        (Term::DepthwiseSingle, pixel_taps * channels),
        (Term::DepthwiseTap, pixel_taps * blocks),
        (
            Term::DepthwiseBlock,
            (columns - by_rows) * rows * blocks + u64::from(by_rows > 0) * rows * channels,
        ),
        (rule, channels * rows * columns),
    ]
}

/// `window` with one tap a row, all of them inside the input's columns.
fn along_rows(window: Window) -> Window {
    Window { kernel: [window.kernel[0], 1], pad: [window.pad[0], 0], ..window }
}
