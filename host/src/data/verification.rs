//! InsightFace's verification sets (lfw.bin, cfp_fp.bin, agedb_30.bin): a Python pickle of a list of encoded images and a list that
//! says of each two of them whether they show one person.
//!
//! A pickle is a program, and Python's own reader runs whatever it names. This one knows the opcodes that make bytes, numbers,
//! truth values, lists and tuples; at any other it stops with its name. Nothing is ever executed.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why a verification set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BinError {
    /// The file system said no.
    #[error("cannot read {}: {why}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        why: std::io::Error,
    },
    /// The pickle is damaged or holds something else.
    #[error("{}, byte {at}: {what}\n  accepted: a pickle of (list of encoded images, list of truth values), as InsightFace writes it", path.display())]
    Pickle {
        /// Which file.
        path: PathBuf,
        /// Where.
        at: usize,
        /// What is wrong.
        what: String,
    },
}

/// Images two by two, and whether each two show one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationSet {
    /// The file.
    bytes: Vec<u8>,
    /// Where in it each image lies; one that is named twice lies there once.
    images: Vec<Range<usize>>,
    /// One a pair.
    pub same: Vec<bool>,
}

impl VerificationSet {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or is anything but such a pickle: then with the byte at which that shows.
    pub fn read(path: &Path) -> Result<Self, BinError> {
        let bytes = std::fs::read(path).map_err(|why| BinError::Io { path: path.into(), why })?;
        let (images, same) =
            parse(&bytes).map_err(|(at, what)| BinError::Pickle { path: path.into(), at, what })?;
        Ok(VerificationSet { bytes, images, same })
    }

    /// The encoded images (JPEG or PNG); pair i is images 2 i and 2 i + 1.
    pub fn images(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.images.iter().map(|place| &self.bytes[place.clone()])
    }
}

/// What lies on the pickle's stack. Bytes stay where they are in the file.
#[derive(Debug, Clone)]
enum Value {
    Mark,
    Bytes(Range<usize>),
    Number(i64),
    List(Vec<Value>),
    Tuple(Vec<Value>),
}

impl Value {
    /// 0 for what holds nothing, 1 for a list of that, and so on. Values are kept shallow, so this does not go deep.
    fn depth(&self) -> usize {
        match self {
            Value::List(inner) | Value::Tuple(inner) => 1 + inner.iter().map(Value::depth).max().unwrap_or(0),
            Value::Mark | Value::Bytes(_) | Value::Number(_) => 0,
        }
    }
}

type Wrong = (usize, String);

/// Where the images lie, and which pairs show one person.
type Pairs = (Vec<Range<usize>>, Vec<bool>);

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    memo: std::collections::BTreeMap<u64, Value>,
}

fn parse(bytes: &[u8]) -> Result<Pairs, Wrong> {
    let mut machine = Machine { bytes, at: 0, stack: Vec::new(), memo: Default::default() };
    let top = machine.run()?;
    let end = (bytes.len(), "it holds no two lists".to_owned());
    let (Value::Tuple(parts) | Value::List(parts)) = top else { return Err(end) };
    let Ok([Value::List(images) | Value::Tuple(images), Value::List(same) | Value::Tuple(same)]) =
        <[Value; 2]>::try_from(parts)
    else {
        return Err(end);
    };
    let at_end = |what: String| (bytes.len(), what);
    let image = |(i, value): (usize, &Value)| match value {
        Value::Bytes(range) => Ok(range.clone()),
        _ => Err(at_end(format!("image {i} is no string of bytes"))),
    };
    let images: Vec<Range<usize>> = images.iter().enumerate().map(image).collect::<Result<_, _>>()?;
    let truth = |(i, value): (usize, &Value)| match value {
        Value::Number(number @ (0 | 1)) => Ok(*number == 1),
        _ => Err(at_end(format!("entry {i} of the second list is no truth value"))),
    };
    let same: Vec<bool> = same.iter().enumerate().map(truth).collect::<Result<_, _>>()?;
    if same.is_empty() || images.len() != 2 * same.len() {
        return Err(at_end(format!("{} images for {} pairs", images.len(), same.len())));
    }
    Ok((images, same))
}

