//! Whole small models with random weights: tract's optimized graph and the plan give the same bytes.

use std::path::Path;

use arcgate::engine::{Kind, Model};
use arcgate::lower::{self, Goal, LowerError, Memory, Summary};
use arcgate::onnx::build::{GraphBuilder, int, ints, value};
use arcgate::onnx::identity::embedding_id;
use arcgate::onnx::metadata::{Metadata, VERSION, hex};
use arcgate::quantize::lattice::{self, Quantization, Steps};
use arcgate::quantize::pairs;
use arcgate_firmware::engine::plan::Target;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, ModelProto};

/// How the weight scales of convolutions are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scales {
    Lattice,
    /// A scale for each channel, wherever it falls.
    Off,
    /// One scale for all channels, wherever it falls.
    Uniform,
}

/// A quantized wire.
#[derive(Debug, Clone)]
struct Wire {
    name: String,
    shape: [usize; 3],
    q: Quantization,
}

/// The geometry of a convolution.
#[derive(Debug, Clone, Copy)]
struct Geometry {
    outputs: usize,
    kernel: [usize; 2],
    stride: usize,
    /// Top, left, bottom, right.
    pads: [usize; 4],
    groups: usize,
}

impl Geometry {
    fn square(outputs: usize, kernel: usize, stride: usize) -> Self {
        let pads = [kernel / 2; 4];
        Geometry { outputs, kernel: [kernel; 2], stride, pads, groups: 1 }
    }

    fn groups(self, groups: usize) -> Self {
        Geometry { groups, ..self }
    }
}

/// A model under construction.
struct Net {
    graph: GraphBuilder,
    rng: ChaCha8Rng,
    scales: Scales,
    nodes: usize,
    input: [usize; 3],
}

impl Net {
    /// Pixels `[channels, height, width]` through Cast, Sub, Mul, QuantizeLinear.
    fn new(seed: u64, scales: Scales, input: [usize; 3]) -> (Self, Wire) {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let mut net = Net { graph: GraphBuilder::new(), rng, scales, nodes: 0, input };
        let channels = input[0];
        let means: Vec<f32> = (0..channels).map(|_| net.rng.random_range(90.0..140.0)).collect();
        let factors: Vec<f32> = (0..channels).map(|_| net.rng.random_range(0.012..0.02)).collect();
        let g = &mut net.graph;
        g.node("Cast", &["pixels"], "real", vec![int("to", DataType::Float as i64)]);
        g.f32s("mean", &[channels, 1, 1], &means);
        g.f32s("factor", &[channels, 1, 1], &factors);
        g.node("Sub", &["real", "mean"], "centred", vec![]);
        g.node("Mul", &["centred", "factor"], "normal", vec![]);
        let q = Quantization { scale: 0.021, zero_point: 3 };
        let name = net.quantize("normal", "input", q);
        (net, Wire { name, shape: input, q })
    }

    fn fresh(&mut self, what: &str) -> String {
        self.nodes += 1;
        format!("{what}_{}", self.nodes)
    }

    fn output(&mut self) -> Quantization {
        let scale = self.rng.random_range(0.02..0.06);
        Quantization { scale, zero_point: self.rng.random_range(-128..30) }
    }

    fn quantize(&mut self, real: &str, output: &str, q: Quantization) -> String {
        let scale = self.graph.f32s(&format!("{output}.scale"), &[], &[q.scale]);
        let zero = self.graph.i8s(&format!("{output}.zero"), &[], &[q.zero_point]);
        self.graph.node("QuantizeLinear", &[real, &scale, &zero], output, vec![])
    }

    fn dequantize(&mut self, wire: &Wire) -> String {
        let output = self.fresh("real");
        let scale = self.graph.f32s(&format!("{output}.scale"), &[], &[wire.q.scale]);
        let zero = self.graph.i8s(&format!("{output}.zero"), &[], &[wire.q.zero_point]);
        self.graph.node("DequantizeLinear", &[&wire.name, &scale, &zero], &output, vec![])
    }

