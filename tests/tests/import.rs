//! Float models with random weights through `quantize::import`: the int8 model runs in tract, stays close to the float
//! one, holds every proof of the lattice by itself, and lowers to a plan that gives the same bytes.

use std::collections::HashMap;

use arcgate::lower;
use arcgate::onnx::build::{int, ints, value};
use arcgate::onnx::float::{FloatGraph, keep_output};
use arcgate::onnx::metadata::{FloatInput, Metadata};
use arcgate::onnx::tensor::{Tensor as Constant, Values};
use arcgate::quantize::lattice::{self, Quantization, Steps};
use arcgate::quantize::{self, ImportOptions, Imported};
use arcgate_firmware::embedding::Angle;
use arcgate_firmware::engine::Task;
use arcgate_tests::nets::{
    Net, crops, curved_net, detector_net, excited_net, exported_net, grey_net, joined_net,
    pre_activation_net, prelu_net, residual_net,
};
use prost::Message;
use tract_onnx::pb::{
    AttributeProto, ModelProto, NodeProto, tensor_proto::DataType, tensor_shape_proto, type_proto,
};
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
fn one_of_several_outputs() {
    let mut model = prelu_net();
    let graph = model.graph.as_mut().unwrap();
    let hidden = graph.node.iter().find(|n| n.op_type == "Flatten").unwrap().output[0].clone();
    let last = graph.output[0].clone();
    graph.output.push(tract_onnx::pb::ValueInfoProto { name: hidden.clone(), ..last });
    let told = keep_output(&mut model.clone(), "logits").unwrap_err().to_string();
    assert!(told.contains("no output is named \"logits\"") && told.contains(&hidden), "{told}");
    let mut first = model.clone();
    keep_output(&mut first, &hidden).unwrap();
    assert_eq!(FloatGraph::read(&first).unwrap().dimension(), 24, "what the last layer reads");
    assert!(FloatGraph::read(&model).is_err());
}

#[test]
fn a_picture_with_its_channels_last_and_an_embedding_of_one_pixel() {
    let net = |first: bool| {
        let mut n = Net::new(6, [3, 20, 12]);
        if !first {
            n.node("Transpose", &[], vec![ints("perm", &[0, 3, 1, 2])]);
        }
        n.conv(8, [3, 3], 2, [1; 4], 1).node("GlobalAveragePool", &[], vec![]).conv(16, [1, 1], 1, [0; 4], 1);
        let tail = if first { ("Flatten", vec![]) } else { ("Transpose", vec![ints("perm", &[0, 2, 3, 1])]) };
        let mut model = n.node(tail.0, &[], tail.1).finish();
        if !first {
            let graph = model.graph.as_mut().unwrap();
            graph.input[0] = value("x", DataType::Float, &[1, 20, 12, 3]);
        }
        let mut graph = FloatGraph::read(&model).unwrap();
        graph.tensors.iter_mut().for_each(|t| t.name.clear());
        graph.layers.iter_mut().for_each(|l| l.name.clear());
        graph
    };
    let (first, last) = (net(true), net(false));
    assert_eq!((last.input().channels, last.input().height, last.input().width), (3, 20, 12));
    assert!(first == last, "the same network whatever the order of its input's axes");
}

