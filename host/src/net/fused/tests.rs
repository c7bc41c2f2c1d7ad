//! A layer against the operations of burn that it is made of.

use burn::tensor::module::{batch_norm_train, conv2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, TensorData, Tolerance, activation};

use super::*;
use crate::net::patches::patches;

/// [`layer`] or what stands for it elsewhere.
type Layer = fn(
    Tensor<4>,
    Tensor<4>,
    [Tensor<1>; 3],
    Option<Tensor<4>>,
    Option<Tensor<2>>,
    Convolution,
    f64,
) -> (Tensor<4>, Tensor<2>);

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

fn check(case: Case, layer: Layer, device: &Device) {
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
        check(case, layer, &device);
        check(case, stock::layer, &device);
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
        let none = Tensor::cat(vec![zeros.clone().unsqueeze_dim::<2>(0), ones.clone().unsqueeze_dim(0)], 0);
        let affine = [ones.clone(), zeros, ones];
        let (ours, _) =
            layer(patches(x.clone()), weight.clone(), affine, None, Some(none), Convolution::Dense, 0.0);
        same(theirs.to_data(), ours.to_data(), "output");
        let (a, b) = ((theirs.clone() * theirs).sum().backward(), (ours.clone() * ours).sum().backward());
        same(weight.grad(&a).unwrap().into_data(), weight.grad(&b).unwrap().into_data(), "weights");
        assert_eq!(patches(x.clone()).into_data(), stock::patches(x).into_data());
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
