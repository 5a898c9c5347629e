//! Where Twilio's player is, as far as it can be known from here. Twilio plays what it gets without a pause at 8 bytes a
//! millisecond and sends each mark back when playback reaches it; between marks, time does the counting.
//!
//! All of it is told in *sending time*: the moment at which a byte would sound if a message took no time to arrive. The
//! way there (`out`) and back (`back`) do take time, but a `clear` takes the same way as the audio before it, so the byte
//! that sounds when a `clear` arrives is the byte that sounds, in sending time, when the `clear` is sent. What disturbs
//! this is audio that arrived later than its fellows: then playback is behind by a `lag` until its run ends. A mark that
//! comes back at `m` for a byte that was due at `d` shows `m - d = lag + out + back`; the least that was seen is taken as
//! `out + back`, what is above it as lag.
//!
//! Marks themselves can be late. The caller's audio comes the same way, 50 times a second and dated, so how late a frame is
//! tells how late a mark beside it is; and a mark that is missing although later audio has come was not reached yet.

use crate::Now;

/// One byte of 8 kHz mu-law, in microseconds.
const BYTE_US: i64 = 125;
/// With less than this queued, a late message may have let the player run dry: what was known about the lag may be old.
const LOW_WATER_US: i64 = 150_000;
/// A mark may be overdue by this much before playback itself is thought to have stopped.
const STALL_US: i64 = 500_000;
/// Frames that are later than this are a matter of their dates, not of the way.
const LATEST_US: i64 = 1_000_000;
/// How long the least way back is remembered, at least; and at most twice as long.
const WINDOW_US: i64 = 5_000_000;
/// Runs whose least round trip is remembered: an old path's short trip is forgotten in time.
const RUNS: usize = 8;

/// The player's clock.
#[derive(Debug)]
pub(crate) struct PlayoutClock {
    /// When the audio sent so far has been played.
    end: i64,
    run: u64,
    segment: u64,
    trips: [Option<i64>; RUNS],
    lag: Lag,
    back: Back,
}

/// The way back, by the caller's audio: how late its newest frame was against the least of the last seconds.
#[derive(Debug, Default)]
struct Back {
    dated: i64,
    at: i64,
    late: i64,
    /// Of this window and the one before: the least of arrival minus date, which is the way back and the clocks' difference.
    least: [Option<i64>; 2],
    window: i64,
}

impl Back {
    fn frame(&mut self, at: i64, dated: i64) {
        if dated <= self.dated {
            // Dates that do not advance mean nothing.
            self.least = [None; 2];
        }
        (self.at, self.dated) = (at, dated);
        if at.saturating_sub(self.window) > WINDOW_US {
            self.least.rotate_right(1);
            self.window = at;
            if let Some(newest) = self.least.first_mut() {
                *newest = None;
            }
        }
        let offset = at.saturating_sub(dated);
        if let Some(newest) = self.least.first_mut() {
            *newest = Some(newest.map_or(offset, |least| least.min(offset)));
        }
        self.late = offset.saturating_sub(self.least.iter().flatten().min().copied().unwrap_or(offset));
    }

    /// How late a message is that comes at this time.
    fn late_at(&self, at: i64) -> i64 {
        if self.late > LATEST_US { 0 } else { self.late.saturating_sub(at.saturating_sub(self.at)).max(0) }
    }

    /// Everything that was on its way back at this time, had the way been at its best, has come.
    fn come_until(&self, now: i64) -> Option<i64> {
        let is_known = self.late <= LATEST_US && now.saturating_sub(self.at) <= LATEST_US && self.dated > 0;
        is_known.then(|| self.at.saturating_sub(self.late))
    }
}

/// When a byte is due and in which circumstances it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    due: i64,
    run: u64,
    segment: u64,
}

/// What the marks of the present run have shown of `lag + out + back`.
#[derive(Debug, Default)]
struct Lag {
    /// The last three: they outlive a change of the segment.
    recent: [Option<i64>; 3],
    /// Of the present segment: the least, and how many.
    segment: u64,
    least: i64,
    seen: u32,
}

impl Lag {
    fn observe(&mut self, delay: i64, segment: u64) {
        self.recent.rotate_right(1);
        if let Some(newest) = self.recent.first_mut() {
            *newest = Some(delay);
        }
        if self.segment == segment && self.seen > 0 {
            self.least = self.least.min(delay);
            self.seen = self.seen.saturating_add(1);
        } else {
            *self = Self { recent: self.recent, segment, least: delay, seen: 1 };
        }
    }

