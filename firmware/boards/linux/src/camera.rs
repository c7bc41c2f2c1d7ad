//! What the device sees: a V4L2 camera, or image files as one.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use arcgate_firmware::camera::v4l2::V4l2;
use arcgate_firmware::camera::{CameraFault, Grabber, Patience};
use arcgate_firmware::device::{Camera, Shot};
use arcgate_firmware::frame::{Frame, PixelFormat};
use arcgate_firmware::sim::{FRAME, StoredCamera, StoredShot, Wire};
use arcgate_firmware::time::Uptime;
use image::{DynamicImage, ImageDecoder, ImageReader};

use crate::note::note;

/// What is looked at.
#[derive(clap::Args, Debug)]
pub struct View {
    /// A V4L2 device, such as /dev/video0; an image file, or a folder of them, each of which is shown once in the order of their names
    /// and taken for a presentation of its own.
    #[arg(long, value_name = "PATH")]
    camera: Option<PathBuf>,
    /// What a V4L2 device is asked for.
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "640x480")]
    camera_size: Size,
}

/// Pixels in a row, and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size(u16, u16);

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let sides = word.split_once('x').and_then(|(w, h)| w.parse().ok().zip(h.parse().ok()));
        let (width, height) =
            sides.filter(|&(w, h)| w > 0 && h > 0).ok_or("accepted: WIDTHxHEIGHT, 1 to 65535 each")?;
        Ok(Size(width, height))
    }
}

/// A camera.
pub enum Eye {
    /// A V4L2 device.
    Live(Grabber<V4l2, Vec<u8>>),
    /// Image files, and a wire that says whether there are more.
    Photographs(StoredCamera, Wire),
}

impl Eye {
    /// Opens the camera, if one is asked for. A V4L2 device is opened when it is first looked at, and again after it was unplugged.
    ///
    /// # Errors
    /// When there is nothing at its path, or a file is no image.
    pub fn open(view: &View) -> anyhow::Result<Option<Self>> {
        let Some(path) = &view.camera else { return Ok(None) };
        let kind =
            std::fs::metadata(path).with_context(|| format!("the camera {}", path.display()))?.file_type();
        if kind.is_char_device() {
            let Size(width, height) = view.camera_size;
            let camera = V4l2::new(path, (width, height), PixelFormat::Rgb8);
            // It may offer a larger picture than it was asked for, which is then halved; its rows lie in memory when the first one does.
            let memory = vec![0; FRAME.max(usize::from(width) * usize::from(height) * 3)];
            let patience = Patience { rows: u16::MAX, ..Patience::default() };
            return Ok(Some(Eye::Live(Grabber::new(camera, memory, patience))));
        }
        let files = if kind.is_dir() { files(path)? } else { vec![path.clone()] };
        if files.is_empty() {
            bail!("the camera {}: a folder without files", path.display());
        }
        let shots: Vec<StoredShot> = files.iter().map(|file| shot(file)).collect::<Result<_, _>>()?;
        let more = Wire::default();
        more.set(true);
        Ok(Some(Eye::Photographs(StoredCamera::new(shots), more)))
    }

    /// Whether each of its pictures is a presentation of its own.
    pub fn shows_photographs(&self) -> bool {
        matches!(self, Eye::Photographs(..))
    }

    /// Where no sensor is needed to say whether somebody is there: a wire that does.
    pub fn somebody(&self) -> Option<Wire> {
        match self {
            Eye::Live(_) => None,
            Eye::Photographs(_, more) => Some(more.clone()),
        }
    }
}

/// The files of a folder, by name.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> =
        entries.iter().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

/// An image as the device keeps it, turned as its camera was held.
fn shot(path: &Path) -> anyhow::Result<StoredShot> {
    let read = || -> anyhow::Result<StoredShot> {
        let mut decoder = ImageReader::open(path)?.with_guessed_format()?.into_decoder()?;
        let held = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(held);
        let image = image.into_rgb8();
        let [width, height] = [image.width(), image.height()].map(u16::try_from);
        let frame = Frame::new(PixelFormat::Rgb8, width?, height?, image.as_raw())?;
        Ok(StoredShot::kept(&frame, None, FRAME as u32))
    };
    read().with_context(|| path.display().to_string())
}

impl Camera for Eye {
    fn poll(&mut self, now: Uptime) -> Result<bool, CameraFault> {
        match self {
            Eye::Live(grabber) => grabber.poll(now).map(|frame| frame.is_some()).map_err(|failure| {
                // The device's log has no room for what the driver says.
                note!("{failure}");
                CameraFault::from(failure)
            }),
            Eye::Photographs(camera, more) => {
                let shown = camera.poll(now);
                more.set(camera.has_more());
                shown
            }
        }
    }

    fn shot(&self) -> Option<Shot<'_>> {
        match self {
            Eye::Live(grabber) => Camera::shot(grabber),
            Eye::Photographs(camera, _) => camera.shot(),
        }
    }

    fn rest(&mut self) {
        match self {
            Eye::Live(grabber) => Camera::rest(grabber),
            Eye::Photographs(camera, _) => camera.rest(),
        }
    }

    fn is_fitted(&self) -> bool {
        match self {
            Eye::Live(grabber) => Camera::is_fitted(grabber),
            Eye::Photographs(camera, _) => camera.is_fitted(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> anyhow::Result<Eye> {
        let eye = Eye::open(&View { camera: Some(path.into()), camera_size: Size(640, 480) })?;
        eye.context("a camera was asked for")
    }

    #[test]
    fn sizes_are_two_numbers() {
        assert_eq!("1280x720".parse(), Ok(Size(1280, 720)));
        for word in ["", "640", "640x", "0x480", "640x480x3", "70000x1"] {
            assert!(word.parse::<Size>().is_err(), "{word}");
        }
    }

    #[test]
    fn a_folder_is_shown_by_name_each_image_once() {
        let folder = tempfile::tempdir().unwrap();
        for (name, grey) in [("b.png", 20), ("a.png", 10), ("c.png", 30)] {
            image::RgbImage::from_pixel(5, 3, image::Rgb([grey; 3])).save(folder.path().join(name)).unwrap();
        }
        let mut eye = open(folder.path()).unwrap();
        let more = eye.somebody().unwrap();
        for grey in [10, 20, 30] {
            assert!(more.is_set());
            assert_eq!(eye.poll(Uptime(0)), Ok(true));
            let frame = eye.shot().unwrap().frame;
            assert_eq!((frame.width(), frame.height(), frame.data()), (5, 3, &[grey; 45][..]));
        }
        assert!(!more.is_set());
        assert_eq!(eye.poll(Uptime(0)), Ok(false));
    }

    #[test]
    fn what_is_no_image_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: &Path| open(path).err().map(|why| format!("{why:#}")).unwrap_or_default();
        assert!(refused(folder.path()).contains("without files"));
        let file = folder.path().join("text.png");
        assert!(refused(&file).contains("text.png: No such file"));
        std::fs::write(&file, "no image").unwrap();
        assert!(refused(folder.path()).contains("text.png: "));
    }

    #[test]
    fn a_device_that_is_no_camera_is_a_fault_of_the_camera() {
        let mut eye = open(Path::new("/dev/null")).unwrap();
        assert!(!eye.shows_photographs() && eye.somebody().is_none());
        assert_eq!(eye.poll(Uptime(0)), Err(CameraFault::Driver));
    }
}
