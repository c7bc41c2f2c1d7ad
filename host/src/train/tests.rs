//! The loop as a whole, on trainings of seconds.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use super::batch::{load, normalise};
use super::state::Values;
use super::*;
use crate::engine::{FloatEngine, InputSpec};
use crate::loss::LossConfig;
use crate::net::{ActivationKind, BlockConfig, NetConfig};
use crate::onnx::origin::Origin;
use crate::train::recipe::{AugmentConfig, DataConfig};

/// A recipe of a few steps.
pub(super) fn tiny(activation: ActivationKind, input: [usize; 2], order: &str) -> Recipe {
    let mut recipe = Recipe::demo();
    let block = |expand, channels, repeat, stride| BlockConfig { expand, channels, repeat, stride };
    recipe.net = NetConfig {
        input,
        order: order.into(),
        stem: 8,
        blocks: vec![block(2, 8, 2, 2)],
        head: 16,
        embedding: 12,
        width: 1.0,
        activation,
    };
    recipe.data = DataConfig::Synth { population: 2, identities: 10 };
    recipe.split.validation = 4;
    recipe.augment = AugmentConfig { flip: true, shift: 0.05, ..Default::default() };
    recipe.train.images = 80;
    recipe.train.batch = 8;
    recipe.train.validate_every = 40;
    recipe
}

pub(super) fn engine(model: &ModelProto, recipe: &Recipe) -> FloatEngine {
    let input = recipe.float_input();
    let order = match recipe.net.order.as_str() {
        "grey" => arcgate_firmware::model::ChannelOrder::Grey,
        "bgr" => arcgate_firmware::model::ChannelOrder::Bgr,
        _ => arcgate_firmware::model::ChannelOrder::Rgb,
    };
    let [width, height] = recipe.net.input;
    let spec =
        InputSpec { width: width as u16, height: height as u16, order, mean: input.mean, std: input.std };
    FloatEngine::from_model(std::path::Path::new("trained.onnx"), model, &spec).unwrap()
}

#[test]
fn the_exported_model_computes_what_was_trained() {
    let cases = [
        (ActivationKind::Relu, [24, 24], "rgb"),
        (ActivationKind::Prelu, [20, 28], "bgr"),
        (ActivationKind::Prelu, [22, 18], "grey"),
    ];
    for (activation, input, order) in cases {
        let mut recipe = tiny(activation, input, order);
        recipe.licence = Some("CC0-1.0".into());
        let trained = train(&recipe, &mut ()).unwrap();
        assert_eq!(Origin::of(&trained.model, "").licence, recipe.licence);
        // The same training once more gives the same network to run in burn.
        let source = Source::open(&recipe).unwrap();
        let mut trainer = Trainer::new(&recipe, &source, &Device::flex());
        let mut status = trained.status;
        for step in 0..recipe.steps() {
            trainer.step(step, load(&recipe, &source, step).unwrap(), &mut status).unwrap();
        }
        let net = trainer.model.valid().net;
        let engine = engine(&trained.model, &recipe);
        for (_, crop) in source.held_out() {
            let mut pixels = Vec::new();
            normalise(crop, &recipe, &mut pixels);
            let shape = [1, recipe.net.planes(), input[1], input[0]];
            let pixels = Tensor::<4>::from_data(TensorData::new(pixels, shape), &Device::flex());
            let ours = state::floats(&net.forward(pixels));
            let theirs = engine.embed(crop).unwrap();
            let size = ours.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
            let off = ours.iter().zip(&theirs).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(off <= 1e-4 * size, "{order} {activation:?}: {off} of {size}");
        }
    }
}

#[test]
fn stopped_and_resumed_is_bit_for_bit_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = tiny(ActivationKind::Prelu, [24, 24], "rgb");
    let whole = train(&recipe, &mut ()).unwrap();
    let options = Options { checkpoint: Some(folder.path().join("tiny.checkpoint")), ..Default::default() };
    let mut stop =
        |s: &Status| if s.images == 32 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let stopped = train_with(&recipe, &options, &mut stop).unwrap_err();
    assert!(matches!(stopped, TrainError::Stopped { images: 32, .. }), "{stopped}");
    let options = Options { resume: true, ..options };
    let mut other = recipe.clone();
    other.train.rate *= 2.0;
    let refused = train_with(&other, &options, &mut ()).unwrap_err();
    assert!(matches!(refused, TrainError::Checkpoint(CheckpointError::OtherRecipe { .. })), "{refused}");
    let mut first = None;
    let mut watch = |s: &Status| {
        first.get_or_insert(s.images);
        ControlFlow::Continue(())
    };
    let resumed = train_with(&recipe, &options, &mut watch).unwrap();
    assert_eq!(first, Some(40));
    assert!(resumed.model == whole.model, "the weights differ");
}

