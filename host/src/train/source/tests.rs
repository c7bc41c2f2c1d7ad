use std::path::Path;

use super::*;
use crate::train::paths::Paths;

fn of(path: &Path, least_images: usize, leave_out: Option<PathBuf>) -> DataConfig {
    let (path, leave_out) = (path.into(), leave_out.map(Paths::from).unwrap_or_default());
    DataConfig::Folder { path, least_images, leave_out, detector: None, unlabelled: false }
}

#[test]
fn every_round_holds_every_class_once_in_another_order() {
    for n in [2, 3, 17, 64, 1000] {
        let round = |r| (0..n).map(|p| permuted(p, n, (5, ORDER), r)).collect::<Vec<_>>();
        let (first, second) = (round(0), round(1));
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..n).collect::<Vec<_>>());
        assert!(n < 17 || first != second);
    }
}

#[test]
fn samples_are_pure_and_held_out_people_are_not_among_them() {
    let mut recipe = Recipe::demo();
    recipe.data = DataConfig::Synth { population: 1, identities: 5 };
    (recipe.split.validation, recipe.split.test) = (3, 2);
    let source = Source::open(&recipe).unwrap();
    let (a, b) = (source.sample(7).unwrap(), source.sample(7).unwrap());
    assert_eq!((a.class, &a.crop), (b.class, &b.crop));
    assert_ne!(source.sample(12).unwrap().crop, a.crop);
    assert_eq!(source.held_out().len(), 3 * VALIDATION_VIEWS);
    assert_eq!(source.unseen().len(), 2 * TEST_VIEWS);
    assert!(source.held_out().iter().chain(source.unseen()).all(|(_, crop)| crop.len() == a.crop.len()));
}

#[test]
fn batches_hold_different_images_of_each_class() {
    let root = tempfile::tempdir().unwrap();
    let people = Portraits::new(3);
    for identity in 0..6 {
        let folder = root.path().join(format!("p{identity}"));
        std::fs::create_dir(&folder).unwrap();
        for view in 0..5 {
            people.portrait(identity, view, (48, 48)).save(folder.join(format!("{view}.png"))).unwrap();
        }
    }
    let mut recipe = Recipe::demo();
    recipe.augment = Default::default();
    recipe.train.per_class = Some(4);
    recipe.split.validation = 2;
    let folder = of(root.path(), 2, None);
    for data in [folder, DataConfig::Synth { population: 1, identities: 4 }] {
        recipe.data = data;
        let source = Source::open(&recipe).unwrap();
        let mut seen = std::collections::BTreeMap::<usize, usize>::new();
        for group in 0..8 {
            let samples: Vec<Sample> = (0..4).map(|k| source.sample(4 * group + k).unwrap()).collect();
            assert!(samples.iter().all(|s| s.class == samples[0].class));
            for (i, sample) in samples.iter().enumerate() {
                assert!(samples[..i].iter().all(|s| s.crop != sample.crop), "group {group} repeats an image");
            }
            *seen.entry(samples[0].class).or_default() += 1;
        }
        assert_eq!(seen.into_values().collect::<Vec<_>>(), [2; 4]);
    }
}

#[test]
fn listed_people_and_broken_images_are_left_out() {
    let root = tempfile::tempdir().unwrap();
    let (faces, list) = (root.path().join("faces"), root.path().join("leave-out.txt"));
    let people = Portraits::new(3);
    for identity in 0..6 {
        let folder = faces.join(format!("p{identity}"));
        std::fs::create_dir_all(&folder).unwrap();
        for view in 0..3 {
            people.portrait(identity, view, (48, 48)).save(folder.join(format!("{view}.png"))).unwrap();
        }
    }
    std::fs::write(faces.join("p2/1.png"), b"broken").unwrap();
    std::fs::write(&list, "p1\n\n p5/0.png \n").unwrap();
    let mut recipe = Recipe::demo();
    recipe.data = of(&faces, 2, Some(list));
    recipe.split.validation = 2;
    let source = Source::open(&recipe).unwrap();
    assert_eq!(source.classes(), 3, "p1 is left out, two of the others are held out");
    let Kind::Pictures { identities, .. } = &source.kind else { unreachable!() };
    let pictures: usize = identities.iter().map(Vec::len).sum::<usize>() + source.held_out().len();
    assert_eq!(pictures, 5 * 3 - 2);
    assert_eq!(source.left_out().len(), 1);
    assert!(source.left_out()[0].why.to_string().contains("1.png is not a picture"));
    recipe.data = of(&faces, 2, Some(root.path().join("nowhere.txt")));
    let missing = Source::open(&recipe).err().expect("no list").to_string();
    assert!(missing.contains("nowhere.txt"), "{missing}");
}

