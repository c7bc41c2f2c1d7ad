//! `arcgate train`.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use super::shared;
use crate::disk;
use crate::onnx::file;
use crate::quantize;
use crate::report::colours;
use crate::report::curve::{Panel, stacked};
use crate::report::drawing::PlotError;
use crate::train::metrics;
use crate::train::{
    Checkpoint, Options, Place, Progress, Recipe, Source, Status, Validation, has_ended, train_with,
};
use crate::ui::{Ui, thousands};

/// Images -> float ONNX, checkpoints beside it.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The recipe (TOML): net, loss, data, augmentation, schedule. Its fields are documented in models/recipes/README.md.
    recipe: PathBuf,
    /// Where the model goes; NAME.onnx beside the recipe when absent. Beside it lie its `.checkpoint`, and how the training went
    /// as `.metrics.jsonl` and `.metrics.svg`.
    #[arg(short, long, value_name = "OUT.onnx")]
    output: Option<PathBuf>,
    /// Go on from the checkpoint; on the processor the result is bit for bit that of a training that never stopped.
    #[arg(long)]
    resume: bool,
    /// Begin anew although a checkpoint is there, which is written over.
    #[arg(long, conflicts_with = "resume")]
    restart: bool,
    /// Begin with this file's weights instead of random ones: a float .onnx with the layers of the recipe's network, or a
    /// .safetensors of --weights. The head begins with the .safetensors' where its shapes are the same, else with random ones.
    /// With --resume it must be the file that the checkpoint began from; it may be left out then. A recipe with [quantization]
    /// fine-tunes this file with simulated int8, any float .onnx that import takes, and needs it also with --resume.
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// Also write the weights as they are, with the head's, for --init.
    #[arg(long, value_name = "OUT.safetensors")]
    weights: Option<PathBuf>,
    /// Where it computes.
    #[arg(long, value_enum, default_value_t)]
    device: Place,
}

/// Draws the bar, and stops at Ctrl-C. With `-v` each validation gets a line of its own.
struct Watcher {
    ui: Ui,
    bar: indicatif::ProgressBar,
    stop: Arc<AtomicBool>,
    verbose: bool,
    validation: Option<Validation>,
}

impl Progress for Watcher {
    fn begin(&mut self, source: &Source) {
        let ui = self.ui;
        self.bar.suspend(|| shared::name_left_out(&ui, source.left_out()));
    }

    fn calibrate(&mut self, progress: quantize::Progress) {
        use quantize::Progress as At;
        let (what, done, total) = match progress {
            At::Calibrating(done, total) => ("calibrating, images", done, total),
            At::Quantizing(done, total) => ("choosing ranges, layers", done, total),
            At::Measuring(..) | At::Blaming(..) => return,
        };
        self.bar.set_message(format!("{what} {done} of {total}"));
    }