#[test]
fn open_sizes_are_fixed_and_no_others() {
    let mut open = exported_net();
    let anew = |dims: &[i64]| {
        let mut model = open.clone();
        arcgate::onnx::float::fix_input(&mut model, dims).map(|()| FloatGraph::read(&model).unwrap())
    };
    let fixed = FloatGraph::read(&open).unwrap();
    assert!(anew(&[1, 3, 24, 20]).unwrap() == fixed, "what the file says already");
    let other = anew(&[1, 3, 24, 21]).unwrap_err().to_string();
    assert!(other.starts_with("axis 3 of the input \"x\" is 20, asked for 21"), "{other}");
    assert!(anew(&[3, 24, 20]).unwrap_err().to_string().contains("does not have 3 axes"));

    // As dynamic exports have it: a name instead of a size.
    let graph = open.graph.as_mut().unwrap();
    let Some(type_proto::Value::TensorType(tensor)) =
        graph.input[0].r#type.as_mut().and_then(|t| t.value.as_mut())
    else {
        panic!("a tensor")
    };
    for axis in [0, 2, 3] {
        let name = Some(tensor_shape_proto::dimension::Value::DimParam(format!("d{axis}")));
        tensor.shape.as_mut().unwrap().dim[axis].value = name;
    }
    let refused = FloatGraph::read(&open).unwrap_err().to_string();
    assert!(refused.contains("[?, 3, ?, ?]") && refused.contains("--input"), "{refused}");
    let dims = [1, 3, 24, 20];
    let mut model = open.clone();
    arcgate::onnx::float::fix_input(&mut model, &dims).unwrap();
    assert!(FloatGraph::read(&model).unwrap() == fixed);
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

/// What reading `model` after `change` says.
fn told(change: impl FnOnce(&mut tract_onnx::pb::GraphProto)) -> String {
    let mut model = prelu_net();
    change(model.graph.as_mut().unwrap());
    FloatGraph::read(&model).map(|_| String::new()).unwrap_or_else(|e| e.to_string())
}

#[test]
fn what_is_not_taken_is_named() {
    let first = |g: &mut tract_onnx::pb::GraphProto, a: AttributeProto| {
        g.node[0].attribute.retain(|old| old.name != a.name);
        g.node[0].attribute.push(a);
    };
    assert_eq!(
        told(|g| g.node[2].op_type = "Softplus".into()),
        "node \"PRelu10\" (Softplus): an operator without an integer form here\n  between tensors \
         \"BatchNormalization8\", \"k9\" and \"PRelu10\"\n  accepted: Conv, BatchNormalization, Relu, Clip, LeakyRelu, \
         PRelu, Sigmoid, HardSigmoid, HardSwish, Add, Mul, Sub and Div by constants, Concat of channels, Gemm, MatMul, Flatten, \
         Reshape, Squeeze, Unsqueeze, Transpose at the ends, Pad before a Conv, MaxPool, AveragePool, GlobalAveragePool, \
         Resize and Upsample that repeat pixels, ReduceMean over the map, ReduceL2 and Div or LpNormalization of the \
         embedding, Identity, Dropout, Constant"
    );
    assert_eq!(
        told(|g| first(g, ints("dilations", &[2, 2]))),
        "node \"Conv3\" (Conv): attribute dilations = [2, 2]\n  between tensors \"x\", \"k1\", \"k2\" and \"Conv3\"\n  \
         accepted: dilations = [1, 1]"
    );
    let auto_pad = AttributeProto { s: b"SAME_UPPER".to_vec(), ..text("auto_pad") };
    assert_eq!(
        told(|g| first(g, auto_pad)).lines().next().unwrap(),
        "node \"Conv3\" (Conv): attribute auto_pad = \"SAME_UPPER\""
    );
    assert_eq!(
        told(|g| first(g, ints("pads", &[1, 1, -1, 1]))).lines().next().unwrap(),
        "node \"Conv3\" (Conv): attribute pads = [1, 1, -1, 1]"
    );
    assert_eq!(
        told(|g| g.initializer[0].raw_data[..4].copy_from_slice(&f32::NAN.to_le_bytes()))
            .lines()
            .next()
            .unwrap(),
        "node \"Conv3\" (Conv): constant \"k1\" holds NaN at index 0"
    );
    assert_eq!(
        told(|g| g.node[1].input[0] = "Gemm21".into()).lines().next().unwrap(),
        "node \"BatchNormalization8\" (BatchNormalization): no earlier node makes \"Gemm21\""
    );
    assert_eq!(told(|g| g.initializer[0].dims[0] = -16), "constant \"k1\" has the dimensions [-16, 3, 3, 3]");
}

#[test]
fn what_exporters_leave_is_taken_only_where_it_means_something() {
    let told = |op: &str, change: &dyn Fn(&mut NodeProto)| {
        let mut model = exported_net();
        change(model.graph.as_mut().unwrap().node.iter_mut().find(|n| n.op_type == op).unwrap());
        let error = FloatGraph::read(&model).map(|_| String::new()).unwrap_or_else(|e| e.to_string());
        error.lines().next().unwrap_or_default().to_owned()
    };
    let ends = |told: String, wanted: &str| assert!(told.ends_with(wanted), "{told}");
    let relu = |n: &mut NodeProto| (n.op_type, n.attribute) = ("Relu".into(), vec![]);
    ends(told("Conv", &relu), "(Relu): its input was padded");
    ends(
        told("Pad", &|n| n.attribute.push(AttributeProto { s: b"reflect".to_vec(), ..text("mode") })),
        "(Pad): attribute mode = \"reflect\"",
    );
    ends(
        told("AveragePool", &|n| n.attribute.push(ints("pads", &[1, 1, 1, 1]))),
        "(AveragePool): pads [1, 1, 1, 1] that are left out of the average",
    );
    ends(told("AveragePool", &|n| n.attribute.push(int("ceil_mode", 1))), "attribute ceil_mode = 1");
    ends(told("Sub", &|n| n.input[1] = "nothing".into()), "no earlier node makes \"nothing\"");
    ends(
        told("ReduceL2", &|n| n.attribute = vec![ints("axes", &[0])]),
        "(ReduceL2): over the axes [0] of [1, 32]",
    );
    ends(told("ReduceL2", &|n| n.input[0] = "x".into()), "over the axes [1] of [1, 3, 24, 20]");
    // A length with something else in it is no length.
    let plus =
        |other: &'static str| move |n: &mut NodeProto| (n.op_type, n.input[1]) = ("Add".into(), other.into());
    assert_eq!(told("Clip", &plus("least")), "", "a length that is kept from zero");
    ends(told("Clip", &plus("x")), "(Add): input 1 (\"x\") is computed");

    // Something after the unit length.
    let mut model = exported_net();
    let graph = model.graph.as_mut().unwrap();
    let (last, embedding) = (graph.node.last().unwrap().output[0].clone(), graph.output[0].clone());
    let mut more = graph.node.iter().find(|n| n.op_type == "Relu").unwrap().clone();
    (more.name, more.input, more.output) = ("more".into(), vec![last], vec!["more".into()]);
    graph.node.push(more);
    graph.output = vec![tract_onnx::pb::ValueInfoProto { name: "more".into(), ..embedding }];
    let error = FloatGraph::read(&model).unwrap_err().to_string();
    assert!(error.contains("layers follow the unit length"), "{error}");
}

#[test]
fn what_moves_values_is_taken_only_where_it_moves_them() {
    let told = |op: &str, change: &dyn Fn(&mut NodeProto)| {
        let mut model = joined_net();
        change(model.graph.as_mut().unwrap().node.iter_mut().find(|n| n.op_type == op).unwrap());
        let error = FloatGraph::read(&model).map(|_| String::new()).unwrap_or_else(|e| e.to_string());
        error.lines().next().unwrap_or_default().to_owned()
    };
    let ends = |told: String, wanted: &str| assert!(told.ends_with(wanted), "{told}");
    ends(told("MaxPool", &|n| n.attribute.push(int("ceil_mode", 1))), "attribute ceil_mode = 1");
    ends(told("MaxPool", &|n| n.attribute.remove(0).i = 0), "attribute kernel_shape = []");
    ends(told("Concat", &|n| n.attribute = vec![int("axis", 2)]), "(Concat): attribute axis = 2");
    ends(
        told("Concat", &|n| n.input[1] = "x".into()),
        "[1, 8, 12, 16] with [1, 3, 24, 32] with [1, 8, 12, 16] with [1, 8, 12, 16]",
    );
    let linear =
        |n: &mut NodeProto| n.attribute.push(AttributeProto { s: b"linear".to_vec(), ..text("mode") });
    ends(
        told("Resize", &linear),
        "(Resize): mode \"linear\" by \"asymmetric\" and \"floor\" to [1.0, 1.0, 2.0, 2.0]",
    );
    let aligned = |n: &mut NodeProto| n.attribute[0].s = b"align_corners".to_vec();
    ends(told("Resize", &aligned), "by \"align_corners\" and \"floor\" to [1.0, 1.0, 2.0, 2.0]");
    let mut model = excited_net();
    let graph = model.graph.as_mut().unwrap();
    let last = graph.node.iter_mut().rfind(|n| n.op_type == "Mul").unwrap();
    last.input[0] = "x".into();
    let error = FloatGraph::read(&model).unwrap_err().to_string();
    assert!(error.contains("(Mul): a product of [1, 3, 28, 20] and [1, 16, 14, 10]"), "{error}");
}

/// A text attribute without its text.
fn text(name: &str) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: 3, ..Default::default() }
}

