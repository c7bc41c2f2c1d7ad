//! A whole frame, or its middle, into a model's input without anybody looking for a face.

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

/// The middle of the frame scaled to the model's input as [`framed`] does: the largest rectangle of the input's shape, in whole pixels.
/// A frame of that shape is taken whole. `out` takes [`ModelInfo::crop_bytes`].
///
/// # Errors
/// When `out` has another length.
pub fn central(frame: &Frame<'_>, info: &ModelInfo, out: &mut [u8]) -> Result<(), AlignError> {
    check_length(info.width, info.height, info.order.channels(), out)?;
    let size = [info.width, info.height];
    part(frame, middle([frame.width(), frame.height()], size), size, info.order, info.width, out);
    Ok(())
}

/// The frame scaled to `size` columns and rows in the upper left of `out`, a picture whose rows have `stride` pixels.
pub(crate) fn scaled(frame: &Frame<'_>, size: [u16; 2], order: ChannelOrder, stride: u16, out: &mut [u8]) {
    part(frame, Part { corner: [0; 2], of: [frame.width(), frame.height()] }, size, order, stride, out);
}

/// A rectangle of a frame: its first column and row, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    corner: [u16; 2],
    of: [u16; 2],
}

/// The largest rectangle in the middle of a picture of `sides` that has the shape of one of `size`; where that is no whole number of
/// pixels, the next smaller, and one at least.
fn middle(sides: [u16; 2], size: [u16; 2]) -> Part {
    let ([wide, high], [width, height]) = (sides.map(u32::from), size.map(u32::from));
    // No quotient is larger than the side that it is a part of.
    let part = |product: u32, of: u32| (product / of.max(1)).max(1) as u16;
    let of = if wide * height > high * width {
        [part(high * width, height), sides[1]]
    } else {
        [sides[0], part(wide * height, width)]
    };
    Part { corner: [(sides[0] - of[0]) / 2, (sides[1] - of[1]) / 2], of }
}

/// As [`scaled`], a part of the frame.
fn part(
    frame: &Frame<'_>,
    Part { corner, of }: Part,
    size: [u16; 2],
    order: ChannelOrder,
    stride: u16,
    out: &mut [u8],
) {
    let [left, top] = corner.map(i32::from);
    let rgb = |x, y| frame.rgb_clamped(x + left, y + top);
    match order {
        ChannelOrder::Grey => place(means(of, size, |x, y| [luma(rgb(x, y))]), size, stride, out),
        ChannelOrder::Rgb | ChannelOrder::Bgr => place(means(of, size, rgb), size, stride, out),
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
    fn the_middle_has_the_inputs_shape() {
        let part = |corner, of| Part { corner, of };
        for (sides, size, expected) in [
            ([320, 240], [112, 112], part([40, 0], [240, 240])),
            ([240, 320], [112, 112], part([0, 40], [240, 240])),
            ([160, 120], [96, 112], part([29, 0], [102, 120])),
            ([800, 600], [400, 300], part([0, 0], [800, 600])),
            // Smaller than the input, and no whole numbers.
            ([5, 4], [112, 112], part([0, 0], [4, 4])),
            ([3, 5], [2, 7], part([1, 0], [1, 5])),
            ([1, 9], [300, 1], part([0, 4], [1, 1])),
            ([u16::MAX; 2], [u16::MAX, 1], part([0, 32_767], [u16::MAX, 1])),
        ] {
            assert_eq!(middle(sides, size), expected, "{sides:?} for {size:?}");
        }
    }

    #[test]
    fn the_middle_by_hand() {
        // Two of five columns: of those that are as near to the middle the left ones.
        let frame = Frame::new(PixelFormat::Grey8, 5, 2, &[90, 10, 20, 91, 92, 93, 31, 40, 94, 95]).unwrap();
        let mut out = [0];
        central(&frame, &info(1, 1, ChannelOrder::Grey), &mut out).unwrap();
        // 101 / 4 = 25.25.
        assert_eq!(out, [25]);
        // Of the input's size it is a copy.
        let mut whole = [0; 10];
        central(&frame, &info(5, 2, ChannelOrder::Grey), &mut whole).unwrap();
        assert_eq!(whole, frame.data());
        let done = central(&frame, &info(2, 2, ChannelOrder::Rgb), &mut [0; 13]);
        assert_eq!(done, Err(AlignError::OutputLength { expected: 12, found: 13 }));
    }

    #[test]
    fn a_wrong_buffer_is_an_error() {
        let frame = Frame::new(PixelFormat::Grey8, 1, 1, &[1]).unwrap();
        let done = framed(&frame, &info(2, 2, ChannelOrder::Rgb), &mut [0; 13]);
        assert_eq!(done, Err(AlignError::OutputLength { expected: 12, found: 13 }));
    }
}
