//! Twilio's identifiers and its ways to write a moment, made from a seed and a start so that a run can be repeated. Chance in
//! the whole simulator comes from [`Dice`].

use jiff::Timestamp;

use super::Now;

/// A small generator (splitmix64): one seed, one sequence.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Whether something of this probability, in percent, happens.
    pub fn happens(&mut self, percent: u8) -> bool {
        self.roll() % 100 < u64::from(percent)
    }

    /// A number from 0 to `most`.
    pub fn up_to(&mut self, most: u64) -> u64 {
        self.roll() % most.saturating_add(1)
    }

    /// An identifier: two letters and 32 hexadecimal digits.
    pub fn sid(&mut self, prefix: &str) -> String {
        format!("{prefix}{:016x}{:016x}", self.roll(), self.roll())
    }

    /// An independent sequence.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.roll())
    }
}

/// The wall time of the machines' time zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    zero_ms: i64,
}

impl WallClock {
    /// The clock whose time zero is this many milliseconds after 1970.
    #[must_use]
    pub fn new(zero_ms: i64) -> Self {
        Self { zero_ms }
    }

    /// Milliseconds after 1970.
    #[must_use]
    pub fn unix_ms(self, now: Now) -> i64 {
        self.zero_ms.saturating_add(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
    }

    fn timestamp(self, now: Now) -> Timestamp {
        Timestamp::from_millisecond(self.unix_ms(now)).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// As in call callbacks and REST answers: `Sun, 25 Mar 2018 09:53:19 +0000`.
    #[must_use]
    pub fn rfc2822(self, now: Now) -> String {
        self.timestamp(now).strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
    }

    /// As in stream and transcription callbacks: `2024-06-25T18:45:21.454Z`.
    #[must_use]
    pub fn iso8601(self, now: Now) -> String {
        self.timestamp(now).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }

    /// The day, as the REST filters compare it: `2026-01-01`.
    #[must_use]
    pub fn day(self, now: Now) -> String {
        self.timestamp(now).strftime("%Y-%m-%d").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn moments_are_written_as_twilio_writes_them() {
        let clock = WallClock::new(1_521_971_599_000);
        assert_eq!(clock.rfc2822(Duration::ZERO), "Sun, 25 Mar 2018 09:53:19 +0000");
        assert_eq!(clock.iso8601(Duration::from_millis(454)), "2018-03-25T09:53:19.454Z");
        assert_eq!(clock.day(Duration::ZERO), "2018-03-25");
    }

    #[test]
    fn sids_are_34_characters_and_the_same_for_one_seed() {
        let sid = Dice::new(7).sid("CA");
        assert_eq!((sid.len(), &sid[..2]), (34, "CA"));
        assert_eq!(sid, Dice::new(7).sid("CA"));
        assert_ne!(sid, Dice::new(8).sid("CA"));
    }
}
