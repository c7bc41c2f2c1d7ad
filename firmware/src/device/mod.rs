//! The state machine that ties the rooms together; owns no hardware.
//!
//! A board builds one [`Device`] from its engine, its gallery flash and its serial port and calls [`Device::poll`]
//! for ever; a board with a camera also calls [`Device::watch`]. Each call does a bounded piece of work: it takes at
//! most one buffer of bytes from the port, answers at most one request, and never waits for the port. The longest pieces
//! are one run of the model, [`Request::Info`], which verifies the gallery, and an enrolment or removal that replaces
//! sectors of the gallery.

mod camera;
mod manifest;
mod picture;
mod profile;
pub mod stack;
#[cfg(test)]
mod tests;

use embedded_io::{Read, ReadReady, Write, WriteReady};
use embedded_storage::nor_flash::NorFlash;
use heapless::Vec;

use crate::decide::{Decision, Rejection, decide};
use crate::embedding::norm_squared;
use crate::engine::Embedder;
use crate::gallery::{
    Candidate, DeviceSecret, Gallery, GalleryError, Line, Monotonic, NoCounter, PersonId, SoftwareSecret,
};
use crate::link::message::{Answer, DeviceInfo, Named, PROTOCOL, Who};
use crate::link::packet::{Decoder, MAX_PACKET, Noise, PacketHeader, encode, message, split};
use crate::link::{Fault, Reply, Request};
pub use camera::{Camera, Shot};
pub use manifest::{MANIFEST_BYTES, MANIFEST_SYMBOL, Manifest};
use picture::{Missing, Picture};
pub use profile::Clock;

/// Bytes taken from the port at a time.
const INPUT: usize = 256;

/// What a device works in, on a board `static` arrays: buffers `B` for pictures and lines `T` for the gallery's templates.
#[derive(Debug)]
pub struct Memory<B, T> {
    /// For a picture as it is sent; the largest that the device takes.
    pub frame: B,
    /// For the model's input; the largest that the device takes.
    pub crop: B,
    /// For the templates of everybody enrolled ([`index_lines`](crate::gallery::index_lines)).
    pub templates: T,
}

/// Something that happened on the device, for its log, its LED, its door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody was looked for in the gallery, for the camera or for a host.
    Answered(Answer),
    /// Somebody has a template more.
    Enrolled(PersonId),
    /// Somebody was forgotten.
    Removed(PersonId),
    /// Everybody was forgotten.
    Erased,
    /// What a host or the camera asked for could not be done.
    Refused(Fault),
    /// Bytes on the wire that were no packet.
    Noise(Noise),
}

/// The device: an engine `E`, a gallery of at most `RECORDS` people and templates on the flash `F`, a serial port `P`,
/// [`Memory`] in buffers `B` and lines `T`, and a counter `M` against galleries put back.
#[derive(Debug)]
pub struct Device<E, F, P, B, T, const RECORDS: usize, M = NoCounter> {
    core: Core<E, F, B, T, RECORDS, M>,
    port: P,
    input: [u8; INPUT],
    /// What of `input` is still to be looked at.
    unread: core::ops::Range<usize>,
    decoder: Decoder,
    output: [u8; MAX_PACKET],
    /// What of `output` is still to be sent.
    unsent: core::ops::Range<usize>,
    /// The request answered last, whose reply `output` still holds.
    answered: Option<PacketHeader>,
}

impl<E, F, P, B, T, const RECORDS: usize> Device<E, F, P, B, T, RECORDS>
where
    E: Embedder,
    F: NorFlash,
    B: AsRef<[u8]> + AsMut<[u8]>,
    T: AsRef<[Line]> + AsMut<[Line]>,
    P: Read + ReadReady + Write + WriteReady,
{
    /// Puts a device together that has neither a secret nor a counter of its own. A flash that holds nothing gets an empty
    /// gallery; one that holds another model's gallery or a damaged one is left alone, and [`Request::Info`] says so.
    pub fn new(engine: E, flash: F, port: P, memory: Memory<B, T>) -> Self {
        Self::with_trust(engine, flash, port, memory, &SoftwareSecret::default(), NoCounter)
    }
}

