//! A model image: what it says of itself, and its plans.

use std::path::Path;

use arcgate_firmware::engine::plan::Plan;
use serde_json::{Value, json};

use super::{DEVELOPMENT, headline, sizes};
use crate::lower::Summary;
use crate::onnx::metadata::hex;
use crate::ui::thousands;
use crate::update::Checked;

/// In lines for people.
///
/// # Errors
/// When a plan is none, which checking excludes.
pub fn lines(path: &Path, image: &[u8], checked: &Checked<'_>) -> anyhow::Result<Vec<String>> {
    let Checked { header, is_development, .. } = checked;
    let mut lines = vec![
        format!(
            "{}: model image, version {}, {} bytes",
            path.display(),
            header.version,
            thousands(image.len() as u64)
        ),
        format!("  signed with {}", hex(&header.signer)),
    ];
    if *is_development {
        lines.push(DEVELOPMENT.into());
    }
    for (name, plan) in plans(checked) {
        let summary = Summary::of(plan, None)?;
        lines.push(headline(Path::new(name), Plan::parse(plan)?.info(), &summary));
        lines.push(sizes(&summary));
    }
    lines.push(format!("  embedding id {}", hex(&header.embedding_id)));
    let maps = if header.detector > 0 { " and the detector's maps" } else { "" };
    lines.push(format!("  self-test: {} crops give the embeddings{maps} that it states", header.vectors));
    Ok(lines)
}

/// For scripts.
///
/// # Errors
/// As [`lines`].
pub fn json(path: &Path, image: &[u8], checked: &Checked<'_>) -> anyhow::Result<Value> {
    let Checked { header, is_development, .. } = checked;
    let mut said = json!({
        "file": path,
        "kind": "model image",
        "version": header.version,
        "bytes": image.len(),
        "signer": hex(&header.signer),
        "development": is_development,
        "embedding_id": hex(&header.embedding_id),
        "payload_sha256": hex(&header.payload_hash),
        "self_test": { "crops": header.vectors, "sha256": hex(&header.vectors_hash) },
    });
    for (name, plan) in plans(checked) {
        said[name] = serde_json::to_value(Summary::of(plan, None)?)?;
    }
    Ok(said)
}

fn plans<'i>(checked: &Checked<'i>) -> impl Iterator<Item = (&'static str, &'i [u8])> {
    let detector = checked.plans.detector.map(|plan| ("detector", plan));
    std::iter::once(("embedder", checked.plans.embedder)).chain(detector)
}
