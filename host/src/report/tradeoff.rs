//! Curves of identification: the detection error trade-off, and the cumulative match characteristic.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::colours;
use super::drawing::{PlotError, said};
use super::figure::Figure;
use super::plot::rgb;

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axes {
    /// FPIR across, FNIR up, both logarithmic.
    Det,
    /// Rank across, logarithmic, and the share of mated searches within it up.
    Cmc,
}

/// Curves of one kind side by side, each with its name.
#[derive(Debug, Clone)]
pub struct Tradeoff {
    /// Which kind.
    pub axes: Axes,
    /// Names and points, from left to right.
    pub curves: Vec<(String, Vec<(f64, f64)>)>,
}

impl Figure for Tradeoff {
    fn size(&self) -> (u32, u32) {
        (760, 480)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), PlotError> {
        let points = || self.curves.iter().flat_map(|(_, points)| points);
        // Rounded, for 0.97 times 100 is not 97.
        let percent = |share: &f64| format!("{} %", (share * 1e8).round() / 1e6);
        let corner = match self.axes {
            Axes::Det => SeriesLabelPosition::LowerLeft,
            Axes::Cmc => SeriesLabelPosition::LowerRight,
        };
        let mut builder = ChartBuilder::on(area);
        builder.margin(12).x_label_area_size(44).y_label_area_size(64);
        // Two types of chart, for their axes differ; the rest is the same.
        macro_rules! finish {
            ($chart:expr, $across:expr, $up:expr, $x_format:expr) => {{
                let mut chart = $chart.map_err(said)?;
                chart
                    .configure_mesh()
                    .light_line_style(TRANSPARENT)
                    .x_desc($across)
                    .y_desc($up)
                    .x_label_formatter($x_format)
                    .y_label_formatter(&percent)
                    .draw()
                    .map_err(said)?;
                for ((name, points), &colour) in self.curves.iter().zip(colours::SERIES.iter().cycle()) {
                    let style = rgb(colour).stroke_width(2);
                    let line = LineSeries::new(points.iter().copied(), style);
                    let legend = move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style);
                    chart.draw_series(line).map_err(said)?.label(name).legend(legend);
                }
                chart
                    .configure_series_labels()
                    .position(corner.clone())
                    .border_style(TRANSPARENT)
                    .background_style(WHITE.mix(0.8))
                    .draw()
                    .map_err(said)?;
            }};
        }
        match self.axes {
            Axes::Det => {
                let least =
                    |of: fn(&(f64, f64)) -> f64| points().map(of).filter(|&v| v > 0.0).fold(0.1, f64::min);
                let (x, y) = ((least(|p| p.0)..1.0).log_scale(), (least(|p| p.1)..1.0).log_scale());
                finish!(builder.build_cartesian_2d(x, y), "FPIR", "FNIR", &percent);
            }
            Axes::Cmc => {
                let (last, low) = points().fold((2.0, 1.0), |(last, low), p| (p.0.max(last), p.1.min(low)));
                let (x, y) = ((1.0..last).log_scale(), (0.98 * low).max(0.0)..1.0);
                let rank = |rank: &f64| format!("{rank:.0}");
                finish!(builder.build_cartesian_2d(x, y), "rank", "mated searches within it", &rank);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::figure::{png, svg};
    use super::*;

    #[test]
    fn both_kinds_are_drawn_with_their_names() {
        let curves = vec![
            ("N 50, k 1".to_owned(), vec![(0.001, 0.2), (0.01, 0.1), (0.5, 0.0)]),
            ("N 100, k 1".to_owned(), vec![(0.001, 0.3), (0.1, 0.05)]),
        ];
        let det = Tradeoff { axes: Axes::Det, curves };
        let drawn = svg(&det).unwrap();
        for text in ["N 50, k 1", "N 100, k 1", "FPIR", "FNIR", "10 %"] {
            assert!(drawn.contains(text), "{text} is missing");
        }
        let curves = vec![("N 50".to_owned(), vec![(1.0, 0.9), (10.0, 0.99)])];
        assert!(svg(&Tradeoff { axes: Axes::Cmc, curves }).unwrap().contains("rank"));
        assert!(png(&det).unwrap().starts_with(b"\x89PNG"));
        assert!(svg(&Tradeoff { axes: Axes::Det, curves: vec![] }).is_ok());
    }
}
