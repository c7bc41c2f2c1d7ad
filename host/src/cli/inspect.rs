//! `arcgate inspect`.

use std::process::ExitCode;

use crate::ui::Ui;

/// What is in a file: layers, multiply-accumulates, flash bytes, exact RAM arena.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`arcgate inspect` is not built yet")
}
