//! `arcgate import`.

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use arcgate_firmware::engine::ModelInfo;
use indicatif::ProgressBar;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use serde_json::json;

use super::shared;
use crate::data::{self, ImageSet};
use crate::disk;
use crate::onnx::file;
use crate::onnx::float::{FloatGraph, Map, fix_input};
use crate::onnx::metadata::{FloatInput, Metadata, VERSION, face_template, template_by_shape};
use crate::quantize::{self, Blame, ImportOptions, Imported, Progress};
use crate::report::colours;
use crate::report::curve::{Panel, stacked};
use crate::ui::{Ui, table, thousands};

/// Images that the embeddings are compared on, besides those that ranges are measured on.
const HELD_BACK: usize = 32;

/// Images that are tried at a time, at least.
const LEAST_BATCH: usize = 32;

/// Images without a crop, when there is none with one, after which the search ends.
const HOPELESS: usize = 300;

/// Float ONNX -> int8 ONNX.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The float ONNX of an embedder.
    model: PathBuf,
    /// Photographs like those that the device will see. Images named by a pairs.txt beside the landmarks are left out.
    #[arg(long, value_name = "DIR")]
    calibrate: PathBuf,
    #[command(flatten)]
    faces: shared::FaceArgs,
    /// The sizes of the model's input, where the file leaves them open.
    #[arg(long, value_name = "1xCxHxW", value_parser = parse_sizes)]
    input: Option<Sizes>,
    /// What is subtracted from red, green and blue, in units of 0..1 (a grey model takes one value). A model written by
    /// `arcgate train` knows its own.
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', allow_hyphen_values = true)]
    mean: Option<Vec<f32>>,
    /// What the differences are divided by, in units of 0..1.
    #[arg(long, value_name = "R,G,B", value_delimiter = ',')]
    std: Option<Vec<f32>>,
    /// The order of the input's planes: rgb for three channels, grey for one, if the model does not say.
    #[arg(long, value_enum)]
    order: Option<Order>,
    /// Where a face lies in the input: face112 is the common 112x112 template scaled to the input's height and centred.
    /// The default, if the model does not say, is face112 for three channels of 112x112 or of the shape of 112 rows by
    /// 96 columns, and none otherwise: the whole picture.
    #[arg(long, value_enum)]
    template: Option<Template>,
    /// Images to calibrate on. More refine the ranges little and take longer.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    images: u32,
    /// Seed of the choice of images and activations.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Say what each layer does to the embeddings by itself, the worst first; also as OUT.report.json and OUT.report.svg.
    #[arg(long)]
    report: bool,
    /// The least mean cosine of the int8 embeddings to the float ones, on images that were held back. Below it nothing is written,
    /// and the layers to blame are named.
    #[arg(long, value_name = "COSINE", default_value_t = -1.0, allow_hyphen_values = true, value_parser = parse_cosine)]
    min_cosine: f64,
    /// Where the int8 ONNX goes; beside the model, with the ending .int8.onnx, if not given.
    #[arg(long, short)]
    output: Option<PathBuf>,
}

#[derive(clap::ValueEnum, Debug, Clone, Copy)]
enum Order {
    Grey,
    Rgb,
    Bgr,
}

#[derive(clap::ValueEnum, Debug, Clone, Copy)]
enum Template {
    Face112,
    None,
}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let output = args.output.clone().unwrap_or_else(|| args.model.with_extension("int8.onnx"));
    shared::keep(&output, [&args.model])?;
    let mut float = file::read(&args.model)?;
    if let Some(Sizes(sizes)) = &args.input {
        fix_input(&mut float, sizes).with_context(|| format!("in {}", args.model.display()))?;
    }
    let graph = FloatGraph::read(&float).with_context(|| format!("in {}", args.model.display()))?;
    let input = input(&args, graph.input(), FloatInput::of(&float)?)?;
    let info = model_info(&graph, &input)?;

    let calibration = crops(&args, &info, ui)?;
    let source = args.model.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let options = ImportOptions {
        seed: args.seed,
        held_back: HELD_BACK,
        blame: args.report,
        min_cosine: args.min_cosine,
        ..ImportOptions::new(input, source)
    };
    let bars = Bars { ui, current: RefCell::new(None) };
    let imported = quantize::import(&float, &calibration.crops, &options, &|p| bars.show(p));
    bars.finish();
    let imported = imported.with_context(|| format!("in {}", args.model.display()))?;

    file::write(&output, &imported.model)?;
    if args.report {
        report(ui, &imported.blame, &output)?;
    }
    say(ui, &imported, &calibration, &output);
    Ok(ExitCode::SUCCESS)
}

