//! Trainings whose embeddings have two dimensions.

use super::config::Study;
use super::figures::PlanePanel;
use super::{StudyError, Trainer, embedded};
use crate::train::Source;
use crate::train::recipe::AugmentConfig;

/// Images of each class that are shown.
const SHOWN: usize = 20;

/// Trains every loss on the plane, where the study has one, and embeds images of the classes learnt.
pub fn panels(study: &Study, trainer: &mut Trainer<'_>) -> Result<Vec<PlanePanel>, StudyError> {
    let mut panels = Vec::new();
    let mut shown: Option<(Vec<usize>, Vec<Vec<u8>>)> = None;
    for entry in &study.losses {
        let Some(recipe) = study.plane_recipe(entry) else { return Ok(panels) };
        let name = entry.loss.name();
        let (record, folder) = trainer.train(&format!("plane-{name}"), &recipe)?;
        if record.diverged.is_some() {
            let name = format!("{name} (diverged)");
            panels.push(PlanePanel { name, points: Vec::new(), directions: Vec::new() });
            continue;
        }
        let (classes, crops) = match &shown {
            Some(shown) => shown,
            None => {
                let mut plain = recipe.clone();
                plain.augment = AugmentConfig::default();
                plain.train.per_class = Some(SHOWN);
                let source = Source::open(&plain)?;
                let samples: Result<Vec<_>, _> =
                    (0..SHOWN * source.classes()).map(|n| source.sample(n)).collect();
                shown.insert(samples?.into_iter().map(|s| (s.class, s.crop)).unzip())
            }
        };
        let place = |vector: Vec<f32>| [vector[0], vector[1]];
        let points: Vec<(usize, [f32; 2])> =
            classes.iter().copied().zip(embedded(&folder, crops)?.into_iter().map(place)).collect();
        let directions = match record.class_weights {
            Some(weights) => weights.into_iter().map(place).collect(),
            None => means(&points, record.classes),
        };
        panels.push(PlanePanel { name: name.into(), points, directions });
    }
    Ok(panels)
}

/// The mean unit vector of each class.
fn means(points: &[(usize, [f32; 2])], classes: usize) -> Vec<[f32; 2]> {
    let mut sums = vec![[0.0; 2]; classes];
    for &(class, [x, y]) in points {
        let length = x.hypot(y).max(1e-12);
        sums[class][0] += x / length;
        sums[class][1] += y / length;
    }
    sums
}
