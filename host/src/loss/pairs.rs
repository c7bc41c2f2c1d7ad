//! What the losses over pairs and triplets share: distances within a batch, and who is of one class.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// The class of each row, on the host.
pub(super) fn classes(labels: &Tensor<1, Int>) -> Vec<i64> {
    labels.to_data().convert::<i64>().try_to_vec().expect("class numbers are integers")
}

/// A matrix's values on the host, row by row.
pub(super) fn host(matrix: &Tensor<2>) -> Vec<f64> {
    matrix.to_data().convert::<f64>().try_to_vec().expect("distances are real")
}

/// The squared Euclidean distances [b, b] between the rows of `x` [b, d], by the sum of their squared differences: the short form
/// |x|^2 + |y|^2 - 2 x.y loses small distances to cancellation.
pub(super) fn squared_distances(x: Tensor<2>) -> Tensor<2> {
    let away = x.clone().unsqueeze_dim::<3>(1) - x.unsqueeze_dim::<3>(0);
    (away.clone() * away).sum_dim(2).squeeze_dim(2)
}

/// The root of squared distances, with a finite slope at 0.
pub(super) fn root(squared: Tensor<1>) -> Tensor<1> {
    squared.add_scalar(1e-12).sqrt()
}

/// The pairs of a batch, each once.
pub(super) struct Pairs {
    same: Vec<i64>,
    different: Vec<i64>,
}

impl Pairs {
    pub(super) fn of(labels: &Tensor<1, Int>) -> Self {
        let classes = classes(labels);
        let n = classes.len();
        let mut pairs = Pairs { same: Vec::new(), different: Vec::new() };
        for a in 0..n {
            for b in a + 1..n {
                let kind = if classes[a] == classes[b] { &mut pairs.same } else { &mut pairs.different };
                kind.push((a * n + b) as i64);
            }
        }
        pairs
    }

    /// The entries of `matrix` [b, b] for pairs of one class, if there are any.
    pub(super) fn same(&self, matrix: &Tensor<2>) -> Option<Tensor<1>> {
        taken(matrix, &self.same)
    }

    /// The entries of `matrix` [b, b] for pairs of two classes, if there are any.
    pub(super) fn different(&self, matrix: &Tensor<2>) -> Option<Tensor<1>> {
        taken(matrix, &self.different)
    }
}

fn taken(matrix: &Tensor<2>, places: &[i64]) -> Option<Tensor<1>> {
    (!places.is_empty()).then(|| {
        let device: Device = matrix.device();
        let at = Tensor::<1, Int>::from_data(TensorData::new(places.to_vec(), [places.len()]), &device);
        matrix.clone().reshape([-1]).select(0, at)
    })
}
