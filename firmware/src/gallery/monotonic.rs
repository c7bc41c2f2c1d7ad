//! A counter outside of the gallery, with which a whole flash that was put back is noticed.

/// Counts up and never down, and survives what the gallery's flash does not: eFuses, a secure element, a replay-protected
/// block.
///
/// The gallery counts its operations and stores the count with each. After an operation it advances the counter; a cut
/// between the two leaves the counter one behind, which mounting accepts and makes good.
pub trait Monotonic {
    /// Whether there is a counter at all.
    const PRESENT: bool;

    /// The count, 0 at first; `None` when it cannot be read.
    fn read(&mut self) -> Option<u32>;

    /// Makes the count `to`, which is never lower than it was; `false` when that failed.
    #[must_use]
    fn advance(&mut self, to: u32) -> bool;
}

/// No counter: a flash that was put back is not noticed.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCounter;

impl Monotonic for NoCounter {
    const PRESENT: bool = false;

    fn read(&mut self) -> Option<u32> {
        Some(0)
    }

    fn advance(&mut self, _: u32) -> bool {
        true
    }
}
