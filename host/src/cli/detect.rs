//! `arcgate detect`.

use std::process::ExitCode;

use crate::ui::Ui;

/// The faces that the device would see, drawn into the picture.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`arcgate detect` is not built yet")
}
