//! One operation with its shapes checked and its sections found.

use core::ops::Range;

use super::record::{Kind, RECORD_BYTES, Record, Rule};
use super::{HEADER_BYTES, Header, PlanError, Target};
use crate::kernels::requant::{HighMul, MAX_SHIFT, Output, Requant, UniformScale};
use crate::kernels::scalar::{Conv, Depthwise, FloatSum, MaxPool, Product, Slope, Sum};
use crate::kernels::{Shape, Words, as_i8, dsp};

/// Rows or columns that an activation may have.
const MAX_SIDE: usize = 4096;

/// Channels that an activation may have.
const MAX_CHANNELS: usize = 1 << 20;

/// An activation in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tensor {
    /// Where it begins.
    pub offset: usize,
    /// Its shape, HWC.
    pub shape: Shape,
}

impl Tensor {
    /// The bytes of the arena that it takes.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.shape.bytes()
    }
}

/// What an operation computes, with its constants borrowed from the plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op<'p> {
    /// The crop through a table for each plane.
    Input {
        /// 256 entries a plane.
        tables: &'p [i8],
    },
    /// Convolution.
    Conv(Conv<'p>),
    /// Depthwise convolution.
    Depthwise(Depthwise<'p>),
    /// Residual add in integers.
    Sum(Sum),
    /// Residual add in f32.
    FloatSum(FloatSum),
    /// One lookup table.
    Lookup {
        /// 256 entries.
        table: &'p [i8],
    },
    /// A lookup table for every channel.
    LookupChannels {
        /// 256 entries a channel.
        tables: &'p [i8],
    },
    /// A PReLU.
    Slope(Slope<'p>),
    /// HWC to planes.
    Planes,
    /// The greatest value of each window.
    MaxPool(MaxPool),
    /// Every pixel as a block of pixels.
    Upsample,
    /// Channels through a table into some of the output's.
    Place {
        /// 256 entries.
        table: &'p [i8],
        /// The first channel of the output that they become.
        first: usize,
    },
    /// Product of two activations.
    Product(Product),
}

/// One operation of a plan. Everything lies inside the arena and inside the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<'p> {
    /// What it computes.
    pub op: Op<'p>,
    /// How the weights of a convolution lie.
    pub target: Target,
    /// What it reads. Of [`Op::Input`] only the shape counts: it reads the crop.
    pub input: Tensor,
    /// The second operand of a sum or a product.
    pub second: Option<Tensor>,
    /// What it writes.
    pub output: Tensor,
    /// Where a convolution works.
    pub scratch: Range<usize>,
}

/// Whether the values of all channels are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// They are: the plan is new.
    Checked,
    /// They were before.
    Known,
}

impl Values {
    /// The first value that is wrong, if they are looked at.
    fn first<T>(self, mut values: impl Iterator<Item = T>, is_wrong: impl Fn(&T) -> bool) -> Option<T> {
        if self == Values::Checked { values.find(is_wrong) } else { None }
    }
}

/// Names fields in errors of one operation.
struct Fault(usize);

impl Fault {
    fn wrong<T>(&self, field: &'static str, value: usize, accepted: &'static str) -> Result<T, PlanError> {
        Err(PlanError::step(self.0, field, value, accepted))
    }

    fn require(
        &self,
        holds: bool,
        field: &'static str,
        value: usize,
        accepted: &'static str,
    ) -> Result<(), PlanError> {
        if holds { Ok(()) } else { self.wrong(field, value, accepted) }
    }
}

