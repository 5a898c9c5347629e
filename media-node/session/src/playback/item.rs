//! One spoken item in the ledger: bytes received, sent and played, and when they play. Which items there are, and what is
//! sent for them, is the ledger's matter.

use super::Delta;
use super::clock::{bytes_in, length_us};
use std::collections::VecDeque;

/// Pauses within one item that are kept apart.
pub(super) const SPANS: usize = 4096;

/// Whose audio it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// An item of the provider.
    Spoken {
        /// Which of the session's provider connections; another one knows nothing of this item.
        connection: u32,
        /// The provider's response.
        response: String,
        /// The provider's item.
        item: String,
        /// Which of the item's parts.
        content_index: u32,
    },
    /// A recording of ours.
    Clip {
        /// The item that the facts name.
        item: String,
    },
}

impl Source {
    /// The item that facts name.
    pub(crate) fn item(&self) -> &str {
        match self {
            Self::Spoken { item, .. } | Self::Clip { item } => item,
        }
    }
}

/// How much of an item was heard, at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Whose.
    pub(crate) source: Source,
    /// Milliseconds that were played.
    pub(crate) heard_ms: u32,
    /// Milliseconds that had been received.
    pub(crate) received_ms: u32,
    /// Whether anything of it remained unheard, or may still have come.
    pub(crate) cut: bool,
}

/// An item as far as it has come.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) serial: u64,
    pub(super) source: Source,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) proved: u64,
    pub(super) unmarked: u64,
    pub(super) done: bool,
    /// Bytes before the first span; they are proved.
    settled: u64,
    pub(super) spans: VecDeque<Span>,
}

/// Bytes that play without a pause from `start` on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    start: i64,
    bytes: u64,
}

/// Milliseconds in so many bytes, rounded down.
fn whole_ms(bytes: u64) -> u32 {
    u32::try_from(bytes / 8).unwrap_or(u32::MAX)
}

impl Item {
    pub(super) fn new(serial: u64, source: Source) -> Self {
        Self {
            serial,
            source,
            received: 0,
            sent: 0,
            proved: 0,
            unmarked: 0,
            done: false,
            settled: 0,
            spans: VecDeque::new(),
        }
    }

    pub(super) fn is(&self, delta: Delta<'_>) -> bool {
        match &self.source {
            Source::Spoken { connection, response: _, item, content_index } => {
                item == delta.item && *content_index == delta.content_index && *connection == delta.connection
            }
            Source::Clip { .. } => false,
        }
    }

    /// Bytes played when playback is at `playing`.
    pub(super) fn heard(&self, playing: i64) -> u64 {
        let by_time: u64 = self.spans.iter().map(|s| bytes_in(playing.saturating_sub(s.start)).min(s.bytes)).sum();
        (self.settled + by_time).max(self.proved).min(self.sent)
    }

    pub(super) fn is_played(&self) -> bool {
        self.done && self.unmarked == 0 && self.proved == self.sent
    }

    pub(super) fn ending(&self, heard: u64) -> Heard {
        Heard {
            source: self.source.clone(),
            heard_ms: whole_ms(heard),
            received_ms: whole_ms(self.received),
            cut: !(self.done && heard == self.received),
        }
    }

    pub(super) fn extend(&mut self, start: i64, bytes: u64) {
        self.sent += bytes;
        self.unmarked += bytes;
        let full = self.spans.len() >= SPANS;
        match self.spans.back_mut() {
            Some(last) if full || last.start.saturating_add(length_us(last.bytes)) == start => last.bytes += bytes,
            _ => self.spans.push_back(Span { start, bytes }),
        }
    }

    pub(super) fn prove(&mut self, offset: u64) {
        self.proved = self.proved.max(offset);
        while let Some(first) = self.spans.front()
            && self.settled + first.bytes <= self.proved
        {
            self.settled += first.bytes;
            self.spans.pop_front();
        }
    }
}
