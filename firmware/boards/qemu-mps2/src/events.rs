//! What happens on the device, for whoever watches QEMU's standard error or a defmt decoder.

use arcgate_firmware::device::Event;
use arcgate_firmware::gallery::nor::MemoryNor;
use arcgate_firmware::gallery::{Gallery, Line};

#[cfg(feature = "defmt")]
use defmt_semihosting as _;

type BoardGallery = Gallery<MemoryNor<&'static mut [u8]>, &'static mut [Line], { super::PEOPLE }>;

/// The device is up.
#[cfg(not(feature = "defmt"))]
pub fn boot(gallery: &BoardGallery) {
    use cortex_m_semihosting::hprintln;
    match gallery.state() {
        Ok(()) => hprintln!("up, {} people", gallery.usage().people),
        Err(error) => hprintln!("up, without a gallery: {}", error),
    }
}

/// Something happened.
#[cfg(not(feature = "defmt"))]
pub fn tell(event: &Event) {
    use arcgate_firmware::link::message::Answer;
    use cortex_m_semihosting::hprintln;
    match event {
        Event::Answered(Answer::Known { best, .. }) => hprintln!("known: {} at {}", best.name, best.angle),
        Event::Answered(Answer::Unknown { why, .. }) => hprintln!("unknown: {}", why),
        Event::Answered(Answer::Rejected(why)) => hprintln!("rejected: {}", why),
        Event::Enrolled(person) => hprintln!("enrolled a template of person {}", person),
        Event::Removed(person) => hprintln!("removed person {}", person),
        Event::Erased => hprintln!("the gallery is empty"),
        Event::Refused(fault) => hprintln!("refused: {}", fault),
        Event::Noise(noise) => hprintln!("noise on the link: {:?}", noise),
    }
}

/// The device is up.
#[cfg(feature = "defmt")]
pub fn boot(gallery: &BoardGallery) {
    match gallery.state() {
        Ok(()) => defmt::info!("up, {} people", gallery.usage().people),
        Err(error) => defmt::error!("up, without a gallery: {}", error),
    }
}

/// Something happened.
#[cfg(feature = "defmt")]
pub fn tell(event: &Event) {
    defmt::info!("{}", defmt::Debug2Format(event));
}
