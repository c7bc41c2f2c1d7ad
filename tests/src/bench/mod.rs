//! What the benches of this machine measure.

pub mod search;
