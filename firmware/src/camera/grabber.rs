//! Whole pictures from a camera that may be slow, fail, or be unplugged.
//!
//! In: a [`Camera`], memory for one picture, and the time. Out: a [`Frame`] when one is whole. Each [`Grabber::poll`] does a bounded
//! piece of work: it begins a picture, looks whether it is there, or fetches some rows. A picture that does not come in time is given up,
//! one that lay too long is thrown away, and after a failure the camera is left alone for a while, each time twice as long.

use super::{Camera, Geometry};
use crate::frame::{Frame, FrameError};
use crate::time::{Lapse, Uptime};

/// How long a [`Grabber`] waits for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Patience {
    /// Milliseconds that a picture may take until its first row can be fetched.
    pub picture_ms: u32,
    /// Milliseconds between two polls after which the picture at hand is thrown away: whoever it shows may have left. A device
    /// that always takes longer from one poll to the next gets none.
    pub fresh_ms: u32,
    /// Milliseconds that the camera is left alone after a failure.
    pub retry_ms: u32,
    /// The most that this grows to, doubling with each further failure.
    pub longest_ms: u32,
    /// Rows fetched at a poll.
    pub rows: u16,
}

impl Default for Patience {
    /// For a camera of some pictures a second, polled more often than that.
    fn default() -> Self {
        Patience { picture_ms: 3000, fresh_ms: 1000, retry_ms: 500, longest_ms: 30_000, rows: 16 }
    }
}

/// Why there is no picture. Each is told once; the grabber tries again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Failure<E> {
    /// The camera failed.
    Camera(E),
    /// The picture did not come.
    Late {
        /// Milliseconds since it was begun.
        waited_ms: u32,
    },
    /// The picture is larger than the grabber's memory.
    TooLarge {
        /// Bytes of the picture.
        needed: usize,
        /// Bytes of the memory.
        capacity: usize,
    },
    /// The camera's geometry makes no picture.
    Geometry(FrameError),
}

impl<E: core::fmt::Display> core::fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Failure::Camera(error) => write!(f, "camera: {error}"),
            Failure::Late { waited_ms } => write!(f, "camera: no picture within {waited_ms} ms"),
            Failure::TooLarge { needed, capacity } => {
                write!(f, "camera: a picture takes {needed} bytes, there is memory for {capacity}")
            }
            Failure::Geometry(error) => write!(f, "camera: {error}"),
        }
    }
}

impl<E: core::error::Error> core::error::Error for Failure<E> {}

/// What is at hand.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// Nothing: the next poll begins a picture.
    Idle,
    /// A picture that was begun so many milliseconds ago.
    Begun(u32),
    /// So many rows of a picture.
    Fetched(Geometry, u16),
    /// Nothing, for so many milliseconds after a failure.
    Failed(u32),
}

/// A camera `C` with memory `B` for a picture.
#[derive(Debug)]
pub struct Grabber<C, B> {
    camera: C,
    memory: B,
    patience: Patience,
    lapse: Lapse,
    stage: Stage,
    /// The picture that lies whole in the memory.
    whole: Option<Geometry>,
    /// Milliseconds that the camera is left alone after the next failure.
    retry_ms: u32,
}

impl<C: Camera, B: AsRef<[u8]> + AsMut<[u8]>> Grabber<C, B> {
    /// Nothing is asked of the camera before the first poll.
    pub fn new(camera: C, memory: B, patience: Patience) -> Self {
        let retry_ms = patience.retry_ms;
        Grabber {
            camera,
            memory,
            patience,
            lapse: Lapse::default(),
            stage: Stage::Idle,
            whole: None,
            retry_ms,
        }
    }

    /// The camera, for boards that change its settings. The picture at hand is thrown away, and one that was still awaited given up.
    pub fn camera(&mut self) -> &mut C {
        self.stage = Stage::Idle;
        &mut self.camera
    }

