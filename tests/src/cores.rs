//! Processors for emulators, one each.
//!
//! QEMU hands over what arrives at a UART without a FIFO byte by byte, from one of its threads to another. Between two processors that
//! takes more than twice as long as on one: 12 KB a second instead of 29.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// The processors that this process may use, and how many emulators it runs on each. None where they cannot be told or chosen.
static RUNNING: LazyLock<Mutex<Vec<(usize, usize)>>> = LazyLock::new(|| {
    let can_choose = Command::new("taskset").arg("--version").output().is_ok_and(|o| o.status.success());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let cores = list.filter(|_| can_choose).and_then(|list| numbers(list.trim())).unwrap_or_default();
    Mutex::new(cores.into_iter().map(|core| (core, 0)).collect())
});

/// The numbers of a list such as `0,2-5`.
fn numbers(list: &str) -> Option<Vec<usize>> {
    let mut all = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let [first, last] = [first, last].map(|number| number.parse::<usize>().ok());
        all.extend(first?..=last?);
    }
    Some(all)
}

fn running() -> MutexGuard<'static, Vec<(usize, usize)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A processor that an emulator runs on until this is dropped.
#[derive(Debug)]
pub struct Core(Option<usize>);

impl Core {
    /// Whichever the system likes at the time.
    pub fn any() -> Self {
        Core(None)
    }

    /// The one with the fewest emulators of this process.
    pub fn take() -> Self {
        let mut running = running();
        let least = running.iter_mut().min_by_key(|(_, emulators)| *emulators);
        Core(least.map(|(core, emulators)| {
            *emulators += 1;
            *core
        }))
    }

    /// A command that runs there.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let Some(core) = self.0 else { return Command::new(program) };
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string()]).arg(program);
        command
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let Some(core) = self.0 else { return };
        running().iter_mut().filter(|(other, _)| *other == core).for_each(|(_, emulators)| *emulators -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors() {
        assert_eq!(numbers("0-1"), Some(vec![0, 1]));
        assert_eq!(numbers("3"), Some(vec![3]));
        assert_eq!(numbers("0,2-4,9"), Some(vec![0, 2, 3, 4, 9]));
        assert_eq!(numbers(""), None);
        assert_eq!(numbers("a-b"), None);
    }

    #[test]
    fn emulators_are_spread() {
        let count = running().len();
        let taken: Vec<Core> = (0..2 * count).map(|_| Core::take()).collect();
        assert!(running().iter().all(|&(_, emulators)| emulators == 2));
        drop(taken);
        assert!(running().iter().all(|&(_, emulators)| emulators == 0));
    }
}
