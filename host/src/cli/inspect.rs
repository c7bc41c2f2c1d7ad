//! `arcgate inspect`.

mod bundle;
mod carried;
mod chips;
pub(super) mod update;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use arcgate_firmware::bundle::MAGIC as BUNDLE;
use arcgate_firmware::engine::plan::{MAGIC, Plan, Target};
use arcgate_firmware::model::{ChannelOrder, ModelInfo, Task};
use arcgate_firmware::update::MAGIC as IMAGE;
use serde_json::json;
use tract_onnx::pb::ModelProto;

use super::thresholds;
use crate::chips::{FIRMWARE_RAM, estimates};
use crate::lower::{self, Summary};
use crate::onnx::file;
use crate::onnx::metadata::{FloatInput, Metadata, MetadataError, hex};
use crate::onnx::origin::Origin;
use crate::ui::{Ui, table, thousands};

/// Said of what the development key signed.
const DEVELOPMENT: &str =
    "  that is the development key: everybody can sign with it, and boards for use refuse it";

/// What is in a file: layers, multiply-accumulates, flash bytes, exact RAM arena, what it was made from, and whether and how
/// fast it would run on which chip.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A plan, an int8 ONNX, a float ONNX, a model image or a bundle.
    file: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let path = &args.file;
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.starts_with(&MAGIC) || path.extension().is_some_and(|e| e == "plan") {
        show(path, &bytes, None, ui).with_context(|| path.display().to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    if bytes.starts_with(&IMAGE) || path.extension().is_some_and(|e| e == "update") {
        let checked = crate::update::check(&bytes).with_context(|| path.display().to_string())?;
        update::lines(path, &bytes, &checked)?.into_iter().for_each(|line| ui.say(line));
        ui.json(&update::json(path, &bytes, &checked)?);
        return Ok(ExitCode::SUCCESS);
    }
    if bytes.starts_with(&BUNDLE) || path.extension().is_some_and(|e| e == "bundle" || e == "backup") {
        let header = crate::bundle::seen(&bytes).with_context(|| path.display().to_string())?;
        bundle::lines(path, bytes.len(), &header).into_iter().for_each(|line| ui.say(line));
        ui.json(&bundle::json(path, bytes.len(), &header));
        return Ok(ExitCode::SUCCESS);
    }
    let model = file::decode(&bytes).map_err(|why| file::neither(path, &why))?;
    match Metadata::of(&model) {
        Err(MetadataError::Missing) => show_float(path, &model, ui)?,
        metadata => {
            let named = || format!("in {}", path.display());
            let metadata = metadata.with_context(named)?;
            let lowered = lower::lower_named(&model).with_context(named)?;
            show(path, &lowered.plan, Some((&metadata, &lowered.names)), ui)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A plan; with the metadata and the names of the nodes where it was lowered from an int8 ONNX just now.
fn show(path: &Path, plan: &[u8], onnx: Option<(&Metadata, &[String])>, ui: &Ui) -> anyhow::Result<()> {
    let summary = Summary::of(plan, onnx.map(|(_, names)| names))?;
    let metadata = onnx.map(|(metadata, _)| metadata);
    let parsed = Plan::parse(plan)?;
    let info = parsed.info().clone();
    ui.say(headline(path, &info, &summary));
    ui.say(sizes(&summary));
    if summary.task == Task::Embedding {
        thresholds::lines(parsed.thresholds()).into_iter().for_each(|line| ui.say(line));
    }
    metadata.map(carried::of_int8).into_iter().flatten().for_each(|line| ui.say(line));
    ui.say(format!("  embedding id {}", hex(&info.embedding_id)));
    let estimates = estimates(plan)?;
    chips::lines(&estimates).into_iter().for_each(|line| ui.say(line));
    ui.say(format!("\n{}", layer_table(&summary).trim_end()));
    if let Some(note) = off_lattice_note(&summary) {
        ui.say(note);
    }
    ui.json(&json!({
        "file": path,
        "kind": if metadata.is_some() { "int8 onnx" } else { "plan" },
        "width": info.width,
        "height": info.height,
        "channels": info.order.channels(),
        "dimension": info.dimension,
        "aligned": info.template.is_some(),
        "embedding_id": hex(&info.embedding_id),
        "thresholds": parsed.thresholds().map(thresholds::json),
        "metadata": metadata,
        "summary": summary,
        "chips": estimates,
        "chips_allow": { "ram": FIRMWARE_RAM },
    }));
    Ok(())
}

/// A float model: what its graph states, nothing computed.
fn show_float(path: &Path, model: &ModelProto, ui: &Ui) -> anyhow::Result<()> {
    let graph = model.graph.as_ref().context("the model holds no graph")?;
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for node in &graph.node {
        *counts.entry(&node.op_type).or_default() += 1;
    }
    let parameters: u64 =
        graph.initializer.iter().map(|t| t.dims.iter().map(|&d| d.max(0) as u64).product::<u64>()).sum();
    let input = FloatInput::of(model)?;
    ui.say(format!(
        "{}: float ONNX, {} nodes, {} constants in {} tensors",
        path.display(),
        thousands(graph.node.len() as u64),
        thousands(parameters),
        thousands(graph.initializer.len() as u64)
    ));
    for (operator, count) in &counts {
        ui.say(format!("  {count:>4}  {operator}"));
    }
    let origin = Origin::of(model, &path.file_name().unwrap_or_default().to_string_lossy());
    carried::of_float(input.as_ref(), &origin).into_iter().for_each(|line| ui.say(line));
    ui.json(&json!({
        "file": path,
        "kind": "float onnx",
        "nodes": graph.node.len(),
        "constants": parameters,
        "operators": counts,
        "input": input,
        "licence": origin.licence,
        "source": origin.source,
    }));
    Ok(())
}

/// One line: what the model is.
pub(super) fn headline(path: &Path, info: &ModelInfo, summary: &Summary) -> String {
    let colours = match info.order {
        ChannelOrder::Grey => "grey",
        ChannelOrder::Rgb => "RGB",
        ChannelOrder::Bgr => "BGR",
    };
    let what = match summary.task {
        Task::Embedding => format!("{}-dimensional int8 embedding", info.dimension),
        Task::Detection => "int8 face detector".into(),
    };
    let pictures = match (summary.task, &info.template) {
        (Task::Detection, _) => "padded pictures",
        (Task::Embedding, Some(_)) => "aligned faces",
        (Task::Embedding, None) => "framed pictures",
    };
    let (path, macs) = (path.display(), summary.macs as f64 / 1e6);
    let (width, height) = (info.width, info.height);
    let cores = match summary.target {
        Target::Portable => String::new(),
        other => format!(", laid out for {} cores", other.name()),
    };
    format!(
        "{path}: {what}, input {width}x{height} {colours} ({pictures}), {macs:.1} M multiply-accumulates{cores}"
    )
}

/// One line: flash and RAM, in bytes.
pub(super) fn sizes(summary: &Summary) -> String {
    format!(
        "  flash {} bytes (weights {}, other {})   RAM {} bytes arena + {} bytes crop",
        thousands(summary.flash_bytes as u64),
        thousands(summary.weight_bytes as u64),
        thousands(summary.other_bytes as u64),
        thousands(summary.arena_bytes as u64),
        thousands(summary.crop_bytes as u64)
    )
}

/// Which layers only tract computes so.
pub(super) fn off_lattice_note(summary: &Summary) -> Option<String> {
    (summary.off_lattice_layers > 0).then(|| {
        format!(
            "  {} of {} layers have scales off the lattice: they follow tract's own rule, which is slower on a core \
             without floating point, and onnxruntime may differ there",
            summary.off_lattice_layers,
            summary.layers.len()
        )
    })
}

/// A row for every layer.
pub(super) fn layer_table(summary: &Summary) -> String {
    let header = ["layer", "operation", "output", "MACs", "weights", "requantization"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for layer in &summary.layers {
        let [height, width, channels] = layer.output;
        let mark = if layer.off_lattice { " *" } else { "" };
        rows.push(vec![
            layer.name.clone(),
            layer.operation.clone(),
            format!("{height}x{width}x{channels}"),
            thousands(layer.macs),
            thousands(layer.weight_bytes as u64),
            format!("{}{mark}", layer.requantization),
        ]);
    }
    table(&rows)
}