    /// A scale of the weights of one channel that makes outputs spread over int8.
    fn weight_scale(&mut self, taps: usize, x: Quantization, y: Quantization) -> f32 {
        let requant = self.rng.random_range(30.0..90.0) / ((taps as f64).sqrt() * 74.0 * 73.0);
        let wanted = requant * y.scale as f64 / x.scale as f64;
        let steps = Steps::of_zero_point(y.zero_point);
        match self.scales {
            Scales::Lattice => lattice::place_weight_scale(wanted, x.scale, y.scale, steps).unwrap().scale,
            Scales::Off | Scales::Uniform => wanted as f32,
        }
    }

    fn conv(&mut self, x: &Wire, geometry: Geometry) -> Wire {
        let q = self.output();
        self.conv_to(x, geometry, q)
    }

    fn conv_to(&mut self, x: &Wire, geometry: Geometry, q: Quantization) -> Wire {
        let Geometry { outputs, kernel, stride, pads, groups } = geometry;
        let [channels, height, width] = x.shape;
        let inner = channels / groups;
        let taps = inner * kernel[0] * kernel[1];
        let one = self.weight_scale(taps, x.q, q);
        let scales: Vec<f32> = match self.scales {
            Scales::Uniform => vec![one; outputs],
            _ => (0..outputs).map(|_| self.weight_scale(taps, x.q, q)).collect(),
        };
        let weights: Vec<i8> = (0..outputs * taps).map(|_| self.rng.random_range(-127..=127)).collect();
        let reach = ((taps as f64).sqrt() * 74.0 * 73.0) as i32;
        let bias: Vec<i32> = (0..outputs).map(|_| self.rng.random_range(-reach..=reach)).collect();
        let y = self.fresh("conv");
        let g = &mut self.graph;
        let constants = [
            g.f32s(&format!("{y}.x_scale"), &[], &[x.q.scale]),
            g.i8s(&format!("{y}.x_zero"), &[], &[x.q.zero_point]),
            g.i8s(&format!("{y}.w"), &[outputs, inner, kernel[0], kernel[1]], &weights),
            g.f32s(&format!("{y}.w_scale"), &[outputs], &scales),
            g.i8s(&format!("{y}.w_zero"), &[outputs], &vec![0; outputs]),
            g.f32s(&format!("{y}.y_scale"), &[], &[q.scale]),
            g.i8s(&format!("{y}.y_zero"), &[], &[q.zero_point]),
            g.i32s(&format!("{y}.bias"), &[outputs], &bias),
        ];
        let mut inputs = vec![x.name.as_str()];
        inputs.extend(constants.iter().map(String::as_str));
        let attributes = vec![
            ints("kernel_shape", &kernel.map(|k| k as i64)),
            ints("strides", &[stride as i64; 2]),
            ints("pads", &pads.map(|p| p as i64)),
            ints("dilations", &[1, 1]),
            int("group", groups as i64),
        ];
        let name = g.node("QLinearConv", &inputs, &y, attributes);
        let across =
            |axis: usize, size: usize| (size + pads[axis] + pads[axis + 2] - kernel[axis]) / stride + 1;
        Wire { name, shape: [outputs, across(0, height), across(1, width)], q }
    }

    /// A depthwise convolution with the kernel as large as the map.
    fn global(&mut self, x: &Wire) -> Wire {
        let [channels, height, width] = x.shape;
        let kernel = [height, width];
        self.conv(x, Geometry { outputs: channels, kernel, stride: 1, pads: [0; 4], groups: channels })
    }

    fn prelu(&mut self, x: &Wire, shared: bool) -> Wire {
        let real = self.dequantize(x);
        let count = if shared { 1 } else { x.shape[0] };
        let slopes: Vec<f32> = (0..count).map(|_| self.rng.random_range(-0.3..0.5)).collect();
        let y = self.fresh("prelu");
        let slope = self.graph.f32s(&format!("{y}.slope"), &[count, 1, 1], &slopes);
        self.graph.node("PRelu", &[&real, &slope], &format!("{y}.real"), vec![]);
        let q = self.output();
        let name = self.quantize(&format!("{y}.real"), &y, q);
        Wire { name, shape: x.shape, q }
    }

