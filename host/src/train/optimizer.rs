//! SGD with momentum, and AdamW, over every parameter of a module.
//!
//! Matrices and kernels decay; what has one axis (normalisation, biases, slopes) does not. Gradients are clipped by their
//! norm over all parameters together, so that their direction stays. State is kept by the parameter's path in the module,
//! which is the same in the next process: that is what makes a resumed training equal to one that never stopped.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// Stochastic gradient descent with momentum.
    #[default]
    Sgd,
    /// Adam with decoupled weight decay; beta 0.9 and 0.999.
    Adamw,
}

/// The optimizer and its state.
#[derive(Debug, Clone)]
pub struct Optimizer {
    rule: Rule,
    momentum: f64,
    decay: f64,
    clip: f64,
    /// Steps taken.
    steps: usize,
    /// One or two running vectors (velocity; first and second moment) for each parameter.
    state: BTreeMap<String, Vec<Tensor<1>>>,
}

impl Optimizer {
    /// A fresh optimizer; `clip` is the largest norm of all gradients together.
    pub fn new(rule: Rule, momentum: f64, decay: f64, clip: f64) -> Self {
        Optimizer { rule, momentum, decay, clip, steps: 0, state: BTreeMap::new() }
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The running vectors, by parameter.
    pub fn state(&self) -> &BTreeMap<String, Vec<Tensor<1>>> {
        &self.state
    }

    /// Goes on from `state` after `steps` steps.
    pub fn restore(&mut self, steps: usize, state: BTreeMap<String, Vec<Tensor<1>>>) {
        (self.steps, self.state) = (steps, state);
    }

    /// One step against `gradients` with learning rate `rate`; also the norm of all gradients together, before clipping.
    pub fn step<M: Module>(&mut self, module: M, gradients: GradientsParams, rate: f64) -> (M, f64) {
        let mut norm = SquaredNorm { gradients: &gradients, sum: None };
        module.visit(&mut norm);
        let norm = norm.sum.map_or(0.0, |s| f64::from(s.into_scalar::<f32>())).sqrt();
        let shrink = if norm > self.clip { self.clip / norm } else { 1.0 };
        self.steps += 1;
        (module.map(&mut Update { optimizer: self, gradients, shrink, rate, path: Vec::new() }), norm)
    }
}

/// Sums the squares of all gradients.
struct SquaredNorm<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let square = (gradient.clone() * gradient).sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Update<'a> {
    optimizer: &'a mut Optimizer,
    gradients: GradientsParams,
    shrink: f64,
    rate: f64,
    path: Vec<String>,
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return param };
        let (id, tensor, mapper) = param.consume();
        let value = tensor.inner();
        let shape = value.dims();
        let value: Tensor<1> = value.reshape([-1]);
        let gradient: Tensor<1> = gradient.reshape([-1]);
        let gradient = if self.shrink < 1.0 { gradient * self.shrink } else { gradient };
        let state = self.optimizer.state.entry(self.path.join(".")).or_default();
        let decay = if D > 1 { self.optimizer.decay } else { 0.0 };
        let (momentum, steps) = (self.optimizer.momentum, self.optimizer.steps);
        let value = match self.optimizer.rule {
            Rule::Sgd => sgd(value, gradient, state, self.rate, momentum, decay),
            Rule::Adamw => adamw(value, gradient, state, self.rate, steps, decay),
        };
        let value = Tensor::from_inner(value.reshape(shape)).require_grad();
        Param::from_mapped_value(id, value, mapper)
    }
}

fn sgd(
    value: Tensor<1>,
    gradient: Tensor<1>,
    state: &mut Vec<Tensor<1>>,
    rate: f64,
    momentum: f64,
    decay: f64,
) -> Tensor<1> {
    let pull = if decay > 0.0 { gradient + value.clone() * decay } else { gradient };
    let velocity = match state.pop() {
        Some(velocity) => velocity * momentum + pull,
        None => pull,
    };
    state.push(velocity.clone());
    value - velocity * rate
}

