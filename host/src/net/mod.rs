//! Backbones: pixels to an embedding.
//!
//! A MobileFaceNet-like chain: a strided 3x3 stem, a depthwise 3x3, inverted bottlenecks with residuals, a 1x1
//! head, a depthwise convolution as large as the map in the place of pooling, and a linear 1x1 to the embedding. Every
//! convolution is followed by batch normalisation, which [`crate::train::export`] folds into it.

mod depthwise;
mod flex;
pub mod fused;
mod layer;
mod normalise;
pub mod patches;
mod product;
pub mod requantize;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::synth::dice::Dice;
pub(crate) use flex::free_buffers;
pub use layer::{Activation, ConvBn, Kind};

/// The `[net]` table of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetConfig {
    /// Columns and rows of the input, in pixels; need not be equal.
    pub input: [usize; 2],
    /// "grey", "rgb" or "bgr": the order of the input planes.
    pub order: String,
    /// Channels of the stem.
    pub stem: usize,
    /// The bottlenecks, group by group.
    pub blocks: Vec<BlockConfig>,
    /// Channels of the 1x1 head.
    pub head: usize,
    /// Length of the embedding, 1 to 512.
    pub embedding: usize,
    /// Multiplies every number of channels but the embedding's, rounded to a multiple of 4.
    #[serde(default = "one")]
    pub width: f64,
    /// "relu" (cheap everywhere) or "prelu" (a slope for each channel; usually a little better).
    #[serde(default)]
    pub activation: ActivationKind,
}

fn one() -> f64 {
    1.0
}

/// A group of inverted bottlenecks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockConfig {
    /// The inner width as a multiple of the input's.
    pub expand: usize,
    /// Channels out.
    pub channels: usize,
    /// How many, one after the other; all but a strided first have a residual.
    pub repeat: usize,
    /// Stride of the first: 1 or 2.
    pub stride: usize,
}

/// What follows a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActivationKind {
    /// max(0, x).
    #[default]
    Relu,
    /// x below 0 times a learnt slope for each channel.
    Prelu,
}

impl NetConfig {
    /// Planes of the input.
    pub fn planes(&self) -> usize {
        if self.order == "grey" { 1 } else { 3 }
    }

    fn scaled(&self, channels: usize) -> usize {
        (((channels as f64 * self.width / 4.0).round() as usize) * 4).max(4)
    }

    /// What is wrong with the values, and what would be accepted.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: usize, low: usize, high: usize| {
            let ok = (low..=high).contains(&value);
            ok.then_some(()).ok_or_else(|| format!("net.{name} = {value}\n  accepted: {low} to {high}"))
        };
        if !["grey", "rgb", "bgr"].contains(&self.order.as_str()) {
            return Err(format!("net.order = {:?}\n  accepted: \"grey\", \"rgb\" or \"bgr\"", self.order));
        }
        within("input (columns)", self.input[0], 8, 512)?;
        within("input (rows)", self.input[1], 8, 512)?;
        within("stem", self.stem, 1, 1024)?;
        within("head", self.head, 1, 4096)?;
        within("embedding", self.embedding, 1, arcgate_firmware::embedding::MAX_DIMENSION)?;
        if !(0.1..=8.0).contains(&self.width) {
            return Err(format!("net.width = {}\n  accepted: 0.1 to 8", self.width));
        }
        for (i, block) in self.blocks.iter().enumerate() {
            within(&format!("blocks[{i}].expand"), block.expand, 1, 16)?;
            within(&format!("blocks[{i}].channels"), block.channels, 1, 2048)?;
            within(&format!("blocks[{i}].repeat"), block.repeat, 1, 64)?;
            within(&format!("blocks[{i}].stride"), block.stride, 1, 2)?;
        }
        Ok(())
    }

    /// Columns and rows of the last map.
    pub fn final_map(&self) -> [usize; 2] {
        let halvings = 1 + self.blocks.iter().filter(|b| b.stride == 2).count();
        self.input.map(|side| (0..halvings).fold(side, |s, _| s.div_ceil(2)))
    }
}

