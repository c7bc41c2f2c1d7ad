//! Constants out of their protobuf form, whichever of its fields they lie in.

use tract_onnx::pb::{TensorProto, tensor_proto::DataType};

/// The values of a constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// FLOAT, or DOUBLE rounded to it.
    F32(Vec<f32>),
    /// INT64, INT32 or BOOL.
    I64(Vec<i64>),
    /// INT8.
    I8(Vec<i8>),
}

/// A constant: its dimensions (none for a scalar) and values in row-major order, as many as the dimensions ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Length along each axis.
    pub dims: Vec<usize>,
    /// The values.
    pub values: Values,
}

/// Why a constant cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// A negative dimension, or more values than memory has room for.
    #[error("constant {name:?} has the dimensions {dims:?}")]
    Dims {
        /// The tensor.
        name: String,
        /// Its dimensions as they stand.
        dims: Vec<i64>,
    },
    /// The data is not as long as the dimensions ask for.
    #[error("constant {name:?} with the dimensions {dims:?} needs {expected} values, its data holds {found}")]
    Length {
        /// The tensor.
        name: String,
        /// Its dimensions.
        dims: Vec<i64>,
        /// Values that the dimensions ask for.
        expected: usize,
        /// Values in the data; a partial one counts as none.
        found: usize,
    },
    /// A type without use in an embedder.
    #[error(
        "constant {name:?} has the element type {found}; accepted: FLOAT, DOUBLE, INT8, INT32, INT64 and BOOL"
    )]
    Type {
        /// The tensor.
        name: String,
        /// Its type in ONNX's terms.
        found: String,
    },
    /// The data lies in another file.
    #[error("constant {name:?} keeps its data in another file; accepted: models in one file")]
    External {
        /// The tensor.
        name: String,
    },
}

impl Tensor {
    /// Reads a constant.
    ///
    /// # Errors
    /// When its type is not taken, or its data disagrees with its dimensions.
    pub fn of(proto: &TensorProto) -> Result<Self, TensorError> {
        let name = || proto.name.clone();
        if proto.data_location.is_some_and(|l| l != 0) || !proto.external_data.is_empty() {
            return Err(TensorError::External { name: name() });
        }
        let dims: Option<Vec<usize>> = proto.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        let volume = dims.as_ref().and_then(|d| d.iter().try_fold(1usize, |n, &d| n.checked_mul(d)));
        let (Some(dims), Some(expected)) = (dims, volume) else {
            return Err(TensorError::Dims { name: name(), dims: proto.dims.clone() });
        };
        let values = match DataType::try_from(proto.data_type) {
            Ok(DataType::Float) => Values::F32(raw_or(proto, &proto.float_data, f32::from_le_bytes)),
            Ok(DataType::Double) => Values::F32(
                raw_or(proto, &proto.double_data, f64::from_le_bytes).into_iter().map(|v| v as f32).collect(),
            ),
            Ok(DataType::Int64) => Values::I64(raw_or(proto, &proto.int64_data, i64::from_le_bytes)),
            Ok(DataType::Int32) => {
                let values = raw_or(proto, &proto.int32_data, i32::from_le_bytes);
                Values::I64(values.into_iter().map(i64::from).collect())
            }
            Ok(DataType::Bool) => Values::I64(bytes_or(proto).map(|v| (v != 0) as i64).collect()),
            Ok(DataType::Int8) => Values::I8(bytes_or(proto).collect()),
            Ok(other) => return Err(TensorError::Type { name: name(), found: other.as_str_name().into() }),
            Err(_) => return Err(TensorError::Type { name: name(), found: proto.data_type.to_string() }),
        };
        let tensor = Tensor { dims, values };
        if tensor.len() != expected {
            let (dims, found) = (proto.dims.clone(), tensor.len());
            return Err(TensorError::Length { name: name(), dims, expected, found });
        }
        Ok(tensor)
    }

    /// How many values.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::F32(v) => v.len(),
            Values::I64(v) => v.len(),
            Values::I8(v) => v.len(),
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values when they are real numbers.
    pub fn f32s(&self) -> Option<&[f32]> {
        if let Values::F32(v) = &self.values { Some(v) } else { None }
    }

    /// The values when they are integers.
    pub fn i64s(&self) -> Option<&[i64]> {
        if let Values::I64(v) = &self.values { Some(v) } else { None }
    }
}

/// The values in `raw_data`, or in the typed field when that is empty.
fn raw_or<T: Copy, const N: usize>(proto: &TensorProto, typed: &[T], read: fn([u8; N]) -> T) -> Vec<T> {
    if proto.raw_data.is_empty() {
        return typed.to_vec();
    }
    let (whole, rest) = proto.raw_data.as_chunks::<N>();
    // Data that ends within a value must not pass for the shorter tensor.
    if rest.is_empty() { whole.iter().map(|&b| read(b)).collect() } else { Vec::new() }
}

/// Values of one byte: in `raw_data`, or one to an `int32_data`.
fn bytes_or(proto: &TensorProto) -> Box<dyn Iterator<Item = i8> + '_> {
    if proto.raw_data.is_empty() {
        Box::new(proto.int32_data.iter().map(|&v| v as i8))
    } else {
        Box::new(proto.raw_data.iter().map(|&b| b as i8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proto(data_type: DataType, dims: &[i64]) -> TensorProto {
        TensorProto {
            name: "t".into(),
            data_type: data_type as i32,
            dims: dims.to_vec(),
            ..Default::default()
        }
    }

    #[test]
    fn raw_and_typed_data_are_the_same() {
        let raw = TensorProto {
            raw_data: [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect(),
            ..proto(DataType::Float, &[2, 1])
        };
        let typed = TensorProto { float_data: vec![1.5, -2.0], ..proto(DataType::Float, &[2, 1]) };
        assert_eq!(Tensor::of(&raw).unwrap(), Tensor::of(&typed).unwrap());
        let bytes = TensorProto { int32_data: vec![-3, 4], ..proto(DataType::Int8, &[2]) };
        assert_eq!(Tensor::of(&bytes).unwrap().values, Values::I8(vec![-3, 4]));
    }

    #[test]
    fn damage_is_named() {
        let cut = TensorProto { raw_data: vec![0; 7], ..proto(DataType::Float, &[2]) };
        assert!(matches!(Tensor::of(&cut), Err(TensorError::Length { expected: 2, found: 0, .. })));
        let negative = proto(DataType::Float, &[-1, 4]);
        assert!(matches!(Tensor::of(&negative), Err(TensorError::Dims { .. })));
        let huge = proto(DataType::Int8, &[i64::MAX, 4]);
        assert!(matches!(Tensor::of(&huge), Err(TensorError::Dims { .. })));
        let half = proto(DataType::Float16, &[]);
        let told = Tensor::of(&half).unwrap_err().to_string();
        assert!(told.starts_with("constant \"t\" has the element type FLOAT16; accepted:"), "{told}");
        let strange = TensorProto { data_type: 99, ..proto(DataType::Float, &[]) };
        assert!(matches!(Tensor::of(&strange), Err(TensorError::Type { .. })));
    }
}
