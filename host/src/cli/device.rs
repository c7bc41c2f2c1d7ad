//! `arcgate device`: everything that a device does for a host. What can be done with a gallery file too, or on this computer, is
//! defined by `arcgate gallery`, `identify` and `profile`.

mod pair;
mod update;
mod upkeep;

use std::process::ExitCode;

use serde_json::json;

use super::clock;
use super::gallery::{self, confirmed};
use super::people::{KeyArg, degrees};
use super::{identify, profile};
use crate::link::{Client, Target};
use crate::onnx::metadata::hex;
use crate::ui::{Ui, thousands};

/// Talk to a device: about itself, its people, its model, its log. `--port TARGET` stands before the verb or behind it.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Firmware, model, threshold and how full the gallery is.
    Info(Port),
    /// Tell the device what time it is here; people who are enrolled for a time only need it after every start.
    Clock {
        #[command(flatten)]
        port: Port,
        #[command(flatten)]
        key: KeyArg,
    },
    /// Pair this computer with a device whose button was just pressed: you type the code that it shows.
    Pair(pair::Args),
    /// The computers that the device is paired with.
    Pairings(Port),
    /// Have the device forget a computer.
    Unpair {
        #[command(flatten)]
        port: Port,
        /// Its number (`arcgate device pairings`).
        host: u16,
    },
    /// How it does: starts, answers, failures, its link and its log.
    Stats(Port),
    /// What happened on it: who was at the door, enrolments, pairings, updates, faults. Numbers of people, no names.
    Log {
        #[command(flatten)]
        port: Port,
        /// The number of the first line.
        #[arg(long, default_value_t = 0)]
        from: u32,
    },
    /// Have it enroll whoever stands before its camera, shot by shot.
    Enroll(upkeep::EnrollArgs),
    /// Who is in a photograph: a name or unknown.
    Identify(identify::Args),
    #[command(flatten)]
    People(gallery::Verb),
    /// Where the time goes: every operation of its model, by its own clock.
    Profile(profile::Args),
    /// Give it another model, signed (`arcgate pack`); it runs once it has reproduced its self-test on the device.
    Update(update::Args),
    /// Have it start anew.
    Restart(Port),
    /// Begin an empty gallery for the device's model: everybody enrolled is lost.
    Reset {
        #[command(flatten)]
        port: Port,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(clap::Args, Debug)]
