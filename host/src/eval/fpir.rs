//! The false-positive identification rate (FPIR) of a gallery of so many people, as a function of the threshold, from a set of
//! embeddings of people who are not enrolled.
//!
//! The rate at an angle is the mean over probes of the chance that a gallery drawn by lot has anybody within the angle. That
//! chance follows from how many of the other people are: of `M` others, each is enrolled with chance `f = N / M`, so nobody is
//! near with `(1 - f)^m` where `m` of them are near (a person with several images counts by the chance that `k` drawn of them
//! have one near). This is the average over all galleries at once (a U-statistic, Hoeffding 1948), not over some drawn; people
//! count alike, however many images of each there are.

use arcgate_firmware::embedding::Angle;
use rayon::prelude::*;

use super::gallery::{Gallery, Vector};

/// Thousandths of a degree of a step of a [`Curve`].
const STEP: u32 = 100;

/// Steps from 0 to 180 degrees.
const STEPS: usize = (Angle::MAX.millidegrees() / STEP) as usize + 1;

/// The share of comparisons that is kept: all that the highest rate of a table needs at one person enrolled.
const KEPT: f64 = 0.2;

/// Probes that say where [`KEPT`] lies.
const SAMPLED: usize = 300;

/// The largest gallery, as a share of the other people: beyond, too few of them are left out to tell one gallery from another.
const REACH: f64 = 0.9;

/// One of the people near a probe.
#[derive(Debug, Clone, Copy)]
struct Near {
    step: u16,
    person: u32,
    /// By how much it rises here that one of the person's templates is near.
    chance: f32,
}

impl Near {
    fn within(&self, angle: f64) -> bool {
        f64::from(self.step) < angle * 1000.0 / f64::from(STEP)
    }
}

/// A probe and the people near it, the nearest first.
#[derive(Debug, Clone)]
struct Stranger {
    person: usize,
    near: Vec<Near>,
}

/// Comparisons of different people.
#[derive(Debug, Clone)]
pub struct Impostors {
    people: usize,
    /// Images of each person.
    images: Vec<usize>,
    /// Whether each person has enough images to be enrolled.
    enrollable: Vec<bool>,
    probes: Vec<Stranger>,
}

/// The rate at each step of the angle, for one size of gallery.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The share of searches with anybody within each step's upper end, rising.
    pub rates: Vec<f64>,
    /// How many people are enrolled: those asked for, or as many as the data reach.
    pub enrolled: f64,
}

impl Impostors {
    /// Compares embeddings of people numbered from 0 without gaps, `templates` of them enrolled of each. `done` is called once an
    /// embedding, from many threads.
    pub fn new(people: &[usize], vectors: &[Vector], templates: usize, done: impl Fn() + Sync) -> Self {
        let number = people.iter().max().map_or(0, |&last| last + 1);
        let mut of_person = vec![Vec::new(); number];
        people.iter().enumerate().for_each(|(image, &person)| of_person[person].push(image));
        let images: Vec<usize> = of_person.iter().map(Vec::len).collect();
        let enrollable: Vec<bool> = images.iter().map(|&n| n >= templates).collect();
        // Rows of one person lie together.
        let enrolled = || (0..number).filter(|&person| enrollable[person]);
        let gallery = Gallery::new(enrolled().flat_map(|p| &of_person[p]).map(|&image| &vectors[image]));
        let owners: Vec<(usize, usize)> = enrolled().map(|person| (person, images[person])).collect();
        let farthest = farthest(&gallery, people, vectors, &owners);
        let look = |cosines: &mut Vec<f32>, image: usize| {
            gallery.compare(&vectors[image], cosines);
            let mut near = Vec::new();
            let mut rest = &cosines[..];
            for &(person, images) in &owners {
                let (own, others) = rest.split_at(images);
                rest = others;
                if person != people[image] {
                    add_near(&mut near, person, own, farthest, templates);
                }
            }
            near.sort_unstable_by_key(|near| (near.step, near.person));
            done();
            Stranger { person: people[image], near }
        };
        let probes = (0..vectors.len()).into_par_iter().map_init(Vec::new, look).collect();
        Impostors { people: number, images, enrollable, probes }
    }

    /// How many people there are.
    pub fn people(&self) -> usize {
        self.people
    }

    /// How many of them have enough images to be enrolled.
    pub fn enrollable(&self) -> usize {
        self.enrollable.iter().filter(|&&able| able).count()
    }

