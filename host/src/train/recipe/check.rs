//! Which values a recipe may have.

use super::{DataConfig, DistillConfig, Recipe, Template};
use crate::onnx::origin;
use crate::train::aware::QuantizationConfig;

/// Differences between embeddings that a loss over pairs keeps at once: half a gigabyte.
const MOST_DIFFERENCES: usize = 1 << 27;

impl Recipe {
    /// What is wrong with the values, and what would be accepted.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn check(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err(format!("name = {:?}\n  accepted: letters, digits, - and _", self.name));
        }
        if let Some(licence) = &self.licence {
            origin::check("licence", licence).map_err(|why| why.to_string())?;
        }
        let within = |name: &str, value: f64, low: f64, high: f64| {
            let ok = (low..=high).contains(&value);
            ok.then_some(()).ok_or_else(|| format!("{name} = {value}\n  accepted: {low} to {high}"))
        };
        self.net.check()?;
        self.loss.check()?;
        self.distill.as_ref().map_or(Ok(()), DistillConfig::check)?;
        self.quantization.as_ref().map_or(Ok(()), QuantizationConfig::check)?;
        within("input.mean", self.input.mean.into(), 0.0, 1.0)?;
        within("input.std", self.input.std.into(), 0.01, 10.0)?;
        if let DataConfig::Synth { identities, .. } = self.data {
            within("data.identities", identities as f64, 2.0, 1e7)?;
            if self.split.learn.is_some() {
                return Err("split.learn\n  accepted: data.identities, where the data is synthetic".into());
            }
        }
        within("split.validation", self.split.validation as f64, 2.0, 2000.0)?;
        within("split.test", self.split.test as f64, 0.0, 1e6)?;
        within("split.learn", self.split.learn.unwrap_or(2) as f64, 2.0, 1e7)?;
        if let DataConfig::Folder { least_images, .. } | DataConfig::Records { least_images, .. } = self.data
        {
            within("data.least_images", least_images as f64, 1.0, 1e6)?;
        }
        if matches!(self.data, DataConfig::Records { .. }) && self.input.template != Template::Face {
            return Err(
                "input.template = \"none\"\n  accepted: \"face\", because records hold aligned faces".into(),
            );
        }
        if matches!(self.data, DataConfig::Folder { unlabelled: true, .. }) && self.heeds_labels() {
            return Err(
                "data.unlabelled = true\n  accepted: with distill.weight = 1, for which no label counts"
                    .into(),
            );
        }
        if self.distill.as_ref().is_some_and(|d| !d.vary) && !matches!(self.data, DataConfig::Folder { .. }) {
            return Err("distill.vary = false\n  accepted: with data.source = \"folder\", whose images are few enough to \
                 be seen once beforehand"
                .into());
        }
        let a = &self.augment;
        for (name, value, high) in [
            ("shift", a.shift, 0.5),
            ("scale", a.scale, 0.5),
            ("rotate", a.rotate, 180.0),
            ("shear", a.shear, 1.0),
            ("brightness", a.brightness, 1.0),
            ("contrast", a.contrast, 1.0),
            ("blur", a.blur, 20.0),
            ("occlude", a.occlude, 1.0),
            ("low_resolution", a.low_resolution, 1.0),
            ("jpeg", a.jpeg, 1.0),
        ] {
            within(&format!("augment.{name}"), value.into(), 0.0, high)?;
        }
        let t = &self.train;
        within("train.batch", t.batch as f64, 2.0, 4096.0)?;
        let per_class = self.per_class();
        within("train.per_class", per_class as f64, 1.0, 256.0)?;
        if !t.batch.is_multiple_of(per_class) {
            return Err(format!(
                "train.batch = {}\n  accepted: a multiple of train.per_class = {per_class}",
                t.batch
            ));
        }
        if self.loss.needs_pairs() {
            if per_class < 2 || t.batch / per_class < 2 {
                return Err(format!(
                    "train.per_class = {per_class} of train.batch = {}\n  accepted: this loss compares images of a batch, \
                     so at least 2 of each class and at least 2 classes",
                    t.batch
                ));
            }
            let values = (t.batch * t.batch).saturating_mul(self.net.embedding);
            if values > MOST_DIFFERENCES {
                return Err(format!(
                    "train.batch = {} with net.embedding = {}\n  accepted: batch * batch * embedding up to {MOST_DIFFERENCES} for \
                     a loss that compares all pairs of a batch",
                    t.batch, self.net.embedding
                ));
            }
            if let DataConfig::Folder { least_images: least @ ..2, .. }
            | DataConfig::Records { least_images: least @ ..2, .. } = self.data
            {
                return Err(format!(
                    "data.least_images = {least}\n  accepted: 2 or more; a class of one image has no pair for this loss"
                ));
            }
        }
        within("train.images", t.images as f64, t.batch as f64, 1e10)?;
        within("train.rate", t.rate, 1e-6, 100.0)?;
        within("train.warmup", t.warmup, 0.0, 1.0)?;
        t.drops.iter().try_for_each(|&at| within("train.drops", at, 0.0, 1.0))?;
        within("train.momentum", t.momentum, 0.0, 0.9999)?;
        within("train.weight_decay", t.weight_decay, 0.0, 1.0)?;
        within("train.clip", t.clip, 1e-3, 1e9)?;
        within("train.ema", t.ema, 0.0, 0.99999)?;
        within("train.patience", t.patience as f64, 0.0, 1e6)?;
        within("train.validate_every", t.validate_every as f64, 1.0, 1e10)?;
        within("train.threads", t.threads as f64, 1.0, 1024.0)?;
        within("train.replicas", t.replicas as f64, 1.0, 64.0)?;
        // Of two values that are normalised by their own moments, nothing but the order is left.
        let least = if t.replicas == 1 || t.frozen_norm { 2 } else { 4 };
        if !t.batch.is_multiple_of(t.replicas) || t.batch / t.replicas < least {
            return Err(format!(
                "train.replicas = {} of train.batch = {}\n  accepted: equal parts of at least {least} images",
                t.replicas, t.batch
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::train::paths::Paths;

    const TEXT: &str = include_str!("../demo.toml");

    fn wrong(text: &str) -> String {
        Recipe::parse(text, Path::new("r.toml")).unwrap_err().to_string()
    }

    #[test]
    fn unknown_and_bad_fields_are_named_with_their_line_and_what_is_accepted() {
        let unknown = wrong(&TEXT.replace("batch =", "bath ="));
        assert!(
            unknown.contains("line") && unknown.contains("bath") && unknown.contains("`batch`"),
            "{unknown}"
        );
        let unknown = wrong(&TEXT.replace("margin =", "margins ="));
        assert!(unknown.contains("margins") && unknown.contains("`margin`"), "{unknown}");
        let kind = wrong(&TEXT.replace("\"synth\"", "\"dreams\""));
        assert!(kind.contains("dreams") && kind.contains("`folder`"), "{kind}");
        let range = wrong(&TEXT.replace("order = \"rgb\"", "order = \"cmyk\""));
        assert!(range.contains("cmyk") && range.contains("accepted: \"grey\""), "{range}");
    }

    #[test]
    fn a_licence_is_a_line() {
        let with = |licence: &str| format!("licence = \"{licence}\"\n{TEXT}");
        let recipe = Recipe::parse(&with("MIT OR Apache-2.0"), Path::new("r.toml")).unwrap();
        assert_eq!(recipe.licence.as_deref(), Some("MIT OR Apache-2.0"));
        let refused = wrong(&with("MIT\\n"));
        assert!(refused.contains("U+000A at 4\n  accepted: 1 to 500"), "{refused}");
    }

    #[test]
    fn losses_over_pairs_need_pairs_in_a_batch() {
        let triplet = |train: &str| {
            let text = TEXT.replace("name = \"arcface\"", "name = \"triplet\"").replace("scale = 16.0\n", "");
            text.replace("batch = 32", train)
        };
        let parsed = |text: &str| Recipe::parse(text, Path::new("r.toml"));
        assert_eq!(parsed(&triplet("batch = 32")).unwrap().per_class(), 4);
        assert_eq!(Recipe::demo().per_class(), 1);
        let one = wrong(&triplet("batch = 32\nper_class = 1"));
        assert!(one.contains("per_class = 1") && one.contains("at least 2 of each class"), "{one}");
        let odd = wrong(&triplet("batch = 30"));
        assert!(odd.contains("batch = 30") && odd.contains("multiple of train.per_class = 4"), "{odd}");
        let mut folder = parsed(&triplet("batch = 32")).unwrap();
        folder.data = DataConfig::Folder {
            path: "faces".into(),
            least_images: 1,
            leave_out: Paths::default(),
            detector: None,
            unlabelled: false,
        };
        assert!(folder.check().unwrap_err().contains("one image has no pair"));
        let large = wrong(&triplet("batch = 4096"));
        assert!(large.contains("batch = 4096") && large.contains("all pairs of a batch"), "{large}");
        let parts = wrong(&TEXT.replace("batch = 32", "batch = 32\nreplicas = 3"));
        assert!(parts.contains("replicas = 3") && parts.contains("equal parts"), "{parts}");
        let mining = wrong(&triplet("batch = 32").replace("margin = 0.25", "mining = \"lucky\""));
        assert!(mining.contains("lucky") && mining.contains("semihard"), "{mining}");
    }
}
