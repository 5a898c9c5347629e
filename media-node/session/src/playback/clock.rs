//! Where Twilio's player is, as far as it can be known from here. Twilio plays what it gets without a pause at 8 bytes a
//! millisecond and sends each mark back when playback reaches it; between marks, time does the counting.
//!
//! All of it is told in *sending time*: the moment at which a byte would sound if a message took no time to arrive. The
//! way there (`out`) and back (`back`) do take time, but a `clear` takes the same way as the audio before it, so the byte
//! that sounds when a `clear` arrives is the byte that sounds, in sending time, when the `clear` is sent. What disturbs
//! this is audio that arrived later than its fellows: then playback is behind by a `lag` until its run ends. A mark that
//! left Twilio at `m`, seen from here, for a byte that was due at `d` shows `m - d = lag + out + back`, its *delay*; the
//! least delay of the last runs is taken as `out + back`, what is above it as lag.
//!
//! When a mark left is not when it came: the way back may be stuck. But the caller's audio comes the same way, in order, 50
//! times a second and dated: a mark left after the frame that came before it and before the frame that comes after it. That
//! bounds each delay to 20 ms however late everything is, and several marks bound it to a few. A mark that is missing
//! although audio of a later date has come was not reached yet. Without dated audio the least delay counts.

use crate::Now;

/// One byte of 8 kHz mu-law, in microseconds.
const BYTE_US: i64 = 125;
/// With less than this queued, a late message may have let the player run dry: what was known about the lag may be old.
const LOW_WATER_US: i64 = 150_000;
/// A mark may be overdue by this much before playback itself is thought to have stopped, without dated audio.
const STALL_US: i64 = 500_000;
/// Frames that are later than this are a matter of their dates, not of the way; and a frame this old tells nothing.
const LATEST_US: i64 = 1_000_000;
/// How long the least way back is remembered, at least; and at most twice as long.
const WINDOW_US: i64 = 15_000_000;
/// Dates are whole milliseconds, rounded down.
const DATE_US: i64 = 1_000;
/// Runs whose least delay is remembered: an old path's short trip is forgotten in time.
const RUNS: usize = 8;

/// The player's clock.
#[derive(Debug)]
pub(crate) struct PlayoutClock {
    /// When the audio sent so far has been played.
    end: i64,
    run: u64,
    segment: u64,
    /// The segment with which the present run began: it has the least delay.
    first_segment: u64,
    /// What each of the last runs has shown of `out + back`, the present one first.
    trips: [Option<Delay>; RUNS],
    /// The delay of the present run.
    delay: Option<Delay>,
    /// When the newest mark was due, if no frame has come since it came.
    newest: Option<i64>,
    back: Back,
}

/// What the marks of a segment have shown of their delay.
#[derive(Debug, Clone, Copy)]
struct Delay {
    segment: u64,
    /// At least; none: nothing but the marks themselves tells.
    low: Option<i64>,
    /// At most.
    high: i64,
}

impl Delay {
    /// What both have shown; if they contradict each other, what the newer has.
    fn and(self, newer: Self) -> Self {
        let low = self.low.max(newer.low);
        let high = if self.segment == newer.segment { self.high.min(newer.high) } else { newer.high };
        if low.is_some_and(|low| low > high) { newer } else { Self { segment: newer.segment, low, high } }
    }
}