    fn unary(&mut self, operator: &str, x: &Wire, attributes: Vec<AttributeProto>) -> Wire {
        let real = self.dequantize(x);
        let y = self.fresh("unary");
        self.graph.node(operator, &[&real], &format!("{y}.real"), attributes);
        let q = self.output();
        let name = self.quantize(&format!("{y}.real"), &y, q);
        Wire { name, shape: x.shape, q }
    }

    fn add(&mut self, a: &Wire, b: &Wire, relu: bool) -> Wire {
        let mut q = self.output();
        q.scale = a.q.scale.max(b.q.scale) * 1.3;
        if self.scales == Scales::Lattice {
            q.scale = pairs::place_sum_scale(a.q, b.q, q).unwrap().0;
        }
        let (left, right) = (self.dequantize(a), self.dequantize(b));
        let y = self.fresh("add");
        let mut real = self.graph.node("Add", &[&left, &right], &format!("{y}.real"), vec![]);
        if relu {
            real = self.graph.node("Relu", &[&real], &format!("{y}.relu"), vec![]);
        }
        let name = self.quantize(&real, &y, q);
        Wire { name, shape: a.shape, q }
    }

    /// A Clip on int8.
    fn clip(&mut self, x: &Wire, lo: i8, hi: i8) -> Wire {
        let y = self.fresh("clip");
        let lo = self.graph.i8s(&format!("{y}.lo"), &[], &[lo]);
        let hi = self.graph.i8s(&format!("{y}.hi"), &[], &[hi]);
        let name = self.graph.node("Clip", &[&x.name, &lo, &hi], &y, vec![]);
        Wire { name, ..x.clone() }
    }

    fn reshape(&mut self, x: &Wire, to: &[i64], shape: [usize; 3]) -> Wire {
        let y = self.fresh("reshape");
        let dims = self.graph.i64s(&format!("{y}.shape"), &[to.len()], to);
        let name = self.graph.node("Reshape", &[&x.name, &dims], &y, vec![]);
        Wire { name, shape, q: x.q }
    }

    /// The model, with `x` flattened as its embedding.
    fn finish(mut self, x: &Wire) -> ModelProto {
        let dimension: usize = x.shape.iter().product();
        let flat = self.reshape(x, &[1, -1], [dimension, 1, 1]);
        let [channels, height, width] = self.input;
        let mut model = self.graph.finish(
            "exact",
            vec![value("pixels", DataType::Uint8, &[1, channels, height, width])],
            vec![value(&flat.name, DataType::Int8, &[1, dimension])],
        );
        let mut metadata = Metadata {
            version: VERSION,
            task: arcgate_firmware::model::Task::Embedding,
            width: width as u16,
            height: height as u16,
            order: if channels == 1 { "grey" } else { "bgr" }.into(),
            mean: vec![0.5; channels],
            std: vec![0.5; channels],
            template: None,
            dimension: dimension as u16,
            embedding_id: String::new(),
            source: "random weights".into(),
            licence: None,
            calibration: None,
            thresholds: None,
        };
        metadata.embedding_id = hex(&embedding_id(&model, &metadata));
        metadata.store(&mut model);
        model
    }
}

const EMBEDDING: Quantization = Quantization { scale: 0.05, zero_point: 0 };

