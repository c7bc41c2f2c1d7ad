//! A photograph as people have it: decoded, turned upright, its faces found, the right one aligned.
//!
//! - [`Photo`]: the pixels, EXIF orientation applied;
//! - [`Detector`]: a YuNet, float through tract or int8 as a plan;
//! - [`Finder`]: from a photograph to the crop of a model.

mod detector;
mod finder;
mod yunet;

use std::io::{BufRead, Seek};
use std::path::{Path, PathBuf};

use arcgate_firmware::align::AlignError;
use arcgate_firmware::decide::quality::Defect;
use arcgate_firmware::frame::{Frame, FrameError, PixelFormat};
use image::{DynamicImage, ImageDecoder, ImageReader, RgbImage};

pub use detector::{Detector, detector_picture};
pub use finder::{Finder, Found, crop, crop_aligned};

/// Bytes of decoded pixels: photographs of 170 megapixels.
const MOST_BYTES: u64 = 512 << 20;

/// Why a photograph gave no crop. Each message names the file.
#[derive(Debug, thiserror::Error)]
pub enum PhotoError {
    /// The file system said no.
    #[error("cannot read {}: {why}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        why: std::io::Error,
    },
    /// The bytes are no picture, or are damaged.
    #[error("{} is not a picture, or is damaged: {source}\n  accepted: JPEG, PNG, PNM and BMP", path.display())]
    Decode {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: image::ImageError,
    },
    /// More pixels in a row or more rows than a frame takes, or none.
    #[error(
        "{} has {width}x{height} pixels\n  accepted: sides of 1 to 65535 pixels, {} MiB of pixels in all",
        path.display(), MOST_BYTES >> 20
    )]
    Size {
        /// Which file.
        path: PathBuf,
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The face is no evidence of whose it is.
    #[error("{}: {defect}", path.display())]
    Quality {
        /// Which file.
        path: PathBuf,
        /// What it lacks.
        defect: Defect,
    },
    /// The detector saw no face.
    #[error("{}: no face found", path.display())]
    NoFace {
        /// Which file.
        path: PathBuf,
    },
    /// The landmarks file does not name the photograph and there is no detector.
    #[error(
        "{}: not in {}, and there is no detector to look for its face\n  accepted: a landmarks file that names it, or --detector",
        path.display(), csv.display()
    )]
    NotListed {
        /// Which file.
        path: PathBuf,
        /// The landmarks file.
        csv: PathBuf,
    },
    /// The model aligns to landmarks and nothing tells where they are.
    #[error(
        "{} has {width}x{height} pixels, the model takes an aligned face of {model_width}x{model_height}\n  \
         accepted: --detector to find the face, --landmarks, or a picture of that size that is already aligned",
        path.display()
    )]
    NoLandmarks {
        /// Which file.
        path: PathBuf,
        /// Its pixels in a row.
        width: u32,
        /// Its rows.
        height: u32,
        /// The model's.
        model_width: u16,
        /// The model's.
        model_height: u16,
    },
    /// The landmarks cannot be aligned.
    #[error("{}: {source}", path.display())]
    Align {
        /// Which file.
        path: PathBuf,
        /// What is wrong with them.
        source: AlignError,
    },
    /// The detector's file is no detector, or does not run.
    #[error("the detector {}: {why}", path.display())]
    Detector {
        /// The detector's file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// A decoded picture, upright.
#[derive(Debug, Clone)]
pub struct Photo {
    path: PathBuf,
    width: u16,
    height: u16,
    pixels: Vec<u8>,
}

impl Photo {
    /// Decodes the picture at `path` and turns it as its EXIF orientation says. The format is told by the content.
    ///
    /// # Errors
    /// When the file cannot be read, is no picture, is damaged or has a side of more than 65535 pixels.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PhotoError> {
        let path = path.as_ref();
        let io = |why| PhotoError::Io { path: path.into(), why };
        Self::from_reader(path, ImageReader::open(path).map_err(io)?)
    }

    /// The same from the bytes of a file; `name` is what errors call it.
    ///
    /// # Errors
    /// As for [`Photo::open`].
    pub fn decode(name: &Path, bytes: &[u8]) -> Result<Self, PhotoError> {
        Self::from_reader(name, ImageReader::new(std::io::Cursor::new(bytes)))
    }

    fn from_reader<R: BufRead + Seek>(path: &Path, reader: ImageReader<R>) -> Result<Self, PhotoError> {
        let reader = reader.with_guessed_format().map_err(|why| PhotoError::Io { path: path.into(), why })?;
        let decode = |source| PhotoError::Decode { path: path.into(), source };
        let mut decoder = reader.into_decoder().map_err(decode)?;
        // Before any pixel is made room for: a file of some bytes may claim to hold millions by millions.
        let (width, height) = decoder.dimensions();
        if width.max(height) > u16::MAX as u32 || decoder.total_bytes() > MOST_BYTES {
            return Err(PhotoError::Size { path: path.into(), width, height });
        }
        let orientation = decoder.orientation().map_err(decode)?;
        let mut picture = DynamicImage::from_decoder(decoder).map_err(decode)?;
        picture.apply_orientation(orientation);
        Self::from_rgb(path, picture.into_rgb8())
    }

    /// Takes pixels that were made rather than read; `path` is the name that errors use.
    ///
    /// # Errors
    /// When a side is 0 or more than 65535 pixels.
    pub fn from_rgb(path: impl Into<PathBuf>, picture: RgbImage) -> Result<Self, PhotoError> {
        let (width, height) = picture.dimensions();
        let path = path.into();
        match (u16::try_from(width), u16::try_from(height)) {
            (Ok(w @ 1..), Ok(h @ 1..)) => Ok(Photo { path, width: w, height: h, pixels: picture.into_raw() }),
            _ => Err(PhotoError::Size { path, width, height }),
        }
    }

    /// Where it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Pixels in a row.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u16 {
        self.height
    }

    /// The pixels as a device takes them, [`PixelFormat::Rgb8`].
    pub fn frame(&self) -> Frame<'_> {
        match Frame::new(PixelFormat::Rgb8, self.width, self.height, &self.pixels) {
            Ok(frame) => frame,
            Err(FrameError::Empty { .. } | FrameError::Length { .. }) => {
                unreachable!("the constructor keeps sides and bytes in step")
            }
        }
    }

    /// The pixels as a picture to draw into.
    pub fn to_rgb(&self) -> RgbImage {
        let (width, height) = (self.width as u32, self.height as u32);
        RgbImage::from_raw(width, height, self.pixels.clone()).unwrap_or_else(|| RgbImage::new(width, height))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use image::codecs::jpeg::JpegEncoder;

    use super::*;

    /// A JPEG of 16x8, left half red, right half blue, with an EXIF segment of the given orientation.
    fn jpeg(orientation: u16) -> Vec<u8> {
        let picture =
            RgbImage::from_fn(
                16,
                8,
                |x, _| {
                    if x < 8 { image::Rgb([250, 0, 0]) } else { image::Rgb([0, 0, 250]) }
                },
            );
        let mut plain = Vec::new();
        JpegEncoder::new_with_quality(&mut plain, 95).encode_image(&picture).unwrap();
        let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
        exif.extend(orientation.to_be_bytes());
        exif.extend([0; 6]);
        let mut file = plain[..2].to_vec();
        file.extend([0xff, 0xe1]);
        file.extend((exif.len() as u16 + 2).to_be_bytes());
        file.extend(exif);
        file.extend(&plain[2..]);
        file
    }

    fn opened(bytes: &[u8]) -> Result<Photo, PhotoError> {
        let mut file = tempfile::Builder::new().suffix(".jpg").tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Photo::open(file.path())
    }

    #[test]
    fn exif_orientation_turns_the_picture() {
        // 6: the camera was turned; a quarter clockwise puts it upright, the left half (red) goes up.
        for (orientation, size, red) in
            [(1, (16, 8), (2, 4)), (3, (16, 8), (13, 4)), (6, (8, 16), (4, 2)), (8, (8, 16), (4, 13))]
        {
            let photo = opened(&jpeg(orientation)).unwrap();
            assert_eq!((photo.width(), photo.height()), size, "orientation {orientation}");
            let [r, _, b] = photo.frame().rgb_clamped(red.0, red.1);
            assert!(r > 200 && b < 50, "orientation {orientation}: red {r}, blue {b}");
        }
    }

    #[test]
    fn errors_name_the_file() {
        let error = opened(b"no picture at all").unwrap_err().to_string();
        assert!(error.contains(".jpg is not a picture") && error.contains("accepted"), "{error}");
        let whole = jpeg(1);
        let error = opened(&whole[..40]).unwrap_err().to_string();
        assert!(error.contains(".jpg is not a picture"), "{error}");
        let error = Photo::open("/nowhere/a.jpg").unwrap_err().to_string();
        assert!(error.contains("cannot read /nowhere/a.jpg"), "{error}");
        let error = Photo::from_rgb("wide.png", RgbImage::new(70_000, 1)).unwrap_err().to_string();
        assert!(error.contains("wide.png has 70000x1 pixels"), "{error}");
    }
}
