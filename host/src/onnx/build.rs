//! Small constructors for the protobuf types, and a graph under construction.

use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto,
    type_proto,
};

/// The ONNX operator set that arcgate writes.
pub const OPSET: i64 = 17;

/// A graph under construction: nodes in order, initializers beside them.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node named after its output, and returns the output's name.
    pub fn node(
        &mut self,
        op_type: &str,
        inputs: &[&str],
        output: &str,
        attributes: Vec<AttributeProto>,
    ) -> String {
        self.nodes.push(NodeProto {
            op_type: op_type.into(),
            name: output.into(),
            input: inputs.iter().map(|s| s.to_string()).collect(),
            output: vec![output.into()],
            attribute: attributes,
            ..Default::default()
        });
        output.into()
    }

    /// Adds an f32 constant; `shape` is empty for a true scalar.
    pub fn f32s(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        self.constant(name, DataType::Float, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// Adds an int8 constant.
    pub fn i8s(&mut self, name: &str, shape: &[usize], values: &[i8]) -> String {
        self.constant(name, DataType::Int8, shape, values.iter().map(|&v| v as u8).collect())
    }

    /// Adds an int32 constant.
    pub fn i32s(&mut self, name: &str, shape: &[usize], values: &[i32]) -> String {
        self.constant(name, DataType::Int32, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// Adds an int64 constant.
    pub fn i64s(&mut self, name: &str, shape: &[usize], values: &[i64]) -> String {
        self.constant(name, DataType::Int64, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    fn constant(&mut self, name: &str, data_type: DataType, shape: &[usize], raw_data: Vec<u8>) -> String {
        self.initializers.push(TensorProto {
            name: name.into(),
            data_type: data_type as i32,
            dims: shape.iter().map(|&d| d as i64).collect(),
            raw_data,
            ..Default::default()
        });
        name.into()
    }

    /// Closes the graph into a model of [`OPSET`] with the given inputs and outputs (see [`value`]).
    pub fn finish(self, name: &str, input: Vec<ValueInfoProto>, output: Vec<ValueInfoProto>) -> ModelProto {
        let graph = GraphProto {
            name: name.into(),
            node: self.nodes,
            initializer: self.initializers,
            input,
            output,
            ..Default::default()
        };
        ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            producer_name: "arcgate".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(graph),
            ..Default::default()
        }
    }
}

/// An integer attribute.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i: value, ..Default::default() }
}

/// A list of integers.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: values.to_vec(),
        ..Default::default()
    }
}

/// A text attribute.
pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::String as i32,
        s: value.as_bytes().to_vec(),
        ..Default::default()
    }
}

/// A float attribute.
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Float as i32, f: value, ..Default::default() }
}

/// A graph input or output of fixed shape.
pub fn value(name: &str, data_type: DataType, shape: &[usize]) -> ValueInfoProto {
    let dimension = |&d: &usize| tensor_shape_proto::Dimension {
        denotation: String::new(),
        value: Some(tensor_shape_proto::dimension::Value::DimValue(d as i64)),
    };
    let tensor = type_proto::Tensor {
        elem_type: data_type as i32,
        shape: Some(TensorShapeProto { dim: shape.iter().map(dimension).collect() }),
    };
    let r#type = TypeProto { denotation: String::new(), value: Some(type_proto::Value::TensorType(tensor)) };
    ValueInfoProto { name: name.into(), r#type: Some(r#type), ..Default::default() }
}
