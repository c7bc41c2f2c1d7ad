//! The gradients of a batch, from one backbone or from several that share its work.
//!
//! Replicas take equal parts of the batch, in its order, each on threads of its own and with its own moments in batch
//! normalisation. Their embeddings are joined before the loss, so mining, centres and t see the whole batch; gradients are
//! summed and moments averaged, in the order of the parts.

use burn::module::{ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::backbone::Backbone;
use super::model::Model;

/// What a batch gives.
pub struct Found {
    /// The mean loss.
    pub loss: f32,
    /// Of the backbone and of the head; none where the loss is no number.
    pub gradients: Option<GradientsParams>,
    /// One a row, in the order of the batch.
    pub embeddings: Tensor<2>,
    /// The moments of every layer, mean over the replicas; none where normalisation is frozen.
    pub moments: Vec<Tensor<2>>,
}

/// The threads of the replicas.
pub struct Replicas {
    /// A pool each; none for a single backbone, which works on the process's own.
    pools: Vec<rayon::ThreadPool>,
    /// Normalise by the running moments.
    frozen: bool,
}

impl Replicas {
    /// `count` replicas that share `threads` threads; `frozen` normalises by the running moments, not the batch's.
    pub fn new(count: usize, threads: usize, frozen: bool) -> Self {
        let pool = |_| {
            let builder = rayon::ThreadPoolBuilder::new().num_threads((threads / count).max(1));
            builder.build().expect("the system gives threads")
        };
        let pools = if count == 1 { Vec::new() } else { (0..count).map(pool).collect() };
        Replicas { pools, frozen }
    }

    /// The gradients of the `loss` of normalised `pixels` [b, planes, rows, columns], from the whole batch's embeddings [b, d].
    pub fn gradients<N: Backbone>(
        &self,
        model: &Model<N>,
        pixels: Tensor<4>,
        loss: impl FnOnce(Tensor<2>) -> Tensor<1>,
    ) -> Found {
        if self.pools.is_empty() {
            let (embeddings, moments) = self.embed(&model.net, pixels);
            let loss = loss(embeddings.clone());
            let value = loss.clone().into_scalar::<f32>();
            let gradients = value.is_finite().then(|| GradientsParams::from_grads(loss.backward(), model));
            return Found { loss: value, gradients, embeddings, moments };
        }
        let device = pixels.device();
        let part = pixels.dims()[0] / self.pools.len();
        let part_of = |i: usize| (model.net.clone().fork(&device), pixels.clone().narrow(0, i * part, part));
        let parts = (0..self.pools.len()).map(part_of).collect();
        let ran = self.each(parts, |(net, pixels)| {
            let (embeddings, moments) = self.embed(&net, pixels);
            (net, embeddings, moments)
        });
        let leaf = Tensor::cat(ran.iter().map(|(_, e, _)| e.clone().detach()).collect(), 0).require_grad();
        // Times 1, because burn's `detach`, by which losses with state keep it out of the gradient, does not detach a leaf.
        let joined = leaf.clone().mul_scalar(1.0);
        let loss = loss(joined.clone());
        let value = loss.clone().into_scalar::<f32>();
        let count = ran.len() as f64;
        let moments_of = |layer: usize| {
            let sum = ran.iter().map(|(.., moments)| moments[layer].clone()).reduce(|a, b| a + b);
            sum.expect("there are replicas") / count
        };
        let moments = (0..ran[0].2.len()).map(moments_of).collect();
        let gradients = value.is_finite().then(|| {
            let mut of_loss = loss.backward();
            let pull = leaf.grad(&of_loss).expect("every loss depends on the embeddings");
            // Of what stands behind the embeddings; the backbone is no part of this graph.
            let mut total = GradientsParams::from_module(&mut of_loss, model);
            let rows = |i: usize| Tensor::from_inner(pull.clone().narrow(0, i * part, part));
            let parts =
                ran.into_iter().enumerate().map(|(i, (net, embeddings, _))| (net, embeddings, rows(i)));
            let mut of_parts = self.each(parts.collect(), |(net, embeddings, pull)| {
                GradientsParams::from_grads((embeddings * pull).sum().backward(), &net)
            });
            model.net.visit(&mut Sum { parts: &mut of_parts, total: &mut total });
            total
        });
        Found { loss: value, gradients, embeddings: joined, moments }
    }

    fn embed<N: Backbone>(&self, net: &N, pixels: Tensor<4>) -> (Tensor<2>, Vec<Tensor<2>>) {
        if self.frozen { (net.forward(pixels), Vec::new()) } else { net.learn(pixels) }
    }

    /// `work` on each part, in its replica's threads, at the same time.
    fn each<T: Send, R: Send>(&self, parts: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
        let work = &work;
        std::thread::scope(|scope| {
            let run = |(pool, part)| scope.spawn(move || rayon::ThreadPool::install(pool, || work(part)));
            let running: Vec<_> = self.pools.iter().zip(parts).map(run).collect();
            let done = running.into_iter().map(|thread| match thread.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            done.collect()
        })
    }
}

/// Adds up what the replicas found for each parameter.
struct Sum<'a> {
    parts: &'a mut [GradientsParams],
    total: &'a mut GradientsParams,
}

impl ModuleVisitor for Sum<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let found = self.parts.iter_mut().filter_map(|part| part.remove::<D>(param.id));
        if let Some(sum) = found.reduce(|a, b| a + b) {
            self.total.register(param.id, sum);
        }
    }
}
