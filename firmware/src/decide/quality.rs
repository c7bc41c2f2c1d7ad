//! Whether a picture is worth embedding.
//!
//! In: the aligned crop, and the five landmarks in the picture that it was cut from. Out: nothing, or the first [`Defect`] found.
//! The embedding of a blurred, dark or half-turned face lies near nobody in particular, so it costs an attempt and may be
//! anybody's; a new frame costs nothing. Sharpness, brightness and pose are three of the quality components of
//! ISO/IEC 29794-5.
//!
//! - Sharpness: the variance of the Laplacian of four neighbours over the crop (Pech-Pacheco et al. 2000).
//! - Brightness: the mean level, and the share of pixels at either end of the range.
//! - Size: the distance of the eyes in the picture, before the crop is scaled.
//! - Pose: roll from the line of the eyes; yaw and pitch from where the nose lies along and across that line, under
//!   parallel projection of a head whose nose stands half the distance of the eyes before them.
//!
//! Of a colour crop they take the green channel: most of the luma, and what sensors with a Bayer mosaic resolve best. The crop's
//! measures are integers and cost 320,000 instructions for 112 x 112 pixels in colour on a Cortex-M4 (counted in QEMU). Pose is
//! an estimate, good to tell a profile from a portrait: detectors place the nose differently by some degrees.

use serde::{Deserialize, Serialize};

use crate::frame::Landmarks;

/// Levels up to here are black, and from 255 less this on they are white.
const CLIPPED: u8 = 5;

/// How far the nose stands before the eyes, in distances of the eyes.
const NOSE: f32 = 0.5;

/// Distance from the eyes to the mouth, in distances of the eyes.
const MOUTH: f32 = 1.15;

/// Where the nose of a level head lies between eyes and mouth. Detectors differ: 0.56 to 0.60 in the median of the sets that
/// the default rules were chosen on.
const LEVEL: f32 = 0.57;

/// What a picture must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct QualityRules {
    /// The least variance of the crop's Laplacian, in squared grey levels.
    pub least_sharpness: u32,
    /// The least mean level.
    pub least_level: u8,
    /// The greatest mean level.
    pub most_level: u8,
    /// The most pixels that are black or white, in thousandths of the crop.
    pub most_clipped: u16,
    /// The least distance of the eyes in the picture, in pixels.
    pub least_eyes: u16,
    /// The most degrees that the head is tilted to a shoulder.
    pub most_roll: u8,
    /// The most degrees that the head is turned to a side.
    pub most_yaw: u8,
    /// The most degrees that the head is bowed or raised.
    pub most_pitch: u8,
}

impl QualityRules {
    /// Every picture is good enough.
    pub const NONE: QualityRules = QualityRules {
        least_sharpness: 0,
        least_level: 0,
        most_level: u8::MAX,
        most_clipped: 1000,
        least_eyes: 0,
        most_roll: 180,
        most_yaw: 180,
        most_pitch: 180,
    };

    /// Whether a crop of rows of `width` pixels of `channels` bytes is good enough.
    ///
    /// # Errors
    /// What it lacks.
    pub fn check_crop(&self, crop: &[u8], width: usize, channels: usize) -> Result<(), Defect> {
        let CropQuality { sharpness, level, clipped } = CropQuality::measure(crop, width, channels);
        if level < self.least_level {
            Err(Defect::Dark { level, least: self.least_level })
        } else if level > self.most_level {
            Err(Defect::Bright { level, most: self.most_level })
        } else if clipped > self.most_clipped {
            Err(Defect::Clipped { thousandths: clipped, most: self.most_clipped })
        } else if sharpness < self.least_sharpness {
            Err(Defect::Blurred { sharpness, least: self.least_sharpness })
        } else {
            Ok(())
        }
    }

    /// Whether a face with these landmarks is large enough and looks into the camera.
    ///
    /// # Errors
    /// What it lacks.
    pub fn check_pose(&self, landmarks: &Landmarks) -> Result<(), Defect> {
        let Pose { eyes, roll, yaw, pitch } = Pose::estimate(landmarks);
        let beyond = |degrees: i16, most: u8| degrees.unsigned_abs() > most.into();
        if eyes < self.least_eyes {
            Err(Defect::Small { eyes, least: self.least_eyes })
        } else if beyond(roll, self.most_roll) {
            Err(Defect::Roll { degrees: roll, most: self.most_roll })
        } else if beyond(yaw, self.most_yaw) {
            Err(Defect::Yaw { degrees: yaw, most: self.most_yaw })
        } else if beyond(pitch, self.most_pitch) {
            Err(Defect::Pitch { degrees: pitch, most: self.most_pitch })
        } else {
            Ok(())
        }
    }
}

