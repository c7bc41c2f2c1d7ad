use std::ops::ControlFlow;

use super::*;
use crate::loss::LossConfig;
use crate::net::ActivationKind;
use crate::synth::Portraits;
use crate::train::paths::Paths;
use crate::train::recipe::DataConfig;
use crate::train::state::floats;
use crate::train::tests::{engine, tiny};
use crate::train::trainer::Trainer;
use crate::train::{CheckpointError, Options, Source, SourceError, Status, TrainError, train, train_with};

/// A teacher trained for a moment, in `folder`; and its recipe.
fn teacher(folder: &Path, name: &str, input: [usize; 2], images: usize) -> (PathBuf, Recipe) {
    let mut recipe = tiny(ActivationKind::Relu, input, "rgb");
    (recipe.seed, recipe.train.images, recipe.train.batch) = (9, images, 16);
    let path = folder.join(name);
    file::write(&path, &train(&recipe, &mut ()).unwrap().model).unwrap();
    (path, recipe)
}

fn learns_from(teacher: &Path, weight: f64) -> Option<DistillConfig> {
    Some(DistillConfig {
        teacher: teacher.into(),
        weight,
        scale: 16.0,
        vary: true,
        mean: None,
        std: None,
        order: None,
    })
}

#[test]
fn the_mixture_is_what_it_says() {
    let device = Device::flex().autodiff();
    let student = Tensor::<2>::from_floats([[3.0, 4.0], [0.0, -2.0]], &device).require_grad();
    let targets = vec![1.0, 0.0, 0.0, -1.0];
    let mut recipe = tiny(ActivationKind::Relu, [24, 24], "rgb");
    recipe.net.embedding = 2;
    let source = Source::open(&recipe).unwrap();
    let mut model = Trainer::new(&recipe, &source, &Device::flex()).model.clone();
    let config = DistillConfig { scale: 10.0, ..learns_from(Path::new("t"), 0.25).unwrap() };
    let cosines = model.cosines(student.clone(), targets.clone());
    assert!((floats(&cosines)[0] - 0.6).abs() < 1e-6 && (floats(&cosines)[1] - 1.0).abs() < 1e-6);
    let mixed = config.mix(cosines.clone(), || Tensor::from_floats([2.0], &device));
    // 0.75 of the loss, a quarter of ten times the mean of 0.4 and 0.
    assert!((floats(&mixed)[0] - (1.5 + 0.5)).abs() < 1e-5);
    let alone = DistillConfig { weight: 1.0, ..config };
    let pulled = alone.mix(cosines, || unreachable!("the loss is not taken"));
    let gradient = student.grad(&pulled.backward()).unwrap();
    // At a right angle to the embedding, towards the target.
    let [x, y, ..] = floats(&gradient)[..] else { unreachable!() };
    assert!((3.0 * x + 4.0 * y).abs() < 1e-5 && x < 0.0, "{x}, {y}");
    model.projection = Some(Param::from_tensor(Tensor::from_floats([[0.0, 1.0], [1.0, 0.0]], &device)));
    let turned = model.cosines(student, targets);
    assert!((floats(&turned)[0] - 0.8).abs() < 1e-6 && floats(&turned)[1].abs() < 1e-6);
}

#[test]
fn both_see_one_picture_at_the_larger_size() {
    let folder = tempfile::tempdir().unwrap();
    let (path, of_teacher) = teacher(folder.path(), "t.onnx", [32, 24], 160);
    let judge = engine(&file::read(&path).unwrap(), &of_teacher);
    let people = Portraits::new(2);
    let cosine = |a: &[f32], b: &[f32]| crate::eval::embed::cosine(a, b);
    for (input, larger) in [([16, 12], [32, 24]), ([32, 24], [32, 24]), ([40, 30], [40, 30])] {
        let mut recipe = tiny(ActivationKind::Relu, input, "rgb");
        recipe.augment = Default::default();
        recipe.distill = learns_from(&path, 1.0);
        let source = Source::open(&recipe).unwrap();
        let sample = source.sample(3).unwrap();
        let data = people.portrait(sample.class as u64, 0, (larger[0] as u32, larger[1] as u32)).into_raw();
        let picture = Picture { width: larger[0], height: larger[1], channels: 3, data };
        let plain = |[columns, rows]: [usize; 2]| crop(&picture, &Variation::plain(0), columns, rows);
        assert!(sample.crop == plain(input), "{input:?}: the student's crop");
        let wanted = judge.embed(&plain([32, 24])).unwrap();
        assert!(cosine(&sample.target, &wanted) > 1.0 - 1e-6, "{input:?}");
        assert!((cosine(&sample.target, &sample.target) - 1.0).abs() < 1e-6);
        assert_eq!((source.held_out().len(), source.held_out_targets().len()), (24, 24));
        assert!(source.held_out().iter().all(|(_, crop)| crop.len() == input[0] * input[1] * 3));
    }
    // A grey student's teacher sees grey.
    let mut recipe = tiny(ActivationKind::Relu, [32, 24], "grey");
    recipe.augment = Default::default();
    recipe.distill = learns_from(&path, 1.0);
    let sample = Source::open(&recipe).unwrap().sample(3).unwrap();
    let grey: Vec<u8> = sample.crop.iter().flat_map(|&v| [v; 3]).collect();
    assert!(cosine(&sample.target, &judge.embed(&grey).unwrap()) > 1.0 - 1e-6);
}

