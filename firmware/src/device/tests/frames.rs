//! Whole pictures: larger than the device's memory, with a face somewhere, with several, with none.

use nalgebra::Point2;

use super::bundles::asked;
use super::*;
use crate::align;
use crate::frame::{Intake, Landmarks};

/// A face around a pixel: the template of [`aligning`], moved there.
pub(super) fn face(x: f32, y: f32) -> Face {
    let landmarks = TEMPLATE.map(|[u, v]| Point2::new(x + u - 4.0, y + v - 4.0));
    Face { x: x - 4.0, y: y - 4.0, width: 8.0, height: 8.0, landmarks, score: 0.9 }
}

const TEMPLATE: [[f32; 2]; 5] = [[2.0, 2.0], [6.0, 2.0], [4.0, 4.0], [2.0, 6.0], [6.0, 6.0]];

/// An embedder of aligned faces, and a detector for pictures of 16 x 16 pixels.
fn aligning() -> Copier {
    let mut engine = engine();
    engine.info.template = Some(TEMPLATE.map(Point2::from));
    engine.detector = Some(ModelInfo { width: 16, height: 16, dimension: 0, ..engine.info.clone() });
    engine
}

fn looking() -> TestDevice {
    with_flash(aligning(), MemoryNor::new(vec![0xff; 4 * 4096]), &SoftwareSecret::default())
}

/// A grey picture, dark but for some pixels.
struct Scene {
    sides: [u16; 2],
    pixels: std::vec::Vec<u8>,
}

impl Scene {
    fn new(sides: [u16; 2], white: &[[usize; 2]]) -> Self {
        let width = sides[0] as usize;
        let mut pixels: std::vec::Vec<u8> =
            (0..width * sides[1] as usize).map(|i| (i * 37 % 200) as u8).collect();
        white.iter().for_each(|[x, y]| pixels[y * width + x] = 255);
        Scene { sides, pixels }
    }

    fn frame(&self) -> Frame<'_> {
        Frame::new(PixelFormat::Grey8, self.sides[0], self.sides[1], &self.pixels).unwrap()
    }

    fn send(&self, device: &mut TestDevice, landmarks: Option<[[f32; 2]; 5]>) {
        let [width, height] = self.sides;
        let header = FrameHeader { format: PixelFormat::Grey8, width, height, landmarks };
        asked(device, Request::BeginFrame(header), |_| ()).unwrap();
        for (i, bytes) in self.pixels.chunks(97).enumerate() {
            asked(device, Request::FramePiece { offset: 97 * i as u32, bytes }, |_| ()).unwrap();
        }
    }

    /// The crop around a face.
    fn around(&self, landmarks: &Landmarks) -> std::vec::Vec<u8> {
        let info = aligning().info;
        let mut out = vec![0; info.crop_bytes()];
        align::crop(&self.frame(), landmarks, &info, &mut out).unwrap();
        out
    }
}

fn crop(device: &mut TestDevice) -> Result<std::vec::Vec<u8>, Fault> {
    asked(device, Request::ReadCrop { offset: 0 }, |reply| match reply {
        Reply::Piece { bytes, .. } => bytes.to_vec(),
        other => panic!("{other:?}"),
    })
}

fn identified(device: &mut TestDevice) -> Answer {
    asked(device, Request::Identify, |reply| match reply {
        Reply::Decided(answer) => answer,
        other => panic!("{other:?}"),
    })
    .unwrap()
}

