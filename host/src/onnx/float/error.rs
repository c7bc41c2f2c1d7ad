//! What a float model can have that the importer does not take.

use tract_onnx::pb::NodeProto;

use crate::onnx::tensor::TensorError;

/// A node that cannot be taken, in the words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeError {
    /// The node's name; its output's where it has none.
    pub node: Box<str>,
    /// Its operator.
    pub op: Box<str>,
    /// What is the matter, with the value.
    pub problem: Box<str>,
    /// Tensors that go in.
    pub inputs: Box<[String]>,
    /// Tensors that come out.
    pub outputs: Box<[String]>,
    /// What would be taken.
    pub accepted: Box<str>,
}

impl NodeError {
    /// About `node`.
    pub fn new(node: &NodeProto, problem: impl Into<String>, accepted: impl Into<String>) -> Self {
        NodeError {
            node: display_name(node).into(),
            op: node.op_type.as_str().into(),
            problem: problem.into().into(),
            inputs: node.input.iter().filter(|s| !s.is_empty()).cloned().collect(),
            outputs: node.output.iter().filter(|s| !s.is_empty()).cloned().collect(),
            accepted: accepted.into().into(),
        }
    }
}

/// A node's name, or its first output's.
pub(super) fn display_name(node: &NodeProto) -> String {
    let unnamed = || node.output.first().cloned().unwrap_or_default();
    if node.name.is_empty() { unnamed() } else { node.name.clone() }
}

impl std::fmt::Display for NodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let quoted = |names: &[String]| {
            let names: Vec<String> = names.iter().map(|n| format!("{n:?}")).collect();
            if names.is_empty() { "nothing".into() } else { names.join(", ") }
        };
        writeln!(f, "node {:?} ({}): {}", self.node, self.op, self.problem)?;
        writeln!(f, "  between tensors {} and {}", quoted(&self.inputs), quoted(&self.outputs))?;
        write!(f, "  accepted: {}", self.accepted)
    }
}

/// Why a float model cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A node.
    #[error("{0}")]
    Node(Box<NodeError>),
    /// A constant.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The graph as a whole.
    #[error("{problem}\n  accepted: {accepted}")]
    Graph {
        /// What is the matter, with the value.
        problem: String,
        /// What would be taken.
        accepted: &'static str,
    },
}

impl From<NodeError> for ReadError {
    fn from(error: NodeError) -> Self {
        ReadError::Node(Box::new(error))
    }
}
