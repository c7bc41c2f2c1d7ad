//! What light, things in the way, optics and compression do to a crop.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};

use super::recipe::AugmentConfig;
use crate::synth::dice::Dice;

/// The crop is shrunk to this share of its sides at the least.
const LEAST_RESOLUTION: f32 = 0.25;

/// A thing in the way covers up to this share of each side.
const LARGEST_OCCLUSION: f32 = 0.4;

/// Qualities of a compressed crop.
const QUALITY: [f32; 2] = [25.0, 90.0];

/// A crop of `width` x `height` pixels, grey or R, G, B interleaved, as `dice` falls for `config`; untouched, and no die cast,
/// where that asks for nothing.
pub fn degrade(
    config: &AugmentConfig,
    crop: Vec<u8>,
    [width, height]: [usize; 2],
    dice: &mut Dice,
) -> Vec<u8> {
    let mut crop = crop;
    if config.occlude > 0.0 && dice.chance(config.occlude) {
        occlude(&mut crop, [width, height], dice);
    }
    if config.brightness > 0.0 || config.contrast > 0.0 {
        let brighter = 255.0 * dice.between(-config.brightness, config.brightness);
        let contrast = 1.0 + dice.between(-config.contrast, config.contrast);
        relight(&mut crop, brighter, contrast);
    }
    let shrink = (config.low_resolution > 0.0 && dice.chance(config.low_resolution))
        .then(|| dice.between(LEAST_RESOLUTION, 1.0));
    let sigma = if config.blur > 0.0 { dice.between(0.0, config.blur) } else { 0.0 };
    let quality =
        (config.jpeg > 0.0 && dice.chance(config.jpeg)).then(|| dice.between(QUALITY[0], QUALITY[1]) as u8);
    // Below that a blur moves no value.
    let blurs = sigma > 0.1;
    if shrink.is_none() && !blurs && quality.is_none() {
        return crop;
    }
    let mut picture = picture(crop, [width, height]);
    if let Some(share) = shrink {
        let side = |side: usize| ((side as f32 * share) as u32).max(2);
        let small = picture.resize_exact(side(width), side(height), FilterType::Triangle);
        picture = small.resize_exact(width as u32, height as u32, FilterType::Triangle);
    }
    if blurs {
        picture = picture.blur(sigma);
    }
    if let Some(quality) = quality {
        picture = compressed(&picture, quality);
    }
    picture.into_bytes()
}

/// A rectangle of one colour somewhere.
fn occlude(crop: &mut [u8], [width, height]: [usize; 2], dice: &mut Dice) {
    let channels = crop.len() / (width * height);
    let mut span = |side: usize| {
        let length = (side as f32 * dice.between(0.1, LARGEST_OCCLUSION)) as usize;
        let first = dice.below(side - length + 1);
        first..first + length
    };
    let (columns, rows) = (span(width), span(height));
    let colour: [u8; 3] = std::array::from_fn(|_| dice.below(256) as u8);
    for row in rows {
        for pixel in crop[row * width * channels..][..width * channels]
            .chunks_exact_mut(channels)
            .take(columns.end)
            .skip(columns.start)
        {
            pixel.copy_from_slice(&colour[..channels]);
        }
    }
}

/// Contrast around the middle grey, then brightness.
fn relight(crop: &mut [u8], brighter: f32, contrast: f32) {
    for value in crop {
        *value = ((f32::from(*value) - 127.5) * contrast + 127.5 + brighter + 0.5).clamp(0.0, 255.0) as u8;
    }
}

fn picture(crop: Vec<u8>, [width, height]: [usize; 2]) -> DynamicImage {
    let (w, h) = (width as u32, height as u32);
    let made = if crop.len() == width * height {
        GrayImage::from_raw(w, h, crop).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(w, h, crop).map(DynamicImage::from)
    };
    made.expect("a crop has one or three bytes a pixel")
}

/// Through JPEG and back.
fn compressed(picture: &DynamicImage, quality: u8) -> DynamicImage {
    let mut bytes = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality)).expect("into memory");
    let back = image::load(Cursor::new(bytes), ImageFormat::Jpeg).expect("what was encoded just now");
    match picture {
        DynamicImage::ImageLuma8(_) => back.into_luma8().into(),
        _ => back.into_rgb8().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crop(channels: usize) -> Vec<u8> {
        (0..24 * 20 * channels).map(|i| (i * 7 % 256) as u8).collect()
    }

    fn degraded(config: &AugmentConfig, channels: usize, seed: u64) -> Vec<u8> {
        degrade(config, crop(channels), [24, 20], &mut Dice::new(seed, 0, 0, 0))
    }

    #[test]
    fn nothing_asked_for_changes_nothing_and_casts_no_die() {
        let mut dice = Dice::new(1, 0, 0, 0);
        assert_eq!(degrade(&AugmentConfig::default(), crop(3), [24, 20], &mut dice), crop(3));
        assert_eq!(dice.unit(), Dice::new(1, 0, 0, 0).unit());
    }

    #[test]
    fn each_changes_a_crop_and_only_by_its_dice() {
        let off = AugmentConfig::default();
        let kinds = [
            AugmentConfig { brightness: 0.3, ..off.clone() },
            AugmentConfig { contrast: 0.5, ..off.clone() },
            AugmentConfig { blur: 2.0, ..off.clone() },
            AugmentConfig { occlude: 1.0, ..off.clone() },
            AugmentConfig { low_resolution: 1.0, ..off.clone() },
            AugmentConfig { jpeg: 1.0, ..off },
        ];
        for config in kinds {
            for channels in [1, 3] {
                let changed =
                    (0..8).filter(|&seed| degraded(&config, channels, seed) != crop(channels)).count();
                assert!(changed >= 7, "{config:?} changes {changed} of 8");
                assert_eq!(degraded(&config, channels, 3), degraded(&config, channels, 3), "{config:?}");
                assert_eq!(degraded(&config, channels, 3).len(), crop(channels).len(), "{config:?}");
            }
        }
    }

    #[test]
    fn light_by_hand() {
        let mut values = [0, 100, 128, 255];
        relight(&mut values, 10.0, 2.0);
        assert_eq!(values, [0, 83, 139, 255]);
    }
}
