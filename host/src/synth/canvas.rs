//! A small painter: anti-aliased shapes given by their distance, layered over a transparent ground.
//!
//! Shapes live in the face's own coordinates (about -1..1, `y` down); a [`Placement`] carries them to pixels. Only
//! `+ - * /` and `sqrt` are used, which IEEE 754 rounds the same everywhere, so a picture is the same on every machine.

/// Red, green, blue in 0..1.
pub type Colour = [f32; 3];

/// Where the face lies in the picture: a similarity from face coordinates to pixels.
#[derive(Debug, Clone, Copy)]
pub struct Placement {
    /// Pixels per face unit.
    pub scale: f32,
    /// Cosine and sine of the roll.
    pub roll: [f32; 2],
    /// The pixel of the face's origin.
    pub centre: [f32; 2],
}

impl Placement {
    fn to_pixel(self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [c, s] = self.roll;
        [self.centre[0] + self.scale * (c * x - s * y), self.centre[1] + self.scale * (s * x + c * y)]
    }

    /// The face coordinates of a pixel's centre.
    pub fn to_face(self, column: usize, row: usize) -> [f32; 2] {
        let [c, s] = self.roll;
        let (dx, dy) = (column as f32 - self.centre[0], row as f32 - self.centre[1]);
        [(c * dx + s * dy) / self.scale, (c * dy - s * dx) / self.scale]
    }
}

/// The picture under construction: colour premultiplied by opacity, and opacity.
pub struct Canvas {
    width: usize,
    height: usize,
    placement: Placement,
    pixels: Vec<[f32; 4]>,
}

impl Canvas {
    /// A transparent canvas.
    pub fn new(width: usize, height: usize, placement: Placement) -> Self {
        Canvas { width, height, placement, pixels: vec![[0.0; 4]; width * height] }
    }

    /// Paints a shape of one colour. `bounds` is `[left, top, right, bottom]` around it in face coordinates;
    /// `distance` is negative inside, in face units, and need only be right near the edge.
    pub fn fill(
        &mut self,
        bounds: [f32; 4],
        colour: Colour,
        opacity: f32,
        distance: impl Fn(f32, f32) -> f32,
    ) {
        self.shade(bounds, opacity, distance, |_, _| colour);
    }

    /// [`Canvas::fill`] with a colour for each point.
    pub fn shade(
        &mut self,
        [left, top, right, bottom]: [f32; 4],
        opacity: f32,
        distance: impl Fn(f32, f32) -> f32,
        colour: impl Fn(f32, f32) -> Colour,
    ) {
        let corners = [[left, top], [right, top], [left, bottom], [right, bottom]];
        let corners = corners.map(|p| self.placement.to_pixel(p));
        let span = |axis: usize, size: usize| {
            let low = corners.iter().fold(f32::MAX, |m, p| m.min(p[axis])) - 1.0;
            let high = corners.iter().fold(f32::MIN, |m, p| m.max(p[axis])) + 2.0;
            (low.clamp(0.0, size as f32) as usize, high.clamp(0.0, size as f32) as usize)
        };
        let ((x0, x1), (y0, y1)) = (span(0, self.width), span(1, self.height));
        let [c, s] = self.placement.roll;
        let (dx, dy) = (c / self.placement.scale, -s / self.placement.scale);
        for row in y0..y1 {
            let [fx, fy] = self.placement.to_face(x0, row);
            for column in x0..x1 {
                let step = (column - x0) as f32;
                let (x, y) = (fx + step * dx, fy + step * dy);
                let alpha = (0.5 - distance(x, y) * self.placement.scale).clamp(0.0, 1.0) * opacity;
                if alpha > 0.0 {
                    let [r, g, b] = colour(x, y);
                    let pixel = &mut self.pixels[row * self.width + column];
                    for (old, new) in pixel.iter_mut().zip([r, g, b, 1.0]) {
                        *old += alpha * (new - *old);
                    }
                }
            }
        }
    }

    /// Where the face lies.
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// Replaces every pixel by what `change` makes of its column, row and value.
    pub fn map(&mut self, change: impl Fn(usize, usize, [f32; 4]) -> [f32; 4]) {
        for (i, pixel) in self.pixels.iter_mut().enumerate() {
            *pixel = change(i % self.width, i / self.width, *pixel);
        }
    }

    /// The pixels, rows from top to bottom: colour premultiplied by opacity, and opacity.
    pub fn into_pixels(self) -> Vec<[f32; 4]> {
        self.pixels
    }
}

/// Distances of shapes, in face units, negative inside; exact near the edge, where it matters.
pub mod shape {
    /// An axis-parallel ellipse.
    pub fn ellipse([cx, cy]: [f32; 2], [rx, ry]: [f32; 2]) -> impl Fn(f32, f32) -> f32 {
        move |x, y| {
            let (u, v) = ((x - cx) / rx, (y - cy) / ry);
            let near = (u * u + v * v).sqrt();
            let slope = ((u / rx) * (u / rx) + (v / ry) * (v / ry)).sqrt();
            if slope > 0.0 { near * (near - 1.0) / slope } else { -rx.min(ry) }
        }
    }

    /// A rectangle of half sides `half` with rounded corners.
    pub fn rounded([cx, cy]: [f32; 2], half: [f32; 2], radius: f32) -> impl Fn(f32, f32) -> f32 {
        move |x, y| {
            let (u, v) = ((x - cx).abs() - half[0] + radius, (y - cy).abs() - half[1] + radius);
            let (a, b) = (u.max(0.0), v.max(0.0));
            (a * a + b * b).sqrt() + u.max(v).min(0.0) - radius
        }
    }

    /// A straight stroke with round ends.
    pub fn stroke(from: [f32; 2], to: [f32; 2], radius: f32) -> impl Fn(f32, f32) -> f32 {
        let along = [to[0] - from[0], to[1] - from[1]];
        let square = (along[0] * along[0] + along[1] * along[1]).max(1e-9);
        move |x, y| {
            let (px, py) = (x - from[0], y - from[1]);
            let t = ((px * along[0] + py * along[1]) / square).clamp(0.0, 1.0);
            let (dx, dy) = (px - t * along[0], py - t * along[1]);
            (dx * dx + dy * dy).sqrt() - radius
        }
    }

    /// An arc: a parabola through `centre`, `bend` higher at its ends (positive: the ends lie lower), thickest in the middle.
    pub fn arc([cx, cy]: [f32; 2], half: f32, bend: f32, radius: f32) -> impl Fn(f32, f32) -> f32 {
        move |x, y| {
            let u = (x - cx) / half;
            let slope = 2.0 * bend * u / half;
            let off = (y - cy - bend * u * u).abs() / (1.0 + slope * slope).sqrt();
            (off - radius * (1.0 - 0.6 * u * u)).max((u.abs() - 1.0) * half)
        }
    }
}
