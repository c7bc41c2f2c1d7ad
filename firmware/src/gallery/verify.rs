//! Looking at every record: what is damaged, and whose it is.

use embedded_storage::nor_flash::NorFlash;
use serde::{Deserialize, Serialize};

use super::layout::{Found, MAX_RECORD};
use super::{Gallery, GalleryError, Monotonic, PersonId, Room};
use crate::kernels::as_i8;

/// How bad a damage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Harm {
    /// A bit had turned, which a checksum turns back: nothing is lost.
    Repaired,
    /// A template's copy in RAM differed from the flash; it is opened anew.
    Memory,
    /// A record cannot be read.
    Record,
    /// A sector cannot be read, or was put there by somebody else or from an older state.
    Sector,
}

impl Harm {
    /// Whether something enrolled or stored is gone.
    pub fn is_loss(self) -> bool {
        matches!(self, Harm::Record | Harm::Sector)
    }
}

/// Something damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Damage {
    /// How bad it is.
    pub harm: Harm,
    /// Where the header or record begins; 0 of a sector that is missing.
    pub offset: u32,
    /// Whose it is, where that can still be read.
    pub person: Option<PersonId>,
}

impl<F: NorFlash, Y: Room, M: Monotonic> Gallery<F, Y, M> {
    /// How many damages [`Gallery::verify`] finds. Once in the flash.
    ///
    /// # Errors
    /// As [`Gallery::verify`].
    #[inline(never)]
    pub fn damages(&mut self) -> Result<u32, GalleryError> {
        self.verify(|_| ())
    }

    /// Checks every seal and every template in RAM, and hands each damage to `report`; returns how many there are. What is
    /// damaged takes no part in searches, and everything else does.
    ///
    /// # Errors
    /// When the gallery is not mounted or the flash fails.
    pub fn verify(&mut self, mut report: impl FnMut(Damage)) -> Result<u32, GalleryError> {
        self.state?;
        let mut count = 0;
        let mut tell = |harm, offset, person: PersonId| {
            count += 1;
            report(Damage { harm, offset, person: Some(person).filter(|p| p.0 != 0) });
        };
        for _ in 0..self.missing + self.foreign {
            tell(Harm::Sector, 0, PersonId(0));
        }
        for sector in 0..self.sectors() {
            let Some(header) = self.counting(sector)? else { continue };
            if let Found::Repaired(_) = self.header(sector)? {
                tell(Harm::Repaired, self.sector_offset(sector), PersonId(0));
            }
            for slot in sector * self.slots()..(sector + 1) * self.slots() {
                match self.clear_part(&header, slot)? {
                    Some(Found::Repaired(clear)) => {
                        tell(Harm::Repaired, self.slot_offset(slot), clear.person);
                    }
                    Some(Found::Unreadable) => tell(Harm::Record, self.slot_offset(slot), PersonId(0)),
                    Some(Found::Whole(_)) | None => {}
                }
            }
        }
        for at in 0..self.table.list().len() {
            let Some(entry) = self.table.get(at) else { break };
            let (offset, person) = (self.slot_offset(entry.slot), entry.person);
            let mut bytes = [0; MAX_RECORD];
            match self.open_entry(at, &mut bytes)? {
                Some(payload) if entry.is_opened() => {
                    let is_same = |stored| self.index.contains(person, stored);
                    if !self.stored(payload).is_some_and(is_same) {
                        tell(Harm::Memory, offset, person);
                        self.close_all();
                    }
                }
                Some(_) => {}
                None if person.0 != 0 => tell(Harm::Record, offset, person),
                // Told with its slot above, or gone with the sector that it was in.
                None => {
                    let lost = self.open_slot(entry.slot, &mut bytes)?.is_some();
                    if lost {
                        tell(Harm::Record, offset, person);
                    }
                }
            }
        }
        Ok(count)
    }

    /// Hands every template of somebody enrolled that can be read, as it is stored, to `take`, with its person and number.
    ///
    /// # Errors
    /// When the gallery is not mounted or the flash fails.
    pub fn each_template(&mut self, mut take: impl FnMut(PersonId, u16, &[i8])) -> Result<(), GalleryError> {
        self.state?;
        let dimension = self.dimension;
        for at in 0..self.table.list().len() {
            let Some(entry) = self.table.get(at) else { break };
            let mut bytes = [0; MAX_RECORD];
            if entry.is_template()
                && let Some(payload) = self.open_entry(at, &mut bytes)?
            {
                take(entry.person, entry.number(), as_i8(&payload[..dimension]));
            }
        }
        Ok(())
    }

    /// Forgets all opened templates; searches open them again.
    pub(super) fn close_all(&mut self) {
        self.index.clear();
        self.table.list_mut().iter_mut().for_each(|entry| entry.set_opened(false));
    }
}
