//! Cameras of Linux boards, by Video4Linux (feature `v4l2`).
//!
//! In: the path of a device such as `/dev/video0`. Out: pictures in colour or grey, from cameras that send YUYV, which all USB cameras
//! can. Between pictures the camera goes on; [`Camera::rest`] closes the device.
//!
//! No continuous integration has such a device: what is tested is the conversion, rows, and what is said of paths that lead to none.

use std::fmt;
use std::io;
use std::path::PathBuf;

use linuxvideo::format::{PixFormat, PixelFormat as Encoding};
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufTypes, Device};

use super::{Camera, Geometry, Place, yuyv};
use crate::frame::PixelFormat;

/// Pictures thrown away at a start: those that wait in the driver's buffers, and the one that was being taken.
const STALE: u8 = 3;

/// Why a camera gave no picture.
#[derive(Debug)]
pub enum V4l2Error {
    /// The device cannot be opened, or is none: it is missing, busy, not a camera, or not to be opened by this user.
    Open {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The device failed; it may have been unplugged.
    Device(io::Error),
    /// It does not send YUYV, or no whole pairs of pixels.
    Format {
        /// What it offers instead.
        offered: String,
        /// Pixels in a row, and rows.
        size: (u32, u32),
    },
    /// A picture of another length than its geometry asks for, or one that the driver says is damaged.
    Picture {
        /// Bytes that the geometry asks for.
        needed: usize,
        /// Bytes that came.
        found: usize,
    },
    /// The format asked for is neither colour nor grey in whole bytes.
    Unsupported {
        /// It; accepted: [`PixelFormat::Rgb8`], [`PixelFormat::Grey8`].
        found: PixelFormat,
    },
    /// The buffer for pixels takes more than the rest of their row, or no whole pairs of pixels.
    Buffer {
        /// Bytes to the end of the row.
        left: usize,
        /// Bytes of the buffer.
        found: usize,
    },
    /// No picture is ready to be fetched.
    NoPicture,
}

impl fmt::Display for V4l2Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            V4l2Error::Open { path, error } => write!(f, "{}: {error}", path.display()),
            V4l2Error::Device(error) => write!(f, "the camera failed: {error}"),
            V4l2Error::Format { offered, size: (width, height) } => {
                write!(
                    f,
                    "the camera offers {offered} at {width}x{height}; accepted: YUYV with an even width"
                )
            }
            V4l2Error::Picture { needed, found } => {
                write!(f, "a picture takes {needed} bytes, {found} came or they are damaged")
            }
            V4l2Error::Unsupported { found } => {
                write!(f, "pictures cannot be given as {found:?}; accepted: Rgb8, Grey8")
            }
            V4l2Error::Buffer { left, found } => {
                write!(
                    f,
                    "the buffer has {found} bytes; accepted: pairs of pixels, of which the row has {left} bytes"
                )
            }
            V4l2Error::NoPicture => f.write_str("no picture is ready to be fetched"),
        }
    }
}

impl std::error::Error for V4l2Error {}

/// An open device, and how its pictures lie in memory.
struct Open {
    stream: ReadStream,
    packed: Packed,
}

/// A YUYV picture with its rows so many bytes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packed {
    width: u16,
    height: u16,
    stride: usize,
}

impl Packed {
    /// Bytes of the picture, to the last pixel of the last row.
    fn bytes(&self) -> usize {
        self.stride * (usize::from(self.height) - 1) + 2 * usize::from(self.width)
    }

    /// What a row of the picture `data` has from the pixel at `at` on.
    fn rest<'d>(&self, data: &'d [u8], at: Place) -> &'d [u8] {
        &data[self.stride * usize::from(at.row)..][2 * usize::from(at.column)..2 * usize::from(self.width)]
    }
}

/// What is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing.
    Idle,
    /// A picture was begun; so many more are thrown away first.
    Begun(u8),
    /// The next pixel to be fetched.
    Ready(Place),
}

/// A camera of a Linux board.
pub struct V4l2 {
    path: PathBuf,
    /// What is asked for; the camera may offer another size.
    size: (u16, u16),
    format: PixelFormat,
    open: Option<Open>,
    state: State,
    picture: Vec<u8>,
}

impl fmt::Debug for V4l2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let V4l2 { path, size, format, state, .. } = self;
        f.debug_struct("V4l2")
            .field("path", path)
            .field("size", size)
            .field("format", format)
            .field("state", state)
            .finish()
    }
}

impl V4l2 {
    /// A camera at `path`, which is opened by the first [`Camera::start`]. It is asked for pictures of `size` pixels, and may send
    /// others: [`Camera::poll`] says what they are.
    pub fn new(path: impl Into<PathBuf>, size: (u16, u16), format: PixelFormat) -> Self {
        V4l2 { path: path.into(), size, format, open: None, state: State::Idle, picture: Vec::new() }
    }

    fn opened(&self) -> Result<Open, V4l2Error> {
        if !matches!(self.format, PixelFormat::Rgb8 | PixelFormat::Grey8) {
            return Err(V4l2Error::Unsupported { found: self.format });
        }
        let failed = |error| V4l2Error::Open { path: self.path.clone(), error };
        let device = Device::open(&self.path).map_err(failed)?;
        if !device.supported_buf_types().contains(BufTypes::VIDEO_CAPTURE) {
            return Err(failed(io::Error::new(io::ErrorKind::Unsupported, "not a camera")));
        }
        let wish = PixFormat::new(self.size.0.into(), self.size.1.into(), Encoding::YUYV);
        let device = device.video_capture(wish).map_err(failed)?;
        let format = device.format();
        let (width, height) = (format.width(), format.height());
        let refused =
            || V4l2Error::Format { offered: format!("{:?}", format.pixel_format()), size: (width, height) };
        let sides = u16::try_from(width).ok().zip(u16::try_from(height).ok());
        let (columns, rows) = sides.filter(|&(w, h)| w > 0 && w % 2 == 0 && h > 0).ok_or_else(refused)?;
        let stride = (format.bytes_per_line() as usize).max(2 * usize::from(columns));
        if format.pixel_format() != Encoding::YUYV {
            return Err(refused());
        }
        let packed = Packed { width: columns, height: rows, stride };
        Ok(Open { stream: device.into_stream().map_err(failed)?, packed })
    }

