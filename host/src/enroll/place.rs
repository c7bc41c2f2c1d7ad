//! Where people are kept, whatever the target.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use arcgate_firmware::device::Event;
use arcgate_firmware::engine::{EmbedError, Embedder, Models};
use arcgate_firmware::flash::nor::MemoryNor;
use arcgate_firmware::gallery::{Binding, Damage, NoCounter, Person, PersonId};
use arcgate_firmware::link::answer::Answer;
use arcgate_firmware::link::message::Who;
use arcgate_firmware::link::status::DeviceInfo;
use arcgate_firmware::model::ModelInfo;
use arcgate_firmware::sim::{
    ERASE, FileCounter, FileFlash, FlashError, Nature, Running, SimSecret, StoredCamera,
};
use embedded_storage::nor_flash::ReadNorFlash;

use super::{EnrollError, Sending};
use crate::engine::{Kind, Model};
use crate::link::{Client, LinkError, LocalWire, Target};

/// Sectors of a new gallery file: 1 MiB, room for about 5,800 people and templates of 128 values.
pub const FILE_SECTORS: usize = 256;

/// A device, or a gallery file with the device's code around it.
#[derive(Debug)]
pub struct Place {
    client: Client,
    info: DeviceInfo,
    model: ModelInfo,
    /// Who has which name, once it was asked.
    names: Option<BTreeMap<String, PersonId>>,
    told: Told,
}

/// Hears how many bytes of a picture are sent, and of how many.
struct Told(Box<dyn FnMut(u64, u64) + Send>);

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Told")
    }
}

/// Stands where the model would, for looking after people without it; it embeds nothing.
#[derive(Debug)]
pub struct NoModel(pub ModelInfo);

impl Embedder for NoModel {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    fn embed(&mut self, _: &[u8], _: &mut [i8]) -> Result<(), EmbedError> {
        Err(EmbedError::Runtime)
    }
}

impl Models for NoModel {}

/// Opens a target. A gallery file needs `model` to embed photographs, and is made if it is not there; without a model
/// it must be there, and its people can be listed and removed. A device runs its own model; if one is named all the
/// same, it must be that.
///
/// # Errors
/// When nothing is there, nothing answers, or the gallery is damaged or belongs to another model.
pub fn open(target: &Target, model: Option<&Model>) -> Result<Place, EnrollError> {
    open_with(target, model, SimSecret::software())
}

/// As [`open`], a gallery file under a secret of its device's own.
///
/// # Errors
/// As [`open`].
pub fn open_with(target: &Target, model: Option<&Model>, secret: SimSecret) -> Result<Place, EnrollError> {
    mounted(target, reach(target, model, secret)?)
}

/// As [`open_with`], but of a gallery file a copy in memory: the file is neither made nor changed.
///
/// # Errors
/// As [`open`].
pub fn open_copy(target: &Target, model: Option<&Model>, secret: SimSecret) -> Result<Place, EnrollError> {
    let Target::File(path) = target else { return open_with(target, model, secret) };
    let model = model.ok_or_else(|| EnrollError::NeedsModel(path.clone()))?;
    let file = |why| EnrollError::File { path: path.into(), why };
    let bytes = if path.exists() {
        let mut flash = FileFlash::open(path).map_err(file)?;
        let mut bytes = vec![0; flash.capacity()];
        flash.read(0, &mut bytes).map_err(file)?;
        bytes
    } else {
        vec![0xff; FILE_SECTORS * ERASE]
    };
    let place = in_memory(bytes, model, secret)?;
    mounted(target, of_model(target, Some(model), place)?)
}

/// An empty gallery in memory alone, to embed with.
///
/// # Errors
/// When the model cannot be run.
pub fn nowhere(model: &Model) -> Result<Place, EnrollError> {
    in_memory(vec![0xff; FILE_SECTORS * ERASE], model, SimSecret::software())
}

fn in_memory(bytes: Vec<u8>, model: &Model, secret: SimSecret) -> Result<Place, EnrollError> {
    let flash: MemoryNor<Vec<u8>, 4, ERASE> = MemoryNor::new(bytes);
    let wire = LocalWire::new(model.embedder(Kind::Plan)?, flash, &secret);
    let (client, info) = Client::over(Box::new(wire), None)?;
    Ok(Place::new(client, info))
}

