//! The lowered network between the graph and the bytes: layers over numbered activations, nothing placed yet.

use std::ops::Range;

use arcgate_firmware::engine::plan::Target;
use arcgate_firmware::kernels::requant::HighMul;
use arcgate_firmware::kernels::scalar::{FloatSum, Product, Sum};
use arcgate_firmware::kernels::{Shape, Window};
use arcgate_firmware::model::{ModelInfo, Task};

use crate::quantize::lattice::Quantization;

/// The number of an activation.
pub type TensorId = usize;

/// A lowered model.
#[derive(Debug, Clone)]
pub struct Network {
    /// What the model says of itself.
    pub info: ModelInfo,
    /// What it is for.
    pub task: Task,
    /// The cores that it is laid out for.
    pub target: Target,
    /// The shapes of all activations.
    pub tensors: Vec<Shape>,
    /// For each activation that is only some rows of another: of which.
    pub parts: Vec<Option<Part>>,
    /// The layers in order; the last one's output is the embedding.
    pub layers: Vec<Layer>,
    /// A detector's maps with their quantization, for each stride cls, obj, bbox and kps.
    pub maps: Vec<(TensorId, Quantization)>,
}

/// Rows of an activation that lie where they lie in the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The whole, or a part itself.
    pub of: TensorId,
    /// The first row of it.
    pub first: usize,
}

/// One layer.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The ONNX node that it comes from.
    pub name: String,
    /// What it computes.
    pub work: Work,
    /// What it reads; `None` for the input tables, which read the crop.
    pub input: Option<TensorId>,
    /// The second operand of an add or a product.
    pub second: Option<TensorId>,
    /// What it writes.
    pub output: TensorId,
}

/// What a layer computes.
#[derive(Debug, Clone)]
pub enum Work {
    /// The crop through a table for each plane.
    Input(Vec<i8>),
    /// Convolution of any kind.
    Conv(Convolution),
    /// Residual add in integers.
    Sum(Sum),
    /// Residual add in f32.
    FloatSum(FloatSum),
    /// One lookup table.
    Lookup(Vec<i8>),
    /// A lookup table for every channel.
    LookupChannels(Vec<i8>),
    /// A PReLU.
    Slope(Slopes),
    /// HWC to planes.
    Planes,
    /// The greatest of each window.
    MaxPool(Window),
    /// Every pixel as a block of pixels.
    Upsample,
    /// Channels through a table into some of the output's. The layers that fill one output follow one another.
    Place {
        /// 256 entries.
        table: Vec<i8>,
        /// The first channel of the output that they become.
        first: usize,
    },
    /// Product of two tensors.
    Product(Product),
}

/// A convolution.
#[derive(Debug, Clone)]
pub struct Convolution {
    /// One kernel for each channel: weights `[row][column][channel]`, a bias with nothing folded in. Otherwise
    /// `[output][row][column][input of the group]` and a bias with the input's zero point folded in.
    pub depthwise: bool,
    /// How the kernel slides.
    pub window: Window,
    /// Groups.
    pub groups: usize,
    /// The int8 that stands for real zero in the input.
    pub input_zero: i8,
    /// The weights in the order above.
    pub weights: Vec<i8>,
    /// One bias for every output channel.
    pub bias: Vec<i32>,
    /// The rule that requantizes.
    pub requantization: Requantization,
    /// The int8 that stands for real zero in the output.
    pub output_zero: i8,
    /// Least output.
    pub lo: i8,
    /// Greatest output.
    pub hi: i8,
}

/// The rule that requantizes a layer.
#[derive(Debug, Clone, PartialEq)]
pub enum Requantization {
    /// One high multiply for each channel: every scale is on the lattice.
    HighMul(Vec<HighMul>),
    /// tract's f32 rule: at least one scale is off the lattice.
    PerChannelF32(Vec<f32>),
    /// tract's rule for channels that share a scale that is off the lattice.
    Uniform(f32),
}

/// The multipliers of a PReLU.
#[derive(Debug, Clone)]
pub struct Slopes {
    /// Fraction bits.
    pub bits: u8,
    /// From the zero point up.
    pub positive: i32,
    /// Below it, one for each channel.
    pub negative: Vec<i32>,
    /// The int8 that stands for real zero in the input.
    pub input_zero: i8,
    /// The int8 that stands for real zero in the output.
    pub output_zero: i8,
}

impl Work {
    /// Whether the output may be written over an input of the same size.
    pub fn is_element_wise(&self) -> bool {
        match self {
            Work::Input(_)
            | Work::Conv(_)
            | Work::Planes
            | Work::MaxPool(_)
            | Work::Upsample
            | Work::Place { .. } => false,
            Work::Sum(_)
            | Work::FloatSum(_)
            | Work::Product(_)
            | Work::Lookup(_)
            | Work::LookupChannels(_)
            | Work::Slope(_) => true,
        }
    }