/// Every loss at its defaults.
fn losses() -> Vec<LossConfig> {
    let names = [
        "contrastive",
        "triplet",
        "center",
        "softmax",
        "normface",
        "sphereface",
        "cosface",
        "arcface",
        "curricularface",
        "combined",
    ];
    names.map(|name| serde_json::from_value(serde_json::json!({ "name": name })).expect("a loss")).to_vec()
}

#[test]
fn every_loss_resumes_bit_for_bit_with_its_state() {
    let folder = tempfile::tempdir().unwrap();
    for (i, loss) in losses().into_iter().enumerate() {
        let mut recipe = tiny(ActivationKind::Relu, [16, 16], "grey");
        recipe.loss = loss;
        let whole = train(&recipe, &mut ()).unwrap();
        let options =
            Options { checkpoint: Some(folder.path().join(format!("{i}.checkpoint"))), ..Default::default() };
        let mut stop =
            |s: &Status| if s.images == 40 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        train_with(&recipe, &options, &mut stop).unwrap_err();
        let resumed = train_with(&recipe, &Options { resume: true, ..options }, &mut ()).unwrap();
        assert!(resumed.model == whole.model, "{:?}: the weights differ", recipe.loss);
        assert!(resumed.status.loss.is_finite());
    }
}

#[test]
fn averaged_and_best_weights_resume_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = tiny(ActivationKind::Relu, [16, 16], "grey");
    let plain = train(&recipe, &mut ()).unwrap();
    (recipe.train.ema, recipe.train.patience, recipe.train.validate_every) = (0.8, 3, 16);
    let whole = train(&recipe, &mut ()).unwrap();
    assert!(whole.model != plain.model, "the average is exported");
    let checkpoint = Some(folder.path().join("kept.checkpoint"));
    let options = Options { checkpoint, ..Default::default() };
    let mut stop =
        |s: &Status| if s.images == 40 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    train_with(&recipe, &options, &mut stop).unwrap_err();
    let resumed = train_with(&recipe, &Options { resume: true, ..options }, &mut ()).unwrap();
    assert!(resumed.model == whole.model, "the weights differ");
}

#[test]
fn patience_ends_a_training_that_gets_no_better() {
    let mut recipe = tiny(ActivationKind::Relu, [16, 16], "grey");
    recipe.train.images = 8 * 200;
    // Nothing is learnt at this rate, so no validation is better than the first.
    (recipe.train.rate, recipe.train.patience, recipe.train.validate_every) = (1e-6, 2, 16);
    recipe.train.ema = 0.0;
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("patient.checkpoint");
    let options = Options { checkpoint: Some(checkpoint.clone()), ..Default::default() };
    let trained = train_with(&recipe, &options, &mut ()).unwrap();
    assert!(trained.status.images < 8 * 200, "it ran to its end");
    assert!(has_ended(&recipe, &Checkpoint::read(&checkpoint, &recipe.digest()).unwrap()));
    // It goes no further, and its figures are those of the model that it gives.
    let again = train_with(&recipe, &Options { resume: true, ..options }, &mut ()).unwrap();
    assert!(again.model == trained.model, "an ended training went on");
    assert_eq!(
        (again.status.images, again.status.validation),
        (trained.status.images, trained.status.validation)
    );
    assert_eq!(again.status.loss.to_bits(), trained.status.loss.to_bits());
}

#[test]
fn a_loss_without_a_gradient_stops_with_its_cause() {
    let mut recipe = tiny(ActivationKind::Relu, [16, 16], "grey");
    recipe.loss = LossConfig::Triplet { margin: 0.2, mining: Default::default(), margin_warmup: 0.0 };
    let source = Source::open(&recipe).unwrap();
    let mut trainer = Trainer::new(&recipe, &source, &Device::flex());
    let mut status = train(&recipe, &mut ()).unwrap().status;
    let error = (0..300).find_map(|step| {
        let mut batch = load(&recipe, &source, step).unwrap();
        // No two of one class: no triplets.
        batch.labels = (0..8).collect();
        trainer.step(step, batch, &mut status).err()
    });
    let error = error.expect("300 steps without a gradient");
    assert!(matches!(error, TrainError::Frozen { step: 199, .. }), "{error}");
    let told = error.to_string();
    assert!(told.contains("frozen at 0") && told.contains("raise loss.margin"), "{told}");
}

