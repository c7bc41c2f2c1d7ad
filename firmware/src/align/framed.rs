//! A whole frame into the input of a model that takes framed pictures.

use super::{AlignError, check_length, luma};
use crate::frame::{Frame, means};
use crate::model::{ChannelOrder, ModelInfo};

/// The whole frame scaled to the model's input by area means ([`means`]). A frame of the input's size is copied. `out` takes
/// [`ModelInfo::crop_bytes`].
///
/// # Errors
/// When `out` has another length.
pub fn framed(frame: &Frame<'_>, info: &ModelInfo, out: &mut [u8]) -> Result<(), AlignError> {
    check_length(info.width, info.height, info.order.channels(), out)?;
    scaled(frame, [info.width, info.height], info.order, info.width, out);
    Ok(())
}

/// The frame scaled to `size` columns and rows in the upper left of `out`, a picture whose rows have `stride` pixels.
pub(crate) fn scaled(frame: &Frame<'_>, size: [u16; 2], order: ChannelOrder, stride: u16, out: &mut [u8]) {
    let of = [frame.width(), frame.height()];
    match order {
        ChannelOrder::Grey => {
            place(means(of, size, |x, y| [luma(frame.rgb_clamped(x, y))]), size, stride, out)
        }
        ChannelOrder::Rgb | ChannelOrder::Bgr => {
            place(means(of, size, |x, y| frame.rgb_clamped(x, y)), size, stride, out);
        }
    }
}

/// Puts the pixels of a picture of `size` into the upper left of one whose rows have `stride` pixels.
fn place<const C: usize>(
    mut pixels: impl Iterator<Item = [u8; C]>,
    [width, height]: [u16; 2],
    stride: u16,
    out: &mut [u8],
) {
    for row in out.chunks_exact_mut((usize::from(stride) * C).max(1)).take(height.into()) {
        for (place, pixel) in row.as_chunks_mut().0.iter_mut().take(width.into()).zip(&mut pixels) {
            *place = pixel;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PixelFormat;
    use crate::model::ChannelOrder;

    fn info(width: u16, height: u16, order: ChannelOrder) -> ModelInfo {
        ModelInfo { width, height, order, template: None, dimension: 1, embedding_id: [0; 32] }
    }

    fn whole(frame: &Frame<'_>, info: &ModelInfo) -> Vec<u8> {
        let mut out = vec![0; info.crop_bytes()];
        framed(frame, info, &mut out).unwrap();
        out
    }

    #[test]
    fn the_same_size_is_a_copy() {
        let data: Vec<u8> = (0..60).map(|v| v * 4).collect();
        let frame = Frame::new(PixelFormat::Rgb8, 5, 4, &data).unwrap();
        assert_eq!(whole(&frame, &info(5, 4, ChannelOrder::Rgb)), data);
    }

    #[test]
    fn colours_are_scaled_one_by_one_and_grey_is_their_luma() {
        let data = [10, 0, 200, 21, 1, 100];
        let frame = Frame::new(PixelFormat::Rgb8, 2, 1, &data).unwrap();
        assert_eq!(whole(&frame, &info(1, 1, ChannelOrder::Bgr)), [16, 1, 150]);
        // (luma 26 + luma 18) / 2
        assert_eq!(whole(&frame, &info(1, 1, ChannelOrder::Grey)), [22]);
    }

    #[test]
    fn a_wrong_buffer_is_an_error() {
        let frame = Frame::new(PixelFormat::Grey8, 1, 1, &[1]).unwrap();
        let done = framed(&frame, &info(2, 2, ChannelOrder::Rgb), &mut [0; 13]);
        assert_eq!(done, Err(AlignError::OutputLength { expected: 12, found: 13 }));
    }
}
