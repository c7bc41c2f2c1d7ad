//! `arcgate gallery restore`: a bundle into a gallery, a backup or people to enrol.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use arcgate_firmware::bundle::{BundleError, Kind};
use arcgate_firmware::gallery::GalleryError;
use arcgate_firmware::link::Fault;
use arcgate_firmware::link::status::{Restored, Signed};
use serde_json::json;

use super::super::people::ModelArg;
use super::confirmed;
use crate::bundle::{self, Checked};
use crate::enroll;
use crate::keys::Key;
use crate::link::{LinkError, Target};
use crate::onnx::metadata::hex;
use crate::ui::{Ui, thousands};

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    /// A backup, or the bundle that `arcgate enroll -o` wrote.
    bundle: PathBuf,
    #[command(flatten)]
    place: super::Place,
    /// The key of the device that the bundle was made by or for, when that is another one; the bundle is sealed anew.
    #[arg(long, value_name = "FILE")]
    from_key: Option<PathBuf>,
    /// Forget everybody enrolled there first. Not in one step: a loss of power in between leaves some of the bundle's people, or none;
    /// the same command again puts all of them back.
    #[arg(long)]
    replace: bool,
    /// Names and validity alone: everybody is to be enrolled again. Revokes templates that leaked, with --replace.
    #[arg(long)]
    people_only: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    model: ModelArg,
}

/// Puts a bundle into a gallery. The bundle is checked whole before anything is changed.
///
/// # Errors
/// When the bundle is refused, here or there, or there is no way to the gallery.
pub(super) fn restore(args: &Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let super::Place { to, key } = &args.place;
    let named = || args.bundle.display().to_string();
    let bytes = std::fs::read(&args.bundle).with_context(|| format!("cannot read {}", named()))?;
    let target = key.read()?.bundle();
    let (from, checked) = match &args.from_key {
        Some(path) => {
            let from = Key::read(Some(path))?.bundle();
            (from, bundle::check(&from, &bytes))
        }
        None => match bundle::check(&target, &bytes) {
            // Of a device or a gallery file without a key of its own.
            Err(BundleError::Key) => (Key::Software.bundle(), bundle::check(&Key::Software.bundle(), &bytes)),
            checked => (target, checked),
        },
    };
    if let Err(BundleError::Key) = checked {
        let accepted = "--from-key FILE, the key of the device that it was made by or for";
        anyhow::bail!("{}: {}\n  accepted: {accepted}", named(), BundleError::Key);
    }
    let checked = checked.with_context(named)?;
    anyhow::ensure!(
        !args.people_only || checked.header.kind == Kind::Backup,
        "{} is of people to enrol, whose templates are what it brings\n  accepted: --people-only with a backup",
        named()
    );
    let bytes =
        if from == target { bytes } else { bundle::seal_anew(&from, &target, &bytes).with_context(named)? };

    let model = match to {
        // Who looks after a gallery file needs no model, but a new one is for one.
        Target::File(path) if path.exists() && args.model.model.is_none() => None,
        _ => args.model.for_target(to)?,
    };
    let mut place = enroll::reach(to, model.as_ref(), key.secret_for(to)?)?;
    let info = *place.info();
    let people_only = args.people_only || info.model.embedding_id != checked.header.embedding_id;
    let there = match info.gallery {
        None if info.usage.people == 0 => None,
        None => Some(format!("{} people with {} templates", info.usage.people, info.usage.templates)),
        Some(GalleryError::Blank) => None,
        Some(why) => {
            anyhow::ensure!(
                args.replace,
                "{to}: {why}\n  accepted: --replace, to begin an empty gallery for the model there"
            );
            Some(format!("a gallery that cannot be used ({why})"))
        }
    };
    if let Some(lost) = there.filter(|_| args.replace && !args.yes)
        && !confirmed(&format!("{to} will forget for good: {lost}. Go on?"))?
    {
        ui.note("nothing was changed");
        return Ok(ExitCode::FAILURE);
    }
    let bar = ui.progress("putting back", "records", checked.header.records.into());
    let sent =
        place.client().restore(&bytes, (args.replace, people_only), &mut |done| bar.set_position(done));
    bar.finish_and_clear();
    let done = match sent {
        Err(LinkError::Fault(why @ Fault::NotEmpty { .. })) => anyhow::bail!(
            "{to}: {why}\n  accepted: --replace, to forget them, or --people-only, to add names that are enrolled again"
        ),
        sent => sent.with_context(|| to.to_string())?,
    };
    let mut anew: Vec<String> = Vec::new();
    for person in place.people()?.into_iter().filter(|p| p.templates == 0) {
        anew.push(person.name.as_str().to_owned());
    }
    report(to, &checked, &done, &anew, people_only, ui);
    Ok(ExitCode::SUCCESS)
}

fn report(to: &Target, checked: &Checked, done: &Restored, anew: &[String], people_only: bool, ui: &Ui) {
    let backup = checked.header.kind == Kind::Backup;
    let signer = checked.signer.map(|key| hex(&key));
    if !ui.json {
        ui.say(format!(
            "{to}: {} people put back with {} templates; {} were there already",
            thousands(done.people.into()),
            thousands(done.templates.into()),
            thousands(done.known.into()),
        ));
        match (&signer, done.signed) {
            (Some(signer), Signed::Elsewhere) => {
                ui.say(format!(
                    "  the backup was signed with another key than this device's, {}",
                    &signer[..16]
                ));
            }
            (Some(_), Signed::Here) => ui.say("  the backup was signed by this device"),
            (Some(signer), Signed::No) => {
                ui.say(format!("  version {}, signed with {}", checked.header.version, &signer[..16]));
            }
            (None, _) => {}
        }
        if backup && people_only {
            ui.note("templates were left out: they are of another model, or --people-only says so");
        }
        if !anew.is_empty() {
            ui.say(format!("  to be enrolled again, {} people: {}", anew.len(), anew.join(", ")));
        }
    }
    ui.json(&json!({
        "people": done.people,
        "known": done.known,
        "templates": done.templates,
        "left_out": done.left_out,
        "signed": backup.then_some(done.signed),
        "signer": signer,
        "version": (!backup).then_some(checked.header.version),
        "enroll_again": anew,
    }));
}