    /// The rates for galleries of each of `sizes` people, each person weighted.
    pub fn curves(&self, sizes: &[u32], weights: &[f64]) -> Vec<Curve> {
        let others: f64 = (0..self.people).filter(|&p| self.enrollable[p]).map(|p| weights[p]).sum();
        let mut rises = vec![vec![0.0; STEPS]; sizes.len()];
        let total: f64 = weights.iter().sum();
        // A typical probe's gallery is drawn from all but its own person.
        let reach = (REACH * (others - 1.0)).max(1.0);
        let enrolled: Vec<f64> = sizes.iter().map(|&size| f64::from(size).min(reach)).collect();
        for probe in &self.probes {
            let own = weights[probe.person];
            if own == 0.0 {
                continue;
            }
            let among = others - if self.enrollable[probe.person] { own } else { 0.0 };
            let share = own / self.images[probe.person] as f64 / total;
            let absent: Vec<f64> = enrolled.iter().map(|&n| (1.0 - (n / among).min(REACH)).ln()).collect();
            let mut met = 0.0;
            let mut before = vec![0.0; sizes.len()];
            for group in probe.near.chunk_by(|a, b| a.step == b.step) {
                let more: f64 =
                    group.iter().map(|near| weights[near.person as usize] * f64::from(near.chance)).sum();
                if more == 0.0 {
                    continue;
                }
                met += more;
                for (at, rises) in rises.iter_mut().enumerate() {
                    if before[at] > 1.0 - 1e-9 {
                        continue;
                    }
                    let now = 1.0 - (absent[at] * met).exp();
                    rises[usize::from(group[0].step)] += share * (now - before[at]);
                    before[at] = now;
                }
            }
        }
        let rising = |(mut rises, enrolled): (Vec<f64>, f64)| {
            let mut sum = 0.0;
            rises.iter_mut().for_each(|rise| {
                sum += *rise;
                *rise = sum;
            });
            Curve { rates: rises, enrolled }
        };
        rises.into_iter().zip(enrolled).map(rising).collect()
    }

    /// Of people with two images or more, what a second template adds, one being enrolled: the chance that it lies within `angle` of a
    /// stranger and the first does not, as a share of the chance that one does; and how many people search who have anybody that near.
    pub fn second_template(&self, angle: f64) -> (f64, usize) {
        let (mut one, mut added) = (0.0, 0.0);
        let mut searched = std::collections::BTreeSet::new();
        for probe in &self.probes {
            let share = 1.0 / self.images[probe.person] as f64;
            // Each image of a person that is near stands here once.
            let mut met = std::collections::BTreeMap::<u32, f64>::new();
            let near = probe.near.iter().take_while(|near| near.within(angle));
            near.for_each(|near| *met.entry(near.person).or_default() += 1.0);
            for (person, near) in met {
                let images = self.images[person as usize] as f64;
                if images > 1.0 {
                    let missed = images - near;
                    one += share * near / images;
                    // The first of two is near and the second is not, or the other way round; of them half is what the second adds.
                    added += share * near * missed / (images * (images - 1.0));
                    searched.insert(probe.person);
                }
            }
        }
        (if one > 0.0 { added / one } else { 1.0 }, searched.len())
    }

    /// Of people with two images or more, what a second frame adds: the chance that it is answered within `angle` where the first
    /// is not, as a share of the chance that one frame is, and how many people that is from. Both frames search one gallery of
    /// `enrolled` people.
    pub fn second_frame(&self, enrolled: f64, angle: f64) -> (f64, usize) {
        let among = self.enrollable() as f64 - 1.0;
        let absent = (1.0 - (enrolled / among.max(1.0)).min(REACH)).ln();
        let answered = |met: f64| 1.0 - (absent * met).exp();
        let mut frames = std::collections::BTreeMap::<usize, Vec<&Stranger>>::new();
        self.probes.iter().for_each(|probe| frames.entry(probe.person).or_default().push(probe));
        let (mut one, mut added, mut people) = (0.0, 0.0, 0);
        for pair in frames.values().filter_map(|frames| frames.first_chunk::<2>()) {
            let mut chances = std::collections::BTreeMap::<u32, [f64; 2]>::new();
            for (which, frame) in pair.iter().enumerate() {
                for near in frame.near.iter().take_while(|near| near.within(angle)) {
                    chances.entry(near.person).or_default()[which] += f64::from(near.chance);
                }
            }
            let met = |which: usize| chances.values().map(|c| c[which]).sum::<f64>();
            let single = 0.5 * (answered(met(0)) + answered(met(1)));
            // Frames meet one template of a person, so who is near both is met once.
            let both = answered(chances.values().map(|c| c[0].max(c[1])).sum());
            one += single;
            added += (both - single).max(0.0);
            people += 1;
        }
        (if one > 0.0 { (added / one).min(1.0) } else { 1.0 }, people)
    }
}