    /// The least delay that still tells something about the audio playing now.
    fn delay(&self) -> Option<i64> {
        if self.seen >= 3 { Some(self.least) } else { self.recent.iter().flatten().min().copied() }
    }
}

/// Sending time in microseconds.
pub(crate) fn micros(now: Now) -> i64 {
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX / 4)
}

/// How long so many bytes sound, in microseconds.
pub(crate) fn length_us(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX / 1_000).saturating_mul(BYTE_US)
}

/// How many bytes sound in so many microseconds; none in a negative time.
pub(crate) fn bytes_in(us: i64) -> u64 {
    u64::try_from(us / BYTE_US).unwrap_or(0)
}

impl PlayoutClock {
    pub(crate) fn new() -> Self {
        Self { end: i64::MIN / 4, run: 0, segment: 0, trips: [None; RUNS], lag: Lag::default(), back: Back::default() }
    }

    /// Audio is sent. Returns when its first byte is due, and whether nothing was playing.
    pub(crate) fn send(&mut self, now: Now, bytes: u64) -> (i64, bool) {
        let now = micros(now);
        let fresh = now >= self.end;
        if fresh {
            self.run += 1;
            self.segment += 1;
            self.trips.rotate_right(1);
            if let Some(newest) = self.trips.first_mut() {
                *newest = None;
            }
            self.lag = Lag::default();
        } else if self.end - now < LOW_WATER_US {
            self.segment += 1;
        }
        let start = if fresh { now } else { self.end };
        self.end = start.saturating_add(length_us(bytes));
        (start, fresh)
    }

