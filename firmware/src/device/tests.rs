//! The state machine on a port in memory: what is asked twice is done once, and no poll waits or does too much.

mod bundles;
mod clock;
pub(crate) mod door;
#[cfg(feature = "sim")]
mod enrolments;
mod frames;
#[cfg(feature = "sim")]
mod paired;
#[cfg(feature = "sim")]
mod replaced;
#[cfg(feature = "sim")]
pub(crate) mod updates;

use std::collections::VecDeque;
use std::convert::Infallible;

use embedded_io::{Read, ReadReady, Write, WriteReady};
use proptest::prelude::*;
use serde::Serialize;

use super::port::INPUT;
use super::port::Service;
use super::*;
use crate::camera::CameraFault;
use crate::decide::quality::QualityRules;
use crate::decide::vote::VoteRules;
use crate::decide::{Rejection, Rules};
use crate::detect::{Face, LookError, MOST_FACES, Settings};
use crate::embedding::Angle;
use crate::engine::{EmbedError, Embedder, Models};
use crate::flash::nor::MemoryNor;
use crate::frame::{Frame, PixelFormat};
use crate::gallery::{Candidate, PersonId};
use crate::gallery::{NoCounter, Owned, index_lines};
use crate::link::answer::Answer;
use crate::link::message::FrameHeader;
use crate::link::message::{PROTOCOL, Who};
use crate::link::packet::{Decoder, MAX_PACKET, PacketHeader, encode, message, split};
use crate::link::status::{Restored, Unit};
use crate::link::{Fault, LinkTrust, Reply, Request};
use crate::model::thresholds::{Bar, Cell, Origin, ThresholdTable};
use crate::model::{ChannelOrder, ModelInfo};
use crate::secret::SoftwareSecret;
use crate::time::Validity;

/// Bytes in, bytes out; takes at most `takes` bytes a write, and none when that is zero.
#[derive(Debug, Default)]
pub(crate) struct Port {
    pub(crate) input: VecDeque<u8>,
    output: std::vec::Vec<u8>,
    pub(crate) takes: usize,
    reads: usize,
    /// Bytes that it may hold back, as a driver with a buffer does; without any, everything is out at once.
    pub(crate) room: usize,
    /// Those that it does.
    held: VecDeque<u8>,
    /// How many of them are out each time that it is asked for room.
    passes: usize,
}

impl Port {
    /// So many of the bytes that it holds back are out.
    pub(crate) fn pass(&mut self, bytes: usize) {
        let length = bytes.min(self.held.len());
        self.output.extend(self.held.drain(..length));
    }
}

impl ErrorType for Port {
    type Error = Infallible;
}

impl ReadReady for Port {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.input.is_empty())
    }
}

impl Read for Port {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        assert!(!self.input.is_empty(), "a read that would wait");
        self.reads += 1;
        let length = bytes.len().min(self.input.len());
        for (place, byte) in bytes.iter_mut().zip(self.input.drain(..length)) {
            *place = byte;
        }
        Ok(length)
    }
}

