use tract_onnx::pb::ModelProto;

use super::*;
use crate::loss::LossConfig;
use crate::net::ActivationKind;
use crate::onnx::build::{GraphBuilder, int, ints, value};
use crate::train::tests::{engine, tiny};
use crate::train::{Checkpoint, CheckpointError, Options, Source, Status, export, train, train_with};
use std::ops::ControlFlow;
use tract_onnx::pb::tensor_proto::DataType;

fn contrastive() -> Recipe {
    let mut recipe = tiny(ActivationKind::Relu, [24, 24], "rgb");
    recipe.loss = serde_json::from_value::<LossConfig>(serde_json::json!({ "name": "contrastive" })).unwrap();
    recipe
}

fn begun<'a>(recipe: &'a Recipe, source: &'a Source, path: &Path) -> Trainer<'a> {
    let mut trainer = Trainer::new(recipe, source, &Device::flex());
    trainer.begin_from(&Initial::read(path, recipe).unwrap()).unwrap();
    trainer
}

/// Largest difference between the embeddings of two models on held-out crops, as a share of the largest value.
fn apart(a: &ModelProto, b: &ModelProto, recipe: &Recipe, source: &Source) -> f32 {
    let (a, b) = (engine(a, recipe), engine(b, recipe));
    let each = source.held_out().iter().map(|(_, crop)| {
        let (a, b) = (a.embed(crop).unwrap(), b.embed(crop).unwrap());
        let size = a.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        a.iter().zip(&b).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs())) / size
    });
    each.fold(0.0, f32::max)
}

fn exported(trainer: &Trainer<'_>) -> ModelProto {
    let recipe = trainer.recipe;
    export::export(&trainer.model.valid().net, &recipe.net, &recipe.float_input(), "again")
}

/// Embeddings of the first batch, normalised by its own moments as in training.
fn in_training(trainer: &Trainer<'_>, step: usize) -> Vec<f32> {
    let batch = load(trainer.recipe, trainer.source, step).unwrap();
    let [columns, rows] = trainer.recipe.net.input;
    let shape = [batch.labels.len(), trainer.recipe.net.planes(), rows, columns];
    let pixels = Tensor::<4>::from_data(TensorData::new(batch.pixels, shape), &trainer.device);
    state::floats(&trainer.model.net.learn(pixels).0)
}

#[test]
fn an_exported_model_is_the_same_function_again_also_in_training() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("first.onnx");
    for (activation, order) in [(ActivationKind::Relu, "rgb"), (ActivationKind::Prelu, "grey")] {
        let mut recipe = tiny(activation, [20, 28], order);
        recipe.train.images = 800;
        recipe.train.batch = 32;
        let first = train(&recipe, &mut ()).unwrap();
        file::write(&path, &first.model).unwrap();
        let source = Source::open(&recipe).unwrap();
        let trainer = begun(&recipe, &source, &path);
        let off = apart(&first.model, &exported(&trainer), &recipe, &source);
        assert!(off < 1e-5, "{activation:?}: {off}");
        // Normalised by a batch's own moments it is nearly the same function, which with random moments it is not.
        let engine = engine(&first.model, &recipe);
        let ours = in_training(&trainer, 90);
        let crops = (90 * 32..91 * 32).map(|n| source.sample(n).unwrap().crop);
        let cosines: Vec<f64> = crops
            .zip(ours.chunks_exact(recipe.net.embedding))
            .map(|(crop, ours)| crate::eval::embed::cosine(&engine.embed(&crop).unwrap(), ours))
            .collect();
        let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
        assert!(mean > 0.75, "{activation:?}: {mean}");
    }
}

#[test]
fn training_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("first.onnx");
    let mut recipe = contrastive();
    (recipe.train.images, recipe.train.batch) = (6400, 32);
    let first = train(&recipe, &mut ()).unwrap();
    file::write(&path, &first.model).unwrap();
    let source = Source::open(&recipe).unwrap();
    // Losses of the first steps at a rate at which nothing is learnt yet.
    recipe.train.rate = 1e-6;
    let beginning = |mut trainer: Trainer<'_>| -> f64 {
        let mut status = first.status;
        let mut step = |step| trainer.step(step, load(&recipe, &source, step).unwrap(), &mut status).unwrap();
        (0..10).map(|at| f64::from(step(at))).sum::<f64>() / 10.0
    };
    let fresh = beginning(Trainer::new(&recipe, &source, &Device::flex()));
    let again = beginning(begun(&recipe, &source, &path));
    let end = first.status.loss;
    assert!((again - end).abs() < 0.1 * (fresh - end), "ended at {end}, goes on at {again}, fresh {fresh}");
}

