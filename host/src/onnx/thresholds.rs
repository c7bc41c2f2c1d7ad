//! The table of thresholds in a model's metadata: one for each number of people enrolled and each false-positive rate.

use arcgate_firmware::embedding::Angle;
use serde::{Deserialize, Serialize};

use super::metadata::MetadataError;

/// The angle below which a search is answered, by how many people are enrolled (one template each) and by the share of
/// strangers' searches that may be answered.
///
/// The false-positive identification rate of one threshold grows with the gallery: the more people, the nearer the nearest of
/// them. A device goes on using the single [`threshold`](super::metadata::Metadata::threshold) until its gallery counts who is
/// enrolled; plans carry no table yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThresholdTable {
    /// Identities that galleries and probes were drawn from.
    pub identities: u32,
    /// Their images.
    pub images: u32,
    /// Drew the galleries.
    pub seed: u64,
    /// What could be measured, by people and then by rate.
    pub cells: Vec<ThresholdCell>,
}

/// One threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThresholdCell {
    /// How many people are enrolled.
    pub people: u32,
    /// The share of non-mated searches that may be answered (FPIR).
    pub fpir: f64,
    /// The angle in thousandths of a degree.
    pub millidegrees: u32,
    /// Non-mated searches that it was measured on. Searches of one gallery, and those of one person, are not independent.
    pub searches: u64,
}

impl ThresholdTable {
    /// The cell for exactly so many people and this rate.
    pub fn cell(&self, people: u32, fpir: f64) -> Option<&ThresholdCell> {
        self.cells.iter().find(|cell| cell.people == people && cell.fpir == fpir)
    }

    /// Whether a table from a file is one.
    ///
    /// # Errors
    /// The first value that a table cannot have.
    pub fn check(&self) -> Result<(), MetadataError> {
        let wrong = |field, value: String, accepted| Err(MetadataError::Field { field, value, accepted });
        for (at, cell) in self.cells.iter().enumerate() {
            let ThresholdCell { people, fpir, millidegrees, searches } = *cell;
            if people == 0 || people >= self.identities {
                return wrong(
                    "threshold_table people",
                    people.to_string(),
                    "1 to one less than its identities",
                );
            }
            if !(fpir > 0.0 && fpir < 1.0) {
                return wrong("threshold_table fpir", fpir.to_string(), "more than 0 and less than 1");
            }
            if millidegrees > Angle::MAX.millidegrees() {
                return wrong("threshold_table millidegrees", millidegrees.to_string(), "0 to 180000");
            }
            if searches == 0 {
                return wrong("threshold_table searches", searches.to_string(), "at least 1");
            }
            if self.cells[..at].iter().any(|other| (other.people, other.fpir) == (people, fpir)) {
                let value = format!("two cells of {people} people and rate {fpir}");
                return wrong("threshold_table cells", value, "one cell for each number of people and rate");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_table_has_is_named() {
        let good = ThresholdCell { people: 10, fpir: 0.01, millidegrees: 40_000, searches: 5000 };
        let told = |cells: &[ThresholdCell]| {
            let table = ThresholdTable { identities: 11, images: 22, seed: 1, cells: cells.to_vec() };
            table.check().map_err(|e| e.to_string())
        };
        assert_eq!(told(&[good, ThresholdCell { fpir: 0.03, ..good }]), Ok(()));
        for (cells, part) in [
            (vec![ThresholdCell { people: 0, ..good }], "people = 0"),
            (vec![ThresholdCell { people: 11, ..good }], "people = 11"),
            (vec![ThresholdCell { fpir: f64::NAN, ..good }], "fpir = NaN"),
            (vec![ThresholdCell { millidegrees: 180_001, ..good }], "millidegrees = 180001"),
            (vec![ThresholdCell { searches: 0, ..good }], "searches = 0"),
            (vec![good, good], "two cells of 10 people and rate 0.01"),
        ] {
            let why = told(&cells).unwrap_err();
            assert!(why.contains(part) && why.contains("accepted: "), "{why}");
        }
    }
}
