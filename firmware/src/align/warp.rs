//! A frame through a [`Similarity`] into a crop: bilinear, integers only.

use super::similarity::FRACTION_BITS;
use super::{AlignError, Similarity, check_length};
use crate::frame::{Frame, PixelFormat};
use crate::model::ChannelOrder;

/// Bits of the fraction between two pixels: a position is rounded to 1/256 pixel.
const WEIGHT_BITS: u32 = 8;

/// Luma of BT.601 in integers, rounded: `(77 R + 150 G + 29 B + 128) / 256`. Grey stays what it is.
pub const fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((77 * r as u32 + 150 * g as u32 + 29 * b as u32 + 128) >> 8) as u8
}

/// Fills `out` with `height` rows of `width` pixels, each the bilinear mean of the four frame pixels around the place that
/// `similarity` gives it; beyond the frame its border is replicated. Colour models take R, G, B, grey ones one byte of luma.
///
/// Plain bilinear, also where the face is larger than the crop: the embedders of this field are trained so.
///
/// # Errors
/// When `out` is not `width * height * channels` long.
pub fn warp(
    frame: &Frame<'_>,
    similarity: &Similarity,
    width: u16,
    height: u16,
    order: ChannelOrder,
    out: &mut [u8],
) -> Result<(), AlignError> {
    check_length(width, height, order.channels(), out)?;
    match order {
        ChannelOrder::Grey => fill(similarity, width, height, out, |x, y| [luma(frame.rgb_clamped(x, y))]),
        ChannelOrder::Rgb | ChannelOrder::Bgr if frame.format() == PixelFormat::Grey8 => {
            // One sample serves three channels: the sums would be equal.
            let grey = |x, y| {
                let [v, _, _] = frame.rgb_clamped(x, y);
                [v]
            };
            for (pixel, [v]) in out.chunks_exact_mut(3).zip(samples(similarity, width, height, grey)) {
                pixel.fill(v);
            }
        }
        ChannelOrder::Rgb | ChannelOrder::Bgr => {
            fill(similarity, width, height, out, |x, y| frame.rgb_clamped(x, y))
        }
    }
    Ok(())
}

fn fill<const C: usize>(
    similarity: &Similarity,
    width: u16,
    height: u16,
    out: &mut [u8],
    pixel: impl Fn(i32, i32) -> [u8; C],
) {
    for (place, value) in out.chunks_exact_mut(C).zip(samples(similarity, width, height, pixel)) {
        place.copy_from_slice(&value);
    }
}

/// The crop's pixels in order.
fn samples<const C: usize>(
    similarity: &Similarity,
    width: u16,
    height: u16,
    pixel: impl Fn(i32, i32) -> [u8; C],
) -> impl Iterator<Item = [u8; C]> {
    let m = *similarity.crop_to_frame();
    (0..height as i64).flat_map(move |v| (0..width as i64).map(move |u| (u, v))).map(move |(u, v)| {
        // Products stay below 2^32 * 2^10 * 2^16 and sums below 2^62: no overflow within the accepted scales and coordinates.
        let (x, fx) = split(m.m11 * u + m.m12 * v + m.m13);
        let (y, fy) = split(m.m21 * u + m.m22 * v + m.m23);
        let one = 1 << WEIGHT_BITS;
        let weights = [(one - fx) * (one - fy), fx * (one - fy), (one - fx) * fy, fx * fy];
        let taps = [pixel(x, y), pixel(x + 1, y), pixel(x, y + 1), pixel(x + 1, y + 1)];
        core::array::from_fn(|c| {
            let sum: u32 = taps.iter().zip(weights).map(|(tap, w)| tap[c] as u32 * w).sum();
            ((sum + (1 << (2 * WEIGHT_BITS - 1))) >> (2 * WEIGHT_BITS)) as u8
        })
    })
}

/// A fixed-point coordinate to the pixel at or before it and the weight of the next one, rounded to 1/256.
fn split(coordinate: i64) -> (i32, u32) {
    let drop = FRACTION_BITS - WEIGHT_BITS;
    let rounded = (coordinate + (1 << (drop - 1))) >> drop;
    let whole = (rounded >> WEIGHT_BITS).clamp(-2, u16::MAX as i64 + 1) as i32;
    (whole, (rounded & ((1 << WEIGHT_BITS) - 1)) as u32)
}

#[cfg(test)]
mod tests {
    use nalgebra::Point2;

    use super::*;
    use crate::frame::Landmarks;

    fn warped(frame: &Frame<'_>, s: &Similarity, w: u16, h: u16, order: ChannelOrder) -> Vec<u8> {
        let mut out = vec![0; w as usize * h as usize * order.channels()];
        warp(frame, s, w, h, order, &mut out).unwrap();
        out
    }

    #[test]
    fn a_shift_copies_and_replicates_the_border() {
        let data: Vec<u8> = (0..12).collect();
        let frame = Frame::new(PixelFormat::Grey8, 4, 3, &data).unwrap();
        let out = warped(&frame, &Similarity::shift(2, 1), 4, 3, ChannelOrder::Grey);
        assert_eq!(out, [6, 7, 7, 7, 10, 11, 11, 11, 10, 11, 11, 11]);
        let out = warped(&frame, &Similarity::shift(-1, -1), 2, 2, ChannelOrder::Grey);
        assert_eq!(out, [0, 0, 0, 0]);
    }