impl<E, F, P, B, T, const RECORDS: usize, M: Monotonic> Device<E, F, P, B, T, RECORDS, M>
where
    E: Embedder,
    F: NorFlash,
    B: AsRef<[u8]> + AsMut<[u8]>,
    T: AsRef<[Line]> + AsMut<[Line]>,
    P: Read + ReadReady + Write + WriteReady,
{
    /// As [`Device::new`], with the device's secret and its counter.
    pub fn with_trust<S: DeviceSecret>(
        engine: E,
        flash: F,
        port: P,
        memory: Memory<B, T>,
        secret: &S,
        counter: M,
    ) -> Self {
        let binding = engine.info().into();
        let mut gallery = Gallery::open_with(flash, binding, memory.templates, secret, counter);
        if gallery.state() == Err(GalleryError::Blank) {
            // If this fails the gallery keeps the reason and gives it to whoever asks.
            let _ = gallery.format();
        }
        Device {
            core: Core { engine, gallery, picture: Picture::new(memory.frame, memory.crop), clock: None },
            port,
            input: [0; INPUT],
            unread: 0..0,
            decoder: Decoder::new(),
            output: [0; MAX_PACKET],
            unsent: 0..0,
            answered: None,
        }
    }

    /// Gives the device a clock, so that it can say how long operations take.
    pub fn set_clock(&mut self, clock: Clock) {
        self.core.clock = Some(clock);
    }

    /// The gallery, for boards that look after it themselves.
    pub fn gallery(&mut self) -> &mut Gallery<F, T, RECORDS, M> {
        &mut self.core.gallery
    }

    /// The port.
    pub fn port(&mut self) -> &mut P {
        &mut self.port
    }

    /// Whether there is nothing to send and nothing received to look at: the board may sleep until its port has something.
    pub fn is_idle(&self) -> bool {
        self.unsent.is_empty() && self.unread.is_empty()
    }

    /// Sends what the port takes of the last reply; when all is sent, takes bytes from the port and answers the next
    /// request, if one is complete.
    ///
    /// # Errors
    /// When the port fails. The device goes on with the next call.
    pub fn poll(&mut self) -> Result<Option<Event>, P::Error> {
        while !self.unsent.is_empty() {
            if !self.port.write_ready()? {
                return Ok(None);
            }
            self.unsent.start += self.port.write(&self.output[self.unsent.clone()])?;
        }
        if self.unread.is_empty() {
            if !self.port.read_ready()? {
                return Ok(None);
            }
            self.unread = 0..self.port.read(&mut self.input)?;
        }
        for at in self.unread.clone() {
            self.unread.start = at + 1;
            match self.decoder.push(self.input[at]) {
                None => {}
                Some(Err(noise)) => return Ok(Some(Event::Noise(noise))),
                Some(Ok(payload)) => {
                    let Some((header, bytes)) = split(payload) else {
                        return Ok(Some(Event::Noise(Noise::Header)));
                    };
                    if let Some(last) = self.answered.filter(|a| a.session == header.session)
                        && header.sequence <= last.sequence
                    {
                        if header == last {
                            // Asked again: the reply was lost.
                            self.unsent.start = 0;
                        }
                        return Ok(None);
                    }
                    let (reply, event) = match message::<Request>(bytes) {
                        Some(request) => self.core.answer(request),
                        None => refuse(Fault::Message { protocol: PROTOCOL }),
                    };
                    // Every reply fits (a test in `packet` holds that); a reply of no bytes would be asked for again.
                    let length = encode(header, &reply, &mut self.output).unwrap_or(0);
                    self.unsent = 0..length;
                    self.answered = Some(header);
                    return Ok(event);
                }
            }
        }
        Ok(None)
    }

    /// Looks whether the camera has a picture, and if so, who is in it. A picture that a host has sent stays.
    pub fn watch<C: Camera>(&mut self, camera: &mut C) -> Option<Event> {
        let shot = camera.capture()?;
        let missing = self.core.picture.look(&shot, &mut self.core.engine);
        let answer = self.core.identify(missing);
        self.core.picture.restart();
        Some(answer.map_or_else(Event::Refused, Event::Answered))
    }
}

fn refuse<'r>(fault: Fault) -> (Reply<'r>, Option<Event>) {
    (Reply::Fault(fault), Some(Event::Refused(fault)))
}

/// Everything behind the port.
#[derive(Debug)]
struct Core<E, F, B, T, const RECORDS: usize, M> {
    engine: E,
    gallery: Gallery<F, T, RECORDS, M>,
    picture: Picture<B>,
    clock: Option<Clock>,
}

