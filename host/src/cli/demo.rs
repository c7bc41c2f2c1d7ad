//! `arcgate demo`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::demo;
use crate::train::recipe::Recipe;
use crate::ui::{Ui, table};

/// Everything once, on synthetic identities, with a report to look at.
///
/// Trains a small embedder from nothing, quantizes it, proves that tract and the plan give the same bytes, measures a
/// threshold, enrolls people on a simulated device and lets enrolled people and strangers come by. Takes some minutes.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Where the models, the galleries and report.html go.
    #[arg(short, long, value_name = "DIR", default_value = "target/demo")]
    output: PathBuf,
    /// Another recipe; its data must be synthetic. The built-in one is small enough for a demo.
    #[arg(long, value_name = "RECIPE.toml")]
    recipe: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let recipe = match &args.recipe {
        Some(path) => Recipe::read(path)?,
        None => Recipe::demo(),
    };
    let outcome = demo::run(&demo::Options { recipe, folder: args.output.clone() }, ui)?;
    ui.say(format!("\n{}", table(&demo::table(&outcome))));
    ui.say(format!(
        "{} people never trained on, {} enrolled at a time, threshold {:.1} degrees, {:.0} s",
        outcome.identities, outcome.enrolled, outcome.threshold_degrees, outcome.seconds
    ));
    ui.say(format!("report: {}", outcome.report.display()));
    ui.say(format!(
        "next:   arcgate enroll DIR --to gate.gallery --model {} to enroll your own",
        args.output.join("int8.onnx").display()
    ));
    ui.json(&serde_json::to_value(&outcome)?);
    Ok(ExitCode::SUCCESS)
}
