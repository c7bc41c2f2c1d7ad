//! The thresholds that a review turns on.

use arcgate_firmware::decide::{MatchRules, TARGET_FPIR, within};
use arcgate_firmware::embedding::Angle;
use arcgate_firmware::model::thresholds::{Scope, ThresholdTable};

/// How much is enrolled, or to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// People.
    pub people: u32,
    /// Templates of all of them.
    pub templates: u32,
}

/// Two thresholds of a model, and the device's margin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The false-positive identification rate that the thresholds are for; `None` where only a device's angle is known, not its rate.
    pub fpir: Option<f32>,
    /// People whom `all` is for.
    pub people: u32,
    /// The threshold with one person enrolled; `None` where the model has none.
    pub one: Option<Angle>,
    /// The threshold with everybody enrolled; `None` where the model has none.
    pub all: Option<Angle>,
    /// By how much the nearest person must be nearer than the second.
    pub margin: Angle,
}

impl Limits {
    /// The limits where `now` is enrolled, with the device's `threshold`, and `more` comes: new people and all new templates.
    ///
    /// With the model's table the rate is the default one or, where the device's threshold is another, the table's first that gives it.
    /// Without, both limits are the device's threshold of now, which is wider than the one for more people.
    pub fn new(table: Option<ThresholdTable<'_>>, now: Count, threshold: Option<Angle>, more: Count) -> Self {
        let margin = MatchRules::default().margin;
        let Some(table) = table else {
            return Limits { fpir: None, people: now.people, one: threshold, all: threshold, margin };
        };
        let at = |people, rate| table.lookup(people, rate, Scope::Frame).map(|bar| bar.angle);
        let counted = table.counted(now.people, now.templates);
        let fits = |&rate: &f32| at(counted, rate) == threshold;
        let fpir = Some(TARGET_FPIR).filter(fits).or_else(|| table.rates().find(fits)).unwrap_or(TARGET_FPIR);
        let people = now.people + more.people;
        let counted = table.counted(people, now.templates + more.templates);
        Limits { fpir: Some(fpir), people, one: at(1, fpir), all: at(counted, fpir), margin }
    }

    /// Whether two photographs at this angle may be of one person, when nobody else is asked about.
    pub(super) fn links(&self, angle: Angle) -> bool {
        self.one.is_some_and(|most| within(angle, most))
    }

    /// Whether a device with everybody enrolled would answer at this angle.
    pub(super) fn answers(&self, angle: Angle) -> bool {
        self.all.is_some_and(|most| within(angle, most))
    }
}

#[cfg(test)]
mod tests {
    use arcgate_firmware::model::thresholds::{Bar, Cell, Origin};

    use super::*;

    fn degrees(degrees: u32) -> Option<Angle> {
        Some(Angle::from_millidegrees(1000 * degrees))
    }

    #[test]
    fn from_a_table_for_the_people_there_will_be_and_from_a_device_for_those_there_are() {
        // By people 1, 10, 100; by rate .001, .01.
        let bars = [[50, 60], [40, 50], [30, 40]].concat();
        let bars = bars.into_iter().filter_map(degrees).map(|angle| Bar { angle, low: angle, high: angle });
        let cells: Vec<Cell> = bars.map(|bar| Cell { frame: bar, presentation: bar }).collect();
        let origin = Origin { identities: 9, images: 9, frames: 1, templates: 2, overlap: 0 };
        let mut bytes = [0; ThresholdTable::bytes_for(2, 3)];
        let table = ThresholdTable::write(origin, &[0.001, 0.01], &[1, 10, 100], &cells, &mut bytes).unwrap();
        let count = |people, templates| Count { people, templates };
        let of = |now, threshold, more| {
            let limits = Limits::new(Some(table), now, threshold, more);
            (limits.fpir, limits.people, limits.one, limits.all)
        };
        assert_eq!(of(count(0, 0), degrees(60), count(10, 20)), (Some(0.01), 10, degrees(60), degrees(50)));
        assert_eq!(of(count(5, 10), degrees(50), count(6, 6)), (Some(0.01), 11, degrees(60), degrees(40)));
        // Templates count as people who would have two each.
        assert_eq!(of(count(5, 10), degrees(50), count(1, 12)), (Some(0.01), 6, degrees(60), degrees(40)));
        // A device that aims lower.
        assert_eq!(of(count(2, 2), degrees(40), count(1, 1)), (Some(0.001), 3, degrees(50), degrees(40)));
        // Beyond the table a device knows nobody.
        assert_eq!(of(count(60, 60), degrees(40), count(60, 60)), (Some(0.01), 120, degrees(60), None));
        let device = Limits::new(None, count(7, 7), degrees(45), count(10, 10));
        assert_eq!((device.fpir, device.people, device.one), (None, 7, device.all));
        let [at, beyond] = [45_000, 45_001].map(Angle::from_millidegrees);
        assert!(device.answers(at) && device.links(at) && !device.answers(beyond) && !device.links(beyond));
    }
}