/// What is damaged.
const DAMAGED: [fn() -> ModelProto; 7] =
    [prelu_net, residual_net, grey_net, pre_activation_net, excited_net, joined_net, detector_net];

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(400))]

    /// A cut or bit-flipped file is an error in words or still a graph of arcgate's form, never a panic.
    #[test]
    fn damage_is_an_error(
        which in 0..7usize,
        cut in proptest::option::of(0.0..1.0f64),
        flips in proptest::collection::vec((0.0..1.0f64, 0..8u8), 0..6),
    ) {
        let model = DAMAGED[which]();
        let mut bytes = model.encode_to_vec();
        for (at, bit) in flips {
            let at = (at * bytes.len() as f64) as usize;
            bytes[at] ^= 1 << bit;
        }
        if let Some(part) = cut {
            bytes.truncate((part * bytes.len() as f64) as usize);
        }
        if let Ok(model) = arcgate::onnx::file::decode(&bytes) {
            match FloatGraph::read(&model) {
                Ok(graph) => {
                    let gives = graph.dimension() > 0 || graph.outputs.len() == 12;
                    proptest::prop_assert!(gives && !graph.layers.is_empty());
                }
                Err(error) => proptest::prop_assert!(!error.to_string().is_empty()),
            }
        }
    }

    /// Damage to the structure, where random bytes seldom hit: names, dimensions, attributes.
    #[test]
    fn a_damaged_int8_model_is_refused_or_the_same(
        hits in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 1u8..), 1..4),
    ) {
        let path = arcgate_tests::data::workspace().join("models/synth-s/synth-s.onnx");
        let whole = std::fs::read(&path).unwrap();
        let plan = |bytes: &[u8]| {
            let model = arcgate::onnx::file::decode(bytes).ok()?;
            Some(arcgate::engine::Model::from_onnx(&path, model).ok()?.plan_bytes().to_vec())
        };
        let mut damaged = whole.clone();
        for (at, mask) in hits {
            damaged[at.index(whole.len())] ^= mask;
        }
        if let Some(found) = plan(&damaged) {
            // Names, the record of the calibration, the threshold: nothing that moves an embedding.
            let info = |plan: &[u8]| arcgate_firmware::engine::plan::Plan::parse(plan).unwrap().info().clone();
            let (mut theirs, ours) = (info(&found), info(&plan(&whole).unwrap()));
            theirs.threshold = ours.threshold;
            proptest::prop_assert_eq!(theirs, ours);
            proptest::prop_assert_eq!(found.len(), plan(&whole).unwrap().len());
        }
    }

    #[test]
    fn damaged_structure_is_an_error(
        which in 0..7usize,
        kind in 0..6u8,
        pick in 0..1000usize,
        number in proptest::sample::select(vec![i64::MIN, -1, 0, 1, 2, 3, 7, 1 << 20, i64::MAX]),
    ) {
        let mut model = DAMAGED[which]();
        let graph = model.graph.as_mut().unwrap();
        let (nodes, constants) = (graph.node.len(), graph.initializer.len());
        let node = pick % nodes;
        match kind {
            0 => {
                let name = graph.node[(pick / 7) % nodes].output[0].clone();
                let inputs = &mut graph.node[node].input;
                let at = pick % inputs.len();
                inputs[at] = name;
            }
            1 => {
                let dims = &mut graph.initializer[pick % constants].dims;
                match dims.len() {
                    0 => dims.push(number),
                    length => dims[pick % length] = number,
                }
            }
            2 => {
                for attribute in &mut graph.node[node].attribute {
                    attribute.i = number;
                    attribute.ints.iter_mut().for_each(|i| *i = number);
                }
            }
            3 => drop(graph.node[node].input.pop()),
            4 => drop(graph.node.remove(node)),
            _ => graph.node[node].op_type = graph.node[(pick / 5) % nodes].op_type.clone(),
        }
        if let Err(error) = FloatGraph::read(&model) {
            proptest::prop_assert!(!error.to_string().is_empty());
        }
    }
}
