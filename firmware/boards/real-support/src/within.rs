//! An end to waiting for a driver.

use core::pin::pin;
use core::task::{Context, Poll, Waker};

use arcgate_firmware::time::Uptime;

/// Does the work to its end, or for so many milliseconds by a clock: `None` when that was too short. What it waits for is asked again
/// and again, so that it needs no interrupt to go on.
pub fn within<T>(ms: u64, clock: fn() -> Uptime, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut context) = (pin!(work), Context::from_waker(Waker::noop()));
    let begin = clock();
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
            return Some(done);
        }
        if clock().0.wrapping_sub(begin.0) >= ms {
            return None;
        }
    }
}
