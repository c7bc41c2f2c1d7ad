//! The opened templates of a gallery, in RAM: what a search reads instead of flash.
//!
//! ```text
//! memory  +-------+-------+-- -- --+-------+-- -- --+--------+-- -- --+--------+
//!         | row 0 | row 1 |        | row n |        | owners |        | owners |
//!         +-------+-------+-- -- --+-------+-- -- --+--------+-- -- --+--------+
//! row     a template, as `kernels::dot` keeps it    in the order in which templates were enrolled
//! owner   0  u32 person id    4  u32 squared norm   eight in a line, in the order of the rows
//! ```
//!
//! How many templates fit follows from the lines of the memory and the model's dimension. Templates of people removed are
//! overwritten.

use super::PersonId;
use super::layout::record_bytes;
use crate::bytes::copy;
use crate::embedding::{Likeness, MAX_DIMENSION, norm_squared};
use crate::kernels::dot::{LINE, Line, holds, lines, store};

/// Bytes of an owner.
const OWNER: usize = 8;

/// Owners in a line.
const OWNERS: usize = LINE / OWNER;

/// Lines of memory for an index of `templates` templates of `dimension` values.
pub const fn index_lines(templates: usize, dimension: usize) -> usize {
    templates * lines(dimension) + templates.div_ceil(OWNERS)
}

/// Records that a flash of `flash` bytes holds at most, for any model and with sectors of any size.
pub const fn records_of_flash(flash: usize) -> usize {
    flash / record_bytes(1)
}

/// Lines of memory for an index of whatever a flash of `flash` bytes can hold, for any model.
pub const fn index_lines_of_flash(flash: usize) -> usize {
    let (mut most, mut dimension) = (0, 1);
    while dimension <= MAX_DIMENSION {
        let needed = index_lines(flash / record_bytes(dimension), dimension);
        most = if needed > most { needed } else { most };
        dimension += 1;
    }
    most
}

/// Templates of rows of `row` lines that fit into `memory` lines, each with its owner.
const fn capacity(memory: usize, row: usize) -> usize {
    // A block is as many rows as share a line of owners.
    let block = OWNERS * row + 1;
    memory / block * OWNERS + (memory % block).saturating_sub(1) / if row == 0 { 1 } else { row }
}

/// Whose template a row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Who.
    pub person: PersonId,
    /// The squared norm of the template, not 0.
    pub norm_squared: i32,
}

impl Owner {
    fn encode(self) -> [u8; OWNER] {
        let [a, b, c, d] = self.person.0.to_le_bytes();
        let [e, f, g, h] = self.norm_squared.to_le_bytes();
        [a, b, c, d, e, f, g, h]
    }

    fn decode([a, b, c, d, e, f, g, h]: [u8; OWNER]) -> Self {
        let norm_squared = i32::from_le_bytes([e, f, g, h]);
        Owner { person: PersonId(u32::from_le_bytes([a, b, c, d])), norm_squared }
    }
}

/// No template is shorter or longer than this.
#[derive(Debug, Clone, Copy)]
struct Lengths {
    least: u32,
    greatest: u32,
}

impl Lengths {
    const NONE: Lengths = Lengths { least: u32::MAX, greatest: 0 };
}

/// Templates of one model in lines of memory `T`, an array on a device.
#[derive(Debug)]
pub struct Index<T> {
    memory: T,
    dimension: usize,
    length: usize,
    /// Of all templates since the index was empty.
    lengths: Lengths,
}

impl<T: AsRef<[Line]> + AsMut<[Line]>> Index<T> {
    /// An empty index of templates of `dimension` values, `1..=MAX_DIMENSION`; others become the nearest of these.
    pub fn new(memory: T, dimension: usize) -> Self {
        let dimension = dimension.clamp(1, MAX_DIMENSION);
        Index { memory, dimension, length: 0, lengths: Lengths::NONE }
    }

