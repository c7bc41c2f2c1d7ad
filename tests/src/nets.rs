//! Float models with random weights, of the forms that exporters write.

use arcgate::onnx::build::{GraphBuilder, float, int, ints, text, value};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tract_onnx::pb::{AttributeProto, ModelProto, tensor_proto::DataType};

/// A float graph under construction with random weights.
pub struct Net {
    /// For constants.
    pub g: GraphBuilder,
    rng: ChaCha8Rng,
    /// The last tensor.
    pub at: String,
    /// Of the last tensor.
    pub channels: usize,
    input: [usize; 3],
    count: usize,
}

impl Net {
    /// Over a picture of so many channels, rows and columns.
    pub fn new(seed: u64, input: [usize; 3]) -> Self {
        let (g, rng) = (GraphBuilder::new(), ChaCha8Rng::seed_from_u64(seed));
        Net { g, rng, at: "x".into(), channels: input[0], input, count: 0 }
    }

    fn random(&mut self, count: usize, lo: f32, hi: f32) -> Vec<f32> {
        (0..count).map(|_| self.rng.random_range(lo..hi)).collect()
    }

    fn constant(&mut self, shape: &[usize], lo: f32, hi: f32) -> String {
        let values = self.random(shape.iter().product(), lo, hi);
        self.count += 1;
        self.g.f32s(&format!("k{}", self.count), shape, &values)
    }

    /// Any operator with the last tensor as its first input.
    pub fn node(&mut self, op: &str, constants: &[String], attributes: Vec<AttributeProto>) -> &mut Self {
        let at = self.at.clone();
        let inputs: Vec<&str> =
            std::iter::once(at.as_str()).chain(constants.iter().map(String::as_str)).collect();
        self.count += 1;
        self.at = self.g.node(op, &inputs, &format!("{op}{}", self.count), attributes);
        self
    }

    /// A convolution with a bias; pads are top, left, bottom, right.
    pub fn conv(
        &mut self,
        outputs: usize,
        kernel: [usize; 2],
        stride: i64,
        pads: [i64; 4],
        group: usize,
    ) -> &mut Self {
        let taps = self.channels / group * kernel[0] * kernel[1];
        let reach = (3.0 / taps as f32).sqrt();
        let w = self.constant(&[outputs, self.channels / group, kernel[0], kernel[1]], -reach, reach);
        let b = self.constant(&[outputs], -0.2, 0.2);
        self.channels = outputs;
        let attributes =
            vec![ints("pads", &pads), ints("strides", &[stride, stride]), int("group", group as i64)];
        self.node("Conv", &[w, b], attributes)
    }

    /// A convolution of each channel by itself.
    pub fn depthwise(&mut self, kernel: [usize; 2], stride: i64, pad: i64) -> &mut Self {
        self.conv(self.channels, kernel, stride, [pad; 4], self.channels)
    }

    /// Batch normalisation.
    pub fn norm(&mut self) -> &mut Self {
        let c = [self.channels];
        let k = [
            self.constant(&c, 0.6, 1.4),
            self.constant(&c, -0.2, 0.2),
            self.constant(&c, -0.2, 0.2),
            self.constant(&c, 0.5, 1.5),
        ];
        self.node("BatchNormalization", &k, vec![float("epsilon", 1e-3)])
    }

    /// A slope a channel.
    pub fn prelu(&mut self) -> &mut Self {
        let slopes = self.constant(&[self.channels, 1, 1], -0.1, 0.4);
        self.node("PRelu", &[slopes], vec![])
    }

    /// A fully connected layer.
    pub fn gemm(&mut self, inputs: usize, outputs: usize) -> &mut Self {
        let reach = (3.0 / inputs as f32).sqrt();
        let w = self.constant(&[outputs, inputs], -reach, reach);
        let b = self.constant(&[outputs], -0.1, 0.1);
        self.channels = outputs;
        self.node("Gemm", &[w, b], vec![int("transB", 1)])
    }

    /// The last tensor times an operator of itself.
    pub fn gated(&mut self, gate: &str, attributes: Vec<AttributeProto>) -> &mut Self {
        let x = self.at.clone();
        self.node(gate, &[], attributes).node("Mul", &[x], vec![])
    }

