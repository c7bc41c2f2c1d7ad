//! A device and its hosts in a storm of changed, lost, repeated and forged packets.
//!
//!     link-noise [--frames N] [--seed S] [--json]

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use arcgate_tests::storm::storm;
use serde_json::json;

fn main() -> Result<ExitCode> {
    let (mut frames, mut seed, mut as_json) = (100_000, 1, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<u64> {
            let word = arguments.next().with_context(|| format!("{argument} needs a number"))?;
            word.parse().with_context(|| format!("{argument} {word:?} is no number"))
        };
        match argument.as_str() {
            "--frames" => frames = number()?,
            "--seed" => seed = number()?,
            "--json" => as_json = true,
            _ => bail!("unknown option {argument}\n  accepted: --frames N, --seed S, --json"),
        }
    }
    let begin = Instant::now();
    let tally = storm(frames, seed);
    println!(
        "{} packets ({} tampered with, {} put in) in {} sessions and {} pairings in {:.0} s: {} commands done, {} refused, \
         {} forgeries and {} packets of noise told; {} wrong commands, {} unrecovered",
        tally.frames,
        tally.tampered,
        tally.inserted,
        tally.sessions,
        tally.pairings,
        begin.elapsed().as_secs_f64(),
        tally.commands,
        tally.refused,
        tally.forged,
        tally.noise,
        tally.wrong_commands,
        tally.unrecovered,
    );
    if as_json {
        let result = json!({
            "frames": tally.frames,
            "wrong_commands": tally.wrong_commands,
            "unrecovered": tally.unrecovered,
            "tampered": tally.tampered,
            "inserted": tally.inserted,
            "sessions": tally.sessions,
            "pairings": tally.pairings,
            "commands": tally.commands,
            "refused": tally.refused,
            "forged": tally.forged,
            "noise": tally.noise,
            "seed": seed,
        });
        println!("{result}");
    }
    let sound = (tally.wrong_commands, tally.unrecovered) == (0, 0);
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
