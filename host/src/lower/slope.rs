//! Tables of a PReLU back to two straight lines: 256 bytes a channel become four.

use arcgate_firmware::kernels::scalar::Slope;

use super::network::Slopes;

/// The multipliers whose [`Slope`] equals every entry of `tables` (256 for each channel, indexed by the input's byte), if
/// there are any.
///
/// Each entry bounds its multiplier from both sides, and the bounds of a line's entries intersect in all multipliers that
/// are right for all of them: the search is exact. The most fraction bits that fit 32-bit products are taken.
pub fn slopes(tables: &[i8], input_zero: i8) -> Option<Slopes> {
    let output_zero = tables[input_zero as u8 as usize];
    (8..=24u8).rev().find_map(|bits| {
        let line = |below: bool| {
            let rows = tables.chunks_exact(256);
            let bounds = rows.map(move |table| bounds(table, input_zero, output_zero, bits, below));
            bounds.collect::<Vec<_>>()
        };
        let greatest = Slope { bits, positive: 0, negative: Default::default(), input_zero, output_zero }
            .greatest() as i64;
        let within = |(least, most): (i64, i64)| {
            let (least, most) = (least.max(-greatest), most.min(greatest));
            (least <= most).then(|| (least + (most - least) / 2) as i32)
        };
        let all = |a: (i64, i64), b: &(i64, i64)| (a.0.max(b.0), a.1.min(b.1));
        let positive = within(line(false).iter().fold((i64::MIN, i64::MAX), all))?;
        let negative = line(true).into_iter().map(within).collect::<Option<Vec<i32>>>()?;
        Some(Slopes { bits, positive, negative, input_zero, output_zero })
    })
}

/// The least and greatest multiplier for which one line of one table is right.
fn bounds(table: &[i8], input_zero: i8, output_zero: i8, bits: u8, below: bool) -> (i64, i64) {
    let one = 1i64 << bits;
    let (mut least, mut most) = (i64::MIN, i64::MAX);
    for x in i8::MIN..=i8::MAX {
        let steps = x as i64 - input_zero as i64;
        let y = table[x as u8 as usize];
        if (steps < 0) != below {
            continue;
        }
        // (steps * m + one / 2) >> bits == y - output_zero, or beyond it where y is clamped.
        let wanted = y as i64 - output_zero as i64;
        let from = if y == i8::MIN { None } else { Some(wanted * one - one / 2) };
        let to = if y == i8::MAX { None } else { Some((wanted + 1) * one - one / 2 - 1) };
        match steps {
            0 => {
                if from.is_some_and(|from| from > 0) || to.is_some_and(|to| to < 0) {
                    return (1, 0);
                }
            }
            1.. => {
                least = least.max(from.map_or(i64::MIN, |from| ceil_div(from, steps)));
                most = most.min(to.map_or(i64::MAX, |to| to.div_euclid(steps)));
            }
            _ => {
                // Dividing by a negative number turns the bounds round.
                least = least.max(to.map_or(i64::MIN, |to| ceil_div(-to, -steps)));
                most = most.min(from.map_or(i64::MAX, |from| (-from).div_euclid(-steps)));
            }
        }
    }
    (least, most)
}

/// Division by a positive number, rounded up.
fn ceil_div(a: i64, b: i64) -> i64 {
    -((-a).div_euclid(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arcgate_firmware::kernels::Words;

    /// A PReLU's table as DequantizeLinear, PRelu, QuantizeLinear give it.
    fn table(slope: f32, input_scale: f32, input_zero: i8, output_scale: f32, output_zero: i8) -> Vec<i8> {
        let entry = |byte: u8| {
            let x = (byte as i8 as i32 - input_zero as i32) as f32 * input_scale;
            let y = if x < 0.0 { x * slope } else { x };
            ((y / output_scale).round_ties_even() as i32 + output_zero as i32).clamp(-128, 127) as i8
        };
        (0..=255).map(entry).collect()
    }

    #[test]
    fn two_lines_equal_every_entry() {
        let slopes_of = [0.25f32, 0.1, -0.3, 1.4, 0.0];
        for (input_scale, input_zero, output_scale, output_zero) in
            [(0.0213, 3, 0.0179, -20), (0.05, -128, 0.031, -100), (0.01, 40, 0.0707, 5), (0.9, 0, 0.1003, 0)]
        {
            let tables: Vec<i8> = slopes_of
                .iter()
                .flat_map(|&s| table(s, input_scale, input_zero, output_scale, output_zero))
                .collect();
            let found = slopes(&tables, input_zero).expect("lines exist");
            let bytes: Vec<u8> = found.negative.iter().flat_map(|m| m.to_le_bytes()).collect();
            let slope = Slope {
                bits: found.bits,
                positive: found.positive,
                negative: Words::new(&bytes),
                input_zero,
                output_zero: found.output_zero,
            };
            for (channel, &negative) in found.negative.iter().enumerate() {
                for x in i8::MIN..=i8::MAX {
                    assert_eq!(
                        slope.value(negative, x),
                        tables[channel * 256 + x as u8 as usize],
                        "{channel} {x}"
                    );
                }
            }
        }
    }

    #[test]
    fn curves_are_no_lines() {
        let curve: Vec<i8> = (0..=255u8).map(|b| ((b as i8 as i32).pow(2) / 128 - 64) as i8).collect();
        assert!(slopes(&curve, 0).is_none());
    }
}
