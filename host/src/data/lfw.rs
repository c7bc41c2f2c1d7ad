//! The official pairs of LFW: ten folds, each with as many pairs of one person as of two.
//!
//! The first line is `FOLDS PAIRS`; each fold then has PAIRS lines `NAME N1 N2` (one person) and PAIRS lines
//! `NAME1 N1 NAME2 N2` (two), separated by tabs. Image N of NAME is `NAME/NAME_000N.jpg`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{DataError, read_text};

/// Two images and the truth about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Relative to the folder of LFW.
    pub first: PathBuf,
    /// Relative to the folder of LFW.
    pub second: PathBuf,
    /// Whether both show one person.
    pub same: bool,
    /// From 0.
    pub fold: u8,
}

/// A pairs file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairs {
    /// How many folds.
    pub folds: u8,
    /// In the order of the file.
    pub pairs: Vec<Pair>,
}

const HEADER: &str = "two whole numbers: folds (2 to 255) and pairs of each kind in a fold (at least 1)";
const SAME: &str = "NAME, N1, N2 separated by tabs, for a pair of one person";
const DIFFERENT: &str = "NAME1, N1, NAME2, N2 separated by tabs, for a pair of two people";
const COUNT: &str = "as many lines as the first line says: folds x 2 x pairs";

impl Pairs {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read or a line is malformed: then with its number and what is accepted.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        Self::parse(path, &read_text(path)?)
    }

    /// Parses `text`, which stands in the file at `path`.
    ///
    /// # Errors
    /// When a line is malformed, missing or too many.
    pub fn parse(path: &Path, text: &str) -> Result<Self, DataError> {
        let wrong =
            |line, what, accepted| DataError::Line { path: path.into(), line: line + 1, what, accepted };
        let mut lines = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty());
        let (_, header) = lines.next().ok_or_else(|| wrong(0, "the file is empty".into(), HEADER))?;
        let (folds, per_kind) =
            parse_header(header).ok_or_else(|| wrong(0, format!("{header:?}"), HEADER))?;
        let mut pairs = Vec::new();
        for fold in 0..folds {
            for same in [true, false] {
                for _ in 0..per_kind {
                    let Some((i, line)) = lines.next() else {
                        let what = format!("the file ends after {} pairs", pairs.len());
                        return Err(wrong(text.lines().count(), what, COUNT));
                    };
                    let (first, second) = parse_pair(line, same)
                        .ok_or_else(|| wrong(i, format!("{line:?}"), if same { SAME } else { DIFFERENT }))?;
                    pairs.push(Pair { first, second, same, fold });
                }
            }
        }
        match lines.next() {
            Some((i, line)) => Err(wrong(i, format!("{line:?} is one too many"), COUNT)),
            None => Ok(Pairs { folds, pairs }),
        }
    }

    /// Every image that a pair names, once.
    pub fn images(&self) -> BTreeSet<PathBuf> {
        self.pairs.iter().flat_map(|p| [p.first.clone(), p.second.clone()]).collect()
    }
}

fn parse_header(line: &str) -> Option<(u8, usize)> {
    let mut words = line.split_whitespace();
    let folds = words.next()?.parse().ok().filter(|&n: &u8| n >= 2)?;
    let pairs = words.next()?.parse().ok().filter(|&n: &usize| n >= 1)?;
    words.next().is_none().then_some((folds, pairs))
}

fn parse_pair(line: &str, same: bool) -> Option<(PathBuf, PathBuf)> {
    let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
    match (same, &fields[..]) {
        (true, [name, a, b]) => Some((image(name, a)?, image(name, b)?)),
        (false, [first, a, second, b]) => Some((image(first, a)?, image(second, b)?)),
        _ => None,
    }
}

/// `NAME/NAME_000N.jpg`. Names that would lead out of the folder are none.
fn image(name: &str, number: &str) -> Option<PathBuf> {
    let number: u16 = number.parse().ok().filter(|&n| n >= 1)?;
    let plain = !name.is_empty() && !name.contains(['/', '\\']) && name != "." && name != "..";
    plain.then(|| Path::new(name).join(format!("{name}_{number:04}.jpg")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "2\t1\nAda\t1\t4\nAda\t1\tBob\t12\nBob\t1\t2\nBob\t1\tEve\t1\n";

    fn parse(text: &str) -> Result<Pairs, DataError> {
        Pairs::parse(Path::new("pairs.txt"), text)
    }

    #[test]
    fn pairs_of_two_folds() {
        let pairs = parse(GOOD).unwrap();
        assert_eq!((pairs.folds, pairs.pairs.len()), (2, 4));
        let expected = Pair {
            first: "Ada/Ada_0001.jpg".into(),
            second: "Bob/Bob_0012.jpg".into(),
            same: false,
            fold: 0,
        };
        assert_eq!(pairs.pairs[1], expected);
        assert_eq!(pairs.pairs[2].fold, 1);
        assert_eq!(pairs.images().len(), 6);
    }

    #[test]
    fn malformed_lines_are_named() {
        for (text, line, says) in [
            ("", 1, "empty"),
            ("1\t300\n", 1, "folds (2 to 255)"),
            (&GOOD.replace("\t4\n", "\tx\n"), 2, "for a pair of one person"),
            (&GOOD.replace("\t4\n", "\t0\n"), 2, "for a pair of one person"),
            (&GOOD.replace("Bob\t12", "../Bob\t12"), 3, "for a pair of two people"),
            (&GOOD.replace("Bob\t1\tEve\t1\n", ""), 5, "ends after 3 pairs"),
            (&format!("{GOOD}x\n"), 6, "one too many"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(
                error.contains(&format!("pairs.txt line {line}:")) && error.contains(says),
                "{says}: {error}"
            );
        }
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0..GOOD.len(), byte in any::<u8>(), cut in 0..=GOOD.len()) {
            let mut bytes = GOOD.as_bytes().to_vec();
            bytes[at] = byte;
            bytes.truncate(cut);
            match parse(&String::from_utf8_lossy(&bytes)) {
                Ok(pairs) => prop_assert!(!pairs.pairs.is_empty()),
                Err(error) => prop_assert!(error.to_string().contains("line")),
            }
        }
    }
}
