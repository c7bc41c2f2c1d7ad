//! Where everything lies on a chip, checked when the board is compiled.

/// Bytes of a chip, from `offset` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Region {
    /// Where it begins.
    pub offset: u32,
    /// Bytes.
    pub length: u32,
}

impl Region {
    /// The first byte behind it; beyond 4 GiB no chip ends.
    pub const fn end(self) -> u64 {
        self.offset as u64 + self.length as u64
    }
}

/// What a region is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Part {
    /// The firmware.
    Code,
    /// The first model slot.
    ModelA,
    /// The second model slot.
    ModelB,
    /// People.
    Gallery,
    /// The event log.
    Events,
    /// The state.
    State,
}

/// The regions of one chip; one of no bytes is not on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryMap {
    /// Bytes of the chip.
    pub chip: u32,
    /// Bytes that it erases at a time.
    pub erase: u32,
    /// The firmware.
    pub code: Region,
    /// Model images.
    pub models: [Region; 2],
    /// People: see [`Gallery`](crate::gallery::Gallery).
    pub gallery: Region,
    /// The event log: two erase blocks at least.
    pub events: Region,
    /// The state: two erase blocks at least.
    pub state: Region,
}

/// What is wrong with a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapFault {
    /// A region does not begin and end where an erase block does.
    Unaligned(Part),
    /// A region ends behind the chip.
    Beyond(Part),
    /// Two regions share bytes.
    Overlap(Part, Part),
}

impl MemoryMap {
    const fn parts(&self) -> [(Part, Region); 6] {
        [
            (Part::Code, self.code),
            (Part::ModelA, self.models[0]),
            (Part::ModelB, self.models[1]),
            (Part::Gallery, self.gallery),
            (Part::Events, self.events),
            (Part::State, self.state),
        ]
    }

    /// Looks for regions that are no whole erase blocks, lie outside the chip or share bytes.
    ///
    /// # Errors
    /// The first of them.
    pub const fn check(&self) -> Result<(), MapFault> {
        let parts = self.parts();
        let mut i = 0;
        while i < parts.len() {
            let (part, region) = parts[i];
            if self.erase == 0 || region.offset % self.erase != 0 || region.length % self.erase != 0 {
                return Err(MapFault::Unaligned(part));
            }
            if region.end() > self.chip as u64 {
                return Err(MapFault::Beyond(part));
            }
            let mut j = 0;
            while j < i {
                let (other, taken) = parts[j];
                let apart = region.end() <= taken.offset as u64 || taken.end() <= region.offset as u64;
                if !apart && region.length > 0 && taken.length > 0 {
                    return Err(MapFault::Overlap(other, part));
                }
                j += 1;
            }
            i += 1;
        }
        Ok(())
    }

    /// The same map; in a `const` it does not compile when [`MemoryMap::check`] finds a fault.
    pub const fn checked(self) -> Self {
        assert!(
            !matches!(self.check(), Err(MapFault::Unaligned(_))),
            "a region is not made of whole erase blocks"
        );
        assert!(!matches!(self.check(), Err(MapFault::Beyond(_))), "a region ends behind the chip");
        assert!(!matches!(self.check(), Err(MapFault::Overlap(..))), "two regions overlap");
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(offset: u32, length: u32) -> Region {
        Region { offset, length }
    }

    const MAP: MemoryMap = MemoryMap {
        chip: 0x10000,
        erase: 0x1000,
        code: at(0, 0x4000),
        models: [at(0x4000, 0x3000), at(0x7000, 0x3000)],
        gallery: at(0xa000, 0x2000),
        events: at(0xc000, 0x2000),
        state: at(0xe000, 0x2000),
    }
    .checked();

    #[test]
    fn each_fault_is_named() {
        assert_eq!(MAP.check(), Ok(()));
        let cases = [
            (MemoryMap { gallery: at(0xa800, 0x1000), ..MAP }, MapFault::Unaligned(Part::Gallery)),
            (MemoryMap { events: at(0xc000, 0x1800), ..MAP }, MapFault::Unaligned(Part::Events)),
            (MemoryMap { erase: 0, ..MAP }, MapFault::Unaligned(Part::Code)),
            (MemoryMap { state: at(0xf000, 0x2000), ..MAP }, MapFault::Beyond(Part::State)),
            (MemoryMap { state: at(0xffff_f000, 0x1000), ..MAP }, MapFault::Beyond(Part::State)),
            (MemoryMap { code: at(0, 0x5000), ..MAP }, MapFault::Overlap(Part::Code, Part::ModelA)),
            (MemoryMap { state: at(0xd000, 0x1000), ..MAP }, MapFault::Overlap(Part::Events, Part::State)),
        ];
        for (map, fault) in cases {
            assert_eq!(map.check(), Err(fault));
        }
        // What is not on the chip overlaps nothing.
        assert_eq!(MemoryMap { code: at(0x8000, 0), ..MAP }.check(), Ok(()));
    }
}
