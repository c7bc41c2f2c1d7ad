//! The threshold table in a model's metadata: what `arcgate calibrate` measured, as JSON.

use arcgate_firmware::embedding::Angle;
use arcgate_firmware::model::thresholds::{Bar, Cell, Origin, TableError, ThresholdTable};
use serde::{Deserialize, Serialize};

use super::value::ValueError;

/// A model's thresholds by people enrolled and target false-positive identification rate (FPIR), every number of people with every
/// rate; [`ThresholdTable`] is what a plan carries of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Identities that it was measured on.
    pub identities: u32,
    /// Their images.
    pub images: u32,
    /// Frames of a presentation.
    pub frames: u16,
    /// Templates enrolled of each person.
    pub templates: u8,
    /// How much of a person's chance to have strangers near as many further templates do not add, in 256ths.
    #[serde(default)]
    pub overlap: u8,
    /// Drew what was drawn.
    pub seed: u64,
    /// By people and then by rate.
    pub cells: Vec<ThresholdCell>,
}

/// What is wrong with a table from a file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ThresholdsError {
    /// A value that it cannot have.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// No plan can carry it.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// What was measured for one number of people and one rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThresholdCell {
    /// How many people are enrolled.
    pub people: u32,
    /// The share of non-mated searches, or presentations, that may be answered.
    pub fpir: f64,
    /// For a search with one frame.
    pub frame: Measured,
    /// For a presentation.
    pub presentation: Measured,
}

/// An angle and its 95 % interval, in thousandths of a degree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The angle.
    pub millidegrees: u32,
    /// The lower end of the interval.
    pub low: u32,
    /// Its upper end.
    pub high: u32,
    /// Whether a tail beyond the data gave it.
    pub extrapolated: bool,
}

impl From<Measured> for Bar {
    fn from(measured: Measured) -> Self {
        let [angle, low, high] =
            [measured.millidegrees, measured.low, measured.high].map(Angle::from_millidegrees);
        Bar { angle, low, high }
    }
}

impl Thresholds {
    /// The cell for exactly so many people and this rate.
    pub fn cell(&self, people: u32, fpir: f64) -> Option<&ThresholdCell> {
        self.cells.iter().find(|cell| cell.people == people && cell.fpir == fpir)
    }

    /// The numbers of people, each once, in the order of the cells.
    pub fn people(&self) -> Vec<u32> {
        let mut people: Vec<u32> = self.cells.iter().map(|cell| cell.people).collect();
        people.dedup();
        people
    }

    /// The rates, in the order of the cells for the first number of people.
    pub fn rates(&self) -> Vec<f64> {
        let first = self.cells.first().map(|cell| cell.people);
        self.cells.iter().take_while(|cell| Some(cell.people) == first).map(|cell| cell.fpir).collect()
    }

    /// The table as a plan carries it.
    ///
    /// # Errors
    /// When it is none: what [`ThresholdTable::parse`] says.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TableError> {
        let rates: Vec<f32> = self.rates().into_iter().map(|rate| rate as f32).collect();
        let people = self.people();
        let cell =
            |cell: &ThresholdCell| Cell { frame: cell.frame.into(), presentation: cell.presentation.into() };
        let cells: Vec<Cell> = self.cells.iter().map(cell).collect();
        let origin = Origin {
            identities: self.identities,
            images: self.images,
            frames: self.frames,
            templates: self.templates,
            overlap: self.overlap,
        };
        let mut bytes = vec![0; ThresholdTable::bytes_for(rates.len(), people.len())];
        ThresholdTable::write(origin, &rates, &people, &cells, &mut bytes)?;
        Ok(bytes)
    }

    /// Whether a table from a file is one.
    ///
    /// # Errors
    /// The first value that a table cannot have.
    pub fn check(&self) -> Result<(), ThresholdsError> {
        let (rates, people) = (self.rates(), self.people());
        let wanted = people.iter().flat_map(|&people| rates.iter().map(move |&rate| (people, rate)));
        let mut found = self.cells.iter().map(|cell| (cell.people, cell.fpir));
        if let Some((people, rate)) = wanted.clone().find(|&at| found.next() != Some(at)) {
            let value = format!("no cell of {people} people and rate {rate} in its place");
            let accepted = "every number of people with every rate, by people and then by rate";
            return Err(ValueError { field: "thresholds cells", value, accepted }.into());
        }
        let most = Angle::MAX.millidegrees();
        let measured = self.cells.iter().flat_map(|cell| [cell.frame, cell.presentation]);
        if let Some(high) = measured.map(|m| m.high.max(m.millidegrees)).find(|&high| high > most) {
            let (field, value) = ("thresholds millidegrees", high.to_string());
            return Err(ValueError { field, value, accepted: "0 to 180000" }.into());
        }
        self.to_bytes()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Thresholds {
        let measured = |millidegrees| Measured {
            millidegrees,
            low: millidegrees - 500,
            high: millidegrees + 700,
            extrapolated: false,
        };
        let cell = |people, fpir, angle| ThresholdCell {
            people,
            fpir,
            frame: measured(angle),
            presentation: measured(angle - 3000),
        };
        let cells = [(1, 0.001, 50), (1, 0.01, 60), (10, 0.001, 40), (10, 0.01, 45)];
        let cells = cells.map(|(people, rate, degrees)| cell(people, rate, 1000 * degrees)).to_vec();
        Thresholds { identities: 11, images: 22, frames: 5, templates: 1, overlap: 0, seed: 1, cells }
    }

    #[test]
    fn the_plan_carries_what_the_metadata_says() {
        let table = table();
        assert_eq!(table.check(), Ok(()));
        let bytes = table.to_bytes().unwrap();
        let carried = ThresholdTable::parse(&bytes).unwrap();
        let cells: Vec<Cell> = (0..4).filter_map(|i| carried.cell(i / 2, i % 2)).collect();
        assert_eq!(cells[2].frame, Bar::from(table.cells[2].frame));
        assert_eq!(cells[3].presentation.angle.millidegrees(), 42_000);
        assert_eq!((carried.origin().frames, carried.origin().templates), (5, 1));
    }

    #[test]
    fn what_no_table_has_is_named() {
        let told = |change: fn(&mut Thresholds)| {
            let mut changed = table();
            change(&mut changed);
            changed.check().unwrap_err().to_string()
        };
        assert!(told(|t| t.cells.truncate(3)).contains("no cell of 10 people and rate 0.01"));
        assert!(told(|t| t.cells.swap(2, 3)).contains("no cell of 10 people and rate 0.001"));
        assert!(told(|t| t.cells[2].people = 0).contains("no cell of 0 people"));
        assert!(told(|t| t.cells[1].frame.high = 180_001).contains("180001"));
        assert!(told(|t| t.cells[1].frame.low = 61_000).contains("within its interval"));
        assert!(told(|t| t.frames = 0).contains("frames 0 = 0"));
        assert!(told(|t| t.cells[0].fpir = f64::NAN).contains("no cell"));
        assert!(told(|t| t.cells.clear()).contains("rates"));
    }
}