impl Default for QualityRules {
    /// What hardly a photograph falls short of: chosen on CelebA, Families in the Wild and UTKFace, of which they refuse 109 in
    /// 35,551, and 7 of LFW's 13,233. A door whose camera sees better can ask for more.
    fn default() -> Self {
        QualityRules {
            least_sharpness: 8,
            least_level: 25,
            most_level: 235,
            most_clipped: 600,
            least_eyes: 10,
            most_roll: 45,
            most_yaw: 65,
            most_pitch: 40,
        }
    }
}

/// What a picture lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Defect {
    /// No edges.
    Blurred {
        /// Variance of the Laplacian, in squared grey levels.
        sharpness: u32,
        /// As the rules want it.
        least: u32,
    },
    /// Too little light.
    Dark {
        /// Mean level.
        level: u8,
        /// As the rules want it.
        least: u8,
    },
    /// Too much.
    Bright {
        /// Mean level.
        level: u8,
        /// As the rules want it.
        most: u8,
    },
    /// Black and white without anything between.
    Clipped {
        /// Thousandths of the crop's pixels.
        thousandths: u16,
        /// As the rules want it.
        most: u16,
    },
    /// The face is too far away.
    Small {
        /// Distance of the eyes in pixels.
        eyes: u16,
        /// As the rules want it.
        least: u16,
    },
    /// The head is tilted.
    Roll {
        /// Positive where the eye at the image's right is the lower one.
        degrees: i16,
        /// As the rules want it.
        most: u8,
    },
    /// The head is turned.
    Yaw {
        /// Positive towards the image's right.
        degrees: i16,
        /// As the rules want it.
        most: u8,
    },
    /// The head is bowed or raised.
    Pitch {
        /// Positive upwards.
        degrees: i16,
        /// As the rules want it.
        most: u8,
    },
}

impl core::fmt::Display for Defect {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Defect::Blurred { sharpness, least } => {
                write!(f, "the picture is blurred: sharpness {sharpness}, accepted: {least} and more")
            }
            Defect::Dark { level, least } => {
                write!(f, "the face is too dark: mean level {level}, accepted: {least} and more")
            }
            Defect::Bright { level, most } => {
                write!(f, "the face is too bright: mean level {level}, accepted: {most} and less")
            }
            Defect::Clipped { thousandths, most } => {
                write!(f, "{thousandths} of 1000 pixels are black or white, accepted: {most} and fewer")
            }
            Defect::Small { eyes, least } => {
                write!(f, "the face is too small: {eyes} pixels between the eyes, accepted: {least} and more")
            }
            Defect::Roll { degrees, most } => {
                write!(f, "the head is tilted by {degrees} degrees, accepted: {most} and less")
            }
            Defect::Yaw { degrees, most } => {
                write!(f, "the head is turned by {degrees} degrees, accepted: {most} and less")
            }
            Defect::Pitch { degrees, most } => {
                write!(f, "the head is bowed or raised by {degrees} degrees, accepted: {most} and less")
            }
        }
    }
}

/// What a crop's pixels say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CropQuality {
    /// Variance of the Laplacian within the border, in squared grey levels.
    pub sharpness: u32,
    /// Mean level.
    pub level: u8,
    /// Thousandths of the pixels that are black or white.
    pub clipped: u16,
}

impl CropQuality {
    /// Measures rows of `width` pixels of `channels` bytes: red, green, blue, or one of luma. Of nothing, everything is zero.
    pub fn measure(crop: &[u8], width: usize, channels: usize) -> Self {
        match channels {
            3 => measure::<3>(crop.as_chunks().0, width),
            _ => measure::<1>(crop.as_chunks().0, width),
        }
    }
}

/// Measures the channel in the middle, which is green where there are three.
fn measure<const CHANNELS: usize>(crop: &[[u8; CHANNELS]], width: usize) -> CropQuality {
    let level = |pixel: &[u8; CHANNELS]| pixel[CHANNELS / 2];
    let (mut light, mut clipped) = (0u64, 0u64);
    for value in crop.iter().map(level) {
        light += value as u64;
        clipped += (value <= CLIPPED || value >= u8::MAX - CLIPPED) as u64;
    }
    let (mut count, mut sum, mut squares) = (0i64, 0i64, 0i64);
    let mut rows = crop.chunks_exact(width.max(1));
    if let (Some(mut above), Some(mut middle)) = (rows.next(), rows.next()) {
        for below in rows {
            let across = above.iter().zip(below).skip(1);
            for (along, (up, down)) in middle.windows(3).zip(across) {
                let [left, centre, right] = along else { continue };
                let around: i32 = [left, right, up, down].iter().map(|pixel| level(pixel) as i32).sum();
                let laplacian = 4 * level(centre) as i32 - around;
                sum += laplacian as i64;
                squares += laplacian as i64 * laplacian as i64;
                count += 1;
            }
            (above, middle) = (middle, below);
        }
    }
    let (pixels, count) = ((crop.len() as u64).max(1), count.max(1));
    CropQuality {
        // Crops have fewer than 2^32 pixels and Laplacians are below 2^11.
        sharpness: ((squares - sum * sum / count) / count) as u32,
        level: (light / pixels) as u8,
        clipped: (1000 * clipped / pixels) as u16,
    }
}

