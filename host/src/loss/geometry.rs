//! What a loss asks for, as curves to look at: what it makes of the target's cosine, and its border between two classes. The
//! curves are those of the code that trains, margins at full strength.

use burn::tensor::{Device, Tensor, TensorData};

use super::{LossConfig, arcface, combined, sphereface};

impl LossConfig {
    /// The loss's name as recipes write it.
    pub fn name(&self) -> &'static str {
        match self {
            LossConfig::Contrastive { .. } => "contrastive",
            LossConfig::Triplet { .. } => "triplet",
            LossConfig::Center { .. } => "center",
            LossConfig::Softmax {} => "softmax",
            LossConfig::NormFace { .. } => "normface",
            LossConfig::SphereFace { .. } => "sphereface",
            LossConfig::CosFace { .. } => "cosface",
            LossConfig::ArcFace { .. } => "arcface",
            LossConfig::CurricularFace { .. } => "curricularface",
            LossConfig::Combined { .. } => "combined",
        }
    }

    /// What stands in the place of the target's cosine, the logits' scale left out; none for losses that compare images with
    /// one another. For softmax and center weights of equal length and equal biases are meant.
    pub fn target(&self, cosines: &[f64]) -> Option<Vec<f64>> {
        let through = |moved: &dyn Fn(Tensor<2>) -> Tensor<2>| {
            let data = TensorData::new(cosines.to_vec(), [cosines.len(), 1]).convert::<f32>();
            let moved = moved(Tensor::from_data(data, &Device::flex()));
            moved.into_data().convert::<f64>().try_to_vec::<f64>().expect("converted to f64")
        };
        match *self {
            LossConfig::Contrastive { .. } | LossConfig::Triplet { .. } => None,
            LossConfig::Center { .. } | LossConfig::Softmax {} | LossConfig::NormFace { .. } => {
                Some(cosines.to_vec())
            }
            LossConfig::SphereFace { margin, lambda_end, .. } => {
                Some(through(&|own| sphereface::target_cosine(own, margin as usize, lambda_end)))
            }
            LossConfig::CosFace { margin, .. } => Some(cosines.iter().map(|c| c - margin).collect()),
            LossConfig::ArcFace { margin, .. } | LossConfig::CurricularFace { margin, .. } => {
                Some(through(&|own| arcface::with_margin(own, margin)))
            }
            LossConfig::Combined { m1, m2, m3, .. } => {
                Some(through(&|own| combined::with_margins(own, [m1, m2, m3])))
            }
        }
    }

    /// For each cosine to the own class, the largest cosine to another one with which the loss is content. "Class" means its
    /// weight, or for losses that compare images another image of it; those are taken at unit length.
    pub fn border(&self, own: &[f64]) -> Vec<f64> {
        match *self {
            // |a - n| >= m for unit vectors, whatever the own class does.
            LossConfig::Contrastive { margin, .. } => vec![1.0 - 0.5 * margin * margin; own.len()],
            // |a - p|^2 + alpha <= |a - n|^2, where |a - b|^2 = 2 - 2 cos.
            LossConfig::Triplet { margin, .. } => own.iter().map(|c| c - 0.5 * margin).collect(),
            _ => self.target(own).expect("all other losses have a target"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(toml: &str) -> LossConfig {
        toml::from_str(toml).unwrap()
    }

    fn at(config: &LossConfig, degrees: f64) -> f64 {
        config.border(&[degrees.to_radians().cos()])[0]
    }

    #[test]
    fn borders_by_hand() {
        let arcface = config("name = \"arcface\"\nmargin = 0.5");
        assert!((at(&arcface, 20.0) - (20f64.to_radians() + 0.5).cos()).abs() < 1e-6);
        assert!((at(&config("name = \"cosface\"\nmargin = 0.35"), 60.0) - 0.15).abs() < 1e-6);
        // lambda 0: psi alone; cos(4 * 30 degrees) in the first quarter turn, where psi is cos(m theta).
        let sphere = config("name = \"sphereface\"\nlambda_end = 0.0");
        assert!((at(&sphere, 30.0) - 120f64.to_radians().cos()).abs() < 1e-5);
        // Unit vectors at 60 degrees are 1 apart.
        assert!((at(&config("name = \"contrastive\""), 5.0) - 60f64.to_radians().cos()).abs() < 1e-12);
        assert!((at(&config("name = \"triplet\""), 60.0) - 0.4).abs() < 1e-12);
        assert_eq!(at(&config("name = \"softmax\""), 90.0), 90f64.to_radians().cos());
        let combined = config("name = \"combined\"\nm2 = 0.5\nm3 = 0.1");
        assert!((at(&combined, 20.0) - (at(&arcface, 20.0) - 0.1)).abs() < 1e-5);
    }

    #[test]
    fn names_are_those_of_recipes() {
        for name in
            ["contrastive", "triplet", "center", "softmax", "normface", "sphereface", "cosface", "arcface"]
        {
            assert_eq!(config(&format!("name = {name:?}")).name(), name);
        }
        assert!(config("name = \"triplet\"").target(&[0.5]).is_none());
    }
}
