//! The driver against the model of its module: the same pixels, every failure at every transfer, and the way back.

use embedded_hal::{i2c, spi};
use proptest::prelude::*;

use super::model::{FRAME_US, Fault, Model, Scene};
use super::registers::{AEB, AEW, COM9, IMAGE_MODE, VV, ZMOW};
use super::*;
use crate::camera::{Failure, Grabber, Patience};
use crate::time::Uptime;

type Cam = ArduCam<Model, Model, Model>;

/// Microseconds between two polls, and polls after which a picture is late.
const POLL_US: u64 = 10_000;
const POLLS: u32 = 80;

const SMALL: Settings =
    Settings { resolution: Resolution::Qqvga, settle: 0, ..Settings::new(Module::Mini2Mp) };

fn camera(settings: Settings) -> (Cam, Model) {
    let model = Model::new(settings.module);
    (ArduCam::new(model.clone(), model.clone(), model.clone(), settings), model)
}

/// Why there was no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missed {
    Error(ArduCamError),
    Late,
}

impl From<ArduCamError> for Missed {
    fn from(error: ArduCamError) -> Self {
        Missed::Error(error)
    }
}

/// Waits for the picture that was begun.
fn wait(camera: &mut Cam, model: &Model) -> Result<Geometry, Missed> {
    for _ in 0..POLLS {
        if let Some(geometry) = camera.poll()? {
            return Ok(geometry);
        }
        model.advance(POLL_US);
    }
    Err(Missed::Late)
}

fn fetch(camera: &mut Cam, geometry: Geometry) -> Result<Vec<u8>, ArduCamError> {
    let mut picture = vec![0xee; geometry.bytes()];
    picture.chunks_exact_mut(geometry.row_bytes()).try_for_each(|row| camera.pixels(row))?;
    Ok(picture)
}

fn shoot(camera: &mut Cam, model: &Model) -> Result<Vec<u8>, Missed> {
    camera.start()?;
    let geometry = wait(camera, model)?;
    assert_eq!(geometry, camera.settings.geometry());
    Ok(fetch(camera, geometry)?)
}

/// A scene of other colours for each `seed`.
fn scene(width: usize, height: usize, seed: u64) -> Scene {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut pixel = || {
        // Xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let bytes = state.to_le_bytes();
        [bytes[2], bytes[3], bytes[4]]
    };
    Scene { width, height, pixels: (0..width * height).map(|_| pixel()).collect() }
}

/// What a picture of the scene is, by another way than the model's: the scene's pixel under the middle of each.
fn expected(scene: &Scene, settings: &Settings) -> Vec<u8> {
    let Geometry { format, width, height } = settings.geometry();
    let (width, height) = (usize::from(width), usize::from(height));
    let middles = |of: usize, count: usize, reversed: bool| -> Vec<usize> {
        let from = |at: usize| if reversed { of - 1 - at } else { at };
        (0..of).map(|at| ((from(at) as f64 + 0.5) * count as f64 / of as f64) as usize).collect()
    };
    let columns = middles(width, scene.width, settings.mirrored);
    let mut bytes = Vec::new();
    for y in middles(height, scene.height, settings.flipped) {
        for x in &columns {
            let [red, green, blue] = scene.pixels[y * scene.width + x];
            // The upper bits stay, and stand in for the lower ones.
            let rgb = [red & 0xf8 | red >> 5, green & 0xfc | green >> 6, blue & 0xf8 | blue >> 5];
            match format {
                PixelFormat::Rgb565 => bytes.extend([red & 0xf8 | green >> 5, green << 3 & 0xe0 | blue >> 3]),
                PixelFormat::Rgb8 => bytes.extend(rgb),
                PixelFormat::Grey8 => bytes.push(luma(rgb)),
            }
        }
    }
    bytes
}

