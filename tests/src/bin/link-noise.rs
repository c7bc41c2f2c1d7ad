//! A device and its hosts in a storm of changed, lost, repeated and forged packets.
//!
//!     link-noise [--frames N] [--seed S] [--json]

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use arcgate_tests::options;
use arcgate_tests::storm::storm;
use serde_json::json;

fn main() -> Result<ExitCode> {
    let ([frames, seed], as_json) = options::read([("--frames", 100_000), ("--seed", 1)])?;
    let begin = Instant::now();
    let tally = storm(frames, seed);
    let words = format!(
        "{} packets ({} tampered with, {} put in) in {} sessions and {} pairings in {:.0} s: {} commands done, {} refused, \
         {} forgeries and {} packets of noise told, {} packets replayed after restarts and {} wrong codes typed; {} wrong commands, \
         {} unrecovered",
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
        tally.replayed,
        tally.mistyped,
        tally.wrong_commands,
        tally.unrecovered,
    );
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
        "replayed": tally.replayed,
        "mistyped": tally.mistyped,
        "seed": seed,
    });
    let sound = (tally.wrong_commands, tally.unrecovered) == (0, 0);
    Ok(options::report(words, &result, as_json, sound))
}