#[test]
fn a_picture_larger_than_the_memory_is_halved_and_its_landmarks_with_it() {
    let mut device = looking();
    let scene = Scene::new([31, 20], &[]);
    let mut halved = Intake::new(PixelFormat::Grey8, 31, 20, 256).unwrap();
    let mut kept = vec![0; 256];
    halved.push(&scene.pixels, &mut kept);
    assert_eq!(halved.kept(), [16, 10]);
    let kept = Scene { sides: [16, 10], pixels: kept[..160].to_vec() };
    let told = TEMPLATE.map(|[x, y]| [2.5 * x + 1.0, 2.5 * y]);
    scene.send(&mut device, Some(told));
    let landmarks = halved.landmarks(&told.map(Point2::from));
    assert_eq!(landmarks[0], Point2::new(2.75, 2.25));
    assert_eq!(crop(&mut device).unwrap(), kept.around(&landmarks));
    // The same, halved by the host.
    kept.send(&mut device, Some(landmarks.map(|p| [p.x, p.y])));
    assert_eq!(crop(&mut device).unwrap(), kept.around(&landmarks));
}

#[test]
fn the_device_finds_the_face_itself() {
    let mut device = looking();
    let info = asked(&mut device, Request::Info, |reply| match reply {
        Reply::Info(info) => info.detector,
        other => panic!("{other:?}"),
    });
    assert_eq!(info.unwrap(), Some([16, 16]));
    // Of two the one in the middle is meant.
    let scene = Scene::new([16, 12], &[[1, 1], [8, 6]]);
    scene.send(&mut device, None);
    assert_eq!(crop(&mut device).unwrap(), scene.around(&face(8.0, 6.0).landmarks));
    assert!(matches!(identified(&mut device), Answer::Unknown { .. }));
    assert!(matches!(asked(&mut device, Request::Enroll(Who::New("Ada")), |_| ()), Ok(())));
    assert!(matches!(identified(&mut device), Answer::Known { .. }));
    // Whoever sends landmarks is believed.
    let told = face(1.0, 1.0).landmarks;
    scene.send(&mut device, Some(told.map(|p| [p.x, p.y])));
    assert_eq!(crop(&mut device).unwrap(), scene.around(&told));
    // Without a detector the picture has to be a framed one.
    device.core.engine.detector = None;
    scene.send(&mut device, None);
    assert_eq!(crop(&mut device), Err(Fault::NotFramed { expected: [8, 8], found: [16, 12] }));
}

#[test]
fn where_nobody_is_there_is_no_face_to_reject() {
    let mut device = looking();
    let nobody = Scene::new([16, 12], &[]);
    nobody.send(&mut device, None);
    assert_eq!(identified(&mut device), Answer::Rejected(Rejection::NoFace));
    assert_eq!(crop(&mut device), Err(Fault::Rejected(Rejection::NoFace)));
    let enrolled = asked(&mut device, Request::Enroll(Who::New("Ada")), |_| ());
    assert_eq!(enrolled, Err(Fault::Rejected(Rejection::NoFace)));
    assert_eq!(device.core.engine.runs, 0);

    // Before the camera: somebody comes, whom nobody knows, and the vote ends when they are gone.
    let somebody = Scene::new([16, 12], &[[8, 6]]);
    let mut show = |scene: &Scene, now: u64| {
        look(&mut device, &mut Held(Shot { frame: scene.frame(), landmarks: None }), now)
    };
    for now in 0..20 {
        assert_eq!(show(&nobody, 500 * now), None);
    }
    assert_eq!(show(&somebody, 10_100), None);
    assert_eq!(show(&nobody, 10_200), None);
    let ended = show(&nobody, 11_300);
    assert!(matches!(ended, Some(Event::Answered(Answer::Unknown { .. }))), "{ended:?}");
    assert_eq!(device.core.engine.runs, 1);
}

