//! One path or several, as a recipe writes them: `path = "a"` or `path = ["a", "b"]`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// Paths in the order given; none only where a field may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Paths(Vec<PathBuf>);

impl Paths {
    /// In the order given.
    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(PathBuf::as_path)
    }

    /// To be changed in place.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.0.iter_mut()
    }
}

impl<P: Into<PathBuf>> From<P> for Paths {
    fn from(path: P) -> Self {
        Paths(vec![path.into()])
    }
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Paths;

            fn expecting(&self, to: &mut fmt::Formatter) -> fmt::Result {
                to.write_str("a path or a list of paths")
            }

            fn visit_str<E: serde::de::Error>(self, path: &str) -> Result<Paths, E> {
                Ok(Paths::from(path))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Paths, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = list.next_element::<PathBuf>()? {
                    paths.push(path);
                }
                match paths.is_empty() {
                    true => Err(serde::de::Error::invalid_length(0, &self)),
                    false => Ok(Paths(paths)),
                }
            }
        }
        from.deserialize_any(OneOrMore)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Table {
        path: Paths,
    }

    #[test]
    fn one_or_more_and_nothing_else() {
        let read = |text: &str| toml::from_str::<Table>(text).map(|t| t.path.0);
        assert_eq!(read("path = \"a\"").unwrap(), [Path::new("a")]);
        assert_eq!(read("path = [\"a\", \"b/c\"]").unwrap(), [Path::new("a"), Path::new("b/c")]);
        for wrong in ["path = 3", "path = []", "path = [\"a\", 3]"] {
            let said = read(wrong).unwrap_err().to_string();
            assert!(said.contains("path"), "{said}");
        }
    }
}