impl WriteReady for Port {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        self.pass(self.passes);
        Ok(self.takes > 0 && self.held.len() <= self.room.saturating_sub(1))
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        assert!(self.takes > 0, "a write that would wait");
        let length = bytes.len().min(self.takes);
        if self.room == 0 {
            self.output.extend(&bytes[..length]);
            return Ok(length);
        }
        let length = length.min(self.room - self.held.len());
        self.held.extend(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The picture itself is the embedding; counts its runs. With a detector, every white pixel is a face.
#[derive(Debug)]
pub(crate) struct Copier {
    info: ModelInfo,
    detector: Option<ModelInfo>,
    thresholds: std::vec::Vec<u8>,
    runs: usize,
    arena: [u8; 256],
}

impl Embedder for Copier {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn thresholds(&self) -> Option<ThresholdTable<'_>> {
        ThresholdTable::parse(&self.thresholds).ok()
    }

    fn embed(&mut self, crop: &[u8], out: &mut [i8]) -> Result<(), EmbedError> {
        self.runs += 1;
        for (value, &byte) in out.iter_mut().zip(crop) {
            *value = byte as i8;
        }
        Ok(())
    }

    /// As many operations as there are values.
    fn embed_watched(
        &mut self,
        crop: &[u8],
        out: &mut [i8],
        after: &mut dyn FnMut(usize),
    ) -> Result<(), EmbedError> {
        self.embed(crop, out)?;
        (0..out.len()).for_each(after);
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct Bench;

impl Hardware for Bench {
    type Models = Copier;
    type Flash = MemoryNor<std::vec::Vec<u8>>;
    type Store = MemoryNor<std::vec::Vec<u8>>;
    type Slots = MemoryNor<std::vec::Vec<u8>>;
    type Port = Port;
    type Counter = NoCounter;
    type Bytes = std::vec::Vec<u8>;
    type Room = Owned;
}

impl Models for Copier {
    fn detector(&self) -> Option<&ModelInfo> {
        self.detector.as_ref()
    }

    fn find(&mut self, picture: &[u8], _: &Settings) -> Result<heapless::Vec<Face, MOST_FACES>, LookError> {
        let width = self.detector.as_ref().ok_or(LookError::NoDetector)?.width as usize;
        let white = picture.iter().enumerate().filter(|(_, v)| **v == 255);
        Ok(white.map(|(at, _)| frames::face((at % width) as f32, (at / width) as f32)).collect())
    }

    fn arena(&mut self) -> &mut [u8] {
        &mut self.arena
    }
}

pub(crate) type TestDevice = Device<Bench>;

fn engine() -> Copier {
    let angle = Angle::from_millidegrees(30_000);
    let bar = Bar { angle, low: angle, high: angle };
    let mut thresholds = vec![0; ThresholdTable::bytes_for(1, 1)];
    let (origin, cells) = (
        Origin { identities: 2, images: 2, frames: 1, templates: 1, overlap: 0 },
        [Cell { frame: bar, presentation: bar }],
    );
    ThresholdTable::write(origin, &[0.01], &[1000], &cells, &mut thresholds).unwrap();
    let info = ModelInfo {
        width: 8,
        height: 8,
        order: ChannelOrder::Grey,
        template: None,
        dimension: 64,
        embedding_id: [1; 32],
    };
    Copier { info, detector: None, thresholds, runs: 0, arena: [0; 256] }
}

fn device() -> TestDevice {
    device_on(vec![0xff; 4 * 4096])
}

fn device_on(flash: std::vec::Vec<u8>) -> TestDevice {
    with_flash(engine(), MemoryNor::new(flash), &SoftwareSecret::default())
}

fn with_flash(engine: Copier, flash: MemoryNor<std::vec::Vec<u8>>, secret: &SoftwareSecret) -> TestDevice {
    let gallery = Owned::new(16, index_lines(64, 64));
    let memory = Memory { frame: vec![0; 256], crop: vec![0; 256], gallery };
    let port = Port { takes: usize::MAX, ..Port::default() };
    let parts = Parts {
        models: engine,
        gallery: flash,
        events: None,
        kept: Kept::nothing(),
        updates: None,
        port,
        link: LinkTrust::Open,
        counter: NoCounter,
        memory,
    };
    begun(parts, secret)
}

fn begun(parts: Parts<Bench>, secret: &SoftwareSecret) -> TestDevice {
    let mut device = Device::new(parts, secret);
    // The pictures are embeddings, which need not look like faces.
    device.set_rules(Rules { quality: QualityRules::NONE, ..Rules::default() }).unwrap();
    device
}

pub(crate) fn packet(sequence: u32, message: &impl Serialize) -> std::vec::Vec<u8> {
    let mut out = [0; MAX_PACKET];
    let length = encode(PacketHeader { session: 9, sequence }, message, &mut out).unwrap();
    out[..length].to_vec()
}

/// Polls until nothing is left to do.
fn run(device: &mut TestDevice) {
    for _ in 0..100 {
        device.poll().unwrap();
    }
    assert!(device.endpoint.port.input.is_empty());
}

/// A camera that shows one picture for ever.
struct Held<'s>(Shot<'s>);

impl Camera for Held<'_> {
    fn poll(&mut self, _: Uptime) -> Result<bool, CameraFault> {
        Ok(true)
    }

    fn shot(&self) -> Option<Shot<'_>> {
        Some(self.0)
    }

