//! What can be in the way of a line.

use crate::link::LinkError;

/// Why a line failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The device is off.
    #[error("the device has no power")]
    NoPower,
    /// The device is on.
    #[error("the device has power already")]
    HasPower,
    /// The device did not do what a host asked.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// It shows no code.
    #[error("the device shows no code")]
    NoCode,
    /// Nobody has that name.
    #[error("nobody is called {0:?}")]
    Nobody(String),
    /// What was expected did not come.
    #[error("it did not come")]
    NotSeen,
    /// It was not so all the time.
    #[error("it was no longer so")]
    Ended,
}
