//! The losses side by side: the same backbone, data, seeds and budget under every one of them.
//!
//! A [`Study`] names what is trained. Each training leaves a folder of its own below `runs/`, so that a study that was stopped
//! goes on where it was; then embeddings of identities that no training touched are measured ([`measure`]), figures of all seeds
//! get their intervals ([`estimate`]), and the [`Outcome`] is written as JSON, CSV, figures, Markdown and one HTML page.

pub mod config;
pub mod estimate;
pub mod figures;
pub mod measure;
mod page;
mod plane;
pub mod run;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::disk;
use crate::eval::embed::{Engine, EvalError, embed_crops};
use crate::eval::float::{self, FloatError, Said};
use crate::eval::identification::TrialError;
use crate::eval::pairs::PairsError;
use crate::onnx::metadata::hex;
use crate::report::drawing::PlotError;
use crate::train::{CheckpointError, Place, Recipe, Source, SourceError, Status, TrainError};
use crate::ui::Ui;

pub use config::Study;
pub use estimate::{Estimate, Estimates};
pub use page::{table, verdicts};

use estimate::{Sampled, Sampler};
use measure::{Identities, Measured, raw_pixels};
use run::{Point, Record};

/// Why a study gave no outcome.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The folder holds something else.
    #[error("{} {what}\n  accepted: another -o, or --restart to begin anew", path.display())]
    Other {
        /// Which file.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// A training ended for another reason than its loss.
    #[error(transparent)]
    Train(TrainError),
    /// There are no images.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A model cannot be opened.
    #[error(transparent)]
    Float(#[from] FloatError),
    /// A model does not run.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// A model cannot be written.
    #[error(transparent)]
    File(#[from] crate::onnx::file::FileError),
    /// Too few identities to search among.
    #[error(transparent)]
    Trials(#[from] TrialError),
    /// Too few images to pair.
    #[error(transparent)]
    Pairs(#[from] PairsError),
    /// An embedding is no number.
    #[error("an embedding is not finite")]
    NotFinite,
    /// A rate is too small for what there is to measure it on.
    #[error("measure.{name} = {rate} of {trials} comparisons is less than one\n  accepted: at least {:.1e}, or more identities in split.test", 1.0 / *trials as f64)]
    Rate {
        /// "far" or "fpir".
        name: &'static str,
        /// What was asked for.
        rate: f64,
        /// Comparisons there are.
        trials: usize,
    },
    /// Ctrl-C.
    #[error("stopped in {run} after {images} images; the same command goes on")]
    Stopped {
        /// The training that was stopped.
        run: String,
        /// Images that it had seen.
        images: usize,
    },
    /// A checkpoint cannot be used.
    #[error("{0}\n  accepted here: --restart to begin anew")]
    Checkpoint(CheckpointError),
    /// A figure cannot be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
}

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The loss, or what it is compared with.
    pub name: String,
    /// What it was told beside its name.
    pub settings: String,
    /// Why runs gave no model, each with its seed.
    pub diverged: Vec<String>,
    /// The figures, where any run gave a model.
    pub estimates: Option<Estimates>,
    /// FNIR less that of softmax, where neither diverged with any seed.
    pub fnir_less_softmax: Option<Estimate>,
    /// Mean seconds of a training.
    pub seconds: f64,
}

/// What a study measured.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// What was typed to make it.
    pub command: String,
    /// Trainings of each loss.
    pub seeds: u64,
    /// Images that each training saw.
    pub images: usize,
    /// Classes that each training learnt.
    pub classes: usize,
    /// Parameters of the backbone.
    pub parameters: usize,
    /// Identities that everything is measured on.
    pub identities: usize,
    /// Their images.
    pub test_images: usize,
    /// Identities enrolled at a time.
    pub enrolled: usize,
    /// Mated and non-mated searches of a run.
    pub searches: [usize; 2],
    /// The rate of false positives at which FNIR is read.
    pub fpir: f64,
    /// The rate of false accepts at which TAR is read.
    pub far: f64,
    /// Raw pixels and the untrained backbone.
    pub baselines: Vec<Row>,
    /// The losses.
    pub losses: Vec<Row>,
    /// Seconds of training of all that stands in the table.
    pub training_seconds: f64,
}

impl Outcome {
    /// The row of softmax, which the margin losses are held against.
    pub fn softmax(&self) -> Option<&Row> {
        self.losses.iter().find(|row| row.name == SOFTMAX)
    }
}

const SOFTMAX: &str = "softmax";
const UNTRAINED: &str = "untrained";
const RAW_PIXELS: &str = "raw pixels";

/// A loss with the runs of its seeds, or a baseline.
struct Runs {
    name: String,
    settings: String,
    records: Vec<Record>,
    measured: Vec<Option<Measured>>,
}

/// Runs the study in `folder`, training on `place` and going on with what an earlier process left there; `stop` ends it after the step at hand. `command` is
/// what the page says that it was made with.
///
/// # Errors
/// See [`StudyError`].
pub fn run(
    study: &Study,
    folder: &Path,
    place: Place,
    command: &str,
    ui: &Ui,
    stop: &AtomicBool,
) -> Result<Outcome, StudyError> {
    let runs = folder.join("runs");
    std::fs::create_dir_all(&runs).map_err(|source| StudyError::Io { path: runs.clone(), source })?;
    let mut trainer = Trainer::new(study, &runs, place, ui, stop);
    let softmax = config::Entry { loss: crate::loss::LossConfig::Softmax {}, rate: None };
    let test = Test::open(&study.recipe(&softmax, 1))?;
    test.claim(&runs, study, place)?;

    let mut all = vec![test.raw_pixels(study)?];
    all.push(trainer.runs(UNTRAINED, String::new(), |seed| study.untrained(seed), &test)?);
    for entry in &study.losses {
        let (name, settings) = (entry.loss.name(), page::settings(entry));
        all.push(trainer.runs(name, settings, |seed| study.recipe(entry, seed), &test)?);
    }
    let planes = plane::panels(study, &mut trainer)?;
    trainer.bar.finish_and_clear();

    let outcome = Outcome { command: command.into(), ..outcome(study, &all, &test) };
    page::write(folder, &outcome, study, &all[2..], &planes)?;
    Ok(outcome)
}

/// Deletes the trainings that a study left in `folder`, and nothing else.
///
/// # Errors
/// When the file system says no.
pub fn forget(folder: &Path) -> Result<(), StudyError> {
    let runs = folder.join("runs");
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| StudyError::Io { path, source }
    };
    if !runs.exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(&runs).map_err(io(&runs))? {
        let path = entry.map_err(io(&runs))?.path();
        if path.join("run.json").exists() || path.join("training.checkpoint").exists() {
            std::fs::remove_dir_all(&path).map_err(io(&path))?;
        }
    }
    let claim = runs.join(CLAIM);
    if claim.exists() { std::fs::remove_file(&claim).map_err(io(&claim)) } else { Ok(()) }
}

/// The file that says whom the trainings held back.
const CLAIM: &str = "test.sha256";

/// The images that everything is measured on.
struct Test {
    crops: Vec<Vec<u8>>,
    identities: Identities,
}

impl Test {
    fn open(recipe: &Recipe) -> Result<Self, StudyError> {
        let source = Source::open(recipe)?;
        let identities = Identities::new(source.unseen().iter().map(|(identity, _)| *identity));
        let crops = source.unseen().iter().map(|(_, crop)| crop.clone()).collect();
        Ok(Test { crops, identities })
    }

    /// Makes sure that the trainings in `runs` held back these very images: their models must not be measured on others. Replicas
    /// and the device are part of it, because a recipe's digest does not know them and times are compared.
    fn claim(&self, runs: &Path, study: &Study, place: Place) -> Result<(), StudyError> {
        let mut digest = Sha256::new();
        for (crop, identity) in self.crops.iter().zip(&self.identities.of_image) {
            digest.update((*identity as u64).to_le_bytes());
            digest.update(crop);
        }
        digest.update((study.train.replicas as u64).to_le_bytes());
        digest.update(if place == Place::Gpu { &b"gpu"[..] } else { b"" });
        let own = hex(&digest.finalize());
        let path = runs.join(CLAIM);
        let io = |source| StudyError::Io { path: path.clone(), source };
        match std::fs::read_to_string(&path) {
            Ok(other) if other.trim() != own => {
                let what =
                    "is of other test images, other replicas or another device than this study has".into();
                Err(StudyError::Other { path, what })
            }
            Ok(_) => Ok(()),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
                disk::replace(&path, format!("{own}\n").as_bytes()).map_err(io)
            }
            Err(why) => Err(io(why)),
        }
    }

    /// The pictures as they are; the same for every seed.
    fn raw_pixels(&self, study: &Study) -> Result<Runs, StudyError> {
        let vectors = self.crops.iter().map(|crop| raw_pixels(crop)).collect();
        let measured = Measured::new(vectors, &self.identities, &study.measure)?;
        let measured = vec![Some(measured); study.seeds as usize];
        Ok(Runs { name: RAW_PIXELS.into(), settings: String::new(), records: Vec::new(), measured })
    }

    fn measured(&self, study: &Study, folder: &Path) -> Result<Measured, StudyError> {
        let vectors = embedded(folder, &self.crops)?;
        Measured::new(vectors, &self.identities, &study.measure)
    }
}

