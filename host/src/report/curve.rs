//! Curves over a common axis, one panel under the other.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::drawing::{PlotError, said, typeface};
use super::plot::rgb;

/// One curve and its axis, which begins at 0.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What is measured, with its unit.
    pub name: &'static str,
    /// Where its axis ends; a little above the highest point when absent.
    pub top: Option<f64>,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
    /// Of [`super::colours`].
    pub colour: (u8, u8, u8),
}

/// The panels over an axis from 0 that `across` names, as SVG.
///
/// # Errors
/// When the drawing library fails.
pub fn stacked(across: &str, panels: &[Panel]) -> Result<String, PlotError> {
    let end = panels.iter().flat_map(|p| &p.points).map(|p| p.0).fold(1.0, f64::max);
    typeface();
    let mut svg = String::new();
    {
        let size = (760, 260 * panels.len().max(1) as u32);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        for (area, panel) in area.split_evenly((panels.len().max(1), 1)).iter().zip(panels) {
            draw(area, across, end, panel)?;
        }
        area.present().map_err(said)?;
    }
    Ok(svg)
}

fn draw(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    across: &str,
    end: f64,
    panel: &Panel,
) -> Result<(), PlotError> {
    let points = &panel.points;
    let highest = || points.iter().map(|p| p.1).filter(|v| v.is_finite()).fold(1e-6, f64::max) * 1.05;
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..end, 0.0..panel.top.unwrap_or_else(highest))
        .map_err(said)?;
    let thousands = |x: &f64| format!("{:.0}k", x / 1000.0);
    let plain = |x: &f64| format!("{x:.0}");
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(across)
        .y_desc(panel.name)
        .x_label_formatter(if end >= 10_000.0 { &thousands } else { &plain })
        .draw()
        .map_err(said)?;
    let colour = rgb(panel.colour);
    chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2))).map_err(said)?;
    let dots = points.iter().filter(|_| points.len() <= 60).map(|&at| Circle::new(at, 3, colour.filled()));
    chart.draw_series(dots).map_err(said)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::colours;
    use super::*;

    #[test]
    fn panels_with_and_without_points() {
        let panel = |name, top, points| Panel { name, top, points, colour: colours::MATED };
        let loss = panel("loss", None, vec![(5_000.0, 5.0), (20_000.0, 3.0)]);
        let svg = stacked("images seen", &[loss, panel("share, %", Some(100.0), Vec::new())]).unwrap();
        for text in ["loss", "share, %", "images seen", "20k"] {
            assert!(svg.contains(text), "{text} is missing");
        }
        assert!(stacked("nothing", &[]).is_ok());
    }
}
