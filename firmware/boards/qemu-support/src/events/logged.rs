//! By defmt, over semihosting.

use arcgate_firmware::device::Event;
use defmt_semihosting as _;

use super::{above, placed};

/// The device is up, with so many people in its gallery, if that is open.
pub fn boot(people: Option<u32>) {
    match people {
        Some(people) => defmt::info!("up, {} people", people),
        None => defmt::error!("up, without a gallery"),
    }
    let [flash, ram] = placed();
    defmt::info!("placed: {} bytes of flash, {} bytes of RAM", flash, ram);
}

/// The stack has reached further down than before.
pub fn stack(lowest: usize) {
    defmt::info!("stack: {} bytes", above(lowest));
}

/// Something that lasts has changed.
pub fn changed(what: &'static str) {
    defmt::info!("{}", what);
}

/// Something happened.
pub fn tell(event: &Event) {
    defmt::info!("{}", event);
}
