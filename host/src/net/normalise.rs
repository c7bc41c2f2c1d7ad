//! Batch normalisation and the activation behind it, channels last: passes over rows of channels.
//!
//! `t = gamma * (z - mean) / sqrt(variance + epsilon) + beta` with biased moments (Ioffe and Szegedy, 2015), then t where it is
//! above 0 and the channel's slope times t elsewhere: slope 0 rectifies, slope 1 leaves t as it is.

use super::flex::add;

/// What a layer does to each channel.
pub(super) struct Channels<'a> {
    pub(super) mean: &'a [f32],
    /// One over the standard deviation.
    pub(super) inverse: Vec<f32>,
    /// `t = z * scale + shift`.
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
    pub(super) slopes: &'a [f32],
}

impl<'a> Channels<'a> {
    /// From the moments [2, c].
    pub(super) fn new(
        moments: &'a [f32],
        gamma: &[f32],
        beta: &[f32],
        slopes: &'a [f32],
        epsilon: f64,
    ) -> Self {
        let (mean, variance) = moments.split_at(moments.len() / 2);
        let inverse: Vec<f32> = variance.iter().map(|v| 1.0 / (v + epsilon as f32).sqrt()).collect();
        let scale: Vec<f32> = gamma.iter().zip(&inverse).map(|(g, i)| g * i).collect();
        let shift = (0..mean.len()).map(|c| beta[c] - mean[c] * scale[c]).collect();
        Channels { mean, inverse, scale, shift, slopes }
    }

    /// `y` from `z`, both rows of channels, with `residual` added if there is one.
    #[inline(always)]
    pub(super) fn apply(&self, z: &[f32], residual: Option<&[f32]>, y: &mut [f32]) {
        let n = self.mean.len();
        for (y, z) in y.chunks_exact_mut(n).zip(z.chunks_exact(n)) {
            apply_row(z, &self.scale, &self.shift, self.slopes, y);
        }
        if let Some(residual) = residual {
            add(y, residual);
        }
    }

    /// [`Channels::apply`] in place.
    #[inline(always)]
    pub(super) fn apply_in_place(&self, rows: &mut [f32], residual: Option<&[f32]>) {
        let mut z = vec![0.0; self.mean.len()];
        for row in rows.chunks_exact_mut(z.len()) {
            z.copy_from_slice(row);
            apply_row(&z, &self.scale, &self.shift, self.slopes, row);
        }
        if let Some(residual) = residual {
            add(rows, residual);
        }
    }

    /// Adds to `sums` what rows of `z` and of the output's gradient give.
    #[inline(always)]
    pub(super) fn add_sums(&self, grad: &[f32], z: &[f32], sums: &mut Sums) {
        let n = self.mean.len();
        let Sums { gamma, beta, slope } = sums;
        for (grad, z) in grad.chunks_exact(n).zip(z.chunks_exact(n)) {
            sum_row(grad, z, [self.mean, &self.scale, &self.shift, self.slopes], gamma, beta, slope);
        }
    }

    /// The gradient of `z`, from rows of `z` and of the output's gradient.
    #[inline(always)]
    pub(super) fn to_z(&self, through: &Through, grad: &[f32], z: &[f32], out: &mut [f32]) {
        let n = self.mean.len();
        let of = [&self.scale, &self.shift, self.slopes, &through.times, &through.plus];
        let rows = grad.chunks_exact(n).zip(z.chunks_exact(n));
        for (out, (grad, z)) in out.chunks_exact_mut(n).zip(rows) {
            to_z_row(grad, z, of, out);
        }
    }
}

// A row each. Both sides of the activation are computed, so that choosing one is no branch.

#[inline(always)]
fn apply_row(z: &[f32], scale: &[f32], shift: &[f32], slopes: &[f32], y: &mut [f32]) {
    let n = y.len();
    let (z, scale, shift, slopes) = (&z[..n], &scale[..n], &shift[..n], &slopes[..n]);
    for c in 0..n {
        let t = z[c] * scale[c] + shift[c];
        let low = t * slopes[c];
        y[c] = if t > 0.0 { t } else { low };
    }
}

#[inline(always)]
fn sum_row(grad: &[f32], z: &[f32], of: [&[f32]; 4], gamma: &mut [f32], beta: &mut [f32], slope: &mut [f32]) {
    let n = z.len();
    let [mean, scale, shift, slopes] = of.map(|v| &v[..n]);
    let (grad, gamma, beta, slope) = (&grad[..n], &mut gamma[..n], &mut beta[..n], &mut slope[..n]);
    for c in 0..n {
        let t = z[c] * scale[c] + shift[c];
        let (low, of_slope) = (grad[c] * slopes[c], grad[c] * t);
        let inner = if t > 0.0 { grad[c] } else { low };
        gamma[c] += inner * (z[c] - mean[c]);
        beta[c] += inner;
        slope[c] += if t > 0.0 { 0.0 } else { of_slope };
    }
}