    fn step(&mut self, status: &Status) -> ControlFlow<()> {
        // Images of an earlier process count as done, not as fast.
        if self.bar.position() == 0 {
            self.bar.reset_elapsed();
        }
        self.bar.set_position(status.images as u64);
        let validated = status.validation.map(|v| format!("  TAR@1e-2 {:.1} %", 100.0 * v.tar_at_1e2));
        self.bar.set_message(format!("loss {:.3}{}", status.loss, validated.unwrap_or_default()));
        if self.verbose && status.validation != self.validation {
            self.validation = status.validation;
            let line = format!("{} images: {}", thousands(status.images as u64), self.bar.message());
            self.bar.suspend(|| eprintln!("{line}"));
        }
        if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Runs the command.
///
/// # Errors
/// A recipe, image or checkpoint that cannot be used, a loss that is no number, or Ctrl-C.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let recipe = Recipe::read(&args.recipe)?;
    let output = args.output.unwrap_or_else(|| args.recipe.with_file_name(format!("{}.onnx", recipe.name)));
    let metrics = output.with_extension("metrics.jsonl");
    let options = Options {
        checkpoint: Some(output.with_extension("checkpoint")),
        resume: args.resume,
        metrics: Some(metrics.clone()),
        init: args.init,
        weights: args.weights,
        place: args.device,
    };
    shared::name_device(ui, args.device)?;
    for written in [Some(&output), options.weights.as_ref()].into_iter().flatten() {
        shared::keep(written, options.init.as_ref())?;
    }
    let ending = |path: &PathBuf| path.extension().is_some_and(|e| e == "safetensors");
    if let Some(path) = options.weights.as_ref().filter(|path| !ending(path)) {
        anyhow::bail!("--weights {}\n  accepted: a name that ends in .safetensors", path.display());
    }
    if let Some(path) =
        options.checkpoint.as_ref().filter(|path| !args.resume && !args.restart && path.exists())
    {
        let finished = Checkpoint::read(path, &recipe.digest()).is_ok_and(|c| has_ended(&recipe, &c));
        anyhow::ensure!(
            finished,
            "{} is the checkpoint of a training that has not ended, or of another recipe; it would be written over\n  \
             accepted: --resume to go on with it, --restart to begin anew, or another -o",
            path.display()
        );
    }
    let stop = shared::stop_flag();
    let total = recipe.steps() * recipe.train.batch;
    let bar = ui.progress("training", "images", total as u64);
    let mut watcher = Watcher { ui: *ui, bar, stop, verbose: ui.verbose && !ui.quiet, validation: None };
    let trained = train_with(&recipe, &options, &mut watcher);
    watcher.bar.finish_and_clear();
    let trained = trained.with_context(|| format!("training {}", recipe.name))?;
    shared::name_some(ui, "broken", trained.broken.iter());
    file::write(&output, &trained.model)?;
    let plot = output.with_extension("metrics.svg");
    disk::replace(&plot, curves(&metrics::read(&metrics))?.as_bytes())
        .with_context(|| format!("cannot write {}", plot.display()))?;
    let (status, validation) = (trained.status, trained.status.validation);
    let [columns, rows] = recipe.net.input;
    ui.say(format!(
        "{}: {} parameters, input {columns}x{rows} {}, {}-dimensional embedding, {} classes",
        output.display(),
        thousands(trained.parameters as u64),
        recipe.net.order,
        recipe.net.embedding,
        thousands(trained.classes as u64),
    ));
    let validation = validation.context("a training ends with a validation")?;
    ui.say(format!(
        "loss {:.3} after {} images ({:.0} a second); held-out identities: TAR@FAR 1e-2 {:.1} %, verification {:.1} %",
        status.loss,
        thousands(status.images as u64),
        status.images_per_second,
        100.0 * validation.tar_at_1e2,
        100.0 * validation.accuracy,
    ));
    if let Some(cosine) = validation.cosine_to_teacher {
        ui.say(format!("mean cosine to the teacher on held-out images: {cosine:.3}"));
    }
    ui.note(format!("how it went: {} and {}", plot.display(), metrics.display()));
    ui.note(format!("next: arcgate import {} --calibrate DIR", output.display()));
    ui.json(&serde_json::json!({
        "model": output, "init": options.init, "weights": options.weights, "metrics": metrics, "plot": plot, "classes": trained.classes, "parameters": trained.parameters, "images": status.images,
        "loss": status.loss, "images_per_second": status.images_per_second,
        "validation": { "tar_at_far": { "0.01": validation.tar_at_1e2 }, "accuracy": validation.accuracy,
            "cosine_to_teacher": validation.cosine_to_teacher },
    }));
    Ok(ExitCode::SUCCESS)
}

/// The loss, and under it the validation, over the images seen.
fn curves(lines: &[metrics::Line]) -> Result<String, PlotError> {
    let loss = lines.iter().map(|l| (l.images as f64, l.loss)).collect();
    let tar = lines.iter().filter_map(|l| Some((l.images as f64, 100.0 * l.tar_at_1e2?))).collect();
    let panels = [
        Panel { name: "loss", top: None, points: loss, colour: colours::NON_MATED },
        Panel { name: "TAR at FAR 1e-2, %", top: Some(100.0), points: tar, colour: colours::MATED },
    ];
    stacked("images seen", &panels)
}