    /// A squeeze-and-excite block: each channel times a gate that comes of the means of all.
    pub fn excite(&mut self, squeezed: usize, gate: &str, attributes: Vec<AttributeProto>) -> &mut Self {
        let (x, channels) = (self.at.clone(), self.channels);
        self.node("GlobalAveragePool", &[], vec![]).conv(squeezed, [1, 1], 1, [0; 4], 1);
        self.node("Relu", &[], vec![]).conv(channels, [1, 1], 1, [0; 4], 1).node(gate, &[], attributes);
        self.node("Mul", &[x], vec![])
    }

    /// The sum with another tensor.
    pub fn add(&mut self, other: &str) -> &mut Self {
        self.node("Add", &[other.to_owned()], vec![])
    }

    /// The model, whose output is the last tensor.
    pub fn finish(&mut self) -> ModelProto {
        let [c, h, w] = self.input;
        let input = value("x", DataType::Float, &[1, c, h, w]);
        let output = value(&self.at, DataType::Float, &[1, self.channels]);
        std::mem::take(&mut self.g).finish("net", vec![input], vec![output])
    }
}

/// Conv + BatchNormalization + PReLU, depthwise, a shared slope, global average, Flatten, Gemm + BatchNormalization.
pub fn prelu_net() -> ModelProto {
    let mut n = Net::new(1, [3, 28, 20]);
    n.conv(16, [3, 3], 2, [1; 4], 1).norm().prelu().depthwise([3, 3], 1, 1).norm();
    n.node("LeakyRelu", &[], vec![float("alpha", 0.25)]).conv(24, [1, 1], 1, [0; 4], 1).prelu();
    n.node("GlobalAveragePool", &[], vec![]).node("Flatten", &[], vec![]).gemm(24, 32).norm();
    n.finish()
}

/// 112 rows by 96 columns, relu6, residual sums with and without Relu, asymmetric pads, a global depthwise convolution.
pub fn residual_net() -> ModelProto {
    let mut n = Net::new(2, [3, 112, 96]);
    let lo = n.g.f32s("zero", &[], &[0.0]);
    let hi = n.g.f32s("six", &[], &[6.0]);
    let limits = [lo, hi];
    n.conv(8, [5, 5], 4, [2, 2, 1, 1], 1).node("Clip", &limits, vec![]);
    let skip = n.at.clone();
    n.depthwise([3, 3], 1, 1).node("Relu", &[], vec![]).conv(8, [1, 1], 1, [0; 4], 1).add(&skip);
    let skip = n.at.clone();
    n.conv(8, [3, 3], 1, [1; 4], 2).add(&skip).node("Relu", &[], vec![]);
    n.conv(24, [3, 3], 4, [1; 4], 1).norm().node("Clip", &limits, vec![]).depthwise([7, 6], 1, 0);
    n.conv(48, [1, 1], 1, [0; 4], 1);
    let shape = n.g.i64s("shape", &[2], &[-1, 48]);
    n.node("Reshape", &[shape], vec![]).finish()
}

/// Grey, a signed clip, Flatten of a map into MatMul + Add.
pub fn grey_net() -> ModelProto {
    let mut n = Net::new(3, [1, 16, 24]);
    let limits = [n.g.f32s("lo", &[], &[-0.5]), n.g.f32s("hi", &[], &[0.75])];
    n.conv(12, [3, 3], 2, [1; 4], 1).node("Clip", &limits, vec![]).conv(6, [3, 3], 2, [1; 4], 1);
    n.node("Relu", &[], vec![]).node("Flatten", &[], vec![]);
    let w = n.constant(&[6 * 4 * 6, 40], -0.15, 0.15);
    let b = n.constant(&[40], -0.1, 0.1);
    n.channels = 40;
    n.node("MatMul", &[w], vec![]).node("Add", &[b], vec![]).finish()
}

/// Batch normalisation before convolutions and after a sum, a layer read twice, Dropout, Identity.
pub fn pre_activation_net() -> ModelProto {
    let mut n = Net::new(4, [3, 24, 24]);
    n.conv(16, [3, 3], 2, [1; 4], 1).norm().prelu();
    let skip = n.at.clone();
    n.norm().conv(16, [3, 3], 1, [1; 4], 1).norm().prelu().conv(16, [3, 3], 1, [1; 4], 1).norm().add(&skip);
    n.norm().node("Identity", &[], vec![]).node("Dropout", &[], vec![]).node("Flatten", &[], vec![]);
    n.gemm(16 * 12 * 12, 64).norm().finish()
}

