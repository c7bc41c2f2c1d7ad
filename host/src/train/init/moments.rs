//! Moments of a network's convolutions on real pictures.

use burn::nn::BatchNormConfig;
use burn::tensor::Tensor;

use super::{Step, steps};
use crate::net::patches::patches;
use crate::net::{Activation, ConvBn, Net};
use crate::train::state::{Values, floats};

/// Sums over batches, a layer after the other in the order of [`steps`].
#[derive(Debug, Default)]
pub(super) struct Moments {
    batches: f64,
    layers: Vec<Channels>,
}

/// Sums of each channel's mean, and of its mean square.
#[derive(Debug, Default)]
struct Channels {
    mean: Vec<f64>,
    square: Vec<f64>,
}

impl Moments {
    /// Adds what the convolutions of `net` (from `valid()`) give for `pixels`.
    pub(super) fn add(&mut self, net: &Net, pixels: Tensor<4>) {
        let (mut x, mut aside) = (patches(pixels), None);
        let mut number = 0;
        for step in steps(net) {
            match step {
                Step::Fork => aside = Some(x.clone()),
                Step::Join => x = x + aside.take().expect("a fork comes before its join"),
                Step::Layer(_, layer) => {
                    self.layers.resize_with(self.layers.len().max(number + 1), Channels::default);
                    self.layers[number].add(bare(layer).forward(x.clone(), None, None));
                    number += 1;
                    x = layer.forward(x, None, None);
                }
            }
        }
        self.batches += 1.0;
    }

    /// Gives `values`, which are those of `net`, the measured moments, and the gamma and beta with which it computes what it did.
    pub(super) fn set(&self, net: &Net, values: &mut Values) {
        let layers = steps(net).into_iter().filter_map(|step| match step {
            Step::Layer(path, layer) => Some((path, layer.norm.epsilon)),
            Step::Fork | Step::Join => None,
        });
        for ((path, epsilon), measured) in layers.zip(&self.layers) {
            let name = |what: &str| format!("{path}.norm.{what}");
            let old = |what: &str| values[&name(what)].iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
            let (gamma, beta, mean, variance) =
                (old("gamma"), old("beta"), old("running_mean"), old("running_var"));
            let mut new = [const { Vec::new() }; 4];
            for (c, (sum, square)) in measured.mean.iter().zip(&measured.square).enumerate() {
                let own_mean = sum / self.batches;
                let own_variance = (square / self.batches - own_mean * own_mean).max(0.0);
                let factor = gamma[c] / (variance[c] + epsilon).sqrt();
                let own_gamma = factor * (own_variance + epsilon).sqrt();
                let own_beta = beta[c] + (own_mean - mean[c]) * factor;
                let both = new.iter_mut().zip([own_gamma, own_beta, own_mean, own_variance]);
                both.for_each(|(new, value)| new.push(value as f32));
            }
            for (what, new) in ["gamma", "beta", "running_mean", "running_var"].into_iter().zip(new) {
                values.insert(name(what), new);
            }
        }
    }
}

impl Channels {
    /// Adds one batch [b, h, w, c].
    fn add(&mut self, y: Tensor<4>) {
        let [images, rows, columns, channels] = y.dims();
        let count = (images * rows * columns) as f64;
        self.mean.resize(channels, 0.0);
        self.square.resize(channels, 0.0);
        for pixel in floats(&y).chunks_exact(channels) {
            for (c, value) in pixel.iter().map(|&v| f64::from(v)).enumerate() {
                self.mean[c] += value / count;
                self.square[c] += value * value / count;
            }
        }
    }
}

/// The convolution of `layer` alone.
fn bare(layer: &ConvBn) -> ConvBn {
    let mut norm = BatchNormConfig::new(layer.weight.dims()[0]).init(&layer.weight.device());
    // Mean 0 and variance 1: with no epsilon it changes nothing.
    norm.epsilon = 0.0;
    ConvBn { norm, slopes: None, activation: Activation::None, ..layer.clone() }
}
