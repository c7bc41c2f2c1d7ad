//! Looking after a device: how it does, what happened on it, another model, an enrolment before its own camera.

use arcgate_firmware::events::Entry;
use arcgate_firmware::link::message::{MAX_PIECE, Who};
use arcgate_firmware::link::status::{Enrolment, Stats};
use arcgate_firmware::link::{Reply, Request};
use arcgate_firmware::update::HEADER;

use super::client::{Client, LONG_PATIENCE, PATIENCE};
use super::transport::LinkError;

impl Client {
    /// How the device does.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn stats(&mut self) -> Result<Stats, LinkError> {
        self.ask("statistics", Request::Stats, PATIENCE, |reply| match reply {
            Reply::Stats(stats) => Some(stats),
            _ => None,
        })
    }

    /// The event log from the line with this number on, the oldest first; `moved` hears how many lines have come.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn log(&mut self, from: u32, moved: &mut dyn FnMut(u64)) -> Result<Vec<Entry>, LinkError> {
        let (mut lines, mut next) = (Vec::new(), Some(from));
        while let Some(from) = next {
            let page =
                self.ask("the log", Request::ReadLog { from }, LONG_PATIENCE, |reply| match reply {
                    Reply::Log(page) => Some(page),
                    _ => None,
                })?;
            lines.extend(page.entries);
            moved(lines.len() as u64);
            next = page.next;
        }
        Ok(lines)
    }

    /// Gives the device a model image, which it checks and tries; it runs after the next start. Returns its version. `moved` hears
    /// how many bytes have come, and of how many.
    ///
    /// # Errors
    /// As [`Client::info`]; an image that is refused leaves the model that runs as it is.
    pub fn update(&mut self, image: &[u8], moved: &mut dyn FnMut(u64, u64)) -> Result<u32, LinkError> {
        self.send_image(image, moved)?;
        self.finish_update()
    }

    /// Sends a model image, as [`Client::update`], and leaves it to [`Client::finish_update`] to have it checked.
    ///
    /// # Errors
    /// As [`Client::info`]; an image whose header is refused leaves the model that runs as it is.
    pub fn send_image(&mut self, image: &[u8], moved: &mut dyn FnMut(u64, u64)) -> Result<(), LinkError> {
        let (header, payload) = image.split_at(HEADER.min(image.len()));
        let updating = |reply: Reply<'_>| match reply {
            Reply::Updating { received, total } => Some((received, total)),
            _ => None,
        };
        self.ask("an update", Request::BeginUpdate { header }, LONG_PATIENCE, updating)?;
        let mut offset = 0;
        for bytes in payload.chunks(MAX_PIECE) {
            let piece = Request::UpdatePiece { offset, bytes };
            let (received, total) = self.ask("an update", piece, LONG_PATIENCE, updating)?;
            offset += bytes.len() as u32;
            moved(received.into(), total.into());
        }
        Ok(())
    }

    /// Has the device check and try the image that was sent; it runs after the next start, which follows. Returns its version.
    ///
    /// # Errors
    /// As [`Client::info`]; [`LinkError::SessionEnded`], or on an open link that no update was begun, where the device started anew and
    /// its reply was lost: then only what it runs says whether it took the image.
    pub fn finish_update(&mut self) -> Result<u32, LinkError> {
        self.ask("the end of an update", Request::FinishUpdate, LONG_PATIENCE, |reply| match reply {
            Reply::Updated { version } => Some(version),
            _ => None,
        })
    }

    /// Has the device start anew.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn restart(&mut self) -> Result<(), LinkError> {
        self.ask("a restart", Request::Restart, PATIENCE, |reply| match reply {
            Reply::Restarting => Some(()),
            _ => None,
        })
    }

    /// Has the device enroll whoever stands before its camera.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn enroll_here(&mut self, who: Who<'_>, shots: u8) -> Result<Enrolment, LinkError> {
        self.ask("an enrolment", Request::EnrollHere { who, shots }, LONG_PATIENCE, enrolling)
    }

    /// How that goes.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn enrolling(&mut self) -> Result<Enrolment, LinkError> {
        self.ask("the enrolment", Request::Enrolling, LONG_PATIENCE, enrolling)
    }
}

fn enrolling(reply: Reply<'_>) -> Option<Enrolment> {
    match reply {
        Reply::Enrolling(enrolment) => Some(enrolment),
        _ => None,
    }
}
