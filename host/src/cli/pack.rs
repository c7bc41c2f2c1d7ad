//! `arcgate pack`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use arcgate_firmware::engine::plan::MAGIC;
use arcgate_firmware::update::Part;
use clap::ArgGroup;
use serde_json::json;

use super::signer::SignerArg;
use super::{inspect, shared};
use crate::disk;
use crate::onnx::file;
use crate::ui::{Ui, thousands};
use crate::update::{self, Model, Proven};

/// Model -> signed image that a device takes as an update.
#[derive(clap::Args, Debug)]
#[command(group = ArgGroup::new("signed").args(["key", "development"]).required(true))]
pub struct Args {
    /// The embedder: an int8 ONNX, which is lowered for any core and proven, or a plan that `arcgate compile` made.
    model: PathBuf,
    /// A detector that goes with it: an int8 ONNX or a plan.
    #[arg(long, value_name = "MODEL")]
    detector: Option<PathBuf>,
    /// The model's version, from 1 on: a device takes none that is lower than one it took before.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    model_version: u32,
    #[command(flatten)]
    signer: SignerArg,
    /// Where the image goes.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let inputs = [Some(&args.model), args.detector.as_ref(), args.signer.key.as_ref()];
    shared::keep(&args.output, inputs.into_iter().flatten())?;
    let key = args.signer.read()?;
    let embedder = prove(&args.model, Part::Embedder)?;
    let detector = args.detector.as_deref().map(|path| prove(path, Part::Detector)).transpose()?;
    let detector_plan = detector.as_ref().map(|proven| &proven.plan[..]);
    let image = update::pack(&key, args.model_version, &embedder.plan, detector_plan)?;
    // Read once more, as a device will.
    let checked = update::check(&image)?;
    disk::replace(&args.output, &image).with_context(|| format!("cannot write {}", args.output.display()))?;
    inspect::update::lines(&args.output, &image, &checked)?.into_iter().for_each(|line| ui.say(line));
    for (part, proven) in [(Part::Embedder, Some(&embedder)), (Part::Detector, detector.as_ref())] {
        let Some(proven) = proven else { continue };
        ui.say(match &proven.proof {
            Some(proof) => format!(
                "  proof of the {part}: tract == plan on {} crops, {} bytes equal",
                proof.crops,
                thousands(proof.bytes as u64)
            ),
            None => format!("  the {part} was given as a plan, proven when it was compiled"),
        });
    }
    let mut said = inspect::update::json(&args.output, &image, &checked)?;
    said["proof"] = json!({"embedder": embedder.proof, "detector": detector.and_then(|d| d.proof)});
    ui.json(&said);
    Ok(ExitCode::SUCCESS)
}

fn prove(path: &Path, part: Part) -> anyhow::Result<Proven> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let model = if bytes.starts_with(&MAGIC) {
        Model::Plan(bytes)
    } else {
        Model::Onnx(Box::new(file::decode(&bytes).map_err(|why| file::neither(path, &why))?))
    };
    update::prove(model, part).with_context(|| format!("in {}", path.display()))
}
