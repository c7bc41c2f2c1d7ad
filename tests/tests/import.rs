//! Float models with random weights through `quantize::import`: the int8 model runs in tract, stays close to the float
//! one, holds every proof of the lattice by itself, and lowers to a plan that gives the same bytes.

use std::collections::HashMap;

use arcgate::lower;
use arcgate::onnx::float::FloatGraph;
use arcgate::onnx::metadata::{FloatInput, Metadata};
use arcgate::onnx::tensor::{Tensor as Constant, Values};
use arcgate::quantize::lattice::{self, Quantization, Steps};
use arcgate::quantize::{self, ImportOptions, Imported};
use arcgate_firmware::embedding::Angle;
use arcgate_firmware::model::Task;
use arcgate_tests::nets::{
    crops, curved_net, detector_net, excited_net, exported_net, grey_net, joined_net, pre_activation_net,
    prelu_net, residual_net,
};
use prost::Message;
use tract_onnx::pb::{ModelProto, NodeProto};
use tract_onnx::prelude::*;

/// The program's own allocator. tract 0.23.9's AMX kernel of 8x8 tiles loads a whole tile where less is left: at the end of a
/// glibc arena of a test's thread that is a segmentation fault.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn options(channels: usize) -> ImportOptions {
    let order = if channels == 1 { "grey" } else { "bgr" };
    let (mean, std) =
        (vec![0.45, 0.5, 0.55][..channels].to_vec(), vec![0.22, 0.25, 0.28][..channels].to_vec());
    ImportOptions::new(FloatInput { order: order.into(), mean, std, template: None }, "random")
}

/// The float ONNX itself through tract, nothing folded by us.
fn float_embedding(model: &ModelProto, input: [usize; 3], crop: &[u8]) -> Vec<f32> {
    let [channels, height, width] = input;
    let options = options(channels).input;
    let plan = tract_onnx::onnx().model_for_proto_model(model).unwrap().into_optimized().unwrap();
    let plan = plan.into_runnable().unwrap();
    let area = height * width;
    let at = |i: usize| {
        let (plane, pixel) = (i / area, i % area);
        // Planes in the order blue, green, red; crops are red, green, blue.
        let byte = crop[pixel * channels + channels - 1 - plane];
        (byte as f32 / 255.0 - options.mean[plane]) / options.std[plane]
    };
    let values: Vec<f32> = (0..channels * area).map(at).collect();
    let x = Tensor::from_shape(&[1, channels, height, width], &values).unwrap();
    let out = plan.run(tvec!(x.into_tvalue())).unwrap();
    out[0].try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().to_vec()
}

fn int8_embedding(model: &ModelProto, input: [usize; 3], crop: &[u8]) -> Vec<f32> {
    let [channels, height, width] = input;
    let plan = tract_onnx::onnx().model_for_proto_model(model).unwrap().into_optimized().unwrap();
    let plan = plan.into_runnable().unwrap();
    let planes: Vec<u8> =
        (0..channels).rev().flat_map(|c| crop.iter().copied().skip(c).step_by(channels)).collect();
    let x = Tensor::from_shape(&[1, channels, height, width], &planes).unwrap();
    let out = plan.run(tvec!(x.into_tvalue())).unwrap();
    out[0].cast_to::<f32>().unwrap().try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().to_vec()
}

fn degrees(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| a as f64 * b as f64).sum::<f64>();
    Angle::from_cosine(dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()).degrees()
}

