//! A layer on the CPU: pieces of maps, groups of images, what is computed for each.

use std::ops::Range;

use burn::backend::Flex;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::{Convolution, LayerKernels, Operands, Saved, Slopes};
use crate::net::depthwise::{self, Slide};
use crate::net::flex::{add, buffer, contiguous, give_back, keep, pieces, shape4, tensor, values, widest};
use crate::net::normalise::{Channels, Spread, Sums, Through, moments};
use crate::net::product::{Matrix, product};

/// Values of a piece, about: with what is computed from it fits the second cache.
const PIECE: usize = 1 << 15;

/// Groups of images whose sums are taken apart and added in order.
const GROUPS: usize = 8;

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

impl Operands<FlexTensor> {
    fn channels<'a>(&'a self, moments: &'a FlexTensor) -> Channels<'a> {
        let [gamma, beta, slopes] = [&self.gamma, &self.beta, &self.slopes].map(values);
        Channels::new(values(moments), gamma, beta, slopes, self.epsilon)
    }
}
