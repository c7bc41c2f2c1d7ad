//! Where each loss draws the border between two classes, and the margin that it leaves between them.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{panels, squares, titled};
use crate::loss::LossConfig;
use crate::report::colours;
use crate::report::drawing::{PlotError, said};
use crate::report::figure::Figure;
use crate::report::plot::rgb;

/// Points of a curve.
const STEPS: usize = 180;

/// What the axes measure, to the first class and to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axes {
    /// Cosines.
    Cosine,
    /// Angles in degrees.
    Angle,
}

/// A panel for each loss.
#[derive(Debug)]
pub struct Borders<'a> {
    /// The losses.
    pub losses: &'a [LossConfig],
    /// What the axes measure.
    pub axes: Axes,
}

impl Figure for Borders<'_> {
    fn size(&self) -> (u32, u32) {
        squares(self.losses.len())
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), PlotError> {
        for (loss, area) in self.losses.iter().zip(panels(area, self.losses.len())) {
            draw(loss, self.axes, &titled(&area, loss.name())?)?;
        }
        Ok(())
    }
}

/// The border of the first class, from the own class's nearest point on: own and other, in the axes' unit.
fn border(loss: &LossConfig, axes: Axes) -> Vec<(f64, f64)> {
    let angles = (0..=STEPS).map(|i| 180.0 * i as f64 / STEPS as f64);
    let own: Vec<f64> = angles.map(|a| a.to_radians().cos()).collect();
    let shown = |cosine: f64| match axes {
        Axes::Cosine => cosine.clamp(-1.0, 1.0),
        Axes::Angle => cosine.clamp(-1.0, 1.0).acos().to_degrees(),
    };
    own.iter().zip(loss.border(&own)).map(|(&own, other)| (shown(own), shown(other))).collect()
}

fn draw<B: DrawingBackend>(
    loss: &LossConfig,
    axes: Axes,
    area: &DrawingArea<B, Shift>,
) -> Result<(), PlotError> {
    let (low, high, unit) = match axes {
        Axes::Cosine => (-1.0, 1.0, "cosine to class"),
        Axes::Angle => (0.0, 180.0, "degrees to class"),
    };
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(38)
        .y_label_area_size(48)
        .build_cartesian_2d(low..high, low..high)
        .map_err(said)?;
    let border = border(loss, axes);
    // Content with the first class: the other's cosine lies below the border, its angle above.
    let far = match axes {
        Axes::Cosine => low,
        Axes::Angle => high,
    };
    let turned = |points: &[(f64, f64)]| points.iter().map(|&(x, y)| (y, x)).collect::<Vec<_>>();
    let ends = |at: Option<&(f64, f64)>| at.map(|p| (p.0, far));
    let mut region = border.clone();
    region.extend(ends(border.last()));
    region.extend(ends(border.first()));
    let sides = [(region.clone(), colours::MATED), (turned(&region), colours::NON_MATED)];
    for (region, of) in sides {
        chart.draw_series([Polygon::new(region, rgb(of).mix(0.25))]).map_err(said)?;
    }
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .x_labels(5)
        .y_labels(5)
        .x_desc(format!("{unit} 1"))
        .y_desc(format!("{unit} 2"))
        .draw()
        .map_err(said)?;
    for (line, of) in [(border.clone(), colours::MATED), (turned(&border), colours::NON_MATED)] {
        chart.draw_series(LineSeries::new(line, rgb(of).stroke_width(2))).map_err(said)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arcface_keeps_its_margin_in_angle_and_cosface_in_cosine() {
        let arcface: LossConfig = toml::from_str("name = \"arcface\"\nmargin = 0.5").unwrap();
        for (own, other) in border(&arcface, Axes::Angle).into_iter().filter(|p| p.0 < 140.0 && p.0 > 1.0) {
            assert!((other - own - 0.5f64.to_degrees()).abs() < 0.1, "{own} {other}");
        }
        let cosface: LossConfig = toml::from_str("name = \"cosface\"\nmargin = 0.35").unwrap();
        for (own, other) in border(&cosface, Axes::Cosine).into_iter().filter(|p| p.0 > -0.6) {
            assert!((own - other - 0.35).abs() < 1e-6, "{own} {other}");
        }
    }
}
