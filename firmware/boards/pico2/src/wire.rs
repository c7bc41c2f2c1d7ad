//! The camera's I2C, with an end to every wait: the driver that blocks waits for a bus that something holds for ever.

use arcgate_real_support::within;
use embassy_rp::i2c::{self, I2c};
use embassy_rp::peripherals::I2C0;
use embedded_hal::i2c::{Error, ErrorKind, ErrorType, Operation, SevenBitAddress};
use embedded_hal_async::i2c::I2c as AsyncI2c;

use crate::uptime;

/// Milliseconds that a transaction may take: a hundred times what the longest one does.
const PATIENCE_MS: u64 = 50;

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
        let transaction = AsyncI2c::transaction(&mut self.0, address, operations);
        within(PATIENCE_MS, uptime, transaction).ok_or(WireError::Late)?.map_err(WireError::Bus)
    }
}
