//! The state against a plain copy of it: power cuts at every step and at random, damage, other devices.

use super::*;
use crate::flash::nor::MemoryNor;
use crate::pairings::{LABEL, Label, Pairings, PairingsError, Role};
use crate::secret::SoftwareSecret;
use crate::sim::cuts::{Cut, CutFlash, Random};

const SECRET: SoftwareSecret = SoftwareSecret([7; 32]);

fn pairing(host: u16) -> Pairing {
    Pairing { host, role: Role::Operator, key: [host as u8; 32], label: Label::try_from("door").unwrap() }
}

/// Changes one thing or another.
fn change(random: &mut Random, state: &mut State) {
    match random.below(5) {
        0 => state.failures = random.bits() as u8,
        1 => state.active = state.active.other(),
        2 => state.model_floor += 1,
        3 => state.pairings.clear(),
        _ => {
            let host = random.bits() as u16;
            if let Err(one_more) = state.pairings.push(pairing(host)) {
                state.pairings[0] = one_more;
            }
        }
    }
}

/// What was promised to be kept, and what an operation that was cut would have made of it.
struct Run<const WRITE: usize, const ERASE: usize> {
    flash: CutFlash<WRITE, ERASE>,
    kept: State,
    begun: Option<State>,
    random: Random,
    cuts: u32,
    in_erases: u32,
}

impl<const WRITE: usize, const ERASE: usize> Run<WRITE, ERASE> {
    fn new(blocks: usize, seed: u64) -> Self {
        let flash = CutFlash::new(blocks, seed);
        let (kept, begun) = (State { boots: 0, ..State::unknown() }, None);
        Run { flash, kept, begun, random: Random::new(seed), cuts: 0, in_erases: 0 }
    }

    /// Boots, and makes changes until the power goes at `cut`; whether it went.
    fn live(&mut self, cut: Option<Cut>, changes: u32) -> bool {
        self.flash.power_up(cut);
        if let Ok(mut store) = Store::open(&mut self.flash, &SECRET) {
            let state = store.state().clone();
            assert!(state.boots > self.kept.boots, "boots {} after {}", state.boots, self.kept.boots);
            let same = |other: &State| State { boots: state.boots, ..other.clone() } == state;
            assert!(
                same(&self.kept) || self.begun.as_ref().is_some_and(same),
                "{state:?}\nis neither {:?}\nnor {:?}",
                self.kept,
                self.begun
            );
            (self.kept, self.begun) = (state, None);
            for _ in 0..changes {
                let mut changed = self.kept.clone();
                change(&mut self.random, &mut changed);
                if store.update(|state| *state = changed.clone()).is_err() {
                    self.begun = Some(changed);
                    break;
                }
                assert_eq!(store.state(), &changed);
                self.kept = changed;
            }
        }
        let gone = self.flash.gone();
        self.cuts += u32::from(gone.is_some());
        self.in_erases += u32::from(gone.is_some_and(|gone| gone.erase));
        gone.is_some()
    }
}

/// A life of changes cut at every step of it, and the boot after that cut again at one of its first steps.
fn at_every_step<const WRITE: usize, const ERASE: usize>(blocks: usize, stride: usize) {
    let mut whole = Run::<WRITE, ERASE>::new(blocks, 1);
    whole.live(None, 12);
    let steps = whole.flash.steps();
    for cut in (0..steps).step_by(stride) {
        let mut run = Run::<WRITE, ERASE>::new(blocks, 1);
        assert!(run.live(Some(Cut::Step(cut)), 12), "step {cut} of {steps} was not cut");
        let again = run.random.below(800 / WRITE as u32);
        run.live(Some(Cut::Step(again)), 2);
        run.live(None, 1);
        run.live(None, 0);
    }
}

/// Cuts at random, most of them soon after the last.
fn at_random<const WRITE: usize, const ERASE: usize>(blocks: usize, cuts: u32, seed: u64) {
    let mut run = Run::<WRITE, ERASE>::new(blocks, seed);
    while run.cuts < cuts {
        let units = 704 / WRITE as u32;
        let cut = match run.random.below(8) {
            0 => Cut::Erase(run.random.below(3)),
            1..4 => Cut::Step(run.random.below(units)),
            // At a claim, a record or a mark and nothing before it.
            4 => Cut::Step(run.random.below(3)),
            _ => Cut::Step(run.random.below(6 * units)),
        };
        let changes = run.random.below(8);
        run.live(Some(cut), changes);
    }
    assert!(run.in_erases * 50 > cuts, "{} of {cuts} cuts were in an erase", run.in_erases);
}

