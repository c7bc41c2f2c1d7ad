//! `arcgate compile`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use arcgate_firmware::engine::plan::{Plan, Target};
use arcgate_firmware::model::{ModelInfo, Task};
use serde_json::json;

use super::{inspect, shared};
use crate::chips::board::{Board, Footprint};
use crate::data::{self, ImageSet};
use crate::disk;
use crate::lower::{self, Bands, Goal, Memory, Summary};
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
    /// What the plan is to run on: a chip (RP2350, STM32H743, nRF52840, ESP32-C6), a board that was built (qemu-mps2) or the
    /// ELF file of a firmware. Says what firmware and plan take of its flash and RAM; writes nothing where they do not fit.
    #[arg(long, value_name = "NAME")]
    board: Option<String>,
    /// The cores that the plan is laid out for; the board's, if one is given, otherwise any.
    #[arg(long, value_name = "CORE", value_parser = target)]
    target: Option<Target>,
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

/// A target by its own name, or by the name of a core, of Rust's target or of an instruction set.
fn target(text: &str) -> Result<Target, String> {
    let word: String = text.to_ascii_lowercase().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    match word.as_str() {
        "portable" | "scalar" | "any" => Ok(Target::Portable),
        "dsp"
        | "cortexm4"
        | "cortexm7"
        | "cortexm33"
        | "thumbv7emnoneeabihf"
        | "thumbv7emnoneeabi"
        | "thumbv8mmainnoneeabihf"
        | "thumbv8mmainnoneeabi" => Ok(Target::Dsp),
        "mve" | "helium" | "cortexm55" | "cortexm85" => Ok(Target::Mve),
        _ => {
            Err("portable (any core), dsp (cortex-m4, cortex-m7, cortex-m33) or mve (cortex-m55, cortex-m85)"
                .into())
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let output = args.output.clone().unwrap_or_else(|| args.model.with_extension("plan"));
    shared::keep(&output, [&args.model])?;
    let board = args.board.as_deref().map(Board::named).transpose()?;
    let model = file::read(&args.model)?;
    let target = args.target.or(board.as_ref().map(Board::target)).unwrap_or_default();
    let goal = Goal { target, ram: args.ram.unwrap_or(usize::MAX) };
    let lowered = lower::lower_for(&model, goal).with_context(|| format!("in {}", args.model.display()))?;
    let summary = Summary::of(&lowered.plan, Some(&lowered.names))?;
    let plan = Plan::parse(&lowered.plan)?;
    let info = plan.info().clone();
    let footprint = board.map(|board| board.take(&plan, lowered.plan.len())).transpose();
    let footprint = footprint.with_context(|| format!("no plan was written for {}", args.model.display()))?;

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
    if let Some(footprint) = &footprint {
        ui.say(board_lines(footprint));
    }
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
        "target": target,
        "flash_bytes": summary.flash_bytes,
        "memory": lowered.memory,
        "board": footprint,
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

/// What firmware and plan take of a board's memories together.
fn board_lines(footprint: &Footprint) -> String {
    let count = |bytes: usize| thousands(bytes as u64);
    let Footprint { board, is_built, flash, ram, arena, crop, stack } = footprint;
    let allowed = if *is_built { "" } else { " (allowed for)" };
    let stack = if *is_built { format!(" + stack {}", count(*stack)) } else { String::new() };
    format!(
        "  on {board}: flash {} of {} bytes: firmware {}{allowed} + plan {}\n    RAM {} of {} bytes: firmware {}{allowed} + arena and \
         crop {}{stack}; the plan's arena takes {} of {}, its crop {} of {}",
        count(footprint.flash_taken()),
        count(flash.of),
        count(flash.firmware),
        count(flash.plan),
        count(footprint.ram_taken()),
        count(ram.of),
        count(ram.firmware),
        count(ram.plan),
        count(arena[0]),
        count(arena[1]),
        count(crop[0]),
        count(crop[1]),
    )
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