#[test]
fn records_are_read_on_the_way_and_a_broken_one_is_named() {
    use crate::data::recordio::tests::Writer;

    let root = tempfile::tempdir().unwrap();
    let mut writer = Writer::default();
    let people = Portraits::new(4);
    for key in 0..18 {
        let mut png = std::io::Cursor::new(Vec::new());
        people.portrait(key / 3, key % 3, (40, 40)).write_to(&mut png, image::ImageFormat::Png).unwrap();
        writer.add(key, &[(key / 3) as f32], png.get_ref());
    }
    // The second image: it belongs to the first identity, which is learnt.
    let pictures = writer.rec.windows(4).enumerate().filter(|(_, w)| *w == b"\x89PNG").map(|(at, _)| at);
    let second = pictures.collect::<Vec<_>>()[1];
    writer.rec[second] = 0;
    let mut recipe = Recipe::demo();
    recipe.data = DataConfig::Records { path: writer.save(root.path()), least_images: 2 };
    recipe.split.validation = 2;
    recipe.train.per_class = Some(2);
    recipe.input.template = crate::train::recipe::Template::Face;
    let source = Source::open(&recipe).unwrap();
    assert_eq!((source.classes(), source.held_out().len()), (4, 6));
    assert!(source.broken().is_empty());
    let [columns, rows] = recipe.net.input;
    for number in 0..80 {
        let (sample, again) = (source.sample(number).unwrap(), source.sample(number).unwrap());
        assert_eq!((sample.class, &sample.crop), (again.class, &again.crop));
        assert_eq!(sample.crop.len(), columns * rows * 3);
    }
    let broken = source.broken();
    assert!(broken.len() == 1 && broken[0].contains("record 1 at byte"), "{broken:?}");
    // One of those held out: another image of the same person is validated on.
    let mut held = writer.rec.clone();
    let last = held.windows(4).rposition(|w| w == b"\x89PNG").unwrap();
    held[last] = 0;
    std::fs::write(root.path().join("train.rec"), held).unwrap();
    let source = Source::open(&recipe).unwrap();
    assert_eq!((source.held_out().len(), source.broken().len()), (5, 1));
    recipe.data = DataConfig::Records { path: root.path().join("train.rec"), least_images: 4 };
    assert!(matches!(Source::open(&recipe), Err(SourceError::TooFew { found: 0, images: 4, .. })));
}

#[test]
fn folders_give_their_identities_or_say_that_they_are_too_few() {
    let root = tempfile::tempdir().unwrap();
    let people = Portraits::new(3);
    for identity in 0..4 {
        let folder = root.path().join(format!("p{identity}"));
        std::fs::create_dir(&folder).unwrap();
        for view in 0..3 {
            people.portrait(identity, view, (60, 60)).save(folder.join(format!("{view}.png"))).unwrap();
        }
    }
    let mut recipe = Recipe::demo();
    recipe.data = of(root.path(), 2, None);
    recipe.split.validation = 2;
    let source = Source::open(&recipe).unwrap();
    assert_eq!((source.classes(), source.held_out().len(), source.unseen().len()), (2, 6, 0));
    assert!(source.sample(1).unwrap().class < 2);
    (recipe.split.validation, recipe.split.test) = (1, 1);
    let source = Source::open(&recipe).unwrap();
    let [held_out, unseen] = [source.held_out(), source.unseen()].map(|part| part[0].0);
    assert_eq!((source.classes(), source.held_out().len(), source.unseen().len()), (2, 3, 3));
    assert_ne!(held_out, unseen);
    recipe.split.test = 2;
    let few = Source::open(&recipe).err().expect("one left to learn").to_string();
    assert!(few.contains("4 identities") && few.contains("at least 5: 3 held out"), "{few}");
    recipe.data = of(root.path(), 4, None);
    assert!(matches!(Source::open(&recipe), Err(SourceError::TooFew { found: 0, images: 4, .. })));
}

#[test]
fn several_folders_are_one_set() {
    let root = tempfile::tempdir().unwrap();
    let people = Portraits::new(3);
    for (folder, identity) in [("a", 0), ("a", 1), ("a", 2), ("b", 3), ("b", 4)] {
        let place = root.path().join(folder).join(format!("p{identity}"));
        std::fs::create_dir_all(&place).unwrap();
        for view in 0..2 {
            people.portrait(identity, view, (48, 48)).save(place.join(format!("{view}.png"))).unwrap();
        }
        std::fs::write(root.path().join(format!("{folder}.txt")), format!("p{identity}\n")).unwrap();
    }
    let text = include_str!("../demo.toml");
    let data = "[data]\nsource = \"folder\"\npath = [\"a\", \"b\"]\nleave_out = [\"a.txt\", \"b.txt\"]\n";
    let (before, after) = text.split_once("[data]").unwrap();
    let after = after.split_once("[train]").unwrap().1;
    let path = root.path().join("r.toml");
    std::fs::write(&path, format!("{before}{data}[train]{after}")).unwrap();
    let mut recipe = Recipe::read(&path).unwrap();
    recipe.split.validation = 1;
    let source = Source::open(&recipe).unwrap();
    assert_eq!((source.classes(), source.held_out().len()), (2, 2), "p2 and p4 are left out");
}
