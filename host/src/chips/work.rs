//! What an operation of a plan does, in amounts that instructions are proportional to.
//!
//! The amounts follow the loops of the scalar kernels (`firmware/src/engine/kernels/scalar`): a convolution multiplies the
//! windows of two output pixels with four output channels at a time, a depthwise convolution goes through a pixel's channels
//! in blocks of 32. RV32 has loops of its own ([`rv32`]). Where those loops change, `tests/bench-mcu` shows which rates no longer fit.

use arcgate_firmware::engine::ChannelOrder;
use arcgate_firmware::engine::kernels::requant::Requant;
use arcgate_firmware::engine::kernels::scalar::{Conv, Depthwise, scratch_bytes};
use arcgate_firmware::engine::kernels::{Shape, Window};
use arcgate_firmware::engine::plan::{Op, Step, Target};

use super::{Isa, packed, rv32};

/// Output pixels that a convolution computes together; the last one of an odd count is computed twice.
const PIXELS: u64 = 2;

/// Output channels that a convolution computes together.
const LANES: u64 = 4;

/// Channels whose accumulators a kernel keeps at once.
const BLOCK: u64 = 32;

/// Something that takes the same number of instructions each time it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Term {
    /// The fixed part of an element-wise operation.
    Step,
    /// A value of a grey input.
    InputGrey,
    /// A value of an input of three channels.
    InputColour,
    /// A value of an add in integers.
    Sum,
    /// A value of an add in f32.
    FloatSum,
    /// A value through one table.
    Lookup,
    /// A value through the table of its channel.
    LookupChannels,
    /// A value of a PReLU.
    Slope,
    /// A value brought to plane order.
    Planes,
    /// A value of a product of two activations of one shape.
    Product,
    /// A value of a product with a factor for each channel.
    ProductByChannel,
    /// A value that a max pool looks at.
    MaxPooled,
    /// An output pixel of a max pool.
    MaxPoolPixel,
    /// A tap of a max pool's window that lies inside the input.
    MaxPoolTap,
    /// A value that repeated pixels are written with, their channels whole words.
    Upsampled,
    /// The same where channels are no whole words.
    UpsampledBytes,
    /// A pixel that is written as a repeated one.
    UpsampledPixel,
    /// A value that becomes one of some channels.
    Placed,
    /// A pixel whose values do.
    PlacedPixel,
    /// A value copied because an element-wise operation does not work in place.
    Copied,
    /// The fixed part of a convolution.
    Conv,
    /// A multiply-accumulate in a tile of two pixels by four channels.
    ConvTiled,
    /// A multiply-accumulate of a channel beyond the last whole tile.
    ConvSingle,
    /// A block of channels of two pixels.
    ConvBlock,
    /// A tap of a window that is gathered.
    ConvPlace,
    /// A value of such a tap.
    ConvGathered,
    /// An output by one high multiply.
    ConvHighMul,
    /// An output by a high multiply with a shift.
    ConvShifted,
    /// An output by tract's f32 rule.
    ConvFloat,
    /// An output by the exact product with one scale.
    ConvUniform,
    /// The fixed part of a depthwise convolution.
    Depthwise,
    /// A multiply-accumulate in a whole block of channels.
    DepthwiseBlocked,
    /// A multiply-accumulate in the rest of a pixel's channels.
    DepthwiseSingle,
    /// A tap of a block.
    DepthwiseTap,
    /// A block of channels of a pixel.
    DepthwiseBlock,
    /// An output by one high multiply.
    DepthwiseHighMul,
    /// An output by a high multiply with a shift.
    DepthwiseShifted,
    /// An output by tract's f32 rule.
    DepthwiseFloat,
    /// An output by the exact product with one scale.
    DepthwiseUniform,
    /// A value of an add in integers, with packed weights as all that follow.
    DspSum,
    /// A value of a PReLU.
    DspSlope,
    /// The fixed part of a convolution.
    DspConv,
    /// Two pixels (or one) of a group, where windows are pixels of whole fours of channels.
    DspPixels,
    /// The same where they are not.
    DspWindows,
    /// Four taps of a window brought into pairs.
    DspExpanded,
    /// Four taps of two pixels with two channels.
    DspTile,
    /// Four taps of one pixel with four channels.
    DspTileOfOne,
    /// A block of channels of two pixels that is requantized in registers.
    DspBlock,
    /// The same of one pixel.
    DspBlockOfOne,
    /// A block whose sums are written down.
    DspSums,
    /// A window that is gathered.
    DspGathered,
    /// A run of bytes of such a window.
    DspGatheredRow,
    /// A byte of it.
    DspGatheredByte,
    /// An output from a sum that was written down, by one high multiply.
    DspHighMul,
    /// The same by a high multiply with a shift.
    DspShifted,
    /// The same by tract's f32 rule.
    DspFloat,
    /// The same by the exact product with one scale.
    DspUniform,
    /// The fixed part of a depthwise convolution.
    DspDepthwise,
    /// A word of its scratch.
    DspFilled,
    /// A strip of four channels.
    DspStrip,
    /// Pairs of weights of a strip, in one order of its rows.
    DspStripWeight,
    /// A row of a strip.
    DspStripRow,
    /// A column of such a row.
    DspStripValue,
    /// A pixel of a strip, by a kernel of 3x3.
    DspStripPixel3,
    /// The same with a stride of 2.
    DspStripPixel3By2,
    /// The same by any other kernel.
    DspStripPixel,
    /// A pair of taps of such a pixel.
    DspStripPair,
    /// A pixel of a strip whose sums are written down.
    DspStripSum,
    /// A pair of taps of such a pixel.
    DspStripSumPair,
}

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

/// Taps that lie inside the input, of all windows together.
pub(super) fn inside([input, output]: [Shape; 2], window: Window) -> u64 {
    let along = |axis: usize, inputs: usize, outputs: usize| {
        let (kernel, stride, pad) = (window.kernel[axis], window.stride[axis], window.pad[axis]);
        let of = |at: usize| {
            let is_inside =
                |&tap: &usize| (at * stride + tap).checked_sub(pad).is_some_and(|place| place < inputs);
            (0..kernel).filter(is_inside).count() as u64
        };
        (0..outputs).map(of).sum::<u64>()
    };
    along(0, input.height, output.height) * along(1, input.width, output.width)
}
