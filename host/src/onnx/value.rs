//! A value that a field of a model's metadata cannot have.

/// Which, and what the field could hold.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{field} = {value}\n  accepted: {accepted}")]
pub struct ValueError {
    /// The JSON name.
    pub field: &'static str,
    /// What it holds.
    pub value: String,
    /// What it could hold.
    pub accepted: &'static str,
}
