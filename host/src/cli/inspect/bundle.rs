//! A bundle, as far as it can be seen without its key.

use std::path::Path;

use arcgate_firmware::bundle::{Header, Kind};
use arcgate_firmware::update::UpdateKey;
use serde_json::{Value, json};

use super::DEVELOPMENT;
use crate::onnx::metadata::hex;
use crate::ui::thousands;

/// In lines for people.
pub fn lines(path: &Path, bytes: usize, header: &Header) -> Vec<String> {
    let (kind, version) = match header.kind {
        Kind::Enrolment => ("people to enrol", format!("version {}", header.version)),
        Kind::Backup => ("backup", format!("after {} operations", thousands(header.version.into()))),
    };
    let mut lines = vec![format!(
        "{}: bundle, {kind}, {version}, {} people in {} records, {} bytes",
        path.display(),
        thousands(header.people.into()),
        thousands(header.records.into()),
        thousands(bytes as u64)
    )];
    match header.kind {
        Kind::Enrolment => lines.push(format!("  signed with {}", hex(&header.origin.signer))),
        Kind::Backup => {
            lines.push("  signed by its device, inside (`arcgate gallery restore` says whose it is)".into())
        }
    }
    if is_development(header) {
        lines.push(DEVELOPMENT.into());
    }
    lines.push(format!("  embedding id {}, {} values", hex(&header.embedding_id), header.dimension));
    lines.push("  who is in it can be read only with the device's key".into());
    lines
}

/// For scripts.
pub fn json(path: &Path, bytes: usize, header: &Header) -> Value {
    let enrolment = header.kind == Kind::Enrolment;
    json!({
        "file": path,
        "kind": if enrolment { "enrolment bundle" } else { "backup bundle" },
        "version": enrolment.then_some(header.version),
        "operation": (!enrolment).then_some(header.version),
        "people": header.people,
        "records": header.records,
        "bytes": bytes,
        "signer": enrolment.then(|| hex(&header.origin.signer)),
        "development": enrolment.then(|| is_development(header)),
        "dimension": header.dimension,
        "embedding_id": hex(&header.embedding_id),
    })
}

fn is_development(header: &Header) -> bool {
    UpdateKey(header.origin.signer) == UpdateKey::DEVELOPMENT
}