struct Port {
    /// tcp:HOST:PORT or a serial port.
    #[arg(long, value_name = "TARGET")]
    port: Target,
}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Info(port) => info(&port.port, ui),
        Verb::Clock { port, key } => {
            let (mut client, _) = Client::connect(&port.port)?;
            let now = clock::now();
            client.set_clock(&key.read()?.bundle(), now)?;
            if !ui.json {
                ui.say(format!("{}: it is {}", port.port, clock::text(now)));
            }
            ui.json(&json!({"time": now}));
            Ok(ExitCode::SUCCESS)
        }
        Verb::Stats(port) => upkeep::stats(&port.port, ui),
        Verb::Log { port, from } => upkeep::log(&port.port, from, ui),
        Verb::Enroll(args) => upkeep::enroll(&args, ui),
        Verb::Identify(args) => identify::run(args, ui),
        Verb::People(verb) => gallery::look_after(verb, ui),
        Verb::Profile(args) => {
            anyhow::ensure!(
                args.port.is_some(),
                "no device was named\n  accepted: --port TARGET; `arcgate profile MODEL` measures this computer"
            );
            profile::run(args, ui)
        }
        Verb::Update(args) => update::update(&args, ui),
        Verb::Restart(port) => upkeep::restart(&port.port, ui),
        Verb::Pair(args) => pair::pair(args, ui),
        Verb::Pairings(port) => pair::list(&port.port, ui),
        Verb::Unpair { port, host } => pair::unpair(&port.port, host, ui),
        Verb::Reset { port, yes } => {
            let (mut client, info) = Client::connect(&port.port)?;
            let lost = match info.gallery {
                Some(error) => format!("its gallery cannot be read ({error})"),
                None => {
                    format!("{} people with {} templates", info.usage.people, info.usage.templates)
                }
            };
            if !yes && !confirmed(&format!("{} will lose for good: {lost}. Go on?", port.port))? {
                ui.note("nothing was lost");
                return Ok(ExitCode::FAILURE);
            }
            // Nobody can be counted in a gallery that is not mounted.
            let lost = info.gallery.is_none().then_some(info.usage.people);
            client.erase_gallery()?;
            if !ui.json {
                ui.say(format!("{}: the gallery is empty", port.port));
            }
            ui.json(&json!({"people": 0, "lost_people": lost}));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn info(port: &Target, ui: &Ui) -> anyhow::Result<ExitCode> {
    let (_, info) = Client::connect(port)?;
    let (model, usage) = (&info.model, &info.usage);
    let [major, minor, patch] = info.firmware;
    if !ui.json {
        ui.say(format!("{port}: arcgate firmware {major}.{minor}.{patch}, link version {}", info.protocol));
        if model.dimension == 0 {
            let way = if info.takes_models { "; `arcgate device update` gives it one" } else { "" };
            ui.say(format!("  model     none: nobody is recognised{way}"));
        } else {
            ui.say(format!(
                "  model     {}-dimensional int8 embedding, input {}x{} {:?}, {}",
                model.dimension,
                model.width,
                model.height,
                model.order,
                if model.template.is_some() { "aligned by five landmarks" } else { "framed" },
            ));
            ui.say(format!("  id        {}", hex(&model.embedding_id)));
            ui.say(match info.threshold {
                Some(angle) => format!("  threshold {angle} degrees for the people enrolled"),
                None => {
                    "  threshold none: the model has none for so many people, and everybody is unknown".into()
                }
            });
        }
        ui.say(match info.gallery {
            Some(error) => format!("  gallery   not readable: {error}"),
            None => format!(
                "  gallery   {} people with {} templates, {} of {} records used{}",
                thousands(usage.people as u64),
                thousands(usage.templates as u64),
                thousands(usage.records as u64),
                thousands(usage.record_capacity as u64),
                if info.damaged == 0 { String::new() } else { format!(", {} damaged", info.damaged) }
            ),
        });
        ui.say(format!(
            "  sealed    by a key {}; a gallery put back as a whole is {}noticed",
            if info.software_key {
                "in software: no secret from who reads the device"
            } else {
                "of the device's own"
            },
            if info.detects_rollback { "" } else { "not " },
        ));
        ui.say(if info.open_link {
            "  link      open: everybody on the wire is an administrator"
        } else {
            "  link      for paired computers alone"
        });
        ui.say(match info.time {
            Some(time) => format!("  clock     {}", clock::text(time)),
            None => "  clock     unset: who is enrolled for a time only is not let in".into(),
        });
        ui.say(format!(
            "  pictures  kept in {} bytes, {}",
            thousands(info.frame_capacity as u64),
            match info.detector {
                Some([width, height]) => format!("whole: it finds faces itself, at {width}x{height}"),
                None => "cropped by the host: it has no detector".into(),
            }
        ));
    }
    ui.json(&json!({
        "time": info.time,
        "firmware": format!("{major}.{minor}.{patch}"),
        "protocol": info.protocol,
        "width": model.width,
        "height": model.height,
        "dimension": model.dimension,
        "embedding_id": hex(&model.embedding_id),
        "threshold": info.threshold.map(degrees),
        "gallery_error": info.gallery.map(|e| e.to_string()),
        "people": usage.people,
        "records": usage.records,
        "damaged": info.damaged,
        "detects_rollback": info.detects_rollback,
        "software_key": info.software_key,
        "templates": usage.templates,
        "record_capacity": usage.record_capacity,
        "frame_capacity": info.frame_capacity,
        "detector": info.detector,
        "open_link": info.open_link,
        "takes_models": info.takes_models,
    }));
    Ok(ExitCode::SUCCESS)
}