#[test]
fn a_student_comes_closer_to_its_teacher_than_one_without() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = teacher(folder.path(), "t.onnx", [24, 24], 3200);
    let mut recipe = tiny(ActivationKind::Relu, [24, 24], "rgb");
    (recipe.train.images, recipe.train.batch, recipe.train.validate_every) = (6400, 32, 10_000);
    recipe.distill = learns_from(&path, 0.5);
    let close = train(&recipe, &mut ()).unwrap();
    recipe.distill = learns_from(&path, 0.0);
    let alone = train(&recipe, &mut ()).unwrap();
    let cosine = |t: &crate::train::Trained| t.status.validation.unwrap().cosine_to_teacher.unwrap();
    assert!(cosine(&close) > cosine(&alone) + 0.3, "{} against {}", cosine(&close), cosine(&alone));
    assert!(cosine(&close) > 0.7, "{}", cosine(&close));
}

#[test]
fn a_teacher_alone_asks_no_labels() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = teacher(folder.path(), "t.onnx", [24, 24], 160);
    let mut recipe = tiny(ActivationKind::Relu, [24, 24], "rgb");
    recipe.distill = learns_from(&path, 1.0);
    let first = train(&recipe, &mut ()).unwrap();
    recipe.loss = LossConfig::Softmax {};
    assert!(train(&recipe, &mut ()).unwrap().model == first.model, "the loss counts");
    // Images in the folder itself, which belong to nobody.
    for identity in 0..12 {
        let portrait = Portraits::new(3).portrait(identity, 0, (40, 40));
        portrait.save(folder.path().join(format!("{identity}.png"))).unwrap();
    }
    recipe.data = DataConfig::Folder {
        path: folder.path().into(),
        least_images: 2,
        leave_out: Paths::default(),
        detector: None,
        unlabelled: true,
    };
    recipe.split.validation = 3;
    let source = Source::open(&recipe).unwrap();
    assert_eq!((source.classes(), source.held_out().len()), (9, 6));
    assert_ne!(source.held_out()[0].1, source.held_out()[1].1, "the second view is the mirror image");
    let trained = train(&recipe, &mut ()).unwrap();
    assert!(trained.status.validation.unwrap().cosine_to_teacher.is_some());
    // Asked once, the teacher says the same of all variations of an image, which differ; and what it says of the image itself.
    recipe.augment.shift = 0.1;
    let varied = Source::open(&recipe).unwrap();
    recipe.distill.as_mut().unwrap().vary = false;
    let once = Source::open(&recipe).unwrap();
    recipe.augment = Default::default();
    let plain = Source::open(&recipe).unwrap();
    for number in 0..9 {
        let of = |source: &Source| source.sample(number).unwrap();
        let (a, b) = (of(&once), of(&plain));
        assert!(a.crop != b.crop && a.crop == of(&varied).crop);
        assert!(a.target == b.target && a.target != of(&varied).target);
        let again = (0..9).map(|n| once.sample(9 + n).unwrap()).find(|s| s.class == a.class).unwrap();
        assert!(again.crop != a.crop && again.target == a.target);
    }
}

#[test]
fn stopped_and_resumed_is_bit_for_bit_the_same_under_the_same_teacher() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = teacher(folder.path(), "t.onnx", [32, 32], 160);
    let (other, _) = teacher(folder.path(), "o.onnx", [32, 32], 320);
    for (order, weight) in [("rgb", 0.5), ("grey", 1.0)] {
        let mut recipe = tiny(ActivationKind::Prelu, [24, 24], order);
        // Another length than the teacher's: with a matrix between them.
        recipe.net.embedding = 8;
        recipe.distill = learns_from(&path, weight);
        (recipe.augment.blur, recipe.augment.occlude) = (1.0, 0.3);
        (recipe.train.ema, recipe.train.patience) = (0.8, 5);
        let whole = train(&recipe, &mut ()).unwrap();
        let checkpoint = folder.path().join(format!("{order}.checkpoint"));
        let options = Options { checkpoint: Some(checkpoint), ..Default::default() };
        let mut stop =
            |s: &Status| if s.images == 40 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        train_with(&recipe, &options, &mut stop).unwrap_err();
        let options = Options { resume: true, ..options };
        let mut mixed = recipe.clone();
        mixed.distill = learns_from(&other, weight);
        let refused = train_with(&mixed, &options, &mut ()).unwrap_err();
        assert!(matches!(refused, TrainError::Checkpoint(CheckpointError::OtherFile { .. })), "{refused}");
        let resumed = train_with(&recipe, &options, &mut ()).unwrap();
        assert!(resumed.model == whole.model, "{order}: the weights differ");
        let cosine = |t: &crate::train::Trained| t.status.validation.unwrap().cosine_to_teacher.unwrap();
        assert_eq!(cosine(&resumed).to_bits(), cosine(&whole).to_bits(), "{order}: the matrix differs");
    }
}

