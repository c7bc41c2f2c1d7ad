//! The first pass of an enrolment: what every photograph would add. Nothing is written.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use arcgate_firmware::decide::Rejection;
use arcgate_firmware::gallery::NAME_BYTES;
use arcgate_firmware::link::Fault;
use arcgate_firmware::link::answer::{Answer, Named};
use sha2::{Digest, Sha256};

use super::review::{self, Count, Limits, Review, Shot};
use super::{EnrollError, PersonPhotos, Place, Sending};
use crate::engine::Model;
use crate::link::LinkError;
use crate::photo::{Finder, Photo, PhotoError};

/// Bytes of pictures that are kept for the second pass: 7,000 crops of 112x112. What is beyond is made anew.
const KEPT_BYTES: usize = 256 << 20;

/// What the photographs of people would add.
#[derive(Debug)]
pub struct Survey {
    people: Vec<PersonPhotos>,
    /// Photographs that give a template, in the order of `people`.
    pub(super) shots: Vec<Shot>,
    /// Their pixels, as the device will be sent them; `None` where there was no more room.
    sendings: Vec<Option<Sending<'static>>>,
    /// The names that the target holds.
    enrolled: BTreeSet<String>,
    /// Photographs that give no template, and why.
    pub left_out: Vec<(PathBuf, PhotoError)>,
    /// Photographs with other faces besides the one taken, and how many.
    pub others: Vec<(PathBuf, usize)>,
}

/// Embeds the photographs of `people`, and asks the target who they are. Photographs that show nobody well enough are left
/// out; `done` hears of each photograph.
///
/// # Errors
/// When a name is no name, or the target fails.
pub fn survey(
    place: &mut Place,
    people: Vec<PersonPhotos>,
    finder: &Finder,
    mut done: impl FnMut(&Path),
) -> Result<Survey, EnrollError> {
    for person in &people {
        let bytes = person.name.len();
        if bytes == 0 || bytes > NAME_BYTES || person.name.chars().any(char::is_control) {
            return Err(EnrollError::Name(person.name.clone()));
        }
    }
    let enrolled = place.people()?.into_iter().map(|person| person.name.as_str().to_owned()).collect();
    let (mut shots, mut sendings, mut kept) = (Vec::new(), Vec::new(), 0);
    let (mut left_out, mut others) = (Vec::new(), Vec::new());
    for person in &people {
        for path in &person.photos {
            let looked = look(place, path, finder).map(|(sending, beside)| {
                let seen = shot(place, &person.name, path, &sending);
                seen.map(|shot| (shot, sending, beside))
            });
            match looked {
                Ok(seen) => match seen? {
                    (Ok(shot), sending, beside) => {
                        kept += sending.pixels().len();
                        sendings.push((kept <= KEPT_BYTES).then_some(sending));
                        shots.push(shot);
                        if beside > 0 {
                            others.push((path.clone(), beside));
                        }
                    }
                    (Err(why), ..) => left_out.push((path.clone(), why)),
                },
                Err(why) => left_out.push((path.clone(), why)),
            }
            done(path);
        }
    }
    Ok(Survey { people, shots, sendings, enrolled, left_out, others })
}

/// What the target makes of a picture; inside, why it makes none, where the picture is not good enough.
fn shot(
    place: &mut Place,
    name: &str,
    path: &Path,
    sending: &Sending<'_>,
) -> Result<Result<Shot, PhotoError>, EnrollError> {
    let refused = |why| EnrollError::Refused { photo: path.into(), name: name.into(), why: Box::new(why) };
    let (answer, embedding) = place.view(sending).map_err(refused)?;
    let pair = |named: Named| (named.name.as_str().to_owned(), named.angle);
    let enrolled = match answer {
        Answer::Known { best, second, .. } => [Some(best), second].into_iter().flatten().map(pair).collect(),
        Answer::Unknown { nearest, .. } => nearest.into_iter().map(pair).collect(),
        Answer::Rejected(Rejection::Quality(defect)) => {
            return Ok(Err(PhotoError::Quality { path: path.into(), defect }));
        }
        Answer::Rejected(Rejection::NoFace) => return Ok(Err(PhotoError::NoFace { path: path.into() })),
        Answer::Rejected(why) => return Err(refused(LinkError::Fault(Fault::Rejected(why)).into())),
    };
    Ok(Ok(Shot {
        name: name.into(),
        photo: path.into(),
        crop: Sha256::digest(sending.pixels()).into(),
        embedding,
        enrolled,
    }))
}

impl Survey {
    /// Photographs that give a template.
    pub fn templates(&self) -> usize {
        self.shots.len()
    }

    /// Records that an enrolment adds: a template each, and the people who are new.
    pub fn records(&self) -> usize {
        self.templates() + self.new_people()
    }

    /// Everybody who gets templates, in the order of their names, with the embeddings of their photographs.
    pub fn embeddings(&self) -> Vec<(&str, Vec<Vec<i8>>)> {
        let mut people: BTreeMap<&str, Vec<Vec<i8>>> = BTreeMap::new();
        for shot in &self.shots {
            people.entry(&shot.name).or_default().push(shot.embedding.clone());
        }
        people.into_iter().collect()
    }

    /// People who get templates and whom the target does not hold yet.
    fn new_people(&self) -> usize {
        let names: BTreeSet<&String> = self.shots.iter().map(|shot| &shot.name).collect();
        names.into_iter().filter(|name| !self.enrolled.contains(*name)).count()
    }

    /// Names for which no photograph gives a template.
    pub fn nobody(&self) -> Vec<String> {
        let some: BTreeSet<&String> = self.shots.iter().map(|shot| &shot.name).collect();
        let names = self.people.iter().map(|person| &person.name);
        names.filter(|name| !some.contains(name)).cloned().collect()
    }

    /// The thresholds for the people there will be, by the tables of `model` or, without one, by the device's threshold of now.
    pub fn limits(&self, place: &Place, model: Option<&Model>) -> Limits {
        let (info, table) = (place.info(), model.and_then(Model::thresholds));
        let now = Count { people: info.usage.people, templates: info.usage.templates };
        let more = Count { people: self.new_people() as u32, templates: self.templates() as u32 };
        Limits::new(table, now, info.threshold, more)
    }

    /// What is wrong, or may be, with the photographs.
    pub fn review(&self, limits: &Limits) -> Review {
        review::review(&self.shots, &self.enrolled, limits)
    }

    /// What is sent of photograph `index` of those that give a template.
    ///
    /// # Errors
    /// When it has to be made anew, and that gives another one.
    pub(super) fn sending(
        &self,
        index: usize,
        place: &Place,
        finder: &Finder,
    ) -> Result<Cow<'_, Sending<'static>>, EnrollError> {
        if let Some(sending) = &self.sendings[index] {
            return Ok(Cow::Borrowed(sending));
        }
        let shot = &self.shots[index];
        let (sending, _) = look(place, &shot.photo, finder)?;
        let same = <[u8; 32]>::from(Sha256::digest(sending.pixels())) == shot.crop;
        if same { Ok(Cow::Owned(sending)) } else { Err(EnrollError::Changed) }
    }
}

fn look(place: &Place, path: &Path, finder: &Finder) -> Result<(Sending<'static>, usize), PhotoError> {
    Sending::of(&Photo::open(path)?, finder, place.info(), place.model())
}
