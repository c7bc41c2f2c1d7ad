//! A convolution, its batch normalisation and its activation.

use burn::module::{Initializer, Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::{Device, Tensor};

use super::fused::{Convolution, layer};
use super::normal;
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

impl Kind {
    /// Columns and rows of the output for an input of `map` columns and rows.
    pub(crate) fn output(self, map: [usize; 2]) -> [usize; 2] {
        match self {
            Kind::Stem => map.map(|side| side.div_ceil(2)),
            Kind::Pointwise => map,
            Kind::Depthwise { stride } => map.map(|side| side.div_ceil(stride)),
            Kind::Global { .. } => [1, 1],
        }
    }
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

    /// The same with a shift that is not learnt: from fresh weights a batch's outputs have the mean 0 and keep it, so that a loss
    /// by angle cannot gather all of them around one direction. First weights from a file keep the shift that they had.
    pub(crate) fn centred(mut self) -> Self {
        self.norm.beta = self.norm.beta.set_require_grad(false);
        self
    }

    /// [b, h, w, cin] to [b, h', w', cout], with `residual` added behind the activation; the stem takes patches. Normalised by
    /// the batch's moments [2, cout], which go to `seen`; by the running ones without it.
    pub(crate) fn forward(
        &self,
        x: Tensor<4>,
        residual: Option<Tensor<4>>,
        seen: Option<&mut Vec<Tensor<2>>>,
    ) -> Tensor<4> {
        let BatchNorm { gamma, beta, running_mean, running_var, epsilon, .. } = &self.norm;
        let convolution = match self.kind {
            Kind::Stem | Kind::Pointwise => Convolution::Dense,
            Kind::Depthwise { stride } => Convolution::Depthwise { stride, pad: 1 },
            Kind::Global { .. } => Convolution::Depthwise { stride: 1, pad: 0 },
        };
        let running = || {
            let both = [running_mean, running_var].map(|running| running.value_sync().unsqueeze_dim(0));
            Tensor::cat(both.to_vec(), 0)
        };
        let fixed = seen.is_none().then(running);
        let affine = [gamma.val(), beta.val(), self.slopes(&x.device())];
        let (y, moments) = layer(x, self.weight.val(), affine, residual, fixed, convolution, *epsilon);
        if let Some(seen) = seen {
            seen.push(moments);
        }
        y
    }

    /// What values below 0 are multiplied by.
    fn slopes(&self, device: &Device) -> Tensor<1> {
        let channels = self.norm.gamma.dims();
        match (&self.slopes, self.activation) {
            (Some(slopes), _) => slopes.val(),
            (None, Activation::None) => Tensor::ones(channels, device),
            (None, _) => Tensor::zeros(channels, device),
        }
    }

    /// Moves the running moments towards a batch's.
    pub(crate) fn run_on(&self, moments: &Tensor<2>) {
        let BatchNorm { gamma, running_mean, running_var, momentum, .. } = &self.norm;
        let channels = gamma.dims()[0];
        for (row, running) in [running_mean, running_var].into_iter().enumerate() {
            let own: Tensor<1> = moments.clone().slice(row..row + 1).reshape([channels]);
            let before = running.value_sync().to_device(&own.device());
            let after = before.mul_scalar(1.0 - momentum).add(own.mul_scalar(*momentum));
            running.update(after.detach());
        }
    }
}