/// That the arena is near its bound, and that what fits into less computes the same.
fn assert_exact_in_bands(name: &str, model: &ModelProto, target: Target, memory: &Memory, crops: &[Vec<u8>]) {
    let near =
        |memory: &Memory| assert!(20 * memory.arena_bytes <= 21 * memory.live_bytes, "{name}: {memory:?}");
    near(memory);
    let mut in_bands = 0;
    for percent in [90, 70, 50, 10] {
        let asked = memory.arena_bytes * percent / 100;
        match lower::lower_for(model, Goal { target, ram: asked }) {
            Ok(lowered) => {
                near(&lowered.memory);
                assert!(lowered.memory.arena_bytes <= asked && lowered.memory.bands.is_some(), "{name}");
                lower::prove(model, &lowered.plan, crops)
                    .unwrap_or_else(|e| panic!("{name}, {asked} bytes: {e}"));
                in_bands += 1;
            }
            Err(LowerError::Ram { asked: a, least, plain }) => {
                assert!(
                    a == asked && least > asked && plain == memory.arena_bytes && least <= plain,
                    "{name}"
                );
            }
            Err(other) => panic!("{name}, {asked} bytes: {other}"),
        }
    }
    // Scratch that no band makes smaller may be most of a small net's arena.
    assert!(in_bands > 0 || target != Target::Portable, "{name}: nothing fits into less");
}

/// Lowers, runs both engines on synthetic crops, and returns what the plan holds.
fn assert_exact(name: &str, model: &ModelProto) -> Summary {
    let lowered = lower::lower_named(model).unwrap_or_else(|e| panic!("{name}: {e}"));
    let opened = Model::from_onnx(Path::new(name), model.clone()).unwrap();
    let crops = lower::synthetic_crops(opened.info(), 24);
    let report = lower::prove(model, &lowered.plan, &crops).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(report.bytes, 24 * opened.info().dimension as usize);
    // The embeddings differ from each other: a constant would prove nothing.
    let mut engine = opened.embedder(Kind::Plan).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for crop in &crops {
        let mut out = vec![0; opened.info().dimension as usize];
        engine.embed(crop, &mut out).unwrap();
        seen.insert(out);
    }
    assert!(seen.len() > 12, "{name}: {} different embeddings", seen.len());
    assert_exact_in_bands(name, model, Target::Portable, &lowered.memory, &crops);
    // With packed weights the same crops give the same bytes.
    for target in [Target::Dsp, Target::Mve] {
        let packed = Goal { target, ..Goal::default() };
        let packed = lower::lower_for(model, packed).unwrap_or_else(|e| panic!("{name}: {e}"));
        lower::prove(model, &packed.plan, &crops).unwrap_or_else(|e| panic!("{name}, packed: {e}"));
        assert_exact_in_bands(name, model, target, &packed.memory, &crops);
    }
    Summary::of(&lowered.plan, Some(&lowered.names)).unwrap()
}

fn operations(summary: &Summary) -> Vec<&str> {
    summary.layers.iter().map(|l| l.operation.as_str()).collect()
}

/// A bit of everything, on one way of choosing scales.
fn everything(seed: u64, scales: Scales, input: [usize; 3]) -> ModelProto {
    let (mut net, x) = Net::new(seed, scales, input);
    let x = net.conv(&x, Geometry::square(13, 3, 2));
    let x = net.prelu(&x, false);
    let y = net.conv(&x, Geometry::square(13, 3, 1).groups(13));
    let y = net.prelu(&y, true);
    let y = net.conv(&y, Geometry::square(13, 1, 1));
    let x = net.add(&x, &y, false);
    let x = net.conv(&x, Geometry::square(40, 1, 1));
    let x = net.conv(&x, Geometry::square(40, 3, 2).groups(40));
    let x = net.conv(&x, Geometry::square(24, 1, 1));
    let y = net.conv(&x, Geometry::square(24, 3, 1).groups(4));
    let x = net.add(&y, &x, true);
    let x = net.global(&x);
    let x = net.conv_to(&x, Geometry::square(32, 1, 1), EMBEDDING);
    net.finish(&x)
}

#[test]
fn everything_on_the_lattice() {
    for (seed, input) in [(1, [3, 28, 24]), (2, [3, 112, 96]), (3, [1, 33, 17])] {
        let summary = assert_exact(&format!("lattice {seed}"), &everything(seed, Scales::Lattice, input));
        assert_eq!(summary.off_lattice_layers, 0, "{:#?}", summary.layers);
        assert!(operations(&summary).contains(&"prelu"));
    }
}

