//! An embedding's identity: two models with the same id give the same embedding for the same photograph.
//!
//! The id is a SHA-256 over a canonical form of the operators with their attributes, the constants (weights, scales,
//! zero points) and the preprocessing. Names, documentation, producer strings, thresholds, the calibration record, the
//! licence and the source are left out, and so is the way a constant is stored: galleries bind to this id, and none of those
//! moves an embedding.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, TensorProto, ValueInfoProto, type_proto};

use super::metadata::{Metadata, MetadataError, hex};
use super::tensor::{Tensor, Values};

/// The SHA-256 over graph, constants and preprocessing of an int8 model.
///
/// Of `metadata` it reads geometry, channel order, normalisation, template and dimension only.
pub fn embedding_id(model: &ModelProto, metadata: &Metadata) -> [u8; 32] {
    let mut hash = Canonical(Sha256::new());
    hash.text("arcgate embedding 1");
    hash.preprocessing(metadata);
    for set in &model.opset_import {
        hash.text(&set.domain);
        hash.int(set.version);
    }
    hash.graph(model.graph.as_ref().unwrap_or(&GraphProto::default()));
    hash.0.finalize().into()
}

impl Metadata {
    /// Holds the embedding id against the graph of `model`: whatever moves an embedding moves it, so damage shows.
    ///
    /// # Errors
    /// When they differ.
    pub fn check_identity(&self, model: &ModelProto) -> Result<(), MetadataError> {
        let found = hex(&embedding_id(model, self));
        if found == self.embedding_id {
            return Ok(());
        }
        let short = |id: &str| id.chars().take(16).collect();
        Err(MetadataError::Identity { stated: short(&self.embedding_id), found: short(&found) })
    }
}

/// A hash fed with values whose encoding cannot run into each other: fixed widths, and lengths before lists.
struct Canonical(Sha256);

impl Canonical {
    fn int(&mut self, value: i64) {
        self.0.update(value.to_le_bytes());
    }

