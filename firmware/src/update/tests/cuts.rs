//! Power that goes at any write or erase of an update: the slots and the state together boot with the old model or the new one.

use core::cell::Cell;

use embedded_storage::nor_flash::{ErrorType, ReadNorFlash};

use super::*;
use crate::flash::Alive;
use crate::secret::SoftwareSecret;
use crate::sim::cuts::{Cut, CutFlash, PowerCut};
use crate::state::Store;

const SECRET: SoftwareSecret = SoftwareSecret([7; 32]);

/// A flash that loses its power, with a copy of its bytes to be read in place: what it reads as now.
#[derive(Debug)]
struct Seen<const WRITE: usize, const ERASE: usize> {
    flash: CutFlash<WRITE, ERASE>,
    bytes: Vec<u8>,
    /// Pieces of work that it heard of.
    pieces: Cell<u32>,
}

impl<const WRITE: usize, const ERASE: usize> Seen<WRITE, ERASE> {
    fn new(flash: CutFlash<WRITE, ERASE>) -> Self {
        let mut seen = Seen { bytes: vec![0; flash.capacity()], flash, pieces: Cell::new(0) };
        seen.look();
        seen
    }

    fn look(&mut self) {
        // Without power there is nothing to be read.
        let _ = self.flash.read(0, &mut self.bytes);
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for Seen<WRITE, ERASE> {
    type Error = PowerCut;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for Seen<WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerCut> {
        self.flash.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for Seen<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerCut> {
        let done = self.flash.erase(from, to);
        self.look();
        done
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerCut> {
        let done = self.flash.write(offset, bytes);
        self.look();
        done
    }
}

impl<const WRITE: usize, const ERASE: usize> Alive for Seen<WRITE, ERASE> {
    fn alive(&self) {
        self.pieces.set(self.pieces.get() + 1);
    }
}

impl<const WRITE: usize, const ERASE: usize> SlotFlash for Seen<WRITE, ERASE> {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[test]
fn a_slot_hears_of_each_run_of_the_trial() {
    let mut slots = Slots::new([1, 2].map(|seed| Seen::<4, 1024>::new(CutFlash::new(8, seed))), verifier());
    let whole = image(&key(), 1, &embedder(1, SIDE), Some(&maps::plan()));
    let vectors = Header::read(whole.first_chunk::<HEADER>().unwrap()).unwrap().0.vectors;
    let accepted = send(&mut slots, &State::unknown(), &whole, &mut Random::new(1)).unwrap();
    let heard = |slots: Slots<Seen<4, 1024>>| slots.into_flashes().map(|flash| flash.pieces.get());
    let tried = 2 * vectors;
    assert_eq!(heard(slots), if accepted.slot == Slot::A { [tried, 0] } else { [0, tried] });
}

/// Two slots and a state, each a chip of its own; the power of all goes with that of one.
#[derive(Clone)]
struct Board<const WRITE: usize, const ERASE: usize> {
    slots: [CutFlash<WRITE, ERASE>; 2],
    state: CutFlash<WRITE, 4096>,
    /// The version that runs, and one whose acceptance was cut.
    version: u32,
    begun: Option<u32>,
    random: Random,
    cuts: u32,
    /// Of these, in a slot and in the state.
    cut_in: [u32; 2],
}

/// Which chip's power goes.
#[derive(Debug, Clone, Copy)]
enum Chip {
    Inactive,
    State,
}

impl<const WRITE: usize, const ERASE: usize> Board<WRITE, ERASE> {
    fn new(blocks: usize, seed: u64) -> Self {
        let slots = [seed, seed + 1].map(|seed| CutFlash::new(blocks, seed));
        let (state, random) = (CutFlash::new(2, seed + 2), Random::new(seed));
        let mut board = Board { slots, state, version: 0, begun: None, random, cuts: 0, cut_in: [0; 2] };
        board.live(None, 1);
        assert_eq!(board.version, 1);
        board
    }

    /// Boots and takes an update to `version`; the power goes at `cut`.
    fn live(&mut self, cut: Option<(Chip, Cut)>, version: u32) {
        let mut slots = self.slots.clone();
        slots.iter_mut().for_each(|slot| slot.power_up(None));
        self.state.power_up(cut.filter(|(chip, _)| matches!(chip, Chip::State)).map(|(_, cut)| cut));
        let Ok(mut store) = Store::open(&mut self.state, &SECRET) else {
            (self.cuts, self.cut_in[1]) = (self.cuts + 1, self.cut_in[1] + 1);
            return;
        };
        let mut slots = Slots::new(slots.map(Seen::new), verifier());
        let mut active = None;
        if self.version > 0 {
            let booted = boots(&mut slots, store.state());
            let Ok((slot, found, None)) = booted else { panic!("{booted:?} after {}", self.version) };
            assert!(found == self.version || Some(found) == self.begun, "{found} after {}", self.version);
            (self.version, self.begun) = (found, None);
            assert_eq!(store.state().model_floor, found);
            active = Some(slot);
        }
        let target = active.unwrap_or(store.state().active).other() as usize;
        if let Some((Chip::Inactive, cut)) = cut {
            let mut flashes = slots.into_flashes().map(|seen| seen.flash);
            flashes[target].arm(cut);
            slots = Slots::new(flashes.map(Seen::new), verifier());
            if self.version > 0 {
                boots(&mut slots, store.state()).unwrap();
            }
        }
        let next = image(&key(), version, &embedder(version as u8, SIDE), None);
        let state = store.state().clone();
        let sent = send(&mut slots, &state, &next, &mut self.random);
        self.slots = slots.into_flashes().map(|seen| seen.flash);
        match sent {
            Ok(accepted) => match store.update(|state| accepted.apply(state)) {
                Ok(()) => self.version = version,
                Err(_) => {
                    self.begun = Some(version);
                    (self.cuts, self.cut_in[1]) = (self.cuts + 1, self.cut_in[1] + 1);
                }
            },
            Err(_) => {
                assert!(self.slots[target].gone().is_some(), "{sent:?}");
                (self.cuts, self.cut_in[0]) = (self.cuts + 1, self.cut_in[0] + 1);
            }
        }
    }
}

fn at_every_step<const WRITE: usize, const ERASE: usize>(blocks: usize, stride: usize) {
    let old = Board::<WRITE, ERASE>::new(blocks, 1);
    for chip in [Chip::Inactive, Chip::State] {
        for step in (0u32..).step_by(stride) {
            let mut board = old.clone();
            board.live(Some((chip, Cut::Step(step))), 2);
            let cut = board.cuts > 0;
            // The next time it works.
            board.live(None, 3);
            assert_eq!(board.version, 3, "{chip:?}, step {step}");
            if !cut {
                break;
            }
        }
    }
}

#[test]
fn cut_at_every_step_the_old_model_boots_or_the_new_one() {
    at_every_step::<32, 1024>(2, 1);
    at_every_step::<8, 4096>(1, 3);
    at_every_step::<4, 4096>(1, 7);
    at_every_step::<1, 1024>(2, 29);
}

#[test]
fn cut_in_blocks_of_128_kb_the_old_model_boots_or_the_new_one() {
    at_every_step::<32, { 128 << 10 }>(1, 5);
}

#[test]
fn cut_at_random_the_old_model_boots_or_the_new_one() {
    let mut board = Board::<8, 1024>::new(2, 77);
    let mut version = 1;
    while board.cuts < 150 {
        version = version % 250 + 1;
        let version = version.max(board.version).max(board.begun.unwrap_or(0));
        let chip = if board.random.below(2) == 0 { Chip::Inactive } else { Chip::State };
        let step = Cut::Step(board.random.below(if matches!(chip, Chip::State) { 200 } else { 130 }));
        board.live(Some((chip, step)), version);
    }
    assert!(board.cut_in.iter().all(|&cuts| cuts > 30), "{:?}", board.cut_in);
}

#[test]
fn cut_at_every_step_the_programs_model_is_put_in_at_the_next_start() {
    let (carried, state) = (image(&key(), 3, &embedder(3, SIDE), None), State::unknown());
    let empty = [1, 2].map(|seed| CutFlash::<8, 1024>::new(2, seed));
    let mut cuts = 0;
    for step in 0.. {
        let mut flashes = empty.clone();
        flashes.iter_mut().for_each(|flash| flash.power_up(Some(Cut::Step(step))));
        let mut slots = Slots::new(flashes.map(Seen::new), verifier());
        let installed = with_room(|room| slots.install(&carried, &state, room));
        let mut flashes = slots.into_flashes().map(|seen| seen.flash);
        let cut = flashes.iter().any(|flash| flash.gone().is_some());
        assert!(cut || matches!(installed, Ok(Some(_))), "{installed:?} without a cut, step {step}");
        flashes.iter_mut().for_each(|flash| flash.power_up(None));
        let mut slots = Slots::new(flashes.map(Seen::new), verifier());
        let again = with_room(|room| slots.install(&carried, &state, room));
        assert!(again.is_ok(), "{again:?} after a cut at step {step}");
        assert!(matches!(boots(&mut slots, &state), Ok((_, 3, None))), "step {step}");
        if !cut {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 10, "{cuts}");
}
