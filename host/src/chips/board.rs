//! Whether a plan fits a board, with every number that says so.

use std::path::{Path, PathBuf};

use arcgate_firmware::engine::plan::{Plan, Target};
use serde::Serialize;

use super::firmware::{Firmware, FirmwareError};
use super::{CHIPS, Chip, FIRMWARE_RAM};

/// Where boards lie in the repository; a built firmware lies below.
const BOARDS: &str = "firmware/boards";

/// What a plan is to run on.
#[derive(Debug, Clone, PartialEq)]
pub enum Board {
    /// A chip by its data sheet; what a firmware takes on it is allowed for.
    Chip(&'static Chip),
    /// A firmware that was built: all is known.
    Built {
        /// What it is called.
        name: String,
        /// What it takes.
        firmware: Firmware,
    },
}

/// Bytes of one kind of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Share {
    /// What the firmware takes.
    pub firmware: usize,
    /// What the plan takes of what the firmware leaves, or has set aside for it.
    pub plan: usize,
    /// What there is for plans.
    pub room: usize,
    /// All that there is.
    pub of: usize,
}

/// What a plan and the firmware take together. All numbers are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Footprint {
    /// The board.
    pub board: String,
    /// Whether the firmware's share is what a built one takes, not an allowance.
    pub is_built: bool,
    /// Flash.
    pub flash: Share,
    /// RAM. Of a built firmware the arena and the crop lie in variables of its own, the same for every plan.
    pub ram: Share,
    /// The plan's arena, and the largest that there is room for.
    pub arena: [usize; 2],
    /// The plan's crop, and the largest that there is room for.
    pub crop: [usize; 2],
    /// The most stack, which comes on top of variables; 0 where the allowance holds it.
    pub stack: usize,
}

/// Why a plan has no place on a board.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// Nobody knows the board.
    #[error("no board {name}\n  accepted: {accepted}, a folder of {BOARDS}, or the ELF file of a firmware")]
    Unknown {
        /// As it was called.
        name: String,
        /// The names of chips.
        accepted: String,
    },
    /// It is a board of the repository's, but there is no firmware.
    #[error(
        "{BOARDS}/{name} is not built: `cargo build --release` in that folder, or tests/bare-metal.sh for all"
    )]
    NotBuilt {
        /// The board.
        name: String,
    },
    /// Its firmware cannot be read.
    #[error(transparent)]
    Firmware(#[from] FirmwareError),
    /// The plan does not fit, or is for another core.
    #[error("{board} cannot take the plan:\n  {}", .lacks.join("\n  "))]
    Unfit {
        /// The board.
        board: String,
        /// What is too large for what, or runs on nothing there.
        lacks: Vec<String>,
    },
}

impl Board {
    /// The board called `name`: a chip, a built board of the repository's, or the ELF file of a firmware.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<Self, BoardError> {
        if let Some(chip) = CHIPS.iter().find(|chip| chip.name.eq_ignore_ascii_case(name)) {
            return Ok(Board::Chip(chip));
        }
        let built = |path: &Path, name: &str| -> Result<Self, BoardError> {
            Ok(Board::Built { name: name.into(), firmware: Firmware::read(path)? })
        };
        let path = Path::new(name);
        if path.is_file() {
            return built(path, &path.file_name().unwrap_or_default().to_string_lossy());
        }
        let is_word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let folder = Path::new(BOARDS).join(name);
        if is_word && folder.is_dir() {
            let elf = newest(&folder, name).ok_or(BoardError::NotBuilt { name: name.into() })?;
            return built(&elf, name);
        }
        let accepted = CHIPS.map(|chip| chip.name).join(", ");
        Err(BoardError::Unknown { name: name.into(), accepted })
    }

    /// The cores that plans for it are laid out for.
    pub fn target(&self) -> Target {
        match self {
            Board::Chip(chip) => chip.isa.target(),
            // A firmware of a later version may take what this program cannot make.
            Board::Built { firmware, .. } => {
                u8::try_from(firmware.manifest.target).ok().and_then(Target::of).unwrap_or_default()
            }
        }
    }

    /// What `plan`, of `bytes` bytes, takes on it together with the firmware.
    ///
    /// # Errors
    /// [`BoardError::Unfit`], with all that is wrong.
    pub fn take(&self, plan: &Plan<'_>, bytes: usize) -> Result<Footprint, BoardError> {
        let (arena, crop) = (plan.arena_bytes(), plan.info().crop_bytes());
        let found = match self {
            Board::Chip(chip) => {
                let (flash, ram) = (chip.flash, chip.ram.iter().sum::<usize>());
                let room = |of: usize, firmware: usize| of.saturating_sub(firmware);
                Footprint {
                    board: chip.name.into(),
                    is_built: false,
                    flash: Share {
                        firmware: chip.firmware_flash(),
                        plan: bytes,
                        room: room(flash, chip.firmware_flash()),
                        of: flash,
                    },
                    ram: Share {
                        firmware: FIRMWARE_RAM,
                        plan: arena + crop,
                        room: room(ram, FIRMWARE_RAM),
                        of: ram,
                    },
                    // The arena lies in one region.
                    arena: [arena, chip.ram[0].min(room(ram, FIRMWARE_RAM))],
                    crop: [crop, room(ram, FIRMWARE_RAM)],
                    stack: 0,
                }
            }
            Board::Built { name, firmware: Firmware { flash, ram, manifest } } => {
                let [plan_room, arena_room, crop_room] =
                    [manifest.plan, manifest.arena, manifest.crop].map(|n| n as usize);
                let rest = ram.saturating_sub(arena_room + crop_room);
                Footprint {
                    board: name.clone(),
                    is_built: true,
                    flash: Share {
                        firmware: *flash,
                        plan: bytes,
                        room: plan_room,
                        of: manifest.flash as usize,
                    },
                    ram: Share {
                        firmware: rest,
                        plan: arena_room + crop_room,
                        room: (manifest.ram as usize).saturating_sub(rest + manifest.stack as usize),
                        of: manifest.ram as usize,
                    },
                    arena: [arena, arena_room],
                    crop: [crop, crop_room],
                    stack: manifest.stack as usize,
                }
            }
        };
        let mut lacks = found.lacks();
        let (wanted, own) = (plan.target(), self.target());
        // Cores with MVE have the DSP instructions as well.
        let runs = wanted == Target::Portable || wanted == own || (wanted, own) == (Target::Dsp, Target::Mve);
        if !runs {
            lacks.push(format!(
                "core: the plan is for target {}, the board's is {}",
                wanted.name(),
                own.name()
            ));
        }
        if lacks.is_empty() { Ok(found) } else { Err(BoardError::Unfit { board: found.board, lacks }) }
    }
}