/// How large a face is and where it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pose {
    /// Distance of the eyes in pixels.
    pub eyes: u16,
    /// Degrees; as [`Defect::Roll`].
    pub roll: i16,
    /// Degrees; as [`Defect::Yaw`].
    pub yaw: i16,
    /// Degrees; as [`Defect::Pitch`].
    pub pitch: i16,
}

impl Pose {
    /// Estimates it. Landmarks that are no numbers, or coincide, give whatever angle, but a face of size 0.
    pub fn estimate(landmarks: &Landmarks) -> Self {
        let [left, right, nose, mouth_left, mouth_right] = landmarks.map(|p| p.coords);
        let line = right - left;
        let middle = (left + right) * 0.5;
        let (nose, mouth) = (nose - middle, (mouth_left + mouth_right) * 0.5 - middle);
        // In units of the squared distance of the eyes.
        let square = line.dot(&line);
        let along = nose.dot(&line);
        let (across, down) = (line.perp(&nose), line.perp(&mouth));
        Pose {
            eyes: libm::sqrtf(square) as u16,
            roll: degrees(line.y, line.x),
            yaw: degrees(along, NOSE * square),
            pitch: degrees((LEVEL * down - across) * MOUTH, NOSE * down),
        }
    }
}

/// The angle of a tangent given as a fraction, in whole degrees. A conversion to an integer saturates, and takes NaN for 0.
fn degrees(sine: f32, cosine: f32) -> i16 {
    libm::roundf(libm::atan2f(sine, cosine).to_degrees()) as i16
}

#[cfg(test)]
mod tests {
    use nalgebra::{Point2, Rotation2, Vector3};
    use proptest::prelude::*;

    use super::*;

    /// A head of the model that the estimate assumes, 40 pixels between the eyes, turned and then nodded.
    fn face(yaw: f32, pitch: f32, roll: f32) -> Landmarks {
        let points = [
            [-0.5, 0.0, 0.0],
            [0.5, 0.0, 0.0],
            [0.0, LEVEL * MOUTH, NOSE],
            [-0.4, MOUTH, 0.0],
            [0.4, MOUTH, 0.0],
        ];
        let (yaw, pitch) = (yaw.to_radians(), pitch.to_radians());
        points.map(|p| {
            let p = Vector3::from(p) * 40.0;
            let (x, z) = (p.x * yaw.cos() + p.z * yaw.sin(), p.z * yaw.cos() - p.x * yaw.sin());
            let y = p.y * pitch.cos() - z * pitch.sin();
            Rotation2::new(roll.to_radians()) * Point2::new(x, y) + nalgebra::Vector2::new(100.0, 80.0)
        })
    }

    #[test]
    fn poses_by_projection() {
        for (yaw, pitch, roll) in [
            (0, 0, 0),
            (30, 0, 0),
            (-50, 0, 0),
            (0, 25, 0),
            (0, -30, 0),
            (0, 0, 40),
            (0, 0, -90),
            (20, 0, 170),
        ] {
            let found = Pose::estimate(&face(yaw as f32, pitch as f32, roll as f32));
            assert_eq!((found.yaw, found.pitch, found.roll), (yaw, pitch, roll));
            let across = 40.0 * (yaw as f32).to_radians().cos();
            assert_eq!(found.eyes, across as u16);
        }
        // Turned and nodded at once, each is off by a little.
        let both = Pose::estimate(&face(30.0, 20.0, 10.0));
        assert!(
            (both.yaw - 30).abs() <= 8 && (both.pitch - 20).abs() <= 8 && (both.roll - 10).abs() <= 12,
            "{both:?}"
        );
    }

