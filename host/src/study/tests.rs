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
    run(study, folder, &ui, &AtomicBool::new(stop))
}

#[test]
fn a_study_that_was_stopped_gives_what_one_that_was_not_does() {
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let study = small();
    let expected = go(&study, whole.path(), false).unwrap();
    let stopped = go(&study, cut.path(), true).unwrap_err().to_string();
    assert!(stopped.contains("stopped after 32 images"), "{stopped}");
    assert!(cut.path().join("runs/untrained-1/training.checkpoint").exists());
    // A second process is stopped one step further.
    assert!(go(&study, cut.path(), true).unwrap_err().to_string().contains("stopped after 64 images"));
    let found = go(&study, cut.path(), false).unwrap();
    for (found, expected) in found.losses.iter().zip(&expected.losses) {
        assert_eq!((&found.name, found.estimates), (&expected.name, expected.estimates));
    }
    assert!(!cut.path().join("runs/untrained-1/training.checkpoint").exists());
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
    std::fs::write(folder.path().join("runs/triplet-2/run.json"), "{\"digest\": 4").unwrap();
    let said = go(&study, folder.path(), false).unwrap_err().to_string();
    assert!(said.contains("triplet-2") && said.contains("is damaged"), "{said}");
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
    assert!(outcome.losses.iter().any(|row| row.name == "triplet" && row.estimates.is_some()));
}
