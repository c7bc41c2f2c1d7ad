//! `arcgate gallery backup`: everybody enrolled in one file, sealed and signed by the device.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use arcgate_firmware::bundle::Header;
use arcgate_firmware::gallery::GalleryError;
use serde_json::json;

use crate::bundle;
use crate::disk;
use crate::enroll::{self, EnrollError};
use crate::keys::Key;
use crate::onnx::metadata::hex;
use crate::ui::{Ui, thousands};

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    place: super::Place,
    /// Where the backup goes; nothing is written over.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Takes a backup. It is checked where its key is at hand.
///
/// # Errors
/// When there is no way to the gallery, it is not mounted, or the file cannot be written.
pub(super) fn backup(args: &Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let Args { place: super::Place { to, key }, output } = args;
    anyhow::ensure!(
        !output.exists(),
        "{} exists, and may be the only backup\n  accepted: another place (-o)",
        output.display()
    );
    let mut place = enroll::reach(to, None, key.secret_for(to)?)?;
    match place.info().gallery {
        // After an update the people of the model before can still be taken along.
        None | Some(GalleryError::WrongModel { .. }) => {}
        Some(why) => return Err(EnrollError::Gallery { place: to.to_string(), why }.into()),
    }
    let bar = ui.progress("taking out", "records", 0);
    let (bytes, damaged) = place.client().backup(&mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    // A device with a secret of its own is not asked for it: only who has its key can look inside.
    let checked = match (key.read()?, place.info().software_key) {
        (Key::Software, false) => None,
        (key, _) => {
            Some(bundle::check(&key.bundle(), &bytes).with_context(|| format!("the backup of {to}"))?)
        }
    };
    disk::replace(output, &bytes).with_context(|| format!("cannot write {}", output.display()))?;
    if damaged > 0 {
        ui.note(format!("{to} has {damaged} damages; what they lost is not in the backup (arcgate gallery verify --to {to})"));
    }
    let people = Header::read(&bytes)?.people;
    report(output, people, checked.as_ref(), bytes.len(), ui);
    match (&checked, key.is_given()) {
        (None, _) => ui.note("not checked here: it was sealed with the device's own key (--device-key FILE)"),
        (Some(_), false) => {
            ui.note("sealed with the key that is in the software: whoever has the file can read it")
        }
        (Some(_), true) => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn report(output: &Path, people: u32, checked: Option<&bundle::Checked>, bytes: usize, ui: &Ui) {
    let templates = checked.map(bundle::Checked::templates);
    let signer = checked.and_then(|checked| checked.signer).map(|key| hex(&key));
    if !ui.json {
        let with = templates.map_or(String::new(), |t| format!(" with {} templates", thousands(t as u64)));
        let people = thousands(people.into());
        ui.say(format!("{}: {people} people{with}, {} bytes", output.display(), thousands(bytes as u64)));
        if let Some(signer) = &signer {
            ui.say(format!("  signed by the device {}", &signer[..16]));
        }
    }
    ui.json(&json!({
        "file": output, "bytes": bytes, "people": people, "templates": templates, "signer": signer,
    }));
}
