//! A whole frame into the input of a model that takes framed pictures.

use super::{AlignError, check_length, luma};
use crate::engine::ModelInfo;
use crate::frame::Frame;

/// The whole frame scaled to the model's input: each crop pixel is the mean of the frame area under it, in exact
/// integers, rounded to the nearest. A frame of the input's size is copied. `out` takes [`ModelInfo::crop_bytes`].
///
/// # Errors
/// When `out` has another length.
pub fn framed(frame: &Frame<'_>, info: &ModelInfo, out: &mut [u8]) -> Result<(), AlignError> {
    let channels = info.order.channels();
    check_length(info.width, info.height, channels, out)?;
    let (wide, high) = (frame.width() as u64, frame.height() as u64);
    let area = (wide * high).max(1);
    // A model's sides are never 0; for the compiler to see.
    let (width, height) = (info.width.max(1) as u64, info.height.max(1) as u64);
    for (i, place) in out.chunks_exact_mut(channels.max(1)).enumerate() {
        let (u, v) = (i as u64 % width, i as u64 / width);
        let mut sums = [0u64; 3];
        for (y, tall) in spans(v, height, high) {
            for (x, broad) in spans(u, width, wide) {
                let rgb = frame.rgb_clamped(x as i32, y as i32);
                let values = if channels == 1 { [luma(rgb), 0, 0] } else { rgb };
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += value as u64 * tall * broad;
                }
            }
        }
        for (place, sum) in place.iter_mut().zip(sums) {
            *place = ((sum + area / 2) / area) as u8;
        }
    }
    Ok(())
}

/// The frame pixels under pixel `at` of `out` pixels that share `of` frame pixels, each with its length in units of
/// `1 / out` frame pixel; the lengths add up to `of`.
fn spans(at: u64, out: u64, of: u64) -> impl Iterator<Item = (u64, u64)> {
    let (start, end) = (at * of, (at + 1) * of);
    (start / out..end.div_ceil(out)).map(move |p| (p, end.min((p + 1) * out) - start.max(p * out)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ChannelOrder;
    use crate::frame::PixelFormat;

    fn info(width: u16, height: u16, order: ChannelOrder) -> ModelInfo {
        ModelInfo { width, height, order, template: None, dimension: 1, embedding_id: [0; 32] }
    }

    fn scaled(frame: &Frame<'_>, info: &ModelInfo) -> Vec<u8> {
        let mut out = vec![0; info.crop_bytes()];
        framed(frame, info, &mut out).unwrap();
        out
    }

    #[test]
    fn the_same_size_is_a_copy() {
        let data: Vec<u8> = (0..60).map(|v| v * 4).collect();
        let frame = Frame::new(PixelFormat::Rgb8, 5, 4, &data).unwrap();
        assert_eq!(scaled(&frame, &info(5, 4, ChannelOrder::Rgb)), data);
    }

    #[test]
    fn means_by_hand() {
        let frame = Frame::new(PixelFormat::Grey8, 3, 2, &[10, 20, 30, 50, 60, 70]).unwrap();
        // Left: 10, 50 whole, 20, 60 half: (60 + 40) / 3 = 33.3. Right: (100 + 40) / 3 = 46.7.
        assert_eq!(scaled(&frame, &info(2, 1, ChannelOrder::Grey)), [33, 47]);
        // Upwards, pixels repeat.
        let frame = Frame::new(PixelFormat::Grey8, 2, 1, &[10, 20]).unwrap();
        assert_eq!(scaled(&frame, &info(4, 2, ChannelOrder::Grey)), [10, 10, 20, 20, 10, 10, 20, 20]);
    }

    #[test]
    fn a_wrong_buffer_is_an_error() {
        let frame = Frame::new(PixelFormat::Grey8, 1, 1, &[1]).unwrap();
        let done = framed(&frame, &info(2, 2, ChannelOrder::Rgb), &mut [0; 13]);
        assert_eq!(done, Err(AlignError::OutputLength { expected: 12, found: 13 }));
    }
}
