//! `arcgate compile`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use serde_json::json;

use super::inspect;
use crate::lower::{self, Summary};
use crate::onnx::file;
use crate::ui::{Ui, thousands};

/// Int8 ONNX -> plan, proven equal to tract to the byte.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The int8 ONNX, as `arcgate import` writes it.
    model: PathBuf,
    /// Where the plan goes; beside the model, with the ending .plan, if not given.
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// How many synthetic crops (noise, gradients, stripes) the proof runs on.
    #[arg(long, default_value_t = 32)]
    crops: usize,
}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let model = file::read(&args.model)?;
    let lowered = lower::lower_named(&model).with_context(|| format!("in {}", args.model.display()))?;
    let summary = Summary::of(&lowered.plan, Some(&lowered.names))?;
    let info = arcgate_firmware::engine::plan::Plan::parse(&lowered.plan)?.info().clone();

    let crops = lower::synthetic_crops(&info, args.crops);
    let bar = ui.progress("proving", "crops", crops.len() as u64);
    let proof = lower::prove_with(&model, &lowered.plan, &crops, || bar.inc(1));
    bar.finish_and_clear();
    let proof = proof.with_context(|| format!("no plan was written for {}", args.model.display()))?;

    let output = args.output.unwrap_or_else(|| args.model.with_extension("plan"));
    write(&output, &lowered.plan).with_context(|| format!("cannot write {}", output.display()))?;

    if ui.verbose {
        ui.say(inspect::layer_table(&summary).trim_end());
    }
    ui.say(inspect::headline(&output, &info, &summary));
    ui.say(inspect::sizes(&summary));
    ui.say(format!(
        "  proof: tract == plan on {} crops, {} bytes equal ({:.1} s)",
        thousands(proof.crops as u64),
        thousands(proof.bytes as u64),
        started.elapsed().as_secs_f32()
    ));
    if let Some(note) = inspect::off_lattice_note(&summary) {
        ui.say(note);
    }
    ui.json(&json!({
        "plan": output,
        "flash_bytes": summary.flash_bytes,
        "arena_bytes": summary.arena_bytes,
        "macs": summary.macs,
        "layers": summary.layers.len(),
        "off_lattice_layers": summary.off_lattice_layers,
        "proof": proof,
        "tract_equals_plan": true,
    }));
    Ok(ExitCode::SUCCESS)
}

/// Writes beside the place first and renames, so that a cut leaves the old file or the new one.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension("plan.tmp");
    std::fs::write(&part, bytes)?;
    std::fs::rename(&part, path)
}