impl Footprint {
    /// What is too large, in words.
    fn lacks(&self) -> Vec<String> {
        let rows = [
            ("flash: the plan", self.flash.plan, self.flash.room),
            ("RAM: arena and crop", self.ram.plan, self.ram.room),
            ("RAM: the arena", self.arena[0], self.arena[1]),
            ("RAM: the crop", self.crop[0], self.crop[1]),
        ];
        let over = rows.into_iter().filter(|(_, needed, room)| needed > room);
        over.map(|(what, needed, room)| format!("{what} has {needed} bytes, there is room for {room}"))
            .collect()
    }

    /// Bytes of flash that are taken.
    pub fn flash_taken(&self) -> usize {
        self.flash.firmware + self.flash.plan
    }

    /// Bytes of RAM that are taken, the stack at its deepest with them.
    pub fn ram_taken(&self) -> usize {
        self.ram.firmware + self.ram.plan + self.stack
    }
}

/// The firmware of a board that was built last, for whichever target.
fn newest(folder: &Path, name: &str) -> Option<PathBuf> {
    let targets = std::fs::read_dir(folder.join("target")).ok()?;
    let elves = targets.flatten().map(|target| target.path().join("release").join(format!("arcgate-{name}")));
    elves.filter(|elf| elf.is_file()).max_by_key(|elf| elf.metadata().and_then(|m| m.modified()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arcgate_firmware::device::Manifest;

    const PLAN: &[u8] = include_bytes!("../../../models/synth-s/synth-s.plan");

    fn take(board: &Board) -> Result<Footprint, BoardError> {
        board.take(&Plan::parse(PLAN).unwrap(), PLAN.len())
    }

    #[test]
    fn a_byte_too_few_is_told_with_its_numbers() {
        let plan = Plan::parse(PLAN).unwrap();
        let (arena, crop) = (plan.arena_bytes() as u32, plan.info().crop_bytes() as u32);
        let plan = PLAN.len() as u32;
        let ram = arena + crop + 1000;
        let manifest =
            Manifest { flash: plan + 9000, plan, ram: ram + 500, arena, crop, stack: 500, target: 0 };
        let on = |manifest: Manifest| {
            let firmware = Firmware { flash: 9000, ram: ram as usize, manifest };
            take(&Board::Built { name: "b".into(), firmware })
        };
        let found = on(manifest).unwrap();
        assert_eq!(found.flash_taken(), found.flash.of);
        assert_eq!(found.ram_taken(), found.ram.of);
        let lack = |manifest| on(manifest).unwrap_err().to_string();
        let said = lack(Manifest { plan: plan - 1, ..manifest });
        assert_eq!(
            said,
            format!(
                "b cannot take the plan:\n  flash: the plan has {plan} bytes, there is room for {}",
                plan - 1
            )
        );
        assert!(lack(Manifest { ram: ram + 499, ..manifest }).contains("arena and crop"));
        let small = Firmware {
            flash: 9000,
            ram: ram as usize - 1,
            manifest: Manifest { arena: arena - 1, ..manifest },
        };
        let said = take(&Board::Built { name: "b".into(), firmware: small }).unwrap_err().to_string();
        assert!(
            said.contains(&format!("the arena has {arena} bytes, there is room for {}", arena - 1)),
            "{said}"
        );
    }

    #[test]
    fn chips_are_found_by_name_and_others_are_named() {
        let found = take(&Board::named("nrf52840").unwrap()).unwrap();
        assert_eq!((found.board.as_str(), found.is_built), ("nRF52840", false));
        // 256 KB of program and 128 of gallery.
        assert_eq!(found.flash_taken(), PLAN.len() + (384 << 10));
        let said = Board::named("nRF53").unwrap_err().to_string();
        assert!(said.contains("RP2350, STM32H743, nRF52840, ESP32-C6"), "{said}");
    }
}
