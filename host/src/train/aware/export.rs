//! A fine-tuned network as float ONNX that carries its ranges.

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, tensor_proto::DataType};

use crate::onnx::build::{int, value};
use crate::onnx::float::{FloatGraph, tensor_name};
use crate::quantize::Ranges;
use crate::train::Recipe;

/// Writes `graph` with its layers' names and, for `import`, with `ranges`.
///
/// Input [1, planes, rows, columns], normalised as the recipe says; output "embedding" [1, d], not of unit length.
pub(super) fn export(graph: &FloatGraph, ranges: &Ranges, recipe: &Recipe) -> ModelProto {
    let mut model = graph.to_onnx(&graph.outputs);
    if let Some(onnx) = &mut model.graph {
        onnx.name.clone_from(&recipe.name);
        name_layers(onnx, graph);
        flatten(onnx, graph.dimension());
    }
    recipe.float_input().store(&mut model);
    let read = FloatGraph::read(&model).expect("what was read once is read again");
    assert_eq!(read.layers.len(), graph.layers.len(), "every layer comes back as itself");
    ranges.store(&mut model, &read);
    model
}

/// Calls the first node of each layer what the layer is called.
fn name_layers(onnx: &mut GraphProto, graph: &FloatGraph) {
    for layer in &graph.layers {
        let output = tensor_name(layer.output);
        let uncut = format!("{output}_raw");
        let made = |node: &&mut NodeProto| [&output, &uncut].contains(&&node.output[0]);
        if let Some(node) = onnx.node.iter_mut().find(made) {
            node.name.clone_from(&layer.name);
        }
    }
}

/// Ends `onnx` with the embedding as [1, d].
fn flatten(onnx: &mut GraphProto, dimension: usize) {
    let embedding = value("embedding", DataType::Float, &[1, dimension]);
    let last = std::mem::replace(&mut onnx.output, vec![embedding]);
    onnx.node.push(NodeProto {
        op_type: "Flatten".into(),
        name: "embedding".into(),
        input: last.into_iter().map(|value| value.name).collect(),
        output: vec!["embedding".into()],
        attribute: vec![int("axis", 1)],
        ..Default::default()
    });
}
