//! Who lies nearest to a probe.

use embedded_storage::nor_flash::NorFlash;

use crate::embedding::{Angle, Likeness, MAX_DIMENSION, angle_from_products, dot, norm_squared};

use super::layout::{Content, MAX_RECORD, Record};
use super::{Gallery, GalleryError, PersonId};

/// A person and the angle between the probe and the nearest of their templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Candidate {
    /// Who.
    pub person: PersonId,
    /// Smaller is more alike.
    pub angle: Angle,
}

/// The two people nearest to a probe; fewer when fewer are enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Nearest {
    /// The nearest person.
    pub best: Option<Candidate>,
    /// The nearest of all other people.
    pub second: Option<Candidate>,
}

impl<F: NorFlash, const PEOPLE: usize> Gallery<F, PEOPLE> {
    /// Looks through all templates. Of two equally alike the one enrolled first wins. A probe of zeros is
    /// [`Angle::MAX`] from everybody.
    ///
    /// # Errors
    /// When the probe does not fit the model, or the gallery is not mounted or was damaged since.
    pub fn nearest(&mut self, probe: &[i8]) -> Result<Nearest, GalleryError> {
        self.state?;
        if probe.len() != self.dimension {
            let (expected, found) = (self.dimension as u32, probe.len() as u32);
            return Err(GalleryError::Dimension { expected, found });
        }
        let mut best: Option<(PersonId, Likeness)> = None;
        let mut second: Option<(PersonId, Likeness)> = None;
        let mut record = [0; MAX_RECORD];
        let mut template = [0i8; MAX_DIMENSION];
        let template = &mut template[..probe.len()];
        let mut seen = 0;
        for slot in 0..self.next_slot {
            let Some(found) = self.read_record(slot, &mut record)? else { continue };
            self.expect(&found, slot, &mut seen)?;
            let Record { person, content: Content::Template { norm_squared, bytes }, .. } = found else {
                continue;
            };
            if self.entry(person).is_err() {
                continue;
            }
            for (value, &byte) in template.iter_mut().zip(bytes) {
                *value = byte as i8;
            }
            let likeness = Likeness { dot: dot(probe, template), norm_squared };
            let beats = |place: Option<(PersonId, Likeness)>| place.is_none_or(|(_, l)| likeness.exceeds(l));
            if beats(best) {
                if best.is_some_and(|(p, _)| p != person) {
                    second = best;
                }
                best = Some((person, likeness));
            } else if best.is_some_and(|(p, _)| p != person) && beats(second) {
                second = Some((person, likeness));
            }
        }
        self.all_seen(seen)?;
        let probe_norm = norm_squared(probe);
        let candidate = |(person, l): (PersonId, Likeness)| Candidate {
            person,
            angle: angle_from_products(l.dot, probe_norm, l.norm_squared),
        };
        Ok(Nearest { best: best.map(candidate), second: second.map(candidate) })
    }
}
