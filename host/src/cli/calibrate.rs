//! `arcgate calibrate`: the thresholds that go into a model.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use arcgate_firmware::decide::Rules;
use arcgate_firmware::model::thresholds::ThresholdTable;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::{shared, thresholds};
use crate::data::ImageSet;
use crate::engine::{Kind, Model};
use crate::eval::calibration::{self, Options};
use crate::eval::embed::{Engine, NoFace, embed_set};
use crate::eval::fpir::Impostors;
use crate::eval::gallery::Vector;
use crate::eval::transform::{self, transformed};
use crate::onnx::file;
use crate::onnx::metadata::Metadata;
use crate::ui::{Ui, thousands};

/// The thresholds that go into the model: for each number of people enrolled and each target false-positive identification rate
/// (FPIR) the angle that keeps it on people who are not in DIR, for a search with one frame and for a whole presentation.
///
/// Embeds the images of DIR through the plan, transforms the embeddings as a gallery does and compares every image with all other
/// identities. What the images do not reach, low rates and large galleries, is extrapolated by a generalised Pareto tail, which the
/// JSON object says of each cell. Images that a pairs.txt beside the landmarks names (LFW's test set) are not used.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The int8 model that `arcgate import` wrote.
    model: PathBuf,
    /// Images with a folder an identity, or with the list identity_CelebA.txt; DIR/landmarks.csv is used when it is there.
    #[arg(long, value_name = "DIR")]
    impostors: PathBuf,
    /// Images used, at most, chosen by --seed: comparisons grow with their square [default: all].
    #[arg(long, value_name = "N")]
    images: Option<usize>,
    /// Images used of one identity, at most, the first ones: more would only take time, for identities count alike.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    per_identity: u16,
    /// Images that each person will be enrolled with. A table for one counts further ones by what they were measured to add.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    templates: u8,
    /// Frames of a presentation: all that are voted on, with all retries before lock-out; by default those of a device's rules.
    #[arg(long, value_name = "N", default_value_t = Rules::default().frames_before_lockout(), value_parser = clap::value_parser!(u16).range(1..))]
    frames: u16,
    /// Seed of the choice of images, of the gallery's transform and of the identities drawn for the intervals.
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
        let own = members.images.iter().copied().filter(free).take(args.per_identity.into());
        own.for_each(|image| of_image[image] = Some(identity));
    }
    let mut chosen: Vec<usize> = (0..set.images.len()).filter(|i| of_image[*i].is_some()).collect();
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
    let bar = ui.progress("embedding", "images", chosen.len() as u64);
    let engine = Engine::Int8(Box::new(model), Kind::Plan);
    let embedded = embed_set(&set, &chosen, (&finder, NoFace::LeaveOut), &info, &[&engine], || bar.inc(1))?;
    bar.finish_and_clear();
    shared::name_left_out(ui, &embedded.left_out);
    let (mut people, mut vectors) = (Vec::new(), Vec::new());
    let mut numbers = std::collections::BTreeMap::new();
    for (image, embedding) in &embedded.vectors {
        let next = numbers.len();
        people.push(*numbers.entry(of_image[*image]).or_insert(next));
        vectors.push(Vector::Int8(embedding[0].iter().map(|&v| v as i8).collect()));
    }
    let vectors = transformed(&vectors, &transform::seed(args.seed, 0))?;
    let bar = ui.progress("comparing", "images", vectors.len() as u64);
    let impostors = Impostors::new(&people, &vectors, args.templates.into(), || bar.inc(1));
    bar.finish_and_clear();
    let options = Options { frames: args.frames, templates: args.templates, seed: args.seed };
    let table = calibration::thresholds(&impostors, vectors.len(), &options)
        .with_context(|| args.impostors.display().to_string())?;

    metadata.thresholds = Some(table.clone());
    metadata.store(&mut onnx);
    let output = args.output.as_ref().unwrap_or(&args.model);
    file::write(output, &onnx)?;

    let bytes = table.to_bytes()?;
    thresholds::lines(Some(ThresholdTable::parse(&bytes)?)).into_iter().for_each(|line| ui.say(line));
    let beyond = table.cells.iter().filter(|cell| cell.frame.extrapolated).count();
    ui.say(format!(
        "  {beyond} of {} thresholds for a frame are extrapolated; stored in {}",
        table.cells.len(),
        output.display()
    ));
    ui.say(format!("next: arcgate compile {}", output.display()));
    ui.json(&json!({
        "images": table.images,
        "identities": table.identities,
        "thresholds": table,
        "transform": "on",
        "left_out": embedded.left_out.len(),
        "model": output,
    }));
    Ok(ExitCode::SUCCESS)
}