/// What exporters leave in a graph: arithmetic with constants before, between and after layers, Pad before a convolution that has pads
/// of its own, an average over windows, and the embedding brought to unit length.
pub fn exported_net() -> ModelProto {
    let mut n = Net::new(5, [3, 24, 20]);
    let (factor, mean) = (n.constant(&[3, 1, 1], 0.8, 1.2), n.constant(&[1, 3, 1, 1], -0.3, 0.3));
    n.node("Mul", &[factor], vec![]).node("Sub", &[mean], vec![]);
    let pads = n.g.i64s("pads", &[8], &[0, 0, 1, 0, 0, 0, 0, 1]);
    n.node("Pad", &[pads], vec![]).conv(8, [3, 3], 1, [0, 1, 1, 0], 1).node("Relu", &[], vec![]);
    let window = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
    n.node("AveragePool", &[], window).conv(16, [1, 1], 1, [0; 4], 1);
    let (by, half) = (n.g.f32s("by", &[], &[0.5]), n.g.f32s("half", &[1], &[0.5]));
    n.node("Div", &[by], vec![]).prelu().conv(24, [3, 3], 2, [1; 4], 1).node("Mul", &[half], vec![]);
    n.node("GlobalAveragePool", &[], vec![]).node("Flatten", &[], vec![]).gemm(24, 32);
    let embedding = n.at.clone();
    let least = n.g.f32s("least", &[], &[1e-12]);
    let shape = n.g.i64s("shape", &[2], &[1, 32]);
    n.node("ReduceL2", &[], vec![ints("axes", &[1]), int("keepdims", 1)]).node("Clip", &[least], vec![]);
    n.node("Expand", &[shape], vec![]);
    let length = std::mem::replace(&mut n.at, embedding);
    n.node("Div", &[length], vec![]).finish()
}

/// Activations that are curves, one of them in a residual block.
pub fn curved_net() -> ModelProto {
    let mut n = Net::new(7, [3, 28, 20]);
    n.conv(16, [3, 3], 2, [1; 4], 1).norm().node("HardSwish", &[], vec![]);
    let skip = n.at.clone();
    n.conv(32, [1, 1], 1, [0; 4], 1).node("Sigmoid", &[], vec![]).depthwise([3, 3], 1, 1);
    n.node("HardSigmoid", &[], vec![float("alpha", 0.25)]).conv(16, [1, 1], 1, [0; 4], 1).add(&skip);
    n.conv(24, [3, 3], 2, [1; 4], 1).node("HardSwish", &[], vec![]).node("GlobalAveragePool", &[], vec![]);
    n.node("Flatten", &[], vec![]).gemm(24, 32).finish()
}

/// Squeeze-and-excite blocks, one of them with HardSigmoid, a product of two maps, and activations written as products.
pub fn excited_net() -> ModelProto {
    let mut n = Net::new(8, [3, 28, 20]);
    n.conv(16, [3, 3], 2, [1; 4], 1).norm().gated("Sigmoid", vec![]);
    n.excite(4, "Sigmoid", vec![]).depthwise([3, 3], 1, 1);
    n.gated("HardSigmoid", vec![float("alpha", 1.0 / 6.0)]).conv(16, [1, 1], 1, [0; 4], 1);
    let left = n.at.clone();
    n.conv(16, [3, 3], 1, [1; 4], 1).node("Relu", &[], vec![]).node("Mul", &[left], vec![]);
    n.excite(8, "HardSigmoid", vec![]).conv(24, [3, 3], 2, [1; 4], 1).prelu();
    n.node("GlobalAveragePool", &[], vec![]).node("Flatten", &[], vec![]).gemm(24, 32).finish()
}

/// The greatest of windows with and without pads, pixels repeated two ways, channels of four maps put side by side, one of them
/// twice.
pub fn joined_net() -> ModelProto {
    let mut n = Net::new(9, [3, 24, 32]);
    let window = |kernel: i64, pads: [i64; 4], stride: i64| {
        vec![ints("kernel_shape", &[kernel; 2]), ints("pads", &pads), ints("strides", &[stride; 2])]
    };
    n.conv(8, [3, 3], 1, [1; 4], 1).node("Relu", &[], vec![]).node("MaxPool", &[], window(2, [0; 4], 2));
    let fine = n.at.clone();
    n.conv(12, [3, 3], 1, [1; 4], 1).prelu().node("MaxPool", &[], window(3, [1, 1, 0, 1], 2));
    let coarse = n.at.clone();
    let scales = n.g.f32s("scales", &[4], &[1.0, 1.0, 2.0, 2.0]);
    let floor = vec![text("coordinate_transformation_mode", "asymmetric"), text("nearest_mode", "floor")];
    n.node("Resize", &[String::new(), scales.clone()], floor);
    let wide = n.at.clone();
    n.at = coarse;
    n.conv(8, [1, 1], 1, [0; 4], 1).node("Resize", &[String::new(), scales], vec![]).add(&fine);
    let sum = n.at.clone();
    n.node("Concat", &[wide, fine, sum], vec![int("axis", 1)]);
    n.channels = 8 + 12 + 8 + 8;
    n.node("MaxPool", &[], window(2, [0; 4], 2)).conv(24, [3, 3], 2, [1; 4], 1).node("Relu", &[], vec![]);
    n.node("GlobalAveragePool", &[], vec![]).node("Flatten", &[], vec![]).gemm(24, 32).finish()
}

