//! `arcgate synth`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use rayon::prelude::*;

use crate::synth::Portraits;
use crate::ui::{Ui, thousands};

/// Synthetic portraits as image folders: OUT/person-00012/view-003.png.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The folder to write; created when absent.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// People, numbered from --first.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    identities: u64,
    /// The number of the first person.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Photographs of each person.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    views: u64,
    /// Columns and rows of each picture, in pixels.
    #[arg(long, default_value = "112x112", value_name = "WxH", value_parser = size)]
    size: (u32, u32),
    /// The population: another seed gives other people.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// `WxH`, each side 8 to 2048.
fn size(text: &str) -> Result<(u32, u32), String> {
    let accepted = || format!("{text:?} is no size; accepted: WxH, each 8 to 2048, such as 64x64");
    let (w, h) = text.split_once('x').ok_or_else(accepted)?;
    let side = |s: &str| s.parse().ok().filter(|v| (8..=2048).contains(v)).ok_or_else(accepted);
    Ok((side(w)?, side(h)?))
}

/// Runs the command.
///
/// # Errors
/// When a folder or picture cannot be written.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let people = Portraits::new(args.seed);
    let bar = ui.progress("painting", "portraits", args.identities * args.views);
    (args.first..args.first + args.identities).into_par_iter().try_for_each(|identity| {
        let folder = args.output.join(format!("person-{identity:05}"));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        for view in 0..args.views {
            let path = folder.join(format!("view-{view:03}.png"));
            let picture = people.portrait(identity, view, args.size);
            picture.save(&path).with_context(|| format!("cannot write {}", path.display()))?;
            bar.inc(1);
        }
        anyhow::Ok(())
    })?;
    bar.finish_and_clear();
    let (w, h) = args.size;
    let total = args.identities * args.views;
    ui.say(format!(
        "{} portraits of {} people, {w}x{h}, in {}",
        thousands(total),
        thousands(args.identities),
        args.output.display()
    ));
    ui.json(&serde_json::json!({
        "output": args.output, "identities": args.identities, "views": args.views, "portraits": total,
        "width": w, "height": h, "seed": args.seed,
    }));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_or_refused() {
        assert_eq!(size("64x48"), Ok((64, 48)));
        for wrong in ["64", "64x", "x48", "4x64", "64x9999", "-8x8"] {
            assert!(size(wrong).is_err_and(|e| e.contains("accepted")), "{wrong}");
        }
    }
}
