//! Texts by key beside an ONNX model's graph (`metadata_props`).

use tract_onnx::pb::{ModelProto, StringStringEntryProto};

/// What `model` carries under `key`.
pub(crate) fn property<'m>(model: &'m ModelProto, key: &str) -> Option<&'m str> {
    model.metadata_props.iter().find(|p| p.key == key).map(|p| p.value.as_str())
}

/// Writes `value` under `key`, in the place of an earlier one.
pub(crate) fn set_property(model: &mut ModelProto, key: &str, value: String) {
    model.metadata_props.retain(|p| p.key != key);
    model.metadata_props.push(StringStringEntryProto { key: key.into(), value });
}
