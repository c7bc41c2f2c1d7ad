//! The simulated forward held against the exported int8 model in tract, its gradients, and what fine-tuning does.

use tract_onnx::prelude::{Framework, InferenceModelExt, IntoRunnable, IntoTValue, Tensor as Tract, tvec};

use std::ops::ControlFlow;
use std::path::Path;

use super::*;
use crate::net::ActivationKind;
use crate::onnx::build::{GraphBuilder, float, int, ints, value};
use crate::onnx::file;
use crate::onnx::tensor::{Tensor as Constant, Values};
use crate::quantize::{self, ImportOptions};
use crate::synth::dice::Dice;
use crate::train::optimizer::Rule;
use crate::train::tests::tiny;
use crate::train::{Options, Recipe, Status, TrainError, train, train_with};

/// Crops of the recipe's size: noise over a few grey levels of light.
fn crops(recipe: &Recipe, count: usize) -> Vec<Vec<u8>> {
    let [columns, rows] = recipe.net.input;
    let mut dice = Dice::new(7, 1, 2, 3);
    let one = |_| {
        let light = 128.0 + 40.0 * dice.bell();
        let bytes = 0..recipe.net.planes() * columns * rows;
        bytes.map(|_| (light + 45.0 * dice.bell()).clamp(0.0, 255.0) as u8).collect()
    };
    (0..count).map(one).collect()
}

/// A network of what the trained ones lack: a wide kernel with uneven pads, groups, a shared slope, cuts on both sides, sums that
/// are cut, curves, products, a greatest, maps side by side, averages, and a connected layer over a map.
fn odd() -> ModelProto {
    let mut g = GraphBuilder::new();
    let mut dice = Dice::new(5, 6, 7, 8);
    let mut conv = |g: &mut GraphBuilder, x: &str, name: &str, shape: [usize; 4], attributes| {
        let taps: usize = shape[1..].iter().product();
        let mut values = |count: usize, std: f32| (0..count).map(|_| std * dice.bell()).collect::<Vec<_>>();
        let weights = values(shape[0] * taps, (2.0 / taps as f32).sqrt());
        let w = g.f32s(&format!("{name}_w"), &shape, &weights);
        let b = g.f32s(&format!("{name}_b"), &[shape[0]], &values(shape[0], 0.1));
        g.node("Conv", &[x, &w, &b], name, attributes)
    };
    let window = |strides: i64, pads: [i64; 4], group| {
        vec![ints("strides", &[strides; 2]), ints("pads", &pads), int("group", group)]
    };
    let x = conv(&mut g, "pixels", "wide", [8, 3, 5, 5], window(3, [2, 2, 1, 1], 1));
    let limits = [g.f32s("lo", &[], &[-0.5]), g.f32s("hi", &[], &[0.75])];
    let skip = g.node("Clip", &[&x, &limits[0], &limits[1]], "cut", vec![]);
    let x = conv(&mut g, &skip, "grouped", [8, 4, 3, 3], window(1, [1; 4], 2));
    let x = g.node("LeakyRelu", &[&x], "leaky", vec![float("alpha", 0.1)]);
    let x = g.node("Add", &[&x, &skip], "sum", vec![]);
    let x = g.node("Relu", &[&x], "rectified", vec![]);
    let x = conv(&mut g, &x, "uneven", [12, 8, 3, 3], window(2, [0, 1, 1, 0], 1));
    let x = g.node("HardSwish", &[&x], "swish", vec![]);
    let x = conv(&mut g, &x, "next", [12, 12, 1, 1], window(1, [0; 4], 1));
    let squeezed = g.node("GlobalAveragePool", &[&x], "squeezed", vec![]);
    let excited = conv(&mut g, &squeezed, "excited", [12, 12, 1, 1], window(1, [0; 4], 1));
    let gate = g.node("Sigmoid", &[&excited], "gate", vec![]);
    let x = g.node("Mul", &[&x, &gate], "gated", vec![]);
    let inner = conv(&mut g, &x, "inner", [8, 12, 1, 1], window(1, [0; 4], 1));
    let bend = g.node("Sigmoid", &[&inner], "bend", vec![]);
    let silu = g.node("Mul", &[&inner, &bend], "silu", vec![]);
    let pool = vec![ints("kernel_shape", &[3, 3]), ints("strides", &[1; 2]), ints("pads", &[1; 4])];
    let pooled = g.node("MaxPool", &[&inner], "pooled", pool);
    let x = g.node("Concat", &[&silu, &pooled], "joined", vec![int("axis", 1)]);
    let x = conv(&mut g, &x, "after", [12, 16, 1, 1], window(1, [0; 4], 1));
    let left = g.node("Sigmoid", &[&x], "sigmoid", vec![]);
    let x = g.node("HardSigmoid", &[&x], "hard", vec![float("alpha", 0.25)]);
    let x = g.node("Add", &[&left, &x], "curves", vec![]);
    let average = g.node(
        "AveragePool",
        &[&x],
        "average",
        vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])],
    );
    let x = conv(&mut g, &average, "connected", [12, 12, 2, 2], window(1, [0; 4], 1));
    let flat = g.node("Flatten", &[&x], "embedding", vec![int("axis", 1)]);
    use tract_onnx::pb::tensor_proto::DataType;
    let pixels = value("pixels", DataType::Float, &[1, 3, 24, 24]);
    g.finish("odd", vec![pixels], vec![value(&flat, DataType::Float, &[1, 12])])
}

