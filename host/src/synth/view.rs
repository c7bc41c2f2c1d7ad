//! What differs from one photograph of a person to the next: pose, light, expression, occlusion, background, noise.

use super::canvas::Colour;
use super::dice::Dice;

/// What stands behind the person.
#[derive(Debug, Clone, Copy)]
pub enum Backdrop {
    /// From one colour at the top to another at the bottom.
    Gradient,
    /// Stripes this wide, in shares of the picture.
    Stripes(f32),
    /// Two areas, parted by a slanted line.
    Halves,
    /// A lamp or window: a bright disc of this radius.
    Disc(f32),
}

/// What is before the face.
#[derive(Debug, Clone, Copy)]
pub enum Occluder {
    /// Something at the picture's border: its nearest edge lies `reach` into the picture, from the side that
    /// `towards` points to.
    Edge {
        /// Unit vector.
        towards: [f32; 2],
        /// In face units from the face's origin.
        reach: f32,
        /// Its colour.
        colour: Colour,
    },
    /// A round thing, such as a hand or a cup.
    Blob {
        /// Its centre.
        at: [f32; 2],
        /// Its radius.
        radius: f32,
        /// Its colour.
        colour: Colour,
    },
}

/// One photograph's parameters.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names say what they are; units are face units and shares of the picture")]
pub struct View {
    /// Of the picture's size.
    pub shift: [f32; 2],
    pub zoom: f32,
    /// Cosine and sine.
    pub roll: [f32; 2],
    /// Sine of the head's turn to the side, and how far up it looks.
    pub yaw: f32,
    pub pitch: f32,
    /// How much brighter the lit side is, across and down.
    pub light: [f32; 2],
    pub gain: Colour,
    pub contrast: f32,
    pub smile: f32,
    pub mouth_open: f32,
    pub eye_open: f32,
    pub brow_raise: f32,
    pub gaze: [f32; 2],
    pub shirt: Colour,
    pub collar: bool,
    pub backdrop: Backdrop,
    pub colours: [Colour; 2],
    pub slant: f32,
    pub occluder: Option<Occluder>,
    /// Standard deviation in shares of the full range.
    pub noise: f32,
    /// Weight of the neighbours in a 3x3 smoothing.
    pub blur: f32,
}

impl View {
    /// The photograph that `dice` falls for.
    pub fn roll(dice: &mut Dice) -> Self {
        // The tangent of half the roll: the angle's sine and cosine without trigonometry.
        let t = dice.bell() * 0.045;
        let roll = [(1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t)];
        let gain = dice.between(0.65, 1.20);
        let tint = dice.between(-0.09, 0.09);
        let green = dice.between(-0.03, 0.03);
        // Half-way between any colour and its grey: rooms and clothes, not signal flags.
        let colour = |dice: &mut Dice| -> Colour {
            let [r, g, b]: Colour = std::array::from_fn(|_| dice.unit());
            let grey = 0.3 * r + 0.6 * g + 0.1 * b;
            [r, g, b].map(|c| 0.5 * (c + grey))
        };
        let shirt = colour(dice);
        let colours = [colour(dice), colour(dice)];
        let backdrop = match dice.below(5) {
            0 | 1 => Backdrop::Gradient,
            2 => Backdrop::Stripes(dice.between(0.08, 0.3)),
            3 => Backdrop::Halves,
            _ => Backdrop::Disc(dice.between(0.15, 0.5)),
        };
        let occluder = match dice.below(14) {
            0 => {
                let u = dice.between(-1.0, 1.0);
                let towards = [2.0 * u / (1.0 + u * u), (1.0 - u * u) / (1.0 + u * u)];
                Some(Occluder::Edge { towards, reach: dice.between(0.45, 0.9), colour: colour(dice) })
            }
            1 => {
                let at = [dice.between(-0.7, 0.7), dice.between(-0.4, 0.9)];
                Some(Occluder::Blob { at, radius: dice.between(0.12, 0.26), colour: colour(dice) })
            }
            _ => None,
        };
        View {
            shift: [dice.bell() * 0.078, dice.bell() * 0.066],
            zoom: 1.0 + dice.bell() * 0.08,
            roll,
            yaw: dice.bell() * 0.15,
            pitch: dice.bell() * 0.03,
            light: [dice.bell() * 0.16, dice.bell() * 0.08],
            gain: [gain * (1.0 + tint), gain * (1.0 + green), gain * (1.0 - tint)],
            contrast: dice.between(0.85, 1.12),
            smile: dice.between(-0.3, 1.0),
            mouth_open: if dice.chance(0.3) { dice.between(0.3, 1.0) } else { 0.0 },
            eye_open: if dice.chance(0.06) { 0.15 } else { dice.between(0.75, 1.1) },
            brow_raise: dice.bell() * 0.02,
            gaze: [dice.bell() * 0.3, dice.bell() * 0.15],
            shirt,
            collar: dice.chance(0.4),
            backdrop,
            colours,
            slant: dice.between(-0.6, 0.6),
            occluder,
            noise: dice.between(0.004, 0.022),
            blur: if dice.chance(0.3) { dice.between(0.3, 0.9) } else { 0.0 },
        }
    }
}
