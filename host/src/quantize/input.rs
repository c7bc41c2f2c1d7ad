//! From the bytes of a crop to the planes of a model's input.

use super::ImportError;
use crate::onnx::float::Map;
use crate::onnx::metadata::FloatInput;

/// A model's input: its geometry, and what each byte stands for in each plane.
pub(super) struct Picture {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    /// The byte of a pixel that goes to each plane.
    planes: Vec<usize>,
    /// What is subtracted from a byte, one value a plane.
    pub mean: Vec<f32>,
    /// What the difference is multiplied by, one value a plane.
    pub factor: Vec<f32>,
}

impl Picture {
    pub fn new(map: &Map, input: &FloatInput) -> Result<Self, ImportError> {
        let refuse =
            |problem: String, accepted: &str| Err(ImportError::Input { problem, accepted: accepted.into() });
        let planes = match (map.channels, input.order.as_str()) {
            (1, "grey") => vec![0],
            (3, "rgb") => vec![0, 1, 2],
            (3, "bgr") => vec![2, 1, 0],
            (channels, order) => {
                let problem = format!("channel order {order:?} for a model of {channels} channels");
                return refuse(problem, "\"grey\" for one channel, \"rgb\" or \"bgr\" for three");
            }
        };
        for (what, values) in [("mean", &input.mean), ("std", &input.std)] {
            if values.len() != map.channels || !values.iter().all(|v| v.is_finite()) {
                let accepted =
                    format!("{} finite values in units of the full pixel range 0..1", map.channels);
                return refuse(format!("{what} {values:?}"), &accepted);
            }
        }
        if !input.std.iter().all(|&v| (1e-4..=1e4).contains(&v)) || !input.mean.iter().all(|v| v.abs() <= 1e4)
        {
            let problem = format!("mean {:?}, std {:?}", input.mean, input.std);
            return refuse(problem, "values in units of the full pixel range 0..1, std above 0");
        }
        let mean = input.mean.iter().map(|&m| (m as f64 * 255.0) as f32).collect();
        let factor = input.std.iter().map(|&s| (1.0 / (s as f64 * 255.0)) as f32).collect();
        let Map { channels, height, width, .. } = *map;
        Ok(Picture { channels, height, width, planes, mean, factor })
    }

    pub fn crop_bytes(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The real value of a byte in a plane, in the arithmetic of the int8 graph.
    pub fn real(&self, plane: usize, byte: u8) -> f32 {
        (byte as f32 - self.mean[plane]) * self.factor[plane]
    }

    /// The real values of all bytes in all planes.
    pub fn table(&self) -> Vec<f32> {
        (0..self.channels).flat_map(|c| (0..=255).map(move |b| self.real(c, b))).collect()
    }

    /// A crop as planes of bytes, in the order of the model.
    pub fn bytes(&self, crop: &[u8]) -> Vec<u8> {
        let plane = |&at: &usize| crop.iter().copied().skip(at).step_by(self.channels);
        self.planes.iter().flat_map(plane).collect()
    }

    /// A crop as planes of real values.
    pub fn reals(&self, crop: &[u8]) -> Vec<f32> {
        let table = self.table();
        let area = self.height * self.width;
        let bytes = self.bytes(crop);
        bytes.iter().enumerate().map(|(i, &b)| table[i / area * 256 + b as usize]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(order: &str, channels: usize) -> FloatInput {
        let mean = [0.1, 0.2, 0.3][..channels].to_vec();
        FloatInput { order: order.into(), mean, std: vec![0.5; channels], template: None }
    }

    fn map(channels: usize) -> Map {
        Map { name: "x".into(), channels, height: 1, width: 2 }
    }

    #[test]
    fn planes_stand_in_the_models_order() {
        let crop = [1, 2, 3, 4, 5, 6];
        let rgb = Picture::new(&map(3), &input("rgb", 3)).unwrap();
        assert_eq!(rgb.bytes(&crop), [1, 4, 2, 5, 3, 6]);
        let bgr = Picture::new(&map(3), &input("bgr", 3)).unwrap();
        assert_eq!(bgr.bytes(&crop), [3, 6, 2, 5, 1, 4]);
        // The mean belongs to the plane, not to the colour.
        assert!((bgr.reals(&crop)[0] - (3.0 / 255.0 - 0.1) / 0.5).abs() < 1e-6);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let told =
            |channels, input: &FloatInput| Picture::new(&map(channels), input).err().map(|e| e.to_string());
        assert_eq!(
            told(1, &input("rgb", 3)).unwrap(),
            "channel order \"rgb\" for a model of 1 channels\n  accepted: \"grey\" for one channel, \"rgb\" or \
             \"bgr\" for three"
        );
        assert_eq!(
            told(3, &FloatInput { mean: vec![0.5], ..input("rgb", 3) }).unwrap(),
            "mean [0.5]\n  accepted: 3 finite values in units of the full pixel range 0..1"
        );
        assert!(told(1, &FloatInput { std: vec![0.0], ..input("grey", 1) }).is_some());
        assert!(told(1, &input("grey", 1)).is_none());
    }
}
