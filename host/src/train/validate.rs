//! How well held-out identities are told apart by the angle between their embeddings.

/// On all pairs of held-out images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validation {
    /// Share of mated pairs accepted where one in a hundred pairs of strangers is.
    pub tar_at_1e2: f64,
    /// The best balanced accuracy of a single threshold: the mean of mated accepted and strangers refused.
    pub accuracy: f64,
    /// Mean cosine of all held-out images' embeddings to the teacher's, where there is one.
    pub cosine_to_teacher: Option<f64>,
}

/// Compares all pairs of `embeddings` [n * d], whose identities are `identities` `[n]`.
pub fn validate(embeddings: &[f32], identities: &[usize]) -> Validation {
    let d = embeddings.len() / identities.len().max(1);
    let unit: Vec<Vec<f32>> = embeddings
        .chunks_exact(d.max(1))
        .map(|e| {
            let norm = e.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
            e.iter().map(|v| v / norm).collect()
        })
        .collect();
    let mut pairs = Vec::new();
    for i in 0..unit.len() {
        for j in 0..i {
            let cosine: f32 = unit[i].iter().zip(&unit[j]).map(|(a, b)| a * b).sum();
            pairs.push((cosine, identities[i] == identities[j]));
        }
    }
    // Among equals strangers come first: a collapsed embedding earns nothing.
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mated = pairs.iter().filter(|p| p.1).count().max(1) as f64;
    let strangers = (pairs.len() as f64 - mated).max(1.0);
    let (mut found, mut accepted) = (0.0, 0.0);
    let mut best = Validation { tar_at_1e2: 0.0, accuracy: 0.5, cosine_to_teacher: None };
    for (_, same) in pairs {
        if same {
            found += 1.0;
        } else {
            accepted += 1.0;
        }
        if accepted <= 0.01 * strangers {
            best.tar_at_1e2 = found / mated;
        }
        best.accuracy = best.accuracy.max(0.5 * (found / mated + 1.0 - accepted / strangers));
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perfect_and_useless_embeddings() {
        let apart = [1.0, 0.0, 2.0, 0.1, 0.0, 1.0, 0.1, 3.0];
        let found = validate(&apart, &[0, 0, 1, 1]);
        assert_eq!((found.tar_at_1e2, found.accuracy), (1.0, 1.0));
        let crossed = validate(&apart, &[0, 1, 0, 1]);
        assert_eq!(crossed.tar_at_1e2, 0.0);
        assert!(crossed.accuracy <= 0.75);
        let collapsed = validate(&[1.0; 8], &[0, 0, 1, 1]);
        assert_eq!((collapsed.tar_at_1e2, collapsed.accuracy), (0.0, 0.5));
    }
}
