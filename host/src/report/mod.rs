//! Pictures where people would look rather than read: plots, and one self-contained HTML page.
//!
//! A page needs no network and no script: plots are inline SVG, pictures are inline PNG.

pub mod curve;
pub mod drawing;
pub mod figure;
pub mod page;
pub mod plot;
pub mod tradeoff;

/// Colours that colour-blind people can tell apart (Okabe and Ito's palette), as red, green, blue.
pub mod colours {
    /// Mated comparisons.
    pub const MATED: (u8, u8, u8) = (0, 114, 178);
    /// Comparisons of different people.
    pub const NON_MATED: (u8, u8, u8) = (213, 94, 0);
    /// Thresholds and operating points.
    pub const MARK: (u8, u8, u8) = (40, 40, 40);
    /// Things of one kind side by side.
    pub const SERIES: [(u8, u8, u8); 9] = [
        (0, 114, 178),
        (213, 94, 0),
        (0, 158, 115),
        (40, 40, 40),
        (204, 121, 167),
        (86, 180, 233),
        (230, 159, 0),
        (150, 120, 20),
        (150, 150, 150),
    ];
}
