//! Paints a person as seen in one view, from the back of the hair to the rim of the glasses.

use super::canvas::shape::{arc, ellipse, rounded, stroke};
use super::canvas::{Canvas, Colour, Placement};
use super::identity::{Beard, Glasses, HairStyle, Identity, mix};
use super::view::{Occluder, View};

const LARGE: [f32; 4] = [-3.0, -3.0, 3.0, 3.0];

/// A person in a view: what every part needs to know.
struct Sitter<'a> {
    who: &'a Identity,
    view: &'a View,
    /// Cosine of the yaw.
    turn: f32,
}

/// The person before a transparent ground, lit; `size` is the shorter side in pixels.
pub fn person(who: &Identity, view: &View, width: usize, height: usize) -> Canvas {
    let size = width.min(height) as f32;
    let centre = [
        (width as f32 - 1.0) * 0.5 + view.shift[0] * size,
        (height as f32 - 1.0) * 0.5 + (view.shift[1] + 0.02) * size,
    ];
    let placement = Placement { scale: size * 0.345 * view.zoom, roll: view.roll, centre };
    let mut canvas = Canvas::new(width, height, placement);
    let sitter = Sitter { who, view, turn: (1.0 - view.yaw * view.yaw).max(0.0).sqrt() };
    sitter.back_hair(&mut canvas);
    sitter.shoulders(&mut canvas);
    sitter.ears(&mut canvas);
    sitter.head(&mut canvas);
    sitter.skin_marks(&mut canvas);
    sitter.beard(&mut canvas);
    sitter.mouth(&mut canvas);
    sitter.nose(&mut canvas);
    sitter.eyes(&mut canvas);
    sitter.front_hair(&mut canvas);
    sitter.band(&mut canvas);
    sitter.glasses(&mut canvas);
    canvas
}

/// What stands between the camera and the person; painted after the light, which does not fall on it.
pub fn occluder(canvas: &mut Canvas, view: &View) {
    match view.occluder {
        Some(Occluder::Edge { towards: [tx, ty], reach, colour }) => {
            canvas.fill(LARGE, colour, 1.0, move |x, y| reach - (x * tx + y * ty));
        }
        Some(Occluder::Blob { at, radius, colour }) => {
            let bounds = [at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius];
            canvas.fill(bounds, colour, 1.0, ellipse(at, [radius, radius]));
        }
        None => {}
    }
}