    #[test]
    fn golden_bytes_by_hand() {
        // Landmarks are the template halved and moved by (0.25, 0.5): crop (u, v) is frame (u/2 + 1/4, v/2 + 1/2).
        let square = [[0.0, 0.0], [8.0, 0.0], [4.0, 4.0], [0.0, 8.0], [8.0, 8.0]].map(Point2::<f32>::from);
        let seen: Landmarks = square.map(|p| Point2::new(p.x / 2.0 + 0.25, p.y / 2.0 + 0.5));
        let s = Similarity::from_landmarks(&seen, &square).unwrap();
        let data = [
            [10, 0, 0],
            [50, 8, 0],
            [90, 16, 255], //
            [30, 0, 1],
            [70, 9, 2],
            [110, 100, 0], //
        ]
        .concat();
        let frame = Frame::new(PixelFormat::Rgb8, 3, 2, &data).unwrap();
        let out = warped(&frame, &s, 2, 2, ChannelOrder::Rgb);
        // (0,0): x 1/4, y 1/2:  R 3/8*10 + 1/8*50 + 3/8*30 + 1/8*70 = 30;  G (8+9)/8 = 2.125;  B 3/8 + 2/8 = .625
        // (1,0): x 3/4, y 1/2:  R 1/8*10 + 3/8*50 + 1/8*30 + 3/8*70 = 50;  G 3*17/8 = 6.375;   B 1/8 + 6/8 = .875
        // (0,1): x 1/4, y 1 (the border below):  R 3/4*30 + 1/4*70 = 40;  G 9/4;   B 3/4 + 2/4 = 1.25
        // (1,1): x 3/4, y 1:                     R 1/4*30 + 3/4*70 = 60;  G 27/4;  B 1/4 + 6/4 = 1.75
        assert_eq!(out, [30, 2, 1, 50, 6, 1, 40, 2, 1, 60, 7, 2]);
    }

    #[test]
    fn grey_is_luma_of_colour_and_colour_of_grey_is_three_times_it() {
        let colour = Frame::new(PixelFormat::Rgb8, 1, 1, &[255, 0, 0]).unwrap();
        assert_eq!(warped(&colour, &Similarity::shift(0, 0), 1, 1, ChannelOrder::Grey), [77]);
        let grey = Frame::new(PixelFormat::Grey8, 2, 1, &[9, 200]).unwrap();
        let out = warped(&grey, &Similarity::shift(0, 0), 2, 1, ChannelOrder::Bgr);
        assert_eq!(out, [9, 9, 9, 200, 200, 200]);
        assert_eq!((0..=255).find(|&v| luma([v; 3]) != v), None);
    }

    #[test]
    fn formats_of_one_picture_agree() {
        // Whole multiples of 8 with the low bits filled as Rgb565 expands them.
        let packed = [0xf8, 0x1f, 0x07, 0xe0];
        let same = [255, 0, 255, 0, 255, 0];
        let a = Frame::new(PixelFormat::Rgb565, 2, 1, &packed).unwrap();
        let b = Frame::new(PixelFormat::Rgb8, 2, 1, &same).unwrap();
        let square = [[0.0, 0.0], [8.0, 0.0], [4.0, 4.0], [0.0, 8.0], [8.0, 8.0]].map(Point2::<f32>::from);
        let turned: Landmarks = square.map(|p| Point2::new(0.1 * p.x - 0.03 * p.y, 0.03 * p.x + 0.1 * p.y));
        let s = Similarity::from_landmarks(&turned, &square).unwrap();
        for order in [ChannelOrder::Rgb, ChannelOrder::Grey] {
            assert_eq!(warped(&a, &s, 9, 9, order), warped(&b, &s, 9, 9, order));
        }
    }

    #[test]
    fn a_wrong_buffer_is_an_error() {
        let frame = Frame::new(PixelFormat::Grey8, 1, 1, &[1]).unwrap();
        let done = warp(&frame, &Similarity::shift(0, 0), 2, 2, ChannelOrder::Rgb, &mut [0; 11]);
        assert_eq!(done, Err(AlignError::OutputLength { expected: 12, found: 11 }));
    }

    #[test]
    fn the_farthest_maps_do_not_overflow() {
        let square = [[0.0, 0.0], [8.0, 0.0], [4.0, 4.0], [0.0, 8.0], [8.0, 8.0]].map(Point2::<f32>::from);
        let far: Landmarks = square.map(|p| Point2::new(p.x * 1000.0 + 120_000.0, p.y * 1000.0 - 131_000.0));
        let s = Similarity::from_landmarks(&far, &square).unwrap();
        let frame = Frame::new(PixelFormat::Grey8, 2, 1, &[3, 4]).unwrap();
        let out = warped(&frame, &s, u16::MAX, 1, ChannelOrder::Grey);
        assert!(out.iter().all(|&v| v == 4));
    }
}
