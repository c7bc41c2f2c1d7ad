//! Embeddings of two dimensions, where they lie or on the circle of their directions, with the directions of the classes.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{colour, panels, squares, titled};
use crate::report::colours;
use crate::report::drawing::{PlotError, said};
use crate::report::figure::Figure;
use crate::report::plot::rgb;

/// How far from the unit circle a direction may be drawn, so that equal ones do not hide one another.
const RING: f32 = 0.12;

/// A loss's embeddings.
#[derive(Debug, Clone)]
pub struct PlanePanel {
    /// The loss.
    pub name: String,
    /// Class and embedding.
    pub points: Vec<(usize, [f32; 2])>,
    /// By class: the loss's weight, or the mean direction of the class where the loss has none.
    pub directions: Vec<[f32; 2]>,
}

/// How the plane is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// As it is.
    Euclidean,
    /// By direction alone.
    Angular,
}

/// A panel for each loss.
#[derive(Debug)]
pub struct Plane<'a> {
    /// The losses.
    pub panels: &'a [PlanePanel],
    /// How they are seen.
    pub view: View,
}

impl Figure for Plane<'_> {
    fn size(&self) -> (u32, u32) {
        squares(self.panels.len())
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), PlotError> {
        for (panel, area) in self.panels.iter().zip(panels(area, self.panels.len())) {
            draw(panel, self.view, &titled(&area, &panel.name)?)?;
        }
        Ok(())
    }
}

fn draw<B: DrawingBackend>(
    panel: &PlanePanel,
    view: View,
    area: &DrawingArea<B, Shift>,
) -> Result<(), PlotError> {
    let place = |i: usize, [x, y]: [f32; 2]| match view {
        View::Euclidean => (x, y),
        View::Angular => {
            let length = x.hypot(y).max(1e-12);
            // Spread over the ring by the number, the same at every drawing.
            let radius = 1.0 + RING * ((i * 7 % 11) as f32 / 5.0 - 1.0);
            (radius * x / length, radius * y / length)
        }
    };
    let points: Vec<(usize, (f32, f32))> =
        panel.points.iter().enumerate().map(|(i, &(class, at))| (class, place(i, at))).collect();
    // A few points far out do not make all others small.
    let mut reach: Vec<f32> = points.iter().map(|(_, (x, y))| x.abs().max(y.abs())).collect();
    reach.sort_by(f32::total_cmp);
    let reach = reach.get(reach.len().saturating_sub(1) * 99 / 100).map_or(1.0, |r| r * 1.15).max(1e-6);
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(20)
        .y_label_area_size(34)
        .build_cartesian_2d(-reach..reach, -reach..reach)
        .map_err(said)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .x_labels(5)
        .y_labels(5)
        .draw()
        .map_err(said)?;
    for (class, &[x, y]) in panel.directions.iter().enumerate() {
        let length = x.hypot(y).max(1e-12);
        let end = match view {
            View::Euclidean => reach * 0.98,
            View::Angular => 1.0 - 1.3 * RING,
        };
        let tip = (end * x / length, end * y / length);
        let line = PathElement::new([(0.0, 0.0), tip], colour(class).stroke_width(2));
        chart.draw_series([line]).map_err(said)?;
    }
    let dots = points.iter().map(|&(class, at)| Circle::new(at, 3, colour(class).mix(0.65).filled()));
    chart.draw_series(dots).map_err(said)?;
    chart.draw_series([Circle::new((0.0, 0.0), 2, rgb(colours::MARK).filled())]).map_err(said)?;
    Ok(())
}