#[test]
fn everything_off_the_lattice() {
    for seed in [11, 12, 13] {
        let summary = assert_exact(&format!("off {seed}"), &everything(seed, Scales::Off, [3, 28, 24]));
        assert!(summary.layers.iter().any(|l| l.requantization == "f32 per channel"));
    }
}

#[test]
fn everything_with_one_scale_a_layer() {
    for seed in [21, 22, 23] {
        let summary =
            assert_exact(&format!("uniform {seed}"), &everything(seed, Scales::Uniform, [3, 28, 24]));
        assert!(summary.layers.iter().any(|l| l.requantization == "exact product"));
    }
}

#[test]
fn flattened_maps_in_front_of_a_fully_connected_layer() {
    let (mut net, x) = Net::new(31, Scales::Lattice, [3, 20, 16]);
    let x = net.conv(&x, Geometry::square(10, 3, 2));
    let x = net.conv(&x, Geometry::square(6, 3, 2));
    let flat: usize = x.shape.iter().product();
    let x = net.reshape(&x, &[1, flat as i64, 1, 1], [flat, 1, 1]);
    let x = net.conv_to(&x, Geometry::square(19, 1, 1), EMBEDDING);
    let summary = assert_exact("flatten", &net.finish(&x));
    assert_eq!(operations(&summary).last(), Some(&"fully connected"));
}

#[test]
fn odd_windows_and_strided_products() {
    let (mut net, x) = Net::new(41, Scales::Lattice, [3, 23, 18]);
    let geometry = Geometry { outputs: 9, kernel: [5, 2], stride: 2, pads: [2, 0, 1, 1], groups: 3 };
    let x = net.conv(&x, geometry);
    let x = net.conv(&x, Geometry::square(18, 3, 1).groups(9));
    // Two readers, so that tract cannot move the stride of the first into the layer before.
    let strided = Geometry { outputs: 16, kernel: [1, 1], stride: 2, pads: [0; 4], groups: 1 };
    let y = net.conv(&x, strided);
    let z = net.conv(&x, Geometry::square(16, 3, 2));
    let x = net.add(&y, &z, false);
    let whole = [x.shape[1], x.shape[2]];
    let x = net.conv(&x, Geometry { outputs: 8, kernel: whole, stride: 1, pads: [0; 4], groups: 1 });
    let x = net.conv_to(&x, Geometry::square(16, 1, 1), EMBEDDING);
    let summary = assert_exact("odd", &net.finish(&x));
    assert!(operations(&summary).contains(&"pointwise /2"), "{:?}", operations(&summary));
}

#[test]
fn tables_and_clamps() {
    let (mut net, x) = Net::new(51, Scales::Lattice, [3, 16, 16]);
    let x = net.conv(&x, Geometry::square(8, 3, 2));
    let x = net.clip(&x, -90, 71);
    let x = net.conv(&x, Geometry::square(8, 1, 1));
    let x = net.unary("Sigmoid", &x, vec![]);
    let x = net.conv(&x, Geometry::square(8, 1, 1));
    let x = net.unary("HardSwish", &x, vec![]);
    let x = net.conv_to(&x, Geometry::square(4, 1, 2), EMBEDDING);
    let summary = assert_exact("tables", &net.finish(&x));
    let operations = operations(&summary);
    // The clip went into the convolution, and the map in plane order is the embedding.
    assert_eq!(operations.iter().filter(|o| **o == "table").count(), 2, "{operations:?}");
    assert_eq!(operations.last(), Some(&"to planes"));
}

