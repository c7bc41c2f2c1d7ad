//! `arcgate eval`: measure a model through any engine.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::measured::Measured;
use super::shared;
use crate::data::verification::VerificationSet;
use crate::data::{self, Identity, ImageSet, LandmarksCsv, LeftOut, lfw};
use crate::eval::all_pairs::{AllPairs, Labelled, all_pairs};
use crate::eval::embed::{CENTRE_SHARE, Embedded, Engine, NoFace, cosine, embed_crops, embed_set};
use crate::eval::interval::wilson95;
use crate::eval::pairs::{self, IndexPair};
use crate::eval::verification::{Score, Scores};
use crate::photo::{self, Finder, Photo};
use crate::ui::{Ui, table, thousands};

/// False-accept rates that a table shows; the JSON keys of `tar_at_far`.
const RATES: [(f64, &str); 2] = [(1e-2, "0.01"), (1e-3, "0.001")];

/// The same for all pairs of a set.
const ALL_RATES: [(f64, &str); 3] = [(1e-3, "0.001"), (1e-4, "0.0001"), (1e-5, "0.00001")];

/// Measure a model through any engine.
///
/// In the JSON object every rate is a fraction, 0 to 1: accuracy, accuracy_std, tar_at_far {"0.01", "0.001"} (null where
/// there are too few pairs), eer. With --float also cosine_to_float {mean, min} and float {accuracy, ...}.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Labeled Faces in the Wild: the official 6,000 pairs in 10 folds, the threshold chosen on nine and used on the tenth.
    Lfw(LfwArgs),
    /// Any folder with a folder an identity: pairs sampled from a seed, or all of them, in 10 folds.
    Pairs(PairsArgs),
    /// A verification set in one file, as InsightFace has them: lfw.bin, cfp_fp.bin, agedb_30.bin.
    Bin(BinArgs),
    /// Open-set identification on LFW or a folder with a folder an identity: FNIR at FPIR, DET, CMC, predicted FPIR against measured.
    Identification(super::eval_identification::Args),
    /// A face detector beside another on the same pictures: faces missed, distance of the landmarks.
    Detector(super::eval_detector::Args),
    /// Omniglot: one-shot classification of handwritten characters, 20 runs of 20 classes.
    Omniglot(super::eval_omniglot::Args),
}

#[derive(clap::Args, Debug)]
struct LfwArgs {
    #[command(flatten)]
    measured: Measured,
    /// The folder that holds lfw/ and lfw-protocol/ [default: $ARCGATE_DATA, else ../shared/data].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Also compare every photograph with every other, 87 million pairs: TAR at the lowest FAR (`all_pairs` in the JSON object).
    #[arg(long)]
    all_pairs: bool,
}