/// The embeddings of `crops` by the model in a run's folder.
fn embedded(folder: &Path, crops: &[Vec<u8>]) -> Result<Vec<Vec<f32>>, StudyError> {
    let (engine, _) = float::open(&run::model_of(folder), &Said::default(), None)?;
    let vectors = embed_crops(crops, &[&Engine::Float(engine)], || ())?;
    Ok(vectors.into_iter().map(|mut of_engines| of_engines.swap_remove(0)).collect())
}

/// Trains what is not trained yet, under one bar for the whole study.
struct Trainer<'a> {
    study: &'a Study,
    runs: &'a Path,
    place: Place,
    ui: &'a Ui,
    stop: &'a AtomicBool,
    bar: indicatif::ProgressBar,
    /// Images of the runs before the one at hand.
    before: u64,
}

impl<'a> Trainer<'a> {
    fn new(study: &'a Study, runs: &'a Path, place: Place, ui: &'a Ui, stop: &'a AtomicBool) -> Self {
        let seen = |recipe: Recipe| (recipe.steps() * recipe.train.batch) as u64;
        let of_losses: u64 = study.losses.iter().map(|entry| seen(study.recipe(entry, 1))).sum();
        let of_planes: u64 = study.losses.iter().filter_map(|e| study.plane_recipe(e)).map(seen).sum();
        let total = study.seeds * (of_losses + seen(study.untrained(1))) + of_planes;
        Trainer { study, runs, place, ui, stop, bar: ui.progress("study", "images", total), before: 0 }
    }

