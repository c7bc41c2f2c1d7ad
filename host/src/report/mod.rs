//! Pictures where people would look rather than read: plots, and one self-contained HTML page.
//!
//! A page needs no network and no script: plots are inline SVG, pictures are inline PNG.

pub mod curve;
pub mod page;
pub mod plot;

/// Colours that colour-blind people can tell apart (Okabe and Ito's palette), as red, green, blue.
pub mod colours {
    /// Mated comparisons.
    pub const MATED: (u8, u8, u8) = (0, 114, 178);
    /// Comparisons of different people.
    pub const NON_MATED: (u8, u8, u8) = (213, 94, 0);
    /// Thresholds and operating points.
    pub const MARK: (u8, u8, u8) = (40, 40, 40);
}
