//! `arcgate device update`: another model.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use arcgate_firmware::gallery::GalleryError;
use arcgate_firmware::link::message::DeviceInfo;
use serde_json::json;

use crate::link::{Client, LinkError, Target};
use crate::ui::{Ui, thousands};
use crate::update;

/// How long a device may take to start.
const START: Duration = Duration::from_secs(60);

#[derive(clap::Args, Debug)]
pub struct Args {
    /// tcp:HOST:PORT or a serial port.
    #[arg(long, value_name = "TARGET")]
    port: Target,
    /// What `arcgate pack` made.
    image: PathBuf,
    /// Let people go who have to be enrolled again: the new model computes other embeddings. Take a backup first
    /// (`arcgate gallery backup`); restored after the update, it keeps names and numbers.
    #[arg(long)]
    forget_templates: bool,
}

/// Gives a device another model, and waits until it runs.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn update(args: &Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let Args { port, image: path, forget_templates } = args;
    let image = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let checked = update::check(&image).with_context(|| path.display().to_string())?;
    let (mut client, info) = Client::connect(port)?;
    let same = info.model.embedding_id == checked.header.embedding_id;
    let people = if info.gallery.is_none() { info.usage.people } else { 0 };
    anyhow::ensure!(
        same || people == 0 || *forget_templates,
        "{} is another model than the device's: its {} people would have to be enrolled again\n  accepted: --forget-templates, after `arcgate gallery backup --to {port}`",
        path.display(),
        thousands(people.into()),
    );
    let bar = ui.progress("updating", "bytes", image.len() as u64);
    let version = client.update(&image, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    drop(client);
    let info = started(port, &checked.header.embedding_id)?;
    let again = matches!(info.gallery, Some(GalleryError::WrongModel { .. }));
    if !ui.json {
        ui.say(format!("{port}: runs model {version}"));
        if again {
            ui.say(format!(
                "  {} people are to be enrolled again (arcgate gallery restore --people-only --replace keeps their names and numbers)",
                thousands(people.into())
            ));
        }
    }
    ui.json(
        &json!({"version": version, "same_embeddings": same, "enroll_again": if again { people } else { 0 }}),
    );
    Ok(ExitCode::SUCCESS)
}

/// Waits until the device runs the model with this id.
fn started(port: &Target, id: &[u8; 32]) -> anyhow::Result<DeviceInfo> {
    let begin = Instant::now();
    loop {
        let last = match Client::connect(port) {
            Ok((_, info)) if info.model.embedding_id == *id => return Ok(info),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        if begin.elapsed() > START {
            let why: Option<LinkError> = last;
            return Err(why.map_or_else(
                || anyhow::anyhow!("the device took the model and does not run it"),
                anyhow::Error::from,
            ));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
