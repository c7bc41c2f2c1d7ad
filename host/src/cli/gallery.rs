//! `arcgate gallery`.

use std::process::ExitCode;

use crate::ui::Ui;

/// List or remove the people enrolled.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`arcgate gallery` is not built yet")
}
