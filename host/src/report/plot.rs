//! Plots as SVG text.

use plotters::prelude::*;
use plotters::style::RGBColor;

use super::colours;
use super::drawing::{PlotError, said, typeface};

pub(crate) fn rgb((r, g, b): (u8, u8, u8)) -> RGBColor {
    RGBColor(r, g, b)
}

/// Degrees of one bar of [`angles`].
const BIN: f32 = 2.0;

/// Two distributions of angles in degrees, each as the share of its comparisons in bars of two degrees, with the
/// threshold as a dashed line.
///
/// # Errors
/// When the drawing library fails.
pub fn angles(mated: &[f32], non_mated: &[f32], threshold: Option<f32>) -> Result<String, PlotError> {
    let bars = [share_per_bin(mated), share_per_bin(non_mated)];
    let top = bars.iter().flatten().copied().fold(0.01f32, f32::max) * 1.1;
    let last = |shares: &Vec<f32>| shares.iter().rposition(|&s| s > 0.0).map_or(0, |i| i + 1);
    let reach = bars.iter().map(last).max().unwrap_or(0).max(10) as f32 * BIN + 2.0 * BIN;
    typeface();
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (760, 320)).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(0f32..reach, 0f32..top)
            .map_err(said)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("angle between two embeddings, degrees")
            .y_desc("share of comparisons")
            .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
            .x_label_formatter(&|degrees| format!("{degrees:.0}"))
            .draw()
            .map_err(said)?;
        let series = [("same person", colours::MATED), ("different people", colours::NON_MATED)];
        for ((name, colour), shares) in series.into_iter().zip(&bars) {
            let colour = rgb(colour);
            let rectangles =
                shares.iter().enumerate().filter(|(_, share)| **share > 0.0).map(|(i, &share)| {
                    let left = i as f32 * BIN;
                    Rectangle::new([(left, 0.0), (left + BIN, share)], colour.mix(0.55).filled())
                });
            chart.draw_series(rectangles).map_err(said)?.label(name).legend(move |(x, y)| {
                Rectangle::new([(x, y - 5), (x + 14, y + 5)], colour.mix(0.55).filled())
            });
        }
        if let Some(angle) = threshold {
            let mark = rgb(colours::MARK);
            chart
                .draw_series(DashedLineSeries::new([(angle, 0.0), (angle, top)], 5, 4, mark.stroke_width(2)))
                .map_err(said)?
                .label(format!("threshold {angle:.1} degrees"))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], mark.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .border_style(TRANSPARENT)
            .background_style(WHITE.mix(0.8))
            .draw()
            .map_err(said)?;
        area.present().map_err(said)?;
    }
    Ok(svg)
}

/// The share of `angles` in each bar of [`BIN`] degrees from 0 to 180; all zero when there are none.
fn share_per_bin(angles: &[f32]) -> Vec<f32> {
    let mut counts = vec![0u32; (180.0 / BIN) as usize + 1];
    let last = counts.len() - 1;
    for &angle in angles {
        counts[((angle / BIN) as usize).min(last)] += 1;
    }
    let total = angles.len().max(1) as f32;
    counts.into_iter().map(|n| n as f32 / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_sum_to_one_and_lie_in_their_bars() {
        let shares = share_per_bin(&[0.0, 1.9, 2.0, 180.0]);
        assert_eq!((shares[0], shares[1], shares[90]), (0.5, 0.25, 0.25));
        assert!(share_per_bin(&[]).iter().all(|&s| s == 0.0));
    }

    #[test]
    fn a_plot_names_its_axes_and_its_threshold() {
        let svg = angles(&[20.0, 30.0], &[80.0, 90.0], Some(55.25)).expect("drawn");
        for text in ["same person", "different people", "threshold 55.2 degrees", "degrees", "share"] {
            assert!(svg.contains(text), "{text} is missing");
        }
    }
}
