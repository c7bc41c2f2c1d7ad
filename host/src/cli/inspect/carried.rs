//! What a model carries beside its graph, in lines for people.

use crate::onnx::metadata::{FloatInput, Metadata};
use crate::onnx::origin::Origin;

/// Of an int8 model: normalisation, template, calibration set, licence and source.
pub fn of_int8(metadata: &Metadata) -> Vec<String> {
    let calibration = metadata.calibration.as_ref();
    vec![
        input(&metadata.order, &metadata.mean, &metadata.std, metadata.template.as_ref()),
        calibration.map_or("  calibration set: not stated".into(), |set| {
            format!("  calibration set: {} images, SHA-256 {}", set.images, set.sha256)
        }),
        terms(metadata.licence.as_deref(), &metadata.source),
    ]
}

/// Of a float model: its input, and where it comes from.
pub fn of_float(said: Option<&FloatInput>, origin: &Origin) -> Vec<String> {
    let normalisation = match said {
        Some(said) => input(&said.order, &said.mean, &said.std, said.template.as_ref()),
        None => "  it does not say how its input is normalised: `arcgate import` takes --mean and --std"
            .to_owned(),
    };
    // Anybody may have written the file: what moves the cursor is told of, not printed.
    let terms = match origin.check() {
        Ok(()) => terms(origin.licence.as_deref(), &origin.source),
        Err(why) => format!("  the {} that it states {}", why.field, why.problem),
    };
    vec![normalisation, terms]
}

fn terms(licence: Option<&str>, source: &str) -> String {
    format!("  licence: {}   source: {source}", licence.unwrap_or("not stated"))
}

/// How pixels become the input, and where landmarks lie in it.
fn input(order: &str, mean: &[f32], std: &[f32], template: Option<&[[f32; 2]; 5]>) -> String {
    let place = |[x, y]: &[f32; 2]| format!("({x:.1}, {y:.1})");
    let faces = template.map_or("no template".to_owned(), |points| {
        format!("landmarks brought to {}", points.iter().map(place).collect::<Vec<_>>().join(" "))
    });
    format!("  input: {order}, pixels in 0..1 less {mean:?}, divided by {std:?}; {faces}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::metadata::FACE_TEMPLATE_112;

    #[test]
    fn a_float_model_cannot_speak_to_the_terminal() {
        let said = FloatInput {
            order: "grey".into(),
            mean: vec![0.5],
            std: vec![0.25],
            template: Some(FACE_TEMPLATE_112),
        };
        let mut origin = Origin { licence: Some("MIT".into()), source: "m.onnx".into() };
        assert_eq!(
            of_float(Some(&said), &origin),
            [
                "  input: grey, pixels in 0..1 less [0.5], divided by [0.25]; landmarks brought to (38.3, 51.7) \
                 (73.5, 51.5) (56.0, 71.7) (41.5, 92.4) (70.7, 92.2)",
                "  licence: MIT   source: m.onnx"
            ]
        );
        origin.licence = Some("\u{1b}[2J".into());
        let lines = of_float(None, &origin);
        assert_eq!(lines[1], "  the licence that it states has the control character U+001B at 1");
    }
}