#[test]
fn without_a_detector_the_middle_of_the_cameras_picture_is_the_face() {
    let mut engine = aligning();
    engine.detector = None;
    let mut device = with_flash(engine, MemoryNor::new(vec![0xff; 4 * 4096]), &SoftwareSecret::default());
    device.set_rules(Rules { quality: QualityRules::NONE, ..Rules::photographs() }).unwrap();
    // 20 x 16: its columns 2 to 17, each pixel of 8 x 8 the mean of four.
    let scene = Scene::new([20, 16], &[]);
    let at = |x: usize, y: usize| u32::from(scene.pixels[20 * y + x]);
    let pixel = |(u, v)| (at(u, v) + at(u + 1, v) + at(u, v + 1) + at(u + 1, v + 1) + 2) / 4;
    let places = (0..8).flat_map(|v| (0..8).map(move |u| (2 * u + 2, 2 * v)));
    let middle: std::vec::Vec<u8> = places.map(|at| pixel(at) as u8).collect();
    let seen = look(&mut device, &mut Held(Shot { frame: scene.frame(), landmarks: None }), 1);
    assert!(matches!(seen, Some(Event::Answered(Answer::Unknown { .. }))), "{seen:?}");
    let embedded: std::vec::Vec<u8> = device.core.picture.embedding().iter().map(|&v| v as u8).collect();
    assert_eq!((embedded, device.core.engine.runs), (middle.clone(), 1));
    // As a host sends it that has cut it out; as it is, halved, a host's is refused.
    Scene { sides: [8, 8], pixels: middle }.send(&mut device, None);
    asked(&mut device, Request::Enroll(Who::New("Ada")), |_| ()).unwrap();
    scene.send(&mut device, None);
    assert_eq!(crop(&mut device), Err(Fault::NotFramed { expected: [8, 8], found: [10, 8] }));
    let seen = look(&mut device, &mut Held(Shot { frame: scene.frame(), landmarks: None }), 10_000);
    let Some(Event::Answered(Answer::Known { best, .. })) = &seen else { panic!("{seen:?}") };
    assert_eq!(best.angle.millidegrees(), 0);
    // A model that takes whole pictures takes whole ones of the camera too.
    device.core.engine.info.template = None;
    let shot = Shot { frame: scene.frame(), landmarks: None };
    let mut whole = [0; 64];
    align::framed(&shot.frame, &device.core.engine.info, &mut whole).unwrap();
    look(&mut device, &mut Held(shot), 20_000);
    assert_eq!(device.core.picture.embedding(), whole.map(|v| v as i8));
}

#[test]
fn a_camera_of_320_by_240_is_looked_at_in_its_central_square() {
    let mut engine = aligning();
    engine.detector = None;
    (engine.info.width, engine.info.height) = (112, 112);
    let mut device = with_flash(engine, MemoryNor::new(vec![0xff; 4 * 4096]), &SoftwareSecret::default());
    device.core.picture = Picture::new(vec![0; 256], vec![0; 112 * 112]);
    device.set_rules(Rules { quality: QualityRules::NONE, ..Rules::photographs() }).unwrap();
    let scene = Scene::new([320, 240], &[]);
    let square: std::vec::Vec<u8> = scene.pixels.chunks(320).flat_map(|row| row[40..280].to_vec()).collect();
    let square = Scene { sides: [240, 240], pixels: square };
    let mut expected = vec![0; 112 * 112];
    align::framed(&square.frame(), &device.core.engine.info, &mut expected).unwrap();
    look(&mut device, &mut Held(Shot { frame: scene.frame(), landmarks: None }), 1);
    let mut cut: std::vec::Vec<u8> = std::vec::Vec::new();
    while cut.len() < expected.len() {
        match device.core.picture.crop_piece(cut.len() as u32) {
            Ok(Reply::Piece { bytes, .. }) => cut.extend(bytes),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((cut == expected, device.core.engine.runs), (true, 1));
}

#[test]
fn a_device_without_room_for_the_detectors_picture_says_so() {
    let mut engine = aligning();
    engine.detector.as_mut().unwrap().width = 17;
    let mut device = with_flash(engine, MemoryNor::new(vec![0xff; 4 * 4096]), &SoftwareSecret::default());
    Scene::new([16, 12], &[]).send(&mut device, None);
    assert_eq!(crop(&mut device), Err(Fault::CropTooLarge { needed: 272, capacity: 256 }));
}
