//! The options of the programs here, `--NAME N` and `--json`, and what they print at their end.

use std::fmt::Display;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Reads the arguments of this process: the numbers of `options`, each by its name with what it is without one, and whether
/// there is `--json`.
///
/// # Errors
/// When there is another option, or one without a number.
pub fn read<const N: usize>(options: [(&str, u64); N]) -> Result<([u64; N], bool)> {
    let (names, mut numbers) = (options.map(|(name, _)| name), options.map(|(_, default)| default));
    let mut json = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--json" {
            json = true;
            continue;
        }
        let Some(at) = names.iter().position(|&name| name == argument) else {
            bail!("unknown option {argument}\n  accepted: {} N, --json", names.join(" N, "));
        };
        let word = arguments.next().with_context(|| format!("{argument} needs a number"))?;
        numbers[at] = word.parse().with_context(|| format!("{argument} {word:?} is no number"))?;
    }
    Ok((numbers, json))
}

/// Prints what a run came to, in words and, with `--json`, as an object on the last line; the exit code says whether it was `sound`.
pub fn report(words: impl Display, result: &Value, as_json: bool, sound: bool) -> ExitCode {
    println!("{words}");
    if as_json {
        println!("{result}");
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
