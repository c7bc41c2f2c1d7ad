//! What `arcgate import` says of what it made.

use std::path::Path;

use anyhow::Context;
use serde_json::json;

use super::calibration::Calibration;
use crate::disk;
use crate::eval::detection::Comparison;
use crate::quantize::{Blame, Imported};
use crate::report::colours;
use crate::report::curve::{Panel, stacked};
use crate::ui::{Ui, table, thousands};

/// What each layer does by itself: a table, and beside the model as JSON and as a plot.
pub fn layers(ui: &Ui, blame: &[Blame], output: &Path) -> anyhow::Result<()> {
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
    let cannot = |path: &Path| format!("cannot write {}", path.display());
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

/// What came out.
pub fn say(
    ui: &Ui,
    imported: &Imported,
    calibration: &Calibration,
    detections: Option<&Comparison>,
    output: &Path,
) {
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
    let (what, pictures) = match (detections, metadata.template) {
        (Some(_), _) => ("int8 face detector".into(), "padded pictures"),
        (None, Some(_)) => {
            (format!("{}-dimensional int8 embedding", metadata.dimension), "faces aligned by five points")
        }
        (None, None) => (format!("{}-dimensional int8 embedding", metadata.dimension), "whole pictures"),
    };
    let (width, height, order) = (metadata.width, metadata.height, &metadata.order);
    ui.say(format!("{}: {what}, input {width}x{height} {order}, {pictures}", output.display()));
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
        "  float and int8 {} on {} images: mean angle {:.1} degrees, worst {:.1} (cosine {:.4}, least {:.4})",
        if detections.is_some() { "maps" } else { "embeddings" },
        agreement.images,
        agreement.mean_degrees,
        agreement.greatest_degrees,
        agreement.mean_cosine,
        agreement.least_cosine,
    ));
    if let Some(detections) = detections {
        ui.say(format!("  {detections}"));
    }
    ui.say(format!(
        "  licence: {}   source: {}",
        metadata.licence.as_deref().unwrap_or("not stated"),
        metadata.source
    ));
    ui.say(format!("  embedding id {}", metadata.embedding_id));
    ui.say(match detections {
        Some(_) => format!("next: arcgate detect PHOTO --detector {}", output.display()),
        None => format!("next: arcgate calibrate {} --impostors DIR", output.display()),
    });
    ui.json(&json!({
        "model": output,
        "embedding_id": metadata.embedding_id,
        "dimension": metadata.dimension,
        "licence": metadata.licence,
        "source": metadata.source,
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
        "detections": detections,
        "report": imported.blame,
    }));
}