impl<'p> Step<'p> {
    /// Reads operation `index` of a plan whose header is valid. Shapes and places are checked each time; `values`, the multipliers
    /// of all channels, need it once.
    pub(super) fn read(
        plan: &'p [u8],
        header: &Header,
        index: usize,
        values: Values,
    ) -> Result<Self, PlanError> {
        let fault = Fault(index);
        let at = HEADER_BYTES + index * RECORD_BYTES;
        let Some(bytes) = plan.get(at..).and_then(|tail| tail.first_chunk()) else {
            return Err(PlanError::Short { needed: at + RECORD_BYTES, found: plan.len() });
        };
        let record = Record::read(bytes, index)?;
        let first = HEADER_BYTES + header.steps * RECORD_BYTES;
        let sections = Sections { plan, first, fault: &fault, values };
        let arena = header.arena_bytes;
        let tensor = |field, offset: u32, shape| tensor(&fault, arena, field, offset, shape);
        fault.require(
            record.lo <= record.hi,
            "least output",
            record.lo as u8 as usize,
            "at most the greatest",
        )?;

        let output = tensor("output", record.output, record.output_shape)?;
        let input = if record.kind == Kind::Input {
            let info = &header.info;
            let shape = Shape {
                height: info.height as usize,
                width: info.width as usize,
                channels: info.order.channels(),
            };
            fault.require(record.input_shape == shape, "input shape", 0, "the model's")?;
            Tensor { offset: output.offset, shape }
        } else {
            tensor("input", record.input, record.input_shape)?
        };
        let same_shape = || {
            let shape = record.output_shape;
            fault.require(input.shape == shape, "output shape", shape.bytes(), "that of the input")
        };
        let target = header.target;
        let (mut second, mut place) = (None, 0..0);
        let scratch = |bytes: usize| -> Result<Range<usize>, PlanError> {
            let start = if bytes == 0 { 0 } else { record.second as usize };
            let inside = start.checked_add(bytes).is_some_and(|end| end <= arena);
            fault.require(inside, "scratch", start, "a place inside the arena")?;
            let aligned = target != Target::Dsp || start.is_multiple_of(dsp::ALIGN);
            fault.require(aligned, "scratch", start, "a multiple of 4")?;
            Ok(start..start + bytes)
        };
        let op = match record.kind {
            Kind::Input => {
                same_shape()?;
                Op::Input { tables: sections.int8s("tables", record.a, 256 * input.shape.channels)? }
            }
            Kind::Conv => {
                let (conv, bytes) = conv(&fault, &sections, &record, target)?;
                place = scratch(bytes)?;
                Op::Conv(conv)
            }
            Kind::Depthwise => {
                let depthwise = depthwise(&fault, &sections, &record)?;
                place = scratch(target.depthwise_scratch_bytes(
                    depthwise.input,
                    depthwise.output,
                    depthwise.window,
                ))?;
                Op::Depthwise(depthwise)
            }
            Kind::Sum | Kind::FloatSum => {
                same_shape()?;
                second = Some(tensor("second operand", record.second, input.shape)?);
                sum(&fault, &record)?
            }
            Kind::Lookup => {
                same_shape()?;
                Op::Lookup { table: sections.int8s("table", record.a, 256)? }
            }
            Kind::LookupChannels => {
                same_shape()?;
                let channels = input.shape.channels;
                Op::LookupChannels { tables: sections.int8s("tables", record.a, 256 * channels)? }
            }
            Kind::Slope => {
                same_shape()?;
                Op::Slope(slope(&fault, &sections, &record)?)
            }
            Kind::Planes => {
                let shape = record.output_shape;
                let flat = shape.height == 1 && shape.width == 1;
                fault.require(
                    flat && shape.channels == input.shape.bytes(),
                    "output shape",
                    shape.bytes(),
                    "1x1 with the input's bytes as channels",
                )?;
                Op::Planes
            }
            Kind::MaxPool => Op::MaxPool(max_pool(&fault, &record)?),
            Kind::Upsample => {
                upsample(&fault, &record)?;
                Op::Upsample
            }
            Kind::Place => {
                let (shape, first) = (record.output_shape, record.groups as usize);
                let fits = first.checked_add(input.shape.channels).is_some_and(|end| end <= shape.channels);
                fault.require(fits, "first channel", first, "room for the input's channels in the output")?;
                let pixels = (shape.height, shape.width) == (input.shape.height, input.shape.width);
                fault.require(
                    pixels,
                    "output shape",
                    shape.bytes(),
                    "as many rows and columns as the input",
                )?;
                Op::Place { table: sections.int8s("table", record.a, 256)?, first }
            }
            Kind::Product => {
                same_shape()?;
                let pixel = Shape { height: 1, width: 1, ..input.shape };
                let shape = match record.groups {
                    0 => input.shape,
                    1 => pixel,
                    other => return fault.wrong("groups", other as usize, "0 (one shape) or 1 (one pixel)"),
                };
                second = Some(tensor("second operand", record.second, shape)?);
                Op::Product(product(&fault, &record)?)
            }
        };
        let step = Step { op, target, input, second, output, scratch: place };
        // Whoever runs it borrows the places apart from one another.
        if values == Values::Checked {
            step.check_overlaps(&fault)?;
        }
        Ok(step)
    }