    fn float(&mut self, value: f32) {
        self.0.update(value.to_bits().to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.int(bytes.len() as i64);
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn list<T>(&mut self, values: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.int(values.len() as i64);
        values.iter().for_each(|v| each(self, v));
    }

    fn preprocessing(&mut self, metadata: &Metadata) {
        self.int(metadata.width as i64);
        self.int(metadata.height as i64);
        self.text(&metadata.order);
        self.list(&metadata.mean, |h, &v| h.float(v));
        self.list(&metadata.std, |h, &v| h.float(v));
        let points: Vec<f32> = metadata.template.iter().flatten().flatten().copied().collect();
        self.list(&points, |h, &v| h.float(v));
        self.int(metadata.dimension as i64);
    }

    /// Tensors are numbered as they come (inputs, then nodes' outputs), constants stand where they are used.
    fn graph(&mut self, graph: &GraphProto) {
        let constants: HashMap<&str, &TensorProto> =
            graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect();
        let mut numbers: HashMap<&str, i64> = HashMap::new();
        let inputs: Vec<_> =
            graph.input.iter().filter(|i| !constants.contains_key(i.name.as_str())).collect();
        self.list(&inputs, |h, input| h.value_type(input));
        for input in inputs {
            let next = numbers.len() as i64;
            numbers.insert(&input.name, next);
        }
        self.int(graph.node.len() as i64);
        for node in &graph.node {
            self.text(&node.domain);
            self.text(&node.op_type);
            self.list(&node.input, |h, name| {
                match (constants.get(name.as_str()), numbers.get(name.as_str())) {
                    (Some(constant), _) => h.constant(constant),
                    (None, Some(&number)) => h.int(number),
                    // Left out, or (in a damaged model) made by nobody: only the name tells it from others.
                    (None, None) => {
                        h.int(-1);
                        h.text(name);
                    }
                }
            });
            let mut attributes: Vec<&AttributeProto> = node.attribute.iter().collect();
            attributes.sort_by_key(|a| &a.name);
            self.list(&attributes, |h, a| h.attribute(a));
            self.int(node.output.len() as i64);
            for output in &node.output {
                let next = numbers.len() as i64;
                numbers.insert(output, next);
            }
        }
        self.list(&graph.output, |h, output| {
            h.int(numbers.get(output.name.as_str()).copied().unwrap_or(-1));
            h.value_type(output);
        });
    }

    fn value_type(&mut self, value: &ValueInfoProto) {
        let Some(type_proto::Value::TensorType(tensor)) =
            value.r#type.as_ref().and_then(|t| t.value.as_ref())
        else {
            return self.int(-1);
        };
        self.int(tensor.elem_type as i64);
        let dims = tensor.shape.as_ref().map(|s| s.dim.as_slice()).unwrap_or_default();
        self.list(dims, |h, dim| match &dim.value {
            Some(tract_onnx::pb::tensor_shape_proto::dimension::Value::DimValue(d)) => h.int(*d),
            _ => h.int(-1),
        });
    }

    fn constant(&mut self, proto: &TensorProto) {
        self.int(-2);
        self.int(proto.data_type as i64);
        self.list(&proto.dims, |h, &d| h.int(d));
        match Tensor::of(proto).map(|t| t.values) {
            Ok(Values::F32(values)) => self.list(&values, |h, &v| h.float(v)),
            Ok(Values::I64(values)) => self.list(&values, |h, &v| h.int(v)),
            Ok(Values::I8(values)) => self.list(&values, |h, &v| h.0.update([v as u8])),
            // A type that no arcgate model has: as it is stored.
            Err(_) => self.bytes(&proto.raw_data),
        }
    }

    fn attribute(&mut self, attribute: &AttributeProto) {
        self.text(&attribute.name);
        self.int(attribute.r#type as i64);
        self.int(attribute.i);
        self.float(attribute.f);
        self.bytes(&attribute.s);
        self.list(&attribute.ints, |h, &v| h.int(v));
        self.list(&attribute.floats, |h, &v| h.float(v));
        self.list(&attribute.strings, |h, s| h.bytes(s));
        match &attribute.t {
            Some(tensor) => self.constant(tensor),
            None => self.int(-1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::{GraphBuilder, ints, value};
    use crate::onnx::metadata::{Calibration, FACE_TEMPLATE_112, VERSION};
    use crate::onnx::thresholds::Thresholds;
    use tract_onnx::pb::tensor_proto::DataType;

    fn model(prefix: &str, weights: &[i8], pads: &[i64]) -> ModelProto {
        let mut g = GraphBuilder::new();
        let name = |s: &str| format!("{prefix}{s}");
        g.i8s(&name("w"), &[2, 2], weights);
        g.f32s(&name("s"), &[], &[0.5]);
        g.node("QLinearConv", &[&name("x"), &name("s"), &name("w")], &name("y"), vec![ints("pads", pads)]);
        let input = value(&name("x"), DataType::Uint8, &[1, 3, 2, 2]);
        g.finish("g", vec![input], vec![value(&name("y"), DataType::Int8, &[1, 2])])
    }

    fn metadata() -> Metadata {
        Metadata {
            version: VERSION,
            task: arcgate_firmware::model::Task::Embedding,
            width: 2,
            height: 2,
            order: "rgb".into(),
            mean: vec![0.5; 3],
            std: vec![0.25; 3],
            template: Some(FACE_TEMPLATE_112),
            dimension: 2,
            embedding_id: String::new(),
            source: "a.onnx".into(),
            licence: None,
            calibration: None,
            thresholds: None,
        }
    }

    #[test]
    fn what_moves_no_embedding_moves_no_id() {
        let model_a = model("a", &[1, 2, 3, 4], &[1, 1, 1, 1]);
        let id = embedding_id(&model_a, &metadata());
        let calibrated = Metadata {
            embedding_id: "ff".into(),
            source: "elsewhere".into(),
            licence: Some("MIT".into()),
            calibration: Some(Calibration { images: 3, sha256: "00".into() }),
            thresholds: Some(Thresholds {
                identities: 2,
                images: 2,
                frames: 1,
                templates: 1,
                overlap: 0,
                seed: 1,
                cells: vec![],
            }),
            ..metadata()
        };
        assert_eq!(id, embedding_id(&model_a, &calibrated));
        let mut renamed = model("b", &[1, 2, 3, 4], &[1, 1, 1, 1]);
        renamed.producer_name = "someone".into();
        calibrated.store(&mut renamed);
        // The same weights in the other field that ONNX has for them.
        let weights = &mut renamed.graph.as_mut().unwrap().initializer[0];
        weights.raw_data.clear();
        weights.int32_data = vec![1, 2, 3, 4];
        assert_eq!(id, embedding_id(&renamed, &metadata()));
    }

    #[test]
    fn whatever_moves_an_embedding_moves_the_id() {
        let id = embedding_id(&model("a", &[1, 2, 3, 4], &[1, 1, 1, 1]), &metadata());
        let mut seen = vec![id];
        seen.push(embedding_id(&model("a", &[1, 2, 3, 5], &[1, 1, 1, 1]), &metadata()));
        seen.push(embedding_id(&model("a", &[1, 2, 3, 4], &[1, 1, 0, 1]), &metadata()));
        let same = model("a", &[1, 2, 3, 4], &[1, 1, 1, 1]);
        let mut scaled = same.clone();
        scaled.graph.as_mut().unwrap().initializer[1].raw_data = 0.500_000_06f32.to_le_bytes().to_vec();
        seen.push(embedding_id(&scaled, &metadata()));
        let mut other_op = same.clone();
        other_op.graph.as_mut().unwrap().node[0].op_type = "QLinearMatMul".into();
        seen.push(embedding_id(&other_op, &metadata()));
        for change in [
            (|m: &mut Metadata| m.order = "bgr".into()) as fn(&mut Metadata),
            |m| m.mean[1] = 0.4,
            |m| m.std[2] = 0.2,
            |m| m.template = None,
            |m| m.template.as_mut().unwrap()[4][1] += 1.0,
            |m| m.width = 3,
        ] {
            let mut changed = metadata();
            change(&mut changed);
            seen.push(embedding_id(&same, &changed));
        }
        for (i, a) in seen.iter().enumerate() {
            assert!(!seen[..i].contains(a), "case {i} has an id that was there before");
        }
    }
}
