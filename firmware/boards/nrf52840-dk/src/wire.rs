//! The camera's I2C, with an end to every wait: without one the driver waits for a bus that something holds for ever.

use embassy_nrf::pac::TWIM0;
use embassy_nrf::pac::twim::vals::Enable;
use embassy_nrf::twim::{Error, Twim};
use embassy_time::Duration;
use embedded_hal::i2c::{ErrorType, I2c, Operation, SevenBitAddress};

/// What an operation may take: a hundred times that of the longest one.
const PATIENCE: Duration = Duration::from_millis(50);

/// The bus, the one of [`TWIM0`].
pub struct Wire(pub Twim<'static>);

impl ErrorType for Wire {
    type Error = Error;
}

impl I2c<SevenBitAddress> for Wire {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Error> {
        let done = self.0.blocking_transaction_timeout(address, operations, PATIENCE);
        if let Err(Error::Timeout) = done {
            // Or the bus, when it is free again, would still write to memory that is no longer lent to it.
            TWIM0.enable().write(|enable| enable.set_enable(Enable::Disabled));
            TWIM0.enable().write(|enable| enable.set_enable(Enable::Enabled));
        }
        done
    }
}