fn settings() -> impl Strategy<Value = Settings> {
    let resolution = prop::sample::select(&Resolution::ALL[..3]);
    let format = prop::sample::select(&[PixelFormat::Grey8, PixelFormat::Rgb8, PixelFormat::Rgb565][..]);
    let module = prop::sample::select(&[Module::Mini2Mp, Module::Mini2MpPlus][..]);
    (resolution, format, module, any::<bool>(), any::<bool>(), 0..3_u8).prop_map(
        |(resolution, format, module, mirrored, flipped, settle)| Settings {
            resolution,
            format,
            mirrored,
            flipped,
            settle,
            ..Settings::new(module)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_same_pixels_come_out(settings in settings(), seed: u64, exact: bool, (w, h) in (1..500_usize, 1..400_usize)) {
        let (mut camera, model) = camera(settings);
        let (width, height) = settings.resolution.size();
        let (w, h) = if exact { (width.into(), height.into()) } else { (w, h) };
        for seed in [seed, !seed] {
            let scene = scene(w, h, seed);
            model.show(scene.clone());
            prop_assert!(shoot(&mut camera, &model) == Ok(expected(&scene, &settings)), "{:?}", settings);
        }
    }
}

#[test]
fn every_resolution_of_every_module() {
    for module in [Module::Mini2Mp, Module::Mini2MpPlus] {
        for resolution in Resolution::ALL {
            let settings = Settings { resolution, settle: 1, ..Settings::new(module) };
            let (mut camera, model) = camera(settings);
            let (width, height) = resolution.size();
            let scene = scene(width.into(), height.into(), 7);
            model.show(scene.clone());
            let needed = u32::from(width) * u32::from(height) * 2;
            let picture = shoot(&mut camera, &model);
            if needed > module.fifo() {
                let error = ArduCamError::TooLarge { needed, capacity: module.fifo() };
                assert_eq!((picture, model.transfers()), (Err(error.into()), 0), "{settings:?}");
            } else {
                assert!(picture == Ok(expected(&scene, &settings)), "{settings:?}");
            }
        }
    }
}

#[test]
fn the_model_shows_a_wrong_register() {
    use super::registers::*;
    let scene = scene(160, 120, 3);
    let right = expected(&scene, &SMALL);
    let cases = [
        (Bank::Dsp, HSIZE, 0xc4),
        (Bank::Dsp, VSIZE, 0x90),
        (Bank::Dsp, XOFFL, 4),
        (Bank::Dsp, YOFFL, 4),
        (Bank::Dsp, VHYX, 0x08),
        (Bank::Dsp, TEST, 0x80),
        (Bank::Dsp, ZMOW, 0x27),
        (Bank::Dsp, ZMOH, 0x1f),
        (Bank::Dsp, ZMHH, 0x01),
        (Bank::Dsp, CTRLI, 0x89),
        (Bank::Dsp, CTRL2, 0x1d),
        (Bank::Dsp, HSIZE8, 0x63),
        (Bank::Dsp, VSIZE8, 0x4c),
        (Bank::Dsp, SIZEL, 0x09),
        (Bank::Dsp, R_BYPASS, 1),
        (Bank::Dsp, RESET, RESET_OUTPUT),
        (Bank::Dsp, IMAGE_MODE, 0x09),
        (Bank::Dsp, IMAGE_MODE, 0x00),
        (Bank::Array, COM7, 0x00),
        (Bank::Array, COM1, 0x0e),
        (Bank::Array, REG32, 0x11),
        (Bank::Array, HREFST, 0x12),
        (Bank::Array, HREFEND, 0x44),
        (Bank::Array, VSTRT, 0x01),
        (Bank::Array, VEND, 0x4c),
        (Bank::Array, REG04, 0xa8),
        (Bank::Array, COM8, 0xe0),
    ];
    for (bank, register, value) in cases {
        let (mut camera, model) = camera(Settings { settle: 1, ..SMALL });
        model.show(scene.clone());
        assert!(shoot(&mut camera, &model) == Ok(right.clone()));
        model.poke(bank, register, value);
        assert!(shoot(&mut camera, &model) != Ok(right.clone()), "{bank:?} {register:#04x} = {value:#04x}");
    }
}

#[test]
fn exposure_is_bounded_as_the_settings_say() {
    let gain = Gain::X32;
    let (mut camera, model) = camera(Settings { gain, luminance: (0x60, 0x70), ..SMALL });
    camera.start().unwrap();
    let held = [COM9, AEB, AEW, VV].map(|register| model.register(Bank::Array, register));
    assert_eq!(held, [0x88, 0x60, 0x70, 0xe3]);
}

#[test]
fn a_boards_own_registers_change_neither_geometry_nor_format() {
    const EXTRA: [Tuning; 3] = [
        Tuning { bank: Bank::Dsp, register: IMAGE_MODE, value: 0 },
        Tuning { bank: Bank::Dsp, register: ZMOW, value: 1 },
        Tuning { bank: Bank::Array, register: 0x6c, value: 0x42 },
    ];
    let settings = Settings { tuning: &EXTRA, ..SMALL };
    let (mut camera, model) = camera(settings);
    model.show(scene(160, 120, 5));
    assert!(shoot(&mut camera, &model) == Ok(expected(&scene(160, 120, 5), &settings)));
    assert_eq!(model.register(Bank::Array, 0x6c), 0x42);
}

#[test]
fn what_is_wrong_is_said_with_what_was_found() {
    let i2c = i2c::ErrorKind::NoAcknowledge(i2c::NoAcknowledgeSource::Unknown);
    let cases = [
        (Fault::Unplugged(0, 0xff), ArduCamError::Bridge { expected: 0xa5, found: 0xff }),
        (Fault::Unplugged(0, 0x00), ArduCamError::Bridge { expected: 0xa5, found: 0x00 }),
        (Fault::Transfer(0), ArduCamError::Spi { register: 0x00, kind: spi::ErrorKind::Other }),
        (Fault::Transfer(8), ArduCamError::I2c { register: 0xff, kind: i2c }),
        (Fault::Product(0x7673), ArduCamError::Sensor { found: 0x7673 }),
        (Fault::Product(0x2640), ArduCamError::Sensor { found: 0x2640 }),
        (Fault::Stuck(ZMOW), ArduCamError::Register { register: ZMOW, expected: 40, found: 0 }),
        (Fault::Short(1), ArduCamError::Fifo { needed: 38_400, found: 38_399 }),
        (Fault::Short(38_400), ArduCamError::Fifo { needed: 38_400, found: 0 }),
    ];
    for (fault, error) in cases {
        let (mut camera, model) = camera(SMALL);
        model.set_fault(Some(fault));
        assert_eq!(shoot(&mut camera, &model), Err(error.into()), "{fault:?}");
        model.set_fault(None);
        assert!(shoot(&mut camera, &model).is_ok(), "after {fault:?}");
    }
    for number in [0x2641, 0x2642] {
        let (mut camera, model) = camera(SMALL);
        model.set_fault(Some(Fault::Product(number)));
        assert!(shoot(&mut camera, &model).is_ok());
    }
}

#[test]
fn a_larger_picture_than_asked_for_is_none() {
    let (mut camera, model) = camera(SMALL);
    camera.start().unwrap();
    // More columns: the first bytes of that are no picture of 160 x 120.
    model.poke(Bank::Dsp, super::registers::CTRLI, 0x90);
    model.poke(Bank::Dsp, ZMOW, 101);
    let error = ArduCamError::Fifo { needed: 38_400, found: 404 * 120 * 2 };
    assert_eq!(wait(&mut camera, &model), Err(error.into()));
    assert!(shoot(&mut camera, &model).is_ok());
}

#[test]
fn calls_at_the_wrong_time_change_nothing() {
    let (mut camera, model) = camera(SMALL);
    let mut row = [0; 320];
    assert_eq!((camera.poll(), camera.pixels(&mut row)), (Ok(None), Err(ArduCamError::NoPicture)));
    assert_eq!((camera.rest(), model.transfers()), (Ok(()), 0));
    model.show(scene(160, 120, 1));
    camera.start().unwrap();
    assert_eq!(camera.pixels(&mut row), Err(ArduCamError::NoPicture));
    let geometry = wait(&mut camera, &model).unwrap();
    let short = ArduCamError::Buffer { left: 320, found: 319 };
    assert_eq!(camera.pixels(&mut row[..319]), Err(short));
    assert_eq!(camera.poll(), Ok(Some(geometry)));
    assert!(fetch(&mut camera, geometry) == Ok(expected(&scene(160, 120, 1), &SMALL)));
    assert_eq!((camera.poll(), camera.pixels(&mut row)), (Ok(None), Err(ArduCamError::NoPicture)));
}

#[test]
fn rows_may_be_fetched_in_pieces() {
    for (module, format) in [
        (Module::Mini2Mp, PixelFormat::Rgb565),
        (Module::Mini2MpPlus, PixelFormat::Rgb8),
        (Module::Mini2Mp, PixelFormat::Grey8),
    ] {
        let settings = Settings { module, format, ..SMALL };
        let (mut camera, model) = camera(settings);
        model.show(scene(160, 120, 6));
        camera.start().unwrap();
        let geometry = wait(&mut camera, &model).unwrap();
        let mut picture = vec![0xee; geometry.bytes()];
        for row in picture.chunks_exact_mut(geometry.row_bytes()) {
            for pixels in row.chunks_mut(66 * format.bytes_per_pixel()) {
                camera.pixels(pixels).unwrap();
            }
        }
        assert!(picture == expected(&scene(160, 120, 6), &settings), "{settings:?}");
        assert_eq!(camera.pixels(&mut [0; 2]), Err(ArduCamError::NoPicture));
    }
}

#[test]
fn each_picture_shows_what_came_after_its_start() {
    let (mut camera, model) = camera(SMALL);
    model.show(scene(160, 120, 1));
    camera.start().unwrap();
    let geometry = wait(&mut camera, &model).unwrap();
    // It waits in the FIFO, whatever happens before the lens; then its rest is left.
    model.show(scene(160, 120, 2));
    model.advance(10 * FRAME_US);
    let mut row = [0; 320];
    for y in 0..50 {
        camera.pixels(&mut row).unwrap();
        assert_eq!(row[..], expected(&scene(160, 120, 1), &SMALL)[320 * y..][..320]);
    }
    assert!(shoot(&mut camera, &model) == Ok(expected(&scene(160, 120, 2), &SMALL)));
    assert_eq!(geometry.bytes(), 38_400);
}

#[test]
fn a_capture_that_never_ends_is_given_up_by_the_next_start() {
    let (mut camera, model) = camera(SMALL);
    model.set_fault(Some(Fault::NeverDone));
    for _ in 0..3 {
        assert_eq!(shoot(&mut camera, &model), Err(Missed::Late));
    }
    model.set_fault(None);
    model.show(scene(160, 120, 9));
    assert!(shoot(&mut camera, &model) == Ok(expected(&scene(160, 120, 9), &SMALL)));
}

#[test]
fn a_bridge_that_hangs_is_reset() {
    let (mut camera, model) = camera(SMALL);
    assert!(shoot(&mut camera, &model).is_ok());
    model.set_fault(Some(Fault::Hung));
    assert_eq!(shoot(&mut camera, &model), Err(Missed::Late));
    model.set_fault(None);
    assert!(shoot(&mut camera, &model).is_ok());
}

#[test]
fn an_error_ends_the_picture_and_the_next_begins_with_a_set_up() {
    let (mut camera, model) = camera(SMALL);
    camera.start().unwrap();
    let set_up = model.transfers();
    let geometry = wait(&mut camera, &model).unwrap();
    model.set_fault(Some(Fault::Transfer(60)));
    let error = ArduCamError::Spi { register: 0x3c, kind: spi::ErrorKind::Other };
    assert_eq!(fetch(&mut camera, geometry), Err(error));
    assert_eq!((camera.poll(), camera.pixels(&mut [0; 320])), (Ok(None), Err(ArduCamError::NoPicture)));
    let before = model.transfers();
    camera.start().unwrap();
    assert_eq!(model.transfers() - before, set_up);
}

#[test]
fn the_sensor_rests_between_pictures_if_told_to() {
    let (mut camera, model) = camera(Settings { settle: 2, ..SMALL });
    for at in 0..4 {
        model.show(scene(160, 120, at));
        assert!(shoot(&mut camera, &model) == Ok(expected(&scene(160, 120, at), &SMALL)), "picture {at}");
        assert!(!model.is_resting());
        // Also while a picture is under way.
        if at == 2 {
            camera.start().unwrap();
        }
        let before = model.transfers();
        camera.rest().unwrap();
        assert!(model.is_resting());
        model.advance(1_000_000);
        assert_eq!((camera.poll(), model.transfers() - before), (Ok(None), 2));
    }
    // Unplugged and plugged in meanwhile: a module that was never set up.
    model.set_fault(Some(Fault::Power(0)));
    model.show(scene(160, 120, 4));
    assert!(shoot(&mut camera, &model) == Ok(expected(&scene(160, 120, 4), &SMALL)));
}

#[test]
fn what_is_sent_each_time_is_little() {
    let (mut camera, model) = camera(Settings { format: PixelFormat::Rgb565, ..SMALL });
    shoot(&mut camera, &model).unwrap();
    let before = model.transfers();
    camera.start().unwrap();
    let started = model.transfers();
    let geometry = wait(&mut camera, &model).unwrap();
    let waited = model.transfers();
    fetch(&mut camera, geometry).unwrap();
    // The mark and four of the capture; a look every 10 of at most 132 milliseconds, mark and length; a burst a row, mark and flag.
    assert_eq!((started - before, model.transfers() - waited), (5, 122));
    assert!(waited - started <= 14 + 4, "{}", waited - started);
}

/// Breaks something at every transfer of set-up and a picture, one after another. No picture is wrong, and with the module in order
/// again there are pictures again, at the second try at the latest.
fn broken_everywhere(settings: Settings, fault: impl Fn(u32) -> Fault) {
    let (mut camera, model) = camera(settings);
    camera.start().unwrap();
    let set_up = model.transfers();
    shoot(&mut camera, &model).unwrap();
    let before = model.transfers();
    shoot(&mut camera, &model).unwrap();
    let picture = model.transfers() - before;
    let (mut seed, mut missed, mut taken) = (0, 0, 0);
    let cold = (0..set_up).map(|at| (false, at));
    for (warm, at) in cold.chain((0..picture).map(|at| (true, at))) {
        let (mut camera, model) = self::camera(settings);
        let mut shoot = || {
            seed += 1;
            let scene = scene(16, 12, seed);
            model.show(scene.clone());
            let picture = shoot(&mut camera, &model);
            if let Ok(picture) = &picture {
                assert!(*picture == expected(&scene, &settings), "a wrong picture, {:?}", fault(at));
            }
            picture
        };
        if warm {
            shoot().unwrap();
        }
        model.set_fault(Some(fault(at)));
        match shoot() {
            Ok(_) => taken += 1,
            Err(_) => missed += 1,
        }
        // It may still last.
        let _ = shoot();
        model.set_fault(None);
        let first = shoot();
        assert!(first.is_ok() || shoot().is_ok(), "after {:?}: {first:?}", fault(at));
    }
    // What a start finds out by itself costs no picture.
    assert!(missed > 9 * taken, "{missed} missed, {taken} taken");
}

#[test]
fn a_bus_error_at_any_transfer() {
    broken_everywhere(SMALL, Fault::Transfer);
}

#[test]
fn a_cable_pulled_at_any_transfer() {
    broken_everywhere(SMALL, |at| Fault::Unplugged(at, 0x00));
    broken_everywhere(SMALL, |at| Fault::Unplugged(at, 0xff));
}

#[test]
fn a_sensor_that_never_acknowledges_is_named_until_it_is_back() {
    let kind = i2c::ErrorKind::NoAcknowledge(i2c::NoAcknowledgeSource::Unknown);
    let (mut camera, model) = camera(SMALL);
    model.set_fault(Some(Fault::Deaf(0)));
    // The bridge is reset, and then the first register of the sensor is asked for, each time anew.
    let error = ArduCamError::I2c { register: 0xff, kind };
    for _ in 0..3 {
        assert_eq!(shoot(&mut camera, &model), Err(error.into()));
        assert_eq!(camera.poll(), Ok(None));
    }
    let said = error.to_string();
    assert!(said.contains("sensor") && said.contains("0xff") && !said.contains("bridge"), "{said}");
    model.set_fault(None);
    model.show(scene(160, 120, 3));
    assert!(shoot(&mut camera, &model) == Ok(expected(&scene(160, 120, 3), &SMALL)));
    let set_up = {
        let (mut camera, model) = self::camera(SMALL);
        camera.start().unwrap();
        model.transfers()
    };
    // From any transfer of the set-up on; behind the sensor's last one it is not missed before the next set-up.
    let (mut missed, mut taken) = (0, 0);
    for at in 0..set_up {
        let (mut camera, model) = self::camera(SMALL);
        model.show(scene(160, 120, at.into()));
        model.set_fault(Some(Fault::Deaf(at)));
        match shoot(&mut camera, &model) {
            Ok(picture) => {
                assert!(picture == expected(&scene(160, 120, at.into()), &SMALL), "from {at} on");
                taken += 1;
            }
            Err(Missed::Error(ArduCamError::I2c { kind: found, .. })) if found == kind => missed += 1,
            Err(other) => panic!("{other:?}, from {at} on"),
        }
        model.set_fault(None);
        assert!(
            shoot(&mut camera, &model) == Ok(expected(&scene(160, 120, at.into()), &SMALL)),
            "after {at}"
        );
    }
    // The four of the capture are the bridge's.
    assert_eq!((missed, taken), (set_up - 4, 4));
}

#[test]
fn a_loss_of_power_at_any_transfer() {
    broken_everywhere(SMALL, Fault::Power);
    broken_everywhere(Settings { module: Module::Mini2MpPlus, settle: 1, ..SMALL }, Fault::Power);
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        (0..400_u32).prop_map(Fault::Transfer),
        (0..400_u32, any::<bool>()).prop_map(|(at, high)| Fault::Unplugged(at, if high { 0xff } else { 0 })),
        (0..400_u32).prop_map(Fault::Deaf),
        (0..400_u32).prop_map(Fault::Power),
        Just(Fault::NeverDone),
        Just(Fault::Hung),
        (1..40_000_u32).prop_map(Fault::Short),
        Just(Fault::Product(0)),
        Just(Fault::Stuck(ZMOW)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// A device's way: it asks every few milliseconds for pictures, whatever happens to the module meanwhile.
    #[test]
    fn a_grabber_gets_right_pictures_through_all_of_it(
        faults in prop::collection::vec((fault(), 10..200_u32), 1..5),
        step_us in 2_000..20_000_u64,
    ) {
        let settings = Settings { module: Module::Mini2MpPlus, settle: 1, ..SMALL };
        let (camera, model) = camera(settings);
        let patience = Patience { picture_ms: 400, fresh_ms: 300, retry_ms: 20, longest_ms: 100, rows: 16 };
        let mut grabber = Grabber::new(camera, vec![0; settings.geometry().bytes()], patience);
        let (mut now_us, mut seed) = (0, 0);
        let mut poll = |grabber: &mut Grabber<Cam, Vec<u8>>| {
            model.advance(step_us);
            now_us += step_us;
            match grabber.poll(Uptime(now_us / 1000)) {
                Ok(None) => None,
                Ok(Some(frame)) => {
                    let shown = frame.data() == expected(&scene(16, 12, seed), &settings);
                    seed += 1;
                    model.show(scene(16, 12, seed));
                    Some(shown)
                }
                Err(Failure::Camera(_) | Failure::Late { .. }) => None,
                Err(other) => panic!("{other}"),
            }
        };
        model.show(scene(16, 12, 0));
        for (fault, polls) in faults {
            model.set_fault(Some(fault));
            for _ in 0..polls {
                prop_assert_ne!(poll(&mut grabber), Some(false), "{:?}", fault);
            }
            model.set_fault(None);
            // Left alone, given up, set up, unsettled and fetched: well within a second and a half.
            let back = (0..1_500_000 / step_us).find_map(|_| poll(&mut grabber));
            prop_assert_eq!(back, Some(true), "after {:?}", fault);
        }
    }
}
