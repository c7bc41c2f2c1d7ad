//! Embeddings as a gallery compares them: under its revocable [`Transform`], which keeps angles within rounding. What is measured
//! of a device, thresholds above all, is measured behind it.

use arcgate_firmware::gallery::GalleryError;
use arcgate_firmware::gallery::transform::{Seed, Transform};

use super::gallery::Vector;

/// The seed of an imagined gallery, by number.
pub fn seed(number: u64) -> Seed {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    seed
}

/// `vectors` under the transform of the gallery with that number. Float vectors stay as they are: no gallery holds any.
///
/// # Errors
/// When an embedding has more values than a gallery takes, or another number of them than the first.
pub fn transformed(vectors: &[Vector], number: u64) -> Result<Vec<Vector>, GalleryError> {
    let dimension = vectors.iter().find_map(|vector| match vector {
        Vector::Int8(values) => Some(values.len()),
        Vector::Float(_) => None,
    });
    let Some(dimension) = dimension else { return Ok(vectors.to_vec()) };
    let transform = Transform::new(&seed(number), dimension)?;
    let mut vectors = vectors.to_vec();
    for vector in &mut vectors {
        if let Vector::Int8(values) = vector {
            transform.apply(values)?;
        }
    }
    Ok(vectors)
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
        let [first, again, other] = [7, 7, 8].map(|number| int8(transformed(&vectors, number).unwrap()));
        assert_eq!(first, again);
        assert_ne!(first, other);
        let mut stored = given[3].clone();
        Transform::new(&seed(7), 96).unwrap().apply(&mut stored).unwrap();
        assert_eq!(first[3], stored);
        for pair in 1..given.len() {
            let [before, after] = [&given, &first].map(|of| angle(&of[0], &of[pair]).degrees());
            assert!((before - after).abs() < 0.3, "{before} became {after}");
        }
    }

    #[test]
    fn floats_stay_and_what_no_gallery_takes_is_refused() {
        let floats = vec![Vector::Float(vec![0.5, -2.0]); 3];
        assert_eq!(transformed(&floats, 1), Ok(floats));
        let refused = |vectors: &[Vector]| transformed(vectors, 1).unwrap_err();
        assert!(matches!(refused(&[Vector::Int8(vec![1; 513])]), GalleryError::Dimension { found: 513, .. }));
        let mixed = [Vector::Int8(vec![1; 8]), Vector::Int8(vec![1; 7])];
        assert_eq!(refused(&mixed), GalleryError::Dimension { expected: 8, found: 7 });
    }
}
