//! A camera that shows pictures of the host, each once: `0.ppm` or `0.pgm`, `1.ppm` or `1.pgm` and so on of a folder, read through
//! semihosting. Until all rows of the last one are fetched, somebody is there.
//!
//! Binary PPM and PGM (`P6`, `P5`) of one byte a value, with comments; what follows the picture in its file is not looked at. A
//! picture that cannot be read is a fault of the camera, and the next one is tried after that.

use core::cell::Cell;
use core::ffi::CStr;

use arcgate_firmware::camera::{Camera, Geometry, Patience, Place};
use arcgate_firmware::frame::PixelFormat;
use heapless::Vec;

use crate::file::File;
use crate::say::{
    Part::{Number, Words},
    digits, say,
};

/// Bytes of the longest path.
const LONGEST_PATH: usize = 512;

/// Bytes of the longest header, most of it comments.
const LONGEST_HEADER: usize = 1024;

/// Pictures do not grow old, and are there at once.
pub const PATIENCE: Patience =
    Patience { picture_ms: 3000, fresh_ms: u32::MAX, retry_ms: 100, longest_ms: 1000, rows: 16 };

/// A folder's path.
pub type Folder = Vec<u8, LONGEST_PATH>;

/// Why there is no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureError {
    /// There is no further one.
    Missing,
    /// Its beginning is no header; accepted: `P6` or `P5`, sides of up to 65,535 pixels, values up to 255.
    Header,
    /// It ends before its last row, or other bytes were asked for than those of pixels of a row.
    Row,
}

/// The pictures of a folder.
#[derive(Debug)]
pub struct Pictures<'s> {
    folder: Folder,
    /// The number of the next one.
    next: u64,
    /// Whether there is one at hand or a next one.
    somebody: &'s Cell<bool>,
    /// The one at hand, and the pixel that is fetched next.
    open: Option<(File, Geometry, Place)>,
}

impl<'s> Pictures<'s> {
    /// The pictures of `folder`; whether one is still to be shown will always be in `somebody`.
    pub fn new(folder: Folder, somebody: &'s Cell<bool>) -> Self {
        let pictures = Pictures { folder, next: 0, somebody, open: None };
        pictures.look_ahead();
        pictures
    }

    fn look_ahead(&self) {
        self.somebody.set(self.open.is_some() || self.file().is_some());
    }

    /// The next picture's file.
    fn file(&self) -> Option<File> {
        [&b".ppm\0"[..], b".pgm\0"].into_iter().find_map(|ending| {
            let mut path = self.folder.clone();
            path.push(b'/').ok()?;
            let mut fits = true;
            digits::<10>(self.next, |digit| fits &= path.push(digit).is_ok());
            path.extend_from_slice(ending).ok().filter(|()| fits)?;
            File::open(CStr::from_bytes_with_nul(&path).ok()?)
        })
    }

    /// Opens the next picture.
    fn take(&mut self) -> Result<(File, Geometry, Place), PictureError> {
        let mut file = self.file().ok_or(PictureError::Missing)?;
        self.next += 1;
        let geometry = geometry(&mut file).ok_or(PictureError::Header)?;
        Ok((file, geometry, Place::default()))
    }

    /// Says of which picture this is true.
    fn failed(&self, error: PictureError) -> PictureError {
        let why = match error {
            PictureError::Missing => "there is no picture ",
            PictureError::Header => "no binary PPM or PGM of one byte a value: picture ",
            PictureError::Row => "not all rows are there: picture ",
        };
        let number = if error == PictureError::Missing { self.next } else { self.next.saturating_sub(1) };
        say(&[Words(why), Number(number)]);
        error
    }
}

impl Camera for Pictures<'_> {
    type Error = PictureError;

    fn start(&mut self) -> Result<(), PictureError> {
        self.open = None;
        let taken = self.take();
        let started = taken.as_ref().map(drop).map_err(|&error| self.failed(error));
        self.open = taken.ok();
        self.look_ahead();
        started
    }

    fn poll(&mut self) -> Result<Option<Geometry>, PictureError> {
        Ok(self.open.as_ref().map(|(_, geometry, _)| *geometry))
    }

    fn pixels(&mut self, out: &mut [u8]) -> Result<(), PictureError> {
        let read = self.open.as_mut().and_then(|(file, geometry, at)| {
            *at = at.behind(out.len(), *geometry)?;
            file.fill(out).map(|()| at.row < geometry.height)
        });
        if read != Some(true) {
            self.open = None;
            self.look_ahead();
        }
        read.map(drop).ok_or_else(|| self.failed(PictureError::Row))
    }

    fn rest(&mut self) -> Result<(), PictureError> {
        self.open = None;
        self.look_ahead();
        Ok(())
    }
}

/// Reads a picture's header, and the one byte that parts it from the pixels.
fn geometry(file: &mut File) -> Option<Geometry> {
    let mut magic = [0; 2];
    file.fill(&mut magic)?;
    let format = match &magic {
        b"P6" => PixelFormat::Rgb8,
        b"P5" => PixelFormat::Grey8,
        _ => return None,
    };
    let (width, height) = (number(file)?, number(file)?);
    (number(file)? == 255).then_some(Geometry { format, width, height })
}

/// Reads a number in decimal digits after white space and comments, and the white space behind it.
fn number(file: &mut File) -> Option<u16> {
    let (mut number, mut comment) = (None::<u16>, false);
    for _ in 0..LONGEST_HEADER {
        let mut byte = [0];
        file.fill(&mut byte)?;
        match byte {
            [b'\n'] if comment => comment = false,
            _ if comment => {}
            [digit @ b'0'..=b'9'] => {
                let before = number.unwrap_or_default().checked_mul(10)?;
                number = Some(before.checked_add(u16::from(digit - b'0'))?);
            }
            [b'#'] if number.is_none() => comment = true,
            [byte] if !byte.is_ascii_whitespace() => return None,
            _ if number.is_some() => return number,
            _ => {}
        }
    }
    None
}