    /// The runs of one line of the table, a seed each.
    fn runs(
        &mut self,
        name: &str,
        settings: String,
        recipe: impl Fn(u64) -> Recipe,
        test: &Test,
    ) -> Result<Runs, StudyError> {
        let mut runs = Runs { name: name.into(), settings, records: Vec::new(), measured: Vec::new() };
        for seed in 1..=self.study.seeds {
            let (mut record, folder) = self.train(&format!("{name}-{seed}"), &recipe(seed))?;
            let measured = match record.diverged {
                Some(_) => None,
                None => match test.measured(self.study, &folder) {
                    // The last step of all broke the weights.
                    Err(why @ StudyError::NotFinite) => {
                        record.diverged = Some(why.to_string());
                        None
                    }
                    measured => Some(measured?),
                },
            };
            runs.measured.push(measured);
            runs.records.push(record);
        }
        Ok(runs)
    }

    /// One training, or what is there of it already; its record and its folder.
    fn train(&mut self, name: &str, recipe: &Recipe) -> Result<(Record, PathBuf), StudyError> {
        let folder = self.runs.join(name);
        let begun = Instant::now();
        let record = match run::finished(&folder, recipe)? {
            Some(record) => record,
            None => {
                self.bar.set_message(name.to_owned());
                let (bar, before, stop) = (self.bar.clone(), self.before, self.stop);
                let mut watch = |status: &Status| {
                    bar.set_position(before + status.images as u64);
                    match stop.load(Ordering::Relaxed) {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    }
                };
                let record =
                    run::train(&folder, recipe, self.place, &mut watch).map_err(|why| match why {
                        StudyError::Train(TrainError::Stopped { images, .. }) => {
                            StudyError::Stopped { run: name.into(), images }
                        }
                        StudyError::Train(TrainError::Checkpoint(why)) => StudyError::Checkpoint(why),
                        why => why,
                    })?;
                let how = match &record.diverged {
                    Some(why) => format!("diverged: {why}"),
                    None => format!("{:.0} s", begun.elapsed().as_secs_f64()),
                };
                self.bar.suspend(|| self.ui.note(format!("{name:<18} {how}")));
                record
            }
        };
        self.before += (recipe.steps() * recipe.train.batch) as u64;
        self.bar.set_position(self.before);
        Ok((record, folder))
    }
}

