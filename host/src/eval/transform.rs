//! Embeddings as a gallery compares them: under its revocable [`Transform`], which keeps angles within rounding. What is measured
//! of a device, thresholds above all, is measured behind it.

use arcgate_firmware::gallery::GalleryError;
use arcgate_firmware::gallery::transform::{Seed, Transform};
use rayon::prelude::*;

use super::gallery::Vector;

/// The seed of an imagined gallery's transform: of the `gallery`th that are drawn from `seed`.
pub fn seed(seed: u64, gallery: u64) -> Seed {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&gallery.to_le_bytes());
    bytes
}

/// `vectors` in the gallery of that seed. Float vectors stay as they are: no gallery holds any.
///
/// # Errors
/// When an embedding has more values than a gallery takes, or another number of them than the first.
pub fn transformed(vectors: &[Vector], seed: &Seed) -> Result<Vec<Vector>, GalleryError> {
    let Some(Vector::Int8(first)) = vectors.first() else { return Ok(vectors.to_vec()) };
    let transform = Transform::new(seed, first.len())?;
    let each = |vector: &Vector| match vector {
        Vector::Int8(values) => {
            let mut values = values.clone();
            transform.apply(&mut values)?;
            Ok(Vector::Int8(values))
        }
        float => Ok(float.clone()),
    };
    vectors.par_iter().map(each).collect()
}

#[cfg(test)]
mod tests {
    use arcgate_firmware::embedding::angle;

    use super::*;
    use crate::synth::dice::Dice;

    fn embeddings() -> Vec<Vec<i8>> {
        let mut dice = Dice::new(9, 0, 0, 0);
        (0..40).map(|_| (0..96).map(|_| (30.0 * dice.bell()) as i8).collect()).collect()
    }

    fn int8(vectors: Vec<Vector>) -> Vec<Vec<i8>> {
        let values = |vector| match vector {
            Vector::Int8(values) => values,
            Vector::Float(values) => panic!("{values:?}"),
        };
        vectors.into_iter().map(values).collect()
    }

    #[test]
    fn what_a_device_stores_is_compared() {
        let given = embeddings();
        let vectors: Vec<Vector> = given.iter().cloned().map(Vector::Int8).collect();
        let [first, again, other] = [(7, 0), (7, 0), (7, 1)]
            .map(|(number, gallery)| int8(transformed(&vectors, &seed(number, gallery)).unwrap()));
        assert_eq!(first, again);
        assert_ne!(first, other);
        let mut stored = given[3].clone();
        Transform::new(&seed(7, 0), 96).unwrap().apply(&mut stored).unwrap();
        assert_eq!(first[3], stored);
        for pair in 1..given.len() {
            let [before, after] = [&given, &first].map(|of| angle(&of[0], &of[pair]).degrees());
            assert!((before - after).abs() < 0.3, "{before} became {after}");
        }
    }

    #[test]
    fn floats_stay_and_what_no_gallery_takes_is_refused() {
        let floats = vec![Vector::Float(vec![0.5, -2.0]); 3];
        assert_eq!(transformed(&floats, &[1; 32]), Ok(floats));
        let refused = |vectors: &[Vector]| transformed(vectors, &[1; 32]).unwrap_err();
        assert!(matches!(refused(&[Vector::Int8(vec![1; 513])]), GalleryError::Dimension { found: 513, .. }));
        let mixed = [Vector::Int8(vec![1; 8]), Vector::Int8(vec![1; 7])];
        assert_eq!(refused(&mixed), GalleryError::Dimension { expected: 8, found: 7 });
    }
}
