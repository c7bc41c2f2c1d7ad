//! What a training was worth after how long.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::colour;
use crate::report::drawing::{PlotError, said};
use crate::report::figure::Figure;

/// A loss's curve.
#[derive(Debug, Clone)]
pub struct Line {
    /// The loss.
    pub name: String,
    /// Seconds of training and accuracy, 0..=1.
    pub points: Vec<(f64, f64)>,
}

/// All losses over one axis.
#[derive(Debug)]
pub struct Progress<'a> {
    /// The losses.
    pub lines: &'a [Line],
}

impl Figure for Progress<'_> {
    fn size(&self) -> (u32, u32) {
        (860, 460)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), PlotError> {
        let all = || self.lines.iter().flat_map(|line| &line.points);
        let end = all().map(|p| p.0).fold(1.0, f64::max) * 1.02;
        let lowest = all().map(|p| p.1).fold(1.0, f64::min);
        let bottom = (lowest * 20.0 - 0.5).floor().max(0.0) / 20.0;
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..end, bottom..1.0)
            .map_err(said)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.08))
            .x_desc("seconds of training")
            .y_desc("accuracy, identities held out")
            .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
            .draw()
            .map_err(said)?;
        for (i, line) in self.lines.iter().enumerate() {
            let style = colour(i).stroke_width(2);
            let curve = LineSeries::new(line.points.clone(), style).point_size(3);
            chart
                .draw_series(curve)
                .map_err(said)?
                .label(line.name.clone())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .border_style(TRANSPARENT)
            .background_style(WHITE.mix(0.8))
            .label_font(("sans-serif", 15))
            .draw()
            .map_err(said)
    }
}
