//! What the whole-chain tests share: where the data lies, how the program is run, how a skip is said.

pub mod bench;
mod cores;
pub mod data;
pub mod day;
pub mod mcu;
pub mod nets;
pub mod noise;
pub mod options;
pub mod people;
pub mod program;
pub mod qemu;
pub mod simulator;
pub mod storm;
pub mod whole;

/// Says on standard output that a test is skipped and why; `tests/run` counts these lines.
///
/// Call it first thing, and return.
pub fn skip(reason: impl std::fmt::Display) {
    println!("skipped: {reason}");
}

/// Unwraps an `Option`, or a `Result` whose error is the reason; or returns from the test after saying why it is skipped.
#[macro_export]
macro_rules! or_skip {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(reason) => {
                $crate::skip(reason);
                return;
            }
        }
    };
    ($option:expr, $($reason:tt)+) => {
        match $option {
            Some(value) => value,
            None => {
                $crate::skip(format_args!($($reason)+));
                return;
            }
        }
    };
}