/// A parameter drawn from a bell curve around 0, the same on every machine.
pub(crate) fn normal<const D: usize>(
    shape: [usize; D],
    std: f32,
    dice: &mut Dice,
    device: &Device,
) -> Param<Tensor<D>> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| std * dice.bell()).collect();
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device))
}

/// An inverted bottleneck: 1x1 up, depthwise 3x3, 1x1 down without activation; the input is added where shapes allow.
#[derive(Module, Debug)]
pub struct Bottleneck {
    pub(crate) up: ConvBn,
    pub(crate) depthwise: ConvBn,
    pub(crate) down: ConvBn,
    pub(crate) residual: bool,
}

impl Bottleneck {
    fn forward(&self, x: Tensor<4>, mut seen: Option<&mut Vec<Tensor<2>>>) -> Tensor<4> {
        let y = self.up.forward(x.clone(), None, seen.as_deref_mut());
        let y = self.depthwise.forward(y, None, seen.as_deref_mut());
        self.down.forward(y, self.residual.then_some(x), seen)
    }
}

/// The backbone.
#[derive(Module, Debug)]
pub struct Net {
    pub(crate) stem: ConvBn,
    pub(crate) stem_depthwise: ConvBn,
    pub(crate) blocks: Vec<Bottleneck>,
    pub(crate) head: ConvBn,
    pub(crate) pool: ConvBn,
    pub(crate) embedding: ConvBn,
}

impl Net {
    /// A network with fresh weights, decided by `dice`.
    pub(crate) fn new(config: &NetConfig, dice: &mut Dice, device: &Device) -> Self {
        let act = match config.activation {
            ActivationKind::Relu => Activation::Relu,
            ActivationKind::Prelu => Activation::Prelu,
        };
        let none = Activation::None;
        let stem = config.scaled(config.stem);
        let mut conv = |kind, cin, cout, act| ConvBn::new(kind, [cin, cout], act, dice, device);
        let mut blocks = Vec::new();
        let mut c = stem;
        for group in &config.blocks {
            let out = config.scaled(group.channels);
            for i in 0..group.repeat {
                let stride = if i == 0 { group.stride } else { 1 };
                let inner = c * group.expand;
                blocks.push(Bottleneck {
                    up: conv(Kind::Pointwise, c, inner, act),
                    depthwise: conv(Kind::Depthwise { stride }, inner, inner, act),
                    down: conv(Kind::Pointwise, inner, out, none),
                    residual: stride == 1 && c == out,
                });
                c = out;
            }
        }
        let head = config.scaled(config.head);
        let [columns, rows] = config.final_map();
        Net {
            stem: conv(Kind::Stem, config.planes(), stem, act),
            stem_depthwise: conv(Kind::Depthwise { stride: 1 }, stem, stem, act),
            blocks,
            head: conv(Kind::Pointwise, c, head, act),
            pool: conv(Kind::Global { rows, columns }, head, head, none),
            embedding: conv(Kind::Pointwise, head, config.embedding, none).centred(),
        }
    }

    /// Every layer, in the order in which pixels meet them.
    fn layers(&self) -> impl Iterator<Item = &ConvBn> {
        let bottlenecks = self.blocks.iter().flat_map(|b| [&b.up, &b.depthwise, &b.down]);
        let front = [&self.stem, &self.stem_depthwise].into_iter();
        front.chain(bottlenecks).chain([&self.head, &self.pool, &self.embedding])
    }

    /// Multiply-accumulates of the convolutions for one image of `input` columns and rows.
    pub fn macs(&self, input: [usize; 2]) -> usize {
        let mut map = input;
        let of = |layer: &ConvBn| {
            map = layer.kind.output(map);
            layer.weight.dims().iter().product::<usize>() * map[0] * map[1]
        };
        self.layers().map(of).sum()
    }

    /// Normalised pixels [b, planes, rows, columns] to embeddings [b, d], not normalised to unit length. Batch normalisation
    /// goes by the running moments.
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<2> {
        self.embed(pixels, None)
    }

    /// [`Net::forward`] with batch normalisation by the batch's own moments; also these, [2, c] of every layer.
    pub fn learn(&self, pixels: Tensor<4>) -> (Tensor<2>, Vec<Tensor<2>>) {
        let mut seen = Vec::new();
        let embeddings = self.embed(pixels, Some(&mut seen));
        (embeddings, seen)
    }