/// A detector as YuNet is one, of 64 rows by 96 columns: separable convolutions, three strides, the coarser ones added to the finer,
/// and twelve outputs with their cells in one row.
pub fn detector_net() -> ModelProto {
    let mut n = Net::new(10, [3, 64, 96]);
    let pool = || vec![ints("kernel_shape", &[2; 2]), ints("strides", &[2; 2])];
    let halved = |n: &mut Net, channels| {
        n.conv(channels, [1, 1], 1, [0; 4], 1).depthwise([3, 3], 1, 1).node("Relu", &[], vec![]);
        n.node("MaxPool", &[], pool());
        n.at.clone()
    };
    n.conv(8, [3, 3], 2, [1; 4], 1).node("Relu", &[], vec![]);
    halved(&mut n, 12);
    let mut maps = [halved(&mut n, 16), halved(&mut n, 16), halved(&mut n, 16)];
    let scales = n.g.f32s("scales", &[4], &[1.0, 1.0, 2.0, 2.0]);
    let floor = || vec![text("coordinate_transformation_mode", "asymmetric"), text("nearest_mode", "floor")];
    for finer in [1, 0] {
        n.node("Resize", &[String::new(), scales.clone()], floor());
        let coarse = std::mem::replace(&mut n.at, maps[finer].clone());
        n.add(&coarse).conv(16, [1, 1], 1, [0; 4], 1).depthwise([3, 3], 1, 1).node("Relu", &[], vec![]);
        maps[finer] = n.at.clone();
    }
    let mut outputs = Vec::new();
    for (map, stride) in maps.into_iter().zip([8, 16, 32]) {
        for (name, values) in [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)] {
            (n.at, n.channels) = (map.clone(), 16);
            n.conv(values, [1, 1], 1, [0; 4], 1).depthwise([3, 3], 1, 1);
            let name = format!("{name}_{stride}");
            let shape = n.g.i64s(&format!("{name}_shape"), &[3], &[1, -1, values as i64]);
            n.node("Transpose", &[], vec![ints("perm", &[0, 2, 3, 1])]).node("Reshape", &[shape], vec![]);
            let last = if values == 1 { "Sigmoid" } else { "Identity" };
            n.g.node(last, &[&n.at], &name, vec![]);
            outputs.push(value(&name, DataType::Float, &[1, 64 / stride * (96 / stride), values]));
        }
    }
    // In the order of YuNet's own file: by map, then by stride.
    let by_map = (0..4).flat_map(|map| [0, 1, 2].map(|stride| 4 * stride + map));
    let outputs = by_map.map(|at| outputs[at].clone()).collect();
    n.g.finish("detector", vec![value("x", DataType::Float, &[1, 3, 64, 96])], outputs)
}

/// Smooth pictures with light of their own in every channel.
pub fn crops(input: [usize; 3], count: usize) -> Vec<Vec<u8>> {
    let [channels, height, width] = input;
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let one = |rng: &mut ChaCha8Rng| {
        let mut wave =
            || [rng.random_range(0.0..6.0f32), rng.random_range(0.05..0.6), rng.random_range(0.05..0.6)];
        let waves: Vec<[f32; 3]> = (0..2 * channels).map(|_| wave()).collect();
        let mut crop = Vec::new();
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y as f32, x as f32))) {
            for pair in waves.chunks(2) {
                let light: f32 = pair.iter().map(|[p, a, b]| (p + a * x + b * y).sin()).sum();
                crop.push((127.0 + 60.0 * light) as u8);
            }
        }
        crop
    };
    (0..count).map(|_| one(&mut rng)).collect()
}