    /// Lets the camera rest until the next poll. One that failed is left alone for as long as it would be.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn rest(&mut self) -> Result<(), Failure<C::Error>> {
        if !matches!(self.stage, Stage::Failed(_)) {
            self.stage = Stage::Idle;
        }
        self.camera.rest().map_err(Failure::Camera)
    }

    /// Goes on with the picture at hand, or begins one. Returns it when it is whole; the next call begins the next.
    ///
    /// # Errors
    /// Why there is none. The camera is then left alone for a while, in which this returns `None`.
    pub fn poll(&mut self, now: Uptime) -> Result<Option<Frame<'_>>, Failure<C::Error>> {
        let passed = self.lapse.until(now);
        self.whole = None;
        match self.step(passed) {
            Ok(None) => Ok(None),
            Ok(geometry) => {
                (self.stage, self.whole) = (Stage::Idle, geometry);
                self.retry_ms = self.patience.retry_ms;
                Ok(self.frame())
            }
            Err(failure) => {
                self.stage = Stage::Failed(self.retry_ms);
                self.retry_ms = self.retry_ms.saturating_mul(2).min(self.patience.longest_ms);
                Err(failure)
            }
        }
    }

    /// The picture that the last poll made whole.
    pub fn frame(&self) -> Option<Frame<'_>> {
        let geometry = self.whole?;
        let data = self.memory.as_ref().get(..geometry.bytes())?;
        Frame::new(geometry.format, geometry.width, geometry.height, data).ok()
    }

    /// One piece of work; the geometry of a picture that it made whole.
    fn step(&mut self, passed: u32) -> Result<Option<Geometry>, Failure<C::Error>> {
        let Patience { picture_ms, fresh_ms, rows, .. } = self.patience;
        match self.stage {
            Stage::Failed(left) if left > passed => self.stage = Stage::Failed(left - passed),
            Stage::Idle | Stage::Failed(_) => self.begin()?,
            Stage::Begun(waited) => match self.camera.poll().map_err(Failure::Camera)? {
                // Also after longer than it may take: nobody looked.
                Some(_) if passed > fresh_ms => self.begin()?,
                Some(geometry) => {
                    let (needed, capacity) = (geometry.bytes(), self.memory.as_ref().len());
                    if needed > capacity {
                        return Err(Failure::TooLarge { needed, capacity });
                    }
                    if needed == 0 {
                        let Geometry { width, height, .. } = geometry;
                        return Err(Failure::Geometry(FrameError::Empty { width, height }));
                    }
                    self.stage = Stage::Fetched(geometry, 0);
                }
                None => {
                    let waited_ms = waited.saturating_add(passed);
                    if waited_ms > picture_ms {
                        return Err(Failure::Late { waited_ms });
                    }
                    self.stage = Stage::Begun(waited_ms);
                }
            },
            Stage::Fetched(..) if passed > fresh_ms => self.begin()?,
            Stage::Fetched(geometry, fetched) => {
                let last = fetched.saturating_add(rows.max(1)).min(geometry.height);
                let bytes = geometry.row_bytes();
                let memory = self.memory.as_mut().chunks_exact_mut(bytes.max(1));
                for row in memory.take(last.into()).skip(fetched.into()) {
                    self.camera.row(row).map_err(Failure::Camera)?;
                }
                self.stage = Stage::Fetched(geometry, last);
                return Ok((last == geometry.height).then_some(geometry));
            }
        }
        Ok(None)
    }

    fn begin(&mut self) -> Result<(), Failure<C::Error>> {
        self.camera.start().map_err(Failure::Camera)?;
        self.stage = Stage::Begun(0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PixelFormat;

    const GEOMETRY: Geometry = Geometry { format: PixelFormat::Grey8, width: 2, height: 5 };
    const PATIENCE: Patience =
        Patience { picture_ms: 100, fresh_ms: 50, retry_ms: 10, longest_ms: 35, rows: 2 };

    /// A camera whose pictures are ready at the second look, and whose rows hold the picture's number and their own.
    struct Numbered {
        picture: u8,
        looks: u8,
        row: u8,
        geometry: Geometry,
        /// Fails instead.
        start: Option<&'static str>,
        /// Never ready.
        stuck: bool,
        /// Rows that fail.
        broken: Option<u8>,
        resting: bool,
    }

    impl Numbered {
        fn new() -> Self {
            let geometry = GEOMETRY;
            Numbered {
                picture: 0,
                looks: 0,
                row: 0,
                geometry,
                start: None,
                stuck: false,
                broken: None,
                resting: false,
            }
        }
    }

    impl Camera for Numbered {
        type Error = &'static str;

        fn start(&mut self) -> Result<(), Self::Error> {
            (self.picture, self.looks, self.row, self.resting) = (self.picture + 1, 0, 0, false);
            self.start.map_or(Ok(()), Err)
        }

        fn poll(&mut self) -> Result<Option<Geometry>, Self::Error> {
            self.looks += 1;
            Ok((self.looks >= 2 && !self.stuck).then_some(self.geometry))
        }

        fn row(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
            assert!(self.row < 5 && out.len() == 2);
            if self.broken == Some(self.row) {
                return Err("row");
            }
            out.copy_from_slice(&[self.picture, self.row]);
            self.row += 1;
            Ok(())
        }

        fn rest(&mut self) -> Result<(), Self::Error> {
            self.resting = true;
            Ok(())
        }
    }

    /// Polls every `step` milliseconds from `now` on until something happens.
    fn until(
        grabber: &mut Grabber<Numbered, [u8; 10]>,
        now: &mut u64,
        step: u64,
    ) -> (Result<Vec<u8>, Failure<&'static str>>, usize) {
        for polls in 1..1000 {
            *now += step;
            match grabber.poll(Uptime(*now)) {
                Ok(None) => {}
                Ok(Some(frame)) => return (Ok(frame.data().to_vec()), polls),
                Err(failure) => return (Err(failure), polls),
            }
        }
        panic!("nothing happens");
    }

    fn whole(picture: u8) -> Vec<u8> {
        (0..5).flat_map(|row| [picture, row]).collect()
    }

    #[test]
    fn pictures_come_one_after_another_in_bounded_pieces() {
        let mut grabber = Grabber::new(Numbered::new(), [0xee; 10], PATIENCE);
        // Begun, looked at twice, and 2 + 2 + 1 rows.
        assert_eq!(until(&mut grabber, &mut 0, 1), (Ok(whole(1)), 6));
        assert_eq!(until(&mut grabber, &mut 100, 1), (Ok(whole(2)), 6));
    }

    #[test]
    fn one_that_never_comes_is_given_up_and_tried_again_less_and_less() {
        let (mut now, mut grabber) = (0, Grabber::new(Numbered::new(), [0; 10], PATIENCE));
        grabber.camera().stuck = true;
        let late = Err(Failure::Late { waited_ms: 105 });
        assert_eq!(until(&mut grabber, &mut now, 5), (late.clone(), 22));
        // 10, 20, 35 and again 35 milliseconds in which the camera is left alone.
        for pause in [2, 4, 7, 7] {
            assert_eq!(until(&mut grabber, &mut now, 5), (late.clone(), 21 + pause));
        }
        grabber.camera.stuck = false;
        let (picture, polls) = until(&mut grabber, &mut now, 5);
        assert_eq!((picture, polls), (Ok(whole(6)), 12));
        // All is forgiven.
        grabber.camera.stuck = true;
        assert_eq!(until(&mut grabber, &mut now, 5).0, late);
        assert_eq!(until(&mut grabber, &mut now, 5), (late, 21 + 2));
    }

    #[test]
    fn failures_are_told_once_and_leave_no_half_picture() {
        let (mut now, mut grabber) = (0, Grabber::new(Numbered::new(), [0; 10], PATIENCE));
        grabber.camera.broken = Some(3);
        assert_eq!(until(&mut grabber, &mut now, 1).0, Err(Failure::Camera("row")));
        (grabber.camera.broken, grabber.camera.start) = (None, Some("start"));
        assert_eq!(until(&mut grabber, &mut now, 1).0, Err(Failure::Camera("start")));
        grabber.camera.start = None;
        assert_eq!(until(&mut grabber, &mut now, 1).0, Ok(whole(3)));
        grabber.camera.geometry.width = 3;
        let too_large = Failure::TooLarge { needed: 15, capacity: 10 };
        assert_eq!(until(&mut grabber, &mut now, 1).0, Err(too_large));
        grabber.camera.geometry = Geometry { height: 0, ..GEOMETRY };
        let empty = Failure::Geometry(FrameError::Empty { width: 2, height: 0 });
        assert_eq!(until(&mut grabber, &mut now, 1).0, Err(empty));
    }

    #[test]
    fn a_picture_that_nobody_fetched_in_time_is_thrown_away() {
        for polls in [1, 2, 3, 4, 5] {
            let (mut now, mut grabber) = (0, Grabber::new(Numbered::new(), [0; 10], PATIENCE));
            for _ in 0..polls {
                now += 1;
                assert!(matches!(grabber.poll(Uptime(now)), Ok(None)));
            }
            // After the first poll the camera has not been looked at twice: it may still be late, once.
            now += if polls < 2 { 40 } else { 60 };
            let expected = if polls < 2 { 1 } else { 2 };
            assert_eq!(until(&mut grabber, &mut now, 1).0, Ok(whole(expected)), "{polls} polls");
        }
    }

    #[test]
    fn time_that_jumps_back_neither_fails_nor_hurries_anything() {
        let mut grabber = Grabber::new(Numbered::new(), [0; 10], PATIENCE);
        grabber.camera.stuck = true;
        // 50, 49 and 1 milliseconds passed.
        for now in [1000, 1050, 3, 52, 0, 1] {
            assert_eq!(grabber.poll(Uptime(now)).map(|frame| frame.is_some()), Ok(false), "at {now}");
        }
        assert_eq!(grabber.poll(Uptime(2)).err(), Some(Failure::Late { waited_ms: 101 }));
        grabber.camera.stuck = false;
        assert_eq!(until(&mut grabber, &mut 0, 1).0, Ok(whole(2)));
    }

    #[test]
    fn a_camera_rests_until_it_is_asked_again() {
        let (mut now, mut grabber) = (0, Grabber::new(Numbered::new(), [0; 10], PATIENCE));
        assert!(matches!(grabber.poll(Uptime(0)), Ok(None)));
        grabber.rest().unwrap();
        assert!(grabber.camera.resting);
        assert_eq!(until(&mut grabber, &mut now, 1).0, Ok(whole(2)));
        assert!(!grabber.camera.resting);
    }
}
