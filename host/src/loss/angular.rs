//! What the losses by angle share: cosines to the class weights, the target among them, scales.

use burn::module::Param;
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};

use super::unit_rows;
use crate::net::normal;
use crate::synth::dice::Dice;

/// How far a cosine stays from +-1, where the slope of the angle is infinite.
pub(super) const EPSILON: f64 = 1e-6;

/// Fresh class weights [c, d]; only their direction matters.
///
/// In a plane they begin evenly spread: there a class cannot pass another without lying on it, and classes that begin close
/// together stay so.
pub(super) fn class_weights(
    classes: usize,
    dimension: usize,
    dice: &mut Dice,
    device: &Device,
) -> Param<Tensor<2>> {
    if dimension == 2 {
        let turn = |class: usize| class as f32 / classes as f32 * std::f32::consts::TAU;
        let directions: Vec<f32> = (0..classes).map(turn).flat_map(|turn| [turn.cos(), turn.sin()]).collect();
        return Param::from_tensor(Tensor::from_data(TensorData::new(directions, [classes, 2]), device));
    }
    normal([classes, dimension], (1.0 / dimension as f32).sqrt(), dice, device)
}

/// The cosines [b, c] between embeddings [b, d] and class weights [c, d], a little inside -1..1.
pub(super) fn cosines(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    unit_rows(x).matmul(unit_rows(weight).transpose()).clamp(-1.0 + EPSILON, 1.0 - EPSILON)
}

/// Each row's value at its label, [b, 1].
pub(super) fn target(of: &Tensor<2>, labels: &Tensor<1, Int>) -> Tensor<2> {
    of.clone().gather(1, labels.clone().unsqueeze_dim(1))
}

/// `rows` with the value at each row's label replaced by `new` [b, 1].
pub(super) fn with_target(rows: Tensor<2>, labels: &Tensor<1, Int>, new: Tensor<2>) -> Tensor<2> {
    let old = target(&rows, labels);
    rows.scatter(1, labels.clone().unsqueeze_dim(1), new - old, IndexingUpdateOp::Add)
}

/// The scale of logits for a number of classes: 1.25 times the least one with which the target can reach a probability of 0.999,
/// `ln((c - 1) p / (1 - p)) / room`, `room` being what the margin leaves of the target's cosine at angle 0. 64, the papers', is for
/// tens of thousands of classes; with few it freezes the training.
pub(super) fn scale_for(classes: usize, room: f64) -> f64 {
    let others = classes.max(3) as f64 - 1.0;
    1.25 * (others * 0.999 / 0.001).ln() / room
}

/// The cosine continued beyond pi so that it falls all the way: `(-1)^k cos(angle) - 2k`, k the half turns in `angle`, from the
/// cosine of the angle itself and `k`.
pub(super) fn falling(cosine: Tensor<2>, half_turns: Tensor<2>) -> Tensor<2> {
    // (-1)^k for whole k, without a power: 1 - 2 (k mod 2).
    let odd = half_turns.clone() - half_turns.clone().mul_scalar(0.5).floor().mul_scalar(2.0);
    let sign = odd.mul_scalar(-2.0).add_scalar(1.0);
    sign * cosine - half_turns.mul_scalar(2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_a_plane_begin_evenly_spread() {
        let device = Device::flex();
        let weights = class_weights(8, 2, &mut Dice::new(1, 0, 0, 0), &device).val();
        let cosines = unit_rows(weights.clone()).matmul(unit_rows(weights).transpose());
        let nearest = std::f32::consts::FRAC_PI_4.cos();
        for (at, row) in cosines.into_data().try_to_vec::<f32>().unwrap().chunks(8).enumerate() {
            let others = row.iter().enumerate().filter(|(class, _)| *class != at).map(|(_, cosine)| *cosine);
            let most = others.fold(-1.0, f32::max);
            assert!((most - nearest).abs() < 1e-5, "class {at} is {most} from another");
        }
    }

    #[test]
    fn the_scale_follows_the_number_of_classes() {
        assert!((scale_for(1000, 1.0) - 17.27).abs() < 0.01, "{}", scale_for(1000, 1.0));
        assert!(scale_for(2, 1.0) > 7.0 && scale_for(100_000, 1.0) > scale_for(1000, 1.0));
        // NormFace's 20 for the classes of CASIA-WebFace.
        assert!((scale_for(10_572, 1.0) - 20.0).abs() < 0.5, "{}", scale_for(10_572, 1.0));
        assert_eq!(scale_for(1000, 0.5), 2.0 * scale_for(1000, 1.0));
    }
}
