//! The log against a plain list of what was appended: power cuts, pages, a flash that fails.

use std::collections::BTreeMap;

use super::*;
use crate::embedding::Angle;
use crate::flash::nor::MemoryNor;
use crate::secret::SoftwareSecret;
use crate::sim::cuts::{Cut, CutFlash, Random};
use crate::time::{UnixTime, Uptime};

const SECRET: SoftwareSecret = SoftwareSecret([7; 32]);

/// An event that no other number has.
fn event(count: u32) -> (Stamp, What) {
    let nearest = Candidate { person: PersonId(count), angle: Angle::from_millidegrees(count % 180_000) };
    let what = match count % 4 {
        0 => What::Known(nearest),
        1 => What::Unknown { why: Reason::TooFar, nearest: Some(nearest) },
        2 => What::Removed(PersonId(count)),
        _ => What::Fault(Trouble::Camera),
    };
    let stamp = match count % 2 {
        0 => Stamp::Utc(UnixTime(count.into())),
        _ => Stamp::Boot { boots: count, uptime: Uptime(count.into()) },
    };
    (stamp, what)
}

/// All entries, by pages of five.
fn all<F: embedded_storage::nor_flash::NorFlash>(log: &mut Log<F>) -> BTreeMap<u32, (Stamp, What)> {
    let (mut found, mut from) = (BTreeMap::new(), Some(0));
    while let Some(begin) = from {
        let page = log.page::<5>(begin).unwrap();
        for entry in &page.entries {
            assert!(entry.number >= begin);
            assert_eq!(found.insert(entry.number, (entry.stamp, entry.what)), None, "{entry:?} twice");
        }
        assert!(page.next.is_none_or(|next| page.entries.len() == 5 && next > page.entries[4].number));
        from = page.next;
    }
    found
}

struct Run<const WRITE: usize, const ERASE: usize> {
    flash: CutFlash<WRITE, ERASE>,
    blocks: usize,
    /// What was appended, and events whose append was cut.
    appended: BTreeMap<u32, (Stamp, What)>,
    cut: Vec<(Stamp, What)>,
    count: u32,
    cuts: u32,
    in_erases: u32,
    random: Random,
}

type Vec<V> = std::vec::Vec<V>;

impl<const WRITE: usize, const ERASE: usize> Run<WRITE, ERASE> {
    fn new(blocks: usize, seed: u64) -> Self {
        let (appended, cut, random) = (BTreeMap::new(), Vec::new(), Random::new(seed));
        let flash = CutFlash::new(blocks, seed);
        Run { flash, blocks, appended, cut, count: 0, cuts: 0, in_erases: 0, random }
    }

    /// Starts and appends until the power goes at `cut` or so many events are logged.
    fn live(&mut self, cut: Option<Cut>, events: u32) {
        self.flash.power_up(cut);
        let mut log = Log::open(&mut self.flash, &SECRET);
        for _ in 0..events {
            self.count += 1;
            let (stamp, what) = event(self.count);
            match log.record(stamp, what) {
                Some(number) => {
                    let last = self.appended.last_key_value().map_or(0, |(&last, _)| last);
                    assert!(number > last, "number {number} after {last}");
                    self.appended.insert(number, (stamp, what));
                }
                None => {
                    assert_eq!((log.lost(), log.error()), (1, Some(LogError::Flash(FlashFault::Device))));
                    self.cut.push((stamp, what));
                    break;
                }
            }
        }
        let gone = self.flash.gone();
        self.cuts += u32::from(gone.is_some());
        self.in_erases += u32::from(gone.is_some_and(|gone| gone.erase));
    }

    fn check(&mut self) {
        self.flash.power_up(None);
        let mut log = Log::open(&mut self.flash, &SECRET);
        assert_eq!(log.error(), None);
        let found = all(&mut log);
        for (number, event) in &found {
            let was = self.appended.get(number).is_some_and(|appended| appended == event);
            assert!(was || self.cut.contains(event), "{number}: {event:?} was never logged");
        }
        // A block is being filled and the one after it may be erased; the others are whole.
        let slots = ERASE / 64;
        let newest = self.appended.last_key_value().map_or(0, |(&last, _)| last);
        let kept = (newest + 1).saturating_sub(((self.blocks - 2) * slots) as u32);
        for (number, event) in self.appended.range(kept..) {
            assert_eq!(found.get(number), Some(event), "{number} of {newest}");
        }
    }
}