/// As [`open_with`], also a gallery that is not mounted, which can be replaced.
///
/// # Errors
/// As [`open`], but for the gallery.
pub fn reach(target: &Target, model: Option<&Model>, secret: SimSecret) -> Result<Place, EnrollError> {
    let (client, info) = match target {
        Target::File(path) => {
            let (engine, flash) = open_file(path, model)?;
            Client::over(Box::new(LocalWire::new(engine, flash, &secret)), None)?
        }
        Target::Tcp(_) | Target::Serial { .. } => Client::connect(target)?,
    };
    of_model(target, model, Place::new(client, info))
}

/// A place, if it runs the model that was named.
fn of_model(target: &Target, model: Option<&Model>, place: Place) -> Result<Place, EnrollError> {
    let device = place.info.model.embedding_id;
    match model.map(|m| m.info().embedding_id) {
        Some(named) if named != device => {
            Err(EnrollError::OtherModel { place: target.to_string(), device, named })
        }
        _ => Ok(place),
    }
}

/// A place, if its gallery is mounted.
fn mounted(target: &Target, place: Place) -> Result<Place, EnrollError> {
    match place.info.gallery {
        Some(why) => Err(EnrollError::Gallery { place: target.to_string(), why }),
        None => Ok(place),
    }
}

fn open_file(path: &Path, model: Option<&Model>) -> Result<(Box<dyn Models + Send>, FileFlash), EnrollError> {
    let file = |why| EnrollError::File { path: path.into(), why };
    match model {
        Some(model) => {
            let engine = model.embedder(Kind::Plan)?;
            Ok((engine, FileFlash::open_or_create(path, FILE_SECTORS).map_err(file)?))
        }
        None => {
            let mut flash = FileFlash::open(path).map_err(file)?;
            let gallery = |why| EnrollError::Gallery { place: path.display().to_string(), why };
            let bound = Binding::read(&mut flash).map_err(gallery)?;
            let info = ModelInfo {
                width: 0,
                height: 0,
                order: arcgate_firmware::model::ChannelOrder::Rgb,
                template: None,
                dimension: bound.dimension,
                embedding_id: bound.embedding_id,
            };
            Ok((Box::new(NoModel(info)), flash))
        }
    }
}

impl Place {
    /// A place behind a client that is connected already.
    pub fn new(client: Client, info: DeviceInfo) -> Self {
        Place { client, info, model: (&info.model).into(), names: None, told: Told(Box::new(|_, _| ())) }
    }

    /// What the device said of itself when it was opened.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// The model that makes the embeddings there.
    pub fn model(&self) -> &ModelInfo {
        &self.model
    }

    /// The client, for everything else that a device can do.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Gives the person called `name` one more template; somebody new if nobody has that name. Returns their number and how many
    /// templates they have.
    ///
    /// # Errors
    /// When a crop is not the model's input, the device refuses the picture, the name is no name, or there is no room.
    pub fn enroll(&mut self, name: &str, picture: &Sending<'_>) -> Result<(PersonId, u16), EnrollError> {
        if self.names.is_none() {
            let people = self.client.people()?;
            self.names = Some(people.into_iter().map(|p| (p.name.as_str().to_owned(), p.id)).collect());
        }
        let known = self.names.as_ref().and_then(|names| names.get(name).copied());
        self.send(picture)?;
        let (person, templates) = self.client.enroll(known.map_or(Who::New(name), Who::Person))?;
        self.names.get_or_insert_default().insert(name.to_owned(), person);
        Ok((person, templates))
    }

    /// As [`Place::enroll`], from a crop.
    ///
    /// # Errors
    /// As [`Place::enroll`].
    pub fn enroll_crop(&mut self, name: &str, crop: &[u8]) -> Result<(PersonId, u16), EnrollError> {
        self.enroll(name, &Sending::Crop(crop.into()))
    }

    /// Who a picture shows.
    ///
    /// # Errors
    /// When a crop is not the model's input, or the device fails.
    pub fn identify(&mut self, picture: &Sending<'_>) -> Result<Answer, EnrollError> {
        self.send(picture)?;
        Ok(self.client.identify()?)
    }

