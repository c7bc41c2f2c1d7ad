//! A picture scaled to another size by area means.

/// The pixels of a picture of `of` columns and rows scaled to `out` columns and rows, in order: each the mean of the area under it,
/// in exact integers, rounded to the nearest. `pixel` gives the values at a column and a row of the picture.
///
/// ```text
/// value = (sum over the area of value x share + area / 2) / area      area = columns x rows of the whole picture
/// ```
///
/// where a picture's pixel that lies in the area by a part has that share, counted in units of `1 / (out columns x out rows)` pixel.
/// A picture of the size `out` is copied; a larger `out` repeats pixels.
pub fn means<const C: usize>(
    of: [u16; 2],
    out: [u16; 2],
    pixel: impl Fn(i32, i32) -> [u8; C],
) -> impl Iterator<Item = [u8; C]> {
    let [wide, high] = of.map(u32::from);
    let [columns, rows] = out.map(u32::from);
    let area = u64::from(wide) * u64::from(high);
    (0..rows).flat_map(move |v| (0..columns).map(move |u| (u, v))).map(move |(u, v)| {
        let mut sums = [0u64; C];
        for (y, tall) in spans(v, rows, high) {
            // Below 2^24: the shares of a row add up to its length.
            let mut row = [0u32; C];
            for (x, broad) in spans(u, columns, wide) {
                for (sum, value) in row.iter_mut().zip(pixel(x as i32, y as i32)) {
                    *sum += u32::from(value) * broad;
                }
            }
            for (sum, row) in sums.iter_mut().zip(row) {
                *sum += u64::from(row) * u64::from(tall);
            }
        }
        let mut pixel = [0; C];
        for (value, sum) in pixel.iter_mut().zip(sums) {
            *value = quotient(sum + area / 2, area);
        }
        pixel
    })
}

/// A quotient below 256, of an area that is not zero where there are pixels. Cores without a division of 64 bits have one of 32 that takes a few cycles.
fn quotient(sum: u64, area: u64) -> u8 {
    match (u32::try_from(sum), u32::try_from(area)) {
        (Ok(sum), Ok(area)) => (sum / area.max(1)) as u8,
        _ => (sum / area.max(1)) as u8,
    }
}

/// The picture's pixels under pixel `at` of `out` pixels that share `of` pixels, each with its length in units of `1 / out` pixel; the
/// lengths add up to `of`. No product reaches 2^32: all three are below 2^16.
fn spans(at: u32, out: u32, of: u32) -> impl Iterator<Item = (u32, u32)> {
    // Where there are none, nobody asks; the compiler sees that nothing is divided by zero.
    let out = out.max(1);
    let (start, end) = (at * of, (at + 1) * of);
    (start / out..end.div_ceil(out)).map(move |p| (p, end.min((p + 1) * out) - start.max(p * out)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scaled(data: &[u8], of: [u16; 2], out: [u16; 2]) -> Vec<u8> {
        means(of, out, |x, y| [data[y as usize * of[0] as usize + x as usize]]).flatten().collect()
    }

    #[test]
    fn means_by_hand() {
        // Left: 10, 50 whole, 20, 60 half: (60 + 40) / 3 = 33.3. Right: (100 + 40) / 3 = 46.7.
        assert_eq!(scaled(&[10, 20, 30, 50, 60, 70], [3, 2], [2, 1]), [33, 47]);
        // Upwards, pixels repeat.
        assert_eq!(scaled(&[10, 20], [2, 1], [4, 2]), [10, 10, 20, 20, 10, 10, 20, 20]);
    }

    #[test]
    fn the_longest_side_and_the_largest_area() {
        let side = u16::MAX;
        let row = means([side, 1], [2, 1], |x, _| [if x < 0x8000 { 255u8 } else { 1 }]);
        // The middle pixel, 32,767, is white and half of it lies on the right: (255 / 2 + 32767) / 32767.5 = 1.004.
        assert_eq!(row.flatten().collect::<Vec<u8>>(), [255, 1]);
        let one: Vec<[u8; 1]> =
            means([side, 4096], [1, 1], |_, y| [if y % 2 == 0 { 255 } else { 254 }]).collect();
        assert_eq!(one, [[255]], "254.5, rounded up");
    }

    proptest! {
        /// Against a model that blows the picture up until nothing lies in two pixels.
        #[test]
        fn every_size(of in [1u16..12, 1u16..12], out in [1u16..12, 1u16..12], seed: u64) {
            let [w, h] = of.map(usize::from);
            let data: Vec<u8> = (0..w * h).map(|i| (seed.rotate_left(i as u32 * 7) & 0xff) as u8).collect();
            let [ow, oh] = out.map(usize::from);
            let mut wanted = Vec::new();
            for v in 0..oh {
                for u in 0..ow {
                    let mut sum = 0;
                    for y in v * h..(v + 1) * h {
                        for x in u * w..(u + 1) * w {
                            sum += data[y / oh * w + x / ow] as usize;
                        }
                    }
                    wanted.push(((sum + w * h / 2) / (w * h)) as u8);
                }
            }
            prop_assert_eq!(scaled(&data, of, out), wanted);
        }
    }
}
