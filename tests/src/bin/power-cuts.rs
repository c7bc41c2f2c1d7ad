//! Cuts the power of galleries on models of four flash parts.
//!
//!     power-cuts [--cuts N] [--seed S] [--json]

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use arcgate_firmware::sim::cuts::all_parts;
use arcgate_tests::options;
use serde_json::json;

fn main() -> Result<ExitCode> {
    let ([cuts, seed], as_json) = options::read([("--cuts", 200_000), ("--seed", 1)])?;
    let begin = Instant::now();
    let tally = all_parts(cuts, seed);
    let words = format!(
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
    let sound = (tally.lost, tally.phantom, tally.failed_mounts) == (0, 0, 0);
    Ok(options::report(words, &result, as_json, sound))
}
