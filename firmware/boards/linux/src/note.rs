//! What the program tells: `println` and `eprintln` panic where nobody listens any more, and a door goes on without its journal.

/// A line on standard output: something happened.
macro_rules! say {
    ($($words:tt)+) => {{
        use std::io::Write;
        // Nobody is left to be told.
        let _ = writeln!(std::io::stdout(), $($words)+);
    }};
}

/// A line on standard error: what there is to know about the start, and what is wrong.
macro_rules! note {
    ($($words:tt)+) => {{
        use std::io::Write;
        // As above.
        let _ = writeln!(std::io::stderr(), $($words)+);
    }};
}

pub(crate) use {note, say};