impl Machine<'_> {
    fn wrong<T>(&self, what: impl Into<String>) -> Result<T, Wrong> {
        Err((self.at, what.into()))
    }

    /// Refuses what is deeper than a list of values: a pickle could nest a million times, and each level be dropped in the next.
    fn shallow(&self, values: Vec<Value>) -> Result<Vec<Value>, Wrong> {
        if values.iter().any(|value| value.depth() > 1) {
            return self.wrong("lists are nested too deep");
        }
        Ok(values)
    }

    fn take(&mut self, length: usize) -> Result<Range<usize>, Wrong> {
        match self.at.checked_add(length).filter(|&end| end <= self.bytes.len()) {
            Some(end) => {
                let range = self.at..end;
                self.at = end;
                Ok(range)
            }
            None => self.wrong(format!("{length} bytes are wanted, {} are left", self.bytes.len() - self.at)),
        }
    }

    /// An unsigned number of `width` bytes, little-endian.
    fn number(&mut self, width: usize) -> Result<u64, Wrong> {
        let range = self.take(width)?;
        Ok(self.bytes[range].iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)))
    }

    fn sized(&mut self, width: usize) -> Result<Value, Wrong> {
        let length = self.number(width)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(Value::Bytes(self.take(length)?))
    }

    /// The rest of a line, for the opcodes that are text.
    fn line(&mut self) -> Result<String, Wrong> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().take(32).position(|&b| b == b'\n') else {
            return self.wrong("a number without an end");
        };
        let text = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length + 1;
        Ok(text)
    }

    fn pop(&mut self) -> Result<Value, Wrong> {
        match self.stack.pop() {
            Some(Value::Mark) | None => self.wrong("nothing is there to be taken"),
            Some(value) => Ok(value),
        }
    }

    /// What was put since the last mark.
    fn since_mark(&mut self) -> Result<Vec<Value>, Wrong> {
        match self.stack.iter().rposition(|v| matches!(v, Value::Mark)) {
            Some(mark) => {
                let values = self.stack.split_off(mark + 1);
                self.stack.pop();
                Ok(values)
            }
            None => self.wrong("no mark is there to go back to"),
        }
    }

    fn grow(&mut self, with: Vec<Value>) -> Result<(), Wrong> {
        let with = self.shallow(with)?;
        match self.stack.last_mut() {
            Some(Value::List(list)) => {
                list.extend(with);
                Ok(())
            }
            _ => self.wrong("no list is there to grow"),
        }
    }

    fn remember(&mut self, key: u64) {
        // Only what never changes is kept: a list that is named twice would have to be shared.
        if let Some(value @ (Value::Bytes(_) | Value::Number(_))) = self.stack.last() {
            self.memo.insert(key, value.clone());
        } else {
            self.memo.remove(&key);
        }
    }

    fn recall(&mut self, key: u64) -> Result<Value, Wrong> {
        match self.memo.get(&key) {
            Some(value) => Ok(value.clone()),
            None => self.wrong(format!("memo {key} holds nothing that can be used twice")),
        }
    }

    fn run(&mut self) -> Result<Value, Wrong> {
        // MEMOIZE counts what it has stored.
        let mut memoized = 0;
        loop {
            let start = self.at;
            let opcode = self.number(1)? as u8;
            let value = match opcode {
                b'.' => return self.pop(),
                // PROTO, FRAME: the version, and how long a piece of the file is.
                0x80 => {
                    let version = self.number(1)?;
                    if version > 5 {
                        return self.wrong(format!("a pickle of version {version}"));
                    }
                    continue;
                }
                0x95 => {
                    self.take(8)?;
                    continue;
                }
                b'(' => Value::Mark,
                b']' => Value::List(Vec::new()),
                b')' => Value::Tuple(Vec::new()),
                b'a' => {
                    let value = self.pop()?;
                    self.grow(vec![value])?;
                    continue;
                }
                b'e' => {
                    let values = self.since_mark()?;
                    self.grow(values)?;
                    continue;
                }
                b'l' | b't' => {
                    let values = self.since_mark()?;
                    let values = self.shallow(values)?;
                    if opcode == b'l' { Value::List(values) } else { Value::Tuple(values) }
                }
                0x85..=0x87 => {
                    let mut values: Vec<Value> =
                        (0..opcode - 0x84).map(|_| self.pop()).collect::<Result<_, _>>()?;
                    values.reverse();
                    Value::Tuple(self.shallow(values)?)
                }
                0x88 => Value::Number(1),
                0x89 => Value::Number(0),
                b'K' => Value::Number(self.number(1)? as i64),
                b'M' => Value::Number(self.number(2)? as i64),
                b'J' => Value::Number(self.number(4)? as u32 as i32 as i64),
                b'I' => {
                    let text = self.line()?;
                    match text.trim().parse() {
                        Ok(number) => Value::Number(number),
                        Err(_) => return self.wrong(format!("{text:?} is no number")),
                    }
                }
                b'U' | b'C' => self.sized(1)?,
                b'T' | b'B' => self.sized(4)?,
                0x8e => self.sized(8)?,
                b'q' => {
                    let key = self.number(1)?;
                    self.remember(key);
                    continue;
                }
                b'r' => {
                    let key = self.number(4)?;
                    self.remember(key);
                    continue;
                }
                0x94 => {
                    self.remember(memoized);
                    memoized += 1;
                    continue;
                }
                b'h' => {
                    let key = self.number(1)?;
                    self.recall(key)?
                }
                b'j' => {
                    let key = self.number(4)?;
                    self.recall(key)?
                }
                other => return Err((start, format!("the opcode {}, which is not run here", name(other)))),
            };
            self.stack.push(value);
        }
    }
}

