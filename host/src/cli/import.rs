//! `arcgate import`.

use std::process::ExitCode;

use crate::ui::Ui;

/// Float ONNX -> int8 ONNX.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`arcgate import` is not built yet")
}