#[test]
fn cut_at_every_step_it_is_as_before_or_as_after() {
    at_every_step::<32, 2048>(2, 1);
    at_every_step::<8, 4096>(2, 1);
    at_every_step::<4, 4096>(3, 3);
    at_every_step::<1, 4096>(2, 19);
}

#[test]
fn cut_at_random_it_is_as_before_or_as_after() {
    for seed in 0..3 {
        at_random::<32, 2048>(2, 800, seed);
        at_random::<8, 4096>(2, 200, seed);
        at_random::<4, 4096>(4, 100, seed);
        at_random::<1, 4096>(2, 100, seed);
    }
}

#[test]
fn cut_in_blocks_of_128_kb_it_is_as_before_or_as_after() {
    let mut run = Run::<32, { 128 << 10 }>::new(2, 5);
    // Nearly two blocks full, so that cuts meet erases.
    for _ in 0..12 {
        run.live(None, 14);
    }
    for _ in 0..60 {
        let cut = match run.random.below(4) {
            0 => Cut::Erase(0),
            _ => Cut::Step(run.random.below(120)),
        };
        run.live(Some(cut), 40);
    }
    assert!(run.in_erases > 0);
}

fn open<const ERASE: usize>(bytes: Vec<u8>) -> Store<MemoryNor<Vec<u8>, 4, ERASE>> {
    Store::open(MemoryNor::new(bytes), &SECRET).unwrap()
}

type Vec<V> = std::vec::Vec<V>;

#[test]
fn the_longest_state_fits_and_comes_back() {
    let mut store = open::<4096>(vec![0xff; 8192]);
    assert_eq!((store.found(), store.state().failures), (Found::Blank, FAILURES_UNKNOWN));
    let label = Label::try_from(&*"x".repeat(LABEL)).unwrap();
    let most = Pairing { host: u16::MAX, role: Role::Administrator, key: [0xff; 32], label };
    let longest = State {
        boots: u32::MAX,
        pairings: core::iter::repeat_n(most, PAIRINGS).collect(),
        active: Slot::B,
        model_floor: u32::MAX,
        failures: 255,
        bundle_version: u32::MAX,
        bundle_is_spent: true,
        bundle_begun: u32::MAX,
    };
    store.update(|state| *state = longest.clone()).unwrap();
    let store = open::<4096>(store.into_flash().into_inner());
    // Boots stay where they cannot be counted any more.
    assert_eq!((store.found(), store.state()), (Found::Whole, &longest));
}

#[test]
fn a_state_of_before_there_were_bundles_is_read() {
    let mut payload = [0; 64];
    let before = (7u32, heapless::Vec::<Pairing, PAIRINGS>::new(), Slot::B, 3u32, 2u8);
    crate::wire::write(&before, &mut payload).unwrap();
    let expected = State { boots: 7, active: Slot::B, model_floor: 3, failures: 2, ..State::unknown() };
    assert_eq!(crate::wire::read::<State>(&payload).map(|(state, _)| state), Some(expected));
}

#[test]
fn all_blocks_wear_alike() {
    let mut flash = CutFlash::<4, 4096>::new(3, 0);
    let mut store = Store::open(&mut flash, &SECRET).unwrap();
    let mut erased = [0; 3];
    for round in 0..150 {
        let before = store.counting.unwrap().block;
        store.update(|state| state.failures = round as u8).unwrap();
        let block = store.counting.unwrap().block;
        erased[block as usize] += u32::from(block != before);
    }
    assert!(erased.iter().max().unwrap() - erased.iter().min().unwrap() <= 1, "{erased:?}");
    // What stays as it was is not written.
    let number = store.counting.unwrap().number;
    store.update(|_| ()).unwrap();
    assert_eq!(store.counting.unwrap().number, number);
}

#[test]
fn what_is_no_state_of_this_device_is_begun_anew() {
    let mut store = open::<4096>(vec![0xff; 8192]);
    store.update(|state| state.pairings.push(pairing(1)).unwrap()).unwrap();
    store.update(|state| state.failures = 2).unwrap();
    let bytes = store.into_flash().into_inner();
    let whole = open::<4096>(bytes.clone());
    assert_eq!((whole.found(), whole.state().failures, whole.state().boots), (Found::Whole, 2, 2));
    let foreign = Store::open(MemoryNor::<_, 4, 4096>::new(bytes.clone()), &SoftwareSecret([8; 32])).unwrap();
    let anew = State { boots: 1, ..State::unknown() };
    assert_eq!((foreign.found(), foreign.state()), (Found::Damaged, &anew));
    // A newer record that is damaged leaves the one before it; all of them damaged leave nothing.
    let mut damaged = bytes.clone();
    damaged[2 * 704 + 100] ^= 1;
    assert_eq!(open::<4096>(damaged.clone()).state().failures, FAILURES_UNKNOWN);
    assert_eq!(open::<4096>(damaged.clone()).state().pairings.len(), 1);
    (damaged[100], damaged[704 + 100]) = (0, 0);
    let none = open::<4096>(damaged);
    assert_eq!((none.found(), none.state()), (Found::Damaged, &anew));
    // An older record put in the place of a newer one opens nowhere.
    let mut moved = bytes;
    moved.copy_within(704..2 * 704, 2 * 704);
    moved.copy_within(704..2 * 704, 3 * 704);
    let found = open::<4096>(moved);
    assert_eq!((found.state().failures, found.state().boots), (FAILURES_UNKNOWN, 2));
}

