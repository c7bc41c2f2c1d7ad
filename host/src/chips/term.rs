//! The kinds of work that operations come down to.

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