fn at_every_step<const WRITE: usize, const ERASE: usize>(blocks: usize, stride: usize) {
    let events = (2 * blocks * ERASE / 64) as u32;
    let mut whole = Run::<WRITE, ERASE>::new(blocks, 1);
    whole.live(None, events);
    whole.check();
    let steps = whole.flash.steps();
    for cut in (0..steps).step_by(stride) {
        let mut run = Run::<WRITE, ERASE>::new(blocks, 1);
        run.live(Some(Cut::Step(cut)), events);
        assert_eq!(run.cuts, 1, "step {cut} of {steps} was not cut");
        run.check();
        let again = run.random.below(200 / WRITE as u32);
        run.live(Some(Cut::Step(again)), 4);
        run.check();
        run.live(None, 4);
        run.check();
    }
}

fn at_random<const WRITE: usize, const ERASE: usize>(blocks: usize, cuts: u32, seed: u64) {
    let mut run = Run::<WRITE, ERASE>::new(blocks, seed);
    while run.cuts < cuts {
        let units = 64 / WRITE as u32;
        let cut = match run.random.below(4) {
            0 => Cut::Erase(run.random.below(2)),
            1 => Cut::Step(run.random.below(2 * units)),
            _ => Cut::Step(run.random.below((ERASE / WRITE) as u32)),
        };
        let events = run.random.below((ERASE / 64) as u32 * 2);
        run.live(Some(cut), events);
        run.check();
    }
    assert!(run.in_erases * 20 > cuts, "{} of {cuts} cuts were in an erase", run.in_erases);
}

#[test]
fn what_was_appended_outlives_a_cut_at_every_step() {
    at_every_step::<32, 512>(3, 1);
    at_every_step::<8, 512>(4, 5);
    at_every_step::<4, 1024>(2, 11);
    at_every_step::<1, 512>(2, 17);
}

#[test]
fn what_was_appended_outlives_cuts_at_random() {
    for seed in 0..3 {
        at_random::<32, 512>(3, 300, seed);
        at_random::<8, 512>(4, 100, seed);
        at_random::<4, 4096>(3, 20, seed);
        at_random::<1, 512>(2, 100, seed);
    }
}

#[test]
fn blocks_of_128_kb() {
    let mut run = Run::<32, { 128 << 10 }>::new(2, 3);
    run.live(None, 2030);
    for cut in [Cut::Step(20), Cut::Erase(0), Cut::Step(1), Cut::Step(0)] {
        run.live(Some(cut), 30);
    }
    run.check();
    assert!(run.in_erases > 0);
}

#[test]
fn pages_begin_where_they_are_asked_to() {
    let mut log = Log::open(MemoryNor::<_, 4, 512>::new(vec![0xff; 4 * 512]), &SECRET);
    assert_eq!(log.page::<4>(0), Ok(Page { entries: heapless::Vec::new(), next: None }));
    for count in 1..=100 {
        let (stamp, what) = event(count);
        assert_eq!(log.append(stamp, what), Ok(count));
    }
    // Three blocks of eight are full, and four slots of another.
    for from in 0..110 {
        let page = log.page::<3>(from).unwrap();
        let numbers: Vec<u32> = page.entries.iter().map(|entry| entry.number).collect();
        let first = from.max(73);
        let expected: Vec<u32> = (first..=100).take(3).collect();
        assert_eq!((numbers, page.next), (expected, (first + 3 <= 100).then_some(first + 3)), "from {from}");
    }
}

#[test]
fn erasing_leaves_that_alone_and_numbers_go_on() {
    let mut log = Log::open(MemoryNor::<_, 4, 512>::new(vec![0xff; 3 * 512]), &SECRET);
    for count in 1..=13 {
        let (stamp, what) = event(count);
        log.append(stamp, what).unwrap();
    }
    let stamp = event(1).0;
    log.erase(stamp).unwrap();
    let mut log = Log::open(log.into_flash(), &SECRET);
    let entries = all(&mut log);
    assert_eq!(entries.into_iter().collect::<Vec<_>>(), [(17, (stamp, What::LogErased))]);
    assert!(log.append(stamp, What::Boot).unwrap() > 17);
}