#[test]
fn a_loss_that_is_no_number_stops_with_its_cause() {
    let mut recipe = tiny(ActivationKind::Relu, [24, 24], "rgb");
    recipe.loss = LossConfig::Softmax {};
    (recipe.train.rate, recipe.train.clip, recipe.train.warmup) = (1e30, 1e9, 0.0);
    let error = train(&recipe, &mut ()).unwrap_err().to_string();
    assert!(error.contains("at step") && error.contains("lower train.rate"), "{error}");
}

/// Loss and weights after some steps of `recipe`.
fn after_steps(recipe: &Recipe, steps: usize) -> (f32, Values) {
    after_steps_on(&Device::flex(), recipe, steps)
}

fn after_steps_on(device: &Device, recipe: &Recipe, steps: usize) -> (f32, Values) {
    let source = Source::open(recipe).unwrap();
    let mut trainer = Trainer::new(recipe, &source, device);
    let mut status = train(&tiny(ActivationKind::Relu, [16, 16], "grey"), &mut ()).unwrap().status;
    let mut loss = 0.0;
    for step in 0..steps {
        loss = trainer.step(step, load(recipe, &source, step).unwrap(), &mut status).unwrap();
    }
    (loss, state::values(&trainer.model.valid()))
}

/// The largest difference of any value, as a share of the largest value of its vector.
fn furthest(a: &Values, b: &Values) -> f32 {
    furthest_above(f32::MIN_POSITIVE, a, b)
}

/// [`furthest`], a vector's largest value being `least` at least.
fn furthest_above(least: f32, a: &Values, b: &Values) -> f32 {
    let off = |(name, a): (&String, &Vec<f32>)| {
        let size = a.iter().fold(least, |m, v| m.max(v.abs()));
        a.iter().zip(&b[name]).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs())) / size
    };
    a.iter().map(off).fold(0.0, f32::max)
}

#[test]
fn replicas_agree_where_normalisation_is_frozen_whatever_the_loss() {
    for name in ["arcface", "center", "curricularface", "triplet"] {
        let mut recipe = tiny(ActivationKind::Prelu, [24, 20], "rgb");
        recipe.loss = serde_json::from_value(serde_json::json!({ "name": name })).unwrap();
        (recipe.train.frozen_norm, recipe.train.rate) = (true, 0.05);
        let one = after_steps(&recipe, 3);
        for replicas in [2, 4] {
            recipe.train.replicas = replicas;
            let several = after_steps(&recipe, 3);
            assert!((one.0 - several.0).abs() <= 1e-5 * one.0.abs(), "{name}: {} {}", one.0, several.0);
            let off = furthest(&one.1, &several.1);
            assert!(off <= 1e-5, "{name}, {replicas} replicas: {off:e}");
        }
    }
}

#[test]
fn replicas_normalise_apart_and_average_what_they_saw() {
    let mut recipe = tiny(ActivationKind::Relu, [16, 16], "grey");
    let one = after_steps(&recipe, 1).1;
    recipe.train.replicas = 2;
    let two = after_steps(&recipe, 1).1;
    let of = |values: &Values, name: &str| values[&format!("net.stem.norm.{name}")].clone();
    // The mean of the parts' means is that of the batch; the mean of their variances is not.
    for (a, b) in of(&one, "running_mean").iter().zip(of(&two, "running_mean")) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
    let below = of(&one, "running_var").iter().zip(of(&two, "running_var")).all(|(one, two)| two < *one);
    assert!(below, "parts spread less about their own means");
    assert!(furthest(&one, &two) > 1e-4, "each part has its own moments");
}

#[test]
fn replicas_resume_bit_for_bit_and_only_as_many() {
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = tiny(ActivationKind::Prelu, [16, 16], "grey");
    recipe.train.replicas = 2;
    let whole = train(&recipe, &mut ()).unwrap();
    let options = Options { checkpoint: Some(folder.path().join("two.checkpoint")), ..Options::default() };
    let mut stop =
        |s: &Status| if s.images == 40 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    train_with(&recipe, &options, &mut stop).unwrap_err();
    let options = Options { resume: true, ..options };
    let mut other = recipe.clone();
    other.train.replicas = 4;
    let refused = train_with(&other, &options, &mut ()).unwrap_err();
    assert!(
        matches!(refused, TrainError::Checkpoint(CheckpointError::OtherReplicas { found: 2, wanted: 4, .. })),
        "{refused}"
    );
    let resumed = train_with(&recipe, &options, &mut ()).unwrap();
    assert!(resumed.model == whole.model, "the weights differ");
}

