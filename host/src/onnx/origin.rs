//! Where a model comes from and on which terms it may be used: two strings for people, which move no embedding.
//!
//! A float ONNX says them in the places that ONNX has for them: the properties `model_license` and `model_author` of its
//! `metadata_props` ("Standard metadata" in ONNX's IR specification) and its producer's name and version. An int8 model
//! carries them in its [`Metadata`](super::metadata::Metadata).

use tract_onnx::pb::ModelProto;

use super::property::{property, set_property};

/// The property of a float ONNX that holds its licence: a well-known name, an SPDX expression or a URL.
pub const LICENCE_KEY: &str = "model_license";

/// The property of a float ONNX that names its authors.
pub const AUTHOR_KEY: &str = "model_author";

/// Characters that a licence or a source may have: a name, an expression or a URL, not the whole text.
pub const LONGEST: usize = 500;

/// What [`check`] takes, for people.
pub const ACCEPTED: &str = "1 to 500 characters, no control characters: a name, an SPDX expression, a URL";

/// A licence or a source that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {field} {problem}\n  accepted: {ACCEPTED}")]
pub struct OriginError {
    /// "licence" or "source".
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

/// Where a model comes from, and its licence where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// As the author states it; `None` where nobody did.
    pub licence: Option<String>,
    /// The file, its authors and what wrote it.
    pub source: String,
}

impl Origin {
    /// What the float `model` in the file `name` says: its licence; as its source the file's name, "by" its authors, and in
    /// brackets the program that wrote it, as far as they are stated. Nothing is checked: the file may say anything.
    pub fn of(model: &ModelProto, name: &str) -> Self {
        let stated = |key| property(model, key).map(str::trim).filter(|text| !text.is_empty());
        let licence = stated(LICENCE_KEY).map(str::to_owned);
        let mut source = name.to_owned();
        if let Some(author) = stated(AUTHOR_KEY) {
            source += &format!(" by {author}");
        }
        let producer = format!("{} {}", model.producer_name, model.producer_version);
        if !producer.trim().is_empty() {
            source += &format!(" ({})", producer.trim());
        }
        Origin { licence, source }
    }

    /// Holds both strings against [`check`].
    ///
    /// # Errors
    /// What is wrong with the first that is not taken.
    pub fn check(&self) -> Result<(), OriginError> {
        self.licence.iter().try_for_each(|licence| check("licence", licence))?;
        check("source", &self.source)
    }
}

/// A source alone, as a program would state it.
impl From<&str> for Origin {
    fn from(source: &str) -> Self {
        Origin { licence: None, source: source.to_owned() }
    }
}

/// Writes `licence` where a float ONNX has its own.
pub fn set_licence(model: &mut ModelProto, licence: &str) {
    set_property(model, LICENCE_KEY, licence.to_owned());
}

/// Whether `text` is short and can be printed as it is: 1 to [`LONGEST`] characters, none of which moves a terminal's cursor.
///
/// # Errors
/// What is wrong with it.
pub fn check(field: &'static str, text: &str) -> Result<(), OriginError> {
    let wrong = |problem| Err(OriginError { field, problem });
    let length = text.chars().count();
    if text.trim().is_empty() {
        return wrong("is empty".into());
    }
    if length > LONGEST {
        return wrong(format!("has {length} characters"));
    }
    match text.chars().enumerate().find(|(_, c)| c.is_control()) {
        Some((at, c)) => wrong(format!("has the control character U+{:04X} at {}", c as u32, at + 1)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_model_is_asked_in_the_places_that_onnx_has() {
        let mut model = ModelProto { producer_name: "pytorch".into(), ..Default::default() };
        let said = |model: &ModelProto| Origin::of(model, "face.onnx");
        assert_eq!(said(&model), Origin { licence: None, source: "face.onnx (pytorch)".into() });
        model.producer_version = "2.1".into();
        set_property(&mut model, AUTHOR_KEY, "Ada".into());
        set_licence(&mut model, " MIT OR Apache-2.0 ");
        let expected = Origin {
            licence: Some("MIT OR Apache-2.0".into()),
            source: "face.onnx by Ada (pytorch 2.1)".into(),
        };
        assert_eq!(said(&model), expected);
        model = ModelProto::default();
        set_licence(&mut model, "  ");
        assert_eq!(said(&model), Origin { licence: None, source: "face.onnx".into() });
    }

    #[test]
    fn what_cannot_be_printed_is_named() {
        let told = |text: &str| check("licence", text).map_err(|e| e.to_string());
        assert_eq!(told(&"é".repeat(LONGEST)), Ok(()));
        let long = told(&"a".repeat(LONGEST + 1)).unwrap_err();
        assert!(long.starts_with("the licence has 501 characters\n  accepted: 1 to 500"), "{long}");
        let escape = told("MIT \u{1b}[2J").unwrap_err();
        assert!(escape.starts_with("the licence has the control character U+001B at 5"), "{escape}");
        assert!(told("two\nlines").is_err());
        assert!(told("c1 \u{9b}2J").is_err());
        assert!(told(" ").unwrap_err().contains("is empty"));
        let mut model = ModelProto::default();
        set_licence(&mut model, "a\tb");
        let field = |model, name| Origin::of(model, name).check().unwrap_err().field;
        assert_eq!(field(&model, "m.onnx"), "licence");
        assert_eq!(field(&ModelProto::default(), "m\r.onnx"), "source");
    }
}
