//! How fast to learn: a linear warm-up, then a cosine down to zero.

/// The rate at step `step` of `total`, for a peak of `peak` reached after `warmup` steps.
pub fn rate(step: usize, total: usize, warmup: usize, peak: f64) -> f64 {
    if step < warmup {
        return peak * (step + 1) as f64 / warmup as f64;
    }
    let done = (step - warmup) as f64 / (total - warmup).max(1) as f64;
    peak * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_to_the_peak_and_falls_to_zero() {
        let rates: Vec<f64> = (0..100).map(|s| rate(s, 100, 10, 0.2)).collect();
        assert!(rates[..10].windows(2).all(|w| w[0] < w[1]));
        assert!((rates[9] - 0.2).abs() < 1e-12 && (rates[10] - 0.2).abs() < 1e-12);
        assert!(rates[10..].windows(2).all(|w| w[0] > w[1]));
        assert!(rates[99] < 1e-3 * 0.2);
        assert!(rate(0, 1, 0, 0.2) == 0.2);
    }
}