    /// The stamp of a mark that is sent now.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { due: self.end, run: self.run, segment: self.segment }
    }

    /// A frame of the caller's audio came, dated so many milliseconds after the stream's start.
    pub(crate) fn frame(&mut self, now: Now, dated_ms: u32) {
        self.back.frame(micros(now), i64::from(dated_ms) * 1_000);
    }

    /// A mark came back because playback had reached it.
    pub(crate) fn reached(&mut self, now: Now, stamp: Stamp) {
        let now = micros(now);
        let delay = now.saturating_sub(stamp.due).saturating_sub(self.back.late_at(now));
        if delay >= 0
            && let Some(newest) = self.trips.first_mut()
        {
            *newest = Some(newest.map_or(delay, |least| least.min(delay)));
        }
        if stamp.run == self.run {
            self.lag.observe(delay, stamp.segment);
        }
    }

    /// The queue was cleared.
    pub(crate) fn clear(&mut self, now: Now) {
        self.end = self.end.min(micros(now));
    }

    /// There and back without any lag: the least of the last runs.
    fn round_trip(&self) -> Option<i64> {
        self.trips.iter().flatten().min().copied()
    }

    fn round_trip_us(&self) -> i64 {
        self.round_trip().unwrap_or(0)
    }

    fn lag_us(&self) -> i64 {
        self.lag.delay().map_or(0, |delay| delay - self.round_trip_us())
    }

    /// The byte that sounds when a message sent now arrives is the one due at this time. `oldest` is the stamp of the
    /// first mark that has not come back.
    pub(crate) fn playing_us(&self, now: Now, oldest: Option<Stamp>) -> i64 {
        let (now, lag) = (micros(now), self.lag_us());
        let Some(oldest) = oldest else { return now.saturating_sub(lag) };
        match (self.back.come_until(now), self.round_trip()) {
            (Some(come), Some(trip)) => now.saturating_sub(lag.max(come.saturating_sub(oldest.due + trip))),
            // Without a witness a mark may be on its way, but not for ever.
            _ => now.saturating_sub(lag).min(oldest.due + self.round_trip_us() + STALL_US),
        }
    }

    /// When a mark is expected back.
    pub(crate) fn expected_us(&self, stamp: Stamp) -> i64 {
        stamp.due.saturating_add(self.round_trip_us()).saturating_add(self.lag_us().max(0))
    }

    /// When the audio sent so far will have been played.
    pub(crate) fn drained_us(&self) -> i64 {
        self.end.saturating_add(self.lag_us().max(0))
    }

    /// How much audio is queued, in microseconds.
    pub(crate) fn queued_us(&self, now: Now) -> i64 {
        self.end.saturating_sub(micros(now)).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Now {
        Now::from_millis(ms)
    }

    #[test]
    fn with_steady_delays_the_first_byte_needs_no_mark() {
        let mut clock = PlayoutClock::new();
        assert_eq!(clock.send(ms(100), 1600), (100_000, true));
        assert_eq!(clock.playing_us(ms(105), Some(clock.stamp())), 105_000);
    }

    #[test]
    fn a_late_start_shows_in_the_marks_and_is_believed_after_the_first() {
        let mut clock = PlayoutClock::new();
        // A first answer over 40 ms there and back.
        clock.send(ms(0), 1600);
        clock.reached(ms(240), clock.stamp());
        // A second, whose first message was 70 ms late.
        clock.send(ms(1_000), 1600);
        let first = clock.stamp();
        clock.send(ms(1_001), 16_000);
        assert_eq!(clock.playing_us(ms(1_100), Some(first)), 1_100_000);
        clock.reached(ms(1_310), first);
        assert_eq!(clock.playing_us(ms(1_400), None), 1_330_000);
    }

    #[test]
    fn one_late_mark_does_not_move_the_clock() {
        let mut clock = PlayoutClock::new();
        let stamps: Vec<Stamp> = (0..6)
            .map(|_| {
                clock.send(ms(0), 1600);
                clock.stamp()
            })
            .collect();
        for (at, stamp) in [230, 430, 630, 930, 1_090].into_iter().zip(stamps) {
            clock.reached(ms(at), stamp);
        }
        assert_eq!(clock.playing_us(ms(1_100), None), 1_100_000);
    }

    #[test]
    fn a_late_mark_beside_late_audio_is_only_late() {
        let mut clock = PlayoutClock::new();
        clock.send(ms(0), 1600);
        (1..13).for_each(|frame| clock.frame(ms(frame * 20), frame as u32 * 20));
        clock.reached(ms(240), clock.stamp());
        // The next answer's first mark would be back at 1240; the line is stuck from 1220 to 1460.
        clock.send(ms(1_000), 1600);
        let first = clock.stamp();
        clock.send(ms(1_000), 16_000);
        (13..62).for_each(|frame| clock.frame(ms(frame * 20), frame as u32 * 20));
        assert_eq!(clock.playing_us(ms(1_400), Some(first)), 1_400_000, "nothing tells of a lag");
        clock.frame(ms(1_460), 1_240);
        clock.reached(ms(1_460), first);
        assert_eq!(clock.playing_us(ms(1_460), None), 1_460_000);
    }

    #[test]
    fn a_mark_that_is_missing_beside_punctual_audio_was_not_reached() {
        let mut clock = PlayoutClock::new();
        clock.send(ms(0), 1600);
        (1..13).for_each(|frame| clock.frame(ms(frame * 20), frame as u32 * 20));
        clock.reached(ms(240), clock.stamp());
        clock.send(ms(1_000), 1600);
        let first = clock.stamp();
        (13..71).for_each(|frame| clock.frame(ms(frame * 20), frame as u32 * 20));
        // It was due back at 1240, and what came at 1400 left after it should have.
        assert_eq!(clock.playing_us(ms(1_405), Some(first)), 1_245_000);
    }

    #[test]
    fn dates_that_make_no_sense_are_not_believed() {
        let mut clock = PlayoutClock::new();
        clock.send(ms(0), 80_000);
        for at in 0..200 {
            clock.frame(ms(at * 20), 7);
        }
        let stamp = Stamp { due: 4_000_000, run: 1, segment: 1 };
        clock.reached(ms(4_040), stamp);
        assert_eq!(clock.playing_us(ms(5_000), None), 5_000_000);
        clock.frame(ms(5_000), u32::MAX);
        clock.frame(ms(5_020), 0);
        assert_eq!(clock.playing_us(ms(5_040), None), 5_040_000);
    }

    #[test]
    fn a_player_that_stopped_is_noticed() {
        let mut clock = PlayoutClock::new();
        clock.send(ms(0), 80_000);
        let stamp = Stamp { due: 200_000, run: 1, segment: 1 };
        assert_eq!(clock.playing_us(ms(600), Some(stamp)), 600_000);
        assert_eq!(clock.playing_us(ms(5_000), Some(stamp)), 700_000);
    }

    #[test]
    fn marks_that_come_impossibly_early_do_not_spoil_the_round_trip() {
        let mut clock = PlayoutClock::new();
        clock.send(ms(0), 8_000);
        clock.reached(ms(10), clock.stamp());
        assert_eq!(clock.round_trip_us(), 0);
        // Playback is where the mark says: a second ahead.
        assert_eq!(clock.playing_us(ms(10), None), 1_000_000);
        clock.clear(ms(20));
        assert_eq!(clock.send(ms(20), 8), (20_000, true));
        assert_eq!(clock.playing_us(ms(20), None), 20_000);
    }
}
