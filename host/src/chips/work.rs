//! What an operation of a plan does, in amounts that instructions are proportional to.
//!
//! The amounts follow the loops of the scalar kernels (`firmware/kernels/src/scalar`): a convolution multiplies the
//! windows of two output pixels with four output channels at a time, a depthwise convolution goes through a pixel's channels
//! in blocks of 32. RV32 has loops of its own (`rv32.rs`). Where those loops change, `tests/bench-mcu` shows which rates no longer fit.

use arcgate_firmware::engine::plan::{Op, Step, Target};
use arcgate_firmware::kernels::requant::Requant;
use arcgate_firmware::kernels::scalar::{Conv, Depthwise, scratch_bytes};
use arcgate_firmware::model::ChannelOrder;

use super::term::Term;
use super::window::inside;
use super::{Isa, packed, rv32};

/// Output pixels that a convolution computes together; the last one of an odd count is computed twice.
const PIXELS: u64 = 2;

/// Output channels that a convolution computes together.
const LANES: u64 = 4;

/// Channels whose accumulators a kernel keeps at once.
const BLOCK: u64 = 32;

/// How often one run of `step` does what on `isa`.
pub fn work(step: &Step<'_>, order: ChannelOrder, isa: Isa) -> Vec<(Term, u64)> {
    let values = step.output.shape.bytes() as u64;
    let moved = [Some(step.input.range()), step.second.as_ref().map(|second| second.range())];
    let in_place = moved.contains(&Some(step.output.range()));
    let elementwise =
        |term| vec![(Term::Step, 1), (term, values), (Term::Copied, values * u64::from(!in_place))];
    match &step.op {
        Op::Input { .. } if order == ChannelOrder::Grey => vec![(Term::Step, 1), (Term::InputGrey, values)],
        Op::Input { .. } => vec![(Term::Step, 1), (Term::InputColour, values)],
        Op::Conv(conv) if step.target == Target::Dsp => packed::convolution(conv),
        Op::Conv(conv) if isa == Isa::Rv32imac => rv32::convolution(conv),
        Op::Conv(conv) => convolution(conv),
        Op::Depthwise(depthwise) if step.target == Target::Dsp => {
            packed::depthwise(depthwise).unwrap_or_else(|| self::depthwise(depthwise))
        }
        Op::Depthwise(depthwise) if isa == Isa::Rv32imac => rv32::depthwise(depthwise),
        Op::Depthwise(depthwise) => self::depthwise(depthwise),
        Op::Sum(_) if step.target == Target::Dsp => elementwise(Term::DspSum),
        Op::Sum(_) => elementwise(Term::Sum),
        Op::FloatSum(_) => elementwise(Term::FloatSum),
        Op::Lookup { .. } => elementwise(Term::Lookup),
        Op::LookupChannels { .. } => elementwise(Term::LookupChannels),
        Op::Slope(_) if step.target == Target::Dsp => elementwise(Term::DspSlope),
        Op::Slope(_) => elementwise(Term::Slope),
        Op::Planes => vec![(Term::Step, 1), (Term::Planes, values)],
        Op::Product(_) if step.second.is_some_and(|second| second.shape == step.output.shape) => {
            elementwise(Term::Product)
        }
        Op::Product(_) => elementwise(Term::ProductByChannel),
        Op::MaxPool(pool) => {
            let taps = inside([pool.input, pool.output], pool.window);
            let channels = pool.output.channels as u64;
            let pixels = values / channels;
            vec![
                (Term::Step, 1),
                (Term::MaxPooled, taps * channels),
                (Term::MaxPoolPixel, pixels),
                (Term::MaxPoolTap, taps),
            ]
        }
        Op::Upsample => {
            let channels = step.output.shape.channels as u64;
            let term = if channels.is_multiple_of(4) { Term::Upsampled } else { Term::UpsampledBytes };
            vec![(Term::Step, 1), (term, values), (Term::UpsampledPixel, values / channels)]
        }
        Op::Place { .. } => {
            let moved = step.input.shape.bytes() as u64;
            let pixels = moved / step.input.shape.channels as u64;
            vec![(Term::Step, 1), (Term::Placed, moved), (Term::PlacedPixel, pixels)]
        }
    }
}

fn convolution(conv: &Conv<'_>) -> Vec<(Term, u64)> {
    let groups = conv.groups as u64;
    let pixels = (conv.output.height * conv.output.width) as u64;
    let channels = conv.output.channels as u64 / groups;
    let places = (conv.window.kernel[0] * conv.window.kernel[1]) as u64;
    let taps = places * (conv.input.channels as u64 / groups);
    let pairs = groups * pixels.div_ceil(PIXELS);
    let gathered = u64::from(scratch_bytes(conv.input, conv.output, conv.window, conv.groups) > 0);
    let rule = match conv.finish.requant {
        Requant::HighMul { .. } => Term::ConvHighMul,
        Requant::ShiftedHighMul { .. } => Term::ConvShifted,
        Requant::PerChannelF32 { .. } => Term::ConvFloat,
        Requant::Uniform(_) => Term::ConvUniform,
    };
    vec![
        (Term::Conv, 1),
        (Term::ConvTiled, pairs * PIXELS * taps * (channels - channels % LANES)),
        (Term::ConvSingle, pairs * PIXELS * taps * (channels % LANES)),
        (Term::ConvBlock, pairs * channels.div_ceil(BLOCK)),
        (Term::ConvPlace, gathered * pairs * PIXELS * places),
        (Term::ConvGathered, gathered * pairs * PIXELS * taps),
        (rule, groups * channels * pixels),
    ]
}

fn depthwise(depthwise: &Depthwise<'_>) -> Vec<(Term, u64)> {
    let channels = depthwise.output.channels as u64;
    let pixels = (depthwise.output.height * depthwise.output.width) as u64;
    let taps = inside([depthwise.input, depthwise.output], depthwise.window);
    let blocks = channels.div_ceil(BLOCK);
    let rule = match depthwise.finish.requant {
        Requant::HighMul { .. } => Term::DepthwiseHighMul,
        Requant::ShiftedHighMul { .. } => Term::DepthwiseShifted,
        Requant::PerChannelF32 { .. } => Term::DepthwiseFloat,
        Requant::Uniform(_) => Term::DepthwiseUniform,
    };
    vec![
        (Term::Depthwise, 1),
        (Term::DepthwiseBlocked, taps * (channels - channels % BLOCK)),
        (Term::DepthwiseSingle, taps * (channels % BLOCK)),
        (Term::DepthwiseTap, taps * blocks),
        (Term::DepthwiseBlock, pixels * blocks),
        (rule, channels * pixels),
    ]
}
