//! The drawing library: what it is given, and what it says when it fails.

use std::sync::Once;

use plotters::style::{FontStyle, register_font};

/// Why a plot could not be drawn: what the drawing library said.
#[derive(Debug, thiserror::Error)]
#[error("the plot could not be drawn: {0}")]
pub struct PlotError(String);

pub(crate) fn said(error: impl std::fmt::Display) -> PlotError {
    PlotError(error.to_string())
}

/// Gives the drawing library its typeface, once; without one it neither measures nor draws text.
pub(super) fn typeface() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let known = register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
        debug_assert!(known.is_ok(), "the built-in typeface is one");
    });
}