#[derive(clap::Args, Debug)]
struct PairsArgs {
    /// Folder per identity: DIR/NAME/*.jpg; DIR/landmarks.csv is used when it is there.
    dir: PathBuf,
    #[command(flatten)]
    measured: Measured,
    /// Pairs of each kind (one identity, two identities), at most.
    #[arg(long, value_name = "N", default_value_t = 10_000, conflicts_with = "all")]
    pairs: usize,
    /// Every pair there is.
    #[arg(long)]
    all: bool,
    /// Seed of the sample.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(clap::Args, Debug)]
struct BinArgs {
    /// The file. Its images are faces aligned to the common template already; a model of framed pictures takes them whole.
    file: PathBuf,
    #[command(flatten)]
    measured: Measured,
}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Lfw(args) => run_lfw(&args, ui)?,
        What::Pairs(args) => run_pairs(&args, ui)?,
        What::Bin(args) => run_bin(&args, ui)?,
        What::Identification(args) => super::eval_identification::run(&args, ui)?,
        What::Detector(args) => super::eval_detector::run(&args, ui)?,
        What::Omniglot(args) => super::eval_omniglot::run(&args, ui)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn run_lfw(args: &LfwArgs, ui: &Ui) -> anyhow::Result<()> {
    let root = args.data.clone().unwrap_or_else(data::default_root);
    let (photos, protocol) = (root.join("lfw"), root.join("lfw-protocol"));
    if !photos.is_dir() {
        anyhow::bail!(
            "{} is not there\n  accepted: --data DIR where DIR holds lfw/ and lfw-protocol/",
            photos.display()
        );
    }
    let official = lfw::Pairs::read(protocol.join("pairs.txt"))?;
    let mut set =
        if args.all_pairs { ImageSet::open(photos)? } else { ImageSet::of(photos, official.images()) };
    let csv = protocol.join("landmarks.csv");
    set.landmarks = if csv.is_file() { Some(LandmarksCsv::read(csv)?) } else { None };
    let pairs: Vec<IndexPair> = official
        .pairs
        .iter()
        .filter_map(|p| {
            let (first, second) = (set.index(&p.first)?, set.index(&p.second)?);
            Some(IndexPair { first, second, same: p.same, fold: p.fold })
        })
        .collect();
    let identities = if args.all_pairs { set.identities() } else { Vec::new() };
    measure("LFW", &set, (&pairs, &identities), NoFace::Centre, &args.measured, ui)
}

fn run_pairs(args: &PairsArgs, ui: &Ui) -> anyhow::Result<()> {
    let set = ImageSet::open(&args.dir)?;
    let identities = set.identities();
    let pairs =
        if args.all { pairs::all(&identities) } else { pairs::sample(&identities, args.pairs, args.seed) };
    let pairs = pairs.with_context(|| args.dir.display().to_string())?;
    measure(&args.dir.display().to_string(), &set, (&pairs, &[]), NoFace::LeaveOut, &args.measured, ui)
}

/// Folds of a verification set: its pairs in ten runs, as its publishers count them.
const FOLDS: usize = 10;

fn run_bin(args: &BinArgs, ui: &Ui) -> anyhow::Result<()> {
    let set = VerificationSet::read(&args.file)?;
    let (engines, info) = args.measured.engines()?;
    let started = std::time::Instant::now();
    let crop = |(i, bytes): (usize, &[u8])| -> Result<(usize, Vec<u8>), LeftOut> {
        let name = PathBuf::from(format!("{}[{i}]", args.file.display()));
        let cropped = Photo::decode(&name, bytes).and_then(|photo| photo::crop_aligned(&photo, &info));
        cropped.map(|crop| (i, crop)).map_err(|why| LeftOut { image: name, why })
    };
    let images: Vec<&[u8]> = set.images().collect();
    let cropped: Vec<_> = images.into_par_iter().enumerate().map(crop).collect();
    let (mut indices, mut crops, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for one in cropped {
        match one {
            Ok((i, crop)) => {
                indices.push(i);
                crops.push(crop);
            }
            Err(why) => left_out.push(why),
        }
    }
    let bar = ui.progress("embedding", "images", crops.len() as u64);
    let each: Vec<&Engine> = engines.iter().collect();
    let vectors = embed_crops(&crops, &each, || bar.inc(1))?;
    bar.finish_and_clear();
    let vectors = indices.into_iter().zip(vectors).collect();
    let embedded = Embedded { vectors, left_out, centred: Vec::new() };
    let fold = |i: usize| (i * FOLDS / set.same.len()) as u8;
    let pairs: Vec<IndexPair> = set
        .same
        .iter()
        .enumerate()
        .map(|(i, &same)| IndexPair { first: 2 * i, second: 2 * i + 1, same, fold: fold(i) })
        .collect();
    let name = shared::file_name(&args.file);
    tell(&name, (&pairs, &[]), &embedded, (engines.len(), started.elapsed()), &args.measured, ui)
}

/// Embeds the images of the pairs and of the identities, and tells the figures: of the pairs, and of all pairs of the identities.
fn measure(
    name: &str,
    set: &ImageSet,
    (pairs, identities): (&[IndexPair], &[Identity]),
    no_face: NoFace,
    measured: &Measured,
    ui: &Ui,
) -> anyhow::Result<()> {
    let (engines, info) = measured.engines()?;
    let finder = Finder::new(measured.faces.detector()?, measured.faces.landmarks_or(set.landmarks.clone())?);
    let mut images: Vec<usize> = pairs.iter().flat_map(|p| [p.first, p.second]).collect();
    images.extend(identities.iter().flat_map(|identity| &identity.images));
    images.sort_unstable();
    images.dedup();
    let started = std::time::Instant::now();
    let bar = ui.progress("embedding", "images", images.len() as u64);
    let each: Vec<&Engine> = engines.iter().collect();
    let embedded = embed_set(set, &images, (&finder, no_face), &info, &each, || bar.inc(1))?;
    bar.finish_and_clear();
    tell(name, (pairs, identities), &embedded, (engines.len(), started.elapsed()), measured, ui)
}

/// Scores the pairs of embedded images and prints the figures.
fn tell(
    name: &str,
    (pairs, identities): (&[IndexPair], &[Identity]),
    embedded: &Embedded,
    (engines, took): (usize, Duration),
    measured: &Measured,
    ui: &Ui,
) -> anyhow::Result<()> {
    let seconds = took.as_secs_f64();
    shared::name_left_out(ui, &embedded.left_out);
    if !embedded.centred.is_empty() {
        ui.note(format!(
            "{} photographs without a face in the landmarks were taken by the rule \"centre\": the centred square of {} of the shorter side",
            embedded.centred.len(), CENTRE_SHARE
        ));
    }
    let scores = score(pairs, embedded, 0)?;
    if scores.as_slice().len() < pairs.len() {
        let lost = pairs.len() - scores.as_slice().len();
        ui.note(format!(
            "{} of {} pairs are left out with them",
            thousands(lost as u64),
            thousands(pairs.len() as u64)
        ));
    }
    // The official pairs were looked at when they were scored; all pairs have more images.
    anyhow::ensure!(
        identities.is_empty() || embedded.is_finite(),
        "the model gives embeddings that are not finite"
    );
    let figures = Figures::of(&scores)?;
    let float = if engines > 1 { Some(Figures::of(&score(pairs, embedded, 1)?)?) } else { None };
    let cosines = (engines > 1).then(|| cosines(embedded));
    let everywhere: Vec<AllPairs> = match identities {
        [] => Vec::new(),
        _ => (0..engines)
            .map(|at| all_pairs(&labelled(identities, embedded, at), &ALL_RATES.map(|r| r.0)))
            .collect(),
    };
    let engine = measured.engine_name();

    ui.say(format!(
        "{name}: {} pairs, {} images in {seconds:.0} s, engine {engine}, model {}",
        thousands(scores.as_slice().len() as u64),
        thousands(embedded.vectors.len() as u64),
        shared::file_name(&measured.model)
    ));
    let mut header = vec![String::new(), engine.to_owned()];
    header.extend(float.is_some().then(|| "float".to_owned()));
    let columns: Vec<&Figures> = std::iter::once(&figures).chain(&float).collect();
    let mut rows = vec![header];
    let mut row = |title: &str, cell: &dyn Fn(&Figures) -> String| {
        rows.push(std::iter::once(title.to_owned()).chain(columns.iter().map(|f| cell(f))).collect());
    };
    row("accuracy", &|f| format!("{:.2} % +- {:.2}", 100.0 * f.accuracy, 100.0 * f.std));
    row("  95 % interval", &|f| format!("[{:.2}, {:.2}]", 100.0 * f.interval.0, 100.0 * f.interval.1));
    for (at, (_, key)) in RATES.iter().enumerate() {
        row(&format!("TAR at FAR {key}"), &|f| match f.tar[at] {
            Some(tar) => format!("{:.2} %", 100.0 * tar),
            None => "too few pairs".into(),
        });
    }
    row("EER", &|f| format!("{:.2} %", 100.0 * f.eer));
    row("threshold", &|f| format!("{:.1} degrees", f.threshold.clamp(-1.0, 1.0).acos().to_degrees()));
    ui.say(table(&rows).trim_end());
    if let Some(all) = everywhere.first() {
        let [mated, non_mated] = [all.mated, all.non_mated].map(thousands);
        ui.say(format!("all pairs: {mated} of one person, {non_mated} of two"));
        let mut rows = vec![rows[0].clone()];
        rows.extend(ALL_RATES.iter().enumerate().map(|(at, (_, key))| {
            let cell = |all: &AllPairs| match all.tar[at] {
                Some(tar) => format!("{:.2} %", 100.0 * tar),
                None => "too few pairs".into(),
            };
            std::iter::once(format!("TAR at FAR {key}")).chain(everywhere.iter().map(cell)).collect()
        }));
        ui.say(table(&rows).trim_end());
    }
    if let Some((mean, min)) = cosines {
        ui.say(format!(
            "cosine to float: mean {mean:.4}, least {min:.4} over {} images",
            thousands(embedded.vectors.len() as u64)
        ));
    }

    let mut out = figures.json();
    out["engine"] = json!(engine);
    out["model"] = json!(measured.model.display().to_string());
    out["pairs"] = json!(scores.as_slice().len());
    out["images"] = json!(embedded.vectors.len());
    out["left_out"] = json!(embedded.left_out.len());
    out["centred"] = json!(embedded.centred.len());
    out["seconds"] = json!(seconds);
    if let Some((mean, min)) = cosines {
        out["cosine_to_float"] = json!({ "mean": mean, "min": min });
    }
    if let Some(float) = float {
        out["float"] = float.json();
    }
    for (at, all) in everywhere.iter().enumerate() {
        let place = if at == 0 { &mut out } else { &mut out["float"] };
        place["all_pairs"] = all_pairs_json(all);
    }
    ui.json(&out);
    Ok(())
}

/// The pairs whose images both gave an embedding, scored by engine `at`.
fn score(pairs: &[IndexPair], embedded: &Embedded, at: usize) -> anyhow::Result<Scores> {
    let vector = |image: usize| embedded.vectors.get(&image).and_then(|v| v.get(at));
    let scores = pairs.iter().filter_map(|p| {
        let similarity = cosine(vector(p.first)?, vector(p.second)?);
        Some(Score { similarity, same: p.same, fold: p.fold })
    });
    Scores::new(scores.collect())
        .map_err(|at| anyhow::anyhow!("the model gives embeddings that are not finite (pair {})", at + 1))
}

/// The embeddings of the identities by engine `at`.
fn labelled<'e>(identities: &[Identity], embedded: &'e Embedded, at: usize) -> Vec<Labelled<'e>> {
    let of = |(label, identity): (usize, &Identity)| {
        let vectors = identity.images.iter().filter_map(|image| embedded.vectors.get(image)?.get(at));
        vectors.map(|v| (label, v.as_slice())).collect::<Vec<_>>()
    };
    identities.iter().enumerate().flat_map(of).collect()
}

