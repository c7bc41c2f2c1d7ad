//! The language of scenarios.

use arcgate_firmware::pairings::Role;

/// The language, for `--help`.
pub const LANGUAGE: &str = "\
SCRIPT: one instruction a line, `#` begins a comment, times are 500ms, 3s, 2min or 1h of the device's own
  [at TIME] INSTRUCTION            at this time since the start, otherwise at once after the line before
  show PATH [for TIME]             a picture, or a folder's one after the other, before the camera
  nobody                           nobody stands there any more
  press TIME                       holds the button so long
  power off [after N writes]       at once, or in the middle of the write to the gallery after N more
  power on
  camera dead | camera back
  pair [operator|administrator]    a host pairs, and types the code that the device shows
  enroll NAME [shots N]            a host has it enroll who stands there, 3 shots unless it says so
  remove NAME                      a host has it forget somebody
  wait TIME
  expect known NAME [within TIME]
  expect unknown | rejected [within TIME]
  expect log WORDS [within TIME]   an event whose line has these words
  expect lock open|closed [within TIME | for TIME]
  expect people N [within TIME]    so many are enrolled
Events are looked for from the last instruction that was no expectation on, or behind the last one found. The first line that fails
ends the script.";

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1 on.
    pub number: usize,
    /// Its words, without time and comment.
    pub text: String,
    /// Milliseconds since the start, if it says any.
    pub at: Option<u64>,
    /// What to do.
    pub what: Do,
}

/// An instruction; times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Do {
    /// Pictures before the camera.
    Show {
        /// A picture or a folder of some.
        path: String,
        /// For how long; until something else is shown without it.
        lasting: Option<u64>,
    },
    /// Nobody there.
    Nobody,
    /// The button held.
    Press(u64),
    /// No power from now on.
    PowerOff,
    /// No power in the middle of the write after so many more.
    PowerOffAfter(u32),
    /// Power.
    PowerOn,
    /// A camera that works, or does not.
    Camera(bool),
    /// A host pairs.
    Pair(Role),
    /// A host has somebody enrolled.
    Enroll {
        /// Whom.
        name: String,
        /// From so many shots.
        shots: u8,
    },
    /// A host has somebody forgotten.
    Remove(String),
    /// Time goes by.
    Wait(u64),
    /// What has to be seen within a time.
    Within(Expect, u64),
    /// What has to be so all the time.
    For(Expect, u64),
}

/// What is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Somebody is known.
    Known(String),
    /// Somebody is unknown.
    Unknown,
    /// A presentation is rejected.
    Rejected,
    /// An event has these words.
    Log(String),
    /// The lock is open, or closed.
    LockOpen(bool),
    /// So many people are enrolled.
    People(u32),
}

/// A line that says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {found:?} is no {what}\n  accepted: {accepted}")]
pub struct ScriptError {
    /// Its number.
    pub line: usize,
    /// What stood there.
    pub found: String,
    /// What was looked for.
    pub what: &'static str,
    /// What would have been taken.
    pub accepted: &'static str,
}

/// Reads a script.
///
/// # Errors
/// The first line that is none of the [language](LANGUAGE).
pub fn parse(script: &str) -> Result<Vec<Line>, ScriptError> {
    let numbered = script.lines().enumerate().map(|(i, line)| (i + 1, line));
    let said = numbered.map(|(number, line)| (number, line.split('#').next().unwrap_or_default().trim()));
    said.filter(|(_, line)| !line.is_empty()).map(|(number, line)| read(number, line)).collect()
}

fn read(number: usize, line: &str) -> Result<Line, ScriptError> {
    let words = Words { line: number };
    let (at, text) = match line.strip_prefix("at ") {
        Some(rest) => {
            let (time, text) = rest.trim_start().split_once(' ').unwrap_or((rest, ""));
            (Some(words.time(time)?), text.trim())
        }
        None => (None, line),
    };
    Ok(Line { number, text: text.to_owned(), at, what: words.instruction(text)? })
}

/// Reads the words of one line.
struct Words {
    line: usize,
}

impl Words {
    fn no(&self, found: &str, what: &'static str, accepted: &'static str) -> ScriptError {
        ScriptError { line: self.line, found: found.to_owned(), what, accepted }
    }

    fn time(&self, word: &str) -> Result<u64, ScriptError> {
        let digits = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
        let (number, unit) = word.split_at(digits);
        let unit = match unit {
            "ms" => Some(1),
            "s" => Some(1000),
            "min" => Some(60_000),
            "h" => Some(3_600_000),
            _ => None,
        };
        let time =
            number.parse().ok().zip(unit).and_then(|(number, unit): (u64, u64)| number.checked_mul(unit));
        time.ok_or_else(|| self.no(word, "time", "500ms, 3s, 2min, 1h"))
    }

    fn count<T: std::str::FromStr>(&self, word: &str) -> Result<T, ScriptError> {
        word.parse().map_err(|_| self.no(word, "number", "a whole number"))
    }

