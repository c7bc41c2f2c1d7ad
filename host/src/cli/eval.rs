//! `arcgate eval`.

use std::process::ExitCode;

use crate::ui::Ui;

/// Measure a model through any engine.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`arcgate eval` is not built yet")
}
