//! Everything once, on synthetic identities: train, quantize, prove, calibrate, enroll, identify, measure, report.
//!
//! Three groups of people take part and none is in two of them: those that the model learns from, those that ranges and
//! the threshold are measured on (`people::DEVELOPMENT`), and those that everything reported is measured on
//! (`people::TEST`).

mod baseline;
mod gate;
mod page;
mod people;
mod verification;

pub use page::table;

use std::path::{Path, PathBuf};
use std::time::Instant;

use arcgate_firmware::engine::EmbedError;
use arcgate_firmware::gallery::GalleryError;
use arcgate_firmware::model::thresholds::{Bar, Scope};
use serde::Serialize;

use crate::disk;
use crate::engine::{EngineError, FloatEngine, InputSpec, Kind, Model};
use crate::enroll::EnrollError;
use crate::eval::calibration::{self, CalibrationError};
use crate::eval::fpir::Impostors;
use crate::eval::gallery::Vector;
use crate::eval::transform::{self, transformed};
use crate::lower::{self, LowerError};
use crate::onnx::file::{self, FileError};
use crate::onnx::metadata::MetadataError;
use crate::onnx::origin::Origin;
use crate::photo::PhotoError;
use crate::quantize::{self, ImportError, ImportOptions, Imported};
use crate::report::drawing::PlotError;
use crate::synth::Portraits;
use crate::train::{
    self, Status, TrainError,
    recipe::{DataConfig, Recipe},
};
use crate::ui::{Ui, thousands};
use gate::Gate;
use people::{DEVELOPMENT, Shots, TEST};
use verification::Verification;

/// Crops that the ranges are measured on.
const CALIBRATION: usize = 256;
/// Crops that tract and the plan are compared on.
const PROOF: usize = 500;

/// What a demo is made with.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is trained; its data must be synthetic.
    pub recipe: Recipe,
    /// Where the models, the galleries and the report go.
    pub folder: PathBuf,
}

/// What a demo measured. All rates are shares, 0..=1.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// People whom nothing was trained, calibrated or chosen on.
    pub identities: usize,
    /// Pairs that verification was measured on.
    pub pairs: usize,
    /// Accuracy of the float model, threshold chosen on nine of ten folds.
    pub float_accuracy: f64,
    /// Of the int8 plan.
    pub int8_accuracy: f64,
    /// Of the cosine between raw pixels.
    pub raw_pixels_accuracy: f64,
    /// Of the distance between mean colours.
    pub mean_colour_accuracy: f64,
    /// Share of enrolled probes that got their own name.
    pub mated_found: f64,
    /// How many of them there were.
    pub mated_probes: u64,
    /// Share of never-enrolled probes that got anybody's name.
    pub strangers_accepted: f64,
    /// The other share.
    pub strangers_refused: f64,
    /// How many of them there were.
    pub stranger_probes: u64,
    /// People enrolled at a time.
    pub enrolled: usize,
    /// The threshold that the device decided with, in degrees.
    pub threshold_degrees: f32,
    /// Mean angle between float and int8 embeddings, in degrees.
    pub quantization_degrees: f64,
    /// Whether every byte was the same.
    pub tract_equals_plan: bool,
    /// Crops that this was seen on.
    pub proved_on: usize,
    /// Bytes of the plan.
    pub plan_bytes: usize,
    /// Bytes of the plan's arena.
    pub arena_bytes: usize,
    /// Seconds for everything.
    pub seconds: f64,
    /// The page to look at.
    pub report: PathBuf,
}