/// The int8 model's embedding of a crop, and its last sums in steps of the embedding before they are rounded.
fn int8(model: &ModelProto, recipe: &Recipe, crop: &[u8]) -> (Vec<f32>, Vec<f64>) {
    let onnx = model.graph.as_ref().unwrap();
    let last = onnx.node.iter().rfind(|n| n.op_type == "QLinearConv").unwrap();
    let constant = |at: usize| {
        Constant::of(onnx.initializer.iter().find(|t| t.name == last.input[at]).unwrap()).unwrap()
    };
    let scalar = |at: usize| f64::from(constant(at).f32s().unwrap()[0]);
    let Values::I8(levels) = constant(3).values else { panic!("weights are int8") };
    let Values::I64(bias) = constant(8).values else { panic!("biases are whole") };
    let Values::I8(zero) = constant(2).values else { panic!("zero points are int8") };

    let mut watched = model.clone();
    watched
        .graph
        .as_mut()
        .unwrap()
        .output
        .push(tract_onnx::pb::ValueInfoProto { name: last.input[0].clone(), ..Default::default() });
    let plan = tract_onnx::onnx().model_for_proto_model(&watched).unwrap();
    let plan = plan.into_optimized().unwrap().into_runnable().unwrap();
    let [columns, rows] = recipe.net.input;
    let planes = recipe.net.planes();
    let plane = |p: usize| {
        crop.iter().copied().skip(if recipe.net.order == "bgr" { planes - 1 - p } else { p }).step_by(planes)
    };
    let bytes: Vec<u8> = (0..planes).flat_map(plane).collect();
    let pixels = Tract::from_shape(&[1, planes, rows, columns], &bytes).unwrap();
    let out = plan.run(tvec!(pixels.into_tvalue())).unwrap();
    let ints = |at: usize| {
        out[at].cast_to::<i64>().unwrap().try_as_plain_ram().unwrap().as_slice::<i64>().unwrap().to_vec()
    };
    let (embedding, read) = (ints(0), ints(1));
    let scales = constant(4).f32s().unwrap().to_vec();
    let sums = levels.chunks_exact(read.len()).enumerate().map(|(c, levels)| {
        let products = levels.iter().zip(&read).map(|(&w, &x)| i64::from(w) * (x - i64::from(zero[0])));
        let sum = products.sum::<i64>() + bias[c];
        sum as f64 * f64::from(scales[c]) * scalar(1) / scalar(6)
    });
    let sums = sums.collect();
    (embedding.into_iter().map(|v| v as f32).collect(), sums)
}

/// Holds what `float` is in simulated int8, in the ranges that `import` gave it, against the model that `import` wrote.
fn same_as_exported(float: &ModelProto, recipe: &Recipe, name: &str) {
    let calibration = crops(recipe, 24);
    let input = recipe.float_input();
    let options = ImportOptions { held_back: 0, ..ImportOptions::new(input.clone(), "test") };
    let imported = quantize::import(float, &calibration, &options, &|_| {}).unwrap();
    let (graph, ranges) = quantize::meant(float, &calibration, &input, 0, &|_| {}).unwrap();
    let (device, mut greatest) = (Device::flex(), 0.0_f32);
    let simulated = Simulated::new(&graph, &ranges, &device);
    let [columns, rows] = recipe.net.input;
    for (at, crop) in crops(recipe, 40).iter().skip(20).enumerate() {
        let mut pixels = Vec::new();
        crate::train::batch::normalise(crop, recipe, &mut pixels);
        let shape = [1, recipe.net.planes(), rows, columns];
        let pixels = Tensor::<4>::from_data(TensorData::new(pixels, shape), &device);
        let (Unrounded { x, up, .. }, step) = simulated.unrounded(pixels.clone());
        let ours = floats(&(x * up.unsqueeze()));
        let (embedding, sums) = int8(&imported.model, recipe, crop);
        for (ours, theirs) in ours.iter().zip(&sums) {
            let off = (f64::from(*ours) - theirs).abs();
            assert!(off <= 1e-6 * theirs.abs().max(1.0), "{name}, crop {at}: {ours} is not {theirs}");
        }
        let step = floats(&step)[0];
        let rounded: Vec<f32> =
            floats(&simulated.forward(pixels)).iter().map(|v| (v / step).round()).collect();
        assert_eq!(rounded, embedding, "{name}, crop {at}");
        greatest = embedding.iter().fold(greatest, |m, v| m.max(v.abs()));
    }
    assert!(greatest > 40.0, "{name}: {greatest} steps at most say little");
}