impl<E, F, B, T, const RECORDS: usize, M: Monotonic> Core<E, F, B, T, RECORDS, M>
where
    E: Embedder,
    F: NorFlash,
    B: AsRef<[u8]> + AsMut<[u8]>,
    T: AsRef<[Line]> + AsMut<[Line]>,
{
    fn answer(&mut self, request: Request<'_>) -> (Reply<'_>, Option<Event>) {
        match self.try_answer(request) {
            Ok(done) => done,
            Err(fault) => refuse(fault),
        }
    }

    fn try_answer(&mut self, request: Request<'_>) -> Result<(Reply<'_>, Option<Event>), Fault> {
        let quiet = |reply| Ok((reply, None));
        // A write that failed stopped the gallery; the flash may work again.
        if let Err(GalleryError::Flash(_)) = self.gallery.state() {
            self.gallery.reopen();
        }
        match request {
            Request::Info => quiet(Reply::Info(self.info())),
            Request::BeginFrame(header) => {
                self.picture.begin(header)?;
                quiet(Reply::Received { bytes: 0 })
            }
            Request::FramePiece { offset, bytes } => {
                quiet(Reply::Received { bytes: self.picture.take(offset, bytes)? })
            }
            Request::Enroll(who) => {
                let (person, templates) = self.enroll(who)?;
                Ok((Reply::Enrolled { person, templates }, Some(Event::Enrolled(person))))
            }
            Request::Identify => {
                let missing = self.picture.embed(&mut self.engine);
                let answer = self.identify(missing)?;
                Ok((Reply::Decided(answer.clone()), Some(Event::Answered(answer))))
            }
            Request::List { after } => quiet(self.list(after)?),
            Request::Remove(person) => {
                self.gallery.remove(person)?;
                Ok((Reply::Removed(person), Some(Event::Removed(person))))
            }
            Request::ReadCrop { offset } => {
                self.picture.crop(self.engine.info())?;
                quiet(self.picture.crop_piece(offset)?)
            }
            Request::ReadEmbedding { offset } => {
                self.picture.embed(&mut self.engine)?;
                quiet(self.picture.embedding_piece(offset)?)
            }
            Request::EraseGallery => {
                self.gallery.format()?;
                Ok((Reply::Erased, Some(Event::Erased)))
            }
            Request::Profile { first } => {
                let Core { engine, picture, clock, .. } = self;
                let crop = picture.room(engine.info())?;
                quiet(profile::profile(engine, *clock, crop, first)?)
            }
        }
    }

    fn info(&mut self) -> DeviceInfo {
        let number = |text: &str| text.parse().unwrap_or(0);
        let verified = self.gallery.verify(|_| ());
        DeviceInfo {
            protocol: PROTOCOL,
            firmware: [
                number(env!("CARGO_PKG_VERSION_MAJOR")),
                number(env!("CARGO_PKG_VERSION_MINOR")),
                number(env!("CARGO_PKG_VERSION_PATCH")),
            ],
            model: self.engine.info().into(),
            usage: self.gallery.usage(),
            gallery: verified.err(),
            damaged: verified.unwrap_or(0),
            detects_rollback: self.gallery.detects_rollback(),
            software_key: self.gallery.has_software_key(),
            frame_capacity: self.picture.capacity(),
        }
    }

    fn enroll(&mut self, who: Who<'_>) -> Result<(PersonId, u16), Fault> {
        self.picture.embed(&mut self.engine)?;
        let template = self.picture.embedding();
        Ok(match who {
            Who::New(name) => (self.gallery.enroll(name, &[template])?, 1),
            Who::Person(person) => (person, self.gallery.add_template(person, template)?),
        })
    }

    /// Who the picture's embedding is; `missing` says why there is none.
    fn identify(&mut self, missing: Result<(), Missing>) -> Result<Answer, Fault> {
        self.gallery.state()?;
        let decision = match missing {
            Ok(()) => self.decide()?,
            Err(Missing::Rejected(why)) => Decision::Rejected(why),
            Err(Missing::Fault(fault)) => return Err(fault),
        };
        let gallery = &mut self.gallery;
        let named = |c: Candidate| gallery.person(c.person).map(|p| Named::new(c, p.name));
        Ok(Answer::new(decision, named)?)
    }

    fn decide(&mut self) -> Result<Decision, Fault> {
        let probe = self.picture.embedding();
        if norm_squared(probe) == 0 {
            return Ok(Decision::Rejected(Rejection::ZeroEmbedding));
        }
        let found = self.gallery.nearest(probe)?;
        Ok(decide(self.engine.info().threshold.as_ref(), &found))
    }

    fn list(&mut self, mut after: Option<PersonId>) -> Result<Reply<'static>, Fault> {
        let mut people = Vec::new();
        while !people.is_full() {
            let Some(person) = self.gallery.next_after(after)? else { break };
            after = Some(person.id);
            // The loop's condition leaves a place.
            let _ = people.push(person);
        }
        let more = self.gallery.next_after(after)?.is_some() && people.is_full();
        Ok(Reply::People { people, more })
    }
}