/// How crops become the model's input: what the flags say, else what the model says, else what its shape suggests.
fn input(args: &Args, map: &Map, stored: Option<FloatInput>) -> anyhow::Result<FloatInput> {
    let order = match (args.order, &stored) {
        (Some(Order::Grey), _) => "grey".to_owned(),
        (Some(Order::Rgb), _) => "rgb".to_owned(),
        (Some(Order::Bgr), _) => "bgr".to_owned(),
        (None, Some(stored)) => stored.order.clone(),
        (None, None) if map.channels == 1 => "grey".to_owned(),
        (None, None) => "rgb".to_owned(),
    };
    // The metadata speaks of planes, the flags of colours.
    let planes = |mut colours: Vec<f32>| {
        if order == "bgr" {
            colours.reverse();
        }
        colours
    };
    let mean = args.mean.clone().map(planes).or(stored.as_ref().map(|s| s.mean.clone()));
    let std = args.std.clone().map(planes).or(stored.as_ref().map(|s| s.std.clone()));
    let (Some(mean), Some(std)) = (mean, std) else {
        bail!(
            "{} does not say how its pixels are normalised\n  accepted: --mean R,G,B --std R,G,B in units of 0..1, for \
             example --mean .5,.5,.5 --std .5,.5,.5",
            args.model.display()
        );
    };
    let template = match (args.template, stored) {
        (Some(Template::Face112), _) => Some(face_template(map.width, map.height)),
        (Some(Template::None), _) => None,
        (None, Some(stored)) => stored.template,
        (None, None) => template_by_shape(map.channels, map.width, map.height),
    };
    Ok(FloatInput { order, mean, std, template })
}

/// What cropping must know of a model that does not exist yet.
fn model_info(graph: &FloatGraph, input: &FloatInput) -> anyhow::Result<ModelInfo> {
    let metadata = Metadata {
        version: VERSION,
        width: graph.input().width as u16,
        height: graph.input().height as u16,
        order: input.order.clone(),
        mean: input.mean.clone(),
        std: input.std.clone(),
        template: input.template,
        dimension: graph.dimension() as u16,
        embedding_id: "0".repeat(64),
        source: String::new(),
        calibration: None,
        threshold: None,
    };
    Ok(metadata.model_info()?)
}

/// Crops to calibrate and to measure on.
struct Calibration {
    crops: Vec<Vec<u8>>,
    /// Images in the folder.
    images: usize,
    /// Of these, images of the test protocol, which are not calibrated on.
    protocol: usize,
    /// Images tried that gave no crop.
    broken: usize,
}

fn crops(args: &Args, info: &ModelInfo, ui: &Ui) -> anyhow::Result<Calibration> {
    let mut set = ImageSet::open(&args.calibrate)?;
    args.faces.hold_out(&mut set)?;
    let finder = args.faces.finder(set.landmarks.clone())?;
    let mut indices: Vec<usize> =
        (0..set.images.len()).filter(|&i| !set.held_out.contains(&set.images[i])).collect();
    let protocol = set.images.len() - indices.len();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(args.seed);
    indices.shuffle(&mut rng);

    let wanted = args.images as usize + HELD_BACK.min(args.images as usize / 3);
    let mut found = Calibration { crops: Vec::new(), images: set.images.len(), protocol, broken: 0 };
    let mut first_reason = None;
    let bar = ui.progress("aligning", "images", wanted.min(indices.len()) as u64);
    let mut rest = indices.as_slice();
    while found.crops.len() < wanted && !rest.is_empty() {
        let missing = (wanted - found.crops.len()).max(LEAST_BATCH);
        let (batch, later) = rest.split_at(rest.len().min(missing));
        let cropped = data::crops(&set, batch, &finder, info, || bar.inc(1));
        found.broken += cropped.left_out.len();
        first_reason = first_reason.or(cropped.left_out.into_iter().next().map(|l| l.why));
        // A folder whose first hundreds give nothing gives nothing.
        rest = if found.crops.is_empty() && cropped.crops.is_empty() && found.broken >= HOPELESS {
            &[]
        } else {
            later
        };
        found.crops.extend(cropped.crops.into_iter().map(|(_, crop)| crop));
    }
    bar.finish_and_clear();
    found.crops.truncate(wanted);
    if let Some(why) = &first_reason {
        ui.note(format!("{} of the images tried gave no crop; the first: {why}", found.broken));
    }
    if found.crops.is_empty() {
        let why =
            first_reason.map_or("all its images belong to the test protocol".into(), |why| why.to_string());
        bail!("no image in {} can be calibrated on: {why}", args.calibrate.display());
    }
    Ok(found)
}

/// One progress bar after the other.
struct Bars<'a> {
    ui: &'a Ui,
    current: RefCell<Option<(&'static str, ProgressBar)>>,
}

