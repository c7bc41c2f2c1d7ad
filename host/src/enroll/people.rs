//! Folders of photographs to people.

use std::path::{Path, PathBuf};

use arcgate_firmware::decide::Rejection;
use arcgate_firmware::gallery::NAME_BYTES;
use arcgate_firmware::link::Fault;

use super::{EnrollError, Place};
use crate::data::ImageSet;
use crate::link::LinkError;
use crate::photo::{self, Finder, Found, Photo, PhotoError};

/// Somebody's photographs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonPhotos {
    /// What they are to be called.
    pub name: String,
    /// Paths.
    pub photos: Vec<PathBuf>,
}

/// What an enrolment did.
#[derive(Debug, Default)]
pub struct Summary {
    /// People who have at least one template more.
    pub people: usize,
    /// Templates added.
    pub templates: usize,
    /// Photographs that gave none, and why.
    pub left_out: Vec<(PathBuf, PhotoError)>,
    /// Photographs with other faces besides the one taken, and how many.
    pub others: Vec<(PathBuf, usize)>,
    /// Names for which no photograph gave a template.
    pub nobody: Vec<String>,
}

/// Folder per person: DIR/NAME/*.jpg; underscores in the folder's name become blanks.
///
/// # Errors
/// When the folder cannot be read or has no folder for a person.
pub fn in_folder(set: &ImageSet) -> Result<Vec<PersonPhotos>, EnrollError> {
    let person = |identity: crate::data::Identity| PersonPhotos {
        name: identity.name.replace('_', " "),
        photos: identity.images.iter().map(|&i| set.path(i)).collect(),
    };
    let people: Vec<PersonPhotos> = set.identities().into_iter().map(person).collect();
    if people.is_empty() { Err(EnrollError::NoPeople(set.root.clone())) } else { Ok(people) }
}

/// Enrolls `people`, one template a photograph. Photographs that show nobody are left out and named in the summary;
/// `done` hears of each photograph.
///
/// # Errors
/// When a name is no name: then nobody is enrolled. When the place refuses (no room, a broken connection): the error says
/// at which photograph, and how many templates were enrolled before it.
pub fn enroll(
    place: &mut Place,
    people: &[PersonPhotos],
    finder: &Finder,
    mut done: impl FnMut(&Path),
) -> Result<Summary, EnrollError> {
    // Before anybody is enrolled: a name that the gallery would refuse half-way.
    for person in people {
        let bytes = person.name.len();
        if bytes == 0 || bytes > NAME_BYTES || person.name.chars().any(char::is_control) {
            return Err(EnrollError::Name(person.name.clone()));
        }
    }
    let mut summary = Summary::default();
    for person in people {
        let before = summary.templates;
        for path in &person.photos {
            match look(place, path, finder) {
                Ok((crop, others)) => match place.enroll_crop(&person.name, &crop) {
                    Ok(_) => {
                        summary.templates += 1;
                        if others > 0 {
                            summary.others.push((path.clone(), others));
                        }
                    }
                    Err(EnrollError::Link(LinkError::Fault(Fault::Rejected(Rejection::Quality(defect))))) => {
                        let why = PhotoError::Quality { path: path.clone(), defect };
                        summary.left_out.push((path.clone(), why));
                    }
                    Err(why) => {
                        return Err(EnrollError::Stopped {
                            photo: path.clone(),
                            name: person.name.clone(),
                            templates: summary.templates,
                            why: Box::new(why),
                        });
                    }
                },
                Err(why) => summary.left_out.push((path.clone(), why)),
            }
            done(path);
        }
        if summary.templates > before {
            summary.people += 1;
        } else {
            summary.nobody.push(person.name.clone());
        }
    }
    Ok(summary)
}

fn look(place: &Place, path: &Path, finder: &Finder) -> Result<(Vec<u8>, usize), PhotoError> {
    let photo = Photo::open(path)?;
    let found = finder.find(&photo, place.model())?;
    found.check_pose(&photo)?;
    let others = match found {
        Found::Face { others, .. } => others,
        Found::Framed => 0,
    };
    Ok((photo::crop(&photo, &found, place.model())?, others))
}