#[test]
fn who_lacks_the_secret_reads_nothing_and_changed_records_are_passed_over() {
    let mut log = Log::open(MemoryNor::<_, 4, 512>::new(vec![0xff; 2 * 512]), &SECRET);
    for count in 1..=5 {
        let (stamp, what) = event(count);
        log.append(stamp, what).unwrap();
    }
    let mut bytes = log.into_flash().into_inner();
    let foreign = &mut Log::open(MemoryNor::<_, 4, 512>::new(bytes.clone()), &SoftwareSecret([8; 32]));
    assert!(all(foreign).is_empty());
    bytes[2 * 64 + 30] ^= 4;
    bytes.copy_within(3 * 64..4 * 64, 6 * 64);
    let mut log = Log::open(MemoryNor::<_, 4, 512>::new(bytes), &SECRET);
    assert_eq!(all(&mut log).into_keys().collect::<Vec<_>>(), [1, 2, 4, 5]);
}

#[test]
fn a_record_that_reads_differently_at_the_next_start_shares_its_number_with_no_other() {
    let open = |bytes: Vec<u8>| Log::open(MemoryNor::<_, 4, 512>::new(bytes), &SECRET);
    // The power went in the fifth slot of a block, and in the first.
    for last in [5, 9] {
        let mut log = open(vec![0xff; 3 * 512]);
        for count in 1..=last {
            let (stamp, what) = event(count);
            log.append(stamp, what).unwrap();
        }
        let whole = log.into_flash().into_inner();
        let slot = (last as usize - 1) * 64..last as usize * 64;
        let turned = whole[slot.clone()].iter().map(|byte| byte ^ 4).collect();
        for seen in [vec![0xff; 64], turned] {
            let mut bytes = whole.clone();
            bytes[slot.clone()].copy_from_slice(&seen);
            let mut log = open(bytes);
            let (stamp, what) = event(50);
            let number = log.append(stamp, what).unwrap();
            let mut bytes = log.into_flash().into_inner();
            if bytes[slot.clone()] == seen {
                bytes[slot.clone()].copy_from_slice(&whole[slot.clone()]);
            }
            let mut log = open(bytes);
            let found = all(&mut log);
            assert_eq!(found.get(&number), Some(&event(50)), "{last}");
            for (&number, found) in found.range(..number) {
                assert_eq!(found, &event(number), "{last}");
            }
            assert!(found.len() as u32 >= last, "{found:?}");
            let (stamp, what) = event(51);
            assert!(log.append(stamp, what).unwrap() > number);
        }
    }
}

#[test]
fn the_longest_event_fits() {
    let candidate = Candidate { person: PersonId(u32::MAX), angle: Angle::MAX };
    let stamp = Stamp::Boot { boots: u32::MAX, uptime: Uptime(u64::MAX) };
    let mut log = Log::open(MemoryNor::<_, 4, 512>::new(vec![0xff; 1024]), &SECRET);
    for what in [
        What::Unknown { why: Reason::Wait, nearest: Some(candidate) },
        What::Known(candidate),
        What::Paired { number: u32::MAX, role: 255 },
        What::UpdateRefused { version: u32::MAX },
    ] {
        let number = log.append(stamp, what).unwrap();
        assert_eq!(log.page::<1>(number).unwrap().entries[0], Entry { number, stamp, what });
    }
}

#[test]
fn a_region_that_is_too_small_is_counted_and_told() {
    let mut log = Log::open(MemoryNor::<_, 4, 4096>::new(vec![0xff; 4096]), &SECRET);
    let small = LogError::Small { needed: 8192, found: 4096 };
    assert_eq!((log.error(), log.page::<4>(0).unwrap_err()), (Some(small), small));
    let (stamp, what) = event(1);
    assert_eq!((log.record(stamp, what), log.record(stamp, what)), (None, None));
    assert_eq!((log.lost(), log.error()), (2, Some(small)));
}