    fn rest(&mut self) {}
}

/// All phases of one picture.
fn look<C: Camera>(device: &mut TestDevice, camera: &mut C, now: u64) -> Option<Event> {
    for _ in 0..12 {
        let event = device.watch(camera, true, Uptime(now));
        if event.is_some() || matches!(device.phase(), Phase::Idle | Phase::LockedOut) {
            return event;
        }
    }
    panic!("a picture takes fewer steps, and still it is in {:?}", device.phase());
}

/// The replies sent so far, with their numbers, in words.
pub(crate) fn replies(device: &mut TestDevice) -> std::vec::Vec<(u32, std::string::String)> {
    let mut decoder = Decoder::new();
    let output = core::mem::take(&mut device.endpoint.port.output);
    let mut heard = std::vec::Vec::new();
    for byte in output {
        if let Some(payload) = decoder.push(byte) {
            let (header, rest) = split(payload.expect("the device makes no noise")).unwrap();
            heard.push((header.sequence, format!("{:?}", message::<Reply>(rest).unwrap())));
        }
    }
    heard
}

fn frame(device: &mut TestDevice, sequence: u32) {
    let header = FrameHeader { format: PixelFormat::Grey8, width: 8, height: 8, landmarks: None };
    let bytes: [u8; 64] = core::array::from_fn(|i| i as u8 + 1);
    device.endpoint.port.input.extend(packet(sequence, &Request::BeginFrame(header)));
    device
        .endpoint
        .port
        .input
        .extend(packet(sequence + 1, &Request::FramePiece { offset: 0, bytes: &bytes }));
    run(device);
    assert_eq!(replies(device).len(), 2);
}

#[test]
fn what_is_asked_again_is_answered_again_and_done_once() {
    let mut device = device();
    frame(&mut device, 1);
    let enroll = packet(3, &Request::Enroll(Who::New("Ada")));
    for _ in 0..3 {
        device.endpoint.port.input.extend(&enroll);
    }
    run(&mut device);
    let heard = replies(&mut device);
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|h| *h == heard[0] && h.1.contains("Enrolled")), "{heard:?}");
    assert_eq!(device.gallery().usage().people, 1);
    // A late copy of an older request is not answered at all.
    device.endpoint.port.input.extend(packet(2, &Request::Identify));
    run(&mut device);
    assert_eq!(replies(&mut device), []);
}

#[test]
fn the_model_runs_once_a_picture() {
    let mut device = device();
    frame(&mut device, 1);
    for (i, request) in
        [Request::Identify, Request::Enroll(Who::New("Ada")), Request::Identify].iter().enumerate()
    {
        device.endpoint.port.input.extend(packet(3 + i as u32, request));
    }
    device.endpoint.port.input.extend(packet(6, &Request::ReadEmbedding { offset: 0 }));
    run(&mut device);
    let heard = replies(&mut device);
    assert!(heard[0].1.contains("NobodyEnrolled"), "{heard:?}");
    assert!(heard[2].1.contains("Known"), "{heard:?}");
    assert_eq!(device.core.engine.runs, 1);
}

#[test]
fn a_poll_reads_one_buffer_and_never_waits_to_write() {
    let mut device = device();
    device.endpoint.port.takes = 0;
    device.endpoint.port.input.extend([7; 5 * INPUT]);
    for polls in 1..=5 {
        device.poll().unwrap();
        assert_eq!(device.endpoint.port.reads, polls);
    }
    device.endpoint.port.input.push_back(0);
    device.endpoint.port.input.extend(packet(1, &Request::Info));
    for _ in 0..10 {
        device.poll().unwrap();
    }
    assert_eq!(device.endpoint.port.output.len(), 0);
    // The next request waits until the reply is away.
    device.endpoint.port.input.extend(packet(2, &Request::Info));
    device.endpoint.port.takes = 7;
    run(&mut device);
    let heard = replies(&mut device);
    assert_eq!(heard.iter().map(|h| h.0).collect::<std::vec::Vec<_>>(), [1, 2]);
}

