//! `arcgate calibrate`.

use std::process::ExitCode;

use crate::ui::Ui;

/// The threshold that goes into the model, from impostor pairs at a stated false-match rate.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`arcgate calibrate` is not built yet")
}
