//! Whole pictures from a camera that may be slow, fail, or be unplugged.
//!
//! In: a [`Camera`], memory for one picture, and the time. Out: a [`Frame`] when one is whole. Each [`Grabber::poll`] does a bounded
//! piece of work: it begins a picture, looks whether it is there, or fetches some rows. A picture that is larger than the memory is
//! halved as its rows come ([`Intake`]), to the same bytes as one that a host sends. A picture that does not come in time is given up,
//! one that lay too long is thrown away, and after a failure the camera is left alone for a while, each time twice as long.

use super::{Camera, Geometry};
use crate::frame::{Frame, FrameError, Intake, TooLarge};
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
    /// The grabber's memory does not hold the picture however often it is halved: never one of 1 KiB.
    TooLarge(TooLarge),
    /// The camera's geometry makes no picture.
    Geometry(FrameError),
}

impl<E: core::fmt::Display> core::fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Failure::Camera(error) => write!(f, "camera: {error}"),
            Failure::Late { waited_ms } => write!(f, "camera: no picture within {waited_ms} ms"),
            Failure::TooLarge(error) => write!(f, "camera: {error}"),
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
    /// Some rows of a picture; so many are still to come.
    Fetched(Intake, u16),
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
    /// How the picture that is whole lies in the memory.
    whole: Option<Intake>,
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
            Ok(whole) => {
                (self.stage, self.whole) = (Stage::Idle, whole);
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
        self.whole?.frame(self.memory.as_ref()).ok()
    }

    /// One piece of work; the picture that it made whole.
    fn step(&mut self, passed: u32) -> Result<Option<Intake>, Failure<C::Error>> {
        let Patience { picture_ms, fresh_ms, rows, .. } = self.patience;
        match self.stage {
            Stage::Failed(left) if left > passed => self.stage = Stage::Failed(left - passed),
            Stage::Idle | Stage::Failed(_) => self.begin()?,
            Stage::Begun(waited) => match self.camera.poll().map_err(Failure::Camera)? {
                // Also after longer than it may take: nobody looked.
                Some(_) if passed > fresh_ms => self.begin()?,
                Some(Geometry { format, width, height }) => {
                    if width == 0 || height == 0 {
                        return Err(Failure::Geometry(FrameError::Empty { width, height }));
                    }
                    let intake = Intake::new(format, width, height, self.memory.as_ref().len());
                    self.stage = Stage::Fetched(intake.map_err(Failure::TooLarge)?, height);
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
            Stage::Fetched(mut intake, coming) => {
                let now = rows.max(1).min(coming);
                for _ in 0..now {
                    let camera = &mut self.camera;
                    intake
                        .row(self.memory.as_mut(), |pixels| camera.pixels(pixels))
                        .map_err(Failure::Camera)?;
                }
                self.stage = Stage::Fetched(intake, coming - now);
                return Ok((coming == now).then_some(intake));
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
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::camera::Place;
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

        fn pixels(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
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
        // Halved until it is one pixel, whose sums have no room.
        grabber.camera.geometry = Geometry { format: PixelFormat::Rgb8, width: 3, height: 2 };
        let too_large = Failure::TooLarge(TooLarge { needed: 12, capacity: 10 });
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

    /// A camera that shows one picture, at once, and is asked for its pixels as cameras may be.
    struct Showing {
        geometry: Geometry,
        data: Vec<u8>,
        at: Place,
    }

    impl Camera for Showing {
        type Error = Infallible;

        fn start(&mut self) -> Result<(), Infallible> {
            self.at = Place::default();
            Ok(())
        }

        fn poll(&mut self) -> Result<Option<Geometry>, Infallible> {
            Ok(Some(self.geometry))
        }

        fn pixels(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
            let Showing { geometry, data, at } = self;
            let from = geometry.row_bytes() * (usize::from(at.row) + 1) - at.left(*geometry);
            out.copy_from_slice(&data[from..from + out.len()]);
            *at = at.behind(out.len(), *geometry).expect("pixels of one row");
            assert!(at.column.is_multiple_of(2), "pairs up to the end of the row");
            Ok(())
        }

        fn rest(&mut self) -> Result<(), Infallible> {
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn a_picture_larger_than_the_memory_is_halved_as_a_hosts_is(
            width in 1u16..300,
            height in 1u16..40,
            format in prop::sample::select(vec![PixelFormat::Grey8, PixelFormat::Rgb8, PixelFormat::Rgb565]),
            part in 1usize..=120,
            seed: u64,
        ) {
            let geometry = Geometry { format, width, height };
            let data: Vec<u8> =
                (0..geometry.bytes() as u32).map(|i| seed.rotate_left(i * 5).to_le_bytes()[i as usize % 8]).collect();
            let capacity = (geometry.bytes() * part / 100).max(48);
            let mut hosts = vec![0; capacity];
            let mut intake = Intake::new(format, width, height, capacity).unwrap();
            prop_assert_eq!(intake.push(&data, &mut hosts), data.len());
            let expected = intake.frame(&hosts).unwrap();

            let camera = Showing { geometry, data, at: Place::default() };
            let mut grabber = Grabber::new(camera, vec![0xa5; capacity], PATIENCE);
            // Twice: nothing of the picture before is in the next.
            for _ in 0..2 {
                // Begun, looked at, and two rows a poll.
                let polls = 2 + usize::from(height).div_ceil(2);
                let whole = (0..polls).map(|_| grabber.poll(Uptime(0)).unwrap().is_some());
                prop_assert!(whole.collect::<Vec<bool>>().iter().rposition(|whole| !whole) == Some(polls - 2));
                let frame = grabber.frame().unwrap();
                prop_assert_eq!(
                    (frame.format(), frame.width(), frame.height()),
                    (format, expected.width(), expected.height())
                );
                prop_assert_eq!(frame.data(), expected.data());
            }
        }
    }
}
