//! `arcgate compile`.

use std::process::ExitCode;

use crate::ui::Ui;

/// Int8 ONNX -> plan, proven equal to tract to the byte.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`arcgate compile` is not built yet")
}
