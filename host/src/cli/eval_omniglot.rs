//! `arcgate eval omniglot`.

use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;

use crate::data::{self, omniglot};
use crate::engine::{Kind, Model};
use crate::eval::float::{self, Said};
use crate::eval::interval::wilson95;
use crate::eval::omniglot::one_shot;
use crate::onnx::file;
use crate::onnx::metadata::FloatInput;
use crate::ui::Ui;

/// One-shot classification of handwritten characters: 20 runs, 20 classes each with one example, chance 5 %.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// An int8 .onnx or a .plan, or the float .onnx that `arcgate train` wrote; a model of framed pictures.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The folder that holds omniglot/python [default: $ARCGATE_DATA, else ../shared/data].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When the model or the archives cannot be used.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let folder = args.data.clone().unwrap_or_else(data::default_root).join("omniglot").join("python");
    let runs = omniglot::runs(&folder)?;
    let is_plan = args.model.extension().is_some_and(|e| e == "plan");
    let is_float = !is_plan && FloatInput::of(&file::read(&args.model)?)?.is_some();
    let (found, engine) = if is_float {
        let (engine, info) = float::open(&args.model, &Said::default(), None)?;
        (one_shot(&runs, &info, |crop| engine.embed(crop).map_err(anyhow::Error::from))?, "float")
    } else {
        let model = Model::open(&args.model)?;
        let mut engine = model.embedder(Kind::Plan)?;
        let mut out = vec![0; model.info().dimension as usize];
        let found = one_shot(&runs, model.info(), |crop| {
            engine.embed(crop, &mut out).context("embedding a drawing")?;
            Ok::<_, anyhow::Error>(out.iter().map(|&v| f32::from(v)).collect())
        })?;
        (found, "plan")
    };
    let (low, high) = wilson95(found.right as u64, found.probes as u64);
    ui.say(format!(
        "Omniglot one-shot, {engine}: {:.1} % [{:.1}, {:.1}] of {} probes in {} runs (chance 5 %)",
        100.0 * found.accuracy(),
        100.0 * low,
        100.0 * high,
        found.probes,
        found.runs.len(),
    ));
    ui.json(&json!({
        "model": args.model, "engine": engine, "accuracy": found.accuracy(), "probes": found.probes,
        "runs": found.runs.len(), "right_by_run": found.runs.iter().map(|r| r.1).collect::<Vec<_>>(),
    }));
    Ok(())
}