/// Adds the rises of the chance that one of `templates` drawn of a person's images is near, given all their cosines.
fn add_near(near: &mut Vec<Near>, person: usize, cosines: &[f32], farthest: f32, templates: usize) {
    let mut within: Vec<f32> = cosines.iter().copied().filter(|&cosine| cosine >= farthest).collect();
    within.sort_unstable_by(|a, b| b.total_cmp(a));
    let images = cosines.len();
    // None of `templates` drawn without putting back is among the first `n`.
    let missed = |n: usize| -> f64 {
        (0..templates).map(|i| images.saturating_sub(n + i) as f64 / (images - i) as f64).product()
    };
    for (before, cosine) in within.into_iter().enumerate() {
        let chance = (missed(before) - missed(before + 1)) as f32;
        if chance > 0.0 {
            let angle = Angle::from_cosine(f64::from(cosine)).millidegrees();
            near.push(Near { step: (angle / STEP) as u16, person: person as u32, chance });
        }
    }
}

/// The cosine above which [`KEPT`] of the comparisons of some probes lie.
fn farthest(gallery: &Gallery, people: &[usize], vectors: &[Vector], owners: &[(usize, usize)]) -> f32 {
    let every = vectors.len().div_ceil(SAMPLED).max(1);
    let (mut cosines, mut all) = (Vec::new(), Vec::new());
    for image in (0..vectors.len()).step_by(every) {
        gallery.compare(&vectors[image], &mut cosines);
        let of = owners.iter().flat_map(|&(person, images)| std::iter::repeat_n(person, images));
        all.extend(
            of.zip(&cosines).filter(|&(person, _)| person != people[image]).map(|(_, &cosine)| cosine),
        );
    }
    let at = (KEPT * all.len() as f64) as usize;
    if at >= all.len() {
        return -1.0;
    }
    *all.select_nth_unstable_by(at, |a, b| b.total_cmp(a)).1
}

impl Curve {
    /// The largest angle in degrees at which the rate is at most `rate`, between steps in a straight line; `None` where already the
    /// least angle has more.
    pub fn angle(&self, rate: f64) -> Option<f64> {
        let above = self.rates.partition_point(|&r| r <= rate);
        let step = f64::from(STEP) / 1000.0;
        let last = above.checked_sub(1)?;
        let Some(&next) = self.rates.get(above) else { return Some(180.0) };
        let part = (rate - self.rates[last]) / (next - self.rates[last]);
        Some(((above as f64 + part) * step).min(180.0))
    }

    /// The rate at an angle in degrees, by the same lines.
    pub fn rate(&self, angle: f64) -> f64 {
        let at = angle * 1000.0 / f64::from(STEP);
        let value = |end: f64| match end as usize {
            0 => 0.0,
            end => self.rates[(end - 1).min(STEPS - 1)],
        };
        let low = value(at.floor());
        low + (value(at.floor() + 1.0) - low) * at.fract()
    }

