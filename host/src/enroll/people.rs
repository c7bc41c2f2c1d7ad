//! Folders of photographs to people, and people to templates.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{EnrollError, Place, Survey};
use crate::data::ImageSet;
use crate::photo::Finder;

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

/// Enrolls the people of a survey, one template a photograph: its second pass. `done` hears of each photograph.
///
/// # Errors
/// When the place refuses (no room, a broken connection), or a photograph has changed since the survey: the error says at which
/// photograph, and how many templates were enrolled before it.
pub fn enroll(
    place: &mut Place,
    survey: &Survey,
    finder: &Finder,
    mut done: impl FnMut(&Path),
) -> Result<Summary, EnrollError> {
    let mut people = BTreeSet::new();
    for (templates, shot) in survey.shots.iter().enumerate() {
        let enrolled =
            survey.sending(templates, place, finder).and_then(|sending| place.enroll(&shot.name, &sending));
        if let Err(why) = enrolled {
            let (photo, name) = (shot.photo.clone(), shot.name.clone());
            return Err(EnrollError::Stopped { photo, name, templates, why: Box::new(why) });
        }
        people.insert(&shot.name);
        done(&shot.photo);
    }
    Ok(Summary { people: people.len(), templates: survey.shots.len() })
}