#[test]
fn the_embeddings_shift_is_not_learnt() {
    let recipe = tiny(ActivationKind::Prelu, [16, 16], "grey");
    let source = Source::open(&recipe).unwrap();
    let mut trainer = Trainer::new(&recipe, &source, &Device::flex());
    let mut status =
        Status { images: 0, total: 1, loss: 0.0, rate: 0.0, images_per_second: 0.0, validation: None };
    for step in 3..6 {
        trainer.step(step, load(&recipe, &source, step).unwrap(), &mut status).unwrap();
    }
    let norm = &trainer.model.valid().net.embedding.norm;
    assert!(state::floats(&norm.beta.val()).iter().all(|&b| b == 0.0));
    assert!(state::floats(&norm.gamma.val()).iter().any(|&g| g != 1.0), "nothing was learnt at all");
}

#[test]
#[cfg(not(feature = "gpu"))]
fn a_program_without_gpus_says_so() {
    let recipe = tiny(ActivationKind::Relu, [16, 16], "grey");
    let options = Options { place: Place::Gpu, ..Options::default() };
    let refused = train_with(&recipe, &options, &mut ()).unwrap_err();
    assert!(matches!(refused, TrainError::Place(PlaceError::NotBuilt)), "{refused}");
}

/// The GPU of this machine; without one a line that says why.
#[cfg(feature = "gpu")]
fn gpu() -> Option<place::Opened> {
    match Place::Gpu.open() {
        Ok(opened) => {
            println!("on {}", opened.adapter.as_ref().unwrap());
            Some(opened)
        }
        Err(why) => {
            println!("skipped: {why}");
            None
        }
    }
}

#[test]
#[cfg(feature = "gpu")]
fn a_gpu_takes_the_same_steps_whatever_the_loss() {
    let Some(gpu) = gpu() else { return };
    let losses = ["contrastive", "triplet", "center", "softmax", "normface"];
    for name in losses.into_iter().chain(["sphereface", "cosface", "arcface", "curricularface"]) {
        let mut recipe = tiny(ActivationKind::Prelu, [24, 20], "rgb");
        recipe.loss = serde_json::from_value(serde_json::json!({ "name": name })).unwrap();
        recipe.train.rate = 0.02;
        let (cpu, gpu) = (after_steps(&recipe, 3), after_steps_on(&gpu.device, &recipe, 3));
        assert!((cpu.0 - gpu.0).abs() <= 1e-4 * cpu.0.abs(), "{name}: {} {}", cpu.0, gpu.0);
        // Shifts in front of a normalisation have the gradient 0: their values are rounding alone.
        let apart = |a: &Values, b: &Values| furthest_above(1e-3, a, b);
        let off = apart(&cpu.1, &gpu.1);
        println!("{name}: loss {} and {}, weights {off:e} apart", cpu.0, gpu.0);
        assert!(off <= 1e-4, "{name}: {off:e}");
        let begun = after_steps(&recipe, 0).1;
        assert!(apart(&begun, &cpu.1) > 30.0 * off, "{name}: nothing was learnt");
    }
}

#[test]
#[cfg(feature = "gpu")]
fn a_training_on_a_gpu_gives_a_model_and_goes_on_from_its_checkpoint() {
    if gpu().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // The network of the test above: a software GPU takes seconds to compile each of its kernels. No sum in this training is so near an
    // activation's kink that rounding decides on its side. Of others one is (ReLU in grey, step 6), and from there on the weights are
    // percents apart: between two trainings on a processor, too, of which one begins with weights that are changed by 2e-7.
    let mut recipe = tiny(ActivationKind::Prelu, [24, 20], "rgb");
    (recipe.train.ema, recipe.train.rate) = (0.5, 0.02);
    let options = Options {
        checkpoint: Some(folder.path().join("gpu.checkpoint")),
        place: Place::Gpu,
        ..Options::default()
    };
    let mut stop =
        |s: &Status| if s.images == 40 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    train_with(&recipe, &options, &mut stop).unwrap_err();
    let resumed = train_with(&recipe, &Options { resume: true, ..options.clone() }, &mut ()).unwrap();
    let on_cpu = train(&recipe, &mut ()).unwrap();
    let source = Source::open(&recipe).unwrap();
    let embed = |trained: &Trained| {
        let engine = engine(&trained.model, &recipe);
        let embed = |(_, crop): &(usize, Vec<u8>)| engine.embed(crop).unwrap();
        source.held_out().iter().flat_map(embed).collect::<Vec<f32>>()
    };
    let (ours, theirs) = (embed(&resumed), embed(&on_cpu));
    let size = ours.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    let off = ours.iter().zip(&theirs).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(off <= 1e-3 * size, "{off} of {size}");
    recipe.train.replicas = 2;
    let refused = train_with(&recipe, &options, &mut ()).unwrap_err();
    assert!(matches!(refused, TrainError::Place(PlaceError::Replicas(2))), "{refused}");
}
