//! What every loss must pass: golden values that numpy computed, and finite differences in f64.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use serde_json::Value;

/// Written by `tests/golden/losses.py`.
const GOLDEN: &str = include_str!("../../../tests/golden/losses.json");

/// One loss of the golden file: the common embeddings, weights and labels, its parameters and its value.
pub struct Golden {
    all: Value,
    own: Value,
}

impl Golden {
    pub fn read(name: &str) -> Self {
        let all: Value = serde_json::from_str(GOLDEN).expect("the golden file is JSON");
        let own = all["losses"][name].clone();
        assert!(own.is_object(), "no {name} in the golden file");
        Golden { all, own }
    }

    pub fn parameter(&self, name: &str) -> f64 {
        self.own["parameters"][name].as_f64().unwrap_or_else(|| panic!("no parameter {name}"))
    }

    /// "x", "w", or a matrix of this loss alone, and its columns.
    pub fn rows(&self, name: &str) -> (Vec<f64>, usize) {
        let found = if self.own[name].is_array() { &self.own[name] } else { &self.all[name] };
        let rows: Vec<Vec<f64>> = serde_json::from_value(found.clone()).expect("a matrix");
        (rows.concat(), rows[0].len())
    }

    pub fn matrix(&self, name: &str, device: &Device) -> Tensor<2> {
        let (values, columns) = self.rows(name);
        matrix(&values, columns, device)
    }

    pub fn labels(&self, device: &Device) -> Tensor<1, Int> {
        let of: Vec<i64> = serde_json::from_value(self.all["labels"].clone()).expect("labels");
        labels(&of, device)
    }

    /// The loss of embeddings, weights and labels is what numpy found.
    pub fn assert_loss(&self, loss: impl Fn(Tensor<2>, Tensor<2>, Tensor<1, Int>) -> Tensor<1>) {
        let device = Device::flex();
        let found = loss(self.matrix("x", &device), self.matrix("w", &device), self.labels(&device));
        let (found, expected) = (found.into_scalar::<f64>(), self.own["loss"].as_f64().expect("a loss"));
        assert!((found - expected).abs() < 1e-10 * (1.0 + expected.abs()), "{found} is not {expected}");
    }
}

/// The gradient at the golden point equals finite differences.
pub fn assert_gradient(golden: &Golden, loss: impl Fn(Tensor<2>, Tensor<2>, Tensor<1, Int>) -> Tensor<1>) {
    let (x, columns) = golden.rows("x");
    let (w, _) = golden.rows("w");
    let with_labels = |x: Tensor<2>, w: Tensor<2>| {
        let labels = golden.labels(&x.device());
        loss(x, w, labels)
    };
    let error = worst_gradient_error(with_labels, &x, &w, columns);
    assert!(error < 1e-6, "{error:e}");
}

/// Values in -1..1 from a fixed sequence.
pub fn values(n: usize, seed: u64) -> Vec<f64> {
    let mut dice = seed.wrapping_mul(2).wrapping_add(1);
    (0..n)
        .map(|_| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) as f64 / (1_u64 << 30) as f64 - 1.0
        })
        .collect()
}

/// A matrix in f64.
pub fn matrix(values: &[f64], columns: usize, device: &Device) -> Tensor<2> {
    let shape = [values.len() / columns, columns];
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (device, DType::F64))
}

/// A vector in f64.
pub fn vector(values: &[f64], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (device, DType::F64))
}

/// Class numbers.
pub fn labels(of: &[i64], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(of.to_vec(), [of.len()]), device)
}

/// The largest relative difference between the gradient of `loss` with respect to both of its matrices and central
/// differences. `d` is the number of columns of both. A matrix that the loss does not read has the gradient 0.
pub fn worst_gradient_error(
    loss: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<1>,
    embeddings: &[f64],
    weights: &[f64],
    d: usize,
) -> f64 {
    let device = Device::flex().autodiff();
    let number =
        |e: &[f64], w: &[f64]| loss(matrix(e, d, &device), matrix(w, d, &device)).into_scalar::<f64>();
    let (e, w) = (matrix(embeddings, d, &device).require_grad(), matrix(weights, d, &device).require_grad());
    let grads = loss(e.clone(), w.clone()).backward();
    let taken = |t: &Tensor<2>| match t.grad(&grads) {
        Some(gradient) => gradient.into_data().try_to_vec::<f64>().unwrap(),
        None => vec![0.0; t.dims().iter().product()],
    };
    let analytic = [taken(&e), taken(&w)].concat();
    let all = [embeddings, weights].concat();
    let step = 1e-6;
    let moved = |i: usize, by: f64| {
        let mut at = all.clone();
        at[i] += by;
        number(&at[..embeddings.len()], &at[embeddings.len()..])
    };
    let error = |i: usize| {
        let numeric = (moved(i, step) - moved(i, -step)) / (2.0 * step);
        (numeric - analytic[i]).abs() / (1e-3 + numeric.abs())
    };
    (0..all.len()).map(error).fold(0.0, f64::max)
}