/// An opcode by its name, where it is one of those that build objects or call functions.
fn name(opcode: u8) -> String {
    let name = match opcode {
        b'c' => "GLOBAL",
        b'R' => "REDUCE",
        b'i' => "INST",
        b'o' => "OBJ",
        b'b' => "BUILD",
        0x81 => "NEWOBJ",
        0x92 => "NEWOBJ_EX",
        0x93 => "STACK_GLOBAL",
        b'P' | b'Q' => "PERSID",
        0x82..=0x84 => "EXT",
        b'}' | b'd' => "DICT",
        other => return format!("{other:#04x}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sized(opcode: u8, width: usize, bytes: &[u8]) -> Vec<u8> {
        let length = (bytes.len() as u64).to_le_bytes();
        [&[opcode], &length[..width], bytes].concat()
    }

    /// The images of a pickle, and its truth values.
    fn read(pickle: &[u8]) -> Result<(Vec<Vec<u8>>, Vec<bool>), Wrong> {
        let (images, same) = parse(pickle)?;
        let set = VerificationSet { bytes: pickle.to_vec(), images, same };
        Ok((set.images().map(<[u8]>::to_vec).collect(), set.same))
    }

    /// As Python 2 writes it with protocol 2, and Python 3 with protocol 4.
    fn pickles() -> [Vec<u8>; 2] {
        let mut old = b"\x80\x02]q\x00(".to_vec();
        old.extend(
            [sized(b'U', 1, b"one"), b"q\x01".to_vec(), sized(b'U', 1, b"two"), b"q\x02".to_vec()].concat(),
        );
        old.extend([sized(b'T', 4, &[7; 300]), b"q\x03h\x01e]q\x04(\x88\x89e\x86q\x05.".to_vec()].concat());
        let mut new = b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00]\x94(".to_vec();
        new.extend(
            [sized(b'C', 1, b"one"), b"\x94".to_vec(), sized(b'C', 1, b"two"), b"\x94".to_vec()].concat(),
        );
        new.extend([sized(0x8e, 8, &[7; 300]), b"\x94h\x01e]\x94(K\x01K\x00e\x86\x94.".to_vec()].concat());
        [old, new]
    }

    #[test]
    fn lists_of_images_and_truth_values() {
        let images = vec![b"one".to_vec(), b"two".to_vec(), vec![7; 300], b"one".to_vec()];
        for pickle in pickles() {
            assert_eq!(read(&pickle), Ok((images.clone(), vec![true, false])));
        }
    }

    #[test]
    fn nothing_is_ever_run() {
        // What os.system("...") looks like, in both ways of naming it.
        let old = b"cos\nsystem\n(U\x04true\x85R.".to_vec();
        let new = [b"\x80\x04".to_vec(), sized(b'C', 1, b"os"), sized(b'C', 1, b"system"), b"\x93.".to_vec()]
            .concat();
        for (pickle, opcode) in [(old, "GLOBAL"), (new, "STACK_GLOBAL")] {
            let (_, what) = parse(&pickle).unwrap_err();
            assert_eq!(what, format!("the opcode {opcode}, which is not run here"));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let told = |pickle: &[u8]| parse(pickle).unwrap_err().1;
        assert_eq!(told(b"\x80\x09."), "a pickle of version 9");
        assert_eq!(told(b"\x80\x02]]\x86."), "0 images for 0 pairs");
        assert_eq!(told(b"]."), "it holds no two lists");
        assert_eq!(told(b"B\xff\xff\xff\x7fxx"), "2147483647 bytes are wanted, 2 are left");
        assert_eq!(told(b"e"), "no mark is there to go back to");
        assert_eq!(told(b"(]e"), "no list is there to grow");
        assert_eq!(told(b"](K\x01K\x02e](\x88e\x86."), "image 0 is no string of bytes");
        assert_eq!(told(b"]q\x00h\x00"), "memo 0 holds nothing that can be used twice");
        let deep = [b")".to_vec(), vec![0x85; 1_000_000], b".".to_vec()].concat();
        assert_eq!(told(&deep), "lists are nested too deep");
        assert_eq!(told(b"](](](K\x01eee."), "lists are nested too deep");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lfw.bin");
        std::fs::write(&path, b"\x80\x02}.").unwrap();
        let error = VerificationSet::read(&path).unwrap_err().to_string();
        assert!(error.contains("lfw.bin, byte 2: the opcode DICT") && error.contains("accepted"), "{error}");
    }

    proptest! {
        #[test]
        fn damage_is_an_error_or_a_set(
            which in 0..2usize,
            hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let mut pickle = pickles()[which].clone();
            for (at, byte) in hits {
                let at = at.index(pickle.len());
                pickle[at] = byte;
            }
            if let Some(cut) = cut {
                pickle.truncate(cut.index(pickle.len()));
            }
            match parse(&pickle) {
                Ok((images, same)) => prop_assert_eq!(images.len(), 2 * same.len()),
                Err((at, what)) => prop_assert!(at <= pickle.len() && !what.is_empty()),
            }
        }

        #[test]
        fn any_bytes(pickle in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(parse(&pickle).is_err());
        }
    }
}
