//! `arcgate keys`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use crate::keys::{Key, update};
use crate::onnx::metadata::hex;
use crate::ui::Ui;

/// Make the keys that a device and its administrator keep secret.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// A secret for one device: seals its flash, its bundles and its backups.
    Device {
        /// Where it goes; nothing is written over.
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// The part of a device's secret that an administrator needs: opens and makes bundles, and no flash image.
    Bundle {
        /// The device's secret.
        #[arg(long, value_name = "FILE")]
        device_key: PathBuf,
        /// Where it goes; nothing is written over.
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// A key pair that signs model images and bundles of people to enrol: the private half, and beside it in FILE.pub the public half for boards.
    Update {
        /// Where the private half goes; nothing is written over.
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let (key, kind, output) = match args.verb {
        Verb::Device { output } => (Key::draw()?, "device", output),
        Verb::Bundle { device_key, output } => {
            (Key::Bundle(Key::read(Some(&device_key))?.bundle()), "bundle", output)
        }
        Verb::Update { output } => return make_pair(&output, ui),
    };
    key.write(&output)?;
    if !ui.json {
        ui.say(format!("{}: a {kind} key; whoever has it can read and make what it seals", output.display()));
    }
    ui.json(&json!({"key": kind, "file": output}));
    Ok(ExitCode::SUCCESS)
}

fn make_pair(output: &Path, ui: &Ui) -> anyhow::Result<ExitCode> {
    let public = update::make(output)?;
    let beside = update::public_path(output);
    if !ui.json {
        ui.say(format!(
            "{}: signs model images and people to enrol; keep it where only you can read it",
            output.display()
        ));
        ui.say(format!("{}: {}, for the boards that are to take them", beside.display(), hex(&public.0)));
    }
    ui.json(&json!({"key": "update", "file": output, "public_file": beside, "public": hex(&public.0)}));
    Ok(ExitCode::SUCCESS)
}
