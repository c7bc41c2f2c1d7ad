//! What a model must beat: pictures compared as they are.

/// The cosine between two pictures as vectors, each with its mean taken away; 0 when one is flat.
pub fn raw_pixels(a: &[u8], b: &[u8]) -> f64 {
    let mean = |v: &[u8]| v.iter().map(|&p| p as f64).sum::<f64>() / v.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut dot, mut norm_a, mut norm_b) = (0.0, 0.0, 0.0);
    for (&p, &q) in a.iter().zip(b) {
        let (p, q) = (p as f64 - mean_a, q as f64 - mean_b);
        dot += p * q;
        norm_a += p * p;
        norm_b += q * q;
    }
    if norm_a == 0.0 || norm_b == 0.0 { 0.0 } else { dot / (norm_a * norm_b).sqrt() }
}

/// The negative Euclidean distance between the mean colours of two interleaved pictures.
pub fn mean_colour(a: &[u8], b: &[u8], channels: usize) -> f64 {
    let mean = |v: &[u8], c: usize| {
        let (mut sum, mut n) = (0.0, 0.0);
        for &p in v.iter().skip(c).step_by(channels) {
            sum += p as f64;
            n += 1.0;
        }
        sum / n
    };
    let square = |c| {
        let d: f64 = mean(a, c) - mean(b, c);
        d * d
    };
    -(0..channels).map(square).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brightness_does_not_count_for_raw_pixels_and_does_for_mean_colour() {
        let (a, b) = ([10, 20, 30, 40], [110, 120, 130, 140]);
        assert!((raw_pixels(&a, &b) - 1.0).abs() < 1e-12);
        assert_eq!(mean_colour(&a, &b, 1), -100.0);
        assert_eq!(mean_colour(&a, &b, 2), -(20000f64).sqrt());
        assert_eq!(raw_pixels(&[7; 4], &a), 0.0);
    }
}
