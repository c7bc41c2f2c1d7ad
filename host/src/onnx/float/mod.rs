//! A float embedder or detector as a small typed graph.
//!
//! Whatever the ONNX file says in its many ways (batch normalisation, Gemm, MatMul and Add, Flatten, global pooling)
//! comes out as a few operators over feature maps, every one of them checked: sizes agree, weights are finite, the
//! order is topological. A fully connected layer is a convolution whose kernel covers the whole map, an average a
//! depthwise one, batch normalisation and arithmetic with constants are folded into the convolution before them or are a
//! depthwise 1x1 convolution. That an embedding is brought to unit length is left out: only its direction is compared.

mod apply;
mod emit;
mod error;
mod read;
mod shape;
mod windows;

use arcgate_firmware::model::Task;

pub use emit::{conv_attributes, curve, pool_attributes, tensor_name, upsample_attributes, upsample_factors};
pub use error::{NodeError, ReadError};
pub use read::{fix_input, keep_output};

/// The index of a tensor in [`FloatGraph::tensors`].
pub type TensorId = usize;

/// A feature map [1, channels, height, width].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// Its name in the ONNX file.
    pub name: String,
    /// Planes.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Map {
    /// How many values it holds.
    pub fn volume(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// How many values each plane holds.
    pub fn area(&self) -> usize {
        self.height * self.width
    }
}

/// What a [`Conv`] was in the ONNX file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConvKind {
    /// A convolution.
    Conv,
    /// Gemm or MatMul.
    Connected,
    /// An average: depthwise, all weights equal.
    Average,
    /// A batch normalisation or a constant addition with no convolution to fold into: depthwise 1x1.
    Normalise,
}

/// A two-dimensional convolution with everything linear after it folded in.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv {
    /// What it was.
    pub kind: ConvKind,
    /// Planes of the output.
    pub outputs: usize,
    /// Planes of the input that each output sees.
    pub inputs_per_group: usize,
    /// Groups; as many as planes for a depthwise convolution.
    pub group: usize,
    /// Rows and columns.
    pub kernel: [usize; 2],
    /// Down and right.
    pub strides: [usize; 2],
    /// Zeros around: top, left, bottom, right.
    pub pads: [usize; 4],
    /// [outputs, inputs_per_group, kernel rows, kernel columns].
    pub weights: Vec<f32>,
    /// One an output.
    pub bias: Vec<f32>,
}

impl Conv {
    /// Weights of one output.
    pub fn taps(&self) -> usize {
        self.inputs_per_group * self.kernel[0] * self.kernel[1]
    }

    /// Multiplies what comes out by `scale` and adds `shift`, one a channel.
    fn fold(&mut self, scale: &[f32], shift: &[f32]) {
        let taps = self.taps();
        for (channel, weights) in self.weights.chunks_exact_mut(taps).enumerate() {
            weights.iter_mut().for_each(|w| *w *= scale[channel]);
            self.bias[channel] = self.bias[channel] * scale[channel] + shift[channel];
        }
    }

    /// Multiplies each output by its factor.
    pub fn scale_outputs(&mut self, factors: &[f64]) {
        let taps = self.taps();
        let scaled = |v: &mut f32, factor: f64| *v = (f64::from(*v) * factor) as f32;
        for (channel, weights) in self.weights.chunks_exact_mut(taps).enumerate() {
            weights.iter_mut().for_each(|w| scaled(w, factors[channel]));
            scaled(&mut self.bias[channel], factors[channel]);
        }
    }

    /// Divides the weights of each input by its factor: the same outputs of inputs that are multiplied by it.
    pub fn unscale_inputs(&mut self, factors: &[f64]) {
        let (taps, area) = (self.taps(), self.kernel[0] * self.kernel[1]);
        let per_group = self.outputs / self.group;
        for (output, weights) in self.weights.chunks_exact_mut(taps).enumerate() {
            let first = output / per_group * self.inputs_per_group;
            for (input, kernel) in weights.chunks_exact_mut(area).enumerate() {
                kernel.iter_mut().for_each(|w| *w = (f64::from(*w) / factors[first + input]) as f32);
            }
        }
    }
}

