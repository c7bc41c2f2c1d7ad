//! What stays the same about a person: the parameters that a portrait's identity decides.

use super::canvas::Colour;
use super::dice::Dice;

/// How the hair is worn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HairStyle {
    /// None.
    Bald,
    /// Only at the sides.
    Receding,
    /// A few millimetres all over.
    Buzz,
    /// Combed to one side.
    SidePart,
    /// Combed up in front.
    Quiff,
    /// Standing up in points.
    Spikes,
    /// A ring of curls.
    Curls,
    /// A large round ball.
    Afro,
    /// To the chin, with a fringe.
    Bob,
    /// Past the shoulders, parted.
    Long,
    /// Pulled back into a knot on top.
    Bun,
    /// Two tails.
    Tails,
}

const STYLES: [HairStyle; 12] = [
    HairStyle::Bald,
    HairStyle::Receding,
    HairStyle::Buzz,
    HairStyle::SidePart,
    HairStyle::Quiff,
    HairStyle::Spikes,
    HairStyle::Curls,
    HairStyle::Afro,
    HairStyle::Bob,
    HairStyle::Long,
    HairStyle::Bun,
    HairStyle::Tails,
];

/// Hair on the lower face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beard {
    /// None.
    None,
    /// A shadow.
    Stubble,
    /// On the upper lip.
    Moustache,
    /// Around the chin.
    Goatee,
    /// All of the lower face.
    Full,
}

/// Spectacles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glasses {
    /// None.
    None,
    /// Circles.
    Round,
    /// Rounded rectangles.
    Square,
    /// A heavy upper rim.
    Browline,
}

/// A mole: where (face coordinates) and how large.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    /// Its centre.
    pub at: [f32; 2],
    /// Its radius.
    pub radius: f32,
}

/// The parameters of a person. Lengths are in face units (the head is about 1.5 wide and 2 high).
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names are the parts of a face")]
pub struct Identity {
    pub head_width: f32,
    pub head_height: f32,
    pub jaw_taper: f32,
    pub jaw_square: f32,
    pub skin: Colour,
    pub blush: f32,
    pub ear_size: f32,
    pub earring: Option<Colour>,
    pub style: HairStyle,
    pub hair: Colour,
    /// Of the hair behind the head.
    pub back_hair: Colour,
    pub band: Option<Colour>,
    pub hairline: f32,
    pub hairline_curve: f32,
    pub part: f32,
    pub volume: f32,
    pub eye_y: f32,
    pub eye_apart: f32,
    pub eye_width: f32,
    pub eye_open: f32,
    pub eye_tilt: f32,
    pub iris: Colour,
    pub lashes: f32,
    pub brow_gap: f32,
    pub brow_width: f32,
    pub brow_thick: f32,
    pub brow_tilt: f32,
    pub brow_bend: f32,
    pub brow: Colour,
    pub nose_length: f32,
    pub nose_width: f32,
    pub nose_bridge: f32,
    pub mouth_y: f32,
    pub mouth_width: f32,
    pub lip: f32,
    pub lip_colour: Colour,
    pub beard: Beard,
    pub beard_length: f32,
    pub beard_colour: Colour,
    pub glasses: Glasses,
    pub frame: Colour,
    pub lens: [f32; 2],
    pub mole: Option<Mark>,
    pub freckles: bool,
}

const SKINS: [Colour; 6] = [
    [0.99, 0.87, 0.78],
    [0.95, 0.77, 0.63],
    [0.85, 0.64, 0.47],
    [0.70, 0.48, 0.33],
    [0.51, 0.33, 0.23],
    [0.35, 0.22, 0.16],
];

const HAIRS: [Colour; 10] = [
    [0.08, 0.07, 0.08],
    [0.20, 0.13, 0.09],
    [0.36, 0.22, 0.13],
    [0.52, 0.33, 0.17],
    [0.86, 0.69, 0.39],
    [0.95, 0.84, 0.60],
    [0.72, 0.31, 0.13],
    [0.62, 0.61, 0.62],
    [0.90, 0.89, 0.88],
    [0.45, 0.12, 0.14],
];

const DYES: [Colour; 8] = [
    [0.16, 0.40, 0.80],
    [0.90, 0.36, 0.62],
    [0.18, 0.62, 0.36],
    [0.48, 0.26, 0.72],
    [0.92, 0.46, 0.10],
    [0.20, 0.72, 0.76],
    [0.82, 0.12, 0.16],
    [0.78, 0.86, 0.24],
];

const IRISES: [Colour; 5] =
    [[0.24, 0.14, 0.08], [0.42, 0.27, 0.12], [0.33, 0.52, 0.73], [0.33, 0.52, 0.34], [0.48, 0.52, 0.55]];