/// Proves every scale of an int8 model again from the ONNX alone; gives how many channels, sums and products, and tables it proved.
fn prove_lattice(model: &ModelProto) -> [usize; 3] {
    let graph = model.graph.as_ref().unwrap();
    let constants: HashMap<&str, Constant> =
        graph.initializer.iter().map(|t| (t.name.as_str(), Constant::of(t).unwrap())).collect();
    let makers: HashMap<&str, &NodeProto> = graph.node.iter().map(|n| (n.output[0].as_str(), n)).collect();
    let f32s = |name: &str| constants[name].f32s().unwrap().to_vec();
    let i8s = |name: &str| match &constants[name].values {
        Values::I8(v) => v.clone(),
        other => panic!("{name}: {other:?}"),
    };
    let q = |scale: &str, zero: &str| Quantization { scale: f32s(scale)[0], zero_point: i8s(zero)[0] };
    let reals = |q: Quantization| (-128..=127).map(move |v| (v - i32::from(q.zero_point)) as f32 * q.scale);
    let mut proved = [0; 3];
    for node in &graph.node {
        let input = |i: usize| node.input[i].as_str();
        match node.op_type.as_str() {
            "QLinearConv" => {
                let (x, y) = (q(input(1), input(2)), q(input(6), input(7)));
                let weights = i8s(input(3));
                let bias = constants[input(8)].i64s().unwrap();
                let scales = f32s(input(4));
                for (c, levels) in weights.chunks(weights.len() / scales.len()).enumerate() {
                    let steps = Steps::of_zero_point(y.zero_point);
                    let high = lattice::weight_scale(scales[c], x.scale, y.scale, steps)
                        .unwrap_or_else(|| panic!("{} channel {c} is off the lattice", node.name));
                    let reach: i64 = levels.iter().map(|l| l.unsigned_abs() as i64 * 255).sum();
                    assert!(lattice::shift_is_safe(high, reach + bias[c].abs()), "{} channel {c}", node.name);
                    proved[0] += 1;
                }
            }
            "QuantizeLinear" => {
                let y = q(input(1), input(2));
                let source = makers[input(0)];
                let dequantized = |name: &str| {
                    let d = makers[name];
                    q(&d.input[1], &d.input[2])
                };
                match source.op_type.as_str() {
                    "Add" => {
                        let (a, b) = (dequantized(&source.input[0]), dequantized(&source.input[1]));
                        assert!(lattice::sum(a, b, y).is_some(), "{} is off the lattice", node.name);
                        proved[1] += 1;
                    }
                    // The input's table, or x times its sigmoid, which is a table.
                    "Mul" if source.input.iter().any(|i| !makers.contains_key(i.as_str())) => {}
                    "Mul" if source.input.iter().any(|i| makers[i.as_str()].op_type == "Sigmoid") => {
                        let x = dequantized(&source.input[0]);
                        let silu = |v: f32| v / (1.0 + (-v).exp());
                        let table: Vec<f32> = reals(x).map(silu).collect();
                        assert!(
                            lattice::table_margin(&table, y.scale) >= lattice::TABLE_MARGIN,
                            "{}",
                            node.name
                        );
                        proved[2] += 1;
                    }
                    "Mul" => {
                        let (a, b) = (dequantized(&source.input[0]), dequantized(&source.input[1]));
                        assert!(lattice::product(a, b, y).is_some(), "{} is off the lattice", node.name);
                        proved[1] += 1;
                    }
                    "DequantizeLinear" => {
                        let table: Vec<f32> = reals(dequantized(input(0))).collect();
                        assert!(
                            lattice::table_margin(&table, y.scale) >= lattice::TABLE_MARGIN,
                            "{}",
                            node.name
                        );
                        proved[2] += 1;
                    }
                    "LeakyRelu" | "PRelu" => {
                        let x = dequantized(&source.input[0]);
                        let slopes = match source.op_type.as_str() {
                            "PRelu" => f32s(&source.input[1]),
                            _ => vec![source.attribute[0].f],
                        };
                        for slope in slopes {
                            let value = |v: i32| {
                                let real = (v - x.zero_point as i32) as f32 * x.scale;
                                if real < 0.0 { real * slope } else { real }
                            };
                            let table: Vec<f32> = (-128..=127).map(value).collect();
                            assert!(
                                lattice::table_margin(&table, y.scale) >= lattice::TABLE_MARGIN,
                                "{}",
                                node.name
                            );
                            proved[2] += 1;
                        }
                    }
                    "Sigmoid" | "HardSigmoid" | "HardSwish" => {
                        let x = dequantized(&source.input[0]);
                        let attribute =
                            |name: &str| source.attribute.iter().find(|a| a.name == name).unwrap().f;
                        let curve = |v: f32| match source.op_type.as_str() {
                            "Sigmoid" => 1.0 / (1.0 + (-v).exp()),
                            "HardSigmoid" => (attribute("alpha") * v + attribute("beta")).clamp(0.0, 1.0),
                            _ => v * (v / 6.0 + 0.5).clamp(0.0, 1.0),
                        };
                        let table: Vec<f32> = reals(x).map(curve).collect();
                        assert!(
                            lattice::table_margin(&table, y.scale) >= lattice::TABLE_MARGIN,
                            "{}",
                            node.name
                        );
                        proved[2] += 1;
                    }
                    other => panic!("{}: {other}", node.name),
                }
            }
            _ => {}
        }
    }
    proved
}

