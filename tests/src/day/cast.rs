//! Who comes in the course of a day: photographs of LFW, or drawn portraits where they are not there.

use arcgate::enroll::Sending;
use arcgate::photo::Photo;
use arcgate::synth::Portraits;
use arcgate_firmware::embedding::angle;

use super::models::Models;
use crate::data;
use crate::people::embed;

/// People of LFW with at least two photographs of which the detector makes crops; the last one comes when another has gone.
const PEOPLE: [&str; 6] =
    ["Colin_Powell", "Serena_Williams", "Tony_Blair", "Jennifer_Capriati", "Hugo_Chavez", "Ariel_Sharon"];

/// Drawn people of whom those stand for them, without photographs, whose two pictures are most alike to the shipped model: it is small,
/// and misses others.
const DRAWN: u64 = 60;

/// People of LFW who are never enrolled.
const STRANGERS: [&str; 2] = ["Aaron_Eckhart", "Zico"];

/// One picture.
pub(super) struct Shot {
    /// The file's name.
    pub name: String,
    /// The whole picture, 250 x 250 of LFW: the device finds the face.
    pub whole: Sending<'static>,
    /// The crop that the host makes of it, by the same detector: fewer bytes over a slow link, and the same embedding.
    pub crop: Sending<'static>,
}

/// Somebody with a picture to be enrolled with and another to be known by.
pub(super) struct Person {
    pub name: String,
    pub enrolled: Shot,
    pub mated: Shot,
}

/// Everybody.
pub(super) struct Cast {
    /// Five who are enrolled, then one who comes later.
    pub people: Vec<Person>,
    pub strangers: Vec<Shot>,
}

impl Cast {
    /// Opens or draws all pictures.
    pub(super) fn gather(models: &Models) -> anyhow::Result<Self> {
        let info = models.embedder.info();
        let portraits = Portraits::new(0xa7c6);
        let portrait =
            |number, view| portraits.portrait(number, view, (info.width.into(), info.height.into()));
        let shot = |number, name: &str, view: u64| -> anyhow::Result<Shot> {
            let file = format!("{name}_{view:04}.jpg");
            let photo = match models.are_real {
                true => Photo::open(data::folder().join("lfw").join(name).join(&file))?,
                false => Photo::from_rgb(&file, portrait(number, view))?,
            };
            let crop = Sending::Crop(models.finder.crop(&photo, info)?.into());
            let whole = if models.are_real { Sending::whole(&photo, u32::MAX) } else { crop.clone() };
            Ok(Shot { name: file, whole, crop })
        };
        let mut numbers: Vec<u64> = (0..DRAWN).collect();
        if !models.are_real {
            let embedded = |number, view| -> anyhow::Result<Vec<i8>> {
                Ok(embed(&models.embedder, shot(number, "", view)?.crop.pixels()))
            };
            let apart =
                |&number: &u64| anyhow::Ok((angle(&embedded(number, 1)?, &embedded(number, 2)?), number));
            let mut all: Vec<_> = numbers.iter().map(apart).collect::<anyhow::Result<_>>()?;
            all.sort_unstable();
            numbers = all.into_iter().map(|(_, number)| number).collect();
        }
        let people = numbers.into_iter().zip(PEOPLE).map(|(number, name)| {
            let [enrolled, mated] = [1, 2].map(|view| shot(number, name, view));
            Ok(Person { name: name.replace('_', " "), enrolled: enrolled?, mated: mated? })
        });
        let strangers = (DRAWN..).zip(STRANGERS).map(|(number, name)| shot(number, name, 1));
        Ok(Cast {
            people: people.collect::<anyhow::Result<_>>()?,
            strangers: strangers.collect::<anyhow::Result<_>>()?,
        })
    }
}
