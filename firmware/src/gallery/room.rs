//! The RAM that a gallery works in. It is lent: a gallery is large, and what is moved is copied over a small device's stack.

use super::{Entry, Line};

/// Places for records, and lines for opened templates.
pub trait Room {
    /// A place for each record, of people and of templates; what does not fit is refused.
    type Records: AsRef<[Entry]> + AsMut<[Entry]>;
    /// Lines for opened templates ([`index_lines`](super::index_lines)); none is enough, others are opened in each search.
    type Lines: AsRef<[Line]> + AsMut<[Line]>;

    /// Both of them.
    fn into_parts(self) -> (Self::Records, Self::Lines);
}

/// A [`Room`] put together from arrays, slices or vectors.
#[derive(Debug, Clone)]
pub struct Rooms<K, T> {
    /// As [`Room::Records`].
    pub records: K,
    /// As [`Room::Lines`].
    pub lines: T,
}

impl<K: AsRef<[Entry]> + AsMut<[Entry]>, T: AsRef<[Line]> + AsMut<[Line]>> Room for Rooms<K, T> {
    type Records = K;
    type Lines = T;

    fn into_parts(self) -> (K, T) {
        (self.records, self.lines)
    }
}

/// None: for whoever only looks at headers.
pub const NO_ROOM: Rooms<[Entry; 0], [Line; 0]> = Rooms { records: [], lines: [] };

/// Lent for ever, as on a board.
pub type Lent = Rooms<&'static mut [Entry], &'static mut [Line]>;

#[cfg(any(feature = "std", test))]
extern crate std;

/// On the heap of a computer.
#[cfg(any(feature = "std", test))]
pub type Owned = Rooms<std::vec::Vec<Entry>, std::vec::Vec<Line>>;

#[cfg(any(feature = "std", test))]
impl Owned {
    /// For so many records, and lines for opened templates.
    pub fn new(records: usize, lines: usize) -> Self {
        Rooms { records: std::vec![Entry::NONE; records], lines: std::vec![Line::ZERO; lines] }
    }
}
