//! `arcgate device update`: another model.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use arcgate_firmware::gallery::GalleryError;
use arcgate_firmware::link::Fault;
use arcgate_firmware::link::status::DeviceInfo;
use arcgate_firmware::update::UpdateError;
use serde_json::json;

use crate::link::{Client, LinkError, Target};
use crate::ui::{Ui, thousands};
use crate::update;

/// How long a device may take to start.
const START: Duration = Duration::from_secs(60);

/// How long is waited between two looks.
const GLANCE: Duration = Duration::from_millis(200);

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
    let (embedding_id, people) = held(&mut client, &info)?;
    let before = client.stats()?.model_version;
    // Of the model that runs: whoever has to be enrolled again has to already.
    let same = [embedding_id, info.model.embedding_id].contains(&checked.header.embedding_id);
    anyhow::ensure!(
        same || people == 0 || *forget_templates,
        "{} is another model than that of the device's {} people: they would have to be enrolled again\n  accepted: --forget-templates, after `arcgate gallery backup --to {port}`",
        path.display(),
        thousands(people.into()),
    );
    let bar = ui.progress("updating", "bytes", image.len() as u64);
    client.send_image(&image, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    })?;
    let version = match client.finish_update() {
        Ok(version) => version,
        // It started anew and the reply was lost: what it runs now says whether it took the image.
        Err(
            why @ (LinkError::SessionEnded { .. } | LinkError::Fault(Fault::Update(UpdateError::NotBegun))),
        ) => {
            anyhow::ensure!(
                before != Some(checked.header.version),
                "{why}\n  it ran a model of version {} before, so that its version does not say whether it took this one\n  accepted: the same image once more",
                checked.header.version
            );
            checked.header.version
        }
        Err(why) => return Err(why.into()),
    };
    bar.finish_and_clear();
    drop(client);
    let info = started(port, version)?;
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

/// The embedding id that the device's people were enrolled with, or would be, and how many they are.
fn held(client: &mut Client, info: &DeviceInfo) -> Result<([u8; 32], u32), LinkError> {
    let own = info.model.embedding_id;
    if info.gallery.is_none() && info.model.dimension > 0 {
        return Ok((own, info.usage.people));
    }
    // People of another model, or of one that is lost.
    match client.backup_header() {
        Ok(header) => Ok((header.embedding_id, header.people)),
        // There is no gallery, or none that could be read by another model either.
        Err(LinkError::Fault(Fault::Gallery(_) | Fault::NoModel)) => Ok((own, 0)),
        Err(why) => Err(why),
    }
}

/// Waits until the device runs the model of this version.
fn started(port: &Target, version: u32) -> anyhow::Result<DeviceInfo> {
    let running = || -> Result<(Option<u32>, DeviceInfo), LinkError> {
        let (mut client, info) = Client::connect(port)?;
        Ok((client.stats()?.model_version, info))
    };
    let begin = Instant::now();
    loop {
        match running() {
            Ok((Some(found), info)) if found == version => return Ok(info),
            Ok((found, _)) if begin.elapsed() > START => {
                let found = found.map_or("none from an update".into(), |found| format!("version {found}"));
                anyhow::bail!("the device was given model {version}, and still runs {found}");
            }
            Err(error) if begin.elapsed() > START => return Err(error.into()),
            Ok(_) | Err(_) => std::thread::sleep(GLANCE),
        }
    }
}
