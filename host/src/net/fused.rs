//! A layer of the backbone as one operation, a burn backend extension: convolution, batch normalisation, activation, and what
//! is added behind them.
//!
//! As tensor operations a layer reads and writes its maps some forty times, forward and backward, and memory is what a
//! training waits for. Here maps are channels last, `[b, h, w, c]`; they are worked on in pieces that stay in a core's cache,
//! and the gradient of the convolution's output never reaches memory at all.
//!
//! Pieces and the groups whose sums are added follow from the shapes, not from the threads, so results do not depend on these.

use std::ops::Range;

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{AutodiffBackend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::depthwise::{self, Slide};
use super::flex::{add, buffer, contiguous, give_back, keep, pieces, shape4, tensor, values, widest};
use super::normalise::{Channels, Spread, Sums, Through, moments};
use super::product::{Matrix, product};

/// Values of a piece, about: with what it is computed from it fits the second cache.
const PIECE: usize = 1 << 15;

/// Groups of images whose sums are taken apart and added in order.
const GROUPS: usize = 8;

/// Which convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convolution {
    /// Each pixel's values [ci] times the weights [co, ci], whose further sides count as ci: 1x1, or any over
    /// [`super::patches::patches`].
    Dense,
    /// Each channel with its own kernel, weights [c, 1, kh, kw].
    Depthwise {
        /// Of the kernel, down and across.
        stride: usize,
        /// Zeros on every side.
        pad: usize,
    },
}

