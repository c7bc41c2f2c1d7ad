//! The survey's figures.

mod angles;
mod borders;
mod plane;
mod progress;
mod targets;

pub use angles::Angles;
pub use borders::{Axes, Borders};
pub use plane::{Plane, PlanePanel, View};
pub use progress::{Line, Progress};
pub use targets::Targets;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::report::colours;
use crate::report::drawing::{PlotError, said};
use crate::report::plot::rgb;

/// Panels side by side in a figure.
const ACROSS: usize = 3;

/// Rows that `panels` panels need.
fn rows(panels: usize) -> usize {
    panels.div_ceil(ACROSS).max(1)
}

/// Columns and rows, in pixels, of a figure of `panels` square panels with a title each.
fn squares(panels: usize) -> (u32, u32) {
    const SIDE: u32 = 330;
    (ACROSS as u32 * SIDE, rows(panels) as u32 * (SIDE + 20))
}

/// The figure's area cut into panels, row by row.
fn panels<B: DrawingBackend>(area: &DrawingArea<B, Shift>, number: usize) -> Vec<DrawingArea<B, Shift>> {
    area.split_evenly((rows(number), ACROSS))
}

/// Writes a panel's name over it and returns what is left.
fn titled<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    title: &str,
) -> Result<DrawingArea<B, Shift>, PlotError> {
    let style = ("sans-serif", 19).into_font().color(&rgb(colours::MARK));
    area.titled(title, style).map_err(said)
}

/// The colour of number `i` of several things.
fn colour(i: usize) -> RGBColor {
    rgb(colours::SERIES[i % colours::SERIES.len()])
}
