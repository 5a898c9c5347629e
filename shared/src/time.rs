//! Wall time as a value: milliseconds since 1970 in UTC, its RFC 3339 and RFC 2822 forms. Nothing here reads a clock.

use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct UnixMillis(#[cfg_attr(feature = "ts", ts(type = "number"))] pub i64);

/// The text is not a moment in the form that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid time")]
pub struct InvalidTime;

impl UnixMillis {
    /// Whole seconds since 1970, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment and so many milliseconds.
    pub fn plus(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this moment; negative when it is the other way round.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `2026-01-01T00:00:00.000Z`: RFC 3339 in UTC with milliseconds.
    pub fn to_rfc3339(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => format!("{moment:.3}"),
            Err(_) => "0000-01-01T00:00:00.000Z".to_owned(),
        }
    }

    /// Reads RFC 3339 (any offset, any precision).
    pub fn from_rfc3339(text: &str) -> Result<Self, InvalidTime> {
        text.parse::<jiff::Timestamp>().map(|t| Self(t.as_millisecond())).map_err(|_| InvalidTime)
    }

    /// Reads RFC 2822, as Twilio's `Timestamp` and REST dates are written (`Sun, 25 Mar 2018 09:53:19 +0000`).
    pub fn from_rfc2822(text: &str) -> Result<Self, InvalidTime> {
        jiff::fmt::rfc2822::parse(text).map(|t| Self(t.timestamp().as_millisecond())).map_err(|_| InvalidTime)
    }

    /// Writes RFC 2822 with `+0000`, Twilio's form.
    pub fn to_rfc2822(self) -> String {
        jiff::Timestamp::from_millisecond(self.0)
            .ok()
            .and_then(|t| jiff::fmt::rfc2822::to_string(&t.to_zoned(jiff::tz::TimeZone::UTC)).ok())
            .unwrap_or_else(|| "Thu, 01 Jan 1970 00:00:00 +0000".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_agree() {
        let moment = UnixMillis(1_767_225_600_000);
        assert_eq!(moment.to_rfc3339(), "2026-01-01T00:00:00.000Z");
        assert_eq!(moment.to_rfc2822(), "Thu, 1 Jan 2026 00:00:00 +0000");
        assert_eq!(UnixMillis::from_rfc3339("2026-01-01T01:00:00.000000001+01:00"), Ok(moment));
        assert_eq!(UnixMillis::from_rfc2822("Thu, 01 Jan 2026 00:00:00 +0000"), Ok(moment));
        assert_eq!(UnixMillis::from_rfc2822("yesterday"), Err(InvalidTime));
    }
}
