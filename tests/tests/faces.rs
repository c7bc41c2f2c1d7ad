//! Faces found and aligned on real photographs.

use arcgate::data::{ImageSet, LandmarksCsv};
use arcgate::photo::{Detector, Photo};
use arcgate_firmware::detect::Face;
use arcgate_tests::program::arcgate;
use arcgate_tests::{data, or_skip};

/// Every 26th of 13,233 photographs.
const PHOTOGRAPHS: usize = 500;

#[test]
fn yunet_reproduces_the_landmarks() {
    let detector = or_skip!(data::find("models/yunet_2026may.onnx"), "no YuNet in the data folder");
    let lfw = or_skip!(data::find("lfw"), "no lfw in the data folder");
    let csv = or_skip!(data::find("lfw-protocol/landmarks.csv"), "no landmarks of lfw in the data folder");
    let csv = LandmarksCsv::read(csv).unwrap();
    let set = ImageSet::open(lfw).unwrap();
    let detector = Detector::open(detector).unwrap();
    let mut distances = Vec::new();
    let (mut without, mut seen) = (0, 0);
    for index in (0..set.images.len()).step_by(set.images.len() / PHOTOGRAPHS).take(PHOTOGRAPHS) {
        let Some(expected) = csv.get(&set.images[index]).and_then(|row| row.face) else { continue };
        let photo = Photo::open(set.path(index)).unwrap();
        let faces = detector.faces(&photo).unwrap();
        seen += 1;
        match Face::main(&faces, photo.width(), photo.height()) {
            Some(i) => {
                let points = faces[i].landmarks.iter().zip(&expected.landmarks);
                distances.extend(points.map(|(found, expected)| (found - expected).norm()));
            }
            None => without += 1,
        }
    }
    distances.sort_by(f32::total_cmp);
    let median = distances[distances.len() / 2];
    let p99 = distances[distances.len() * 99 / 100];
    println!(
        "{seen} photographs: median {median:.4} pixels, 99th percentile {p99:.4}, {without} without a face"
    );
    assert!(seen >= PHOTOGRAPHS * 99 / 100, "{seen}");
    assert!(median < 1.0, "{median}");
    assert!(without * 100 <= seen, "{without} of {seen}");
}

#[test]
fn detect_and_align_as_a_person_would() {
    let detector = or_skip!(data::find("models/yunet_2026may.onnx"), "no YuNet in the data folder");
    let photo = or_skip!(data::find("lfw/AJ_Cook/AJ_Cook_0001.jpg"), "no lfw in the data folder");
    let csv = or_skip!(data::find("lfw-protocol/landmarks.csv"), "no landmarks of lfw in the data folder");
    let folder = tempfile::tempdir().unwrap();
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let (detector, photo, csv) = (text(&detector), text(&photo), text(&csv));
    let drawn = text(&folder.path().join("seen.png"));
    let json = arcgate(["detect", &photo, "--detector", &detector, "-o", &drawn, "--json"]).done().json();
    assert_eq!(json["photos"][0]["faces"][0]["meant"], true, "{json}");
    let (before, after) =
        (image::open(&photo).unwrap().into_rgb8(), image::open(&drawn).unwrap().into_rgb8());
    assert_eq!(before.dimensions(), after.dimensions());
    assert_ne!(before, after);

    // The same face by the file and by the detector: crops that differ by next to nothing.
    let crop = |name: &str, flag: &str, value: &str| {
        let out = text(&folder.path().join(name));
        arcgate(["align", &photo, flag, value, "-o", &out, "--json"]).done();
        image::open(folder.path().join(name).join("AJ_Cook_0001.png")).unwrap().into_rgb8()
    };
    let (by_file, by_detector) =
        (crop("file", "--landmarks", &csv), crop("detector", "--detector", &detector));
    assert_eq!(by_file.dimensions(), (112, 112));
    let differences = by_file.iter().zip(by_detector.iter()).map(|(a, b)| a.abs_diff(*b) as f64);
    let mean = differences.sum::<f64>() / by_file.len() as f64;
    assert!(mean < 2.0, "{mean}");

    // A picture without a face is named, and nothing is written.
    let blank = folder.path().join("blank.png");
    image::RgbImage::new(64, 64).save(&blank).unwrap();
    let out = text(&folder.path().join("none"));
    let run = arcgate(["align", &text(&blank), "--detector", &detector, "-o", &out]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("blank.png: no face found"), "{}", run.stderr);
}
