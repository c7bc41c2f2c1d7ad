//! `arcgate calibrate`: the thresholds that go into a model.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::{shared, thresholds};
use crate::data::ImageSet;
use crate::engine::{Kind, Model};
use crate::eval::AngleHistogram;
use crate::eval::embed::{Engine, NoFace, embed_set};
use crate::eval::interval::wilson95;
use crate::eval::searches::{galleries_in_all, threshold_table};
use crate::onnx::file;
use crate::onnx::metadata::{Metadata, ThresholdRecord};
use crate::ui::{Ui, thousands};

/// The thresholds that go into the model: one from impostor pairs at a stated false-match rate, and a table from searches.
///
/// Embeds the images of DIR through the plan and takes the angle of every pair of different identities. For the table it draws
/// galleries of 1, 10, 100 and 1,000 identities, one template each, and searches them with all images of the others. Images
/// that a pairs.txt beside the landmarks names (LFW's test set) are not used.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The int8 model that `arcgate import` wrote.
    model: PathBuf,
    /// Images with a folder an identity, or with the list identity_CelebA.txt; DIR/landmarks.csv is used when it is there.
    #[arg(long, value_name = "DIR")]
    impostors: PathBuf,
    /// The share of impostor pairs that may match, at least 10 of them.
    #[arg(long, default_value_t = 0.001, value_name = "RATE")]
    fmr: f64,
    /// Images used, at most, chosen by --seed: pairs grow with their square (5,000 images: about 12 million) [default: all].
    #[arg(long, value_name = "N")]
    images: Option<usize>,
    /// Seed of the choice of images and of the galleries.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the model with its threshold goes [default: the model itself].
    #[arg(long, short, value_name = "OUT.onnx")]
    output: Option<PathBuf>,
    #[command(flatten)]
    faces: shared::FaceArgs,
}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let mut onnx = file::read(&args.model)?;
    let named = || args.model.display().to_string();
    let mut metadata = Metadata::of(&onnx).with_context(named)?;
    let model = Model::from_onnx(&args.model, onnx.clone())?;
    let info = model.info().clone();
    let mut set = ImageSet::open(&args.impostors)?;
    args.faces.hold_out(&mut set)?;
    let finder = args.faces.finder(set.landmarks.clone())?;

    // Identity and image, without what is held out.
    let identities = set.identities();
    let free = |image: &usize| !set.held_out.contains(&set.images[*image]);
    let mut of_image = vec![None; set.images.len()];
    for (identity, members) in identities.iter().enumerate() {
        members.images.iter().for_each(|&image| of_image[image] = Some(identity));
    }
    let mut chosen: Vec<usize> =
        (0..set.images.len()).filter(|i| of_image[*i].is_some()).filter(free).collect();
    if !set.held_out.is_empty() {
        ui.note(format!(
            "{} images of the test set beside {} are not used",
            thousands(set.held_out.len() as u64),
            args.impostors.display()
        ));
    }
    if let Some(most) = args.images.filter(|&most| most < chosen.len()) {
        chosen.shuffle(&mut ChaCha8Rng::seed_from_u64(args.seed));
        chosen.truncate(most);
        chosen.sort_unstable();
    }
    let people = |images: &[usize]| {
        let mut people: Vec<_> = images.iter().map(|&i| of_image[i]).collect();
        people.sort_unstable();
        people.dedup();
        people.len()
    };
    if people(&chosen) < 2 {
        anyhow::bail!(
            "{} holds {} identities that may be used\n  accepted: a folder an identity (DIR/NAME/*.jpg) or the list identity_CelebA.txt, two identities at least",
            args.impostors.display(),
            people(&chosen)
        );
    }

    let bar = ui.progress("embedding", "images", chosen.len() as u64);
    let engine = Engine::Int8(Box::new(model), Kind::Plan);
    let embedded = embed_set(&set, &chosen, (&finder, NoFace::LeaveOut), &info, &[&engine], || bar.inc(1))?;
    bar.finish_and_clear();
    shared::name_left_out(ui, &embedded.left_out);
    let used: Vec<usize> = embedded.vectors.keys().copied().collect();
    let vectors = embedded.vectors.into_iter().filter_map(|(image, vectors)| {
        let int8 = vectors.into_iter().next()?.into_iter().map(|v| v as i8).collect();
        Some((of_image[image]?, int8))
    });
    let vectors: Vec<(usize, Vec<i8>)> = vectors.collect();

    let n = vectors.len() as u64;
    let bar = ui.progress("comparing", "pairs", n * n.saturating_sub(1) / 2);
    let histogram = AngleHistogram::of_impostors(&vectors, |pairs| bar.inc(pairs));
    bar.finish_and_clear();
    let threshold = histogram.threshold(args.fmr)?;
    let bar = ui.progress("searching", "galleries", galleries_in_all(&vectors) as u64);
    let table = threshold_table(&vectors, args.seed, || bar.inc(1));
    bar.finish_and_clear();

    metadata.threshold = Some(ThresholdRecord {
        millidegrees: threshold.angle.millidegrees(),
        false_match_rate: threshold.false_match_rate,
        impostor_pairs: threshold.impostor_pairs,
    });
    metadata.threshold_table = Some(table.clone());
    metadata.store(&mut onnx);
    let output = args.output.as_ref().unwrap_or(&args.model);
    file::write(output, &onnx)?;

    let matches = (threshold.false_match_rate as f64 * threshold.impostor_pairs as f64).round() as u64;
    let (low, high) = wilson95(matches, threshold.impostor_pairs);
    ui.say(format!(
        "threshold {:.3} degrees: {} of {} impostor pairs match, {:.3e} (95 % interval [{low:.2e}, {high:.2e}])",
        threshold.angle,
        thousands(matches),
        thousands(threshold.impostor_pairs),
        threshold.false_match_rate,
    ));
    ui.say(format!(
        "  from {} images of {} identities in {}; stored in {}",
        thousands(n),
        thousands(people(&used) as u64),
        args.impostors.display(),
        output.display()
    ));
    thresholds::lines(&table).into_iter().for_each(|line| ui.say(line));
    ui.say(format!("next: arcgate compile {}", output.display()));
    ui.json(&json!({
        "threshold_degrees": threshold.angle.degrees(),
        "threshold_millidegrees": threshold.angle.millidegrees(),
        "false_match_rate": threshold.false_match_rate,
        "false_match_rate_interval": [low, high],
        "false_matches": matches,
        "impostor_pairs": threshold.impostor_pairs,
        "images": n,
        "identities": people(&used),
        "threshold_table": table,
        "left_out": embedded.left_out.len(),
        "model": output,
    }));
    Ok(ExitCode::SUCCESS)
}