#[test]
fn the_forward_is_the_exported_models() {
    let cases = [
        (ActivationKind::Prelu, [24, 24], "rgb"),
        (ActivationKind::Relu, [20, 28], "bgr"),
        (ActivationKind::Prelu, [22, 18], "grey"),
    ];
    for (activation, input, order) in cases {
        let mut recipe = tiny(activation, input, order);
        recipe.net.blocks.push(crate::net::BlockConfig { expand: 1, channels: 12, repeat: 1, stride: 1 });
        let trained = train(&recipe, &mut ()).unwrap();
        same_as_exported(&trained.model, &recipe, &format!("{activation:?} {order}"));
    }
    same_as_exported(&odd(), &tiny(ActivationKind::Relu, [24, 24], "rgb"), "odd");
}

/// A recipe that fine-tunes on a teacher's word alone.
fn tuning(folder: &Path, teacher: &ModelProto) -> (Recipe, Options) {
    let mut recipe = tiny(ActivationKind::Prelu, [24, 24], "rgb");
    let path = folder.join("float.onnx");
    file::write(&path, teacher).unwrap();
    let distill = serde_json::json!({ "teacher": path, "weight": 1.0 });
    recipe.distill = Some(serde_json::from_value(distill).unwrap());
    recipe.quantization = Some(QuantizationConfig { calibrate: 2 });
    recipe.train.optimizer = Rule::Adamw;
    recipe.train.rate = 2e-3;
    recipe.train.weight_decay = 0.0;
    recipe.train.images = 1600;
    let checkpoint = Some(folder.join("tiny.checkpoint"));
    (recipe, Options { init: Some(path), checkpoint, ..Default::default() })
}

/// A float network of a few steps.
fn trained() -> ModelProto {
    train(&tiny(ActivationKind::Prelu, [24, 24], "rgb"), &mut ()).unwrap().model
}

#[test]
fn fine_tuning_brings_int8_nearer_to_float_and_its_export_is_what_it_computes() {
    let folder = tempfile::tempdir().unwrap();
    let float = trained();
    let (recipe, options) = tuning(folder.path(), &float);
    let mut cosines = Vec::new();
    let mut watch = |s: &Status| {
        cosines.extend(s.validation.and_then(|v| v.cosine_to_teacher));
        ControlFlow::Continue(())
    };
    let tuned = train_with(&recipe, &options, &mut watch).unwrap();
    let (first, last) = (cosines[0], *cosines.last().unwrap());
    assert!(
        last > first && 1.0 - last < 0.5 * (1.0 - first),
        "1 - cosine went from {} to {}",
        1.0 - first,
        1.0 - last
    );
    same_as_exported(&tuned.model, &recipe, "tuned");
    let names =
        |model| FloatGraph::read(model).unwrap().layers.into_iter().map(|l| l.name).collect::<Vec<_>>();
    assert_eq!(names(&tuned.model), names(&float));
}

#[test]
fn stopped_and_resumed_is_bit_for_bit_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (mut recipe, options) = tuning(folder.path(), &trained());
    recipe.train.images = 80;
    recipe.train.ema = 0.9;
    let whole = train_with(&recipe, &Options { checkpoint: None, ..options.clone() }, &mut ()).unwrap();
    let mut stop =
        |s: &Status| if s.images == 32 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let stopped = train_with(&recipe, &options, &mut stop).unwrap_err();
    assert!(matches!(stopped, TrainError::Stopped { images: 32, .. }), "{stopped}");
    let again = Options { resume: true, ..options };
    let alone = train_with(&recipe, &Options { init: None, ..again.clone() }, &mut ()).unwrap_err();
    assert!(alone.to_string().contains("accepted: --init"), "{alone}");
    let resumed = train_with(&recipe, &again, &mut ()).unwrap();
    assert!(resumed.model == whole.model, "the weights differ");
}

#[test]
fn begins_with_a_safetensors_and_its_head_or_says_what_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = tiny(ActivationKind::Relu, [20, 28], "bgr");
    let weights = folder.path().join("float.safetensors");
    let float = Options { weights: Some(weights.clone()), ..Default::default() };
    let float = train_with(&recipe, &float, &mut ()).unwrap();
    recipe.quantization = Some(QuantizationConfig { calibrate: 24 });
    recipe.train.rate = 1e-6;
    recipe.train.images = 8;
    let tuned =
        train_with(&recipe, &Options { init: Some(weights.clone()), ..Default::default() }, &mut ()).unwrap();
    let lengths = |classes: Option<Vec<Vec<f32>>>| classes.unwrap().concat();
    let (before, after) = (lengths(float.class_weights), lengths(tuned.class_weights));
    let moved = before.iter().zip(&after).map(|(b, a)| (b - a).abs()).fold(0.0_f32, f32::max);
    assert!(moved < 1e-3, "the head moved by {moved}");
    recipe.net.embedding = 16;
    let refused = train_with(&recipe, &Options { init: Some(weights), ..Default::default() }, &mut ());
    assert!(refused.unwrap_err().to_string().contains("embedding"));
    let path = folder.path().join("float.onnx");
    file::write(&path, &float.model).unwrap();
    let refused = train_with(&recipe, &Options { init: Some(path), ..Default::default() }, &mut ());
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("an embedding of 12; the recipe has") && refused.contains("of 16"), "{refused}");
}