fn all_pairs_json(all: &AllPairs) -> Value {
    let tar: serde_json::Map<String, Value> =
        ALL_RATES.iter().zip(&all.tar).map(|((_, key), tar)| (key.to_string(), json!(tar))).collect();
    json!({ "mated": all.mated, "non_mated": all.non_mated, "tar_at_far": tar })
}

/// Mean and least cosine between the two engines' embeddings of each image.
fn cosines(embedded: &Embedded) -> (f64, f64) {
    let all = embedded.vectors.values().filter_map(|v| Some(cosine(v.first()?, v.get(1)?)));
    let (sum, min) = all.fold((0.0, 1.0f64), |(sum, min), c| (sum + c, min.min(c)));
    (sum / embedded.vectors.len().max(1) as f64, min)
}

/// The figures of one engine; rates are fractions.
struct Figures {
    accuracy: f64,
    std: f64,
    interval: (f64, f64),
    threshold: f64,
    tar: [Option<f64>; RATES.len()],
    eer: f64,
}

impl Figures {
    fn of(scores: &Scores) -> anyhow::Result<Self> {
        let few = "too few pairs are left: accepted are pairs of both kinds in at least two folds";
        let accuracy = scores.accuracy().context(few)?;
        Ok(Figures {
            accuracy: accuracy.mean,
            std: accuracy.std,
            interval: wilson95(accuracy.right as u64, scores.as_slice().len() as u64),
            threshold: accuracy.threshold,
            tar: RATES.map(|(rate, _)| scores.tar_at_far(rate)),
            eer: scores.eer().context(few)?,
        })
    }

    fn json(&self) -> Value {
        let tar: serde_json::Map<String, Value> =
            RATES.iter().zip(self.tar).map(|((_, key), tar)| (key.to_string(), json!(tar))).collect();
        json!({
            "accuracy": self.accuracy,
            "accuracy_std": self.std,
            "accuracy_interval": [self.interval.0, self.interval.1],
            "threshold_cosine": self.threshold,
            "tar_at_far": tar,
            "eer": self.eer,
        })
    }
}
