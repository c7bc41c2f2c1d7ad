//! What a review of photographs found, in words and as JSON.

use std::path::{Path, PathBuf};

use arcgate_firmware::embedding::Angle;
use serde_json::{Value, json};

use super::people::degrees;
use crate::enroll::review::{Finding, Likeness, Limits, Near};

/// The thresholds, in a line.
pub fn limits_text(limits: &Limits) -> String {
    let angle = |angle: Option<Angle>| {
        angle.map_or_else(|| "none (`arcgate calibrate` measures it)".to_owned(), |a| format!("{a} degrees"))
    };
    match limits.fpir {
        Some(fpir) => format!(
            "thresholds for FPIR {} %: {} for one person, {} for {} people",
            f64::from((fpir * 1e6).round()) / 1e4,
            angle(limits.one),
            angle(limits.all),
            limits.people
        ),
        None => format!(
            "threshold: {}, the device's for its {} people of now; --model names its model, to take the one for everybody",
            angle(limits.all),
            limits.people
        ),
    }
}

/// A finding in a line.
pub fn finding_text(finding: &Finding) -> String {
    match finding {
        Finding::Outlier { photo, own, threshold, like } => {
            let own = match own {
                Some(own) => format!("{own} degrees from the nearest other photograph, accepted {threshold}"),
                None => "others are nearer than those enrolled under that name".to_owned(),
            };
            let like = like.as_ref().map(|l| format!("; looks like {} ({})", l.name, l.angle));
            format!(
                "outlier     {} may not be {}: {own}{}",
                photo.photo.display(),
                photo.name,
                like.unwrap_or_default()
            )
        }
        Finding::Divided { name, groups, angle, threshold } => {
            let groups: Vec<String> = groups.iter().map(|group| listed(group)).collect();
            format!(
                "divided     {name} may be several people, {angle} degrees apart, accepted {threshold}: {}",
                groups.join(" | ")
            )
        }
        Finding::Duplicate { names: [a, b], within, pairs, angle, photos, threshold } => {
            let photos: Vec<String> = photos.iter().map(|photo| held(photo.as_deref())).collect();
            format!(
                "duplicate   {a} and {b} may be one person: {within} of {pairs} pairs within {threshold} degrees, the nearest {angle} \
                 ({}, {})",
                photos[0], photos[1]
            )
        }
        Finding::TooAlike { names: [a, b], photo, like, own, photographs, .. } => {
            let own = own.map_or_else(String::new, |own| format!(", {own} from {}'s own", photo.name));
            let more =
                if *photographs > 1 { format!("; {photographs} such photographs") } else { String::new() };
            format!(
                "too alike   {a} and {b}, or one person: {} lies {} degrees from {}{own}{more}",
                photo.photo.display(),
                like.angle,
                like.name
            )
        }
        Finding::Repeated { photos } => {
            let photos: Vec<PathBuf> = photos.iter().map(|p| p.photo.clone()).collect();
            format!("repeated    one picture: {}", listed(&photos))
        }
    }
}

fn listed(photos: &[PathBuf]) -> String {
    photos.iter().map(|photo| photo.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn held(photo: Option<&Path>) -> String {
    photo.map_or_else(|| "enrolled already".to_owned(), |photo| photo.display().to_string())
}

/// A finding as an object; angles in degrees, `null` for a photograph that is enrolled already.
pub fn finding_json(finding: &Finding) -> Value {
    let likeness = |l: &Likeness| json!({"name": l.name, "photo": l.photo, "angle": degrees(l.angle)});
    match finding {
        Finding::Outlier { photo, own, threshold, like } => json!({
            "kind": "outlier", "name": photo.name, "photo": photo.photo, "angle": own.map(degrees),
            "threshold": degrees(*threshold), "like": like.as_ref().map(likeness),
        }),
        Finding::Divided { name, groups, angle, threshold } => json!({
            "kind": "divided", "name": name, "groups": groups, "angle": degrees(*angle), "threshold": degrees(*threshold),
        }),
        Finding::Duplicate { names, within, pairs, angle, photos, threshold } => json!({
            "kind": "duplicate", "names": names, "within": within, "pairs": pairs, "angle": degrees(*angle),
            "photos": photos, "threshold": degrees(*threshold),
        }),
        Finding::TooAlike { names, photo, like, own, photographs, threshold } => json!({
            "kind": "too alike", "names": names, "name": photo.name, "photo": photo.photo, "like": likeness(like),
            "own_angle": own.map(degrees), "photographs": photographs, "threshold": degrees(*threshold),
        }),
        Finding::Repeated { photos } => json!({
            "kind": "repeated",
            "photos": photos.iter().map(|p| json!({"name": p.name, "photo": p.photo})).collect::<Vec<_>>(),
        }),
    }
}

/// Two people who are near, as an object.
pub fn near_json(near: &Near) -> Value {
    json!({"names": near.names, "angle": degrees(near.angle)})
}
