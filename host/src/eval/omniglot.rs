//! One-shot classification of characters: each probe is given the class whose single example lies at the smallest angle.

use arcgate_firmware::align::framed;
use arcgate_firmware::frame::{Frame, PixelFormat};
use arcgate_firmware::model::ModelInfo;
use image::GrayImage;

use super::embed::cosine;
use crate::data::omniglot::Run;

/// Right answers over all runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneShot {
    /// Runs measured: name and right answers of each.
    pub runs: Vec<(String, usize)>,
    /// Probes in all.
    pub probes: usize,
    /// Of which this many got their own class.
    pub right: usize,
}

impl OneShot {
    /// Share of right answers.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.probes.max(1) as f64
    }
}

/// Classifies every probe of `runs` with a model of framed pictures whose crops `embed` takes.
///
/// # Errors
/// What `embed` said.
pub fn one_shot<E>(
    runs: &[Run],
    info: &ModelInfo,
    mut embed: impl FnMut(&[u8]) -> Result<Vec<f32>, E>,
) -> Result<OneShot, E> {
    let mut found = OneShot { runs: Vec::new(), probes: 0, right: 0 };
    for run in runs {
        let examples =
            run.examples.iter().map(|drawing| embed(&crop(drawing, info))).collect::<Result<Vec<_>, E>>()?;
        let mut right = 0;
        for (drawing, class) in &run.probes {
            let probe = embed(&crop(drawing, info))?;
            let cosines = examples.iter().map(|example| cosine(&probe, example));
            let nearest = cosines.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i);
            right += usize::from(nearest == Some(*class));
        }
        found.right += right;
        found.probes += run.probes.len();
        found.runs.push((run.name.clone(), right));
    }
    Ok(found)
}

/// The whole drawing as the model takes it.
fn crop(drawing: &GrayImage, info: &ModelInfo) -> Vec<u8> {
    let mut out = vec![0; info.crop_bytes()];
    let frame =
        Frame::new(PixelFormat::Grey8, drawing.width() as u16, drawing.height() as u16, drawing.as_raw());
    let done = frame.map(|frame| framed(&frame, info, &mut out));
    assert!(matches!(done, Ok(Ok(()))), "a decoded drawing is a frame, and the crop has the model's size");
    out
}

#[cfg(test)]
mod tests {
    use arcgate_firmware::model::ChannelOrder;

    use super::*;

    #[test]
    fn probes_get_the_nearest_example() {
        let dot =
            |x: u32| GrayImage::from_fn(6, 6, |i, j| image::Luma([if (i, j) == (x, 2) { 0 } else { 255 }]));
        let (order, template) = (ChannelOrder::Grey, None);
        let info = ModelInfo { width: 6, height: 6, order, template, dimension: 36, embedding_id: [0; 32] };
        let probes = vec![(dot(1), 0), (dot(4), 1), (dot(4), 0)];
        let run = Run { name: "run01".into(), examples: vec![dot(1), dot(4)], probes };
        let ink = |crop: &[u8]| Ok::<_, ()>(crop.iter().map(|&v| 1.0 - f32::from(v) / 255.0).collect());
        let found = one_shot(&[run], &info, ink).unwrap();
        assert_eq!((found.right, found.probes), (2, 3));
        assert_eq!(found.runs, [("run01".to_owned(), 2)]);
    }
}