/// Everything that must hold of an imported model; `bound` in degrees, `proofs` as [`prove_lattice`] counts them.
fn check(float: ModelProto, input: [usize; 3], bound: f32, proofs: [usize; 3]) -> Imported {
    let crops = crops(input, 24);
    let imported =
        quantize::import(&float, &crops, &options(input[0]), &|_| ()).unwrap_or_else(|e| panic!("{e}"));
    let mut worst = 0f32;
    for crop in &crops[..8] {
        let angle =
            degrees(&float_embedding(&float, input, crop), &int8_embedding(&imported.model, input, crop));
        worst = worst.max(angle);
    }
    assert!(worst < bound, "worst angle {worst} degrees");
    assert!(imported.agreement.greatest_degrees < bound as f64, "{:?}", imported.agreement);
    assert_eq!(prove_lattice(&imported.model), proofs);
    let plan = lower::lower(&imported.model).unwrap_or_else(|e| panic!("{e}"));
    lower::prove(&imported.model, &plan, &crops[..6]).unwrap_or_else(|e| panic!("{e}"));
    let metadata = Metadata::of(&imported.model).unwrap();
    assert_eq!(metadata, imported.metadata);
    assert_eq!(metadata.calibration.unwrap().images, 18);
    imported
}

#[test]
fn prelu_and_global_average() {
    check(prelu_net(), [3, 28, 20], 6.0, [16 + 16 + 24 + 24 + 32, 0, 16 + 1 + 24]);
}

#[test]
fn residual_sums_of_112_by_96() {
    check(residual_net(), [3, 112, 96], 6.0, [8 + 8 + 8 + 8 + 24 + 24 + 48, 2, 0]);
}

#[test]
fn grey_with_a_signed_clip() {
    check(grey_net(), [1, 16, 24], 6.0, [12 + 6 + 40, 0, 0]);
}

#[test]
fn normalisation_before_convolutions() {
    check(pre_activation_net(), [3, 24, 24], 6.0, [16 * 5 + 64, 1, 32]);
}

#[test]
fn what_exporters_leave_in_a_graph() {
    check(exported_net(), [3, 24, 20], 6.0, [3 + 8 + 8 + 16 + 24 + 24 + 32, 0, 16]);
}

#[test]
fn curves_are_tables() {
    check(curved_net(), [3, 28, 20], 8.0, [16 + 32 + 32 + 16 + 24 + 24 + 32, 1, 4]);
}

#[test]
fn squeezed_and_excited() {
    // Of each block the means, the squeezed and the gate's layer; two gates and two activations are tables; three products.
    let blocks = (16 + 4 + 16) + (16 + 8 + 16);
    check(excited_net(), [3, 28, 20], 8.0, [16 + 16 + 16 + 16 + blocks + 24 + 24 + 32, 3, 4 + 24]);
}

#[test]
fn pooled_repeated_and_joined() {
    check(joined_net(), [3, 24, 32], 6.0, [8 + 12 + 8 + 24 + 24 + 32, 1, 12 + 4]);
}

