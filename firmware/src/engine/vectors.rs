//! The self-test of an image: crops that every machine draws alike, and digests over what models make of them.
//!
//! A detector's pictures are drawn as an embedder's crops are. A crop is a gradient in some direction for each channel, with noise of
//! four strengths by turns, drawn with xorshift (Marsaglia 2003, 13, 17, 5) from the crop's number. All of it is integers.

use arcgate_crypto::Sha256;

use super::plan::PlanDetector;
use super::{EmbedError, Embedder};
use crate::detect::LookError;
use crate::embedding::MAX_DIMENSION;
use crate::model::ModelInfo;

/// The most crops that a self-test may have, two of each noise: a device runs both models on all of them in one round.
pub const MAX: u32 = 8;

/// Bits of noise of a crop, by its number.
const NOISE: [u32; 4] = [0, 4, 6, 8];

struct Dice(u32);

impl Dice {
    fn of(vector: u32) -> Self {
        let mut dice = Dice(0x6172_6367 ^ vector.wrapping_mul(0x9e37_79b9));
        // A state of zero would stay zero.
        dice.0 |= u32::from(dice.0 == 0);
        (0..8).for_each(|_| _ = dice.roll());
        dice
    }

    fn roll(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// -256..256
    fn signed(&mut self) -> i32 {
        (self.roll() >> 23) as i32 - 256
    }
}

/// Draws crop number `vector` for a model into `crop`, which has [`ModelInfo::crop_bytes`] bytes; what is longer stays as it is.
pub fn draw(vector: u32, info: &ModelInfo, crop: &mut [u8]) {
    let mut dice = Dice::of(vector);
    let channels = info.order.channels();
    let (width, height) = (i32::from(info.width.max(1)), i32::from(info.height.max(1)));
    let gradients: [[i32; 3]; 3] =
        core::array::from_fn(|_| [(dice.roll() >> 24) as i32, dice.signed(), dice.signed()]);
    let bits = NOISE[vector as usize % NOISE.len()];
    let mut pixels = crop.chunks_exact_mut(channels);
    for y in 0..height {
        for (x, pixel) in (0..width).zip(&mut pixels) {
            for (value, [from, along, down]) in pixel.iter_mut().zip(gradients) {
                // Noise of so many bits around nought.
                let noise = (dice.roll() >> 24 >> (8 - bits)) as i32 - (1 << bits >> 1);
                *value = (from + along * x / width + down * y / height + noise).clamp(0, 255) as u8;
            }
        }
    }
}

/// Adds to a digest the embeddings of the first `count` crops, which are drawn into `crop`; `before` is called before each.
///
/// # Errors
/// When the crop does not fit, or the engine fails.
pub fn embeddings<E: Embedder>(
    engine: &mut E,
    count: u32,
    crop: &mut [u8],
    before: &impl Fn(),
    digest: &mut Sha256,
) -> Result<(), EmbedError> {
    let info = engine.info().clone();
    let (expected, found) = (info.crop_bytes(), crop.len());
    let crop = crop.get_mut(..expected).ok_or(EmbedError::CropLength { expected, found })?;
    let mut embedding = [0i8; MAX_DIMENSION];
    let dimension = usize::from(info.dimension);
    let places = EmbedError::OutputLength { expected: dimension, found: MAX_DIMENSION };
    let embedding = embedding.get_mut(..dimension).ok_or(places)?;
    for vector in 0..count {
        before();
        draw(vector, &info, crop);
        engine.embed(crop, embedding)?;
        embedding.iter().for_each(|&value| digest.update(&[&[value as u8]]));
    }
    Ok(())
}

/// Adds to a digest the output maps, as they come out, of the first `count` pictures, which are drawn into `picture`; `before` is called
/// before each.
///
/// # Errors
/// When the picture does not fit, or the plan's bytes change.
pub fn maps<B: AsRef<[u8]>, A: AsRef<[u8]> + AsMut<[u8]>>(
    detector: &mut PlanDetector<B, A>,
    count: u32,
    picture: &mut [u8],
    before: &impl Fn(),
    digest: &mut Sha256,
) -> Result<(), LookError> {
    let info = detector.info().clone();
    let (expected, found) = (info.crop_bytes(), picture.len());
    let picture = picture.get_mut(..expected).ok_or(LookError::PictureLength { expected, found })?;
    for vector in 0..count {
        before();
        draw(vector, &info, picture);
        detector.each_map(picture, |bytes| digest.update(&[bytes]))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ChannelOrder;

    fn info(order: ChannelOrder) -> ModelInfo {
        ModelInfo { width: 12, height: 9, order, template: None, dimension: 4, embedding_id: [0; 32] }
    }

    #[test]
    fn crops_are_these_bytes_on_every_machine() {
        let mut digest = Sha256::new(&[]);
        for order in [ChannelOrder::Grey, ChannelOrder::Rgb] {
            let info = info(order);
            for vector in 0..8 {
                let mut crop = vec![0; info.crop_bytes()];
                draw(vector, &info, &mut crop);
                digest.update(&[&crop]);
            }
        }
        let found: String = digest.finish().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, "8e4f98ead60139deb7318af469f1e9e9dc8b8ef6135febbeda3593a079747f2f");
    }

    #[test]
    fn crops_differ_and_fill_the_range() {
        let info = info(ChannelOrder::Rgb);
        let crops: Vec<Vec<u8>> = (0..64)
            .map(|vector| {
                let mut crop = vec![0; info.crop_bytes()];
                draw(vector, &info, &mut crop);
                crop
            })
            .collect();
        for (i, crop) in crops.iter().enumerate() {
            assert!(crops[..i].iter().all(|other| other != crop), "{i}");
        }
        let seen = |value: u8| crops.iter().flatten().any(|&v| v == value);
        assert!((0..=255).all(seen));
        // Of another channel count, nothing beyond the crop is touched.
        let mut longer = vec![7; info.crop_bytes() + 5];
        draw(1, &info, &mut longer[..info.crop_bytes()]);
        assert_eq!(longer[info.crop_bytes()..], [7; 5]);
    }
}