fn adamw(
    value: Tensor<1>,
    gradient: Tensor<1>,
    state: &mut Vec<Tensor<1>>,
    rate: f64,
    steps: usize,
    decay: f64,
) -> Tensor<1> {
    const BETA: [f64; 2] = [0.9, 0.999];
    let square = gradient.clone() * gradient.clone();
    let (second, first) = (state.pop(), state.pop());
    let blend = |old: Option<Tensor<1>>, new: Tensor<1>, beta: f64| match old {
        Some(old) => old * beta + new * (1.0 - beta),
        None => new * (1.0 - beta),
    };
    let (first, second) = (blend(first, gradient, BETA[0]), blend(second, square, BETA[1]));
    *state = vec![first.clone(), second.clone()];
    let unbias = |beta: f64| 1.0 - beta.powi(steps as i32);
    let step = (first / unbias(BETA[0])) / ((second / unbias(BETA[1])).sqrt() + 1e-8);
    let kept = if decay > 0.0 { value * (1.0 - rate * decay) } else { value };
    kept - step * rate
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::Device;

    use super::*;

    #[derive(Module, Debug)]
    struct Two {
        kernel: Param<Tensor<2>>,
        bias: Param<Tensor<1>>,
    }

    fn two(device: &Device) -> Two {
        let kernel = Param::from_tensor(Tensor::<2>::from_floats([[2.0, 0.0]], device));
        Two { kernel, bias: Param::from_tensor(Tensor::<1>::from_floats([1.0], device)) }
    }

    fn pull(two: &Two) -> GradientsParams {
        // Gradients (3, 4) and 0: the bias would move by decay alone.
        let device = two.kernel.val().device();
        let slope = Tensor::<2>::from_floats([[3.0, 4.0]], &device);
        let loss = (two.kernel.val() * slope).sum() + two.bias.val() * 0.0;
        GradientsParams::from_grads(loss.backward(), two)
    }

    fn numbers(two: &Two) -> Vec<f32> {
        let kernel = two.kernel.val().into_data().try_to_vec::<f32>().unwrap();
        [kernel, two.bias.val().into_data().try_to_vec::<f32>().unwrap()].concat()
    }

    fn close(a: &[f32], b: &[f32]) {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} is not {b:?}");
    }

    #[test]
    fn sgd_by_hand_with_momentum_decay_and_clipping() {
        let device = Device::flex().autodiff();
        let mut optimizer = Optimizer::new(Rule::Sgd, 0.5, 0.1, 2.5);
        let module = two(&device);
        let grads = pull(&module);
        // Norm 5 clipped to 2.5: (1.5, 2); decay adds 0.1 * (2, 0) to the kernel, nothing to the bias.
        let (module, norm) = optimizer.step(module, grads, 0.1);
        assert!(norm > 0.0);
        close(&numbers(&module), &[2.0 - 0.17, -0.2, 1.0]);
        let grads = pull(&module);
        let (module, norm) = optimizer.step(module, grads, 0.1);
        assert!(norm > 0.0);
        let velocity = [0.5 * 1.7 + 1.5 + 0.183, 0.5 * 2.0 + 2.0 - 0.02];
        close(&numbers(&module), &[1.83 - 0.1 * velocity[0], -0.2 - 0.1 * velocity[1], 1.0]);
        assert_eq!(optimizer.steps(), 2);
    }

    #[test]
    fn adamw_moves_by_the_rate_first() {
        let device = Device::flex().autodiff();
        let mut optimizer = Optimizer::new(Rule::Adamw, 0.0, 0.1, 100.0);
        let module = two(&device);
        let grads = pull(&module);
        let (module, _) = optimizer.step(module, grads, 0.01);
        close(&numbers(&module), &[2.0 * (1.0 - 0.001) - 0.01, -0.01, 1.0]);
    }
}