impl Sitter<'_> {
    /// Where a point of the face appears: `depth` towards the camera moves with the yaw, the rest is foreshortened.
    fn at(&self, x: f32, y: f32, depth: f32) -> [f32; 2] {
        [x * self.turn + depth * self.view.yaw, y + depth * self.view.pitch]
    }

    /// Widths on the side turned away shrink a little more than those on the near side.
    fn width(&self, side: f32, width: f32) -> f32 {
        width * (self.turn - 0.25 * side * self.view.yaw)
    }

    /// Distance from the head's outline, grown by `extra`.
    fn outline(&self, extra: f32) -> impl Fn(f32, f32) -> f32 + use<> {
        let (rx, ry) = (self.who.head_width + extra, self.who.head_height + extra);
        let (taper, square) = (self.who.jaw_taper, self.who.jaw_square);
        move |x, y| {
            let v = y / ry;
            let down = v.clamp(0.0, 1.0);
            let u = x / (rx * (1.0 - taper * down * down));
            let (a, b) = (u * u, v * v);
            let round = (a + b).sqrt();
            let boxy = (a * a + b * b).sqrt().sqrt();
            let mixed = if y > 0.0 { round + square * 0.6 * (boxy - round) * down } else { round };
            (mixed - 1.0) * rx.min(ry)
        }
    }

    /// Hair with a little sheen: lighter towards the top.
    fn sheen(&self) -> impl Fn(f32, f32) -> Colour + use<> {
        let hair = self.who.hair;
        move |x, y| {
            let light =
                1.0 + 0.16 * (-0.75 - y).clamp(-1.0, 0.5) + 0.05 * ((x * 23.0).abs() % 2.0 - 1.0).abs();
            hair.map(|c| c * light)
        }
    }

    fn back_hair(&self, canvas: &mut Canvas) {
        let (who, dark) = (self.who, self.who.back_hair.map(|c| c * 0.78));
        let (w, h, v) = (who.head_width, who.head_height, who.volume);
        let back = self.at(0.0, 0.0, -0.25);
        let mut fill = |half: [f32; 2], centre: [f32; 2], radius: f32| {
            let [cx, cy] = [centre[0] + back[0], centre[1] + back[1]];
            let bounds = [cx - half[0], cy - half[1], cx + half[0], cy + half[1]];
            canvas.fill(bounds, dark, 1.0, rounded([cx, cy], half, radius));
        };
        match who.style {
            HairStyle::Afro => {
                let r = w + 0.22 + 1.2 * v;
                fill([r, r], [0.0, -0.32], r);
            }
            HairStyle::Bob => fill([w + 0.06 + v, h * 0.5 + 0.5], [0.0, -0.02 - 0.5 * v], 0.55),
            HairStyle::Long => fill([w + 0.04 + v, h * 0.5 + 0.95], [0.0, 0.45], 0.6),
            HairStyle::Bun => {
                let r = 0.2 + 0.8 * v;
                fill([r, r], [0.0, -h - 0.05 - 0.5 * r], r);
            }
            HairStyle::Tails => {
                for side in [-1.0, 1.0] {
                    fill([0.17 + 0.6 * v, 0.44], [side * (w + 0.16 + 0.4 * v), 0.12], 0.17);
                }
            }
            HairStyle::Curls => {
                let r = 0.15 + 0.5 * v;
                for [x, y] in
                    [[-1.0, 0.05], [1.0, 0.05], [-1.04, -0.25], [1.04, -0.25], [-0.95, -0.52], [0.95, -0.52]]
                {
                    fill([r, r], [x * (w + 0.02), y], r);
                }
            }
            _ => {}
        }
    }

    fn shoulders(&self, canvas: &mut Canvas) {
        let (who, shirt) = (self.who, self.view.shirt);
        let shade = who.skin.map(|c| c * 0.80);
        let neck = 0.30 + 0.25 * (who.head_width - 0.62);
        canvas.fill([-neck, 0.4, neck, 1.6], shade, 1.0, rounded([0.0, 1.0], [neck, 0.6], 0.1));
        let top = who.head_height + 0.22;
        canvas.fill([-3.0, top - 0.1, 3.0, 3.0], shirt, 1.0, rounded([0.0, top + 1.0], [1.35, 1.0], 0.45));
        canvas.fill(
            [-neck, top - 0.3, neck, top + 0.3],
            shade,
            1.0,
            ellipse([0.0, top - 0.02], [neck, 0.17]),
        );
        if self.view.collar {
            let light = mix(shirt, [1.0; 3], 0.5);
            for side in [-1.0, 1.0] {
                let (from, to) = ([side * neck, top], [side * 0.06, top + 0.26]);
                canvas.fill([-1.0, top - 0.2, 1.0, top + 0.5], light, 1.0, stroke(from, to, 0.06));
            }
        }
    }

    fn ears(&self, canvas: &mut Canvas) {
        let who = self.who;
        let size = who.ear_size;
        for side in [-1.0, 1.0] {
            let [x, y] = self.at(side * (who.head_width - 0.01), who.eye_y + 0.12, -0.12);
            let bounds = [x - size, y - 2.0 * size, x + size, y + 2.0 * size];
            canvas.fill(bounds, who.skin.map(|c| c * 0.93), 1.0, ellipse([x, y], [size * 0.75, size * 1.25]));
            canvas.fill(bounds, who.skin.map(|c| c * 0.74), 1.0, ellipse([x, y], [size * 0.4, size * 0.8]));
            if let Some(ring) = who.earring {
                let drop = [x + side * 0.02, y + size * 1.35];
                let bounds = [drop[0] - 0.1, drop[1] - 0.1, drop[0] + 0.1, drop[1] + 0.1];
                canvas.fill(bounds, ring, 1.0, ellipse(drop, [0.055, 0.055]));
            }
        }
    }

    fn head(&self, canvas: &mut Canvas) {
        let who = self.who;
        let (rx, ry) = (who.head_width, who.head_height);
        let skin = who.skin;
        let colour = move |x: f32, y: f32| {
            let (u, v) = (x / rx, y / ry);
            let round = 1.06 - 0.16 * (u * u + 0.7 * v * v);
            skin.map(|c| c * round)
        };
        canvas.shade([-rx, -ry, rx, ry], 1.0, self.outline(0.0), colour);
    }

    fn skin_marks(&self, canvas: &mut Canvas) {
        let who = self.who;
        let rosy = mix(who.skin, [0.85, 0.30, 0.28], 0.5);
        for side in [-1.0, 1.0] {
            let [x, y] = self.at(side * 0.40, 0.26, 0.2);
            canvas.fill(
                [x - 0.2, y - 0.2, x + 0.2, y + 0.2],
                rosy,
                who.blush * 0.4,
                ellipse([x, y], [0.16, 0.11]),
            );
            if who.freckles {
                for (dx, dy) in [(-0.09, 0.0), (0.0, 0.05), (0.09, -0.01), (-0.03, -0.06)] {
                    let dot = [x + dx, y + dy - 0.05];
                    let bounds = [dot[0] - 0.05, dot[1] - 0.05, dot[0] + 0.05, dot[1] + 0.05];
                    canvas.fill(bounds, who.skin.map(|c| c * 0.62), 0.8, ellipse(dot, [0.024, 0.022]));
                }
            }
        }
        if let Some(mole) = who.mole {
            let [x, y] = self.at(mole.at[0], mole.at[1], 0.22);
            let r = mole.radius;
            canvas.fill([x - r, y - r, x + r, y + r], [0.20, 0.10, 0.08], 1.0, ellipse([x, y], [r, r]));
        }
    }

    fn beard(&self, canvas: &mut Canvas) {
        let who = self.who;
        let [mx, my] = self.at(0.0, who.mouth_y, 0.22);
        let colour = who.beard_colour.map(|c| c * 0.78);
        let bounds = [-1.2, 0.0, 1.2, 1.7];
        match who.beard {
            Beard::None => {}
            Beard::Stubble | Beard::Full => {
                let grown = if who.beard == Beard::Full { who.beard_length } else { 0.0 };
                let opacity = if who.beard == Beard::Full { 1.0 } else { 0.35 };
                let (outline, upper) = (self.outline(grown), my - 0.16);
                let cheeks = ellipse([mx, upper - 0.12], [who.head_width * 0.72, 0.34]);
                let shape = move |x: f32, y: f32| {
                    let sideburns = 0.1 - y;
                    outline(x, y).max(sideburns).max(-cheeks(x, y))
                };
                canvas.fill(bounds, colour, opacity, shape);
            }
            Beard::Goatee => {
                let half = [who.mouth_width * 0.62, 0.17 + who.beard_length * 0.5];
                let centre = [mx, my + 0.2 + who.beard_length * 0.4];
                canvas.fill(bounds, colour, 1.0, rounded(centre, half, half[0].min(half[1])));
            }
            Beard::Moustache => {}
        }
        if matches!(who.beard, Beard::Moustache | Beard::Goatee | Beard::Full) {
            let half = who.mouth_width + 0.06;
            let thick = 0.045 + 0.2 * who.beard_length;
            canvas.fill(
                [mx - half, my - 0.3, mx + half, my + 0.2],
                colour,
                1.0,
                arc([mx, my - 0.13], half, 0.09, thick),
            );
        }
    }

    fn mouth(&self, canvas: &mut Canvas) {
        let (who, view) = (self.who, self.view);
        let [x, y] = self.at(0.0, who.mouth_y, 0.22);
        let half = who.mouth_width * self.turn * (1.0 + 0.18 * view.smile);
        let bend = -0.10 * view.smile;
        let bounds = [x - half - 0.05, y - 0.25, x + half + 0.05, y + 0.3];
        canvas.fill(
            bounds,
            who.lip_colour,
            1.0,
            arc([x, y + who.lip * 0.6], half * 0.9, bend, who.lip * 1.2),
        );
        canvas.fill(
            bounds,
            who.lip_colour.map(|c| c * 0.88),
            1.0,
            arc([x, y - who.lip * 0.3], half, bend, who.lip),
        );
        if view.mouth_open > 0.0 {
            let r = [half * 0.72, 0.03 + 0.07 * view.mouth_open];
            canvas.fill(bounds, [0.25, 0.07, 0.08], 1.0, ellipse([x, y + 0.02], r));
            let teeth = rounded([x, y - r[1] * 0.35], [r[0] * 0.72, r[1] * 0.35], 0.02);
            canvas.fill(bounds, [0.95, 0.94, 0.90], 1.0, teeth);
        } else {
            let line = who.lip_colour.map(|c| c * 0.5);
            canvas.fill(bounds, line, 0.9, arc([x, y + 0.005], half * 0.95, bend, 0.016));
        }
    }

    fn nose(&self, canvas: &mut Canvas) {
        let who = self.who;
        let tip_y = who.eye_y + 0.06 + who.nose_length;
        let [x, y] = self.at(0.0, tip_y, 0.42);
        let [bx, by] = self.at(0.0, who.eye_y, 0.18);
        let (dark, light) = (who.skin.map(|c| c * 0.70), mix(who.skin, [1.0; 3], 0.18));
        let side = if self.view.yaw > 0.0 { 1.0 } else { -1.0 };
        let bounds = [-0.6, by - 0.1, 0.6, y + 0.2];
        let bridge =
            stroke([bx + side * who.nose_bridge, by], [x + side * who.nose_width * 0.7, y - 0.05], 0.018);
        canvas.fill(bounds, dark, 0.55, bridge);
        canvas.fill(bounds, who.skin.map(|c| c * 0.86), 1.0, ellipse([x, y], [who.nose_width, 0.085]));
        canvas.fill(bounds, light, 0.7, ellipse([x - 0.01, y - 0.03], [who.nose_width * 0.55, 0.055]));
        for side in [-1.0, 1.0] {
            let hole = [x + side * who.nose_width * 0.48, y + 0.045];
            canvas.fill(bounds, who.skin.map(|c| c * 0.42), 0.9, ellipse(hole, [0.034, 0.02]));
        }
    }

    fn eyes(&self, canvas: &mut Canvas) {
        let (who, view) = (self.who, self.view);
        for side in [-1.0, 1.0] {
            let [x, y] = self.at(side * who.eye_apart, who.eye_y, 0.18);
            let half = self.width(side, who.eye_width);
            let open = half * who.eye_open * view.eye_open;
            let tilt = side * who.eye_tilt;
            let lid = ellipse([0.0, 0.0], [half, open]);
            let shape = move |px: f32, py: f32| lid(px - x, py - y - tilt * (px - x));
            let bounds = [x - half - 0.06, y - 0.24, x + half + 0.06, y + 0.24];
            canvas.fill(bounds, [0.96, 0.95, 0.94], 1.0, &shape);
            let gaze = [x + view.gaze[0] * half * 0.5, y + view.gaze[1] * open * 0.5];
            let r = (half * 0.56).min(0.09);
            let iris = ellipse(gaze, [r, r]);
            let pupil = ellipse(gaze, [r * 0.48, r * 0.48]);
            let shine = ellipse([gaze[0] - r * 0.35, gaze[1] - r * 0.4], [r * 0.24, r * 0.24]);
            canvas.fill(bounds, who.iris, 1.0, |px, py| iris(px, py).max(shape(px, py)));
            canvas.fill(bounds, [0.03; 3], 1.0, |px, py| pupil(px, py).max(shape(px, py)));
            canvas.fill(bounds, [1.0; 3], 0.9, |px, py| shine(px, py).max(shape(px, py)));
            let lash = arc([0.0, 0.0], half * 1.1, open * 0.95, 0.012 + 0.022 * who.lashes);
            let line = move |px: f32, py: f32| lash(px - x, py - y + open - tilt * (px - x));
            canvas.fill(bounds, [0.12, 0.08, 0.07], 0.9, line);
            self.brow(canvas, side, half);
        }
    }

    fn brow(&self, canvas: &mut Canvas, side: f32, eye: f32) {
        let (who, view) = (self.who, self.view);
        let raised = who.eye_y - who.brow_gap - view.brow_raise;
        let [x, y] = self.at(side * (who.eye_apart + 0.02), raised, 0.2);
        let half = who.brow_width * eye / who.eye_width;
        let tilt = side * who.brow_tilt;
        let curve = arc([0.0, 0.0], half, who.brow_bend, who.brow_thick);
        let shape = move |px: f32, py: f32| curve(px - x, py - y - tilt * (px - x));
        canvas.fill([x - half, y - 0.2, x + half, y + 0.2], who.brow, 1.0, shape);
    }

    fn front_hair(&self, canvas: &mut Canvas) {
        let who = self.who;
        let (w, h, v) = (who.head_width, who.head_height, who.volume);
        let [fx, fy] = self.at(0.0, 0.0, 0.06);
        let sheen = self.sheen();
        let (line, curve, part) = (who.hairline, who.hairline_curve, who.part);
        let bounds = [-w - 0.6, -h - 0.8, w + 0.6, 0.7];
        // Hair within `thick` of the head and above the hairline; `slant` lets the line fall to one side.
        let cap = |thick: f32, line: f32, curve: f32, slant: f32| {
            let outline = self.outline(thick);
            move |x: f32, y: f32| {
                let u = x - fx;
                let edge = line + fy + curve * u * u + slant * u;
                outline(x, y).max((y - edge) * 0.9)
            }
        };
        match who.style {
            HairStyle::Bald => {}
            HairStyle::Receding => {
                let outline = self.outline(0.03 + 0.3 * v);
                let crown = ellipse([fx, -h * 0.55], [w * 0.86, h * 0.95]);
                let shape =
                    move |x: f32, y: f32| outline(x, y).max(-crown(x, y)).max(y - 0.05).max(-0.62 - y);
                canvas.shade(bounds, 1.0, shape, sheen);
            }
            HairStyle::Buzz => canvas.shade(bounds, 0.88, cap(0.02, line, curve, 0.0), sheen),
            HairStyle::SidePart => {
                canvas.shade(bounds, 1.0, cap(0.04 + 0.6 * v, line, 0.35 * curve + 0.2, part), sheen);
            }
            HairStyle::Quiff => {
                canvas.shade(bounds, 1.0, cap(0.03, line, curve + 0.2, 0.0), &sheen);
                let centre = [fx + 0.4 * part, -h - 0.02 - 0.4 * v];
                canvas.shade(bounds, 1.0, ellipse(centre, [w * 0.75, 0.20 + 1.0 * v]), sheen);
            }
            HairStyle::Spikes => {
                canvas.shade(bounds, 1.0, cap(0.03, line, curve, 0.0), &sheen);
                for i in -2..=2 {
                    let (from, to) = (0.28 * i as f32, 0.36 * i as f32 + 0.3 * part);
                    let tip = stroke([fx + from, -h * 0.86], [fx + to, -h - 0.10 - v], 0.10);
                    canvas.shade(bounds, 1.0, tip, &sheen);
                }
            }
            HairStyle::Curls => {
                canvas.shade(bounds, 1.0, cap(0.06, line, curve, 0.0), &sheen);
                let r = 0.15 + 0.5 * v;
                for (x, y) in [(-0.75, -0.78), (-0.4, -0.98), (0.0, -1.06), (0.4, -0.98), (0.75, -0.78)] {
                    canvas.shade(bounds, 1.0, ellipse([fx + x * w, y * h], [r, r]), &sheen);
                }
            }
            HairStyle::Afro => canvas.shade(bounds, 1.0, cap(0.12, line, curve, 0.0), sheen),
            HairStyle::Bob => {
                let fringe = rounded([fx, line - 0.3], [w + 0.02, 0.42], 0.12);
                let outline = self.outline(0.05 + 0.5 * v);
                canvas.shade(bounds, 1.0, move |x, y| fringe(x, y).max(outline(x, y)), &sheen);
                for side in [-1.0, 1.0] {
                    let lock = stroke([side * (w - 0.02) + fx, -0.5], [side * (w - 0.03) + fx, 0.5], 0.10);
                    canvas.shade(bounds, 1.0, lock, &sheen);
                }
            }
            HairStyle::Long | HairStyle::Tails => {
                let outline = self.outline(0.04 + 0.5 * v);
                let seam = 0.5 * part + fx;
                let shape = move |x: f32, y: f32| {
                    let u = (x - seam).abs();
                    outline(x, y).max((y - line + 0.12 - 0.75 * u) * 0.8)
                };
                canvas.shade(bounds, 1.0, shape, &sheen);
                if who.style == HairStyle::Long {
                    for side in [-1.0, 1.0] {
                        let lock = stroke([side * w + fx, -0.4], [side * (w + 0.02) + fx, 1.1], 0.10);
                        canvas.shade([-w - 0.6, -h, w + 0.6, 1.4], 1.0, lock, &sheen);
                    }
                }
            }
            HairStyle::Bun => canvas.shade(bounds, 1.0, cap(0.04, line - 0.05, curve + 0.35, 0.0), sheen),
        }
    }

    /// A band around the head, over the forehead.
    fn band(&self, canvas: &mut Canvas) {
        let Some(colour) = self.who.band else { return };
        let outline = self.outline(0.06 + 0.4 * self.who.volume);
        let [x0, y0] = self.at(0.0, -0.54, 0.2);
        let shape = move |x: f32, y: f32| {
            let along = x - x0;
            outline(x, y).max((y - y0 - 0.12 * along * along).abs() - 0.10)
        };
        canvas.fill([-1.3, y0 - 0.3, 1.3, y0 + 0.4], colour, 1.0, shape);
    }

    fn glasses(&self, canvas: &mut Canvas) {
        let who = self.who;
        if who.glasses == Glasses::None {
            return;
        }
        let [bx, by] = self.at(0.0, who.eye_y, 0.3);
        let rim = 0.028;
        let (lens_w, lens_h) = (who.lens[0], who.lens[1]);
        for side in [-1.0, 1.0] {
            let [x, y] = self.at(side * who.eye_apart.max(lens_w + 0.04), who.eye_y + 0.02, 0.3);
            let half = [self.width(side, lens_w), lens_h];
            let bounds = [x - half[0] - 0.1, y - half[1] - 0.12, x + half[0] + 0.1, y + half[1] + 0.12];
            let radius = match who.glasses {
                Glasses::Round => half[0].min(half[1]),
                _ => 0.06,
            };
            let half = if who.glasses == Glasses::Round { [half[0], half[0].max(half[1])] } else { half };
            let bounds = [bounds[0], bounds[1] - 0.1, bounds[2], bounds[3] + 0.1];
            let lens = rounded([x, y], half, if who.glasses == Glasses::Round { half[0] } else { radius });
            canvas.fill(bounds, [0.85, 0.92, 1.0], 0.18, &lens);
            canvas.fill(bounds, who.frame, 1.0, |px, py| lens(px, py).abs() - rim);
            if who.glasses == Glasses::Browline {
                let bar = rounded([x, y - half[1]], [half[0] + 0.03, 0.05], 0.04);
                canvas.fill(bounds, who.frame, 1.0, bar);
            }
            let [ex, ey] = self.at(side * who.head_width, who.eye_y, -0.12);
            let temple = stroke([x + side * half[0], y - 0.03], [ex, ey], 0.02);
            canvas.fill([-1.1, by - 0.3, 1.1, by + 0.3], who.frame, 1.0, temple);
        }
        let gap = (who.eye_apart.max(lens_w + 0.04) - lens_w).max(0.03);
        canvas.fill(
            [bx - 0.4, by - 0.1, bx + 0.4, by + 0.1],
            who.frame,
            1.0,
            stroke([bx - gap, by], [bx + gap, by], 0.024),
        );
    }
}
