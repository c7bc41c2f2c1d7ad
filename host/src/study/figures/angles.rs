//! Angles between images of one identity and of two, a panel for each loss.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{panels, rows, titled};
use crate::report::colours;
use crate::report::drawing::{PlotError, said};
use crate::report::figure::Figure;
use crate::report::plot::rgb;

/// Degrees of a bar.
const BIN: f32 = 3.0;
/// Bars up to this angle; what lies beyond is in the last.
const END: f32 = 150.0;

/// Of each loss, by name: mated and non-mated angles in degrees.
#[derive(Debug)]
pub struct Angles<'a> {
    /// The losses.
    pub panels: &'a [(String, [Vec<f32>; 2])],
}

impl Figure for Angles<'_> {
    fn size(&self) -> (u32, u32) {
        (990, rows(self.panels.len()) as u32 * 240)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), PlotError> {
        for ((name, angles), area) in self.panels.iter().zip(panels(area, self.panels.len())) {
            draw(angles, &titled(&area, name)?)?;
        }
        Ok(())
    }
}

/// The share of `angles` in each bar.
fn shares(angles: &[f32]) -> Vec<f32> {
    let mut counts = vec![0.0; (END / BIN) as usize];
    let last = counts.len() - 1;
    angles.iter().for_each(|&angle| counts[((angle / BIN) as usize).min(last)] += 1.0);
    counts.iter().map(|n| n / angles.len().max(1) as f32).collect()
}

fn draw<B: DrawingBackend>(angles: &[Vec<f32>; 2], area: &DrawingArea<B, Shift>) -> Result<(), PlotError> {
    let bars = angles.each_ref().map(|angles| shares(angles));
    let top = bars.iter().flatten().copied().fold(0.01, f32::max) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(34)
        .y_label_area_size(40)
        .build_cartesian_2d(0f32..END, 0f32..top)
        .map_err(said)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(6)
        .y_labels(4)
        .x_desc("degrees")
        .x_label_formatter(&|degrees| format!("{degrees:.0}"))
        .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
        .draw()
        .map_err(said)?;
    let of = [("same", colours::MATED), ("different", colours::NON_MATED)];
    for (shares, (name, colour)) in bars.iter().zip(of) {
        let fill = rgb(colour).mix(0.5).filled();
        let bars = shares.iter().enumerate().filter(|(_, share)| **share > 0.0).map(|(i, &share)| {
            let left = i as f32 * BIN;
            Rectangle::new([(left, 0.0), (left + BIN, share)], fill)
        });
        chart
            .draw_series(bars)
            .map_err(said)?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], fill));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .border_style(TRANSPARENT)
        .background_style(WHITE.mix(0.8))
        .draw()
        .map_err(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_sum_to_one_and_what_lies_beyond_is_in_the_last() {
        let shares = shares(&[0.0, 2.9, 3.0, 180.0]);
        assert_eq!((shares[0], shares[1], shares[shares.len() - 1]), (0.5, 0.25, 0.25));
    }
}