#[test]
fn safetensors_give_backbone_and_head_to_the_bit_and_another_head_stays_fresh() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let mut recipe = tiny(ActivationKind::Prelu, [24, 24], "rgb");
    let options = Options { weights: Some(path.clone()), ..Default::default() };
    let first = train_with(&recipe, &options, &mut ()).unwrap();
    let written = weights::from_bytes(&std::fs::read(&path).unwrap()).unwrap();
    let source = Source::open(&recipe).unwrap();
    let trainer = begun(&recipe, &source, &path);
    assert_eq!(weights::of(&trainer.model.valid()), written);
    assert!(exported(&trainer).graph.unwrap().initializer == first.model.graph.unwrap().initializer);
    drop(trainer);
    recipe.data = crate::train::recipe::DataConfig::Synth { population: 2, identities: 11 };
    let source = Source::open(&recipe).unwrap();
    let fresh = weights::of(&Trainer::new(&recipe, &source, &Device::flex()).model.valid());
    let own = weights::of(&begun(&recipe, &source, &path).model.valid());
    let head =
        |w: &Weights| w.clone().into_iter().filter(|(n, _)| n.starts_with("head.")).collect::<Vec<_>>();
    assert!(!head(&own).is_empty() && head(&own) == head(&fresh));
    assert_eq!(own["net.stem.weight"], written["net.stem.weight"]);
}

#[test]
fn a_foreign_model_of_the_same_layers_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign.onnx");
    let mut recipe = tiny(ActivationKind::Relu, [16, 16], "grey");
    recipe.net.blocks.clear();
    let mut dice = Dice::new(7, 0, 0, 0);
    let mut g = GraphBuilder::new();
    let mut values = |n: usize| (0..n).map(|_| dice.bell()).collect::<Vec<f32>>();
    // Convolutions without a bias and batch normalisation, a global average, a product with a matrix.
    let mut last = "x".to_owned();
    for (i, (shape, stride, pad, group)) in
        [([8, 1, 3, 3], 2, 1, 1), ([8, 1, 3, 3], 1, 1, 8), ([16, 8, 1, 1], 1, 0, 1)].into_iter().enumerate()
    {
        let w = g.f32s(&format!("w{i}"), &shape, &values(shape.iter().product()));
        let attributes = vec![ints("strides", &[stride; 2]), ints("pads", &[pad; 4]), int("group", group)];
        let conv = g.node("Conv", &[&last, &w], &format!("c{i}"), attributes);
        let mut channel = |name: &str, shift: f32| {
            let v: Vec<f32> = values(shape[0]).iter().map(|v| v * 0.2 + shift).collect();
            g.f32s(&format!("{name}{i}"), &[shape[0]], &v)
        };
        let norm = [channel("g", 1.0), channel("b", 0.1), channel("m", 0.0), channel("v", 2.0)];
        let inputs: Vec<&str> = std::iter::once(&conv).chain(&norm).map(String::as_str).collect();
        let y = g.node("BatchNormalization", &inputs, &format!("n{i}"), vec![]);
        last = g.node("Relu", &[&y], &format!("r{i}"), vec![]);
    }
    let pooled = g.node("GlobalAveragePool", &[&last], "pooled", vec![]);
    let flat = g.node("Flatten", &[&pooled], "flat", vec![]);
    let w = g.f32s("w", &[12, 16], &values(12 * 16));
    g.node("Gemm", &[&flat, &w], "y", vec![int("transB", 1)]);
    let ends = [("x", vec![1, 1, 16, 16]), ("y", vec![1, 12])];
    let [x, y] = ends.map(|(name, shape)| value(name, DataType::Float, &shape));
    let model = g.finish("foreign", vec![x], vec![y]);
    file::write(&path, &model).unwrap();
    let source = Source::open(&recipe).unwrap();
    let off = apart(&model, &exported(&begun(&recipe, &source, &path)), &recipe, &source);
    assert!(off < 1e-5, "{off}");
}