    /// Removes all templates; others that come have `dimension` values, as in [`Index::new`].
    pub fn set_dimension(&mut self, dimension: usize) {
        self.clear();
        self.dimension = dimension.clamp(1, MAX_DIMENSION);
    }

    /// Values of a template.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Templates in it.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Templates that fit.
    pub fn capacity(&self) -> usize {
        capacity(self.memory.as_ref().len(), lines(self.dimension))
    }

    /// Adds a template after all others; `false`, and nothing is changed, if there is no room, or it is of another length or
    /// of zeros.
    pub fn push(&mut self, person: PersonId, template: &[i8]) -> bool {
        let norm_squared = norm_squared(template);
        if template.len() != self.dimension || norm_squared == 0 || self.length == self.capacity() {
            return false;
        }
        let (at, row) = (self.length, lines(self.dimension));
        let place = self.memory.as_mut().get_mut(at * row..).and_then(|tail| tail.get_mut(..row));
        let Some(place) = place else { return false };
        store(template, place);
        let Some(owner) = self.owner_bytes(at) else { return false };
        *owner = Owner { person, norm_squared }.encode();
        self.length += 1;
        let norm = norm_squared as u32;
        self.lengths.least = self.lengths.least.min(norm.isqrt());
        self.lengths.greatest = self.lengths.greatest.max(ceil_sqrt(norm));
        true
    }

    /// Removes the templates of `person`; the others keep their order.
    pub fn remove(&mut self, person: PersonId) {
        let (row, mut kept) = (lines(self.dimension), 0);
        for at in 0..self.length {
            let Some(owner) = self.owner(at).filter(|owner| owner.person != person) else { continue };
            if kept < at
                && let Some((before, rest)) = self.memory.as_mut().split_at_mut_checked(at * row)
                && let Some(place) = before.get_mut(kept * row..).and_then(|tail| tail.get_mut(..row))
                && let Some(moved) = rest.get(..row)
            {
                copy(moved, place);
            }
            if let Some(place) = self.owner_bytes(kept) {
                *place = owner.encode();
            }
            kept += 1;
        }
        self.truncate(kept);
    }

    /// Removes all templates.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    fn truncate(&mut self, kept: usize) {
        let row = lines(self.dimension);
        if let Some(rows) = self.memory.as_mut().get_mut(kept * row..self.length * row) {
            rows.fill(Line::ZERO);
        }
        self.length = kept;
        if kept == 0 {
            self.lengths = Lengths::NONE;
        }
    }

    /// The rows, one after the other.
    pub fn rows(&self) -> &[Line] {
        self.memory.as_ref().get(..self.length * lines(self.dimension)).unwrap_or_default()
    }

    /// Whose template row `at` holds; of rows that [`Index::len`] does not count whatever lies there.
    pub fn owner(&self, at: usize) -> Option<Owner> {
        let (line, place) = self.owner_place(at);
        self.memory.as_ref().get(line)?.bytes().as_chunks().0.get(place).copied().map(Owner::decode)
    }

    /// Whether one of the rows holds `template`, of `person`.
    pub fn contains(&self, person: PersonId, template: &[i8]) -> bool {
        let owner = Owner { person, norm_squared: norm_squared(template) };
        let mut rows = (0..self.length).zip(self.rows().chunks_exact(lines(self.dimension).max(1)));
        rows.any(|(at, row)| self.owner(at) == Some(owner) && holds(row, template))
    }

    /// A product with the same probe that a template must exceed to be nearer than `to`: whoever does not need not be compared.
    /// It is as high as the templates' lengths, which differ little, and a few operations allow.
    pub(super) fn bound(&self, to: Likeness) -> i32 {
        // A template is nearer if its product is above `to.dot / to.length * its length`; so it is not if it is not above that
        // with the least length or, where `to.dot` is negative, the greatest. In 256ths, which 32 bits hold.
        let dot = to.dot.unsigned_abs().min(1 << 23) << 8;
        let norm = to.norm_squared.unsigned_abs();
        let scaled = |ratio: u32, length: u32| ((ratio as u64 * length as u64) >> 8) as i32;
        if to.dot >= 0 {
            scaled(dot / ceil_sqrt(norm), self.lengths.least)
        } else {
            -scaled(dot / norm.isqrt().max(1) + 1, self.lengths.greatest) - 1
        }
    }

    fn owner_place(&self, at: usize) -> (usize, usize) {
        (self.capacity() * lines(self.dimension) + at / OWNERS, at % OWNERS)
    }

    fn owner_bytes(&mut self, at: usize) -> Option<&mut [u8; OWNER]> {
        let (line, place) = self.owner_place(at);
        self.memory.as_mut().get_mut(line)?.bytes_mut().as_chunks_mut().0.get_mut(place)
    }
}

