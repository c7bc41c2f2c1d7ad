//! `arcgate device stats`, `log`, `enroll` and `restart`.

use std::process::ExitCode;
use std::time::Duration;

use arcgate_firmware::events::{Entry, What};
use arcgate_firmware::gallery::PersonId;
use arcgate_firmware::guide::MAX_SHOTS;
use arcgate_firmware::link::message::Who;
use arcgate_firmware::link::status::Enrolment;
use arcgate_firmware::time::Stamp;
use serde_json::json;

use crate::cli::clock;
use crate::link::{Client, LinkError, Target};
use crate::ui::{Ui, table};

/// How long is waited between two questions about an enrolment.
const GLANCE: Duration = Duration::from_millis(200);

#[derive(clap::Args, Debug)]
pub struct EnrollArgs {
    /// tcp:HOST:PORT or a serial port.
    #[arg(long, value_name = "TARGET")]
    port: Target,
    /// The name of somebody new.
    #[arg(long, required_unless_present = "person", conflicts_with = "person")]
    name: Option<String>,
    /// The number of somebody who is enrolled and gets further templates.
    #[arg(long)]
    person: Option<u32>,
    /// Pictures that the device is to keep.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=MAX_SHOTS as i64))]
    shots: u8,
}

/// How a device does.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn stats(port: &Target, ui: &Ui) -> anyhow::Result<ExitCode> {
    let (mut client, _) = Client::connect(port)?;
    let stats = client.stats()?;
    if !ui.json {
        let [known, unknown, rejected] = stats.answers;
        let [noise, forged] = stats.noise;
        let rows = [
            ("start", format!("number {}, {} s ago", stats.boots, stats.uptime.0 / 1000)),
            ("now", format!("{:?}", stats.phase)),
            ("model", stats.model_version.map_or("not from an update".into(), |v| format!("version {v}"))),
            (
                "bundles",
                stats.bundle_version.map_or("of any version".into(), |v| {
                    format!("version {v} was the last; no older one, and after a removal only a later one")
                }),
            ),
            ("answers", format!("{known} known, {unknown} unknown, {rejected} rejected since the start")),
            ("failures", format!("{} in a row", stats.failures)),
            ("camera", format!("{} pictures failed", stats.camera_faults)),
            ("link", format!("{} hosts paired, {noise} packets of noise, {forged} forged", stats.pairings)),
            ("log", format!("{} lines lost", stats.lines_lost)),
        ];
        ui.say(table(&rows.map(|(name, text)| vec![name.into(), text])).trim_end());
    }
    ui.json(&serde_json::to_value(stats)?);
    Ok(ExitCode::SUCCESS)
}

/// What happened on a device.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn log(port: &Target, from: u32, ui: &Ui) -> anyhow::Result<ExitCode> {
    let (mut client, _) = Client::connect(port)?;
    let bar = ui.progress("reading", "lines", 0);
    let lines = client.log(from, &mut |done| {
        // A page says whether another follows, not how many.
        bar.set_length(done);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    for Entry { number, stamp, what } in lines.iter().filter(|_| !ui.json) {
        let when = match stamp {
            Stamp::Utc(time) => clock::text(*time),
            Stamp::Boot { boots, uptime } => {
                format!("start {boots} + {}.{:03} s", uptime.0 / 1000, uptime.0 % 1000)
            }
        };
        ui.say(format!("{number:>8}  {when}  {}", told(what)));
    }
    ui.json(&json!({ "lines": lines }));
    Ok(ExitCode::SUCCESS)
}

/// An event in words.
fn told(what: &What) -> String {
    match what {
        What::Boot => "started".into(),
        What::Known(who) => format!("person {} at {} degrees", who.person, who.angle),
        What::Unknown { why, nearest: Some(who) } => {
            format!("nobody known ({why:?}), nearest person {} at {} degrees", who.person, who.angle)
        }
        What::Unknown { why, nearest: None } => format!("nobody known ({why:?})"),
        What::Rejected(why) => format!("rejected ({why:?})"),
        What::LockedOut { failures } => format!("locked out after {failures} failures"),
        What::Enrolled(person) => format!("enrolled a template of person {person}"),
        What::Removed(person) => format!("removed person {person}"),
        What::Erased => "forgot everybody".into(),
        What::LogErased => "the log before this was erased".into(),
        What::BackedUp(people) => format!("a backup of {people} people was taken"),
        What::Restoring(people) => format!("a bundle of {people} people begins"),
        What::Restored(people) => format!("a bundle brought {people} people"),
        What::ClockSet => "the clock was set".into(),
        What::Paired { number, .. } => format!("paired with host {number}"),
        What::Unpaired { number } => format!("paired no more with host {number}"),
        What::UpdateAccepted { version } => format!("took model {version}"),
        What::UpdateRefused { version } => format!("refused model {version}"),
        What::FellBack { version } => {
            format!("the model that should run does not hold, model {version} runs")
        }
        What::Fault(trouble) => format!("does not work: {trouble:?}"),
        What::Recovered(trouble) => format!("works again: {trouble:?}"),
    }
}

/// Has a device enroll whoever stands before its camera.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn enroll(args: &EnrollArgs, ui: &Ui) -> anyhow::Result<ExitCode> {
    let (mut client, _) = Client::connect(&args.port)?;
    let who = match (&args.name, args.person) {
        (Some(name), _) => Who::New(name),
        (None, number) => Who::Person(PersonId(number.unwrap_or(0))),
    };
    let mut state = client.enroll_here(who, args.shots)?;
    let bar = ui.progress("enrolling", "shots", args.shots.into());
    let mut said = None;
    loop {
        match state {
            Enrolment::UnderWay { progress, last } => {
                bar.set_position(progress.taken.into());
                if let Some(why) = last.filter(|_| last != said) {
                    bar.suspend(|| ui.note(format!("not kept: {why}")));
                }
                said = last;
            }
            Enrolment::Done(person) => {
                bar.finish_and_clear();
                if !ui.json {
                    ui.say(format!("{}: enrolled person {person} with {} shots", args.port, args.shots));
                }
                ui.json(&json!({"person": person.0, "shots": args.shots}));
                return Ok(ExitCode::SUCCESS);
            }
            Enrolment::GaveUp | Enrolment::None => {
                bar.finish_and_clear();
                anyhow::bail!("nobody stood still before the camera: nobody was enrolled");
            }
            Enrolment::Failed(why) => {
                bar.finish_and_clear();
                match args.person {
                    None => anyhow::bail!("nobody was enrolled: {why}"),
                    Some(person) => {
                        anyhow::bail!("person {person} did not get a template of every shot: {why}")
                    }
                }
            }
        }
        std::thread::sleep(GLANCE);
        state = client.enrolling()?;
    }
}

/// Has a device start anew.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn restart(port: &Target, ui: &Ui) -> anyhow::Result<ExitCode> {
    let (mut client, _) = Client::connect(port)?;
    let before = client.stats()?;
    match client.restart() {
        Ok(()) => {}
        // The reply was lost, or the session: whether it started anew it says itself.
        Err(why @ LinkError::SessionEnded { .. }) => {
            drop(client);
            let (mut client, _) = Client::connect(port)?;
            let after = client.stats()?;
            if after.boots == before.boots && after.uptime >= before.uptime {
                return Err(why.into());
            }
        }
        Err(why) => return Err(why.into()),
    }
    if !ui.json {
        ui.say(format!("{port}: starts anew"));
    }
    ui.json(&json!({"restarted": true}));
    Ok(ExitCode::SUCCESS)
}
