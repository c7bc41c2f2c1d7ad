//! Five points a photograph, from a CSV file: what a detector found once, so that it need not run again.
//!
//! A line a photograph, no header: path relative to the set's folder, faces found (0: the rest is zeros), box x, y, width,
//! height, five points x, y each in the order of the alignment template, score. Pixels. The path may hold commas.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use arcgate_firmware::detect::Face;
use nalgebra::Point2;

use super::{DataError, read_text};

/// Values after the path.
const VALUES: usize = 16;

const ACCEPTED: &str =
    "path, faces found, box x y width height, five points x y each, score: 17 fields separated by commas";

/// What the file says of one photograph.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Faces that the detector found in it.
    pub faces: usize,
    /// The face that the photograph is about; `None` when none was found.
    pub face: Option<Face>,
}

/// A file of landmarks.
#[derive(Debug, Clone)]
pub struct LandmarksCsv {
    path: PathBuf,
    rows: HashMap<PathBuf, Row>,
}

impl LandmarksCsv {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or a line is malformed: then with its number and what is accepted.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        Self::parse(path, &read_text(path)?)
    }

    /// Parses `text`, which stands in the file at `path`.
    ///
    /// # Errors
    /// When a line is malformed or names a photograph a second time.
    pub fn parse(path: &Path, text: &str) -> Result<Self, DataError> {
        let mut rows = HashMap::new();
        for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let wrong = |what| DataError::Line { path: path.into(), line: i + 1, what, accepted: ACCEPTED };
            let (photo, row) = parse_line(line).map_err(wrong)?;
            if rows.insert(PathBuf::from(photo), row).is_some() {
                return Err(wrong(format!("{photo:?} is in the file twice")));
            }
        }
        Ok(LandmarksCsv { path: path.into(), rows })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Photographs in it.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it names no photograph.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row of a photograph. The whole `path` is looked up first, then without its leading folders one by one, so that
    /// absolute paths find their rows too; the longest match wins.
    pub fn get(&self, path: &Path) -> Option<&Row> {
        let mut rest = path.components();
        loop {
            if rest.as_path() == Path::new("") {
                return None;
            }
            if let Some(row) = self.rows.get(rest.as_path()) {
                return Some(row);
            }
            rest.next();
        }
    }
}

fn parse_line(line: &str) -> Result<(&str, Row), String> {
    // From the right, so that the path may hold commas.
    let mut fields = line.rsplitn(VALUES + 1, ',').collect::<Vec<&str>>();
    fields.reverse();
    let (photo, values) = match fields.split_first() {
        Some((&photo, values)) if values.len() == VALUES => (photo, values),
        _ => return Err(format!("{} fields", fields.len())),
    };
    if photo.is_empty() {
        return Err("the path is empty".into());
    }
    let faces: usize =
        values[0].trim().parse().map_err(|_| format!("faces found is {:?}, no count", values[0]))?;
    let mut numbers = [0f32; VALUES - 1];
    for (number, text) in numbers.iter_mut().zip(&values[1..]) {
        *number = text
            .trim()
            .parse()
            .ok()
            .filter(|v: &f32| v.is_finite())
            .ok_or_else(|| format!("{text:?} is no finite number"))?;
    }
    let face = (faces > 0).then(|| Face {
        x: numbers[0],
        y: numbers[1],
        width: numbers[2],
        height: numbers[3],
        landmarks: std::array::from_fn(|i| Point2::new(numbers[4 + 2 * i], numbers[5 + 2 * i])),
        score: numbers[14],
    });
    Ok((photo, Row { faces, face }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str =
        "A/a.jpg,2,1,2,3,4,10,11,20,21,30,31,40,41,50,51,0.9\nB/b, c.jpg,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0\n";

    fn parse(text: &str) -> Result<LandmarksCsv, DataError> {
        LandmarksCsv::parse(Path::new("l.csv"), text)
    }

    #[test]
    fn rows_are_found_by_any_longer_path() {
        let csv = parse(GOOD).unwrap();
        assert_eq!(csv.len(), 2);
        let row = csv.get(Path::new("/data/set/A/a.jpg")).unwrap();
        let face = row.face.unwrap();
        assert_eq!((row.faces, face.width, face.score), (2, 3.0, 0.9));
        assert_eq!(face.landmarks[3], Point2::new(40.0, 41.0));
        assert_eq!(csv.get(Path::new("B/b, c.jpg")).unwrap().face, None);
        assert_eq!(csv.get(Path::new("a.jpg")), None);
    }

    #[test]
    fn malformed_lines_are_named() {
        for (text, says) in [
            ("A/a.jpg,1,2\n", "3 fields"),
            (&GOOD.replace(",2,1,", ",-2,1,"), "no count"),
            (&GOOD.replace("0.9", "NaN"), "no finite number"),
            (&GOOD.replace("A/a.jpg", ""), "the path is empty"),
            (&format!("{GOOD}{GOOD}"), "twice"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("l.csv line") && error.contains(says), "{says}: {error}");
            assert!(error.contains("accepted: path"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0..GOOD.len(), byte in any::<u8>(), cut in 0..GOOD.len()) {
            let mut bytes = GOOD.as_bytes().to_vec();
            bytes[at] = byte;
            bytes.truncate(cut);
            let text = String::from_utf8_lossy(&bytes);
            match parse(&text) {
                Ok(csv) => prop_assert!(csv.len() <= text.lines().count()),
                Err(error) => prop_assert!(error.to_string().contains("line")),
            }
        }
    }
}
