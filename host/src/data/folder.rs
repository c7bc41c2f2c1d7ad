//! Images under a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{DataError, LandmarksCsv, lfw, read_text};

/// The endings of the files that count as images, in lower case.
pub const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "pgm", "ppm", "bmp"];

/// The list of identities that CelebA comes with: a line `FILE IDENTITY` an image.
const IDENTITY_LIST: &str = "identity_CelebA.txt";

/// Every image under a folder, sorted by path.
#[derive(Debug, Clone)]
pub struct ImageSet {
    /// The folder.
    pub root: PathBuf,
    /// The images, relative to `root`, sorted.
    pub images: Vec<PathBuf>,
    /// Found as `root/landmarks.csv` or, for a folder NAME, as `NAME-protocol/landmarks.csv` beside it.
    pub landmarks: Option<LandmarksCsv>,
    /// Images named by a `pairs.txt` in either of these folders, relative to `root`: the test set, never calibrated on.
    pub held_out: BTreeSet<PathBuf>,
    /// File name -> identity, where the folder has a list of identities.
    listed: BTreeMap<PathBuf, String>,
}

/// One identity of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The folder relative to the set's root, or the name in the set's list.
    pub name: String,
    /// Indices into [`ImageSet::images`].
    pub images: Vec<usize>,
}

impl ImageSet {
    /// Lists the images under `root`; none is decoded yet.
    ///
    /// # Errors
    /// When a folder cannot be read, there is no image, or the landmarks, pairs or identity list beside it are malformed.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, DataError> {
        let root = root.as_ref().to_path_buf();
        let mut images = Vec::new();
        walk(&root, Path::new(""), &mut images)?;
        if images.is_empty() {
            return Err(DataError::NoImages { path: root });
        }
        let beside = [Some(root.clone()), protocol_folder(&root)];
        let mut set = ImageSet::of(root, images);
        for folder in beside.into_iter().flatten() {
            let csv = folder.join("landmarks.csv");
            if set.landmarks.is_none() && csv.is_file() {
                set.landmarks = Some(LandmarksCsv::read(csv)?);
            }
            set.hold_out_pairs_in(&folder)?;
        }
        let list = set.root.join(IDENTITY_LIST);
        if list.is_file() {
            set.listed = read_identities(&list)?;
        }
        Ok(set)
    }

    /// One image, with its landmarks where the `landmarks.csv` beside it names it; it is not opened yet.
    ///
    /// # Errors
    /// When that file is malformed.
    pub fn file(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut set = ImageSet::of(folder, path.file_name().map(PathBuf::from));
        let csv = folder.join("landmarks.csv");
        if csv.is_file() {
            let csv = LandmarksCsv::read(csv)?;
            set.landmarks = csv.get(path).is_some().then_some(csv);
        }
        Ok(set)
    }

    /// Holds out the images that `folder/pairs.txt` names, if there is one.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn hold_out_pairs_in(&mut self, folder: &Path) -> Result<(), DataError> {
        let pairs = folder.join("pairs.txt");
        if pairs.is_file() {
            self.held_out.extend(lfw::Pairs::read(&pairs)?.images());
        }
        Ok(())
    }

    /// Images that somebody else named, relative to `root`: no folder is listed, and a missing image shows when it is opened.
    pub fn of(root: impl Into<PathBuf>, images: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut images: Vec<PathBuf> = images.into_iter().collect();
        images.sort();
        images.dedup();
        ImageSet {
            root: root.into(),
            images,
            landmarks: None,
            held_out: BTreeSet::new(),
            listed: BTreeMap::new(),
        }
    }

    /// The index of an image, by its path relative to the root.
    pub fn index(&self, image: &Path) -> Option<usize> {
        self.images.binary_search_by(|p| p.as_path().cmp(image)).ok()
    }

    /// The path of image `index`, with the root.
    pub fn path(&self, index: usize) -> PathBuf {
        self.root.join(&self.images[index])
    }

    /// The identities, sorted by name: from the set's list of identities where it has one, else a folder each. Images
    /// that lie in `root` itself, or are not in the list, belong to none.
    pub fn identities(&self) -> Vec<Identity> {
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (i, image) in self.images.iter().enumerate() {
            let name = if self.listed.is_empty() {
                image.parent().filter(|p| *p != Path::new("")).map(|p| p.display().to_string())
            } else {
                self.listed.get(image).cloned()
            };
            if let Some(name) = name {
                by_name.entry(name).or_default().push(i);
            }
        }
        by_name.into_iter().map(|(name, images)| Identity { name, images }).collect()
    }
}

