//! YUYV, as USB cameras send it: two pixels in four bytes, with one colour for both.
//!
//! ```text
//! Y0 U Y1 V    luma of the left pixel, blue less luma, luma of the right pixel, red less luma
//! ```
//!
//! Luma and colours are those of ITU-R BT.601 in the limited range (luma 16 to 235, colours 16 to 240 about 128), which is what
//! Linux says of a YUYV camera that says nothing else. In integers: `Y' = 298 (Y - 16) + 128`, `R = (Y' + 409 (V - 128)) / 256`,
//! `G = (Y' - 100 (U - 128) - 208 (V - 128)) / 256`, `B = (Y' + 516 (U - 128)) / 256`, each clamped to 0..=255.

/// Bytes of two pixels.
const PAIR: usize = 4;

fn scaled(luma: u8) -> i32 {
    298 * (i32::from(luma) - 16) + 128
}

fn clamped(value: i32) -> u8 {
    (value >> 8).clamp(0, 255) as u8
}

/// A row of YUYV as red, green and blue: twice as many pixels as there are pairs in `row`, as far as `out` reaches.
pub fn to_rgb(row: &[u8], out: &mut [u8]) {
    for (pair, out) in row.as_chunks::<PAIR>().0.iter().zip(out.as_chunks_mut::<6>().0) {
        let [left, u, right, v] = *pair;
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        let rgb = |luma| {
            let luma = scaled(luma);
            [luma + 409 * v, luma - 100 * u - 208 * v, luma + 516 * u].map(clamped)
        };
        let ([r0, g0, b0], [r1, g1, b1]) = (rgb(left), rgb(right));
        *out = [r0, g0, b0, r1, g1, b1];
    }
}

/// A row of YUYV as grey, in the full range: what the colours' own grey is, but for rounding.
pub fn to_grey(row: &[u8], out: &mut [u8]) {
    for (pair, out) in row.as_chunks::<PAIR>().0.iter().zip(out.as_chunks_mut::<2>().0) {
        *out = [pair[0], pair[2]].map(|luma| clamped(scaled(luma)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::align::luma;

    /// BT.601 in floating point.
    fn exact(y: u8, u: u8, v: u8) -> [f64; 3] {
        let (y, u, v) = (
            (f64::from(y) - 16.0) * 255.0 / 219.0,
            (f64::from(u) - 128.0) * 255.0 / 224.0,
            (f64::from(v) - 128.0) * 255.0 / 224.0,
        );
        [y + 1.402 * v, y - 0.344_136 * u - 0.714_136 * v, y + 1.772 * u].map(|x| x.clamp(0.0, 255.0))
    }

    #[test]
    fn colours_are_those_of_the_standard() {
        let steps = || (0..=255_u8).step_by(5);
        let mut worst = 0.0_f64;
        for (y, u, v) in steps().flat_map(|y| steps().flat_map(move |u| steps().map(move |v| (y, u, v)))) {
            let mut out = [0; 6];
            to_rgb(&[y, u, 255 - y, v], &mut out);
            let expected = [exact(y, u, v), exact(255 - y, u, v)].concat();
            for (found, expected) in out.iter().zip(expected) {
                worst = worst.max((f64::from(*found) - expected).abs());
            }
        }
        // Coefficients rounded to a 256th.
        assert!(worst < 1.4, "{worst}");
    }

    #[test]
    fn known_colours_by_hand() {
        for (pixel, rgb) in [
            ([16, 128, 128], [0; 3]),
            ([235, 128, 128], [255; 3]),
            ([126, 128, 128], [128; 3]),
            ([81, 90, 240], [255, 0, 0]),
            ([145, 54, 34], [0, 255, 1]),
            ([41, 240, 110], [0, 0, 255]),
        ] {
            let [y, u, v] = pixel;
            let mut out = [0; 6];
            to_rgb(&[y, u, y, v], &mut out);
            assert_eq!(out[..3], rgb, "{pixel:?}");
            assert_eq!(out[..3], out[3..]);
        }
    }

    #[test]
    fn grey_is_the_grey_of_the_colours() {
        for (left, right) in (0..=255).zip((0..=255).rev()) {
            let (mut grey, mut rgb) = ([0; 2], [0; 6]);
            to_grey(&[left, 128, right, 128], &mut grey);
            to_rgb(&[left, 128, right, 128], &mut rgb);
            assert_eq!(grey, [luma([rgb[0], rgb[1], rgb[2]]), luma([rgb[3], rgb[4], rgb[5]])]);
        }
    }

    #[test]
    fn a_row_that_is_short_leaves_the_rest() {
        let mut out = [7; 12];
        to_rgb(&[16, 128, 235, 128, 16, 128], &mut out);
        assert_eq!(out, [0, 0, 0, 255, 255, 255, 7, 7, 7, 7, 7, 7]);
    }
}
