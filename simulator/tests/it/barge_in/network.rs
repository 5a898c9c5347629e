//! The network of the barge-in test, and its randomness. Times are microseconds.

use std::collections::VecDeque;
use std::ops::Range;

use super::MS;

/// Randomness of one call (splitmix64).
#[derive(Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `range`, evenly.
    pub(super) fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.roll() % (range.end - range.start)
    }

    pub(super) fn one_in(&mut self, many: u64) -> bool {
        self.roll().is_multiple_of(many)
    }
}

/// One way of a connection: in order, never lost, late. Times are microseconds.
pub(super) struct Link {
    pub(super) delay: u64,
    jitter: u64,
    /// The longest stall; one in 150 messages meets one.
    stall: u64,
    last: u64,
    pub(super) queue: VecDeque<(u64, String)>,
}

impl Link {
    pub(super) fn new(dice: &mut Dice, jitter_ms: u64, stall_ms: u64) -> Self {
        let delay = dice.within(MS..120 * MS);
        let jitter = dice.within(1..jitter_ms * MS);
        Self { delay, jitter, stall: stall_ms * MS, last: 0, queue: VecDeque::new() }
    }

    /// Sends, and returns for how long the message is stuck.
    pub(super) fn send(&mut self, now: u64, dice: &mut Dice, message: String) -> u64 {
        let stall = if self.stall > 0 && dice.one_in(150) { dice.within(0..self.stall) } else { 0 };
        let at = now + self.delay + dice.within(0..self.jitter) + stall;
        self.last = self.last.max(at);
        self.queue.push_back((self.last, message));
        stall
    }

    pub(super) fn next(&self) -> u64 {
        self.queue.front().map_or(u64::MAX, |(at, _)| *at)
    }
}
