//! Figures that are drawn twice: as SVG for a page, as PNG for wherever SVG is not shown.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::drawing::{PlotError, said, typeface};

/// Something to draw.
pub trait Figure {
    /// Columns and rows, in pixels.
    fn size(&self) -> (u32, u32);
    /// Draws it on an area of that size, which is white.
    ///
    /// # Errors
    /// When the drawing library fails.
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), PlotError>;
}

/// The figure as SVG text.
///
/// # Errors
/// When the drawing library fails.
pub fn svg(figure: &impl Figure) -> Result<String, PlotError> {
    typeface();
    let mut svg = String::new();
    draw(figure, SVGBackend::with_string(&mut svg, figure.size()))?;
    Ok(svg)
}

/// The figure as a PNG file's bytes.
///
/// # Errors
/// When the drawing library fails.
pub fn png(figure: &impl Figure) -> Result<Vec<u8>, PlotError> {
    typeface();
    let (columns, rows) = figure.size();
    let mut pixels = RgbImage::new(columns, rows);
    draw(figure, BitMapBackend::with_buffer(&mut pixels, (columns, rows)))?;
    let mut png = Cursor::new(Vec::new());
    pixels.write_to(&mut png, ImageFormat::Png).map_err(said)?;
    Ok(png.into_inner())
}

fn draw<B: DrawingBackend>(figure: &impl Figure, backend: B) -> Result<(), PlotError> {
    let area = backend.into_drawing_area();
    area.fill(&WHITE).map_err(said)?;
    figure.draw(&area)?;
    area.present().map_err(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Square;

    impl Figure for Square {
        fn size(&self) -> (u32, u32) {
            (120, 60)
        }

        fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), PlotError> {
            let square = Rectangle::new([(10, 10), (30, 30)], RGBColor(200, 0, 0).filled());
            area.draw(&square).map_err(said)?;
            let style = TextStyle::from(("sans-serif", 20).into_font());
            area.draw_text("arc", &style, (50, 10)).map_err(said)
        }
    }

    #[test]
    fn the_same_figure_as_text_and_as_pixels() {
        let svg = svg(&Square).unwrap();
        assert!(svg.contains("<rect") && svg.contains("arc"));
        let pixels = image::load_from_memory(&png(&Square).unwrap()).unwrap().to_rgb8();
        assert_eq!(pixels.dimensions(), (120, 60));
        assert_eq!((pixels.get_pixel(20, 20).0, pixels.get_pixel(2, 2).0), ([200, 0, 0], [255; 3]));
        let dark = |(x, y): (u32, u32)| pixels.get_pixel(x, y).0[0] < 100;
        let text = (50..100).flat_map(|x| (5..40).map(move |y| (x, y))).filter(|&at| dark(at)).count();
        assert!(text > 20, "no text is drawn: {text}");
    }
}