    /// Multiply-accumulates of one run.
    pub fn macs(&self) -> u64 {
        match self.op {
            Op::Conv(conv) => conv.taps() as u64 * conv.output.bytes() as u64,
            Op::Depthwise(dw) => dw.weights.len() as u64 * (dw.output.height * dw.output.width) as u64,
            _ => 0,
        }
    }

    /// Element-wise operations may write exactly where they read; nothing else may overlap.
    fn check_overlaps(&self, fault: &Fault) -> Result<(), PlanError> {
        let apart = |a: &Range<usize>, b: &Range<usize>| {
            a.is_empty() || b.is_empty() || a.end <= b.start || b.end <= a.start
        };
        let (input, output) = (self.input.range(), self.output.range());
        let in_place = matches!(
            self.op,
            Op::Sum(_)
                | Op::FloatSum(_)
                | Op::Product(_)
                | Op::Lookup { .. }
                | Op::LookupChannels { .. }
                | Op::Slope(_)
        );
        let reads_arena = !matches!(self.op, Op::Input { .. });
        let output_fits = !reads_arena || apart(&input, &output) || in_place && input == output;
        fault.require(output_fits, "output", output.start, "a place that does not overlap the input")?;
        if let Some(second) = self.second.map(|second| second.range()) {
            let in_place = second == output && self.second.is_some_and(|s| s.shape == self.output.shape);
            let fits = apart(&input, &second) && (apart(&second, &output) || in_place);
            fault.require(
                fits,
                "second operand",
                second.start,
                "a place apart from the first and the output",
            )?;
        }
        let scratch = &self.scratch;
        let fits = apart(scratch, &input) && apart(scratch, &output);
        fault.require(fits, "scratch", scratch.start, "a place apart from input and output")
    }
}

/// A tensor inside the arena.
fn tensor(
    fault: &Fault,
    arena: usize,
    field: &'static str,
    offset: u32,
    shape: Shape,
) -> Result<Tensor, PlanError> {
    for side in [shape.height, shape.width] {
        fault.require((1..=MAX_SIDE).contains(&side), field, side, "1 to 4096 rows and columns")?;
    }
    let channels = shape.channels;
    fault.require((1..=MAX_CHANNELS).contains(&channels), field, channels, "1 to 1048576 channels")?;
    fault.require(inside(offset, shape, arena), field, offset as usize, "a place inside the arena")?;
    Ok(Tensor { offset: offset as usize, shape })
}

/// Whether an activation of at most 4096 x 4096 pixels ends inside the arena.
pub(super) fn inside(offset: u32, shape: Shape, arena: usize) -> bool {
    let bytes = (shape.height * shape.width) as u64 * shape.channels as u64;
    offset as u64 + bytes <= arena as u64
}

/// Where operations find their constants.
struct Sections<'a, 'p> {
    plan: &'p [u8],
    first: usize,
    fault: &'a Fault,
    values: Values,
}

