//! `arcgate device`.

use std::process::ExitCode;

use crate::ui::Ui;

/// Ask a device about itself.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`arcgate device` is not built yet")
}
