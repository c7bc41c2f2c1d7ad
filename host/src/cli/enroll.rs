//! `arcgate enroll`.

use std::process::ExitCode;

use crate::ui::Ui;

/// Photographs -> people in a gallery file or on a device.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`arcgate enroll` is not built yet")
}
