//! Requests for bundles: a backup on its way out, people on their way in.

use crate::engine::Embedder;
use crate::events::What;
use crate::gallery::GalleryError;
use crate::link::{Fault, Reply};

use super::backup::Outgoing;
use super::restore::{Incoming, Terms, Wish};
use super::service::Core;
use super::{Event, Hardware, Updates};

// Frames of their own: none of this lies on the stack while a model runs.
impl<H: Hardware> Core<H> {
    /// Begins a backup; one that is under way is given up.
    #[inline(never)]
    pub(super) fn begin_backup(&mut self, salt: &[u8; 32]) -> Result<Reply<'_>, Fault> {
        let Core { gallery, keys, backup, .. } = self;
        if let Err(GalleryError::WrongModel { .. }) = gallery.state() {
            // The people of the model before can still be taken along.
            let bound = gallery.binding_in_flash()?;
            gallery.rebind(bound);
        }
        let backup = backup.insert(Outgoing::begin(gallery, keys, salt)?);
        let (records, damaged) = (backup.records(), backup.damaged());
        Ok(Reply::Bundle { records, damaged, header: backup.header() })
    }

    /// The next record of the backup.
    #[inline(never)]
    pub(super) fn backup_record(&mut self, number: u32) -> Result<(Reply<'_>, Option<Event>), Fault> {
        let Core { gallery, keys, backup: Some(backup), .. } = self else {
            return Err(Fault::NoBundle);
        };
        let (total, people) = (backup.records(), backup.people());
        let bytes = backup.record(gallery, keys, number)?;
        let last = number.checked_add(1) == Some(total);
        Ok((Reply::Piece { total, offset: number, bytes }, last.then_some(Event::BackedUp(people))))
    }

    /// Begins to take a bundle in; one that is under way is given up.
    #[inline(never)]
    pub(super) fn begin_restore(&mut self, header: &[u8], wish: Wish) -> Result<Reply<'static>, Fault> {
        let Core { engine, gallery, keys, restore, updates, kept, .. } = self;
        *restore = None;
        let verifier = updates.as_ref().map(Updates::verifier);
        let terms = Terms { verifier, least: kept.state().least_bundle(wish.replace) };
        let mut incoming = Incoming::of(gallery, keys, engine.info().into(), header, wish, terms)?;
        kept.update(|state| incoming.remember(state))?;
        let forgot = incoming.make_place(gallery)?;
        let (done, people) = (incoming.done(), incoming.people());
        *restore = Some(incoming);
        if forgot {
            self.note(What::Erased);
        }
        self.note(What::Restoring(people));
        Ok(Reply::Restored(done))
    }

    /// Takes the next record in; the last of an enrolment is what its version counts from.
    #[inline(never)]
    pub(super) fn restore_record(
        &mut self,
        number: u32,
        bytes: &[u8],
    ) -> Result<(Reply<'static>, Option<Event>), Fault> {
        let Core { gallery, keys, restore, kept, .. } = self;
        // An error ends it.
        let mut incoming = restore.take().ok_or(Fault::NoBundle)?;
        let forgot = incoming.record(gallery, keys, number, bytes)?;
        let (done, complete) = (incoming.done(), incoming.is_complete());
        if let Some(version) = incoming.version().filter(|_| complete) {
            kept.update(|state| state.take_bundle(version))?;
        }
        *restore = (!complete).then_some(incoming);
        if forgot {
            self.note(What::Erased);
        }
        Ok((Reply::Restored(done), complete.then_some(Event::Restored(done))))
    }
}
