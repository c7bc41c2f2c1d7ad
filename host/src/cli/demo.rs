//! `arcgate demo`.

use std::process::ExitCode;

use crate::ui::Ui;

/// Everything once, on synthetic identities, with a report to look at.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`arcgate demo` is not built yet")
}