const FRAMES: [Colour; 6] = [
    [0.07, 0.07, 0.08],
    [0.33, 0.17, 0.09],
    [0.70, 0.12, 0.12],
    [0.14, 0.26, 0.53],
    [0.77, 0.62, 0.26],
    [0.93, 0.93, 0.93],
];

/// Between two colours.
pub fn mix(a: Colour, b: Colour, t: f32) -> Colour {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * t)
}

impl Identity {
    /// The person that `dice` falls for.
    pub fn roll(dice: &mut Dice) -> Self {
        let tone = dice.unit() * (SKINS.len() - 1) as f32;
        let stop = (tone as usize).min(SKINS.len() - 2);
        let warm = dice.between(-0.04, 0.04);
        let skin = mix(SKINS[stop], SKINS[stop + 1], tone - stop as f32);
        let skin = [skin[0] + warm, skin[1], skin[2] - warm];
        let hair = if dice.chance(0.4) { dice.pick(&DYES) } else { dice.pick(&HAIRS) };
        let hair = hair.map(|c| (c * dice.between(0.88, 1.12)).min(1.0));
        let style = dice.pick(&STYLES);
        let lip_base = mix(skin, [0.70, 0.22, 0.25], dice.between(0.3, 0.6));
        let bearded =
            !matches!(style, HairStyle::Bob | HairStyle::Long | HairStyle::Tails) && dice.chance(0.6);
        let kinds = [Beard::Stubble, Beard::Moustache, Beard::Goatee, Beard::Full];
        let painted = !bearded && dice.chance(0.35);
        let rims = [Glasses::Round, Glasses::Square, Glasses::Browline];
        let ring = [[0.95, 0.80, 0.30], [0.92, 0.92, 0.95], [0.15, 0.60, 0.60]];
        let eye_y = dice.between(-0.16, 0.06);
        let mole = [dice.between(-0.42, 0.42), dice.between(0.1, 0.62)];
        Identity {
            head_width: dice.between(0.62, 0.82),
            head_height: dice.between(0.88, 1.06),
            jaw_taper: dice.between(0.05, 0.36),
            jaw_square: dice.unit(),
            skin,
            blush: dice.unit(),
            ear_size: dice.between(0.11, 0.22),
            earring: dice.chance(0.3).then(|| dice.pick(&ring)),
            style,
            hair,
            back_hair: if dice.chance(0.4) { dice.pick(&DYES) } else { hair },
            band: dice.chance(0.45).then(|| dice.pick(&DYES)),
            hairline: dice.between(-0.66, -0.36),
            hairline_curve: dice.between(-0.1, 0.5),
            part: dice.between(-0.45, 0.45),
            volume: dice.between(0.04, 0.20),
            eye_y,
            eye_apart: dice.between(0.25, 0.39),
            eye_width: dice.between(0.12, 0.19),
            eye_open: dice.between(0.45, 0.80),
            eye_tilt: dice.between(-0.2, 0.2),
            iris: dice.pick(&IRISES),
            lashes: if painted { dice.between(0.6, 1.0) } else { dice.between(0.1, 0.5) },
            brow_gap: dice.between(0.13, 0.27),
            brow_width: dice.between(0.14, 0.23),
            brow_thick: dice.between(0.018, 0.06),
            brow_tilt: dice.between(-0.25, 0.25),
            brow_bend: dice.between(0.0, 0.09),
            brow: mix(hair, [0.10, 0.07, 0.06], 0.4),
            nose_length: dice.between(0.24, 0.46),
            nose_width: dice.between(0.07, 0.18),
            nose_bridge: dice.between(0.02, 0.06),
            mouth_y: dice.between(0.47, 0.64),
            mouth_width: dice.between(0.16, 0.34),
            lip: dice.between(0.025, 0.075),
            lip_colour: if painted {
                dice.pick(&[[0.78, 0.08, 0.15], [0.50, 0.10, 0.34], [0.95, 0.45, 0.45]])
            } else {
                lip_base
            },
            beard: if bearded { dice.pick(&kinds) } else { Beard::None },
            beard_length: dice.between(0.02, 0.2),
            beard_colour: if dice.chance(0.4) { dice.pick(&DYES) } else { hair },
            glasses: if dice.chance(0.4) { dice.pick(&rims) } else { Glasses::None },
            frame: dice.pick(&FRAMES),
            lens: [dice.between(0.19, 0.25), dice.between(0.13, 0.21)],
            mole: dice.chance(0.3).then(|| Mark { at: mole, radius: 0.025 + 0.02 * mole[1] }),
            freckles: dice.chance(0.15),
        }
    }
}