/// The way back, by the caller's audio.
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

    /// When the newest frame would have come, had the way back been at its best. All that left before it has come.
    fn left_before(&self, now: i64) -> Option<i64> {
        let is_known = self.dated > 0 && self.late <= LATEST_US && now.saturating_sub(self.at) <= LATEST_US;
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
        Self {
            end: i64::MIN / 4,
            run: 0,
            segment: 0,
            first_segment: 0,
            trips: [None; RUNS],
            delay: None,
            newest: None,
            back: Back::default(),
        }
    }

    /// Audio is sent. Returns when its first byte is due, and whether nothing was playing.
    pub(crate) fn send(&mut self, now: Now, bytes: u64) -> (i64, bool) {
        let now = micros(now);
        let fresh = now >= self.end;
        if fresh {
            self.run += 1;
            self.segment += 1;
            self.first_segment = self.segment;
            self.trips.rotate_right(1);
            if let Some(newest) = self.trips.first_mut() {
                *newest = None;
            }
            self.delay = None;
        } else if self.end - now < LOW_WATER_US {
            self.segment += 1;
        }
        let start = if fresh { now } else { self.end };
        self.end = start.saturating_add(length_us(bytes));
        (start, fresh)
    }

    /// The stamp of a mark that is sent now.
    pub(crate) fn stamp(&self, now: Now) -> Stamp {
        let now = micros(now);
        if now < self.end {
            Stamp { due: self.end, run: self.run, segment: self.segment }
        } else {
            // Behind what has been played: it comes back at once, whatever the lag was. There is no run 0.
            Stamp { due: now, run: 0, segment: 0 }
        }
    }

    /// A mark came back because playback had reached it.
    pub(crate) fn reached(&mut self, now: Now, stamp: Stamp) {
        if stamp.run != self.run {
            return;
        }
        let now = micros(now);
        let low = self.back.left_before(now).map(|left| left.saturating_sub(stamp.due));
        self.newest = Some(stamp.due);
        self.learn(Delay { segment: stamp.segment, low, high: now.saturating_sub(stamp.due) });
    }

    /// A frame of the caller's audio came, dated so many milliseconds after the stream's start.
    pub(crate) fn frame(&mut self, now: Now, dated_ms: u32) {
        let now = micros(now);
        self.back.frame(now, i64::from(dated_ms) * 1_000);
        if let (Some(due), Some(left), Some(delay)) = (self.newest.take(), self.back.left_before(now), self.delay) {
            let high = left.saturating_add(DATE_US).saturating_sub(due).min(delay.high);
            self.learn(Delay { high, ..delay });
        }
    }

    fn learn(&mut self, delay: Delay) {
        let delay = self.delay.map_or(delay, |known| known.and(delay));
        self.delay = Some(delay);
        // An echo before its time tells nothing about the way.
        if delay.segment == self.first_segment
            && delay.high >= 0
            && let Some(newest) = self.trips.first_mut()
        {
            *newest = Some(delay);
        }
    }

    /// The queue was cleared.
    pub(crate) fn clear(&mut self, now: Now) {
        self.end = self.end.min(micros(now));
        self.newest = None;
    }

    /// There and back without any lag. No run's delay can be less; where the runs agree, it is between their bounds.
    fn round_trip(&self) -> Option<i64> {
        let high = self.trips.iter().flatten().map(|trip| trip.high).min()?;
        let low = self.trips.iter().flatten().filter_map(|trip| trip.low).max().filter(|low| *low < high);
        Some(low.map_or(high, |low| low.max(0) + (high - low.max(0)) / 2))
    }

    fn round_trip_us(&self) -> i64 {
        self.round_trip().unwrap_or(0)
    }

    fn lag_us(&self) -> i64 {
        let (Some(Delay { low, high, .. }), trip) = (self.delay, self.round_trip_us()) else { return 0 };
        match low {
            // No lag explains what was seen.
            Some(low) if low <= trip && trip <= high => 0,
            // Towards the lower bound: the `clear` will not have the best of ways either.
            Some(low) if trip < low => low + (high - low) / 4 - trip,
            Some(_) | None => high - trip,
        }
    }

    /// The byte that sounds when a message sent now arrives is the one due at this time. `oldest` is the stamp of the
    /// first mark that has not come back.
    pub(crate) fn playing_us(&self, now: Now, oldest: Option<Stamp>) -> i64 {
        let (now, lag) = (micros(now), self.lag_us());
        let Some(oldest) = oldest else { return now.saturating_sub(lag) };
        match (self.back.left_before(now), self.round_trip()) {
            (Some(left), Some(trip)) => now.saturating_sub(lag.max(left.saturating_sub(oldest.due + trip))),
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
        assert_eq!(clock.playing_us(ms(105), Some(clock.stamp(ms(0)))), 105_000);
    }

    #[test]
    fn a_late_start_shows_in_the_marks_and_is_believed_after_the_first() {
        let mut clock = PlayoutClock::new();
        // A first answer over 40 ms there and back.
        clock.send(ms(0), 1600);
        clock.reached(ms(240), clock.stamp(ms(0)));
        // A second, whose first message was 70 ms late.
        clock.send(ms(1_000), 1600);
        let first = clock.stamp(ms(0));
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
                clock.stamp(ms(0))
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
        clock.reached(ms(240), clock.stamp(ms(0)));
        // The next answer's first mark would be back at 1240; the line is stuck from 1220 to 1460.
        clock.send(ms(1_000), 1600);
        let first = clock.stamp(ms(0));
        clock.send(ms(1_000), 16_000);
        (13..62).for_each(|frame| clock.frame(ms(frame * 20), frame as u32 * 20));
        assert_eq!(clock.playing_us(ms(1_400), Some(first)), 1_400_000, "nothing tells of a lag");
        clock.frame(ms(1_460), 1_240);
        clock.reached(ms(1_460), first);
        assert_eq!(clock.playing_us(ms(1_460), None), 1_460_000);
    }

    #[test]
    fn marks_between_frames_bound_the_lag_though_all_are_late() {
        let mut clock = PlayoutClock::new();
        clock.send(ms(0), 1600);
        (1..13).for_each(|frame| clock.frame(ms(frame * 20), frame as u32 * 20));
        clock.reached(ms(240), clock.stamp(ms(0)));
        clock.frame(ms(260), 260);
        // Playback of the next answer is 90 ms behind, and everything comes back 300 ms late.
        clock.send(ms(1_000), 1600);
        let first = clock.stamp(ms(0));
        clock.send(ms(1_000), 1680);
        let second = clock.stamp(ms(0));
        clock.send(ms(1_000), 16_000);
        (14..66).for_each(|frame| clock.frame(ms(frame * 20), frame as u32 * 20));
        clock.frame(ms(1_620), 1_320);
        clock.reached(ms(1_630), first);
        clock.frame(ms(1_640), 1_340);
        (68..77).for_each(|frame| clock.frame(ms(frame * 20 + 300), frame as u32 * 20));
        clock.reached(ms(1_840), second);
        clock.frame(ms(1_860), 1_560);
        let lag = 2_000_000 - clock.playing_us(ms(2_000), None);
        assert!((80_000..100_000).contains(&lag), "{lag}");
    }

    #[test]
    fn a_mark_that_is_missing_beside_punctual_audio_was_not_reached() {
        let mut clock = PlayoutClock::new();
        clock.send(ms(0), 1600);
        (1..13).for_each(|frame| clock.frame(ms(frame * 20), frame as u32 * 20));
        clock.reached(ms(240), clock.stamp(ms(0)));
        clock.send(ms(1_000), 1600);
        let first = clock.stamp(ms(0));
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
        clock.reached(ms(10), clock.stamp(ms(0)));
        assert_eq!(clock.round_trip_us(), 0);
        // Playback is where the mark says: a second ahead.
        assert_eq!(clock.playing_us(ms(10), None), 1_000_000);
        clock.clear(ms(20));
        assert_eq!(clock.send(ms(20), 8), (20_000, true));
        assert_eq!(clock.playing_us(ms(20), None), 20_000);
    }
}