    /// Moves the running moments of every layer towards those that [`Net::learn`] gave.
    pub fn run_on(&self, moments: &[Tensor<2>]) {
        self.layers().zip(moments).for_each(|(layer, moments)| layer.run_on(moments));
    }

    fn embed(&self, pixels: Tensor<4>, mut seen: Option<&mut Vec<Tensor<2>>>) -> Tensor<2> {
        let mut x = patches::patches(pixels);
        for layer in [&self.stem, &self.stem_depthwise] {
            x = layer.forward(x, None, seen.as_deref_mut());
        }
        for block in &self.blocks {
            x = block.forward(x, seen.as_deref_mut());
        }
        for layer in [&self.head, &self.pool, &self.embedding] {
            x = layer.forward(x, None, seen.as_deref_mut());
        }
        x.flatten(1, 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::state::floats;

    #[test]
    fn shapes_follow_the_recipe_square_or_not() {
        let device = Device::flex();
        for (input, order, map) in [([64, 48], "rgb", [8, 6]), ([30, 41], "grey", [4, 6])] {
            let block = |expand, channels, repeat, stride| BlockConfig { expand, channels, repeat, stride };
            let config = NetConfig {
                input,
                order: order.into(),
                stem: 8,
                blocks: vec![block(2, 8, 2, 2), block(1, 12, 1, 2)],
                head: 16,
                embedding: 10,
                width: 1.0,
                activation: ActivationKind::Prelu,
            };
            assert_eq!(config.final_map(), map);
            let net = Net::new(&config, &mut Dice::new(1, 2, 3, 4), &device);
            let pixels = Tensor::zeros([2, config.planes(), input[1], input[0]], &device);
            assert_eq!(net.forward(pixels).dims(), [2, 10]);
            // Stem, its depthwise, the two bottlenecks of 8 and that of 12 channels, head, pool and embedding.
            let [half, quarter, eighth] = [2, 4, 8].map(|d| input[0].div_ceil(d) * input[1].div_ceil(d));
            let blocks =
                half * 8 * 16 + quarter * 16 * (9 + 8 + 8 + 9 + 8) + quarter * 8 * 8 + eighth * 8 * (9 + 12);
            let rest = eighth * (12 * 16 + 16) + 16 * 10;
            assert_eq!(net.macs(input), half * 8 * (9 * config.planes() + 9) + blocks + rest);
        }
    }

    #[test]
    fn running_moments_go_a_tenth_of_the_way_to_a_batchs() {
        let device = Device::flex();
        let block = BlockConfig { expand: 2, channels: 8, repeat: 2, stride: 2 };
        let config = NetConfig {
            input: [16, 16],
            order: "grey".into(),
            stem: 8,
            blocks: vec![block],
            head: 16,
            embedding: 12,
            width: 1.0,
            activation: ActivationKind::Relu,
        };
        let mut dice = Dice::new(1, 2, 3, 4);
        let net = Net::new(&config, &mut dice, &device);
        let pixels: Vec<f32> = (0..4 * 256).map(|_| 1.0 + dice.bell()).collect();
        let (_, moments) = net.learn(Tensor::from_data(TensorData::new(pixels, [4, 1, 16, 16]), &device));
        assert_eq!(moments.len(), net.layers().count());
        net.run_on(&moments);
        for (layer, moments) in net.layers().zip(&moments) {
            let of_batch = floats(moments);
            let (means, variances) = of_batch.split_at(of_batch.len() / 2);
            let running = |state: &burn::module::RunningState<Tensor<1>>| floats(&state.value_sync());
            let (mean, variance) = (running(&layer.norm.running_mean), running(&layer.norm.running_var));
            for c in 0..means.len() {
                assert!((mean[c] - 0.1 * means[c]).abs() < 1e-6);
                assert!((variance[c] - 0.9 - 0.1 * variances[c]).abs() < 1e-5);
            }
            assert!(variances.iter().any(|v| *v > 1e-3), "a layer without moments tells nothing");
        }
    }
}