/// `NAME-protocol` beside the folder NAME.
fn protocol_folder(root: &Path) -> Option<PathBuf> {
    let root = root.canonicalize().ok()?;
    let name = root.file_name()?.to_str()?;
    Some(root.parent()?.join(format!("{name}-protocol")))
}

fn walk(root: &Path, relative: &Path, images: &mut Vec<PathBuf>) -> Result<(), DataError> {
    let folder = root.join(relative);
    let io = |source| DataError::Io { path: folder.clone(), source };
    for entry in std::fs::read_dir(&folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let path = relative.join(entry.file_name());
        // Links to folders are not followed: they can lead in circles.
        if entry.file_type().map_err(io)?.is_dir() {
            walk(root, &path, images)?;
        } else if is_image(&path) {
            images.push(path);
        }
    }
    Ok(())
}

fn is_image(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    ending.is_some_and(|e| EXTENSIONS.contains(&e.as_str()))
}

fn read_identities(path: &Path) -> Result<BTreeMap<PathBuf, String>, DataError> {
    let mut listed = BTreeMap::new();
    for (i, line) in read_text(path)?.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [file, name] = words[..] else {
            let what = format!("{} words in {line:?}", words.len());
            let accepted = "a file name and an identity, separated by a blank";
            return Err(DataError::Line { path: path.into(), line: i + 1, what, accepted });
        };
        listed.insert(PathBuf::from(file), name.to_owned());
    }
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: PathBuf, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn names(set: &ImageSet) -> Vec<(String, usize)> {
        set.identities().into_iter().map(|i| (i.name, i.images.len())).collect()
    }

    #[test]
    fn a_folder_an_identity() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("set");
        for file in ["b/2.PNG", "b/1.jpg", "a/x/1.pgm", "loose.bmp", "a/notes.txt"] {
            write(root.join(file), "");
        }
        let set = ImageSet::open(&root).unwrap();
        let images: Vec<&str> = set.images.iter().map(|p| p.to_str().unwrap()).collect();
        assert_eq!(images, ["a/x/1.pgm", "b/1.jpg", "b/2.PNG", "loose.bmp"]);
        assert_eq!(names(&set), [("a/x".into(), 1), ("b".into(), 2)]);
        assert!(set.landmarks.is_none() && set.held_out.is_empty());
    }

    #[test]
    fn protocol_files_lie_beside_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["lfw/A/A_0001.jpg", "lfw/A/A_0002.jpg", "lfw/B/B_0001.jpg"] {
            write(dir.path().join(file), "");
        }
        write(dir.path().join("lfw-protocol/landmarks.csv"), &format!("A/A_0001.jpg,0{}\n", ",0".repeat(15)));
        write(dir.path().join("lfw-protocol/pairs.txt"), "2\t1\nA\t1\t2\nA\t2\tB\t1\nB\t1\t1\nA\t1\tB\t1\n");
        let set = ImageSet::open(dir.path().join("lfw")).unwrap();
        assert!(set.landmarks.is_some());
        assert_eq!(set.held_out.len(), 3);
    }

    #[test]
    fn one_image_has_the_landmarks_beside_it_if_they_are_its() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path().join("landmarks.csv"), &format!("a.jpg,0{}\n", ",0".repeat(15)));
        for (name, listed) in [("a.jpg", true), ("b.jpg", false)] {
            let path = dir.path().join(name);
            let set = ImageSet::file(&path).unwrap();
            assert_eq!((set.images.len(), set.path(0), set.landmarks.is_some()), (1, path, listed));
        }
        assert_eq!(ImageSet::file("c.png").unwrap().path(0), Path::new("c.png"));
    }

    #[test]
    fn a_list_of_identities_wins() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["1.jpg", "2.jpg", "3.jpg"] {
            write(dir.path().join(file), "");
        }
        write(dir.path().join(IDENTITY_LIST), "img label\n1.jpg 7\n3.jpg 7\n9.jpg 8\n");
        assert_eq!(names(&ImageSet::open(dir.path()).unwrap()), [("7".into(), 2)]);
        write(dir.path().join(IDENTITY_LIST), "1.jpg 7\n3.jpg\n");
        let error = ImageSet::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("accepted"), "{error}");
    }

    #[test]
    fn nothing_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(ImageSet::open(dir.path()), Err(DataError::NoImages { .. })));
        assert!(matches!(ImageSet::open(dir.path().join("no")), Err(DataError::Io { .. })));
    }
}
