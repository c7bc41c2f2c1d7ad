//! Cuts the power of galleries on models of four flash parts.
//!
//!     power-cuts [--cuts N] [--seed S] [--json]

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use arcgate_firmware::sim::cuts::all_parts;
use serde_json::json;

fn main() -> Result<ExitCode> {
    let (mut cuts, mut seed, mut as_json) = (200_000, 1, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<u64> {
            let word = arguments.next().with_context(|| format!("{argument} needs a number"))?;
            word.parse().with_context(|| format!("{argument} {word:?} is no number"))
        };
        match argument.as_str() {
            "--cuts" => cuts = number()?,
            "--seed" => seed = number()?,
            "--json" => as_json = true,
            _ => bail!("unknown option {argument}\n  accepted: --cuts N, --seed S, --json"),
        }
    }
    let begin = Instant::now();
    let tally = all_parts(cuts, seed);
    println!(
        "{} power cuts ({} in erases, {} in compaction) over {} operations ({} on galleries nearly full) in {:.0} s: \
         {} lost, {} phantom, {} mounts failed",
        tally.cuts,
        tally.in_erases,
        tally.in_compaction,
        tally.operations,
        tally.nearly_full,
        begin.elapsed().as_secs_f64(),
        tally.lost,
        tally.phantom,
        tally.failed_mounts,
    );
    if as_json {
        let result = json!({
            "cuts": tally.cuts,
            "operations": tally.operations,
            "lost": tally.lost,
            "phantom": tally.phantom,
            "failed_mounts": tally.failed_mounts,
            "in_erases": tally.in_erases,
            "in_compaction": tally.in_compaction,
            "nearly_full": tally.nearly_full,
            "seed": seed,
        });
        println!("{result}");
    }
    let sound = (tally.lost, tally.phantom, tally.failed_mounts) == (0, 0, 0);
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
