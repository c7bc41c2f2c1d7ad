//! `arcgate train`.

use std::process::ExitCode;

use crate::ui::Ui;

/// Images -> float ONNX, checkpoints beside it.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`arcgate train` is not built yet")
}