#[test]
fn teachers_that_cannot_teach_are_refused_with_what_would_do() {
    let folder = tempfile::tempdir().unwrap();
    let (path, of_teacher) = teacher(folder.path(), "t.onnx", [32, 24], 160);
    let told = |change: &dyn Fn(&mut Recipe)| {
        let mut recipe = tiny(ActivationKind::Relu, [32, 24], "rgb");
        recipe.distill = learns_from(&path, 0.5);
        change(&mut recipe);
        match Source::open(&recipe) {
            Err(why @ SourceError::Teacher(_)) => why.to_string(),
            other => panic!("{:?}", other.err()),
        }
    };
    let ratio = told(&|r| r.net.input = [24, 32]);
    assert!(ratio.contains("32x24") && ratio.contains("24x32") && ratio.contains("accepted:"), "{ratio}");
    let template = told(&|r| r.input.template = Template::Face);
    assert!(template.contains("takes framed pictures, the student aligned faces"), "{template}");
    let missing = told(&|r| r.distill = learns_from(Path::new("none.onnx"), 0.5));
    assert!(missing.contains("cannot read none.onnx"), "{missing}");
    let mut foreign = file::read(&path).unwrap();
    foreign.metadata_props.clear();
    let bare = folder.path().join("foreign.onnx");
    file::write(&bare, &foreign).unwrap();
    let silent = told(&|r| r.distill = learns_from(&bare, 0.5));
    assert!(silent.contains("distill.mean and distill.std"), "{silent}");
    let said = |mean: Vec<f32>, std: Vec<f32>| {
        let mut recipe = of_teacher.clone();
        recipe.distill = learns_from(&bare, 0.5);
        if let Some(distill) = &mut recipe.distill {
            (distill.mean, distill.std) = (Some(mean), Some(std));
        }
        Source::open(&recipe).map(|source| source.sample(0).unwrap().target)
    };
    let mut own = of_teacher.clone();
    own.distill = learns_from(&path, 0.5);
    let target = Source::open(&own).unwrap().sample(0).unwrap().target;
    assert_eq!(said(vec![0.5; 3], vec![0.25; 3]).unwrap(), target);
    let short = said(vec![0.5], vec![0.25]).unwrap_err().to_string();
    assert!(short.contains("3 input channels"), "{short}");
}

#[test]
fn the_table_is_checked() {
    let text = |distill: &str| {
        let recipe =
            include_str!("../demo.toml").replace("[data]", &format!("[distill]\n{distill}\n\n[data]"));
        Recipe::parse(&recipe, Path::new("r.toml"))
    };
    let parsed = text("teacher = \"t.onnx\"\nweight = 0.5\nmean = [0.1]").unwrap();
    assert_eq!(parsed.distill.as_ref().unwrap().scale, 16.0);
    let mut moved = parsed.clone();
    moved.distill.as_mut().unwrap().teacher = "elsewhere/t.onnx".into();
    assert_eq!(moved.digest(), parsed.digest(), "where the teacher lies decides nothing");
    moved.distill.as_mut().unwrap().weight = 0.6;
    assert_ne!(moved.digest(), parsed.digest());
    let wrong = [
        ("teacher = \"t.onnx\"\nweight = 1.5", "distill.weight = 1.5\n  accepted: 0 to 1"),
        ("teacher = \"t.onnx\"\nweight = 0.5\nscale = 0.0", "distill.scale = 0"),
        ("teacher = \"t.onnx\"\nweight = 0.5\nheat = 4", "heat"),
        ("teacher = \"t.onnx\"", "missing field `weight`"),
    ];
    for (distill, words) in wrong {
        let told = text(distill).unwrap_err().to_string();
        assert!(told.contains(words), "{told}");
    }
    let painted = text("teacher = \"t.onnx\"\nweight = 0.5\nvary = false").unwrap_err().to_string();
    assert!(painted.contains("distill.vary = false") && painted.contains("\"folder\""), "{painted}");
    let mut unlabelled = Recipe::demo();
    let path = Paths::from("faces");
    unlabelled.data = DataConfig::Folder {
        path,
        least_images: 2,
        leave_out: Paths::default(),
        detector: None,
        unlabelled: true,
    };
    for (distill, accepted) in
        [(None, false), (learns_from(Path::new("t"), 0.9), false), (learns_from(Path::new("t"), 1.0), true)]
    {
        unlabelled.distill = distill;
        assert_eq!(unlabelled.check().is_ok(), accepted);
    }
}
