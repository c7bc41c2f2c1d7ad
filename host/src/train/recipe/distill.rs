//! What a recipe says of a teacher.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The `[distill]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistillConfig {
    /// The teacher, a float ONNX; relative paths are relative to the recipe.
    pub teacher: PathBuf,
    /// Share of the teacher in what is learnt, 0..=1.
    pub weight: f64,
    /// What `1 - cos` is multiplied with, so that it pulls about as hard as a loss over scaled logits does.
    #[serde(default = "sixteen")]
    pub scale: f64,
    /// Whether the teacher sees each crop as varied as the student does. If not, it sees each image once, as it is and before the
    /// training begins, and its word stands for all that becomes of the image: a fraction of the time. For folders.
    #[serde(default = "yes")]
    pub vary: bool,
    /// What the teacher's red, green and blue (or grey) have subtracted, 1 is the full range; not needed where the teacher says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f32>>,
    /// What they are then divided by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f32>>,
    /// "grey", "rgb" or "bgr"; what the teacher says, else rgb or grey, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
}

fn sixteen() -> f64 {
    16.0
}

fn yes() -> bool {
    true
}

impl DistillConfig {
    /// What is wrong with the values, and what would be accepted.
    pub(in crate::train) fn check(&self) -> Result<(), String> {
        for (name, value, low, high) in [("weight", self.weight, 0.0, 1.0), ("scale", self.scale, 1e-3, 1e3)]
        {
            if !(low..=high).contains(&value) {
                return Err(format!("distill.{name} = {value}\n  accepted: {low} to {high}"));
            }
        }
        Ok(())
    }
}