#[inline(always)]
fn to_z_row(grad: &[f32], z: &[f32], of: [&[f32]; 5], out: &mut [f32]) {
    let n = out.len();
    let [scale, shift, slopes, times, plus] = of.map(|v| &v[..n]);
    let (grad, z) = (&grad[..n], &z[..n]);
    for c in 0..n {
        let t = z[c] * scale[c] + shift[c];
        let low = grad[c] * slopes[c];
        let inner = if t > 0.0 { grad[c] } else { low };
        out[c] = inner * scale[c] + (z[c] * times[c] + plus[c]);
    }
}

/// Sums over rows, a value a channel: what the gradients of gamma (but for the deviation), beta and slopes are made of.
#[derive(Clone)]
pub(super) struct Sums {
    pub(super) gamma: Vec<f32>,
    pub(super) beta: Vec<f32>,
    pub(super) slope: Vec<f32>,
}

impl Sums {
    pub(super) fn new(channels: usize) -> Self {
        let zeros = || vec![0.0; channels];
        Sums { gamma: zeros(), beta: zeros(), slope: zeros() }
    }

    pub(super) fn add(&mut self, other: &Sums) {
        add(&mut self.gamma, &other.gamma);
        add(&mut self.beta, &other.beta);
        add(&mut self.slope, &other.slope);
    }
}

/// The gradient that reaches z through the moments: `z * times + plus`.
pub(super) struct Through {
    times: Vec<f32>,
    plus: Vec<f32>,
}

impl Through {
    /// Of moments over `count` rows, or of none where they are constants.
    pub(super) fn new(channels: &Channels<'_>, sums: &Sums, count: Option<usize>) -> Self {
        let (mean, inverse, scale) = (channels.mean, &channels.inverse, &channels.scale);
        let Some(count) = count.map(|n| n as f32) else {
            return Through { times: vec![0.0; mean.len()], plus: vec![0.0; mean.len()] };
        };
        let time = |c: usize| -scale[c] * inverse[c] * inverse[c] * sums.gamma[c] / count;
        let times: Vec<f32> = (0..mean.len()).map(time).collect();
        let plus = (0..mean.len()).map(|c| -scale[c] * sums.beta[c] / count - times[c] * mean[c]).collect();
        Through { times, plus }
    }
}

/// Rows, mean and sum of squared distances to it of some rows, a value a channel.
pub(super) struct Spread {
    rows: usize,
    mean: Vec<f32>,
    squares: Vec<f32>,
}

impl Spread {
    /// Of rows of `channels` values.
    #[inline(always)]
    pub(super) fn new(z: &[f32], channels: usize) -> Self {
        let rows = z.len() / channels;
        let (mut mean, mut squares) = (vec![0.0f32; channels], vec![0.0f32; channels]);
        z.chunks_exact(channels).for_each(|z| add(&mut mean, z));
        mean.iter_mut().for_each(|m| *m /= rows as f32);
        z.chunks_exact(channels).for_each(|z| add_squares(z, &mean, &mut squares));
        Spread { rows, mean, squares }
    }
}

#[inline(always)]
fn add_squares(z: &[f32], mean: &[f32], squares: &mut [f32]) {
    let n = z.len();
    let (mean, squares) = (&mean[..n], &mut squares[..n]);
    for c in 0..n {
        squares[c] += (z[c] - mean[c]) * (z[c] - mean[c]);
    }
}

/// Mean and biased variance [2, c] of all rows together (Chan, Golub and LeVeque, 1979).
pub(super) fn moments(spreads: &[Spread], channels: usize) -> Vec<f32> {
    let total: f64 = spreads.iter().map(|s| s.rows as f64).sum();
    let mean = |c: usize| spreads.iter().map(|s| s.rows as f64 * f64::from(s.mean[c])).sum::<f64>() / total;
    let means: Vec<f64> = (0..channels).map(mean).collect();
    let variance = |c: usize| {
        let about =
            |s: &Spread| f64::from(s.squares[c]) + s.rows as f64 * (f64::from(s.mean[c]) - means[c]).powi(2);
        spreads.iter().map(about).sum::<f64>() / total
    };
    let variances: Vec<f64> = (0..channels).map(variance).collect();
    means.iter().chain(&variances).map(|&v| v as f32).collect()
}
