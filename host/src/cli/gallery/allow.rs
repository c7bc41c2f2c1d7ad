//! `arcgate gallery allow`: when people are let in.

use std::process::ExitCode;

use arcgate_firmware::time::{UnixTime, Validity};
use serde_json::json;

use super::super::clock;
use crate::ui::Ui;

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    /// Names, or numbers as `list` shows them.
    #[arg(required = true, value_name = "NAME|NUMBER")]
    who: Vec<String>,
    /// From when on, in UTC [default: always].
    #[arg(long, value_name = "DATE", value_parser = clock::moment)]
    from: Option<UnixTime>,
    /// Until when, in UTC, that moment not included [default: for ever].
    #[arg(long, value_name = "DATE", value_parser = clock::moment)]
    until: Option<UnixTime>,
    #[command(flatten)]
    place: super::Place,
}

/// Says when people are let in.
///
/// # Errors
/// When somebody is not there, the dates leave no time between them, or the device fails.
pub(super) fn allow(args: &Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let Validity { from, until } = Validity::ALWAYS;
    let validity = Validity {
        from: args.from.map_or(from, |time| time.0),
        until: args.until.map_or(until, |time| time.0),
    };
    anyhow::ensure!(validity.from < validity.until, "--until is not after --from, so nobody would be let in");
    let (to, mut place) = (&args.place.to, args.place.open()?);
    let people = place.people()?;
    let chosen = super::chosen(&args.who, &people, to)?;
    for person in &chosen {
        place.client().set_validity(person.id, validity)?;
        let when = clock::validity_text(&validity);
        if !ui.json {
            ui.say(format!(
                "{} (number {}): {}",
                person.name,
                person.id,
                if when.is_empty() { "always" } else { &when }
            ));
        }
    }
    if validity != Validity::ALWAYS {
        ui.note(
            "a device that is not told the time since its start lets none of them in (arcgate device clock)",
        );
    }
    let allowed: Vec<_> = chosen.iter().map(|p| json!({"person": p.id.0, "name": p.name.as_str()})).collect();
    ui.json(&json!({"allowed": allowed, "from": args.from, "until": args.until}));
    Ok(ExitCode::SUCCESS)
}
