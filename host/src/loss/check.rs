//! A finite-difference check in f64 that every loss must pass.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

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

/// Class numbers.
pub fn labels(of: &[i64], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(of.to_vec(), [of.len()]), device)
}

/// The largest relative difference between the gradient of `loss` with respect to both of its matrices and central
/// differences. `d` is the number of columns of both.
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
    let taken = |t: &Tensor<2>| t.grad(&grads).unwrap().into_data().try_to_vec::<f64>().unwrap();
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