fn outcome(study: &Study, all: &[Runs], test: &Test) -> Outcome {
    let sampler = Sampler::new(study.seeds as usize, test.identities.number());
    let sampled: Vec<Option<Sampled>> = all.iter().map(|runs| sampler.sample(&runs.measured)).collect();
    let softmax = all.iter().zip(&sampled).find(|(runs, _)| runs.name == SOFTMAX);
    let softmax = softmax.filter(|(runs, _)| runs.measured.iter().all(Option::is_some));
    let softmax = softmax.and_then(|(_, sampled)| sampled.as_ref());
    let mut rows = all.iter().zip(&sampled).map(|(runs, sampled)| row(runs, sampled.as_ref(), softmax));
    let baselines = rows.by_ref().take(2).collect();
    let losses = rows.collect();
    let records = || all.iter().flat_map(|runs| &runs.records);
    let first = records().find(|record| record.diverged.is_none());
    let searches = all.iter().flat_map(|runs| runs.measured.iter().flatten()).next();
    Outcome {
        name: study.name.clone(),
        command: String::new(),
        seeds: study.seeds,
        images: study.train.images / study.train.batch * study.train.batch,
        classes: first.map_or(0, |record| record.classes),
        parameters: first.map_or(0, |record| record.parameters),
        identities: test.identities.number(),
        test_images: test.crops.len(),
        enrolled: study.measure.enrolled,
        searches: searches.map_or([0; 2], Measured::searches),
        fpir: study.measure.fpir,
        far: study.measure.far,
        baselines,
        losses,
        training_seconds: records().map(|record| record.seconds).sum(),
    }
}

fn row(runs: &Runs, sampled: Option<&Sampled>, softmax: Option<&Sampled>) -> Row {
    let diverged = runs
        .records
        .iter()
        .zip(1..)
        .filter_map(|(record, seed)| Some(format!("seed {seed}: {}", record.diverged.as_ref()?)));
    let is_other = runs.name != SOFTMAX;
    // Seeds that diverged are missing on one side only.
    let whole = runs.measured.iter().all(Option::is_some);
    let trained = runs.records.iter().filter(|record| record.diverged.is_none());
    let seconds: Vec<f64> = trained.map(|record| record.seconds).collect();
    Row {
        name: runs.name.clone(),
        settings: runs.settings.clone(),
        diverged: diverged.collect(),
        estimates: sampled.map(Sampled::estimates),
        fnir_less_softmax: sampled
            .zip(softmax)
            .filter(|_| is_other && whole)
            .map(|(own, of)| own.fnir_less(of)),
        seconds: seconds.iter().fold(0.0, |a, b| a + b) / seconds.len().max(1) as f64,
    }
}

impl Runs {
    /// The mean over the seeds of the curve of accuracy over time; empty where no run gave a model.
    fn curve(&self) -> Vec<(f64, f64)> {
        let curves: Vec<&[Point]> =
            self.records.iter().map(|r| r.curve.as_slice()).filter(|c| !c.is_empty()).collect();
        let points = curves.iter().map(|c| c.len()).min().unwrap_or(0);
        let mean = |at: usize, pick: fn(&Point) -> f64| {
            curves.iter().map(|c| pick(&c[at])).sum::<f64>() / curves.len() as f64
        };
        (0..points).map(|at| (mean(at, |p| p.seconds), mean(at, |p| p.accuracy))).collect()
    }
}

#[cfg(test)]
mod tests;
