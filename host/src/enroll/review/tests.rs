//! Every finding and its near misses on embeddings whose angles are known, and that the order of photographs changes nothing.

use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// A photograph's embedding: in this plane, at so many degrees. Planes are at right angles to one another.
type Place = (usize, f64);

const PLANES: usize = 4;

/// A person's photographs.
type Person<'a> = (&'a str, &'a [Place]);

fn limits() -> Limits {
    let degrees = |degrees: u32| Angle::from_millidegrees(1000 * degrees);
    Limits { fpir: Some(0.01), people: 9, one: Some(degrees(60)), all: Some(degrees(40)), margin: degrees(2) }
}

fn shot(name: &str, number: usize, (plane, degrees): Place) -> Shot {
    let mut embedding = vec![0; 2 * PLANES];
    let (sin, cos) = degrees.to_radians().sin_cos();
    embedding[2 * plane] = (127.0 * cos).round() as i8;
    embedding[2 * plane + 1] = (127.0 * sin).round() as i8;
    let mut crop = [0; 32];
    crop[..embedding.len()].copy_from_slice(&embedding.iter().map(|&v| v as u8).collect::<Vec<_>>());
    let photo = format!("{name}/{number}").into();
    Shot { name: name.into(), photo, crop, embedding, enrolled: Vec::new() }
}

fn shots(people: &[Person<'_>]) -> Vec<Shot> {
    let numbered = |&(name, places): &Person<'_>| {
        places.iter().enumerate().map(|(i, &place)| shot(name, i, place)).collect::<Vec<_>>()
    };
    people.iter().flat_map(numbered).collect()
}

/// An angle in whole degrees.
fn whole(angle: Angle) -> f32 {
    angle.degrees().round()
}

/// A finding in short, without thresholds.
fn short(finding: &Finding) -> String {
    let join =
        |photos: &[PathBuf]| photos.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" ");
    let like = |l: &Likeness| {
        let photo = l.photo.as_ref().map_or("held".into(), |p| p.display().to_string());
        format!("{photo} {}", whole(l.angle))
    };
    let own = |own: &Option<Angle>| own.map_or("alone".into(), |own| whole(own).to_string());
    match finding {
        Finding::Repeated { photos } => {
            let photos: Vec<PathBuf> = photos.iter().map(|p| p.photo.clone()).collect();
            format!("repeated {}", join(&photos))
        }
        Finding::Outlier { photo, own: angle, threshold, like: of } => {
            let of = of.as_ref().map_or("nobody".into(), like);
            format!("outlier {} {} beyond {}, {of}", photo.photo.display(), own(angle), whole(*threshold))
        }
        Finding::Divided { groups, angle, .. } => {
            let groups: Vec<String> = groups.iter().map(|group| join(group)).collect();
            format!("divided {} {}", groups.join(" | "), whole(*angle))
        }
        Finding::Duplicate { names: [a, b], within, pairs, angle, photos, .. } => {
            let photos: Vec<String> = photos
                .iter()
                .map(|p| p.as_ref().map_or("held".into(), |p| p.display().to_string()))
                .collect();
            format!("duplicate {a} {b} {within}/{pairs} {} {}", whole(*angle), photos.join(" "))
        }
        Finding::TooAlike { names: [a, b], photo, like: of, own: angle, photographs, .. } => {
            format!("alike {a} {b}: {} to {}, {}, {photographs}", photo.photo.display(), like(of), own(angle))
        }
    }
}

/// What a review says, in short; then the people who are near, with their angles.
fn told(review: &Review) -> Vec<String> {
    let near = |n: &Near| format!("near {} {} {}", n.names[0], n.names[1], whole(n.angle));
    review.findings.iter().map(short).chain(review.near.iter().map(near)).collect()
}