impl Bars<'_> {
    fn show(&self, progress: Progress) {
        let (what, unit, done, total) = match progress {
            Progress::Calibrating(done, total) => ("calibrating", "images", done, total),
            Progress::Quantizing(done, total) => ("quantizing", "layers", done, total),
            Progress::Measuring(done, total) => ("measuring", "images", done, total),
            Progress::Blaming(done, total) => ("blaming", "layers", done, total),
        };
        let mut current = self.current.borrow_mut();
        if current.as_ref().is_none_or(|(shown, _)| *shown != what)
            && let Some((_, old)) = current.replace((what, self.ui.progress(what, unit, total as u64)))
        {
            old.finish_and_clear();
        }
        if let Some((_, bar)) = current.as_ref() {
            bar.set_position(done as u64);
        }
    }

    fn finish(&self) {
        if let Some((_, bar)) = self.current.take() {
            bar.finish_and_clear();
        }
    }
}

/// A shape as words.
#[derive(Debug, Clone, PartialEq)]
struct Sizes([i64; 4]);

fn parse_sizes(text: &str) -> Result<Sizes, String> {
    let parts: Option<Vec<i64>> = text.split('x').map(|p| p.parse().ok().filter(|&size| size > 0)).collect();
    let sizes = parts.and_then(|p| p.try_into().ok());
    sizes.map(Sizes).ok_or_else(|| "accepted: four sizes of at least 1, like 1x3x112x112".into())
}

fn parse_cosine(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().map_err(|e| e.to_string())?;
    if (-1.0..=1.0).contains(&value) { Ok(value) } else { Err("accepted: -1 to 1".into()) }
}

/// What each layer does by itself: a table, and beside the model as JSON and as a plot.
fn report(ui: &Ui, blame: &[Blame], output: &std::path::Path) -> anyhow::Result<()> {
    let head =
        ["layer", "op", "output", "degrees", "worst", "SQNR dB", "range", "by", "saturated", "moved", "dead"];
    let mut rows = vec![head.map(String::from).to_vec()];
    rows.extend(blame.iter().map(|b| {
        let [channels, height, width] = b.shape;
        vec![
            b.layer.clone(),
            b.op.clone(),
            format!("{channels}x{height}x{width}"),
            format!("{:.3}", b.mean_degrees),
            format!("{:.3}", b.greatest_degrees),
            b.sqnr_db.map_or("exact".into(), |db| format!("{db:.1}")),
            format!("{:.3} ... {:.3}", b.range[0], b.range[1]),
            b.rule.name().into(),
            format!("{:.3} %", 100.0 * b.saturated),
            format!("{:.0e}", b.moved),
            if b.dead == 0 { String::new() } else { b.dead.to_string() },
        ]
    }));
    ui.say(table(&rows).trim_end());
    let [json_path, plot_path] = ["report.json", "report.svg"].map(|ending| output.with_extension(ending));
    let cannot = |path: &std::path::Path| format!("cannot write {}", path.display());
    let text = serde_json::to_string_pretty(blame).context("plain fields serialize")?;
    disk::replace(&json_path, text.as_bytes()).with_context(|| cannot(&json_path))?;
    let points = |of: fn(&Blame) -> f64| (1..).zip(blame).map(|(i, b)| (f64::from(i), of(b))).collect();
    let panels = [
        Panel {
            name: "mean angle, degrees",
            top: None,
            points: points(|b| b.mean_degrees),
            colour: colours::NON_MATED,
        },
        Panel {
            name: "SQNR, dB",
            top: None,
            points: points(|b| b.sqnr_db.unwrap_or(0.0)),
            colour: colours::MATED,
        },
    ];
    let plot = stacked("layers, each alone in int8, the worst first", &panels)?;
    disk::replace(&plot_path, plot.as_bytes()).with_context(|| cannot(&plot_path))?;
    ui.note(format!("report: {} and {}", json_path.display(), plot_path.display()));
    Ok(())
}

