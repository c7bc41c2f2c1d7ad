use super::*;
use crate::train::recipe::DataConfig;

/// Two losses on a handful of small portraits, a few steps each.
fn small() -> Study {
    let mut study = Study::quick();
    study.losses.retain(|entry| ["softmax", "triplet"].contains(&entry.loss.name()));
    study.seeds = 2;
    study.net.input = [16, 16];
    study.net.blocks.truncate(1);
    study.data = DataConfig::Synth { population: 3, identities: 12 };
    (study.split.validation, study.split.test) = (4, 6);
    study.measure.enrolled = 3;
    (study.train.images, study.train.validate_every) = (32 * 12, 32 * 4);
    study.plane.as_mut().expect("the quick study has one").images = 32 * 3;
    study
}

fn go(study: &Study, folder: &Path, stop: bool) -> Result<Outcome, StudyError> {
    let ui = Ui { quiet: true, ..Ui::default() };
    run(study, folder, Place::Cpu, "arcgate study small.toml", &ui, &AtomicBool::new(stop))
}

#[test]
fn a_study_that_was_stopped_gives_what_one_that_was_not_does() {
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let study = small();
    let expected = go(&study, whole.path(), false).unwrap();
    let stopped = |images: usize, run: &str| {
        let said = go(&study, cut.path(), true).unwrap_err().to_string();
        assert!(said.contains(&format!("stopped in {run} after {images} images")), "{said}");
    };
    stopped(32, "untrained-1");
    // What stands before the losses is there already, so that it is a loss that is stopped.
    for run in ["untrained-1", "untrained-2"] {
        let (from, to) = (whole.path().join("runs").join(run), cut.path().join("runs").join(run));
        std::fs::create_dir_all(&to).unwrap();
        for file in ["run.json", "model.onnx"] {
            std::fs::copy(from.join(file), to.join(file)).unwrap();
        }
    }
    stopped(32, "triplet-1");
    stopped(64, "triplet-1");
    assert!(cut.path().join("runs/triplet-1/training.checkpoint").exists());
    let found = go(&study, cut.path(), false).unwrap();
    for (found, expected) in found.losses.iter().zip(&expected.losses) {
        assert_eq!((&found.name, found.estimates), (&expected.name, expected.estimates));
        assert!(found.seconds > 0.0 && found.seconds.is_finite());
    }
    assert!(!cut.path().join("runs/triplet-1/training.checkpoint").exists());
    assert_eq!(expected.losses.len(), 2);
    assert_eq!((expected.identities, expected.test_images), (6, 120));
}

#[test]
fn a_folder_of_another_study_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = small();
    study.losses.truncate(1);
    study.plane = None;
    go(&study, folder.path(), false).unwrap();
    study.train.rate *= 2.0;
    let said = go(&study, folder.path(), false).unwrap_err().to_string();
    assert!(said.contains("triplet-1") && said.contains("is of another study"), "{said}");
    study.train.rate /= 2.0;
    // The same recipe on other people: what was learnt may be among whom it would be measured on.
    let mut moved = study.clone();
    moved.data = DataConfig::Synth { population: 4, identities: 12 };
    let said = go(&moved, folder.path(), false).unwrap_err().to_string();
    assert!(said.contains("test.sha256") && said.contains("other test images"), "{said}");
    std::fs::write(folder.path().join("runs/triplet-2/run.json"), "{\"digest\": 4").unwrap();
    let said = go(&study, folder.path(), false).unwrap_err().to_string();
    assert!(said.contains("triplet-2") && said.contains("is damaged"), "{said}");
    std::fs::create_dir(folder.path().join("runs/mine")).unwrap();
    forget(folder.path()).unwrap();
    let left: Vec<_> = std::fs::read_dir(folder.path().join("runs")).unwrap().collect();
    assert_eq!(left.len(), 1, "only what is not the study's is left: {left:?}");
    assert!(go(&moved, folder.path(), false).is_ok());
}

#[test]
fn a_loss_that_diverges_is_a_result() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = small();
    study.seeds = 1;
    study.plane = None;
    for entry in &mut study.losses {
        entry.rate = Some(if entry.loss.name() == "softmax" { 100.0 } else { 0.05 });
    }
    // At rate 100 the decay turns every weight of softmax's net into -99 times itself, step by step.
    study.train.weight_decay = 1.0;
    study.train.images = 32 * 40;
    let outcome = go(&study, folder.path(), false).unwrap();
    let softmax = outcome.softmax().unwrap();
    assert!(softmax.estimates.is_none() && softmax.diverged.len() == 1, "{softmax:?}");
    assert!(softmax.diverged[0].starts_with("seed 1: the loss is"), "{softmax:?}");
    assert!(verdicts(&outcome).iter().any(|said| said.contains("softmax diverged")));
    let text = std::fs::read_to_string(folder.path().join("README.md")).unwrap();
    assert!(text.contains("| softmax | diverged |"), "{text}");
    assert!(text.contains("arcgate study small.toml"), "{text}");
    assert!(outcome.losses.iter().any(|row| row.name == "triplet" && row.estimates.is_some()));
}