    /// The output clamp, where there is one.
    fn clamp(&mut self) -> Option<(&mut i8, &mut i8)> {
        match self {
            Work::Conv(conv) => Some((&mut conv.lo, &mut conv.hi)),
            Work::Sum(sum) => Some((&mut sum.lo, &mut sum.hi)),
            Work::FloatSum(sum) => Some((&mut sum.lo, &mut sum.hi)),
            Work::Product(product) => Some((&mut product.lo, &mut product.hi)),
            _ => None,
        }
    }
}

impl Network {
    /// A network without layers.
    pub fn new(info: ModelInfo, task: Task) -> Self {
        let target = Target::Portable;
        let (tensors, parts, layers, maps) = Default::default();
        Network { info, task, target, tensors, parts, layers, maps }
    }

    /// Adds a layer with a new output and gives the output's number.
    pub fn push(
        &mut self,
        name: &str,
        work: Work,
        input: Option<TensorId>,
        second: Option<TensorId>,
        shape: Shape,
    ) -> TensorId {
        let output = self.tensor(shape);
        self.layers.push(Layer { name: name.into(), work, input, second, output });
        output
    }

    /// A new activation that nothing writes yet.
    pub fn tensor(&mut self, shape: Shape) -> TensorId {
        self.tensors.push(shape);
        self.parts.push(None);
        self.tensors.len() - 1
    }

    /// `rows` of an activation as an activation of its own.
    pub fn part(&mut self, of: TensorId, rows: Range<usize>) -> TensorId {
        let id = self.tensor(Shape { height: rows.len(), ..self.tensors[of] });
        self.parts[id] = Some(Part { of, first: rows.start });
        id
    }

    /// What an activation is a part of (itself, if of none), and how many bytes of that lie before it.
    pub fn whole(&self, mut id: TensorId) -> (TensorId, usize) {
        let mut skipped = 0;
        while let Some(part) = self.parts[id] {
            let Shape { width, channels, .. } = self.tensors[id];
            skipped += part.first * width * channels;
            id = part.of;
        }
        (id, skipped)
    }

    /// Adds a layer that writes a part of `output`.
    pub fn push_into(&mut self, name: &str, work: Work, input: TensorId, output: TensorId) {
        self.layers.push(Layer { name: name.into(), work, input: Some(input), second: None, output });
    }

    /// Bytes of scratch that a layer needs.
    pub fn scratch_bytes(&self, layer: &Layer) -> usize {
        let (Work::Conv(conv), Some(input)) = (&layer.work, layer.input) else { return 0 };
        let Convolution { window, groups, .. } = *conv;
        let (input, output) = (self.tensors[input], self.tensors[layer.output]);
        match conv.depthwise {
            true => self.target.depthwise_scratch_bytes(input, output, window),
            false => self.target.conv_scratch_bytes(input, output, window, groups),
        }
    }

    /// The activations that are read when all layers are done.
    pub fn outputs(&self) -> Vec<TensorId> {
        match self.task {
            Task::Embedding => self.layers.last().map(|last| last.output).into_iter().collect(),
            Task::Detection => self.maps.iter().map(|&(id, _)| id).collect(),
        }
    }

    /// Folds tables that only clamp (a Clip on int8) into the layer before them, where nobody else reads that.
    pub fn fold_clamps(&mut self) {
        let mut at = 0;
        while at < self.layers.len() {
            match self.clamp_of(at) {
                Some((producer, lo, hi)) => {
                    let removed = self.layers.remove(at);
                    let layer = &mut self.layers[producer];
                    layer.output = removed.output;
                    if let Some((least, greatest)) = layer.work.clamp() {
                        (*least, *greatest) = ((*least).clamp(lo, hi), (*greatest).clamp(lo, hi));
                    }
                }
                None => at += 1,
            }
        }
    }

    /// The producer and the bounds, if layer `at` is a table that can be folded.
    fn clamp_of(&mut self, at: usize) -> Option<(usize, i8, i8)> {
        let Work::Lookup(table) = &self.layers[at].work else { return None };
        let entry = |value: i8| table[value as u8 as usize];
        let (lo, hi) = (entry(i8::MIN), entry(i8::MAX));
        if lo > hi || (i8::MIN..=i8::MAX).any(|value| entry(value) != value.clamp(lo, hi)) {
            return None;
        }
        let input = self.layers[at].input?;
        let readers =
            self.layers.iter().filter(|l| l.input == Some(input) || l.second == Some(input)).count();
        let producer = self.layers.iter().position(|l| l.output == input)?;
        let read_at_the_end = self.outputs().contains(&input);
        let folds = readers == 1 && !read_at_the_end && self.layers[producer].work.clamp().is_some();
        folds.then_some((producer, lo, hi))
    }
}
