//! What an int8 ONNX carries beside its graph: one JSON object under the key `arcgate`.

use arcgate_firmware::model::{ChannelOrder, ModelInfo, Task};
use serde::{Deserialize, Serialize};
use tract_onnx::pb::ModelProto;

use super::origin::{self, OriginError};
use super::property::{property, set_property};
use super::thresholds::{Thresholds, ThresholdsError};
use super::value::ValueError;

/// The `metadata_props` key that holds [`Metadata`] as JSON.
pub const KEY: &str = "arcgate";

/// The `metadata_props` key that holds [`FloatInput`] as JSON in the float models that `arcgate train` writes.
pub const FLOAT_INPUT_KEY: &str = "arcgate-input";

/// The version of [`Metadata`] that this program writes. It reads version 1 as a model whose thresholds are yet to be measured:
/// those had one angle for galleries of every size.
pub const VERSION: u32 = 2;

/// The five points of the common 112x112 face template, in pixels.
pub const FACE_TEMPLATE_112: [[f32; 2]; 5] =
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]];

/// [`FACE_TEMPLATE_112`] for another input: scaled to its height and centred from left to right, so that 112 rows by 96
/// columns get the template that is common for them.
pub fn face_template(width: usize, height: usize) -> [[f32; 2]; 5] {
    let scale = height as f32 / 112.0;
    // Pixel centres are whole numbers: a picture's edge lies half a pixel before the first.
    let middle = width as f32 / 2.0;
    FACE_TEMPLATE_112.map(|[x, y]| [(x - 55.5) * scale + middle - 0.5, (y + 0.5) * scale - 0.5])
}

/// The template that a float model without metadata is taken to have: [`face_template`] for three channels of 112x112 or of the
/// shape of 112 rows by 96 columns, none otherwise.
pub fn template_by_shape(channels: usize, width: usize, height: usize) -> Option<[[f32; 2]; 5]> {
    let faces = channels == 3 && ((width, height) == (112, 112) || width * 112 == height * 96);
    faces.then(|| face_template(width, height))
}

/// Everything a device needs besides the graph. Field names are the JSON names; unknown ones are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// [`VERSION`].
    pub version: u32,
    /// What the model is for; an embedder's may leave it out.
    #[serde(default)]
    pub task: Task,
    /// Columns of the input.
    pub width: u16,
    /// Rows of the input.
    pub height: u16,
    /// "grey", "rgb" or "bgr": the order of the input planes.
    pub order: String,
    /// What was subtracted, in units of the full pixel range 0..1, one value a plane, in the order of the planes.
    pub mean: Vec<f32>,
    /// What it was divided by, in the same units.
    pub std: Vec<f32>,
    /// Where the five landmarks lie in the input, in pixels; absent for a model of framed pictures.
    pub template: Option<[[f32; 2]; 5]>,
    /// Length of the embedding; 0 for a detector.
    pub dimension: u16,
    /// SHA-256 in hexadecimal over graph, weights, scales and preprocessing.
    pub embedding_id: String,
    /// What the float model was and where it came from, for people; see [`origin`](super::origin).
    pub source: String,
    /// The terms of the model's use: a name, an SPDX expression or a URL. Absent where nobody stated them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// The images that the ranges were measured on.
    pub calibration: Option<Calibration>,
    /// The thresholds by people enrolled and false-positive identification rate, where `arcgate calibrate` measured them.
    pub thresholds: Option<Thresholds>,
}

/// What a float model that `arcgate train` wrote says of its input, so that `import` needs no flags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FloatInput {
    /// "grey", "rgb" or "bgr".
    pub order: String,
    /// As in [`Metadata::mean`].
    pub mean: Vec<f32>,
    /// As in [`Metadata::std`].
    pub std: Vec<f32>,
    /// As in [`Metadata::template`].
    pub template: Option<[[f32; 2]; 5]>,
}

impl FloatInput {
    /// What `model` says; `None` when it says nothing.
    ///
    /// # Errors
    /// When what it says is not that JSON object.
    pub fn of(model: &ModelProto) -> Result<Option<Self>, MetadataError> {
        let parse = |text: &str| serde_json::from_str(text).map_err(|e| MetadataError::Json(e.to_string()));
        property(model, FLOAT_INPUT_KEY).map(parse).transpose()
    }

    /// Writes it into `model`, in the place of an earlier one.
    pub fn store(&self, model: &mut ModelProto) {
        set_property(model, FLOAT_INPUT_KEY, to_json(self));
    }
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain fields and string keys always serialize")
}

/// The images that the ranges were measured on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// How many.
    pub images: u32,
    /// SHA-256 in hexadecimal over their crops, in order.
    pub sha256: String,
}

/// What is wrong with a model's metadata.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetadataError {
    /// There is none.
    #[error("the model carries no arcgate metadata\n  accepted: int8 models written by `arcgate import`")]
    Missing,
    /// It is not the JSON object that it should be.
    #[error("the model's arcgate metadata cannot be read: {0}")]
    Json(String),
    /// Another version.
    #[error("the model's arcgate metadata is version {0}, this program reads version {VERSION}")]
    Version(u32),
    /// Its licence or its source is not one that can be shown.
    #[error("the model's arcgate metadata: {0}")]
    Origin(#[from] OriginError),
    /// Its thresholds are no table.
    #[error("the model's arcgate metadata: {0}")]
    Thresholds(#[from] ThresholdsError),
    /// The graph or its constants changed after the metadata was written.
    #[error(
        "the model is damaged, or was changed after `arcgate import` wrote it: its metadata has the embedding id {stated}, its \
         graph {found}\n  accepted: the file as it was written; a changed model must be imported again"
    )]
    Identity {
        /// In the metadata, its first eight bytes.
        stated: String,
        /// Of the graph.
        found: String,
    },
    /// A field has a value that it cannot have.
    #[error("the model's arcgate metadata has {0}")]
    Value(#[from] ValueError),
}

