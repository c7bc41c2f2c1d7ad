//! `arcgate identify`.

use std::process::ExitCode;

use crate::ui::Ui;

/// Who is in a photograph: a name or unknown.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`arcgate identify` is not built yet")
}
