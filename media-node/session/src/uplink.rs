//! What the caller says on its way to the provider: passed on while somebody listens, kept in a bounded queue while nobody
//! does, counted always. The queue holds the newest audio; when it is full the oldest goes and is counted as lost.

use std::collections::VecDeque;

/// Bytes of mu-law in a millisecond.
const BYTES_PER_MS: u64 = 8;
/// Frames that may wait whatever their size: bounds the memory of a stream of tiny or empty ones.
const FRAMES: usize = 2_000;

/// The caller's direction.
#[derive(Debug)]
pub(crate) struct Uplink {
    waiting: VecDeque<(Box<str>, usize)>,
    waiting_bytes: u64,
    bound_bytes: u64,
    open: bool,
    /// Given to the present provider connection.
    delivered_bytes: u64,
    lost_bytes: u64,
}

impl Uplink {
    /// Keeps at most `bound_ms` of audio (and 2000 frames).
    pub(crate) fn new(bound_ms: u32) -> Self {
        Self {
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            bound_bytes: u64::from(bound_ms) * BYTES_PER_MS,
            open: false,
            delivered_bytes: 0,
            lost_bytes: 0,
        }
    }

    /// Takes a frame of so many bytes. `true`: pass it on now; else it is kept.
    pub(crate) fn take(&mut self, payload: &str, bytes: usize) -> bool {
        if self.open {
            self.delivered_bytes += bytes as u64;
            return true;
        }
        self.waiting.push_back((payload.into(), bytes));
        self.waiting_bytes += bytes as u64;
        while self.waiting_bytes > self.bound_bytes || self.waiting.len() > FRAMES {
            let Some((_, lost)) = self.waiting.pop_front() else { break };
            self.waiting_bytes -= lost as u64;
            self.lost_bytes += lost as u64;
        }
        false
    }

    /// Somebody listens from now on: everything kept, oldest first, to be passed on before any further frame.
    pub(crate) fn open(&mut self) -> impl Iterator<Item = Box<str>> + use<> {
        self.open = true;
        self.delivered_bytes = self.waiting_bytes;
        self.waiting_bytes = 0;
        std::mem::take(&mut self.waiting).into_iter().map(|(payload, _)| payload)
    }

    /// Nobody listens from now on.
    pub(crate) fn close(&mut self) {
        self.open = false;
    }

    /// Nobody will listen again.
    pub(crate) fn abandon(&mut self) {
        self.close();
        self.bound_bytes = 0;
        self.waiting = VecDeque::new();
        self.waiting_bytes = 0;
    }

    /// How many milliseconds ago the moment was that this provider connection counts as `ms` of its audio, if it has
    /// been delivered. Right for audio that was kept, too: what was delivered last was heard just now.
    pub(crate) fn ago_ms(&self, ms: u64) -> u64 {
        (self.delivered_bytes / BYTES_PER_MS).saturating_sub(ms)
    }

    /// Audio that nobody heard, in milliseconds.
    pub(crate) fn lost_ms(&self) -> u64 {
        self.lost_bytes / BYTES_PER_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn early_words_are_kept_and_delivered_in_order() {
        let mut uplink = Uplink::new(10_000);
        assert!(!uplink.take("one", 160) && !uplink.take("two", 160));
        let kept: Vec<_> = uplink.open().collect();
        assert_eq!(kept.iter().map(|p| &**p).collect::<Vec<_>>(), ["one", "two"]);
        assert!(uplink.take("three", 160));
        assert_eq!((uplink.ago_ms(20), uplink.ago_ms(60), uplink.ago_ms(99), uplink.lost_ms()), (40, 0, 0, 0));
    }

    #[test]
    fn a_full_queue_loses_the_oldest_and_counts_it() {
        let mut uplink = Uplink::new(40);
        for name in ["a", "b", "c"] {
            uplink.take(name, 160);
        }
        assert_eq!(uplink.lost_ms(), 20);
        assert_eq!(uplink.open().map(String::from).collect::<Vec<_>>(), ["b", "c"]);
    }

    #[test]
    fn a_new_connection_counts_from_its_own_beginning() {
        let mut uplink = Uplink::new(1_000);
        let _ = uplink.open();
        uplink.take("a", 8_000);
        uplink.close();
        uplink.take("b", 160);
        assert_eq!(uplink.open().count(), 1);
        assert_eq!(uplink.ago_ms(0), 20);
    }

    proptest! {
        #[test]
        fn what_waits_is_bounded_and_nothing_is_miscounted(frames in proptest::collection::vec(0usize..2_000, 0..200)) {
            let mut uplink = Uplink::new(500);
            let mut taken = 0;
            for bytes in &frames {
                uplink.take("x", *bytes);
                taken += *bytes as u64;
                prop_assert!(uplink.waiting_bytes <= 4_000);
            }
            prop_assert_eq!(taken, uplink.waiting_bytes + uplink.lost_bytes);
        }
    }
}