fn say(ui: &Ui, imported: &Imported, calibration: &Calibration, output: &std::path::Path) {
    let mut rows = vec![
        ["layer", "op", "output", "scale", "zero", "range by", "moved", "dead"].map(String::from).to_vec(),
    ];
    rows.extend(imported.layers.iter().map(|row| {
        let [channels, height, width] = row.shape;
        let dead = if row.dead == 0 { String::new() } else { row.dead.to_string() };
        let (scale, zero, moved) = (row.scale, row.zero_point, row.moved);
        let shape = format!("{channels}x{height}x{width}");
        vec![
            row.name.clone(),
            row.op.clone(),
            shape,
            format!("{scale:.5}"),
            zero.to_string(),
            row.rule.name().into(),
            format!("{moved:.0e}"),
            dead,
        ]
    }));
    ui.say(table(&rows).trim_end());

    let agreement = imported.agreement;
    let dead: usize = imported.layers.iter().map(|r| r.dead).sum();
    let channels: usize = imported.layers.iter().map(|r| r.shape[0]).sum();
    let metadata = &imported.metadata;
    ui.say(format!(
        "{}: {}-dimensional int8 embedding, input {}x{} {}, {}",
        output.display(),
        metadata.dimension,
        metadata.width,
        metadata.height,
        metadata.order,
        if metadata.template.is_some() { "faces aligned by five points" } else { "whole pictures" },
    ));
    let images = thousands(calibration.images as u64);
    let ranges = match imported.calibrated {
        0 => format!("ranges as training learnt them, none chosen on the {images} images"),
        calibrated => format!("calibrated on {} of {images} images", thousands(calibrated as u64)),
    };
    ui.say(format!(
        "  {ranges}; {} of the test protocol left out, {} without a crop",
        thousands(calibration.protocol as u64),
        thousands(calibration.broken as u64),
    ));
    if let Some(row) = imported.largest_move() {
        ui.say(format!(
            "  scales on the lattice: largest move {:.1e} ({}); {} of {} channels dead",
            row.moved,
            row.name,
            thousands(dead as u64),
            thousands(channels as u64)
        ));
    }
    ui.say(format!(
        "  float and int8 embeddings on {} images: mean angle {:.1} degrees, worst {:.1} (cosine {:.4}, least {:.4})",
        agreement.images,
        agreement.mean_degrees,
        agreement.greatest_degrees,
        agreement.mean_cosine,
        agreement.least_cosine,
    ));
    ui.say(format!("  embedding id {}", metadata.embedding_id));
    ui.say(format!("next: arcgate calibrate {} --impostors DIR", output.display()));
    ui.json(&json!({
        "model": output,
        "embedding_id": metadata.embedding_id,
        "dimension": metadata.dimension,
        "layers": imported.layers.len(),
        "ranges": if imported.calibrated == 0 { "learnt" } else { "calibrated" },
        "calibration_images": imported.calibrated,
        "protocol_images_left_out": calibration.protocol,
        "images_without_crop": calibration.broken,
        "largest_move": imported.largest_move().map(|r| r.moved),
        "dead_channels": dead,
        "cosine_to_float": { "mean": agreement.mean_cosine, "min": agreement.least_cosine },
        "degrees_to_float": { "mean": agreement.mean_degrees, "max": agreement.greatest_degrees },
        "measured_images": agreement.images,
        "report": imported.blame,
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::metadata::FACE_TEMPLATE_112;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(flags: &[&str]) -> Args {
        let words = ["import", "m.onnx", "--calibrate", "d"].iter().chain(flags);
        Line::try_parse_from(words).unwrap().args
    }

    fn map(channels: usize, height: usize, width: usize) -> Map {
        Map { name: "x".into(), channels, height, width }
    }

    const NORMAL: [&str; 4] = ["--mean", "-.1,.2,.3", "--std", "1,2,3"];

    #[test]
    fn the_template_follows_the_shape() {
        let template =
            |map: &Map| input(&parsed(&["--mean", "0", "--std", "1"]), map, None).unwrap().template;
        assert_eq!(template(&map(3, 112, 112)), Some(FACE_TEMPLATE_112));
        let narrow = template(&map(3, 112, 96)).unwrap();
        assert_eq!(narrow[2], [FACE_TEMPLATE_112[2][0] - 8.0, FACE_TEMPLATE_112[2][1]]);
        assert_eq!(template(&map(1, 112, 112)), None);
        assert_eq!(template(&map(3, 64, 64)), None);
    }

    #[test]
    fn flags_stand_above_the_model() {
        let stored =
            FloatInput { order: "bgr".into(), mean: vec![0.5; 3], std: vec![0.5; 3], template: None };
        let kept = input(&parsed(&[]), &map(3, 112, 112), Some(stored.clone())).unwrap();
        assert_eq!(kept, stored);
        let flagged = input(&parsed(&NORMAL), &map(3, 112, 112), Some(stored)).unwrap();
        assert_eq!((flagged.mean, flagged.std), (vec![0.3, 0.2, -0.1], vec![3.0, 2.0, 1.0]));
    }

    #[test]
    fn normalisation_is_never_guessed() {
        let told = input(&parsed(&["--mean", "0,0,0"]), &map(3, 8, 8), None).unwrap_err().to_string();
        assert!(
            told.starts_with("m.onnx does not say how its pixels are normalised\n  accepted: --mean"),
            "{told}"
        );
    }
}