impl Metadata {
    /// What `model` carries.
    ///
    /// # Errors
    /// When it carries none, or something else under [`KEY`], or another version, or strings that cannot be shown,
    /// or a table of thresholds with values that it cannot have.
    pub fn of(model: &ModelProto) -> Result<Self, MetadataError> {
        let text = property(model, KEY).ok_or(MetadataError::Missing)?;
        let json = |e: serde_json::Error| MetadataError::Json(e.to_string());
        let mut value: serde_json::Value = serde_json::from_str(text).map_err(json)?;
        if let Some(fields) = value.as_object_mut().filter(|fields| fields.get("version") == Some(&1.into()))
        {
            fields.insert("version".into(), VERSION.into());
            ["threshold", "threshold_table"].iter().for_each(|&old| drop(fields.remove(old)));
        }
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(v) if v != VERSION as u64 => Err(MetadataError::Version(v as u32)),
            _ => serde_json::from_value::<Self>(value).map_err(json)?.checked(),
        }
    }

    /// Itself, if it can be shown and used: a file from elsewhere may say anything.
    fn checked(self) -> Result<Self, MetadataError> {
        if let Some(licence) = &self.licence {
            origin::check("licence", licence)?;
        }
        if !self.source.is_empty() {
            origin::check("source", &self.source)?;
        }
        self.thresholds.iter().try_for_each(Thresholds::check)?;
        Ok(self)
    }

    /// Writes it into `model`, in the place of an earlier one.
    pub fn store(&self, model: &mut ModelProto) {
        set_property(model, KEY, to_json(self));
    }

    /// The form that devices carry.
    ///
    /// # Errors
    /// When a field has a value that it cannot have.
    pub fn model_info(&self) -> Result<ModelInfo, MetadataError> {
        let field =
            |field, value: String, accepted| MetadataError::Value(ValueError { field, value, accepted });
        let order = match self.order.as_str() {
            "grey" => ChannelOrder::Grey,
            "rgb" => ChannelOrder::Rgb,
            "bgr" => ChannelOrder::Bgr,
            other => return Err(field("order", format!("{other:?}"), "\"grey\", \"rgb\" or \"bgr\"")),
        };
        if self.width == 0 || self.height == 0 {
            return Err(field("width, height", format!("{}x{}", self.width, self.height), "at least 1x1"));
        }
        let longest = arcgate_firmware::embedding::MAX_DIMENSION;
        match self.task {
            Task::Embedding if self.dimension == 0 || self.dimension as usize > longest => {
                return Err(field("dimension", self.dimension.to_string(), "1 to 512"));
            }
            Task::Detection if self.dimension != 0 => {
                return Err(field("dimension", self.dimension.to_string(), "0 for a detector"));
            }
            _ => {}
        }
        let embedding_id = decode_id(&self.embedding_id)
            .ok_or_else(|| field("embedding_id", self.embedding_id.clone(), "64 hexadecimal digits"))?;
        let template = self.template.map(|points| points.map(nalgebra::Point2::from));
        let (width, height, dimension) = (self.width, self.height, self.dimension);
        Ok(ModelInfo { width, height, order, template, dimension, embedding_id })
    }
}

/// 64 hexadecimal digits to 32 bytes.
fn decode_id(hex: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = hex.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As programs wrote it before a licence had a place.
    const OLD: &str = r#"{"version":1,"width":8,"height":8,"order":"grey","mean":[0.5],"std":[0.25],"template":null,
        "dimension":4,"embedding_id":"00","source":"old.onnx","calibration":null,"threshold":null}"#;

    fn read(text: &str) -> Result<Metadata, MetadataError> {
        let mut model = ModelProto::default();
        set_property(&mut model, KEY, text.to_owned());
        Metadata::of(&model)
    }

    #[test]
    fn models_of_before_read_as_they_were() {
        let old = read(OLD).unwrap();
        assert_eq!((old.source.as_str(), &old.licence), ("old.onnx", &None));
        assert!(!to_json(&old).contains("licence") && old.thresholds.is_none() && old.version == VERSION);
    }

    #[test]
    fn strings_that_cannot_be_shown_are_refused() {
        let with = |source: &str| read(&OLD.replace("\"old.onnx\"", source)).map_err(|e| e.to_string());
        let licensed = with(r#""old.onnx","licence":"CC-BY-4.0""#).unwrap();
        assert_eq!(licensed.licence.as_deref(), Some("CC-BY-4.0"));
        let refused = with(r#""old.onnx","licence":"\u001b[2J""#).unwrap_err();
        assert!(refused.contains("metadata: the licence has the control character U+001B at 1"), "{refused}");
        assert!(with(r#""\u0007""#).unwrap_err().contains("the source has"));
        assert!(with(r#""a","license":"MIT""#).unwrap_err().contains("unknown field `license`"));
    }
}