impl<'p> Sections<'_, 'p> {
    fn bytes(&self, field: &'static str, offset: u32, length: usize) -> Result<&'p [u8], PlanError> {
        let offset = offset as usize;
        self.fault.require(offset.is_multiple_of(4), field, offset, "an offset that is a multiple of 4")?;
        let found = offset.checked_add(length).and_then(|end| self.plan.get(offset..end));
        match found.filter(|_| offset >= self.first) {
            Some(bytes) => Ok(bytes),
            None => self.fault.wrong(field, offset, "a section behind the operations, inside the plan"),
        }
    }

    fn int8s(&self, field: &'static str, offset: u32, length: usize) -> Result<&'p [i8], PlanError> {
        self.bytes(field, offset, length).map(as_i8)
    }

    fn words(&self, field: &'static str, offset: u32, count: usize) -> Result<Words<'p>, PlanError> {
        self.bytes(field, offset, 4 * count).map(Words::new)
    }

    /// The last step of a convolution, every multiplier in range.
    fn finish(&self, record: &Record) -> Result<Output<'p>, PlanError> {
        let channels = record.output_shape.channels;
        let words = || self.words("requantization", record.c, channels);
        let all_positive = |mults: Words<'p>| {
            let wrong = self.values.first(mults.integers(), |&mult| mult <= 0);
            let value = wrong.unwrap_or(0) as u32 as usize;
            self.fault.require(wrong.is_none(), "multiplier", value, "positive multipliers")
        };
        let requant = match record.rule {
            Rule::HighMul => {
                let mults = words()?;
                all_positive(mults)?;
                Requant::HighMul { mults }
            }
            Rule::ShiftedHighMul => {
                let mults = words()?;
                all_positive(mults)?;
                let shifts =
                    self.bytes("shifts", record.c, 5 * channels)?.get(4 * channels..).unwrap_or_default();
                let wrong = self.values.first(shifts.iter().copied(), |&shift| shift > MAX_SHIFT);
                self.fault.require(wrong.is_none(), "shift", wrong.unwrap_or(0) as usize, "0 to 8")?;
                Requant::ShiftedHighMul { mults, shifts }
            }
            Rule::PerChannelF32 => {
                let scales = words()?;
                let is_wrong = |scale: &f32| !(scale.is_finite() && *scale > 0.0);
                let wrong = self.values.first(scales.floats(), is_wrong);
                let value = wrong.unwrap_or(0.0).to_bits() as usize;
                self.fault.require(wrong.is_none(), "scale", value, "positive finite f32")?;
                Requant::PerChannelF32 { scales }
            }
            Rule::Uniform => match UniformScale::new(f32::from_bits(record.c)) {
                Some(scale) => Requant::Uniform(scale),
                None => return self.fault.wrong("scale", record.c as usize, "an f32 from 2^-32 up to 2^7"),
            },
        };
        Ok(Output { requant, zero_point: record.output_zero, lo: record.lo, hi: record.hi })
    }
}

/// Kernel, stride and padding that a kernel can run with.
fn window(fault: &Fault, record: &Record) -> Result<(), PlanError> {
    let (input, output) = (record.input_shape, record.output_shape);
    let axes = [(input.height, output.height), (input.width, output.width)];
    for (axis, (inputs, outputs)) in axes.into_iter().enumerate() {
        let (kernel, stride) = (record.window.kernel[axis], record.window.stride[axis]);
        let pad = record.window.pad[axis];
        fault.require((1..=MAX_SIDE).contains(&kernel), "kernel", kernel, "1 to 4096 taps an axis")?;
        fault.require(stride >= 1, "stride", stride, "at least 1")?;
        fault.require(pad < kernel, "pad", pad, "less than the kernel")?;
        // Every window has at least one tap inside the input.
        let last = (outputs - 1) * stride;
        fault.require(last < inputs + pad, "output", outputs, "windows that touch the input")?;
    }
    Ok(())
}

fn conv<'p>(
    fault: &Fault,
    sections: &Sections<'_, 'p>,
    record: &Record,
    target: Target,
) -> Result<(Conv<'p>, usize), PlanError> {
    window(fault, record)?;
    let Record { input_shape: input, output_shape: output, window, .. } = *record;
    let groups = record.groups as usize;
    let divides = groups >= 1 && input.channels % groups == 0 && output.channels % groups == 0;
    fault.require(divides, "groups", groups, "a divisor of both channel counts")?;
    let taps = (window.kernel[0] * window.kernel[1]).saturating_mul(input.channels / groups);
    let weights = match target.packing(input, output, window, groups) {
        Some(packing) => packing.bytes(),
        None => taps.saturating_mul(output.channels),
    };
    let scratch = target.conv_scratch_bytes(input, output, window, groups);
    let conv = Conv {
        input,
        output,
        window,
        groups,
        input_zero: record.input_zero,
        weights: sections.int8s("weights", record.a, weights)?,
        bias: sections.words("bias", record.b, output.channels)?,
        finish: sections.finish(record)?,
    };
    Ok((conv, scratch))
}