#[test]
fn every_finding_and_its_near_misses() {
    type Case<'a> = (&'a str, &'a [Person<'a>], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        ("good folders", &[("Ada", &[(0, 0.0), (0, 20.0), (0, 38.0)]), ("Bob", &[(1, 0.0), (1, 30.0)])], &[]),
        ("one photograph each, far apart", &[("Ada", &[(0, 0.0)]), ("Bob", &[(1, 0.0)])], &[]),
        (
            "a stranger among three",
            &[("Ada", &[(0, 0.0), (1, 0.0), (0, 20.0)])],
            &["outlier Ada/1 90 beyond 60, nobody"],
        ),
        ("linked by one that lies between", &[("Ada", &[(0, 0.0), (0, 58.0), (0, 116.0)])], &[]),
        (
            "not linked",
            &[("Ada", &[(0, 0.0), (0, 20.0), (0, 82.0)])],
            &["outlier Ada/2 62 beyond 60, nobody"],
        ),
        (
            "two strangers' photographs among five",
            &[("Ada", &[(1, 0.0), (1, 5.0), (0, 0.0), (0, 5.0), (0, 10.0)])],
            &["outlier Ada/0 90 beyond 60, nobody", "outlier Ada/1 90 beyond 60, nobody"],
        ),
        ("two that disagree", &[("Ada", &[(0, 0.0), (1, 0.0)])], &["divided Ada/0 | Ada/1 90"]),
        (
            "two and two that disagree, and one more",
            &[("Ada", &[(0, 0.0), (0, 9.0), (1, 0.0), (1, 9.0), (2, 0.0)])],
            &["divided Ada/0 Ada/1 | Ada/2 Ada/3 | Ada/4 90"],
        ),
        (
            "two that disagree, one of which is known",
            &[("Ada", &[(0, 0.0), (1, 4.0)]), ("Bob", &[(1, 0.0), (1, 10.0)])],
            &["outlier Ada/1 90 beyond 60, Bob/0 4"],
        ),
        (
            "somebody else's photograph",
            &[("Ada", &[(0, 0.0), (1, 12.0), (0, 10.0)]), ("Bob", &[(1, 0.0), (1, 10.0)])],
            &["outlier Ada/1 90 beyond 60, Bob/1 2"],
        ),
        (
            "a picture of two people, right for one of them",
            &[("Ada", &[(0, 0.0), (0, 20.0), (1, 0.0)]), ("Bob", &[(1, 0.0), (1, 50.0)])],
            &["outlier Ada/2 90 beyond 60, Bob/0 0", "repeated Ada/2 Bob/0"],
        ),
        (
            "two that disagree, both known",
            &[
                ("Ada", &[(0, 0.0), (1, 0.0)]),
                ("Bob", &[(1, 4.0), (1, 20.0)]),
                ("Cy", &[(0, 38.0), (0, 70.0)]),
            ],
            &[
                "divided Ada/0 | Ada/1 90",
                "alike Ada Bob: Ada/1 to Bob/0 4, 90, 2",
                "alike Ada Cy: Ada/0 to Cy/0 38, 90, 1",
            ],
        ),
        (
            "far from the own, near to another",
            &[("Ada", &[(0, 0.0), (0, 50.0)]), ("Bob", &[(0, 80.0), (0, 95.0)])],
            &["outlier Ada/1 50 beyond 40, Bob/0 30"],
        ),
        (
            "two such photographs",
            &[("Ada", &[(0, 0.0), (0, 50.0)]), ("Bob", &[(0, 24.0), (0, 82.0), (0, 140.0)])],
            &["alike Ada Bob: Ada/0 to Bob/0 24, 50, 4"],
        ),
        (
            "far from the own, and from the other",
            &[("Ada", &[(0, 0.0), (0, 50.0)]), ("Bob", &[(0, 92.0), (0, 95.0)])],
            &[],
        ),
        (
            "two names for one",
            &[("Ada", &[(0, 0.0), (0, 10.0)]), ("Ida", &[(0, 3.0), (0, 15.0)])],
            &["duplicate Ada Ida 4/4 3 Ada/0 Ida/0"],
        ),
        (
            "one photograph each, near",
            &[("Ada", &[(0, 0.0)]), ("Ida", &[(0, 38.0)])],
            &["duplicate Ada Ida 1/1 38 Ada/0 Ida/0"],
        ),
        ("one photograph each, not near", &[("Ada", &[(0, 0.0)]), ("Ida", &[(0, 42.0)])], &[]),
        (
            "half of the pairs are not most of them",
            &[("Ada", &[(0, 0.0), (0, 30.0)]), ("Ida", &[(0, 60.0), (0, 66.0)])],
            &["alike Ada Ida: Ada/1 to Ida/0 30, 30, 1"],
        ),
        (
            "three of four are",
            &[("Ada", &[(0, 22.0), (0, 30.0)]), ("Ida", &[(0, 60.0), (0, 66.0)])],
            &["duplicate Ada Ida 3/4 30 Ada/1 Ida/0"],
        ),
        (
            "one photograph, near to one of two",
            &[("Ada", &[(0, 0.0)]), ("Bob", &[(0, 30.0), (0, 55.0)])],
            &["alike Ada Bob: Ada/0 to Bob/0 30, alone, 1"],
        ),
        (
            "near, the own nearer",
            &[("Ada", &[(0, 0.0), (0, 10.0)]), ("Bob", &[(0, 48.0), (0, 53.0)])],
            &["near Ada Bob 38"],
        ),
        (
            "nearer by the margin",
            &[("Ada", &[(0, 0.0), (0, 34.0)]), ("Bob", &[(0, 72.0), (0, 78.0)])],
            &["near Ada Bob 38"],
        ),
        (
            "nearer by less than the margin",
            &[("Ada", &[(0, 0.0), (0, 37.0)]), ("Bob", &[(0, 75.0), (0, 81.0)])],
            &["alike Ada Bob: Ada/1 to Bob/0 38, 37, 1"],
        ),
    ];
    let mut wrong = Vec::new();
    for (what, people, expected) in cases {
        let found = told(&review(&shots(people), &BTreeSet::new(), &limits()));
        if found != *expected {
            wrong.push(format!("{what}:\n  found    {found:?}\n  expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_picture_several_times() {
    let mut all = shots(&[("Ada", &[(0, 0.0), (0, 20.0), (1, 0.0)]), ("Bob", &[(2, 0.0), (2, 20.0)])]);
    // A copy of the stranger's picture does not outvote anybody.
    all.push(shot("Ada", 3, (1, 0.0)));
    all.push(shot("Bob", 2, (0, 20.0)));
    let expected = [
        "outlier Ada/2 90 beyond 60, nobody",
        "outlier Bob/2 90 beyond 60, Ada/1 0",
        "repeated Ada/1 Bob/2",
        "repeated Ada/2 Ada/3",
    ];
    assert_eq!(told(&review(&all, &BTreeSet::new(), &limits())), expected);
}

#[test]
fn people_whom_the_target_holds() {
    let degrees = |degrees| Angle::from_millidegrees(1000 * degrees);
    let enrolled = BTreeSet::from(["Ada".to_owned(), "Bob".to_owned()]);
    let of = |people: &[Person<'_>], answers: &[&[(&str, u32)]]| {
        let mut all = shots(people);
        for (shot, answer) in all.iter_mut().zip(answers) {
            shot.enrolled = answer.iter().map(|&(name, angle)| (name.to_owned(), degrees(angle))).collect();
        }
        told(&review(&all, &enrolled, &limits()))
    };
    let three: &[Place] = &[(0, 0.0), (0, 10.0), (0, 20.0)];
    let new: &[Person<'_>] = &[("Cy", three)];
    assert_eq!(of(new, &[&[("Bob", 70)], &[("Bob", 41)], &[]]), [""; 0]);
    assert_eq!(
        of(new, &[&[("Bob", 30)], &[("Bob", 29)], &[("Ada", 70)]]),
        ["duplicate Bob Cy 2/3 29 held Cy/1"]
    );
    assert_eq!(of(new, &[&[("Bob", 30)], &[], &[]]), ["near Bob Cy 30"]);
    assert_eq!(of(new, &[&[("Bob", 8)], &[], &[]]), ["alike Bob Cy: Cy/0 to held 8, 10, 1"]);
    let stranger: &[Person<'_>] = &[("Cy", &[(0, 0.0), (0, 10.0), (1, 0.0)])];
    assert_eq!(of(stranger, &[&[], &[], &[("Bob", 20)]]), ["outlier Cy/2 90 beyond 60, held 20"]);
    // More photographs of somebody enrolled: of the person, of somebody else, and of nobody enrolled.
    let more: &[Person<'_>] = &[("Ada", &[(0, 0.0)])];
    assert_eq!(of(more, &[&[("Ada", 59)]]), [""; 0]);
    assert_eq!(of(more, &[&[("Ada", 61)]]), ["outlier Ada/0 61 beyond 60, nobody"]);
    assert_eq!(of(more, &[&[("Bob", 70)]]), ["outlier Ada/0 alone beyond 60, nobody"]);
    assert_eq!(of(more, &[&[("Ada", 30), ("Bob", 31)]]), ["alike Ada Bob: Ada/0 to held 31, 30, 1"]);
    let pair: &[Person<'_>] = &[("Ada", &[(0, 0.0), (1, 0.0)])];
    assert_eq!(of(pair, &[&[("Bob", 70)], &[("Ada", 30)]]), ["outlier Ada/0 90 beyond 60, nobody"]);
    assert_eq!(of(more, &[&[("Bob", 20)]]), ["outlier Ada/0 alone beyond 60, held 20"]);
}

#[test]
fn without_thresholds_only_pictures_are_compared() {
    let all = shots(&[("Ada", &[(0, 0.0), (1, 0.0)]), ("Bob", &[(1, 0.0), (1, 10.0)])]);
    let none = Limits { one: None, all: None, ..limits() };
    assert_eq!(told(&review(&all, &BTreeSet::new(), &none)), ["repeated Ada/1 Bob/0"]);
    assert_eq!(review(&[], &BTreeSet::new(), &limits()), Review::default());
}

/// People with one to five photographs around a direction of their own, some nearer than others.
fn crowd(seed: u64) -> Vec<Shot> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut all = Vec::new();
    for person in 0..random.random_range(1..9) {
        let centre: Place = (random.random_range(0..PLANES), random.random_range(0.0..180.0));
        for number in 0..random.random_range(1..6) {
            let spread = random.random_range(0.0..70.0);
            let place = if random.random_bool(0.1) {
                (random.random_range(0..PLANES), spread)
            } else {
                (centre.0, centre.1 + spread)
            };
            all.push(shot(&format!("P{person}"), number, place));
        }
    }
    all
}

proptest! {
    #[test]
    fn the_order_of_photographs_and_people_changes_nothing(seed: u64) {
        let mut all = crowd(seed);
        let before = review(&all, &BTreeSet::new(), &limits());
        all.shuffle(&mut ChaCha8Rng::seed_from_u64(!seed));
        prop_assert_eq!(review(&all, &BTreeSet::new(), &limits()), before);
    }

    #[test]
    fn duplicates_and_near_people_are_those_of_the_definition(seed: u64) {
        let all = crowd(seed);
        let found = review(&all, &BTreeSet::new(), &limits());
        let mut crops = BTreeSet::new();
        let distinct: Vec<&Shot> = all.iter().filter(|shot| crops.insert((&shot.name, shot.crop))).collect();
        let names: BTreeSet<&String> = all.iter().map(|shot| &shot.name).collect();
        let of = |name: &String| distinct.iter().filter(|shot| shot.name == *name).copied().collect::<Vec<_>>();
        let mut duplicates = BTreeSet::new();
        for a in &names {
            for b in names.iter().filter(|b| a < *b) {
                let pairs: Vec<Angle> = of(a)
                    .iter()
                    .flat_map(|x| of(b).into_iter().map(|y| arcgate_firmware::embedding::angle(&x.embedding, &y.embedding)))
                    .collect();
                let within = pairs.iter().filter(|&&angle| Some(angle) <= limits().all).count();
                if 2 * within > pairs.len() {
                    duplicates.insert([(*a).clone(), (*b).clone()]);
                }
                let near = found.near.iter().find(|n| n.names == [(*a).clone(), (*b).clone()]);
                prop_assert!(near.is_none_or(|near| pairs.contains(&near.angle) && 2 * within <= pairs.len()));
            }
        }
        let named = |finding: &Finding| match finding {
            Finding::Duplicate { names, .. } => Some(names.clone()),
            _ => None,
        };
        prop_assert_eq!(found.findings.iter().filter_map(named).collect::<BTreeSet<_>>(), duplicates);
    }

    #[test]
    fn a_copy_of_a_photograph_is_repeated_and_nothing_else(seed: u64, which: prop::sample::Index) {
        let mut all = crowd(seed);
        let before = review(&all, &BTreeSet::new(), &limits());
        let mut copy = all[which.index(all.len())].clone();
        // Behind the others by path, so that the same photograph stands for the picture as before.
        copy.photo = "Q/copy".into();
        all.push(copy);
        let after = review(&all, &BTreeSet::new(), &limits());
        let others = |review: &Review| -> Vec<Finding> {
            review.findings.iter().filter(|f| !matches!(f, Finding::Repeated { .. })).cloned().collect()
        };
        prop_assert_eq!(others(&after), others(&before));
        prop_assert_eq!(after.near, before.near);
        prop_assert!(after.findings.len() >= before.findings.len().max(1));
    }
}