/// What tests/tests/detector.rs does with a real detector.
#[test]
fn a_detectors_twelve_maps() {
    let float = detector_net();
    let graph = FloatGraph::read(&float).unwrap();
    assert_eq!((graph.task, graph.outputs.len(), graph.dimension()), (Task::Detection, 12, 0));
    let crops = crops([3, 64, 96], 24);
    let imported = quantize::import(&float, &crops, &options(3), &|_| ()).unwrap();
    assert!(imported.agreement.greatest_degrees < 6.0, "{:?}", imported.agreement);
    // Six sigmoids; the stem, four halvings, two sums' convolutions, twelve heads.
    assert_eq!(prove_lattice(&imported.model), [8 + 2 * (12 + 16 * 3 + 16 * 2 + 16 * 3), 2, 6]);
    let plan = lower::lower(&imported.model).unwrap();
    let proof = lower::prove(&imported.model, &plan, &crops[..6]).unwrap();
    assert_eq!(proof.bytes, 6 * 16 * (8 * 12 + 4 * 6 + 2 * 3));
    let metadata = Metadata::of(&imported.model).unwrap();
    assert_eq!((metadata.task, metadata.dimension), (Task::Detection, 0));

    // Without one of them it is a model of eleven outputs, of which one may be the embedding.
    let mut fewer = float.clone();
    fewer.graph.as_mut().unwrap().output.remove(3);
    let told = FloatGraph::read(&fewer).unwrap_err().to_string();
    assert!(
        told.contains("has 11 outputs: \"cls_8\", \"cls_16\"") && told.contains("--embedding NAME"),
        "{told}"
    );
}

#[test]
fn every_layer_is_blamed_for_its_part_and_a_far_model_is_refused() {
    let (float, crops) = (prelu_net(), crops([3, 28, 20], 32));
    let asked = ImportOptions { blame: true, ..options(3) };
    let imported = quantize::import(&float, &crops, &asked, &|_| ()).unwrap();
    let blame = &imported.blame;
    let names = |of: &mut dyn Iterator<Item = &String>| {
        let mut names: Vec<String> = of.cloned().collect();
        names.sort();
        names
    };
    assert_eq!(
        names(&mut blame.iter().map(|b| &b.layer)),
        names(&mut imported.layers.iter().map(|l| &l.name))
    );
    assert!(blame.is_sorted_by(|a, b| a.mean_degrees >= b.mean_degrees), "the worst first");
    // One layer does something, and none by itself much more than all together.
    let whole = imported.agreement.mean_degrees;
    assert!(blame[0].mean_degrees > 0.05 * whole && blame[0].mean_degrees < 2.0 * whole, "{blame:?} {whole}");
    for b in blame {
        assert!(b.sqnr_db.is_none_or(|db| (15.0..70.0).contains(&db)), "{b:?}");
        assert!(b.range[0] <= 0.0 && b.range[1] > 0.0 && b.saturated < 0.02, "{b:?}");
    }
    let (model, plain) = (imported.model, quantize::import(&float, &crops, &options(3), &|_| ()).unwrap());
    assert!(model == plain.model && plain.blame.is_empty(), "blaming changes nothing");

    let strict = ImportOptions { min_cosine: 0.999_999_9, ..options(3) };
    let refused = quantize::import(&float, &crops, &strict, &|_| ()).unwrap_err().to_string();
    assert!(refused.contains("asked were 0.9999999") && refused.contains(&blame[0].layer), "{refused}");
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let import = |threads: usize| {
        let pool = pool_of(threads);
        let crops = crops([3, 28, 20], 12);
        pool(Box::new(move || {
            quantize::import(&prelu_net(), &crops, &options(3), &|_| ()).unwrap().model.encode_to_vec()
        }))
    };
    assert!(import(1) == import(3), "threads changed the model");
}

/// Runs jobs in a pool of `threads`.
fn pool_of(threads: usize) -> impl Fn(Box<dyn FnOnce() -> Vec<u8> + Send>) -> Vec<u8> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    move |job| pool.install(job)
}