#[test]
fn what_a_port_holds_back_goes_on_with_every_poll() {
    let mut device = device();
    (device.endpoint.port.room, device.endpoint.port.passes) = (64, 5);
    device.endpoint.port.input.extend(packet(1, &Request::Info));
    run(&mut device);
    let heard = replies(&mut device);
    assert!(matches!(&heard[..], [(1, said)] if said.starts_with("Info")), "{heard:?}");
}

#[test]
fn before_a_restart_nothing_further_is_done() {
    let mut device = device();
    frame(&mut device, 1);
    device.endpoint.port.takes = 1;
    device.endpoint.port.input.extend(packet(3, &Request::Restart));
    device.endpoint.port.input.extend(packet(4, &Request::Enroll(Who::New("Ada"))));
    for _ in 0..100 {
        device.poll().unwrap();
    }
    assert!(device.wants_restart() && device.is_idle());
    device.endpoint.port.input.extend(packet(5, &Request::Enroll(Who::New("Eve"))));
    for _ in 0..100 {
        device.poll().unwrap();
    }
    assert!(device.is_idle());
    assert_eq!(replies(&mut device), [(3, "Restarting".to_owned())]);
    assert_eq!(device.gallery().usage().people, 0);
}

#[test]
fn pieces_come_in_order_and_pictures_whole() {
    let mut device = device();
    let header = |[width, height]: [u16; 2]| FrameHeader {
        format: PixelFormat::Grey8,
        width,
        height,
        landmarks: None,
    };
    let requests = [
        Request::FramePiece { offset: 0, bytes: &[1] },
        Request::BeginFrame(header([0, 8])),
        Request::BeginFrame(header([u16::MAX; 2])),
        Request::BeginFrame(header([8, 8])),
        Request::FramePiece { offset: 8, bytes: &[1; 8] },
        Request::FramePiece { offset: 0, bytes: &[1; 65] },
        Request::FramePiece { offset: 0, bytes: &[1; 60] },
        Request::Identify,
        Request::ReadCrop { offset: 0 },
    ];
    for (i, request) in requests.iter().enumerate() {
        device.endpoint.port.input.extend(packet(i as u32 + 1, request));
    }
    run(&mut device);
    let heard: std::vec::Vec<_> = replies(&mut device).into_iter().map(|h| h.1).collect();
    let expected = [
        "Fault(Piece { expected: 0, found: 0, total: 0 })",
        "Fault(EmptyFrame { width: 0, height: 8 })",
        "Fault(FrameTooLarge { needed: 304, capacity: 256 })",
        "Received { bytes: 0 }",
        "Fault(Piece { expected: 0, found: 8, total: 64 })",
        "Fault(Piece { expected: 0, found: 0, total: 64 })",
        "Received { bytes: 60 }",
        "Fault(NoFrame { received: 60, total: 64 })",
        "Fault(NoFrame { received: 60, total: 64 })",
    ];
    assert_eq!(heard, expected);
}

#[test]
fn a_message_of_another_version_is_refused_by_name() {
    let mut device = device();
    device.endpoint.port.input.extend(packet(1, &(99u8, 1u8)));
    run(&mut device);
    assert_eq!(replies(&mut device), [(1, format!("Fault(Message {{ protocol: {PROTOCOL} }})"))]);
}

#[test]
fn operations_are_measured_by_the_boards_clock_and_only_with_one() {
    // Each look at the clock takes longer than the one before, and it turns over in between.
    fn now() -> u32 {
        use core::sync::atomic::{AtomicU32, Ordering};
        static LOOKS: AtomicU32 = AtomicU32::new(0);
        let looks = LOOKS.fetch_add(1, Ordering::Relaxed);
        (u32::MAX - 40).wrapping_add(looks * looks)
    }
    let mut device = device();
    device.endpoint.port.input.extend(packet(1, &Request::Profile { first: 0 }));
    run(&mut device);
    assert_eq!(replies(&mut device), [(1, "Fault(NoClock)".to_owned())]);
    device.set_clock(Clock { now, unit: Unit::Cycles, per_tick: 3 });
    for (sequence, first) in [(2, 0), (3, 60), (4, 64)] {
        device.endpoint.port.input.extend(packet(sequence, &Request::Profile { first }));
    }
    run(&mut device);
    let heard = replies(&mut device);
    let ticks = |at: usize| {
        let said = heard[at].1.strip_suffix("] }").expect("laps");
        let (head, ticks) = said.split_once("ticks: [").expect("laps");
        assert!(head.contains("total: 64") && head.contains("unit: Cycles, per_tick: 3"), "{said}");
        ticks.split(", ").filter_map(|t| t.parse().ok()).collect::<std::vec::Vec<u32>>()
    };
    let whole = ticks(0);
    assert_eq!(whole.len(), 64);
    // Between two looks lies one more odd number; each operation is looked at twice.
    assert!(whole.windows(2).all(|pair| pair[1] == pair[0] + 4), "{whole:?}");
    assert_eq!((ticks(1).len(), ticks(2).len()), (4, 0));
}