    /// Who a crop shows.
    ///
    /// # Errors
    /// As [`Place::identify`].
    pub fn identify_crop(&mut self, crop: &[u8]) -> Result<Answer, EnrollError> {
        self.identify(&Sending::Crop(crop.into()))
    }

    /// Who a picture shows, and its embedding; none where the device rejects the picture. Nothing is written.
    ///
    /// # Errors
    /// As [`Place::identify`].
    pub fn view(&mut self, picture: &Sending<'_>) -> Result<(Answer, Vec<i8>), EnrollError> {
        let answer = self.identify(picture)?;
        let rejected = matches!(answer, Answer::Rejected(_));
        let embedding = if rejected { Vec::new() } else { self.client.read_embedding()? };
        Ok((answer, embedding))
    }

    /// Has `told` hear, whenever a piece of a picture was sent, how many of its bytes were, and of how many: a serial port takes
    /// seconds for a whole one.
    pub fn tell_sent(&mut self, told: impl FnMut(u64, u64) + Send + 'static) {
        self.told = Told(Box::new(told));
    }

    /// Sends a picture. A device with a detector is told that the face of a crop lies where the model wants it, so that it does not
    /// look for another.
    fn send(&mut self, picture: &Sending<'_>) -> Result<(), LinkError> {
        let Place { client, info, model, told: Told(told), .. } = self;
        let aligned = match picture {
            Sending::Crop(_) => model.template.filter(|_| info.detector.is_some()),
            Sending::Whole { .. } => None,
        };
        let landmarks = aligned.map(|points| points.map(|p| [p.x, p.y]));
        let frame = picture.frame(model).map_err(|why| LinkError::Fault(why.into()))?;
        let of = frame.data().len() as u64;
        client.send_frame(&frame, landmarks, &mut |sent| told(sent, of))
    }

    /// Everybody enrolled.
    ///
    /// # Errors
    /// When the device fails.
    pub fn people(&mut self) -> Result<Vec<Person>, EnrollError> {
        Ok(self.client.people()?)
    }

    /// Checks every seal; everything that is damaged.
    ///
    /// # Errors
    /// When the device fails.
    pub fn verify(&mut self) -> Result<Vec<Damage>, EnrollError> {
        Ok(self.client.verify()?)
    }

    /// Forgets somebody.
    ///
    /// # Errors
    /// When nobody has that number, or the device fails.
    pub fn remove(&mut self, person: PersonId) -> Result<(), EnrollError> {
        self.names = None;
        Ok(self.client.remove(person)?)
    }
}

/// Starts a simulated device that runs `models`, keeps its people in the file `flash` and its count of operations in the file that
/// `nature` names, if any (both made if they are not there), and listens on `address` (`127.0.0.1:0`: any free port); it stops when
/// the result is dropped.
///
/// # Errors
/// When a file is no flash or no counter or is in use, or the address cannot be listened on.
pub fn simulate(
    models: Box<dyn Models + Send>,
    flash: &Path,
    address: &str,
    camera: StoredCamera,
    nature: Nature<Option<&Path>>,
    log: impl FnMut(&Event) + Send + 'static,
) -> Result<Running, EnrollError> {
    let file = |path: &Path, why| EnrollError::File { path: path.into(), why };
    let nor = FileFlash::open_or_create(flash, FILE_SECTORS).map_err(|why| file(flash, why))?;
    let Nature { matching, secret, counter, chip, link, press } = nature;
    let started = match counter {
        Some(path) => {
            let counter = FileCounter::open(path).map_err(|e| file(path, FlashError::Io(e)))?;
            let nature = Nature { matching, secret, counter, chip, link, press };
            Running::start_with(models, nor, address, camera, log, nature)
        }
        None => {
            let nature = Nature { matching, secret, counter: NoCounter, chip, link, press };
            Running::start_with(models, nor, address, camera, log, nature)
        }
    };
    started.map_err(|e| file(flash, FlashError::Io(io::Error::new(e.kind(), format!("{address}: {e}")))))
}