#[test]
fn a_mark_that_reads_differently_at_the_next_boot_takes_nothing_back() {
    const MARK: core::ops::Range<usize> = 2 * 704 + 672..3 * 704;
    let mut store = open::<4096>(vec![0xff; 8192]);
    store.update(|state| state.failures = 1).unwrap();
    // The power goes in the mark of this one, in the third slot.
    store.update(|state| state.failures = 2).unwrap();
    let whole = store.into_flash().into_inner();
    assert!(
        whole[MARK].iter().all(|&byte| byte == 0) && whole[MARK.end..4096].iter().all(|&byte| byte == 0xff)
    );
    for (first, second, failures) in [(0xff, 0, 1), (0xff, 0xfe, 1), (0, 0xff, 2), (0xbf, 0xff, 2)] {
        // So many changes after the first boot.
        for changes in 0..3 {
            let (mut bytes, mut failures) = (whole.clone(), failures);
            bytes[MARK].fill(first);
            let mut store = open::<4096>(bytes);
            assert_eq!((store.state().failures, store.state().boots), (failures, 2));
            for change in 0..changes {
                failures = 10 + change;
                store.update(|state| state.failures = failures).unwrap();
            }
            let mut bytes = store.into_flash().into_inner();
            bytes[MARK].fill(second);
            let store = open::<4096>(bytes);
            let case = format!("{first:#x}, then {second:#x}, {changes} changes");
            assert_eq!((store.state().failures, store.state().boots), (failures, 3), "{case}");
        }
    }
}

#[test]
fn a_flash_that_fails_is_no_blank_one() {
    let small = Store::open(MemoryNor::<_, 4, 4096>::new(vec![0xff; 4096]), &SECRET).unwrap_err();
    assert_eq!(small, StateError::Small { needed: 8192, found: 4096 });
    let small = Store::open(MemoryNor::<_, 4, 1024>::new(vec![0xff; 4096]), &SECRET).unwrap_err();
    assert_eq!(small, StateError::Small { needed: 4096, found: 4096 });
    let mut flash = CutFlash::<4, 4096>::new(2, 0);
    Store::open(&mut flash, &SECRET).unwrap().update(|state| state.model_floor = 7).unwrap();
    flash.power_up(Some(Cut::Step(0)));
    let mut store = Store::open(&mut flash, &SECRET);
    assert_eq!(store.as_mut().unwrap_err(), &StateError::Flash(FlashFault::Device));
    flash.power_up(None);
    assert_eq!(Store::open(&mut flash, &SECRET).unwrap().state().model_floor, 7);
}

#[test]
fn it_keeps_the_hosts_that_the_device_is_paired_with() {
    let mut store = open::<4096>(vec![0xff; 8192]);
    for host in 0..PAIRINGS as u16 {
        store.add(pairing(host)).unwrap();
    }
    assert_eq!(store.add(pairing(99)), Err(PairingsError::Full { capacity: 8 }));
    store.remove(3).unwrap();
    assert_eq!(store.remove(3), Err(PairingsError::Unknown { host: 3 }));
    let store = open::<4096>(store.into_flash().into_inner());
    let hosts: Vec<u16> = store.list().iter().map(|pairing| pairing.host).collect();
    assert_eq!(hosts, [0, 1, 2, 4, 5, 6, 7]);
    assert_eq!(store.get(4), Some(&pairing(4)));
    // A flash that fails changes nothing.
    let mut flash = CutFlash::<4, 4096>::new(2, 0);
    flash.power_up(Some(Cut::Step(600)));
    let mut store = Store::open(&mut flash, &SECRET).unwrap();
    let kept = (0..).take_while(|&host| store.add(pairing(host)).is_ok()).count();
    assert_eq!((store.add(pairing(9)), store.list().len()), (Err(PairingsError::Storage), kept));
}
