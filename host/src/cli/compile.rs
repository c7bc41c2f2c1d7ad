//! `arcgate compile`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use arcgate_firmware::engine::{ModelInfo, Task};
use serde_json::json;

use super::{inspect, shared};
use crate::data::{self, ImageSet};
use crate::disk;
use crate::lower::{self, Bands, Memory, Summary};
use crate::onnx::file;
use crate::photo::Photo;
use crate::ui::{Ui, thousands};

/// Int8 ONNX -> plan, proven equal to tract to the byte.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The int8 ONNX, as `arcgate import` writes it.
    model: PathBuf,
    /// Where the plan goes; beside the model, with the ending .plan, if not given.
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// Prove on the images under this folder too; DIR/landmarks.csv is used when it is there.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    #[command(flatten)]
    faces: shared::FaceArgs,
    /// How many of those images; they are spread evenly over the folder.
    #[arg(long, default_value_t = 64, requires = "images")]
    count: usize,
    /// How many synthetic crops (noise, gradients, stripes) the proof runs on besides.
    #[arg(long, default_value_t = 32)]
    crops: usize,
    /// The most RAM that activations may take, in bytes or with a K or M behind (1024 and 1024 K). Where the plain order of
    /// layers takes more, the first ones run in bands of rows: the same embedding for more work.
    #[arg(long, value_name = "BYTES", value_parser = ram)]
    ram: Option<usize>,
}

/// "49152", "48K" or "1M" in bytes.
fn ram(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1 << 10),
        None => text.strip_suffix(['M', 'm']).map_or((text, 1), |digits| (digits, 1 << 20)),
    };
    let bytes = digits.parse::<usize>().ok().and_then(|count| count.checked_mul(unit));
    bytes.ok_or_else(|| "a number of bytes, like 49152, 48K or 1M".into())
}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let output = args.output.clone().unwrap_or_else(|| args.model.with_extension("plan"));
    shared::keep(&output, [&args.model])?;
    let model = file::read(&args.model)?;
    let lowered = lower::lower_within(&model, args.ram.unwrap_or(usize::MAX))
        .with_context(|| format!("in {}", args.model.display()))?;
    let summary = Summary::of(&lowered.plan, Some(&lowered.names))?;
    let info = arcgate_firmware::engine::plan::Plan::parse(&lowered.plan)?.info().clone();

    let mut crops = lower::synthetic_crops(&info, args.crops);
    let synthetic = crops.len();
    if let Some(folder) = &args.images {
        crops.extend(image_crops(folder, &args, &info, summary.task, ui)?);
    }
    let images = crops.len() - synthetic;
    let bar = ui.progress("proving", "crops", crops.len() as u64);
    let proof = lower::prove_with(&model, &lowered.plan, &crops, || bar.inc(1));
    bar.finish_and_clear();
    let proof = proof.with_context(|| format!("no plan was written for {}", args.model.display()))?;

    disk::replace(&output, &lowered.plan).with_context(|| format!("cannot write {}", output.display()))?;

    if ui.verbose {
        ui.say(inspect::layer_table(&summary).trim_end());
    }
    ui.say(inspect::headline(&output, &info, &summary));
    ui.say(inspect::sizes(&summary));
    ui.say(memory_line(&lowered.memory));
    ui.say(format!(
        "  proof: tract == plan on {} images and {} synthetic crops, {} bytes equal ({:.1} s)",
        thousands(images as u64),
        thousands(synthetic as u64),
        thousands(proof.bytes as u64),
        started.elapsed().as_secs_f32()
    ));
    if let Some(note) = inspect::off_lattice_note(&summary) {
        ui.say(note);
    }
    ui.json(&json!({
        "plan": output,
        "flash_bytes": summary.flash_bytes,
        "arena_bytes": summary.arena_bytes,
        "memory": lowered.memory,
        "macs": summary.macs,
        "layers": summary.layers.len(),
        "off_lattice_layers": summary.off_lattice_layers,
        "proof": proof,
        "images": images,
        "tract_equals_plan": true,
    }));
    Ok(ExitCode::SUCCESS)
}

/// How near the arena is to what must live at once, and the bands, if there are any.
fn memory_line(memory: &Memory) -> String {
    let Memory { arena_bytes, live_bytes, plain_bytes, bands } = *memory;
    let above = 100.0 * (arena_bytes as f64 / live_bytes.max(1) as f64 - 1.0);
    let live = thousands(live_bytes as u64);
    let line =
        format!("  arena: {live} bytes live at once at the fullest moment, {above:.1} % more are taken");
    match bands {
        None => line,
        Some(Bands { layers, rows, count }) => format!(
            "{line}\n  the first {layers} layers behind the input run in {count} bands of {rows} rows: {} bytes less than at once",
            thousands((plain_bytes - arena_bytes) as u64)
        ),
    }
}

/// At most `count` crops, spread evenly over the images under `folder`.
fn image_crops(
    folder: &Path,
    args: &Args,
    info: &ModelInfo,
    task: Task,
    ui: &Ui,
) -> anyhow::Result<Vec<Vec<u8>>> {
    let set = ImageSet::open(folder)?;
    let count = args.count.min(set.images.len());
    let indices: Vec<usize> = (0..count).map(|k| k * set.images.len() / count).collect();
    let finder = args.faces.finder(set.landmarks.clone())?;
    let bar = ui.progress("aligning", "images", count as u64);
    let picture = |photo: &Photo| finder.picture(photo, info, task);
    let found = data::crops_by(&set, &indices, picture, || bar.inc(1));
    bar.finish_and_clear();
    if let Some(first) = found.left_out.first() {
        let others = found.left_out.len() - 1;
        ui.note(format!("left out: {} ({}), and {others} more", first.image.display(), first.why));
    }
    anyhow::ensure!(
        !found.crops.is_empty(),
        "no image under {} gives a crop for this model",
        folder.display()
    );
    Ok(found.crops.into_iter().map(|(_, crop)| crop).collect())
}
