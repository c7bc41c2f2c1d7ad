//! `arcgate align`.

use std::process::ExitCode;

use crate::ui::Ui;

/// The crops that the device would embed.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`arcgate align` is not built yet")
}