/// The square root of `value`, rounded up; 1 for 0, so that it divides.
fn ceil_sqrt(value: u32) -> u32 {
    value.saturating_sub(1).isqrt() + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn as_many_fit_as_are_said_to() {
        for dimension in [1, 64, 65, 128, 200, 512] {
            for memory in 0..300 {
                let fit = capacity(memory, lines(dimension));
                assert!(index_lines(fit, dimension) <= memory, "{memory} lines, {dimension} values");
                assert!(index_lines(fit + 1, dimension) > memory, "{memory} lines, {dimension} values");
            }
        }
    }

    #[test]
    fn whatever_a_flash_holds_fits() {
        let memory = index_lines_of_flash(1 << 20);
        for dimension in 1..=MAX_DIMENSION {
            let records = (1 << 20) / record_bytes(dimension);
            assert!(capacity(memory, lines(dimension)) >= records, "{dimension} values");
        }
    }

    #[test]
    fn full_is_full_and_a_removal_keeps_the_order() {
        let mut index = Index::new([Line::ZERO; index_lines(9, 70)], 70);
        let template = |seed: i8| [seed; 70];
        for seed in 1..=9 {
            assert!(index.push(PersonId(seed as u32 % 3), &template(seed)));
        }
        assert!(!index.push(PersonId(1), &template(1)) && index.len() == 9);
        index.remove(PersonId(1));
        let left = [2, 3, 5, 6, 8, 9];
        assert_eq!(index.len(), left.len());
        for (at, seed) in left.into_iter().enumerate() {
            let person = PersonId(seed as u32 % 3);
            assert!(index.contains(person, &template(seed)), "{seed}");
            assert_eq!(index.owner(at).map(|owner| owner.person), Some(person));
        }
        assert!(!index.contains(PersonId(1), &template(1)), "removed");
        assert!(!index.push(PersonId(1), &[0; 70]) && !index.push(PersonId(1), &[1; 69]));
    }

    proptest! {
        /// Whatever beats a likeness has a product above its bound.
        #[test]
        fn the_bound_hides_nobody(
            templates in prop::collection::vec(prop::collection::vec(any::<i8>(), 5), 1..9),
            probe in prop::collection::vec(any::<i8>(), 5),
        ) {
            let mut index = Index::new(vec![Line::ZERO; index_lines(9, 5)], 5);
            for template in &templates {
                index.push(PersonId(1), template);
            }
            let likeness = |t: &Vec<i8>| Likeness {
                dot: crate::embedding::dot(&probe, t),
                norm_squared: norm_squared(t),
            };
            let all: Vec<_> = templates.iter().map(likeness).filter(|l| l.norm_squared > 0).collect();
            for to in &all {
                let bound = index.bound(*to);
                for one in &all {
                    prop_assert!(one.dot > bound || !one.exceeds(*to), "{:?} {:?} {}", one, to, bound);
                }
                prop_assert!(to.dot < 0 || bound <= to.dot);
            }
        }
    }
}
