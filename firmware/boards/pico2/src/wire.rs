//! The camera's I2C, with an end to every wait: the driver that blocks waits for a bus that something holds for ever.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use embassy_futures::block_on;
use embassy_rp::i2c::{self, I2c};
use embassy_rp::peripherals::I2C0;
use embassy_time::{Duration, Instant};
use embedded_hal::i2c::{Error, ErrorKind, ErrorType, Operation, SevenBitAddress};
use embedded_hal_async::i2c::I2c as AsyncI2c;

/// What a transaction may take: a hundred times that of the longest one.
const PATIENCE: Duration = Duration::from_millis(50);

/// The bus.
pub struct Wire(pub I2c<'static, I2C0, i2c::Async>);

/// Why a transaction failed.
#[derive(Debug)]
pub enum WireError {
    /// What the driver says.
    Bus(i2c::Error),
    /// It came to no end.
    Late,
}

impl Error for WireError {
    fn kind(&self) -> ErrorKind {
        match self {
            WireError::Bus(error) => error.kind(),
            WireError::Late => ErrorKind::Bus,
        }
    }
}

impl ErrorType for Wire {
    type Error = WireError;
}

impl embedded_hal::i2c::I2c<SevenBitAddress> for Wire {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), WireError> {
        let deadline = Instant::now() + PATIENCE;
        let mut transaction = pin!(AsyncI2c::transaction(&mut self.0, address, operations));
        block_on(poll_fn(|context| match transaction.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(done.map_err(WireError::Bus)),
            Poll::Pending if Instant::now() < deadline => Poll::Pending,
            Poll::Pending => Poll::Ready(Err(WireError::Late)),
        }))
    }
}
