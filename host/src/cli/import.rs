//! `arcgate import`.

mod calibration;
mod report;

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use arcgate_firmware::model::{ModelInfo, Task};
use indicatif::ProgressBar;
use tract_onnx::pb::ModelProto;

use super::shared;
use crate::eval::detection;
use crate::onnx::file;
use crate::onnx::float::{FloatGraph, Map, fix_input, keep_output};
use crate::onnx::metadata::{FloatInput, Metadata, VERSION, face_template, template_by_shape};
use crate::onnx::origin::{self, Origin, OriginError};
use crate::photo::Detector;
use crate::quantize::{self, ImportOptions, Progress};
use crate::ui::Ui;
use calibration::{Asked, Calibration, HELD_BACK};

/// Float ONNX -> int8 ONNX.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The float ONNX of an embedder, or of a face detector (YuNet, known by its twelve outputs).
    model: PathBuf,
    /// Photographs like those that the device will see. Images named by a pairs.txt beside the landmarks are left out.
    #[arg(long, value_name = "DIR")]
    calibrate: PathBuf,
    #[command(flatten)]
    faces: shared::FaceArgs,
    /// The sizes of the model's input, where the file leaves them open.
    #[arg(long, value_name = "1xCxHxW", value_parser = parse_sizes)]
    input: Option<Sizes>,
    /// The output that is the embedding, of a model with several.
    #[arg(long, value_name = "NAME")]
    embedding: Option<String>,
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
    /// The terms of the model's use: a name, an SPDX expression or a URL [default: the file's own model_license, if it has one].
    #[arg(long, value_name = "TEXT", value_parser = parse_licence)]
    licence: Option<String>,
    /// Where the model comes from, for people [default: the file's name, its model_author and its producer].
    #[arg(long, value_name = "TEXT", value_parser = parse_source)]
    source: Option<String>,
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
    if let Some(name) = &args.embedding {
        keep_output(&mut float, name).with_context(|| format!("in {}", args.model.display()))?;
    }
    if let Some(Sizes(sizes)) = &args.input {
        fix_input(&mut float, sizes).with_context(|| format!("in {}", args.model.display()))?;
    }
    let graph = FloatGraph::read(&float).with_context(|| format!("in {}", args.model.display()))?;
    let stored = FloatInput::of(&float)?.or_else(|| (graph.task == Task::Detection).then(yunet_input));
    let input = input(&args, graph.input(), stored)?;
    let info = model_info(&graph, &input)?;
    let origin = origin(&args, &float);
    let stated =
        || format!("what {} says of itself (--licence and --source stand above it)", args.model.display());
    origin.check().with_context(stated)?;

    let asked = Asked { folder: &args.calibrate, faces: &args.faces, images: args.images, seed: args.seed };
    let calibration = Calibration::gather(&asked, &info, graph.task, ui)?;
    let options = ImportOptions {
        seed: args.seed,
        held_back: HELD_BACK,
        blame: args.report,
        min_cosine: args.min_cosine,
        ..ImportOptions::new(input, origin)
    };
    let bars = Bars { ui, current: RefCell::new(None) };
    let imported = quantize::import(&float, &calibration.crops, &options, &|p| bars.show(p));
    bars.finish();
    let imported = imported.with_context(|| format!("in {}", args.model.display()))?;

    file::write(&output, &imported.model)?;
    if args.report {
        report::layers(ui, &imported.blame, &output)?;
    }
    let detections = match graph.task {
        Task::Embedding => None,
        Task::Detection => {
            let (float, int8) = (Detector::open(&args.model)?, Detector::open(&output)?);
            Some(detection::compare(&float, &int8, &calibration.pictures(&info), || ())?)
        }
    };
    report::say(ui, &imported, &calibration, detections.as_ref(), &output);
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

/// A YuNet takes blue, green and red as they are, 0 to 255.
fn yunet_input() -> FloatInput {
    FloatInput { order: "bgr".into(), mean: vec![0.0; 3], std: vec![1.0 / 255.0; 3], template: None }
}

/// Where the model comes from: what the flags say, else what the file says.
fn origin(args: &Args, float: &ModelProto) -> Origin {
    let name = args.model.file_name().unwrap_or_default().to_string_lossy();
    let stated = Origin::of(float, &name);
    Origin {
        licence: args.licence.clone().or(stated.licence),
        source: args.source.clone().unwrap_or(stated.source),
    }
}

/// What cropping must know of a model that does not exist yet.
fn model_info(graph: &FloatGraph, input: &FloatInput) -> anyhow::Result<ModelInfo> {
    let metadata = Metadata {
        version: VERSION,
        task: graph.task,
        width: graph.input().width as u16,
        height: graph.input().height as u16,
        order: input.order.clone(),
        mean: input.mean.clone(),
        std: input.std.clone(),
        template: input.template,
        dimension: graph.dimension() as u16,
        embedding_id: "0".repeat(64),
        source: String::new(),
        licence: None,
        calibration: None,
        thresholds: None,
    };
    Ok(metadata.model_info()?)
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

fn parse_licence(text: &str) -> Result<String, OriginError> {
    origin::check("licence", text).map(|()| text.to_owned())
}

fn parse_source(text: &str) -> Result<String, OriginError> {
    origin::check("source", text).map(|()| text.to_owned())
}

fn parse_cosine(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().map_err(|e| e.to_string())?;
    if (-1.0..=1.0).contains(&value) { Ok(value) } else { Err("accepted: -1 to 1".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::metadata::FACE_TEMPLATE_112;
    use clap::Parser;

    #[derive(Parser, Debug)]
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
    fn the_origin_is_the_files_unless_the_flags_say_otherwise() {
        let mut float = ModelProto { producer_name: "pytorch".into(), ..Default::default() };
        origin::set_licence(&mut float, "MIT");
        let told = origin(&parsed(&["--source", "by hand"]), &float);
        assert_eq!(told, Origin { licence: Some("MIT".into()), source: "by hand".into() });
        let told = origin(&parsed(&["--licence", "CC0-1.0"]), &float);
        assert_eq!(told, Origin { licence: Some("CC0-1.0".into()), source: "m.onnx (pytorch)".into() });
        let words = ["import", "m.onnx", "--calibrate", "d", "--licence", "a\nb"];
        let refused = Line::try_parse_from(words).unwrap_err().to_string();
        assert!(refused.contains("U+000A at 2") && refused.contains("accepted: 1 to 500"), "{refused}");
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
