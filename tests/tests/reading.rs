//! Real exports come in every shape: what is read of float models, and what is refused and how.

use arcgate::onnx::build::{GraphBuilder, float, int, ints, text, value};
use arcgate::onnx::float::{FloatGraph, keep_output};
use arcgate_tests::nets::{
    Net, detector_net, excited_net, exported_net, grey_net, joined_net, pre_activation_net, prelu_net,
    residual_net,
};
use prost::Message;
use tract_onnx::pb::{
    AttributeProto, ModelProto, NodeProto, tensor_proto::DataType, tensor_shape_proto, type_proto,
};

/// One network as operator set `version` has it: what became of attributes, of Upsample and of Dropout's ratio.
fn at_version(version: i64) -> ModelProto {
    let mut g = GraphBuilder::new();
    let w = g.f32s(
        "w",
        &[6, 3, 3, 3],
        &(0..162).map(|i| ((i * 37 % 23) as f32 - 11.0) / 40.0).collect::<Vec<_>>(),
    );
    let v =
        g.f32s("v", &[6, 6, 1, 1], &(0..36).map(|i| ((i * 29 % 17) as f32 - 8.0) / 20.0).collect::<Vec<_>>());
    let b = g.f32s("b", &[6], &[0.1, -0.2, 0.05, 0.0, 0.3, -0.1]);
    // Lists that became inputs at some version.
    let list = |g: &mut GraphBuilder,
                op: &str,
                x: &str,
                name: &str,
                values: &[i64],
                since: i64,
                rest: Vec<AttributeProto>| {
        let output = format!("{op}_of_{x}");
        if version < since {
            let attributes = std::iter::once(ints(name, values)).chain(rest).collect();
            return g.node(op, &[x], &output, attributes);
        }
        let list = g.i64s(&format!("{output}_{name}"), &[values.len()], values);
        g.node(op, &[x, &list], &output, rest)
    };
    let padded = list(&mut g, "Pad", "x", "pads", &[0, 0, 1, 1, 0, 0, 1, 1], 11, vec![]);
    let made = g.node("Conv", &[&padded, &w, &b], "made", vec![ints("strides", &[2, 2])]);
    let cut = if version < 11 {
        g.node("Clip", &[&made], "cut", vec![float("min", 0.0), float("max", 6.0)])
    } else {
        let (lo, hi) = (g.f32s("lo", &[], &[0.0]), g.f32s("hi", &[], &[6.0]));
        g.node("Clip", &[&made, &lo, &hi], "cut", vec![])
    };
    let scales = g.f32s("scales", &[4], &[1.0, 1.0, 2.0, 2.0]);
    let repeats = vec![
        text("coordinate_transformation_mode", "asymmetric"),
        text("mode", "nearest"),
        text("nearest_mode", "floor"),
    ];
    let wide = match version {
        ..=9 => g.node("Upsample", &[&cut, &scales], "wide", vec![text("mode", "nearest")]),
        10 => g.node("Resize", &[&cut, &scales], "wide", vec![text("mode", "nearest")]),
        _ => g.node("Resize", &[&cut, "", &scales], "wide", repeats),
    };
    let ratio = if version < 12 { vec![float("ratio", 0.4)] } else { vec![] };
    let kept = g.node("Dropout", &[&wide], "kept", ratio);
    let means = list(&mut g, "ReduceMean", &kept, "axes", &[2, 3], 18, vec![int("keepdims", 0)]);
    let map = list(&mut g, "Unsqueeze", &means, "axes", &[2, 3], 13, vec![]);
    let last = g.node("Conv", &[&map, &v], "last", vec![]);
    let flat = list(&mut g, "Squeeze", &last, "axes", &[2, 3], 13, vec![]);
    let length = list(&mut g, "ReduceL2", &flat, "axes", &[1], 18, vec![int("keepdims", 1)]);
    g.node("Div", &[&flat, &length], "embedding", vec![]);
    let (x, y) = (value("x", DataType::Float, &[1, 3, 16, 12]), value("embedding", DataType::Float, &[1, 6]));
    let mut model = g.finish("net", vec![x], vec![y]);
    model.opset_import[0].version = version;
    model
}

#[test]
fn one_network_at_every_operator_set() {
    let read = |model: &ModelProto| {
        let mut graph = FloatGraph::read(model).unwrap_or_else(|e| panic!("{e}"));
        graph.tensors.iter_mut().for_each(|t| t.name.clear());
        graph.layers.iter_mut().for_each(|l| (l.name, l.kind) = Default::default());
        graph
    };
    let newest = read(&at_version(21));
    assert_eq!(
        (newest.layers.len(), newest.dimension()),
        (4, 6),
        "two convolutions, an enlargement and a mean"
    );
    for version in 9..=21 {
        assert!(read(&at_version(version)) == newest, "operator set {version}");
    }
    // Weights as Constant nodes, the way some exporters write all of them.
    let mut model = at_version(17);
    let graph = model.graph.as_mut().unwrap();
    for (at, constant) in std::mem::take(&mut graph.initializer).into_iter().enumerate() {
        let output = vec![constant.name.clone()];
        let value =
            AttributeProto { name: "value".into(), r#type: 4, t: Some(constant), ..Default::default() };
        let node =
            NodeProto { op_type: "Constant".into(), output, attribute: vec![value], ..Default::default() };
        graph.node.insert(at, node);
    }
    assert!(read(&model) == newest, "constants as nodes");
    let told = |version| FloatGraph::read(&at_version(version)).unwrap_err().to_string();
    assert!(told(26).contains("version 26") && told(6).contains("accepted: version 7 to 25"), "{}", told(26));
    // What an operator set does not have yet is refused.
    let mut early = at_version(9);
    early.graph.as_mut().unwrap().node[0].input.push("scales".into());
    assert!(FloatGraph::read(&early).is_err(), "Pad with an input");
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
    let auto_pad = text("auto_pad", "SAME_UPPER");
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
    ends(told("Pad", &|n| n.attribute.push(text("mode", "reflect"))), "(Pad): attribute mode = \"reflect\"");
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
    let linear = |n: &mut NodeProto| n.attribute.push(text("mode", "linear"));
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
            // Names, the record of the calibration, the thresholds: nothing that moves an embedding.
            let rest = |plan: &[u8]| {
                let parsed = arcgate_firmware::engine::plan::Plan::parse(plan).unwrap();
                let table = parsed.thresholds().map_or(0, |table| table.as_bytes().len());
                (parsed.info().clone(), plan.len() - table)
            };
            proptest::prop_assert_eq!(rest(&found), rest(&plan(&whole).unwrap()));
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
