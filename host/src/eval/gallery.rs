//! Embeddings, and galleries of them that give a probe's similarity to every template.

use arcgate_firmware::embedding::norm_squared;
use arcgate_firmware::kernels::dot::{Line, Probe, lines, store};

/// What an engine made of a crop.
#[derive(Debug, Clone, PartialEq)]
pub enum Vector {
    /// A device's embedding.
    Int8(Vec<i8>),
    /// A float model's, of any length but 0.
    Float(Vec<f32>),
}

impl Vector {
    /// Whether it is all zeros, which is like nobody.
    pub fn is_zero(&self) -> bool {
        match self {
            Vector::Int8(values) => values.iter().all(|&v| v == 0),
            Vector::Float(values) => values.iter().all(|&v| v == 0.0),
        }
    }

    /// Bytes of a template.
    pub fn bytes(&self) -> usize {
        match self {
            Vector::Int8(values) => values.len(),
            Vector::Float(values) => 4 * values.len(),
        }
    }
}

/// Templates in their order: int8 in rows as a device keeps them and searches them, floats at unit length.
#[derive(Debug, Clone)]
pub struct Gallery {
    rows: Vec<Line>,
    /// The reciprocal of each int8 template's length; 0 for one of zeros.
    lengths: Vec<f64>,
    units: Vec<Vec<f32>>,
}

impl Gallery {
    /// A gallery of templates of one engine.
    pub fn new<'v>(templates: impl IntoIterator<Item = &'v Vector>) -> Self {
        let mut gallery = Gallery { rows: Vec::new(), lengths: Vec::new(), units: Vec::new() };
        for template in templates {
            match template {
                Vector::Int8(values) => {
                    let at = gallery.rows.len();
                    gallery.rows.resize(at + lines(values.len()), Line::ZERO);
                    store(values, &mut gallery.rows[at..]);
                    gallery.lengths.push(reciprocal_length(values));
                }
                Vector::Float(values) => gallery.units.push(unit(values.clone())),
            }
        }
        gallery
    }

    /// The cosine to each template, in `cosines`; 0 for zeros.
    pub fn compare(&self, probe: &Vector, cosines: &mut Vec<f32>) {
        cosines.clear();
        match probe {
            Vector::Int8(values) => {
                let (ready, length) = (Probe::new(values), reciprocal_length(values));
                let mut next = 0;
                // Every product is above the bound: all rows are looked at, in groups.
                while let Some(hit) = ready.scan(&self.rows, next, i32::MIN) {
                    let lengths = self.lengths[hit.first..].iter();
                    cosines.extend(
                        hit.products().iter().zip(lengths).map(|(&p, l)| (f64::from(p) * l * length) as f32),
                    );
                    next = hit.end();
                }
            }
            Vector::Float(values) => {
                let probe = unit(values.clone());
                let dot = |template: &Vec<f32>| template.iter().zip(&probe).map(|(a, b)| a * b).sum::<f32>();
                cosines.extend(self.units.iter().map(dot));
            }
        }
    }
}

fn reciprocal_length(values: &[i8]) -> f64 {
    match norm_squared(values) {
        0 => 0.0,
        squared => 1.0 / f64::from(squared).sqrt(),
    }
}

/// At unit length; zeros stay zeros, alike to nothing.
pub fn unit(vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt().max(1e-30);
    vector.into_iter().map(|v| (f64::from(v) / norm) as f32).collect()
}

/// A cosine's angle in degrees.
pub fn degrees(cosine: f32) -> f64 {
    f64::from(cosine).clamp(-1.0, 1.0).acos().to_degrees()
}

#[cfg(test)]
mod tests {
    use super::super::embed::cosine;
    use super::*;
    use crate::synth::dice::Dice;

    #[test]
    fn both_kinds_give_the_cosine() {
        let mut dice = Dice::new(1, 0, 0, 0);
        let mut vectors: Vec<Vec<i8>> =
            (0..45).map(|_| (0..70).map(|_| dice.below(255) as u8 as i8).collect()).collect();
        vectors[7] = vec![0; 70];
        let floats: Vec<Vec<f32>> =
            vectors.iter().map(|v| v.iter().map(|&x| f32::from(x)).collect()).collect();
        let int8: Vec<Vector> = vectors.into_iter().map(Vector::Int8).collect();
        let float: Vec<Vector> = floats.iter().cloned().map(Vector::Float).collect();
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for probe in [0, 7, 44] {
            Gallery::new(&int8).compare(&int8[probe], &mut a);
            Gallery::new(&float).compare(&float[probe], &mut b);
            assert_eq!((a.len(), b.len()), (45, 45));
            for ((a, b), template) in a.iter().zip(&b).zip(&floats) {
                let wanted = cosine(&floats[probe], template) as f32;
                assert!((a - wanted).abs() < 1e-6 && (b - wanted).abs() < 1e-5, "{a} {b} {wanted}");
            }
        }
        assert!(int8[7].is_zero() && !int8[0].is_zero() && float[7].is_zero());
        assert_eq!((int8[0].bytes(), float[0].bytes()), (70, 280));
    }
}
