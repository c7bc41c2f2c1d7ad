//! `arcgate gallery`.

mod allow;
mod backup;
mod restore;
mod verify;

use std::io::IsTerminal;
use std::process::ExitCode;

use arcgate_firmware::gallery::{Person, PersonId};
use arcgate_firmware::time::Validity;
use serde_json::json;

use super::clock;
use super::people::KeyArg;
use crate::enroll;
use crate::link::Target;
use crate::ui::{Ui, table, thousands};

/// Look after the people enrolled: list, remove, verify, backup, restore.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

/// What can be done with the people enrolled; `arcgate device` has the same verbs.
#[derive(clap::Subcommand, Debug)]
pub(super) enum Verb {
    /// Who is enrolled, with how many templates.
    List(Place),
    /// Forget people and their templates.
    Remove {
        /// Names, or numbers as `list` shows them.
        #[arg(required = true, value_name = "NAME|NUMBER")]
        who: Vec<String>,
        #[command(flatten)]
        place: Place,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Say when people are let in.
    Allow(allow::Args),
    /// Check every seal: what is damaged, whose it is and what helps. Leaves with 1 when something is lost.
    Verify(Place),
    /// Everybody enrolled in one file, sealed and signed by the device.
    Backup(backup::Args),
    /// Put a backup back, or people that `arcgate enroll -o` wrote, also after the model was updated.
    Restore(restore::Args),
}

#[derive(clap::Args, Debug)]
pub(super) struct Place {
    /// A gallery file, tcp:HOST:PORT, or a serial port.
    #[arg(long, visible_alias = "port", value_name = "TARGET")]
    to: Target,
    #[command(flatten)]
    key: KeyArg,
}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    look_after(args.verb, ui)
}

/// As [`run`], a verb alone.
///
/// # Errors
/// As [`run`].
pub(super) fn look_after(verb: Verb, ui: &Ui) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::List(place) => list(&place, ui),
        Verb::Remove { who, place, yes } => remove(&who, &place, yes, ui),
        Verb::Allow(args) => allow::allow(&args, ui),
        Verb::Verify(place) => verify::verify(&place, ui),
        Verb::Backup(args) => backup::backup(&args, ui),
        Verb::Restore(args) => restore::restore(&args, ui),
    }
}

impl Place {
    fn open(&self) -> anyhow::Result<enroll::Place> {
        Ok(enroll::open_with(&self.to, None, self.key.secret_for(&self.to)?)?)
    }
}

fn list(place: &Place, ui: &Ui) -> anyhow::Result<ExitCode> {
    let (to, mut place) = (&place.to, place.open()?);
    let people = place.people()?;
    let (usage, damaged) = (place.info().usage, place.info().damaged);
    if damaged > 0 {
        ui.note(format!(
            "{to}: {damaged} damages; everybody else is found as before (arcgate gallery verify --to {to} lists them)"
        ));
    }
    if !ui.json {
        let mut rows = vec![["name", "number", "templates", "let in"].map(String::from).to_vec()];
        rows.extend(people.iter().map(|p| {
            let when = clock::validity_text(&p.validity);
            vec![p.name.to_string(), p.id.to_string(), p.templates.to_string(), when]
        }));
        if people.iter().all(|p| p.validity == Validity::ALWAYS) {
            rows.iter_mut().for_each(|row| row.truncate(3));
        }
        if !people.is_empty() {
            ui.say(table(&rows).trim_end());
        }
        ui.note(format!(
            "{} people with {} templates; room for {} records (a person or a template each)",
            thousands(usage.people as u64),
            thousands(usage.templates as u64),
            thousands(usage.record_capacity as u64),
        ));
    }
    let rows: Vec<_> = people
        .iter()
        .map(|p| json!({"person": p.id.0, "name": p.name.as_str(), "templates": p.templates, "from": p.validity.from, "until": p.validity.until}))
        .collect();
    ui.json(&json!({"people": rows, "damaged": damaged, "record_capacity": usage.record_capacity}));
    Ok(ExitCode::SUCCESS)
}

fn remove(who: &[String], place: &Place, yes: bool, ui: &Ui) -> anyhow::Result<ExitCode> {
    let (to, mut place) = (&place.to, place.open()?);
    let people = place.people()?;
    let chosen = chosen(who, &people, to)?;
    if !yes {
        let lost: Vec<String> =
            chosen.iter().map(|p| format!("{} ({} templates)", p.name, p.templates)).collect();
        if !confirmed(&format!("{to} will forget for good: {}. Go on?", lost.join(", ")))? {
            ui.note("nobody was removed");
            return Ok(ExitCode::FAILURE);
        }
    }
    for person in &chosen {
        place.remove(person.id)?;
        if !ui.json {
            ui.say(format!("removed {} (number {}, {} templates)", person.name, person.id, person.templates));
        }
    }
    let removed: Vec<_> = chosen.iter().map(|p| json!({"person": p.id.0, "name": p.name.as_str()})).collect();
    ui.json(&json!({ "removed": removed }));
    Ok(ExitCode::SUCCESS)
}

/// Those of `people` who are named, each once.
///
/// # Errors
/// When nobody has a name or number.
fn chosen<'p>(who: &[String], people: &'p [Person], to: &Target) -> anyhow::Result<Vec<&'p Person>> {
    let mut chosen: Vec<&Person> = Vec::new();
    for word in who {
        // A name wins over a number, so that somebody called "7" can be chosen.
        let number = word.parse().map(PersonId).ok();
        let person = people
            .iter()
            .find(|p| p.name == word.as_str())
            .or_else(|| people.iter().find(|p| Some(p.id) == number));
        match person {
            Some(person) if chosen.iter().any(|c| c.id == person.id) => {}
            Some(person) => chosen.push(person),
            None => anyhow::bail!("nobody in {to} has the name or number {word:?}; nothing was changed"),
        }
    }
    Ok(chosen)
}

/// Asks on the terminal; without one, `--yes` is needed.
pub(super) fn confirmed(question: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        anyhow::bail!("{question}\n  accepted: --yes, since there is no terminal to ask on");
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
