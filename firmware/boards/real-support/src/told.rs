//! A camera whose errors are logged.

use arcgate_firmware::camera::{Camera, Geometry};

/// A driver; the device itself says only that its camera fails.
#[derive(Debug)]
pub(crate) struct Told<C>(pub C);

fn told<V, E: defmt::Format>(result: Result<V, E>) -> Result<V, E> {
    if let Err(error) = &result {
        defmt::warn!("camera: {}", error);
    }
    result
}

impl<C: Camera<Error: defmt::Format>> Camera for Told<C> {
    type Error = C::Error;

    fn start(&mut self) -> Result<(), C::Error> {
        told(self.0.start())
    }

    fn poll(&mut self) -> Result<Option<Geometry>, C::Error> {
        told(self.0.poll())
    }

    fn pixels(&mut self, out: &mut [u8]) -> Result<(), C::Error> {
        told(self.0.pixels(out))
    }

    fn rest(&mut self) -> Result<(), C::Error> {
        told(self.0.rest())
    }
}