    #[test]
    fn every_rule_of_pose_has_its_reason() {
        let rules = QualityRules {
            least_eyes: 30,
            most_roll: 20,
            most_yaw: 30,
            most_pitch: 25,
            ..QualityRules::NONE
        };
        let tiny = face(0.0, 0.0, 0.0).map(|p| p * 0.5);
        let cases = [
            (face(0.0, 0.0, 0.0), Ok(())),
            (face(30.0, 0.0, 20.0), Ok(())),
            (tiny, Err(Defect::Small { eyes: 20, least: 30 })),
            (face(0.0, 0.0, 21.0), Err(Defect::Roll { degrees: 21, most: 20 })),
            (face(0.0, 0.0, 180.0), Err(Defect::Roll { degrees: 180, most: 20 })),
            (face(-31.0, 0.0, 0.0), Err(Defect::Yaw { degrees: -31, most: 30 })),
            (face(0.0, 26.0, 0.0), Err(Defect::Pitch { degrees: 26, most: 25 })),
        ];
        for (landmarks, expected) in cases {
            assert_eq!(rules.check_pose(&landmarks), expected);
        }
    }

    #[test]
    fn every_rule_of_the_crop_has_its_reason() {
        let rules = QualityRules {
            least_sharpness: 10,
            least_level: 40,
            most_level: 200,
            most_clipped: 300,
            ..QualityRules::NONE
        };
        let board =
            |a: u8, b: u8| (0..64).map(|i| if (i / 8 + i) % 2 == 0 { a } else { b }).collect::<Vec<_>>();
        let cases = [
            (board(100, 110), Ok(())),
            (board(100, 100), Err(Defect::Blurred { sharpness: 0, least: 10 })),
            (board(30, 40), Err(Defect::Dark { level: 35, least: 40 })),
            (board(201, 203), Err(Defect::Bright { level: 202, most: 200 })),
            (board(0, 255), Err(Defect::Clipped { thousandths: 1000, most: 300 })),
        ];
        for (crop, expected) in cases {
            assert_eq!(rules.check_crop(&crop, 8, 1), expected);
            let colours: Vec<u8> = crop.iter().flat_map(|&v| [v; 3]).collect();
            assert_eq!(rules.check_crop(&colours, 8, 3), expected);
        }
    }

    #[test]
    fn blurring_lowers_the_sharpness() {
        let sharp: Vec<u8> = (0..32 * 32u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let at = |x: usize, y: usize| sharp[(y % 32) * 32 + x % 32] as u32;
        let blurred: Vec<u8> =
            (0..32 * 32).map(|i| ((at(i % 32, i / 32) + at(i % 32 + 1, i / 32)) / 2) as u8).collect();
        let of = |crop: &[u8]| CropQuality::measure(crop, 32, 1).sharpness;
        assert!(of(&blurred) < of(&sharp) / 2);
    }

    proptest! {
        /// The measures are those of the definition, whatever the crop; without a pixel inside the border it is not sharp.
        #[test]
        fn crops_are_measured_as_defined(width in 1..12usize, height in 0..12usize, bytes in prop::collection::vec(any::<u8>(), 3 * 144), grey in any::<bool>()) {
            let channels = if grey { 1 } else { 3 };
            let crop = &bytes[..width * height * channels];
            let values: Vec<i64> = crop
                .chunks(channels)
                .map(|p| p[channels / 2] as i64)
                .collect();
            let at = |x: usize, y: usize| values[y * width + x];
            let inner = (1..height.max(1) - usize::from(height > 1)).flat_map(|y| (1..width.max(1) - usize::from(width > 1)).map(move |x| (x, y)));
            let laplacians: Vec<i64> = inner
                .map(|(x, y)| 4 * at(x, y) - at(x - 1, y) - at(x + 1, y) - at(x, y - 1) - at(x, y + 1))
                .collect();
            let n = laplacians.len().max(1) as f64;
            let mean = laplacians.iter().sum::<i64>() as f64 / n;
            let variance = laplacians.iter().map(|&l| (l as f64 - mean).powi(2)).sum::<f64>() / n;
            let found = CropQuality::measure(crop, width, channels);
            prop_assert!((found.sharpness as f64 - variance).abs() <= 2.0, "{} for {variance}", found.sharpness);
            let count = values.len().max(1) as i64;
            prop_assert_eq!(found.level as i64, values.iter().sum::<i64>() / count);
            let clipped = values.iter().filter(|v| !(6..250).contains(*v)).count() as i64;
            prop_assert_eq!(found.clipped as i64, 1000 * clipped / count);
        }

        #[test]
        fn any_bits_give_a_pose(bits in prop::array::uniform10(any::<u32>())) {
            let f = |i: usize| f32::from_bits(bits[i]);
            let points: Landmarks = core::array::from_fn(|i| Point2::new(f(2 * i), f(2 * i + 1)));
            let pose = Pose::estimate(&points);
            prop_assert!([pose.roll, pose.yaw, pose.pitch].iter().all(|d| (-180..=180).contains(d)));
        }
    }
}