/// A layer's operator.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// One input.
    Conv(Conv),
    /// The sum of two inputs of one shape.
    Add,
    /// One input, its negative values multiplied by a slope: one for all channels or one each. Relu has slope 0, a
    /// clip alone slope 1.
    Slope(Vec<f32>),
    /// One input, each value by itself through a curve.
    Curve(Curve),
    /// One input, the greatest of each window.
    MaxPool(Pool),
    /// One input, every pixel as a block of so many rows and columns.
    Upsample([usize; 2]),
    /// Any number of inputs, their channels one after the other.
    Concat,
    /// Two inputs, the second of the first's shape or of one pixel: a factor for each channel.
    Product,
}

/// How windows slide over a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Rows and columns.
    pub kernel: [usize; 2],
    /// Down and right.
    pub strides: [usize; 2],
    /// What lies around and is in no window: top, left, bottom, right.
    pub pads: [usize; 4],
}

/// A smooth or bent function of one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Curve {
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `alpha x + beta`, cut to 0 ... 1.
    HardSigmoid {
        /// The slope.
        alpha: f32,
        /// The value at 0.
        beta: f32,
    },
    /// `x` times `x / 6 + 1 / 2` cut to 0 ... 1.
    HardSwish,
    /// `x` times its sigmoid.
    Silu,
}

impl Curve {
    /// The value at `x`.
    pub fn at(self, x: f32) -> f32 {
        match self {
            Curve::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Curve::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
            Curve::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Curve::Silu => x * Curve::Sigmoid.at(x),
        }
    }
}

/// The range that a layer's values are cut to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clamp {
    /// Zero or less.
    pub lo: f32,
    /// Zero or more.
    pub hi: f32,
}

impl Clamp {
    /// No cut.
    pub const NONE: Clamp = Clamp { lo: f32::NEG_INFINITY, hi: f32::INFINITY };
}

/// One step of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// The name of the ONNX node, or of its output where the node has none.
    pub name: String,
    /// The type of the ONNX node ("Gemm"), with what was folded into it ("Conv+Relu").
    pub kind: String,
    /// What it computes.
    pub op: Op,
    /// The cut after it.
    pub clamp: Clamp,
    /// One tensor, two for [`Op::Add`] and [`Op::Product`], or more for [`Op::Concat`].
    pub inputs: Vec<TensorId>,
    /// What it makes.
    pub output: TensorId,
}

/// A float model: tensor 0 is the input.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatGraph {
    /// Every tensor between layers.
    pub tensors: Vec<Map>,
    /// Layers in an order in which each finds its inputs made.
    pub layers: Vec<Layer>,
    /// What it is for.
    pub task: Task,
    /// What it gives: the embedding, a map of one pixel; or a detector's maps, for each stride cls, obj, bbox and kps.
    pub outputs: Vec<TensorId>,
}

impl FloatGraph {
    /// The picture.
    pub fn input(&self) -> &Map {
        &self.tensors[0]
    }

    /// Whether `tensor` is an embedding, whose zero point is 0.
    pub fn is_embedding(&self, tensor: TensorId) -> bool {
        self.task == Task::Embedding && self.outputs.contains(&tensor)
    }

    /// Length of the embedding; 0 for a detector.
    pub fn dimension(&self) -> usize {
        match (self.task, self.outputs.as_slice()) {
            (Task::Embedding, &[embedding]) => self.tensors[embedding].channels,
            _ => 0,
        }
    }
}

/// The names of a detector's maps, in the order of [`FloatGraph::outputs`]: "cls_8", "obj_8" ... "kps_32".
pub fn map_names() -> impl Iterator<Item = String> {
    let strides = arcgate_firmware::detect::STRIDES.into_iter();
    strides.flat_map(|stride| ["cls", "obj", "bbox", "kps"].map(|map| format!("{map}_{stride}")))
}