#[test]
fn a_picture_that_is_not_worth_it_is_neither_embedded_nor_enrolled() {
    let mut device = device();
    device.set_rules(Rules::default()).unwrap();
    frame(&mut device, 1);
    device.endpoint.port.input.extend(packet(3, &Request::Identify));
    device.endpoint.port.input.extend(packet(4, &Request::Enroll(Who::New("Ada"))));
    run(&mut device);
    let heard = replies(&mut device);
    assert!(heard[0].1.contains("Decided(Rejected(Quality("), "{heard:?}");
    assert!(heard[1].1.contains("Fault(Rejected(Quality("), "{heard:?}");
    assert_eq!((device.core.engine.runs, device.gallery().usage().people), (0, 0));
    // What the model makes of it can be asked all the same.
    device.endpoint.port.input.extend(packet(5, &Request::ReadEmbedding { offset: 0 }));
    run(&mut device);
    assert!(replies(&mut device)[0].1.starts_with("Piece"));
}

#[test]
fn rules_that_nobody_can_meet_are_refused() {
    let mut device = device();
    let vote = VoteRules { agree: 4, ..VoteRules::default() };
    assert_eq!(device.set_rules(Rules { vote, ..Rules::default() }), Err(VoteError { agree: 4, frames: 3 }));
}

proptest! {
    /// Whatever arrives, the device goes on and answers the next whole request.
    #[test]
    fn any_bytes_leave_it_answering(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let mut device = device();
        device.endpoint.port.input.extend(&bytes);
        device.endpoint.port.input.push_back(0);
        run(&mut device);
        replies(&mut device);
        device.endpoint.port.input.extend(packet(u32::MAX, &Request::Info));
        run(&mut device);
        prop_assert_eq!(replies(&mut device).len(), 1);
    }
}

#[test]
fn damages_come_in_pages_with_whose_they_are() {
    let mut device = device();
    frame(&mut device, 1);
    device.endpoint.port.input.extend(packet(3, &Request::Enroll(Who::New("Ada"))));
    run(&mut device);
    let pages = |device: &mut TestDevice, sequence, first| {
        device.endpoint.port.input.extend(packet(sequence, &Request::Verify { first }));
        run(device);
        replies(device).pop().unwrap().1
    };
    replies(&mut device);
    assert_eq!(pages(&mut device, 4, 0), "Damages { total: 0, first: 0, damages: [] }");
    let Device { core: Core { gallery, .. }, .. } = device;
    let mut bytes = gallery.into_flash().into_inner();
    // Of the template, the first record in the only sector, all but the clear part: its seal breaks.
    let record = bytes.windows(4).position(|b| b == b"AGAL").unwrap() + 288;
    bytes[record + 16..record + 96].fill(0);
    let mut device = device_on(bytes);
    // The sector written last is replaced at each mount: the person's record is copied, after it a trace of the template.
    let trace = record + 4096 + 96;
    let damage = format!("Damage {{ harm: Record, offset: {trace}, person: Some(PersonId(1)) }}");
    let expected = [(4, 0, format!("[{damage}]")), (5, 1, "[]".to_owned()), (6, 9, "[]".to_owned())];
    for (sequence, first, damages) in expected {
        let said = pages(&mut device, sequence, first);
        assert_eq!(said, format!("Damages {{ total: 1, first: {first}, damages: {damages} }}"));
    }
}
