//! Weights by their path in the module, with their shapes, as a .safetensors file: nothing is folded, so a training can begin
//! from it exactly.

use std::collections::BTreeMap;

use burn::module::Module;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::state;

/// Shape and values, in row-major order, of each tensor.
pub type Weights = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Everything that `module` (from `valid()`, so that its statistics are complete) holds.
pub fn of<M: Module>(module: &M) -> Weights {
    state::shaped(module)
}

/// The bytes of a file; the same weights give the same bytes.
pub fn to_bytes(weights: &Weights) -> Vec<u8> {
    let bytes = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let owned: Vec<_> = weights.iter().map(|(name, (shape, v))| (name, shape.clone(), bytes(v))).collect();
    let views = owned.iter().map(|(name, shape, data)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), data).expect("as many values as the shape has");
        (name.as_str(), view)
    });
    safetensors::serialize(views, None).expect("names and shapes fit into a header")
}

/// The tensors of a file, all of them finite f32.
///
/// # Errors
/// What is wrong with it, in words.
pub fn from_bytes(bytes: &[u8]) -> Result<Weights, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|why| why.to_string())?;
    let mut weights = Weights::new();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(format!("tensor {name:?} is {}, not F32", view.dtype()));
        }
        let floats = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let values: Vec<f32> = floats.collect();
        if let Some(strange) = values.iter().find(|v| !v.is_finite()) {
            return Err(format!("tensor {name:?} holds {strange}"));
        }
        weights.insert(name.to_owned(), (view.shape().to_vec(), values));
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Weights {
        let matrix = (vec![2, 3], vec![1.0, -0.0, f32::MIN_POSITIVE, 4.0, 5.5, -6.0]);
        Weights::from([("a.matrix".into(), matrix), ("b".into(), (vec![1], vec![0.25]))])
    }

    #[test]
    fn comes_back_to_the_bit_from_bytes_that_are_the_same_each_time() {
        let bytes = to_bytes(&some());
        assert_eq!(bytes, to_bytes(&some()));
        let bits = |w: &Weights| -> Vec<Vec<u32>> {
            w.values().map(|(_, v)| v.iter().map(|v| v.to_bits()).collect()).collect()
        };
        let back = from_bytes(&bytes).unwrap();
        assert_eq!((bits(&back), &back), (bits(&some()), &some()));
    }

    #[test]
    fn damage_and_lies_about_lengths_are_errors() {
        let whole = to_bytes(&some());
        for cut in 0..whole.len() {
            assert!(from_bytes(&whole[..cut]).is_err(), "cut at {cut}");
        }
        for length in [0, 1, whole.len() as u64, u64::MAX, u64::MAX - 7] {
            let mut bent = whole.clone();
            bent[..8].copy_from_slice(&length.to_le_bytes());
            assert!(from_bytes(&bent).is_err(), "a header of {length} bytes");
        }
        let header = |text: &str, data: usize| {
            [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &vec![0; data]].concat()
        };
        let huge = r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4]}}"#;
        assert!(from_bytes(&header(huge, 4)).is_err());
        let half = r#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}"#;
        assert_eq!(from_bytes(&header(half, 4)).unwrap_err(), "tensor \"a\" is F16, not F32");
        let mut strange = some();
        strange.insert("c".into(), (vec![1], vec![f32::NAN]));
        assert!(from_bytes(&to_bytes(&strange)).unwrap_err().contains("\"c\" holds NaN"));
    }
}