/// What can stop a demo.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is the error of the step that it names")]
pub enum DemoError {
    #[error("the demo's people are synthetic\n  accepted: a recipe with [data] source = \"synth\"")]
    NotSynthetic,
    #[error("{}: {source}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("the pairs cannot be scored: {0}")]
    Scores(String),
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Embed(#[from] EmbedError),
    #[error(transparent)]
    Lower(#[from] LowerError),
    #[error(transparent)]
    Transform(#[from] GalleryError),
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The table has no threshold for the people of the demo.
    #[error("the threshold table does not reach the demo's people")]
    NoThreshold,
    #[error(transparent)]
    Photo(#[from] PhotoError),
    #[error(transparent)]
    Enroll(#[from] EnrollError),
    #[error(transparent)]
    Plot(#[from] PlotError),
}

/// Runs the demo.
///
/// # Errors
/// When a step fails, by that step's own error.
pub fn run(options: &Options, ui: &Ui) -> Result<Outcome, DemoError> {
    let started = Instant::now();
    let DataConfig::Synth { population, .. } = options.recipe.data else {
        return Err(DemoError::NotSynthetic);
    };
    let folder = |source| DemoError::Folder { path: options.folder.clone(), source };
    std::fs::create_dir_all(&options.folder).map_err(folder)?;
    let file = |name: &str| options.folder.join(name);

    let float = learn(&options.recipe, ui)?;
    file::write(&file("float.onnx"), &float)?;

    let input = options.recipe.float_input();
    let [columns, rows] = options.recipe.net.input.map(|side| side as u32);
    let shots = Shots::new(Portraits::new(population), (columns, rows), &input.order);
    let development = shots.of(&DEVELOPMENT, ui)?;

    let imported = quantize(&float, &development.crops[..CALIBRATION], input.clone(), ui)?;
    let agreement = imported.agreement;
    let Calibrated { int8, model, threshold } = calibrate(imported, &development, &file("int8.onnx"), ui)?;
    let plan_path = file("model.plan");
    disk::replace(&plan_path, model.plan_bytes())
        .map_err(|source| DemoError::Folder { path: plan_path, source })?;

    let test = shots.of(&TEST, ui)?;
    let bar = ui.progress("proving", "images", PROOF as u64);
    let proof = lower::prove_with(&int8, model.plan_bytes(), &test.crops[..PROOF], || bar.inc(1))?;
    bar.finish_and_clear();
    ui.note(format!("proving    tract == plan on {} images: equal", proof.crops));

    let info = model.info();
    let (width, height, order) = (info.width, info.height, info.order);
    let spec = InputSpec { width, height, order, mean: input.mean.clone(), std: input.std.clone() };
    let engine = FloatEngine::from_model(Path::new("float.onnx"), &float, &spec)?;
    let verification = Verification::measure(&test, &engine, &model, ui)?;
    let gate = Gate::measure(&test, &model, &options.folder, ui)?;

    let parsed = arcgate_firmware::engine::plan::Plan::parse(model.plan_bytes()).map_err(LowerError::from)?;
    let (mated_found, strangers_accepted) = (gate.mated_found(), gate.strangers_accepted());
    let outcome = Outcome {
        identities: TEST.people as usize,
        pairs: verification.pairs,
        float_accuracy: verification.float.mean,
        int8_accuracy: verification.int8.mean,
        raw_pixels_accuracy: verification.raw_pixels.mean,
        mean_colour_accuracy: verification.mean_colour.mean,
        mated_found,
        mated_probes: gate.mated,
        strangers_accepted,
        strangers_refused: 1.0 - strangers_accepted,
        stranger_probes: gate.strangers,
        enrolled: gate::ENROLLED,
        threshold_degrees: threshold.angle.degrees(),
        quantization_degrees: agreement.mean_degrees,
        tract_equals_plan: true,
        proved_on: proof.crops,
        plan_bytes: model.plan_bytes().len(),
        arena_bytes: parsed.arena_bytes(),
        seconds: started.elapsed().as_secs_f64(),
        report: file("report.html"),
    };
    let html = page::page(&outcome, &verification, &gate, &shots, &threshold)?;
    disk::replace(&outcome.report, html.as_bytes())
        .map_err(|source| DemoError::Folder { path: outcome.report.clone(), source })?;
    Ok(outcome)
}

fn learn(recipe: &Recipe, ui: &Ui) -> Result<tract_onnx::pb::ModelProto, DemoError> {
    let bar = ui.progress("training", "images", 0);
    let trained = train::train(recipe, &mut |status: &Status| {
        bar.set_length(status.total as u64);
        bar.set_position(status.images as u64);
        let tar =
            status.validation.map_or_else(String::new, |v| format!("TAR@1e-2 {:.1} %", v.tar_at_1e2 * 100.0));
        bar.set_message(format!("loss {:.2}  {tar}", status.loss));
        std::ops::ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    ui.note(format!(
        "training   {} images of {} people, {} parameters: loss {:.2}",
        thousands(trained.status.images as u64),
        thousands(trained.classes as u64),
        thousands(trained.parameters as u64),
        trained.status.loss
    ));
    Ok(trained.model)
}

fn quantize(
    float: &tract_onnx::pb::ModelProto,
    crops: &[Vec<u8>],
    input: crate::onnx::metadata::FloatInput,
    ui: &Ui,
) -> Result<Imported, DemoError> {
    let bar = ui.progress("quantizing", "steps", 0);
    let origin = Origin { source: "arcgate demo".into(), ..Origin::of(float, "") };
    let options = ImportOptions::new(input, origin);
    let imported = quantize::import(float, crops, &options, &|at| {
        let (quantize::Progress::Calibrating(done, of)
        | quantize::Progress::Quantizing(done, of)
        | quantize::Progress::Measuring(done, of)
        | quantize::Progress::Blaming(done, of)) = at;
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    let agreement = imported.agreement;
    ui.note(format!(
        "quantizing {} layers, {} images: mean angle between float and int8 embeddings {:.1} degrees (worst {:.1})",
        imported.layers.len(),
        imported.calibrated,
        agreement.mean_degrees,
        agreement.greatest_degrees
    ));
    Ok(imported)
}

/// An int8 model with its thresholds.
struct Calibrated {
    int8: tract_onnx::pb::ModelProto,
    model: Model,
    threshold: Bar,
}

/// Measures the thresholds on the development people and stores them in the model.
fn calibrate(
    imported: Imported,
    development: &people::Album,
    path: &Path,
    ui: &Ui,
) -> Result<Calibrated, DemoError> {
    let Imported { model: mut int8, mut metadata, .. } = imported;
    let model = Model::from_onnx(path, int8.clone())?;
    let options = calibration::Options { frames: 1, templates: gate::TEMPLATES as u8, seed: 1 };
    let embeddings: Vec<Vector> =
        development.embed(&model, Kind::Plan, ui)?.into_iter().map(Vector::Int8).collect();
    let embeddings = transformed(&embeddings, &transform::seed(options.seed, 0))?;
    let bar = ui.progress("calibrating", "images", embeddings.len() as u64);
    let impostors = Impostors::new(&development.owners, &embeddings, gate::TEMPLATES, || bar.inc(1));
    bar.finish_and_clear();
    let table = calibration::thresholds(&impostors, embeddings.len(), &options)?;
    metadata.thresholds = Some(table);
    metadata.store(&mut int8);
    file::write(path, &int8)?;
    let model = Model::from_onnx(path, int8.clone())?;
    let threshold = model
        .thresholds()
        .and_then(|table| table.lookup(gate::ENROLLED as u32, gate::TARGET_FPIR, Scope::Frame))
        .ok_or(DemoError::NoThreshold)?;
    ui.note(format!(
        "threshold  {} degrees [{}, {}] for {:.1} % of strangers at {} people",
        threshold.angle,
        threshold.low,
        threshold.high,
        gate::TARGET_FPIR * 100.0,
        gate::ENROLLED
    ));
    Ok(Calibrated { model, int8, threshold })
}
