//! The command line, one file a command: parse, call the library, print.

mod align;
mod calibrate;
mod clock;
mod compile;
mod demo;
mod detect;
mod device;
mod enroll;
mod eval;
mod eval_detector;
mod eval_identification;
mod eval_omniglot;
mod findings;
mod gallery;
mod identification_sides;
mod identification_tables;
mod identify;
mod import;
mod inspect;
mod keys;
mod measured;
mod pack;
mod people;
mod profile;
mod scenario;
mod shared;
mod signer;
mod simulate;
mod study;
mod synth;
mod thresholds;
mod train;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::link::Devices;
use crate::ui::Ui;

/// Recognise who is in front of a small device, offline, and say "unknown" when it is nobody enrolled.
#[derive(Parser, Debug)]
#[command(name = "arcgate", version, propagate_version = true)]
struct Cli {
    /// One JSON object as the last line of standard output.
    #[arg(long, global = true)]
    json: bool,
    /// No progress and no notes.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// More detail.
    #[arg(long, short, global = true)]
    verbose: bool,
    /// The keys of the devices that this computer is paired with [default: $ARCGATE_KEYS, else arcgate/devices.toml in the
    /// configuration folder].
    #[arg(long, global = true, value_name = "FILE")]
    keys: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Everything once, on synthetic identities, with a report to look at.
    Demo(demo::Args),
    /// Images -> float ONNX, checkpoints beside it.
    Train(train::Args),
    /// The losses side by side on the same backbone, data and budget.
    Study(study::Args),
    /// Float ONNX -> int8 ONNX.
    Import(import::Args),
    /// The thresholds that go into the model, by people enrolled and target false-positive identification rate.
    Calibrate(calibrate::Args),
    /// Int8 ONNX -> plan, proven equal to tract to the byte.
    Compile(compile::Args),
    /// Model -> signed image that a device takes as an update.
    Pack(pack::Args),
    /// What is in a file: layers, multiply-accumulates, flash bytes, exact RAM arena.
    Inspect(inspect::Args),
    /// Where the time goes: every layer of a model, on this computer or on a device.
    Profile(profile::Args),
    /// Measure a model through any engine.
    Eval(eval::Args),
    /// The faces that the device would see, drawn into the picture.
    Detect(detect::Args),
    /// The crops that the device would embed.
    Align(align::Args),
    /// Photographs -> people in a gallery file or on a device.
    Enroll(enroll::Args),
    /// Who is in a photograph: a name or unknown.
    Identify(identify::Args),
    /// Look after the people enrolled: list, remove, verify, backup, restore.
    Gallery(gallery::Args),
    /// The device on this desktop.
    Simulate(simulate::Args),
    /// Talk to a device: about itself, its people, its model, its log. `--port TARGET` stands before the verb or behind it.
    Device(device::Args),
    /// Keys of devices, for bundles and flash images; keys that sign models and bundles.
    Keys(keys::Args),
    /// Synthetic portraits as image folders.
    Synth(synth::Args),
}

/// Exit code of `identify` when the answer is "unknown".
pub const EXIT_UNKNOWN: u8 = 10;
/// Exit code of `identify` when the probe was rejected (no face, locked out).
pub const EXIT_REJECTED: u8 = 11;

/// Parses the arguments of this process and runs the command they name.
///
/// Exit codes: 0 done (`identify`: known), 1 failed, 2 wrong usage, 10 unknown, 11 rejected.
pub fn main() -> ExitCode {
    let cli = Cli::parse_from(in_order(std::env::args_os().collect()));
    let ui = Ui { json: cli.json, quiet: cli.quiet, verbose: cli.verbose };
    if let Some(path) = cli.keys {
        Devices::choose(path);
    }
    let done = match cli.command {
        Command::Demo(args) => demo::run(args, &ui),
        Command::Train(args) => train::run(args, &ui),
        Command::Study(args) => study::run(&args, &ui),
        Command::Import(args) => import::run(args, &ui),
        Command::Calibrate(args) => calibrate::run(args, &ui),
        Command::Compile(args) => compile::run(args, &ui),
        Command::Pack(args) => pack::run(args, &ui),
        Command::Inspect(args) => inspect::run(args, &ui),
        Command::Profile(args) => profile::run(args, &ui),
        Command::Eval(args) => eval::run(args, &ui),
        Command::Detect(args) => detect::run(args, &ui),
        Command::Align(args) => align::run(args, &ui),
        Command::Enroll(args) => enroll::run(args, &ui),
        Command::Identify(args) => identify::run(args, &ui),
        Command::Gallery(args) => gallery::run(args, &ui),
        Command::Simulate(args) => simulate::run(args, &ui),
        Command::Device(args) => device::run(args, &ui),
        Command::Keys(args) => keys::run(args, &ui),
        Command::Synth(args) => synth::run(args, &ui),
    };
    done.unwrap_or_else(|error| {
        Ui { quiet: false, ..ui }.note(format!("error: {}", told(&error)));
        ExitCode::FAILURE
    })
}

/// `device --port TARGET VERB` as `device VERB --port TARGET`: each verb has a port, some by another name too.
fn in_order(mut words: Vec<OsString>) -> Vec<OsString> {
    let mut before = words.iter().enumerate().skip(1);
    let device = loop {
        match before.next() {
            Some((_, word)) if word == "--keys" => drop(before.next()),
            Some((_, word)) if word.to_str().is_some_and(|word| word.starts_with('-')) => {}
            Some((at, word)) if word == "device" => break at,
            _ => return words,
        }
    };
    let port = words.get(device + 1).and_then(|word| word.to_str()).unwrap_or_default();
    let count = if port == "--port" { 2 } else { usize::from(port.starts_with("--port=")) };
    let verb = device + 1 + count;
    match words.get(verb) {
        Some(_) => words[device + 1..=verb].rotate_left(count),
        // What is missing is the verb.
        None => words.truncate(device + 1),
    }
    words
}

/// An error with its causes, those left out that a message before them has named already.
fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_devices_port_may_stand_before_the_verb() {
        let read = |words: &str| Cli::try_parse_from(in_order(words.split(' ').map(Into::into).collect()));
        let told = |words: &str| format!("{:?}", read(words).unwrap_or_else(|why| panic!("{words}: {why}")));
        for verb in [
            "info",
            "pair --role operator",
            "enroll --name Ada",
            "identify door.jpg",
            "list",
            "remove Ada",
            "verify",
            "log",
            "stats",
        ]
        .into_iter()
        .chain(["backup -o b", "restore b", "profile", "update m.update", "reset --yes", "unpair 3"])
        {
            let after = told(&format!("arcgate --json device {verb} --port tcp:here:7"));
            assert_eq!(told(&format!("arcgate --json device --port tcp:here:7 {verb}")), after);
            assert_eq!(told(&format!("arcgate --json device --port=tcp:here:7 {verb}")), after);
            let keys = told(&format!("arcgate --keys device device {verb} --port tcp:here:7"));
            assert_eq!(told(&format!("arcgate --keys device device --port tcp:here:7 {verb}")), keys);
        }
        for wrong in ["arcgate device --port tcp:here:7", "arcgate device --port", "arcgate device info"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        let io = || std::io::Error::other("disk on fire");
        let file = crate::onnx::file::FileError::Io { verb: "read", path: "m.onnx".into(), source: io() };
        assert_eq!(told(&anyhow::Error::from(file)), "cannot read m.onnx: disk on fire");
        let error = Err::<(), _>(io()).context("cannot make out/").unwrap_err();
        assert_eq!(told(&error), "cannot make out/: disk on fire");
    }
}
