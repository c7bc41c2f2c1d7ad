//! What the backend extensions share: flex tensors as plain slices, buffers that are used again, the widest instructions.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Mutex;

use burn::backend::TensorMetadata;
use burn::tensor::TensorData;
use burn_flex::FlexTensor;

/// The four sides of a tensor.
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

/// Buffers of the last step, by length. Taken from the system they would come back page by page and zeroed, at every step.
static SPARE: Mutex<Option<HashMap<usize, Vec<Vec<f32>>>>> = Mutex::new(None);

/// Buffers of a length that are kept at most; more are of a step that is over.
const MOST_KEPT: usize = 64;

/// Values from which on a buffer is kept; smaller ones the allocator keeps itself.
const LEAST_KEPT: usize = 1 << 14;

/// `len` values, whatever they are.
pub(super) fn buffer(len: usize) -> Vec<f32> {
    let spare = |kept: &mut HashMap<usize, Vec<Vec<f32>>>| kept.get_mut(&len)?.pop();
    let found = SPARE.lock().ok().and_then(|mut kept| kept.as_mut().and_then(spare));
    found.unwrap_or_else(|| vec![0.0; len])
}

/// Leaves a buffer to the next [`buffer`] of its length.
pub(super) fn keep(values: Vec<f32>) {
    if values.len() >= LEAST_KEPT
        && let Ok(mut kept) = SPARE.lock()
    {
        let of_length = kept.get_or_insert_default().entry(values.len()).or_default();
        if of_length.len() < MOST_KEPT {
            of_length.push(values);
        }
    }
}

/// [`keep`]s a tensor's buffer if nobody else holds it.
pub(super) fn give_back(t: FlexTensor) {
    if t.is_unique()
        && let Ok(values) = t.into_data().try_into_vec::<f32>()
    {
        keep(values);
    }
}

/// Frees what [`give_back`] kept.
pub(crate) fn free_buffers() {
    if let Ok(mut kept) = SPARE.lock() {
        *kept = None;
    }
}

/// `0..len` in pieces of `piece`, the last maybe shorter.
pub(super) fn pieces(range: Range<usize>, piece: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(piece).map(move |start| start..(start + piece).min(range.end))
}

/// `to[i] += from[i]`.
#[inline(always)]
pub(super) fn add(to: &mut [f32], from: &[f32]) {
    let n = to.len();
    let from = &from[..n];
    for i in 0..n {
        to[i] += from[i];
    }
}

/// Runs `work` compiled for AVX2 where the processor has it; so that it is, `work` and what it calls must be inlined:
/// `widest(#[inline(always)] || ..)`.
#[inline(always)]
pub(super) fn widest<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn wide<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the processor has these instructions.
            return unsafe { wide(work) };
        }
    }
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_again_when_nobody_holds_it() {
        // A length that no other test has.
        let len = LEAST_KEPT + 4711;
        // A training that ends meanwhile in another test frees what is kept.
        let comes_again = || {
            let values = vec![1.0; len];
            let at = values.as_ptr();
            let held = tensor(values, [len]);
            give_back(held.clone());
            let other = buffer(len);
            assert!(other.as_ptr() != at && other.iter().all(|&v| v == 0.0), "it is still held");
            give_back(held);
            let again = buffer(len);
            let fresh = buffer(len);
            assert!(again.len() == len && fresh.as_ptr() != again.as_ptr(), "given twice");
            again.as_ptr() == at
        };
        assert!((0..100).any(|_| comes_again()));
    }

    #[test]
    fn only_so_many_are_kept() {
        let len = LEAST_KEPT + 815;
        (0..2 * MOST_KEPT).for_each(|_| keep(vec![2.0; len]));
        let kept = (0..2 * MOST_KEPT).map(|_| buffer(len)).filter(|values| values[0] == 2.0).count();
        assert!(kept <= MOST_KEPT, "{kept}");
    }
}
