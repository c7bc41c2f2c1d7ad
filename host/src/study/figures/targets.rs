//! What each loss makes of the target's logit as the angle grows.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::colour;
use crate::loss::LossConfig;
use crate::report::drawing::{PlotError, said};
use crate::report::figure::Figure;

/// Curves of all losses that have a target, equal ones drawn once.
#[derive(Debug)]
pub struct Targets<'a> {
    /// The losses.
    pub losses: &'a [LossConfig],
}

impl Targets<'_> {
    /// Names of the losses with the same curve, and the curve over the angle in degrees.
    fn curves(&self) -> Vec<(String, Vec<(f64, f64)>)> {
        let degrees: Vec<f64> = (0..=360).map(|i| f64::from(i) * 0.5).collect();
        let cosines: Vec<f64> = degrees.iter().map(|d| d.to_radians().cos()).collect();
        let mut curves: Vec<(String, Vec<f64>)> = Vec::new();
        for loss in self.losses {
            let Some(target) = loss.target(&cosines) else { continue };
            match curves.iter_mut().find(|(_, other)| *other == target) {
                Some((names, _)) => *names = format!("{names}, {}", loss.name()),
                None => curves.push((loss.name().into(), target)),
            }
        }
        let over = |target: Vec<f64>| degrees.iter().copied().zip(target).collect();
        curves.into_iter().map(|(names, target)| (names, over(target))).collect()
    }
}

impl Figure for Targets<'_> {
    fn size(&self) -> (u32, u32) {
        (860, 460)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), PlotError> {
        let curves = self.curves();
        let lowest = curves.iter().flat_map(|(_, c)| c).map(|p| p.1).fold(-1.0, f64::min);
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .margin_right(24)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..180.0, lowest * 1.05..1.05)
            .map_err(said)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.08))
            .x_desc("angle between embedding and class, degrees")
            .y_desc("target logit / scale")
            .draw()
            .map_err(said)?;
        for (i, (names, curve)) in curves.into_iter().enumerate() {
            let line = LineSeries::new(curve, colour(i).stroke_width(2));
            chart
                .draw_series(line)
                .map_err(said)?
                .label(names)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour(i).stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerLeft)
            .border_style(TRANSPARENT)
            .background_style(WHITE.mix(0.8))
            .label_font(("sans-serif", 15))
            .draw()
            .map_err(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_curves_are_drawn_once_and_margins_lower_the_target() {
        let loss = |name: &str| toml::from_str(&format!("name = {name:?}")).unwrap();
        let losses = ["triplet", "softmax", "normface", "arcface", "curricularface", "cosface"].map(loss);
        let curves = Targets { losses: &losses }.curves();
        let names: Vec<&str> = curves.iter().map(|c| c.0.as_str()).collect();
        assert_eq!(names, ["softmax, normface", "arcface, curricularface", "cosface"]);
        let at = |curve: usize, degrees: usize| curves[curve].1[2 * degrees].1;
        assert!(at(1, 45) < at(0, 45) && at(2, 45) < at(0, 45));
        assert!((at(0, 60) - 0.5).abs() < 1e-9);
    }
}
