//! Pixels to patches: what lies under a 3x3 kernel at each place where the stem computes.
//!
//! The stem is then a product of patches and weights. Pixels are data, so there is no gradient with respect to them.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{AutodiffBackend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::flex::{buffer, contiguous, shape4, tensor, values};
use super::fused::{has_kernels, stock};

/// What a backend needs for [`patches`]; all tensors f32.
#[backend_extension(Flex, Autodiff)]
pub trait PatchOps: burn::backend::Backend {
    /// `pixels` [b, c, h, w] to patches [b, h', w', 9 c].
    fn patches(pixels: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// The 3x3 patches of `pixels` [b, c, h, w] at every second row and column, with zeros around: [b, (h + 1) / 2, (w + 1) / 2,
/// 9 c], the values of a patch in the order of a kernel [c, 3, 3]. No gradient goes to the pixels.
pub fn patches(pixels: Tensor<4>) -> Tensor<4> {
    assert!(!pixels.is_require_grad(), "patches have no gradient with respect to pixels");
    if !has_kernels(&pixels.device()) {
        return stock::patches(pixels);
    }
    Tensor::from_dispatch(Dispatch::patches(pixels.into_dispatch()))
}

impl PatchOps for Flex {
    fn patches(pixels: FlexTensor) -> FlexTensor {
        let pixels = contiguous(pixels);
        let [b, c, h, w] = shape4(&pixels);
        let [rows, columns] = [h, w].map(|side| side.div_ceil(2));
        let mut out = buffer(b * rows * columns * 9 * c);
        let images = out.par_chunks_mut(rows * columns * 9 * c).zip(values(&pixels).par_chunks(c * h * w));
        images.for_each(|(out, pixels)| {
            for (at, patch) in out.chunks_exact_mut(9 * c).enumerate() {
                let [y, x] = [at / columns, at % columns].map(|place| 2 * place);
                for (i, value) in patch.iter_mut().enumerate() {
                    // One row and column further on, so that the border counts from 0.
                    let (plane, row, column) = (i / 9, y + i / 3 % 3, x + i % 3);
                    let inside = (1..=h).contains(&row) && (1..=w).contains(&column);
                    *value = if inside { pixels[(plane * h + row - 1) * w + column - 1] } else { 0.0 };
                }
            }
        });
        tensor(out, [b, rows, columns, 9 * c])
    }
}

impl<B: PatchOps, C: CheckpointStrategy> PatchOps for Autodiff<B, C> {
    fn patches(pixels: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::from_inner(B::patches(pixels.into_primitive()))
    }
}
