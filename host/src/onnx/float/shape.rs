//! Arithmetic on shapes that exporters leave in a graph with a dynamic batch: it is constant once the batch is one.

use tract_onnx::pb::NodeProto;

use super::error::NodeError;
use super::windows::Attributes;
use crate::onnx::tensor::{Tensor, Values};

/// What a node that only moves integers makes of constant inputs; `None` for any other operator.
///
/// Concat, Gather, Unsqueeze, Squeeze, Slice and Cast are known, along the only axis that a list of sizes has.
pub(super) fn fold(node: &NodeProto, inputs: &[Tensor]) -> Result<Option<Tensor>, NodeError> {
    let refuse = |problem: &str| {
        Err(NodeError::new(node, problem, "scalars and lists of integers, indices within the list"))
    };
    let mut lists: Vec<&[i64]> = Vec::new();
    for input in inputs {
        match input.i64s() {
            Some(values) if input.dims.len() <= 1 => lists.push(values),
            _ => return refuse("arithmetic on constants that are no list of integers"),
        }
    }
    let vector = |values: Vec<i64>| Tensor { dims: vec![values.len()], values: Values::I64(values) };
    let scalar = |value: i64| Tensor { dims: vec![], values: Values::I64(vec![value]) };
    let folded = match (node.op_type.as_str(), lists.as_slice()) {
        ("Concat", lists) => {
            Attributes::of(node, &["axis"])?;
            vector(lists.concat())
        }
        ("Gather", [data, indices]) => {
            Attributes::of(node, &["axis"])?.must_be("axis", 0)?;
            let at = |&i: &i64| {
                let i = if i < 0 { i.checked_add(data.len() as i64)? } else { i };
                data.get(usize::try_from(i).ok()?).copied()
            };
            let Some(values) = indices.iter().map(at).collect::<Option<Vec<i64>>>() else {
                return refuse("an index beyond the list");
            };
            if inputs[1].dims.is_empty() {
                scalar(values.first().copied().unwrap_or(0))
            } else {
                vector(values)
            }
        }
        ("Unsqueeze", [data] | [data, _]) if inputs[0].dims.is_empty() => vector(data.to_vec()),
        ("Squeeze", [data] | [data, _]) if data.len() == 1 => scalar(data[0]),
        ("Cast", [_]) => inputs[0].clone(),
        ("Slice", [data, start, end] | [data, start, end, _]) if start.len() == 1 && end.len() == 1 => {
            let length = data.len() as i64;
            let clamp = |i: i64| (if i < 0 { i.saturating_add(length) } else { i }).clamp(0, length) as usize;
            let (start, end) = (clamp(start[0]), clamp(end[0]));
            vector(data.get(start..end).unwrap_or_default().to_vec())
        }
        _ => return Ok(None),
    };
    Ok(Some(folded))
}
