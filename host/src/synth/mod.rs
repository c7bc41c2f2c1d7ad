//! Synthetic identities without end: parametric portraits that train, calibrate and demonstrate a model without a
//! photograph of anybody.
//!
//! A portrait is a pure function of `(seed, identity, view, size)`. The identity decides the face ([`identity`]); the view
//! decides pose, light, expression, occlusion, background and noise ([`view`]). Views differ so much that neither the
//! raw pixels nor the mean colour tell two people apart (a test holds both below 65 % of pairs), while the shapes do.
//! The arithmetic is `+ - * /` and `sqrt` in f32 on ChaCha8 numbers: a picture has the same bytes on every machine.

mod canvas;
pub(crate) mod dice;
mod draw;
pub mod identity;
pub mod view;

use image::RgbImage;

use dice::Dice;
use identity::Identity;
use view::{Backdrop, View};

/// The number that sets identities' streams apart from views' streams.
const IDENTITY: u64 = 0;
const VIEW: u64 = 1;
const PIXELS: u64 = 2;

/// A population of synthetic people.
///
/// ```
/// use arcgate::synth::Portraits;
/// let people = Portraits::new(7);
/// let picture = people.portrait(3, 0, (64, 64));
/// assert_eq!(picture, people.portrait(3, 0, (64, 64)));
/// assert_ne!(picture, people.portrait(3, 1, (64, 64)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portraits {
    seed: u64,
}

impl Portraits {
    /// The population of `seed`; another seed gives other people.
    pub fn new(seed: u64) -> Self {
        Portraits { seed }
    }

    /// What is constant about person number `identity`.
    pub fn identity(&self, identity: u64) -> Identity {
        Identity::roll(&mut Dice::new(self.seed, identity, IDENTITY, 0))
    }

    /// What photograph number `view` of person number `identity` is like.
    pub fn view(&self, identity: u64, view: u64) -> View {
        View::roll(&mut Dice::new(self.seed, identity, VIEW, view))
    }

    /// Photograph number `view` of person number `identity`, `size` = (columns, rows), each at least 1.
    ///
    /// The face is framed: centred but for the view's shift, its height about seven tenths of the shorter side.
    pub fn portrait(&self, identity: u64, view: u64, size: (u32, u32)) -> RgbImage {
        let (who, how) = (self.identity(identity), self.view(identity, view));
        let noise = Dice::new(self.seed, identity, PIXELS, view);
        develop(&who, &how, noise, size)
    }
}

/// Paints, lights and develops one picture.
fn develop(who: &Identity, how: &View, mut noise: Dice, (width, height): (u32, u32)) -> RgbImage {
    let (columns, rows) = (width as usize, height as usize);
    let mut canvas = draw::person(who, how, columns, rows);
    let placement = canvas.placement();
    canvas.map(|column, row, [r, g, b, a]| {
        let [x, y] = placement.to_face(column, row);
        let lit = (1.0 + how.light[0] * x + how.light[1] * y).max(0.15);
        let [gr, gg, gb] = how.gain;
        [r * gr * lit, g * gg * lit, b * gb * lit, a]
    });
    draw::occluder(&mut canvas, how);
    let mut picture: Vec<[f32; 3]> = Vec::with_capacity(columns * rows);
    for (i, [r, g, b, a]) in canvas.into_pixels().into_iter().enumerate() {
        let x = (i % columns) as f32 / columns as f32;
        let y = (i / columns) as f32 / rows as f32;
        let behind = backdrop(how, x, y);
        picture.push([r + (1.0 - a) * behind[0], g + (1.0 - a) * behind[1], b + (1.0 - a) * behind[2]]);
    }
    if how.blur > 0.0 {
        picture = blurred(&picture, columns, rows, how.blur);
    }
    let mut bytes = Vec::with_capacity(3 * picture.len());
    for pixel in picture {
        let grain = noise.noise4();
        for channel in 0..3 {
            // Grain is mostly the same in all channels, as sensors' is after demosaicing.
            let noisy = pixel[channel] + how.noise * (0.7 * grain[3] + 0.7 * grain[channel]);
            let value = (noisy - 0.5) * how.contrast + 0.5;
            bytes.push((value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
        }
    }
    RgbImage::from_raw(width, height, bytes).expect("three bytes were pushed for each pixel")
}

fn backdrop(how: &View, x: f32, y: f32) -> [f32; 3] {
    let t = match how.backdrop {
        Backdrop::Gradient => y + how.slant * (x - 0.5),
        Backdrop::Stripes(width) => {
            let phase = (x + how.slant * y + 4.0) / width;
            if phase as i32 % 2 == 0 { 0.0 } else { 1.0 }
        }
        Backdrop::Halves => ((x - 0.5 + how.slant * (y - 0.5)) * 40.0 + 0.5).clamp(0.0, 1.0),
        Backdrop::Disc(radius) => {
            let (dx, dy) = (x - 0.5 - how.slant, y - 0.3);
            (2.0 - (dx * dx + dy * dy).sqrt() / radius).clamp(0.0, 1.0)
        }
    };
    identity::mix(how.colours[0], how.colours[1], t.clamp(0.0, 1.0))
}

/// A 3x3 smoothing: each pixel and `weight` times the mean of its row and column neighbours, borders replicated.
fn blurred(from: &[[f32; 3]], columns: usize, rows: usize, weight: f32) -> Vec<[f32; 3]> {
    let mut to = Vec::with_capacity(from.len());
    for row in 0..rows {
        let (up, down) = (row.saturating_sub(1) * columns, (row + 1).min(rows - 1) * columns);
        for column in 0..columns {
            let (left, right) = (column.saturating_sub(1), (column + 1).min(columns - 1));
            let at = row * columns;
            let near = [from[up + column], from[down + column], from[at + left], from[at + right]];
            let own = from[at + column];
            to.push(std::array::from_fn(|c| {
                let sum = near[0][c] + near[1][c] + near[2][c] + near[3][c];
                (own[c] + weight * 0.25 * sum) / (1.0 + weight)
            }));
        }
    }
    to
}

#[cfg(test)]
mod tests;
