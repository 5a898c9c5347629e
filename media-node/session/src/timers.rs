//! Named deadlines in one table; the next wake-up is the earliest. No timer is a task, and what a deadline means is told
//! where it is set.

use crate::Now;

/// Every deadline that a session can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The plan should have arrived.
    Plan,
    /// The provider's socket should have opened.
    Connect,
    /// The provider should have accepted its configuration.
    Configure,
    /// It is time to dial the provider again.
    Redial,
    /// The provider should have given a sign of its answer.
    Response,
    /// The caller has heard nothing for long enough that something must be said.
    Filler,
    /// Nobody has spoken for the agent's limit.
    Silence,
    /// The agent's longest call is reached.
    MaxDuration,
    /// The node's shutdown leaves time for one more sentence.
    Drain,
    /// The node's shutdown leaves no time.
    HardStop,
    /// Twilio should have sent audio.
    Carrier,
    /// The closing sentence should have been played.
    Closing,
}

const ALL: [Timer; 12] = [
    Timer::Plan,
    Timer::Connect,
    Timer::Configure,
    Timer::Redial,
    Timer::Response,
    Timer::Filler,
    Timer::Silence,
    Timer::MaxDuration,
    Timer::Drain,
    Timer::HardStop,
    Timer::Carrier,
    Timer::Closing,
];

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    deadlines: [Option<Now>; ALL.len()],
}

impl Timers {
    /// Sets a deadline, in place of the one it had.
    pub(crate) fn set(&mut self, timer: Timer, at: Now) {
        if let Some(slot) = self.deadlines.get_mut(timer as usize) {
            *slot = Some(at);
        }
    }

    /// Takes a deadline back.
    pub(crate) fn clear(&mut self, timer: Timer) {
        if let Some(slot) = self.deadlines.get_mut(timer as usize) {
            *slot = None;
        }
    }

    /// Takes all back but these.
    pub(crate) fn keep(&mut self, kept: &[Timer]) {
        for timer in ALL {
            if !kept.contains(&timer) {
                self.clear(timer);
            }
        }
    }

    /// A timer's deadline.
    pub(crate) fn get(&self, timer: Timer) -> Option<Now> {
        self.deadlines.get(timer as usize).copied().flatten()
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Now> {
        self.deadlines.iter().flatten().min().copied()
    }

    /// Takes out the earliest timer that is due; of equal ones the first by name.
    pub(crate) fn expire(&mut self, now: Now) -> Option<Timer> {
        let (at, timer) = ALL.into_iter().filter_map(|timer| Some((self.get(timer)?, timer))).min()?;
        if at > now {
            return None;
        }
        self.clear(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Now {
        Now::from_secs(seconds)
    }

    #[test]
    fn the_earliest_goes_first_and_each_once() {
        let mut timers = Timers::default();
        assert_eq!((timers.next(), timers.expire(s(9))), (None, None));
        timers.set(Timer::Silence, s(5));
        timers.set(Timer::Connect, s(3));
        timers.set(Timer::Plan, s(7));
        timers.set(Timer::Plan, s(4));
        assert_eq!((timers.next(), timers.expire(s(2))), (Some(s(3)), None));
        assert_eq!(timers.expire(s(4)), Some(Timer::Connect));
        assert_eq!(timers.expire(s(4)), Some(Timer::Plan));
        assert_eq!(timers.expire(s(4)), None);
        timers.clear(Timer::Silence);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn every_timer_has_a_place_of_its_own() {
        let mut timers = Timers::default();
        for (at, timer) in ALL.into_iter().enumerate() {
            timers.set(timer, s(at as u64 + 1));
        }
        for (at, timer) in ALL.into_iter().enumerate() {
            assert_eq!(timers.get(timer), Some(s(at as u64 + 1)));
        }
        timers.keep(&[Timer::Carrier]);
        assert_eq!(timers.expire(s(99)), Some(Timer::Carrier));
        assert_eq!(timers.next(), None);
    }
}