#[test]
fn what_has_no_integer_form_is_refused_by_name() {
    let (mut net, x) = Net::new(61, Scales::Lattice, [3, 16, 16]);
    let x = net.conv(&x, Geometry::square(8, 3, 2));
    let y = net.conv(&x, Geometry::square(8, 1, 1));
    let (left, right) = (net.dequantize(&x), net.dequantize(&y));
    net.graph.node("Sub", &[&left, &right], "difference", vec![]);
    let name = net.quantize("difference", "quantized", x.q);
    let x = Wire { name, ..x };
    let x = net.global(&x);
    let x = net.conv_to(&x, Geometry::square(16, 1, 1), EMBEDDING);
    match lower::lower(&net.finish(&x)) {
        Err(LowerError::Node { node, accepted, .. }) => {
            assert_eq!(node, "difference");
            assert!(accepted.contains("the sum or the product of two tensors"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_embedding_with_a_zero_point_is_refused() {
    let (mut net, x) = Net::new(62, Scales::Lattice, [3, 16, 16]);
    let x = net.conv(&x, Geometry::square(8, 3, 2));
    let x = net.global(&x);
    let x = net.conv_to(&x, Geometry::square(16, 1, 1), Quantization { scale: 0.05, zero_point: 4 });
    let error = lower::lower(&net.finish(&x)).unwrap_err().to_string();
    assert!(error.contains("zero point 4") && error.contains("accepted: zero point 0"), "{error}");
}

#[test]
fn a_first_stage_in_bands_takes_less_and_computes_the_same() {
    let path = arcgate_tests::data::workspace().join("models/synth-s/synth-s.onnx");
    let model = arcgate::onnx::file::read(&path).unwrap();
    let plain = lower::lower_named(&model).unwrap();
    let asked = plain.memory.arena_bytes * 9 / 10;
    let bands = lower::lower_for(&model, Goal { ram: asked, ..Goal::default() }).unwrap();
    println!("{:?}, in bands {:?}", plain.memory, bands.memory);
    assert_eq!((plain.memory.bands, plain.memory.plain_bytes), (None, plain.memory.arena_bytes));
    assert!(bands.memory.arena_bytes <= asked && bands.memory.bands.is_some_and(|bands| bands.count > 1));
    // Bands share their weights: only records are added.
    let weights = |plan: &[u8]| Summary::of(plan, None).unwrap().weight_bytes;
    assert_eq!(weights(&bands.plan), weights(&plain.plan));
    assert!(bands.plan.len() < plain.plan.len() + 64 * (bands.names.len() - plain.names.len()) + 16);
    let crops = lower::synthetic_crops(Model::from_onnx(&path, model.clone()).unwrap().info(), 24);
    lower::prove(&model, &bands.plan, &crops).unwrap();
    match lower::lower_for(&model, Goal { ram: 1000, ..Goal::default() }) {
        Err(LowerError::Ram { asked: 1000, least, .. }) => {
            let least =
                lower::lower_for(&model, Goal { ram: least, ..Goal::default() }).unwrap().memory.arena_bytes;
            assert!(least < asked, "{least}");
        }
        other => panic!("{:?}", other.map(|lowered| lowered.memory)),
    }
    // As little as there can be with packed weights.
    for target in [Target::Dsp, Target::Mve] {
        let within = |ram| lower::lower_for(&model, Goal { target, ram });
        let Err(LowerError::Ram { least, plain, .. }) = within(1000) else { panic!("{target:?}") };
        let banded = within(least).unwrap();
        assert!(least < plain && banded.memory.bands.is_some(), "{target:?}: {least} of {plain}");
        lower::prove(&model, &banded.plan, &crops).unwrap();
    }
}

#[test]
fn the_proof_notices_one_wrong_byte() {
    let model = everything(71, Scales::Lattice, [3, 28, 24]);
    let mut plan = lower::lower(&model).unwrap();
    let info = Model::from_onnx(Path::new("m"), model.clone()).unwrap().info().clone();
    // The last multiplier of the last layer, half as large: the last value of every embedding changes.
    let end = plan.len();
    let last = i32::from_le_bytes(plan[end - 4..].try_into().unwrap());
    plan[end - 4..].copy_from_slice(&(last / 2).to_le_bytes());
    let sum = arcgate_firmware::engine::plan::checksum(&plan);
    plan[16..20].copy_from_slice(&sum.to_le_bytes());
    let crops = lower::synthetic_crops(&info, 8);
    match lower::prove(&model, &plan, &crops) {
        Err(LowerError::Difference { byte, length, .. }) => assert_eq!((byte, length), (31, 32)),
        other => panic!("{other:?}"),
    }
}
