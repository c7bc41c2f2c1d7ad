//! What the rest of arcgate relies on: the same bytes for good, and views that pixels cannot tell apart.

use rayon::prelude::*;

use super::*;

const SIZE: (u32, u32) = (48, 48);

#[test]
fn a_portrait_depends_on_all_of_its_arguments_and_on_nothing_else() {
    let base = Portraits::new(1).portrait(2, 3, SIZE);
    assert_eq!(base, Portraits::new(1).portrait(2, 3, SIZE));
    for other in [
        Portraits::new(9).portrait(2, 3, SIZE),
        Portraits::new(1).portrait(9, 3, SIZE),
        Portraits::new(1).portrait(2, 9, SIZE),
    ] {
        assert_ne!(base, other);
    }
    assert_eq!(Portraits::new(1).portrait(2, 3, (40, 56)).dimensions(), (40, 56));
    assert_eq!(Portraits::new(1).portrait(2, 3, (1, 1)).dimensions(), (1, 1));
}

#[test]
fn the_bytes_are_fixed_for_good() {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for identity in 0..40 {
        hash.update(Portraits::new(5).portrait(identity, identity * 7, (32, 32)).as_raw());
    }
    let hex = crate::onnx::metadata::hex(&hash.finalize());
    assert_eq!(hex, DIGEST, "models were trained on other pictures: train them again");
}

/// Of forty portraits, as they were when the committed models were trained.
const DIGEST: &str = "657ea8b047673939171444ff86349ed11a6579e795f26b571b87fe01dba92958";

/// The best accuracy that one threshold on `distance` reaches on balanced pairs.
fn best_accuracy(mut pairs: Vec<(f64, bool)>) -> f64 {
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let strangers = pairs.iter().filter(|p| !p.1).count();
    let mut right = strangers;
    let mut best = right;
    for (_, mated) in &pairs {
        right = if *mated { right + 1 } else { right - 1 };
        best = best.max(right);
    }
    best as f64 / pairs.len() as f64
}

fn cosine_distance(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Balanced pairs of views: of one person and of two.
fn accuracy(
    describe: impl Fn(&RgbImage) -> Vec<f64> + Sync,
    distance: impl Fn(&[f64], &[f64]) -> f64,
) -> f64 {
    let people = Portraits::new(11);
    let number = 600;
    let views: Vec<[Vec<f64>; 2]> = (0..number)
        .into_par_iter()
        .map(|identity| [0, 1].map(|view| describe(&people.portrait(identity, view, SIZE))))
        .collect();
    let mated = views.iter().map(|[a, b]| (distance(a, b), true));
    let strangers =
        (0..views.len()).map(|i| (distance(&views[i][0], &views[(i + 17) % views.len()][1]), false));
    best_accuracy(mated.chain(strangers).collect())
}

fn pixels(image: &RgbImage) -> Vec<f64> {
    image.as_raw().iter().map(|&v| v as f64).collect()
}

fn without_mean(mut values: Vec<f64>) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter_mut().for_each(|v| *v -= mean);
    values
}

fn mean_colour(image: &RgbImage) -> Vec<f64> {
    (0..3).map(|c| image.pixels().map(|p| p[c] as f64).sum::<f64>() / image.pixels().len() as f64).collect()
}

#[test]
fn neither_raw_pixels_nor_mean_colour_verify_people() {
    let euclid = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
    let found = [
        ("raw pixels", accuracy(pixels, cosine_distance)),
        ("raw pixels, mean removed", accuracy(|i| without_mean(pixels(i)), cosine_distance)),
        ("grey pixels, mean removed", {
            accuracy(
                |i| without_mean(pixels(&image::DynamicImage::from(image::imageops::grayscale(i)).to_rgb8())),
                cosine_distance,
            )
        }),
        ("mean colour", accuracy(mean_colour, euclid)),
        ("mean colour, by angle", accuracy(mean_colour, cosine_distance)),
    ];
    println!("{found:.3?}");
    for (name, accuracy) in found {
        assert!(accuracy <= 0.65, "{name} verifies {:.1} % of pairs", 100.0 * accuracy);
        assert!(accuracy >= 0.5, "{name}: the measure itself is broken");
    }
}
