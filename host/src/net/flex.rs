//! What the backend extensions share: flex tensors as plain slices.

use burn::backend::TensorMetadata;
use burn::tensor::TensorData;
use burn_flex::FlexTensor;

/// The four sides of a tensor [b, c, h, w].
pub(super) fn shape4(t: &FlexTensor) -> [usize; 4] {
    let s = t.shape();
    [s[0], s[1], s[2], s[3]]
}

/// The same values, row by row without gaps.
pub(super) fn contiguous(t: FlexTensor) -> FlexTensor {
    if t.is_contiguous() { t } else { t.to_contiguous() }
}

/// The values of a tensor that is [`contiguous`].
pub(super) fn values(t: &FlexTensor) -> &[f32] {
    t.as_slice::<f32>().expect("training runs in f32 and the tensor was made contiguous")
}

/// A tensor from its values.
pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// The sum of `value(i)` over a slice's indices in eight lanes, which compilers vectorize; the order of additions depends on
/// the length alone.
#[inline(always)]
pub(super) fn sum(len: usize, value: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0f32; 8];
    let whole = len / 8 * 8;
    for start in (0..whole).step_by(8) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += value(start + lane);
        }
    }
    for i in whole..len {
        lanes[i - whole] += value(i);
    }
    lanes.iter().sum()
}

/// Runs `work` compiled for the widest instructions that this processor has.
#[inline(always)]
pub(super) fn widest<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}
