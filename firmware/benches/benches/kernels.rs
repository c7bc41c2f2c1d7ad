//! Every kernel on every instruction set that this processor has:
//! `cargo bench --manifest-path firmware/benches/Cargo.toml`.
//!
//! Convolutions and depthwise ones requantize, and take the PReLU behind them along; throughput is in multiply-accumulates.

use std::hint::black_box;
use std::time::Duration;

use arcgate_benches::{Layer, SUM, noise};
use arcgate_firmware::kernels::{Isa, scalar};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// The convolutions of MobileFaceNet, a shape of each kind.
fn convolutions() -> [(&'static str, Layer); 5] {
    [
        ("conv3x3s2 3-64 @112", Layer::new(112, [3, 64], 3, 2, 1, false)),
        ("pointwise 64-128 @28", Layer::new(28, [64, 128], 1, 1, 0, false)),
        ("pointwise 256-128 @14", Layer::new(14, [256, 128], 1, 1, 0, false)),
        ("pointwise 128-512 @7", Layer::new(7, [128, 512], 1, 1, 0, false)),
        ("fully_connected 512-128", Layer::new(1, [512, 128], 1, 1, 0, false)),
    ]
}

fn depthwise() -> [(&'static str, Layer); 4] {
    [
        ("depthwise3x3 64 @56", Layer::new(56, [64, 64], 3, 1, 1, true)),
        ("depthwise3x3s2 128 @56", Layer::new(56, [128, 128], 3, 2, 1, true)),
        ("depthwise3x3 256 @14", Layer::new(14, [256, 256], 3, 1, 1, true)),
        ("depthwise7x7 512 @7", Layer::new(7, [512, 512], 7, 1, 0, true)),
    ]
}

fn conv(c: &mut Criterion) {
    for (name, layer) in convolutions() {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(layer.macs()));
        let (conv, [x, mut y]) = (layer.conv(), layer.maps());
        for isa in Isa::available() {
            group.bench_function(isa.name(), |b| match wide::conv(isa, &layer) {
                Some(mut run) => b.iter(|| run(black_box(&x), &mut y)),
                None => {
                    let mut scratch =
                        vec![0; scalar::scratch_bytes(conv.input, conv.output, conv.window, conv.groups)];
                    b.iter(|| {
                        conv.run(black_box(&x), &mut scratch, &mut y);
                        layer.slope().run(&mut y);
                    });
                }
            });
        }
    }
}

fn depthwise_conv(c: &mut Criterion) {
    for (name, layer) in depthwise() {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(layer.macs()));
        let [x, mut y] = layer.maps();
        for isa in Isa::available() {
            group.bench_function(isa.name(), |b| match wide::depthwise(isa, &layer) {
                Some(mut run) => b.iter(|| run(black_box(&x), &mut y)),
                None => b.iter(|| {
                    layer.depthwise().run(black_box(&x), &mut y);
                    layer.slope().run(&mut y);
                }),
            });
        }
    }
}

fn pointwise(c: &mut Criterion) {
    const COUNT: usize = 28 * 28 * 64;
    let layer = Layer::new(28, [64, 64], 1, 1, 0, true);
    let (a, mut y) = (noise(COUNT, 1), noise(COUNT, 2));
    let mut group = c.benchmark_group("sum 64 @28");
    group.throughput(Throughput::Elements(COUNT as u64));
    for isa in Isa::available() {
        group.bench_function(isa.name(), |b| match wide::sum(isa) {
            Some(mut run) => b.iter(|| run(black_box(&a), &mut y)),
            None => b.iter(|| scalar::zip(black_box(&a), &mut y, |a, y| SUM.value(a, y))),
        });
    }
    group.finish();
    let mut group = c.benchmark_group("prelu 64 @28");
    group.throughput(Throughput::Elements(COUNT as u64));
    for isa in Isa::available() {
        group.bench_function(isa.name(), |b| match wide::slope(isa, &layer) {
            Some(mut run) => b.iter(|| run(black_box(&mut y))),
            None => b.iter(|| layer.slope().run(black_box(&mut y))),
        });
    }
}

/// The kernels of one instruction set; `None` of [`Isa::Scalar`].
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod wide {
    use arcgate_benches::{Layer, SUM};
    use arcgate_firmware::kernels::Isa;
    #[cfg(target_arch = "aarch64")]
    use arcgate_firmware::kernels::aarch64::{Add, Conv, Depthwise, Slopes};
    #[cfg(target_arch = "x86_64")]
    use arcgate_firmware::kernels::x86::{Add, Conv, Depthwise, Slopes};

    pub fn conv(isa: Isa, layer: &Layer) -> Option<impl FnMut(&[i8], &mut [i8])> {
        let packed = Conv::new(isa, &layer.conv(), Some(&layer.slope()))?;
        let mut scratch = vec![[0; 4]; packed.scratch_words()];
        Some(move |x: &[i8], y: &mut [i8]| packed.run(x, &mut scratch, y).expect("its shapes"))
    }

    pub fn depthwise(isa: Isa, layer: &Layer) -> Option<impl FnMut(&[i8], &mut [i8])> {
        let packed = Depthwise::new(isa, &layer.depthwise(), Some(&layer.slope()))?;
        Some(move |x: &[i8], y: &mut [i8]| packed.run(x, y).expect("its shapes"))
    }

    pub fn sum(isa: Isa) -> Option<impl FnMut(&[i8], &mut [i8])> {
        let packed = Add::new(isa, SUM)?;
        Some(move |a: &[i8], y: &mut [i8]| packed.into_second(a, y))
    }

    pub fn slope(isa: Isa, layer: &Layer) -> Option<impl FnMut(&mut [i8])> {
        let packed = Slopes::new(isa, &layer.slope())?;
        Some(move |y: &mut [i8]| packed.run(y))
    }
}

/// Elsewhere there is the scalar kernel alone.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod wide {
    use arcgate_benches::Layer;
    use arcgate_firmware::kernels::Isa;

    type Run = fn(&[i8], &mut [i8]);

    pub fn conv(_: Isa, _: &Layer) -> Option<Run> {
        None
    }

    pub fn depthwise(_: Isa, _: &Layer) -> Option<Run> {
        None
    }

    pub fn sum(_: Isa) -> Option<Run> {
        None
    }

    pub fn slope(_: Isa, _: &Layer) -> Option<fn(&mut [i8])> {
        None
    }
}

/// Short, so that all of them take about a minute.
fn quick() -> Criterion {
    Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
}

criterion_group! { name = kernels; config = quick(); targets = conv, depthwise_conv, pointwise }
criterion_main!(kernels);
