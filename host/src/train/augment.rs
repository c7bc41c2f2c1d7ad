//! Pictures of any size into crops of the input's size, varied on the way.

use crate::synth::dice::Dice;

use super::recipe::AugmentConfig;

/// A picture in memory: rows from top to bottom, `channels` bytes a pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// The bytes.
    pub data: Vec<u8>,
}

/// How a crop differs from its picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variation {
    flip: bool,
    /// Shares of the side.
    shift: [f32; 2],
    scale: f32,
    /// Cosine and sine of the turn.
    turn: [f32; 2],
    shear: f32,
    /// Right angles, for classes that are turned characters.
    quarter_turns: usize,
}

impl Variation {
    /// None at all but `quarter_turns` right angles.
    pub fn plain(quarter_turns: usize) -> Self {
        Variation { flip: false, shift: [0.0; 2], scale: 1.0, turn: [1.0, 0.0], shear: 0.0, quarter_turns }
    }

    /// Left and right change places, and nothing else.
    pub fn mirrored() -> Self {
        Variation { flip: true, ..Variation::plain(0) }
    }

    /// The one that `dice` falls for.
    pub fn roll(config: &AugmentConfig, quarter_turns: usize, dice: &mut Dice) -> Self {
        let mut up_to = |most: f32| dice.between(-most, most);
        let shift = [up_to(config.shift), up_to(config.shift)];
        let scale = 1.0 + up_to(config.scale);
        let turn = up_to(config.rotate).to_radians();
        let shear = up_to(config.shear);
        let flip = config.flip && dice.chance(0.5);
        Variation { flip, shift, scale, turn: [turn.cos(), turn.sin()], shear, quarter_turns }
    }
}

/// A crop of `width` x `height` from the whole of `picture`, varied.
///
/// Each pixel is the mean of 2x2 bilinear samples, which is smooth enough for pictures up to four times the crop's size;
/// beyond the border the border's pixels go on.
pub fn crop(picture: &Picture, variation: &Variation, width: usize, height: usize) -> Vec<u8> {
    let plain = *variation == Variation::plain(0);
    if plain && (picture.width, picture.height) == (width, height) {
        return picture.data.clone();
    }
    let (w, h) = (picture.width as f32, picture.height as f32);
    let [cos, sin] = variation.turn;
    let mut out = Vec::with_capacity(width * height * picture.channels);
    for row in 0..height {
        for column in 0..width {
            let mut sums = [0.0_f32; 3];
            for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                let mut x = (column as f32 + dx) / width as f32 - 0.5;
                let mut y = (row as f32 + dy) / height as f32 - 0.5;
                for _ in 0..variation.quarter_turns {
                    (x, y) = (y, -x);
                }
                let u = (x + variation.shear * y) / variation.scale;
                let v = y / variation.scale;
                let (u, v) = (cos * u + sin * v + variation.shift[0], cos * v - sin * u + variation.shift[1]);
                let u = if variation.flip { -u } else { u };
                sample(picture, (u + 0.5) * w - 0.5, (v + 0.5) * h - 0.5, &mut sums);
            }
            out.extend(sums[..picture.channels].iter().map(|s| (s * 0.25 + 0.5) as u8));
        }
    }
    out
}

/// Adds the bilinear sample at (`x`, `y`) to `sums`.
fn sample(picture: &Picture, x: f32, y: f32, sums: &mut [f32; 3]) {
    let x = x.clamp(0.0, (picture.width - 1) as f32);
    let y = y.clamp(0.0, (picture.height - 1) as f32);
    let (x0, y0) = (x as usize, y as usize);
    let (x1, y1) = ((x0 + 1).min(picture.width - 1), (y0 + 1).min(picture.height - 1));
    let (fx, fy) = (x - x0 as f32, y - y0 as f32);
    let at = |x: usize, y: usize| (y * picture.width + x) * picture.channels;
    let (a, b, c, d) = (at(x0, y0), at(x1, y0), at(x0, y1), at(x1, y1));
    for (channel, sum) in sums[..picture.channels].iter_mut().enumerate() {
        let value = |i: usize| f32::from(picture.data[i + channel]);
        let top = value(a) + fx * (value(b) - value(a));
        let bottom = value(c) + fx * (value(d) - value(c));
        *sum += top + fy * (bottom - top);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        Picture { width: 4, height: 4, channels: 1, data: (0..16).map(|i| i * 15).collect() }
    }

    #[test]
    fn a_picture_of_the_right_size_stays_as_it_is() {
        assert_eq!(crop(&picture(), &Variation::plain(0), 4, 4), picture().data);
        let mut dice = Dice::new(1, 1, 1, 1);
        let none = Variation::roll(&AugmentConfig::default(), 0, &mut dice);
        assert_eq!(crop(&picture(), &none, 4, 4), picture().data);
    }

    #[test]
    fn four_right_angles_are_none() {
        let big = Picture { width: 16, height: 16, channels: 1, data: (0..=255).collect() };
        let whole = crop(&big, &Variation::plain(0), 8, 8);
        let turned = crop(&big, &Variation::plain(1), 8, 8);
        // Turned by a right angle, the picture's corners change places.
        assert_eq!(turned[0], whole[7 * 8]);
        let back = crop(&big, &Variation::plain(4), 8, 8);
        assert_eq!(back, whole);
    }

    #[test]
    fn shrinking_averages() {
        let flat = Picture { width: 9, height: 7, channels: 3, data: vec![77; 9 * 7 * 3] };
        assert_eq!(crop(&flat, &Variation::plain(0), 4, 3), vec![77; 36]);
    }
}
