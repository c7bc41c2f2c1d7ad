//! A convolution, its batch normalisation and its activation.

use burn::module::{Initializer, Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, activation};

use super::depthwise::depthwise;
use super::normal;
use super::normalise::normalise;
use super::pointwise::pointwise;
use crate::synth::dice::Dice;

/// Which convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 3x3, stride 2, padded by 1.
    Stem,
    /// 1x1, stride 1.
    Pointwise,
    /// 3x3 on each channel, padded by 1.
    Depthwise {
        /// 1 or 2.
        stride: usize,
    },
    /// A depthwise convolution as large as the map: one value a channel.
    Global {
        /// Rows of the map.
        rows: usize,
        /// Columns of the map.
        columns: usize,
    },
}

/// What follows the normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// max(0, x).
    Relu,
    /// x below 0 times a learnt slope for each channel, 0.25 at first.
    Prelu,
}

/// A convolution without bias, batch normalisation, an activation.
#[derive(Module, Debug)]
pub struct ConvBn {
    pub(crate) weight: Param<Tensor<4>>,
    pub(crate) norm: BatchNorm,
    /// Of [`Activation::Prelu`], one a channel.
    pub(crate) slopes: Option<Param<Tensor<1>>>,
    #[module(skip)]
    pub(crate) activation: Activation,
    #[module(skip)]
    pub(crate) kind: Kind,
}

impl ConvBn {
    /// Fresh weights (He's normal initialisation).
    pub(crate) fn new(
        kind: Kind,
        [cin, cout]: [usize; 2],
        activation: Activation,
        dice: &mut Dice,
        device: &Device,
    ) -> Self {
        let shape = match kind {
            Kind::Stem => [cout, cin, 3, 3],
            Kind::Pointwise => [cout, cin, 1, 1],
            Kind::Depthwise { .. } => [cout, 1, 3, 3],
            Kind::Global { rows, columns } => [cout, 1, rows, columns],
        };
        let fan_in = shape[1] * shape[2] * shape[3];
        let slopes = Initializer::Constant { value: 0.25 };
        ConvBn {
            weight: normal(shape, (2.0 / fan_in as f32).sqrt(), dice, device),
            norm: BatchNormConfig::new(cout).init(device),
            slopes: (activation == Activation::Prelu).then(|| slopes.init([cout], device)),
            activation,
            kind,
        }
    }

    /// The same without a learnt shift: over a batch the output's mean is 0 and stays so.
    pub(crate) fn centred(mut self) -> Self {
        self.norm.beta = self.norm.beta.set_require_grad(false);
        self
    }

    /// [b, cin, h, w] to [b, cout, h', w'].
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let weight = self.weight.val();
        let y = match self.kind {
            Kind::Stem => conv2d(x, weight, None, ConvOptions::new([2, 2], [1, 1], [1, 1], 1)),
            Kind::Pointwise => pointwise(x, weight),
            Kind::Depthwise { stride } => depthwise(x, weight, stride, 1),
            Kind::Global { rows, columns } => {
                let [b, c, ..] = x.dims();
                let x: Tensor<3> = x.reshape([b, c, rows * columns]);
                let weight: Tensor<3> = weight.reshape([1, c, rows * columns]);
                (x * weight).sum_dim(2).reshape([b, c, 1, 1])
            }
        };
        let rectify = self.activation == Activation::Relu;
        let y = match y.device().is_autodiff() && self.norm.training.is_enabled() {
            true => self.normalise(y, rectify),
            false if rectify => activation::relu(self.norm.forward(y)),
            false => self.norm.forward(y),
        };
        match &self.slopes {
            Some(slopes) => activation::prelu(y, slopes.val()),
            None => y,
        }
    }

    /// Batch normalisation by the batch's own moments, which also move the running ones.
    fn normalise(&self, x: Tensor<4>, rectify: bool) -> Tensor<4> {
        let BatchNorm { gamma, beta, running_mean, running_var, momentum, epsilon, .. } = &self.norm;
        let (y, moments) = normalise(x, gamma.val(), beta.val(), *epsilon, rectify);
        let channels = gamma.dims()[0];
        for (row, running) in [running_mean, running_var].into_iter().enumerate() {
            let own: Tensor<1> = moments.clone().slice(row..row + 1).reshape([channels]);
            let before = running.value_sync().to_device(&own.device());
            let after = before.mul_scalar(1.0 - momentum).add(own.mul_scalar(*momentum));
            running.update(after.detach());
        }
        y
    }
}