#[test]
fn what_does_not_fit_is_named_with_both_shapes() {
    let folder = tempfile::tempdir().unwrap();
    let (onnx, tensors) = (folder.path().join("a.onnx"), folder.path().join("a.safetensors"));
    let recipe = tiny(ActivationKind::Prelu, [24, 24], "rgb");
    let options = Options { weights: Some(tensors.clone()), ..Default::default() };
    file::write(&onnx, &train_with(&recipe, &options, &mut ()).unwrap().model).unwrap();
    let told = |path: &Path, change: &dyn Fn(&mut Recipe)| {
        let mut other = recipe.clone();
        change(&mut other);
        Initial::read(path, &other).unwrap_err().to_string()
    };
    type Change = dyn Fn(&mut Recipe);
    let cases: [(&Path, &Change, &[&str]); 10] = [
        (&onnx, &|r| r.net.head = 20, &["\"head_conv\"", "[16, 8, 1, 1]", "[20, 8, 1, 1]", "as head"]),
        (&onnx, &|r| r.net.input = [32, 24], &["\"pool_conv\"", "[16, 1, 6, 6]", "[16, 1, 6, 8]"]),
        (&onnx, &|r| r.net.blocks[0].repeat = 1, &["\"block1_depthwise_conv\"", "as pool"]),
        (&onnx, &|r| r.net.blocks[0].repeat = 3, &["\"pool_conv\"", "as blocks.2.depthwise"]),
        (&onnx, &|r| r.net.blocks[0].stride = 1, &["strides [2, 2]", "strides [1, 1]", "blocks.0.depthwise"]),
        (&onnx, &|r| r.net.activation = ActivationKind::Relu, &["then PRelu", "with Relu as stem"]),
        (&onnx, &|r| r.net.order = "bgr".into(), &["\"rgb\"", "\"bgr\""]),
        (&onnx, &|r| r.input.mean = 0.25, &["mean [0.5, 0.5, 0.5]", "mean [0.25, 0.25, 0.25]"]),
        (&tensors, &|r| r.net.head = 20, &["net.embedding.weight", "[12, 16, 1, 1]", "[12, 20, 1, 1]"]),
        (&tensors, &|r| r.net.blocks[0].repeat = 1, &["net.blocks.1.", "no such tensor"]),
    ];
    for (path, change, words) in cases {
        let told = told(path, change);
        assert!(words.iter().all(|w| told.contains(w)) && told.contains("accepted:"), "{words:?}: {told}");
    }
    assert!(told(&tensors, &|r| r.net.blocks[0].repeat = 3).contains("no tensor \"net.blocks.2."));
    let whole = [&onnx, &tensors].map(|p| std::fs::read(p).unwrap());
    for (path, whole) in [&onnx, &tensors].into_iter().zip(&whole) {
        for share in [0, 1, 5, 9, 10] {
            std::fs::write(path, &whole[..(whole.len() - 1) * share / 10]).unwrap();
            let told = told(path, &|_| ());
            assert!(told.contains(&*path.to_string_lossy()), "{share} tenths: {told}");
        }
    }
    std::fs::write(&onnx, &whole[1]).unwrap();
    assert!(told(&onnx, &|_| ()).contains("is not an ONNX model"));
    assert!(told(&folder.path().join("none.onnx"), &|_| ()).contains("cannot read"));
}

#[test]
fn a_training_that_goes_on_keeps_to_the_file_it_began_from() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other, checkpoint] = ["a.onnx", "b.onnx", "x.checkpoint"].map(|name| folder.path().join(name));
    let mut recipe = contrastive();
    file::write(&one, &train(&recipe, &mut ()).unwrap().model).unwrap();
    recipe.seed = 2;
    file::write(&other, &train(&recipe, &mut ()).unwrap().model).unwrap();
    let options = |init: Option<&PathBuf>, resume| Options {
        checkpoint: Some(checkpoint.clone()),
        resume,
        init: init.cloned(),
        ..Default::default()
    };
    let fresh = train(&recipe, &mut ()).unwrap();
    let whole = train_with(&recipe, &options(Some(&one), false), &mut ()).unwrap();
    assert!(whole.model != fresh.model, "the file decides nothing");
    let mut stop =
        |s: &Status| if s.images == 32 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    train_with(&recipe, &options(Some(&one), false), &mut stop).unwrap_err();
    let half = std::fs::read(&checkpoint).unwrap();
    for init in [None, Some(&one)] {
        std::fs::write(&checkpoint, &half).unwrap();
        let resumed = train_with(&recipe, &options(init, true), &mut ()).unwrap();
        assert!(resumed.model == whole.model, "the weights differ");
    }
    let mixed = train_with(&recipe, &options(Some(&other), true), &mut ()).unwrap_err();
    assert!(matches!(mixed, TrainError::Checkpoint(CheckpointError::OtherFile { .. })), "{mixed}");
    assert_eq!(Checkpoint::read(&checkpoint, &recipe.digest()).unwrap().files.len(), 1);
}