    /// How far below `angle` the searches lie that are answered within it, in degrees, each with its share of all.
    pub fn excesses(&self, angle: f64) -> Vec<(f64, f64)> {
        let middle = |step: usize| (step as f64 + 0.5) * f64::from(STEP) / 1000.0;
        let before = |step: usize| if step == 0 { 0.0 } else { self.rates[step - 1] };
        let within = (0..STEPS).take_while(|&step| middle(step) < angle);
        within
            .map(|step| (angle - middle(step), self.rates[step] - before(step)))
            .filter(|e| e.1 > 0.0)
            .collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::synth::dice::Dice;

    /// `images` of each of so many people, every image a point of its own on the sphere in five dimensions: strangers and friends
    /// are alike.
    pub fn sphere(people: usize, images: usize, seed: u64) -> (Vec<usize>, Vec<Vector>) {
        let mut dice = Dice::new(seed, 0, 0, 0);
        let mut point = || Vector::Float((0..5).map(|_| dice.bell()).collect());
        ((0..people * images).map(|i| i / images).collect(), (0..people * images).map(|_| point()).collect())
    }

    /// The share of that sphere within so many degrees of a point: the integral of the cube of the sine.
    pub fn share(degrees: f64) -> f64 {
        let cosine = degrees.to_radians().cos();
        (2.0 - 3.0 * cosine + cosine.powi(3)) / 4.0
    }

    #[test]
    fn rates_are_those_of_the_distribution() {
        // Of n points, one at least lies within with chance 1 - (1 - share)^n.
        let (people, vectors) = sphere(900, 2, 5);
        let impostors = Impostors::new(&people, &vectors, 1, || ());
        for (size, curve) in [1, 10, 100].into_iter().zip(impostors.curves(&[1, 10, 100], &[1.0; 900])) {
            for rate in [0.01_f64, 0.1] {
                let found = curve.angle(rate).unwrap();
                let wanted = 1.0 - (1.0 - rate).powf(1.0 / f64::from(size));
                let ratio = share(found) / wanted;
                assert!((0.7..1.3).contains(&ratio), "{size} at {rate}: {ratio} of the share");
                assert!((curve.rate(found) - rate).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn two_templates_are_twice_as_near() {
        let (people, vectors) = sphere(400, 3, 6);
        let rate = |templates, size| {
            let impostors = Impostors::new(&people, &vectors, templates, || ());
            impostors.curves(&[size], &[1.0; 400])[0].rate(20.0)
        };
        let (one, two, half) = (rate(1, 20), rate(2, 10), rate(2, 20));
        assert!((one / two - 1.0).abs() < 0.03 && half > 1.8 * one, "{one} {two} {half}");
    }

    #[test]
    fn every_gallery_by_hand() {
        // Four people on a circle; of three others two are enrolled, and the nearest of them decides.
        let at = |degrees: f64| {
            let (sin, cos) = degrees.to_radians().sin_cos();
            Vector::Float(vec![cos as f32, sin as f32])
        };
        let vectors = [at(0.0), at(10.05), at(30.05), at(180.0)];
        let curve = Impostors::new(&[0, 1, 2, 3], &vectors, 1, || ()).curves(&[2], &[1.0; 4]).remove(0);
        // Within 15 degrees 0 and 1 meet one of three others: missed with chance 1/3. Nobody else meets anybody.
        assert_eq!(curve.enrolled, 2.0);
        let reached = |met: i32| 1.0 - (1.0f64 / 3.0).powi(met);
        assert!((curve.rate(15.0) - reached(1) / 2.0).abs() < 1e-6, "{}", curve.rate(15.0));
        // Within 25 also 1 and 2; 1 now meets two.
        let wanted = (2.0 * reached(1) + reached(2)) / 4.0;
        assert!((curve.rate(25.0) - wanted).abs() < 1e-6, "{}", curve.rate(25.0));
        // Without person 2 only 0 and 1 are left to meet.
        let weighted = Impostors::new(&[0, 1, 2, 3], &vectors, 1, || ()).curves(&[1], &[1.0, 1.0, 0.0, 1.0]);
        assert!((weighted[0].rate(25.0) - 2.0 / 3.0 / 2.0).abs() < 1e-6, "{}", weighted[0].rate(25.0));
    }

    #[test]
    fn a_second_template_adds_what_is_new_in_it() {
        let (people, vectors) = sphere(300, 2, 8);
        let (added, searched) = Impostors::new(&people, &vectors, 1, || ()).second_template(20.0);
        assert!(added > 0.97 && searched > 250, "templates that have nothing to do with each other: {added}");
        let same: Vec<Vector> = people.iter().map(|&person| vectors[2 * person].clone()).collect();
        assert_eq!(Impostors::new(&people, &same, 1, || ()).second_template(20.0).0, 0.0);
        // Of three images of the only neighbour one is near: two drawn of them have it with 2/3, one with 1/3.
        let at = |degrees: f32| Vector::Float(vec![degrees.to_radians().cos(), degrees.to_radians().sin()]);
        let four = [at(0.0), at(10.0), at(60.0), at(90.0)];
        let (added, searched) = Impostors::new(&[0, 1, 1, 1], &four, 1, || ()).second_template(15.0);
        assert_eq!((added, searched), (1.0, 1));
    }

    #[test]
    fn a_second_frame_adds_what_is_new_in_it() {
        let (people, vectors) = sphere(500, 2, 8);
        let (added, pairs) = Impostors::new(&people, &vectors, 1, || ()).second_frame(10.0, 20.0);
        assert_eq!(pairs, 500);
        assert!(added > 0.9, "frames that have nothing to do with each other: {added}");
        let same: Vec<Vector> = people.iter().map(|&person| vectors[2 * person].clone()).collect();
        let (added, _) = Impostors::new(&people, &same, 1, || ()).second_frame(10.0, 20.0);
        assert!(added < 1e-6, "one frame twice: {added}");
    }
}