    fn geometry(&self) -> Option<Geometry> {
        let Packed { width, height, .. } = self.open.as_ref()?.packed;
        Some(Geometry { format: self.format, width, height })
    }

    /// Takes a picture out of the driver's buffers, if there is one; returns its bytes, 0 for a damaged one.
    fn taken(&mut self) -> Result<Option<usize>, V4l2Error> {
        let V4l2 { open: Some(Open { stream, .. }), picture, .. } = self else { return Ok(None) };
        if stream.will_block().map_err(V4l2Error::Device)? {
            return Ok(None);
        }
        let came = stream.dequeue(|view| {
            picture.clear();
            picture.extend_from_slice(&view);
            Ok(if view.is_error() { 0 } else { view.len() })
        });
        came.map(Some).map_err(V4l2Error::Device)
    }

    /// Looks whether the picture that was begun has come.
    fn awaited(&mut self, stale: u8) -> Result<(), V4l2Error> {
        let Some(found) = self.taken()? else { return Ok(()) };
        let needed = self.open.as_ref().map_or(0, |open| open.packed.bytes());
        self.state = match stale {
            // Cameras begin with damaged ones.
            1.. => State::Begun(stale - 1),
            0 if found < needed => return Err(V4l2Error::Picture { needed, found }),
            0 => State::Ready(Place::default()),
        };
        Ok(())
    }

    /// What comes of it; an error closes the device.
    fn settle<T>(&mut self, result: Result<T, V4l2Error>) -> Result<T, V4l2Error> {
        if result.is_err() {
            (self.open, self.state) = (None, State::Idle);
        }
        result
    }
}

impl Camera for V4l2 {
    type Error = V4l2Error;

    fn start(&mut self) -> Result<(), V4l2Error> {
        if matches!(self.state, State::Begun(_)) {
            // It never came.
            self.open = None;
        }
        if self.open.is_none() {
            let opened = self.opened();
            self.open = Some(self.settle(opened)?);
        }
        self.state = State::Begun(STALE);
        Ok(())
    }

    fn poll(&mut self) -> Result<Option<Geometry>, V4l2Error> {
        if let State::Begun(stale) = self.state {
            let awaited = self.awaited(stale);
            self.settle(awaited)?;
        }
        Ok(self.geometry().filter(|_| matches!(self.state, State::Ready(_))))
    }

    fn pixels(&mut self, out: &mut [u8]) -> Result<(), V4l2Error> {
        let State::Ready(at) = self.state else { return Err(V4l2Error::NoPicture) };
        let (Some(geometry), Some(open)) = (self.geometry(), &self.open) else {
            return Err(V4l2Error::NoPicture);
        };
        let next = at.behind(out.len(), geometry).filter(|next| next.column % 2 == 0);
        let next = next.ok_or(V4l2Error::Buffer { left: at.left(geometry), found: out.len() })?;
        let sent = open.packed.rest(&self.picture, at);
        match self.format {
            PixelFormat::Grey8 => yuyv::to_grey(sent, out),
            _ => yuyv::to_rgb(sent, out),
        }
        self.state = if next.row < geometry.height { State::Ready(next) } else { State::Idle };
        Ok(())
    }

    fn rest(&mut self) -> Result<(), V4l2Error> {
        (self.open, self.state) = (None, State::Idle);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_camera_is_said_with_its_path() {
        let cases = [
            ("/dev/there-is-no-such-camera", Some(io::ErrorKind::NotFound)),
            // A device, but none of video.
            ("/dev/null", None),
            ("/", Some(io::ErrorKind::IsADirectory)),
        ];
        for (place, kind) in cases {
            let mut camera = V4l2::new(place, (640, 480), PixelFormat::Rgb8);
            for _ in 0..2 {
                let Err(V4l2Error::Open { path, error }) = camera.start() else { panic!("{place} opened") };
                assert_eq!(path, PathBuf::from(place));
                assert!(kind.is_none_or(|kind| error.kind() == kind), "{place}: {error}");
                assert!(matches!(camera.poll(), Ok(None)));
                assert!(matches!(camera.pixels(&mut [0; 1920]), Err(V4l2Error::NoPicture)));
            }
            assert!(camera.rest().is_ok());
        }
    }

    #[test]
    fn only_whole_bytes_are_given() {
        let mut camera = V4l2::new("/dev/video0", (640, 480), PixelFormat::Rgb565);
        assert!(matches!(camera.start(), Err(V4l2Error::Unsupported { found: PixelFormat::Rgb565 })));
    }

    #[test]
    fn rows_lie_a_stride_apart() {
        let packed = Packed { width: 2, height: 3, stride: 6 };
        let data: Vec<u8> = (0..16).collect();
        assert_eq!(packed.bytes(), data.len());
        let rows = [0, 1, 2].map(|row| packed.rest(&data, Place { row, column: 0 }).to_vec());
        assert_eq!(rows, [vec![0, 1, 2, 3], vec![6, 7, 8, 9], vec![12, 13, 14, 15]]);
        let wide = Packed { width: 6, height: 1, stride: 12 };
        assert_eq!(wide.rest(&data, Place { row: 0, column: 4 }), [8, 9, 10, 11]);
    }
}
