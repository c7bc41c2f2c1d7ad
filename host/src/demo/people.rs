//! Who takes part, and their photographs as the model's crops.

use std::ops::Range;

use arcgate_firmware::model::{ChannelOrder, ModelInfo};
use image::RgbImage;
use rayon::prelude::*;

use super::DemoError;
use crate::data::Identity;
use crate::engine::{Kind, Model};
use crate::photo::{Found, Photo, crop};
use crate::synth::Portraits;
use crate::train::UNSEEN_FIRST;
use crate::ui::Ui;

/// A group of people by their numbers in the population, and how many photographs there are of each.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// The first number.
    pub first: u64,
    /// How many people.
    pub people: u64,
    /// Photographs of each.
    pub views: u64,
}

/// Ranges and the threshold are measured on these.
pub const DEVELOPMENT: Group = Group { first: UNSEEN_FIRST, people: 500, views: 6 };

/// Everything that is reported is measured on these.
pub const TEST: Group = Group { first: UNSEEN_FIRST + 1_000_000, people: 240, views: 15 };

/// Crops that one engine embeds before its thread asks for the next ones.
const CROPS_AT_ONCE: usize = 64;

/// Takes photographs.
#[derive(Debug, Clone)]
pub struct Shots {
    portraits: Portraits,
    info: ModelInfo,
}

/// The photographs of a group, person after person, view after view.
#[derive(Debug, Clone)]
pub struct Album {
    /// Whose they are.
    pub group: Group,
    /// The model's crops.
    pub crops: Vec<Vec<u8>>,
    /// For each crop the person, counted from 0 in the group.
    pub owners: Vec<usize>,
}

impl Shots {
    /// Of a population, for a model with an input of `size` and channel order `order` that takes framed pictures.
    pub fn new(portraits: Portraits, size: (u32, u32), order: &str) -> Self {
        let order = match order {
            "grey" => ChannelOrder::Grey,
            "bgr" => ChannelOrder::Bgr,
            _ => ChannelOrder::Rgb,
        };
        let info = ModelInfo {
            width: size.0 as u16,
            height: size.1 as u16,
            order,
            template: None,
            dimension: 1,
            embedding_id: [0; 32],
        };
        Shots { portraits, info }
    }

    /// The photograph as people see it, at twice the model's resolution.
    pub fn picture(&self, group: &Group, owner: usize, view: u64) -> RgbImage {
        let size = (self.info.width as u32 * 2, self.info.height as u32 * 2);
        self.portraits.portrait(group.first + owner as u64, view, size)
    }

    /// All photographs of a group.
    ///
    /// # Errors
    /// When a picture does not fit the model, which the sizes rule out.
    pub fn of(&self, group: &Group, ui: &Ui) -> Result<Album, DemoError> {
        let total = group.people * group.views;
        let bar = ui.progress("painting", "portraits", total);
        let size = (self.info.width as u32, self.info.height as u32);
        let shoot = |i: u64| {
            let picture = self.portraits.portrait(group.first + i / group.views, i % group.views, size);
            let photo = Photo::from_rgb(format!("portrait {i}"), picture)?;
            bar.inc(1);
            crop(&photo, &Found::Framed, &self.info)
        };
        let crops = (0..total).into_par_iter().map(shoot).collect::<Result<Vec<_>, _>>()?;
        bar.finish_and_clear();
        let owners = (0..total).map(|i| (i / group.views) as usize).collect();
        Ok(Album { group: *group, crops, owners })
    }
}

impl Album {
    /// Which crops are of `owner`.
    pub fn range(&self, owner: usize) -> Range<usize> {
        let views = self.group.views as usize;
        owner * views..(owner + 1) * views
    }

    /// The group as identities whose images are crops.
    pub fn identities(&self) -> Vec<Identity> {
        let identity =
            |owner: usize| Identity { name: owner.to_string(), images: self.range(owner).collect() };
        (0..self.group.people as usize).map(identity).collect()
    }

    /// All int8 embeddings.
    ///
    /// # Errors
    /// When an engine cannot be made or fails.
    pub fn embed(&self, model: &Model, kind: Kind, ui: &Ui) -> Result<Vec<Vec<i8>>, DemoError> {
        let bar = ui.progress("embedding", "images", self.crops.len() as u64);
        let part = |crops: &[Vec<u8>]| {
            let mut engine = model.embedder(kind)?;
            let embed = |crop: &Vec<u8>| {
                let mut embedding = vec![0; model.info().dimension as usize];
                engine.embed(crop, &mut embedding)?;
                bar.inc(1);
                Ok(embedding)
            };
            crops.iter().map(embed).collect::<Result<Vec<_>, DemoError>>()
        };
        let parts = self.crops.par_chunks(CROPS_AT_ONCE).map(part).collect::<Result<Vec<_>, _>>()?;
        bar.finish_and_clear();
        Ok(parts.into_iter().flatten().collect())
    }
}
