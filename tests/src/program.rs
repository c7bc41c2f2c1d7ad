//! Runs the `arcgate` program as a person would.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

/// What one run printed and how it ended.
#[derive(Debug)]
pub struct Run {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    /// The JSON object on the last line of standard output.
    ///
    /// # Panics
    /// When the run failed or its last line is no JSON.
    pub fn json(&self) -> serde_json::Value {
        let last = self.stdout.trim_end().lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|e| {
            panic!("exit code {}, last line {last:?} is no JSON ({e})\n{}", self.code, self.stderr)
        })
    }

    /// Itself, if the program left with code 0.
    ///
    /// # Panics
    /// When it did not.
    pub fn done(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// The program built beside the tests (`cargo test --workspace` builds it).
pub fn path() -> PathBuf {
    named("arcgate")
}

/// Another program of the workspace, built likewise.
pub fn named(name: &str) -> PathBuf {
    let mut folder = std::env::current_exe().expect("a running test has a path");
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// Runs `arcgate` with these arguments in the workspace's root and waits for it.
///
/// # Panics
/// When the program is not there or cannot be started.
pub fn arcgate<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
    let output = Command::new(path())
        .args(arguments)
        .current_dir(crate::data::workspace())
        .env("NO_COLOR", "1")
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}", path().display()));
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
