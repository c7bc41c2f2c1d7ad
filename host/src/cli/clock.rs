//! Dates on the command line: in UTC, to the second.

use arcgate_firmware::time::{UnixTime, Validity};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A date or a time: `2026-12-31`, `2026-12-31T18:00`, `2026-12-31T18:00Z` or with another offset.
///
/// # Errors
/// When it is neither, or before 1970.
pub fn moment(text: &str) -> Result<UnixTime, String> {
    let utc = |time: DateTime| time.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
    let parsed = (text.parse::<Timestamp>()).or_else(|_| text.parse::<DateTime>().and_then(utc));
    let seconds = parsed.ok().and_then(|time| u64::try_from(time.as_second()).ok());
    seconds
        .map(UnixTime)
        .ok_or_else(|| "accepted: 2026-12-31 or 2026-12-31T18:00 (UTC), or with an offset".into())
}

/// What time it is here.
pub fn now() -> UnixTime {
    UnixTime(u64::try_from(Timestamp::now().as_second()).unwrap_or(0))
}

/// A time as people read it.
pub fn text(time: UnixTime) -> String {
    let stamp = i64::try_from(time.0).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    stamp.map_or_else(|| format!("{} s after 1970", time.0), |stamp| stamp.to_string())
}

/// When somebody is let in, as people read it; nothing for always.
pub fn validity_text(validity: &Validity) -> String {
    let from = (validity.from > 0).then(|| format!("from {}", text(UnixTime(validity.from))));
    let until = (validity.until < u64::MAX).then(|| format!("until {}", text(UnixTime(validity.until))));
    match *validity {
        Validity::NEVER => "never".into(),
        _ => from.into_iter().chain(until).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_in_utc() {
        let cases = [
            ("1970-01-02", 86_400),
            ("1970-01-01T00:01", 60),
            ("1970-01-01T00:01:30Z", 90),
            ("1970-01-01T02:00+02:00", 0),
            ("2026-12-31T18:00:00Z", 1_798_740_000),
        ];
        for (text, seconds) in cases {
            assert_eq!(moment(text), Ok(UnixTime(seconds)), "{text}");
        }
        for text in ["", "tomorrow", "1969-12-31", "2026-13-01", "12/31/2026"] {
            assert!(moment(text).unwrap_err().contains("accepted"), "{text}");
        }
        assert_eq!(text(UnixTime(1_798_740_000)), "2026-12-31T18:00:00Z");
        assert!(text(UnixTime(u64::MAX)).contains("after 1970"));
        assert_eq!(validity_text(&Validity::ALWAYS), "");
        assert_eq!(validity_text(&Validity::NEVER), "never");
        assert_eq!(validity_text(&Validity { from: 60, until: u64::MAX }), "from 1970-01-01T00:01:00Z");
    }
}