fn depthwise<'p>(
    fault: &Fault,
    sections: &Sections<'_, 'p>,
    record: &Record,
) -> Result<Depthwise<'p>, PlanError> {
    window(fault, record)?;
    let Record { input_shape: input, output_shape: output, window, .. } = *record;
    let channels = input.channels;
    fault.require(output.channels == channels, "output channels", output.channels, "those of the input")?;
    let weights = (window.kernel[0] * window.kernel[1]).saturating_mul(channels);
    Ok(Depthwise {
        input,
        output,
        window,
        input_zero: record.input_zero,
        weights: sections.int8s("weights", record.a, weights)?,
        bias: sections.words("bias", record.b, channels)?,
        finish: sections.finish(record)?,
    })
}

fn max_pool(fault: &Fault, record: &Record) -> Result<MaxPool, PlanError> {
    window(fault, record)?;
    let Record { input_shape: input, output_shape: output, window, .. } = *record;
    let channels = output.channels;
    fault.require(channels == input.channels, "output channels", channels, "those of the input")?;
    Ok(MaxPool { input, output, window })
}

/// Checks that the output is the input with every pixel repeated.
fn upsample(fault: &Fault, record: &Record) -> Result<(), PlanError> {
    let Record { input_shape: input, output_shape: output, .. } = *record;
    let whole = output.height.is_multiple_of(input.height) && output.width.is_multiple_of(input.width);
    let fits = whole && output.channels == input.channels;
    fault.require(fits, "output shape", output.bytes(), "multiples of the input's rows and columns")
}

fn product(fault: &Fault, record: &Record) -> Result<Product, PlanError> {
    let (mult, shift) = (record.a as i32, record.bits);
    fault.require(mult > 0, "multiplier", record.a as usize, "a positive one")?;
    fault.require(shift <= MAX_SHIFT, "shift", shift as usize, "0 to 8")?;
    let zeros = [record.input_zero, record.second_zero];
    let (output_zero, lo, hi) = (record.output_zero, record.lo, record.hi);
    Ok(Product { zeros, scale: HighMul { mult, shift }, output_zero, lo, hi })
}

fn sum<'p>(fault: &Fault, record: &Record) -> Result<Op<'p>, PlanError> {
    let zeros = [record.input_zero, record.second_zero];
    let (output_zero, lo, hi) = (record.output_zero, record.lo, record.hi);
    if record.kind == Kind::Sum {
        let bits = record.bits;
        fault.require((1..=24).contains(&bits), "fraction bits", bits as usize, "1 to 24")?;
        let mults = [record.a as i32, record.b as i32];
        let sum = Sum { zeros, mults, bits: record.bits, output_zero, lo, hi };
        fault.require(
            sum.fits(),
            "multiplier",
            record.a as usize,
            "positive ones that keep sums inside 32 bits",
        )?;
        return Ok(Op::Sum(sum));
    }
    let [a, b, reciprocal] = [record.a, record.b, record.c].map(f32::from_bits);
    for scale in [a, b, reciprocal] {
        let fits = scale.is_finite() && scale > 0.0 && scale < 1e30;
        fault.require(fits, "scale", scale.to_bits() as usize, "positive f32 below 1e30")?;
    }
    Ok(Op::FloatSum(FloatSum { zeros, scales: [a, b], reciprocal, output_zero, lo, hi }))
}

fn slope<'p>(fault: &Fault, sections: &Sections<'_, 'p>, record: &Record) -> Result<Slope<'p>, PlanError> {
    let negative = sections.words("slopes", record.b, record.input_shape.channels)?;
    let bits = record.bits;
    fault.require((1..=24).contains(&bits), "fraction bits", bits as usize, "1 to 24")?;
    let positive = record.a as i32;
    let slope =
        Slope { bits, positive, negative, input_zero: record.input_zero, output_zero: record.output_zero };
    let all = negative.integers().chain([positive]);
    let wrong = sections.values.first(all, |mult| mult.unsigned_abs() > slope.greatest());
    let value = wrong.unwrap_or(0) as u32 as usize;
    fault.require(wrong.is_none(), "slope", value, "multipliers that keep products inside 32 bits")?;
    Ok(slope)
}