/// What a backend needs for [`layer`]; all tensors f32.
#[backend_extension(Flex, Autodiff)]
pub trait LayerOps: burn::backend::Backend {
    /// The output and the moments [2, c] that it was normalised by; a `residual` or `fixed` moments without values are none.
    #[allow(
        clippy::too_many_arguments,
        reason = "a layer's operands; expected, it would be missed in what the macro makes"
    )]
    fn layer(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        slopes: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        fixed: FloatTensor<Self>,
        convolution: Convolution,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// What a layer computes with.
#[derive(Debug, Clone)]
pub struct Operands<T> {
    /// Input [b, h, w, ci].
    pub x: T,
    /// Weights of the convolution.
    pub weight: T,
    /// Of the normalisation, [c].
    pub gamma: T,
    /// Of the normalisation, [c].
    pub beta: T,
    /// Of the activation, [c]: values below 0 are multiplied by them.
    pub slopes: T,
    /// Which convolution.
    pub convolution: Convolution,
    /// Added to the variance.
    pub epsilon: f64,
}

/// What a layer keeps for its gradients.
#[derive(Debug, Clone)]
pub struct Saved<T> {
    operands: Operands<T>,
    /// The convolution's output.
    z: T,
    moments: T,
    /// Whether the moments are constants.
    fixed: bool,
}

/// The gradients of [`Operands`].
pub struct Slopes<T> {
    x: Option<T>,
    weight: T,
    gamma: T,
    beta: T,
    slopes: T,
}

/// A layer and its gradients on a backend without autodiff.
pub trait LayerKernels: burn::backend::Backend {
    /// The output; what is kept of it, if `save`; the moments.
    fn forward(
        operands: Operands<FloatTensor<Self>>,
        residual: FloatTensor<Self>,
        fixed: FloatTensor<Self>,
        save: bool,
    ) -> (FloatTensor<Self>, Option<Saved<FloatTensor<Self>>>, FloatTensor<Self>);
    /// The gradients, that of x if `to_x`, from the output's.
    fn gradients(
        grad: &FloatTensor<Self>,
        saved: &Saved<FloatTensor<Self>>,
        to_x: bool,
    ) -> Slopes<FloatTensor<Self>>;
    /// Lets the next layer have the memory of a tensor that nobody else holds.
    fn give_back(t: FloatTensor<Self>);
}

/// The output [b, h', w', c] of a layer for `x` [b, h, w, ci], and the moments [2, c], mean and biased variance, that it was
/// normalised by: its own, or `fixed`, through which no gradient goes. `affine` is gamma, beta and the slopes of the
/// activation, [c] each; `residual` is added last.
pub fn layer(
    x: Tensor<4>,
    weight: Tensor<4>,
    affine: [Tensor<1>; 3],
    residual: Option<Tensor<4>>,
    fixed: Option<Tensor<2>>,
    convolution: Convolution,
    epsilon: f64,
) -> (Tensor<4>, Tensor<2>) {
    let [gamma, beta, slopes] = affine.map(Tensor::into_dispatch);
    let device = x.device();
    let residual = residual.unwrap_or_else(|| Tensor::zeros([0; 4], &device)).into_dispatch();
    let fixed = fixed.unwrap_or_else(|| Tensor::zeros([0; 2], &device)).into_dispatch();
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    let (y, moments) = Dispatch::layer(x, weight, gamma, beta, slopes, residual, fixed, convolution, epsilon);
    (Tensor::from_dispatch(y), Tensor::from_dispatch(moments))
}

/// The sides of a layer's maps.
#[derive(Clone, Copy)]
struct Sides {
    images: usize,
    /// Values of an input image and of an output image.
    image: [usize; 2],
    /// Channels of the input and of the output.
    channels: [usize; 2],
    output: [usize; 4],
    /// Of a depthwise convolution.
    slide: Option<Slide>,
}

impl Sides {
    fn new(x: &FlexTensor, weight: &FlexTensor, convolution: Convolution) -> Self {
        let ([b, h, w, ci], [co, _, kh, kw]) = (shape4(x), shape4(weight));
        let (slide, [rows, columns]) = match convolution {
            Convolution::Dense => (None, [h, w]),
            Convolution::Depthwise { stride, pad } => {
                let slide = Slide { input: [h, w], kernel: [kh, kw], stride, pad };
                (Some(slide), slide.output())
            }
        };
        let inner = values(weight).len() / co;
        assert_eq!(ci, if slide.is_some() { co } else { inner }, "the weights are for other channels");
        let output = [b, rows, columns, co];
        Sides { images: b, image: [h * w * ci, rows * columns * co], channels: [ci, co], output, slide }
    }

    /// Rows of channels that make a piece.
    fn piece(self) -> usize {
        (PIECE / self.channels[1].max(self.channels[0])).max(48)
    }

    /// The images of each group.
    fn groups(self) -> Vec<Range<usize>> {
        let groups = GROUPS.min(self.images);
        (0..groups).map(|g| g * self.images / groups..(g + 1) * self.images / groups).collect()
    }

    /// Rows of channels of the output.
    fn rows(self) -> usize {
        self.images * self.image[1] / self.channels[1]
    }
}

/// The values [c, k] as [k, c].
fn turned(values: &[f32], c: usize) -> Vec<f32> {
    let k = values.len() / c;
    (0..values.len()).map(|i| values[i % c * k + i / c]).collect()
}

/// Convolves; the output, and how it spreads, piece by piece.
fn convolve(sides: Sides, x: &[f32], weight: &[f32]) -> (Vec<f32>, Vec<Spread>) {
    let [ci, co] = sides.channels;
    let mut z = buffer(sides.images * sides.image[1]);
    let Some(slide) = sides.slide else {
        let piece = sides.piece();
        let weight = Matrix::new(weight, ci).transposed();
        let both = z.par_chunks_mut(piece * co).zip(x.par_chunks(piece * ci));
        let spreads = both.map(|(z, x)| {
            product([z.len() / co, co, ci], Matrix::new(x, ci), weight, z, false);
            widest(
                #[inline(always)]
                || Spread::new(z, co),
            )
        });
        let spreads = spreads.collect();
        return (z, spreads);
    };
    let (kernel, [rows, columns]) = (turned(weight, co), slide.output());
    let band = (PIECE / (columns * co)).max(1);
    let both = z.par_chunks_mut(sides.image[1]).zip(x.par_chunks(sides.image[0]));
    let spreads: Vec<Vec<Spread>> = both
        .map(|(z, x)| {
            let bands = pieces(0..rows, band).zip(z.chunks_mut(band * columns * co));
            let one = |(rows, z): (Range<usize>, &mut [f32])| {
                widest(
                    #[inline(always)]
                    || {
                        depthwise::forward(slide, x, &kernel, rows, z);
                        Spread::new(z, co)
                    },
                )
            };
            bands.map(one).collect()
        })
        .collect();
    (z, spreads.into_iter().flatten().collect())
}

impl LayerKernels for Flex {
    fn forward(
        operands: Operands<FlexTensor>,
        residual: FlexTensor,
        fixed: FlexTensor,
        save: bool,
    ) -> (FlexTensor, Option<Saved<FlexTensor>>, FlexTensor) {
        let operands = operands.map(contiguous);
        let (residual, fixed) = (contiguous(residual), contiguous(fixed));
        let sides = Sides::new(&operands.x, &operands.weight, operands.convolution);
        let (mut z, spreads) = convolve(sides, values(&operands.x), values(&operands.weight));
        let co = sides.channels[1];
        let is_fixed = !values(&fixed).is_empty();
        let moments = if is_fixed { fixed } else { tensor(moments(&spreads, co), [2, co]) };
        let piece = sides.piece() * co;
        let residual = Some(values(&residual)).filter(|r| !r.is_empty());
        if let Some(residual) = residual {
            assert_eq!(residual.len(), z.len(), "what is added has another shape than the output");
        }
        let piece_of = |i: usize, len: usize| residual.map(|r| &r[i * piece..][..len]);
        let channels = operands.channels(&moments);
        if !save {
            z.par_chunks_mut(piece).enumerate().for_each(|(i, z)| {
                widest(
                    #[inline(always)]
                    || channels.apply_in_place(z, piece_of(i, z.len())),
                );
            });
            drop(channels);
            return (tensor(z, sides.output), None, moments);
        }
        let mut y = buffer(z.len());
        y.par_chunks_mut(piece).zip(z.par_chunks(piece)).enumerate().for_each(|(i, (y, z))| {
            widest(
                #[inline(always)]
                || channels.apply(z, piece_of(i, z.len()), y),
            );
        });
        drop(channels);
        let z = tensor(z, sides.output);
        let saved = Saved { operands, z, moments: moments.clone(), fixed: is_fixed };
        (tensor(y, sides.output), Some(saved), moments)
    }

    fn gradients(grad: &FlexTensor, saved: &Saved<FlexTensor>, to_x: bool) -> Slopes<FlexTensor> {
        let grad = contiguous(grad.clone());
        let Saved { operands, z, moments, fixed } = saved;
        let sides = Sides::new(&operands.x, &operands.weight, operands.convolution);
        let (grad, z, x, weight) = (values(&grad), values(z), values(&operands.x), values(&operands.weight));
        let [ci, co] = sides.channels;
        let channels = operands.channels(moments);
        let sums = sums(sides, &channels, grad, z);
        let through = Through::new(&channels, &sums, (!fixed).then(|| sides.rows()));
        let kernel = if sides.slide.is_some() { turned(weight, co) } else { weight.to_vec() };
        let mut to_input = if to_x { buffer(x.len()) } else { Vec::new() };
        let mut rest = to_input.as_mut_slice();
        let mut parts = Vec::new();
        for images in sides.groups() {
            let own;
            (own, rest) = rest.split_at_mut(if to_x { images.len() * sides.image[0] } else { 0 });
            parts.push((images, own));
        }
        let one = |(images, to_input): (Range<usize>, &mut [f32])| -> Vec<f32> {
            let [x, z, grad] = [(x, 0), (z, 1), (grad, 1)]
                .map(|(of, side)| &of[images.start * sides.image[side]..images.end * sides.image[side]]);
            let mut to_kernel = vec![0.0; kernel.len()];
            let len = if sides.slide.is_some() { sides.image[1] } else { sides.piece() * co };
            let mut to_z = buffer(len);
            let step = if sides.slide.is_some() { sides.image[0] } else { sides.piece() * ci };
            for (i, (grad, z)) in grad.chunks(len).zip(z.chunks(len)).enumerate() {
                let to_z = &mut to_z[..z.len()];
                widest(
                    #[inline(always)]
                    || channels.to_z(&through, grad, z, to_z),
                );
                let reach = i * step..((i + 1) * step).min(x.len());
                let x = &x[reach.clone()];
                match sides.slide {
                    Some(slide) => widest(
                        #[inline(always)]
                        || {
                            depthwise::to_kernel(slide, to_z, x, &mut to_kernel);
                            if to_x {
                                depthwise::to_input(slide, to_z, &kernel, &mut to_input[reach]);
                            }
                        },
                    ),
                    None => {
                        let rows = z.len() / co;
                        let to_z = Matrix::new(to_z, co);
                        product([co, ci, rows], to_z.transposed(), Matrix::new(x, ci), &mut to_kernel, true);
                        if to_x {
                            let kernel = Matrix::new(&kernel, ci);
                            product([rows, ci, co], to_z, kernel, &mut to_input[reach], false);
                        }
                    }
                }
            }
            keep(to_z);
            to_kernel
        };
        let of_groups: Vec<Vec<f32>> = parts.into_par_iter().map(one).collect();
        let mut to_kernel = vec![0.0; kernel.len()];
        of_groups.iter().for_each(|group| add(&mut to_kernel, group));
        let to_weight = if sides.slide.is_some() { turned(&to_kernel, kernel.len() / co) } else { to_kernel };
        let to_gamma = sums.gamma.iter().zip(&channels.inverse).map(|(s, i)| s * i).collect();
        Slopes {
            x: to_x.then(|| tensor(to_input, shape4(&operands.x))),
            weight: tensor(to_weight, shape4(&operands.weight)),
            gamma: tensor(to_gamma, [co]),
            beta: tensor(sums.beta, [co]),
            slopes: tensor(sums.slope, [co]),
        }
    }

    fn give_back(t: FlexTensor) {
        give_back(t);
    }
}

/// What the output's gradient and z sum up to, over all rows.
fn sums(sides: Sides, channels: &Channels<'_>, grad: &[f32], z: &[f32]) -> Sums {
    let co = sides.channels[1];
    let one = |images: Range<usize>| {
        let mut group = Sums::new(co);
        let all = images.start * sides.image[1]..images.end * sides.image[1];
        for range in pieces(all, sides.piece() * co) {
            let mut piece = Sums::new(co);
            widest(
                #[inline(always)]
                || channels.add_sums(&grad[range.clone()], &z[range], &mut piece),
            );
            group.add(&piece);
        }
        group
    };
    let groups: Vec<Sums> = sides.groups().into_par_iter().map(one).collect();
    groups.iter().fold(Sums::new(co), |mut sums, group| {
        sums.add(group);
        sums
    })
}

impl<T> Operands<T> {
    fn map<U>(self, of: impl Fn(T) -> U) -> Operands<U> {
        Operands {
            x: of(self.x),
            weight: of(self.weight),
            gamma: of(self.gamma),
            beta: of(self.beta),
            slopes: of(self.slopes),
            convolution: self.convolution,
            epsilon: self.epsilon,
        }
    }
}

impl Operands<FlexTensor> {
    fn channels<'a>(&'a self, moments: &'a FlexTensor) -> Channels<'a> {
        let [gamma, beta, slopes] = [&self.gamma, &self.beta, &self.slopes].map(values);
        Channels::new(values(moments), gamma, beta, slopes, self.epsilon)
    }
}

impl LayerOps for Flex {
    fn layer(
        x: FlexTensor,
        weight: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        slopes: FlexTensor,
        residual: FlexTensor,
        fixed: FlexTensor,
        convolution: Convolution,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor) {
        let operands = Operands { x, weight, gamma, beta, slopes, convolution, epsilon };
        let (y, _, moments) = Self::forward(operands, residual, fixed, false);
        (y, moments)
    }
}

#[derive(Debug)]
struct LayerBackward;

impl<B: LayerKernels> Backward<B, 6> for LayerBackward {
    type State = Saved<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 6>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [x, weight, gamma, beta, slopes, residual] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let saved = ops.state;
        let found = B::gradients(&grad, &saved, x.is_some());
        let rest = [(weight, found.weight), (gamma, found.gamma), (beta, found.beta), (slopes, found.slopes)];
        for (node, gradient) in rest {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
        match residual {
            Some(residual) => grads.register::<B>(residual.id, grad),
            None => B::give_back(grad),
        }
        if let (Some(x), Some(gradient)) = (x, found.x) {
            grads.register::<B>(x.id, gradient);
        }
        B::give_back(saved.z);
        B::give_back(saved.operands.x);
    }
}

impl<B: LayerOps + LayerKernels, C: CheckpointStrategy> LayerOps for Autodiff<B, C> {
    /// The moments count as constants: the layer differentiates through its own.
    fn layer(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        slopes: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        fixed: FloatTensor<Self>,
        convolution: Convolution,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [x.node(), weight.node(), gamma.node(), beta.node(), slopes.node(), residual.node()];
        let operands = Operands { x, weight, gamma, beta, slopes, convolution, epsilon };
        let run = |save| {
            B::forward(
                operands.map(|t| t.into_primitive()),
                residual.into_primitive(),
                fixed.into_primitive(),
                save,
            )
        };
        let (y, moments) = match LayerBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (y, saved, moments) = run(true);
                (prep.finish(saved.expect("it was asked for"), y), moments)
            }
            OpsKind::UnTracked(prep) => {
                let (y, _, moments) = run(false);
                (prep.finish(y), moments)
            }
        };
        (y, Self::from_inner(moments))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::{batch_norm_train, conv2d};
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, Distribution, TensorData, Tolerance, activation};

    use super::super::patches::patches;
    use super::*;

    fn same(a: TensorData, b: TensorData, what: &str) {
        let within = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            a.assert_approx_eq::<f32>(&b, Tolerance::rel_abs(5e-4, 5e-4));
        }));
        assert!(within.is_ok(), "{what}");
    }

    fn normal<const D: usize>(shape: [usize; D], mean: f64, device: &Device) -> Tensor<D> {
        Tensor::<D>::random(shape, Distribution::Normal(mean, 1.0), device).require_grad()
    }

    /// Channels last.
    fn last(x: Tensor<4>) -> Tensor<4> {
        x.permute([0, 2, 3, 1])
    }

    /// A layer against the operations of burn that it is made of: output, moments, every gradient.
    #[derive(Debug, Clone, Copy)]
    struct Case {
        batch: usize,
        channels: [usize; 2],
        map: [usize; 2],
        kernel: [usize; 2],
        stride: usize,
        pad: usize,
        dense: bool,
        residual: bool,
        fixed: bool,
    }

    fn check(case: Case, device: &Device) {
        let Case {
            batch,
            channels: [ci, co],
            map: [h, w],
            kernel: [kh, kw],
            stride,
            pad,
            dense,
            residual,
            fixed,
        } = case;
        let x = normal([batch, ci, h, w], 0.3, device);
        let weight = normal([co, if dense { ci } else { 1 }, kh, kw], 0.0, device);
        let affine = [1.0, 0.2, 0.25].map(|mean| normal([co], mean, device));
        let options = ConvOptions::new([stride; 2], [pad; 2], [1; 2], if dense { 1 } else { ci });
        let z = conv2d(x.clone(), weight.clone(), None, options);
        let added = residual.then(|| normal(z.dims(), 0.0, device));
        let moments = fixed.then(|| {
            let any = Tensor::<2>::random([2, co], Distribution::Uniform(0.5, 2.0), device);
            [0, 1].map(|row| any.clone().slice(row..row + 1).reshape([co]))
        });
        let [gamma, beta, slopes] = affine.clone();
        let (t, mean, variance) = match &moments {
            Some([mean, variance]) => {
                let across = |v: &Tensor<1>| v.clone().reshape([1, co, 1, 1]);
                let unit = (z.clone() - across(mean)) / (across(variance) + 1e-5).sqrt();
                (unit * across(&gamma) + across(&beta), mean.clone(), variance.clone())
            }
            None => {
                let own = batch_norm_train(z.clone(), gamma, beta, 1e-5);
                (own.output, own.mean, own.variance)
            }
        };
        let theirs = activation::prelu(t, slopes);
        let theirs = match &added {
            Some(added) => theirs + added.clone(),
            None => theirs,
        };
        let convolution = if dense { Convolution::Dense } else { Convolution::Depthwise { stride, pad } };
        let fixed = moments.map(|m| Tensor::cat(m.map(|m| m.unsqueeze_dim(0)).to_vec(), 0));
        let input = last(x.clone());
        let (ours, found) =
            layer(input, weight.clone(), affine.clone(), added.clone().map(last), fixed, convolution, 1e-5);
        let told = |what: &str| format!("{what} of {case:?}");
        same(last(theirs.clone()).into_data(), ours.to_data(), &told("output"));
        let moments = Tensor::cat(vec![mean.unsqueeze_dim::<2>(0), variance.unsqueeze_dim(0)], 0);
        same(moments.into_data(), found.into_data(), &told("moments"));
        let pull = Tensor::<4>::random(theirs.dims(), Distribution::Normal(0.0, 1.0), device);
        let (a, b) = ((theirs * pull.clone()).sum().backward(), (ours * last(pull)).sum().backward());
        same(x.grad(&a).unwrap().into_data(), x.grad(&b).unwrap().into_data(), &told("gradient of x"));
        same(
            weight.grad(&a).unwrap().into_data(),
            weight.grad(&b).unwrap().into_data(),
            &told("that of the weights"),
        );
        for (what, v) in ["gamma", "beta", "slopes"].into_iter().zip(affine) {
            same(v.grad(&a).unwrap().into_data(), v.grad(&b).unwrap().into_data(), &told(what));
        }
        if let Some(added) = added {
            same(
                added.grad(&a).unwrap().into_data(),
                added.grad(&b).unwrap().into_data(),
                &told("what is added"),
            );
        }
    }

    #[test]
    fn output_and_every_gradient_equal_burns_own() {
        let device = Device::flex().autodiff();
        device.seed(3);
        let dense = Case {
            batch: 3,
            channels: [5, 37],
            map: [4, 6],
            kernel: [1, 1],
            stride: 1,
            pad: 0,
            dense: true,
            residual: false,
            fixed: false,
        };
        let deep = Case { channels: [3, 3], map: [12, 9], kernel: [3, 3], pad: 1, dense: false, ..dense };
        let cases = [
            dense,
            Case { batch: 11, channels: [16, 8], map: [7, 3], residual: true, ..dense },
            Case { batch: 4, channels: [9, 3], map: [1, 1], ..dense },
            // Several pieces in a group.
            Case { batch: 9, channels: [40, 72], map: [29, 31], residual: true, ..dense },
            Case { fixed: true, residual: true, ..dense },
            deep,
            Case { batch: 1, channels: [4, 4], map: [11, 8], stride: 2, ..deep },
            Case { channels: [20, 20], map: [6, 10], stride: 2, ..deep },
            Case { channels: [33, 33], map: [5, 5], kernel: [5, 5], pad: 2, residual: true, ..deep },
            Case { channels: [2, 2], map: [6, 10], stride: 2, pad: 0, ..deep },
            Case { channels: [18, 18], map: [4, 3], kernel: [4, 3], pad: 0, ..deep },
            // Several bands of an image.
            Case { batch: 2, channels: [64, 64], map: [40, 40], ..deep },
            Case { batch: 9, fixed: true, ..deep },
        ];
        for case in cases {
            check(case, &device);
        }
    }

    #[test]
    fn the_stem_equals_burns_convolution() {
        let device = Device::flex().autodiff();
        device.seed(4);
        for (c, h, w) in [(3, 8, 10), (1, 7, 5)] {
            let x = Tensor::<4>::random([2, c, h, w], Distribution::Normal(0.0, 1.0), &device);
            let weight = normal([6, c, 3, 3], 0.0, &device);
            let options = ConvOptions::new([2; 2], [1; 2], [1; 2], 1);
            let theirs = last(conv2d(x.clone(), weight.clone(), None, options));
            // Moments of 0 and 1, gamma 1, beta 0, slopes 1: the convolution alone.
            let [ones, zeros] = [Tensor::<1>::ones([6], &device), Tensor::<1>::zeros([6], &device)];
            let none =
                Tensor::cat(vec![zeros.clone().unsqueeze_dim::<2>(0), ones.clone().unsqueeze_dim(0)], 0);
            let affine = [ones.clone(), zeros, ones];
            let (ours, _) =
                layer(patches(x), weight.clone(), affine, None, Some(none), Convolution::Dense, 0.0);
            same(theirs.to_data(), ours.to_data(), "output");
            let (a, b) = ((theirs.clone() * theirs).sum().backward(), (ours.clone() * ours).sum().backward());
            same(weight.grad(&a).unwrap().into_data(), weight.grad(&b).unwrap().into_data(), "weights");
        }
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        // The same numbers for both, whatever else draws from the device meanwhile.
        fn some<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
            let values = (0..shape.iter().product()).map(|i: usize| (i * 7919 % 1013) as f32 / 500.0 - 1.0);
            let data = TensorData::new(values.collect::<Vec<f32>>(), shape);
            Tensor::from_data(data, device).require_grad()
        }
        let run = || {
            let device = Device::flex().autodiff();
            let x = some([9, 30, 30, 24], &device);
            let affine = [(); 3].map(|()| some([24], &device));
            let (kernel, weight) = (some([24, 1, 3, 3], &device), some([24, 24, 1, 1], &device));
            let convolution = Convolution::Depthwise { stride: 2, pad: 1 };
            let (y, _) = layer(x.clone(), kernel.clone(), affine.clone(), None, None, convolution, 1e-5);
            let (y, _) = layer(y, weight.clone(), affine.clone(), None, None, Convolution::Dense, 1e-5);
            let grads = (y.clone() * y).sum().backward();
            let of_affine = affine.map(|v| v.grad(&grads).unwrap().into_data());
            let of_kernels = [kernel, weight].map(|v| v.grad(&grads).unwrap().into_data());
            (x.grad(&grads).unwrap().into_data(), of_affine, of_kernels)
        };
        let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run);
        assert_eq!(on(1), on(3));
    }
}