    /// What comes before ` KEY TIME` at the end, and that time.
    fn ending<'t>(&self, text: &'t str, key: &str) -> Result<(&'t str, Option<u64>), ScriptError> {
        match text.rsplit_once(key) {
            Some((before, time)) => Ok((before.trim(), Some(self.time(time.trim())?))),
            None => Ok((text, None)),
        }
    }

    fn instruction(&self, text: &str) -> Result<Do, ScriptError> {
        let unknown = || self.no(text, "instruction", "those of `arcgate simulate --help`");
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        Ok(match (verb, rest) {
            ("show", rest) if !rest.is_empty() => {
                let (path, lasting) = self.ending(rest, " for ")?;
                Do::Show { path: path.to_owned(), lasting }
            }
            ("nobody", "") => Do::Nobody,
            ("press", time) => Do::Press(self.time(time)?),
            ("wait", time) => Do::Wait(self.time(time)?),
            ("power", "off") => Do::PowerOff,
            ("power", "on") => Do::PowerOn,
            ("power", rest) => {
                let writes = rest.strip_prefix("off after ").and_then(|rest| rest.strip_suffix("writes"));
                Do::PowerOffAfter(self.count(writes.ok_or_else(unknown)?.trim())?)
            }
            ("camera", "dead") => Do::Camera(false),
            ("camera", "back") => Do::Camera(true),
            ("pair", "" | "administrator") => Do::Pair(Role::Administrator),
            ("pair", "operator") => Do::Pair(Role::Operator),
            ("enroll", rest) if !rest.is_empty() => {
                let (name, shots) = match rest.rsplit_once(" shots ") {
                    Some((name, shots)) => (name.trim(), self.count(shots.trim())?),
                    None => (rest, 3),
                };
                Do::Enroll { name: name.to_owned(), shots }
            }
            ("remove", name) if !name.is_empty() => Do::Remove(name.to_owned()),
            ("expect", rest) => self.expectation(rest)?,
            _ => return Err(unknown()),
        })
    }

    fn expectation(&self, text: &str) -> Result<Do, ScriptError> {
        let (text, within) = self.ending(text, " within ")?;
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        let expect = match (kind, rest.trim()) {
            ("known", name) if !name.is_empty() => Expect::Known(name.to_owned()),
            ("unknown", "") => Expect::Unknown,
            ("rejected", "") => Expect::Rejected,
            ("log", words) if !words.is_empty() => Expect::Log(words.to_owned()),
            ("people", number) => Expect::People(self.count(number)?),
            ("lock", rest) => {
                let (state, lasting) = self.ending(rest, " for ")?;
                let lock = match state {
                    "open" => Expect::LockOpen(true),
                    "closed" => Expect::LockOpen(false),
                    _ => return Err(self.no(state, "state of a lock", "open, closed")),
                };
                match (lasting, within) {
                    (Some(lasting), None) => return Ok(Do::For(lock, lasting)),
                    (None, _) => lock,
                    (Some(_), Some(_)) => {
                        return Err(self.no(text, "expectation", "`within` or `for`, not both"));
                    }
                }
            }
            _ => {
                let accepted = "known NAME, unknown, rejected, log WORDS, lock open|closed, people N";
                return Err(self.no(text, "expectation", accepted));
            }
        };
        Ok(Do::Within(expect, within.unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_is_read() {
        let script = "# a day\n\nat 1500ms show people/ada for 3s # she comes\nnobody\npress 4s\nat 2min power off after 12 writes\n\
                      power on\ncamera dead\npair operator\nenroll Ada Lovelace shots 2\nexpect known Ada Lovelace within 5s\n\
                      expect lock closed for 1h\nexpect log is at fault\nexpect people 3 within 1s";
        let lines = parse(script).unwrap();
        let heads: Vec<_> = lines.iter().map(|line| (line.number, line.at)).collect();
        assert_eq!(heads[..3], [(3, Some(1500)), (4, None), (5, None)]);
        assert_eq!(lines[0].text, "show people/ada for 3s");
        let said: Vec<Do> = lines.into_iter().map(|line| line.what).collect();
        let name = || "Ada Lovelace".to_owned();
        let expected = [
            Do::Show { path: "people/ada".into(), lasting: Some(3000) },
            Do::Nobody,
            Do::Press(4000),
            Do::PowerOffAfter(12),
            Do::PowerOn,
            Do::Camera(false),
            Do::Pair(Role::Operator),
            Do::Enroll { name: name(), shots: 2 },
            Do::Within(Expect::Known(name()), 5000),
            Do::For(Expect::LockOpen(false), 3_600_000),
            Do::Within(Expect::Log("is at fault".into()), 0),
            Do::Within(Expect::People(3), 1000),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_line_that_says_nothing_is_named() {
        let cases = [
            ("jump", "instruction"),
            ("at soon nobody", "time"),
            ("press 99999999999999999h", "time"),
            ("power off after few writes", "number"),
            ("expect lock ajar", "state of a lock"),
            ("expect wonders", "expectation"),
            ("expect lock open for 1s within 2s", "expectation"),
            ("show", "instruction"),
            ("at 3s", "instruction"),
        ];
        for (text, what) in cases {
            let error = parse(&format!("nobody\n{text}\n")).unwrap_err();
            assert_eq!((error.line, error.what), (2, what), "{text}: {error}");
        }
    }
}
