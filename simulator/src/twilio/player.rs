//! What Twilio does with the audio that a Media Stream's server sends: buffers it, plays it at 8 bytes a millisecond, returns
//! marks when playback reaches them, and forgets the rest on `clear`. The clock is exact to the byte (125 µs). The messages
//! that carry all this are [`super::stream`]'s; who listens is [`crate::caller`]'s.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use super::Now;

/// How long one byte of 8 kHz mu-law sounds.
pub const BYTE: Duration = Duration::from_micros(125);

/// Unplayed audio above this is thrown away with warning 31931: ten minutes.
pub const BUFFER_LIMIT: usize = 10 * 60 * 8000;

/// What became of a stretch of received audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It sounded, its first byte at this moment, the others 125 µs apart.
    Played(Now),
    /// A `clear` removed it at this moment.
    Cleared(Now),
}

/// A stretch of received audio with one fate, in the order of receipt; stretches never overlap and leave no gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Which bytes of [`Player::received`].
    pub bytes: Range<usize>,
    /// What became of them.
    pub fate: Fate,
}

/// A mark that goes back to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnedMark {
    /// The server's name of it.
    pub name: String,
    /// When it went back.
    pub at: Now,
    /// Whether a `clear` flushed it: then it says nothing about playback.
    pub flushed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PendingMark {
    name: String,
    behind: usize,
    arrived: Now,
}

/// The playout buffer of one stream, and the record of all that it ever held.
///
/// Conservation, at every moment: `received().len() == bytes played + bytes cleared + queued()`.
#[derive(Debug, Default)]
pub struct Player {
    received: Vec<u8>,
    /// The first byte that was neither played nor cleared.
    next: usize,
    /// The byte and the moment at which the present uninterrupted playing began.
    run: (usize, Now),
    fates: Vec<Stretch>,
    pending: VecDeque<PendingMark>,
    returned: VecDeque<ReturnedMark>,
    discarded: usize,
    closed: bool,
}

impl Player {
    /// Takes audio in behind what is queued; playback begins at once when nothing was queued. Returns how many bytes found
    /// no room in the ten minutes and were thrown away.
    pub fn receive(&mut self, now: Now, audio: &[u8]) -> usize {
        self.advance(now);
        if self.closed || audio.is_empty() {
            return 0;
        }
        if self.queued() == 0 {
            self.run = (self.received.len(), now);
        }
        let room = (BUFFER_LIMIT - self.queued()).min(audio.len());
        self.received.extend_from_slice(&audio[..room]);
        self.discarded += audio.len() - room;
        audio.len() - room
    }

    /// Takes a mark in behind what is queued; with nothing queued it goes back at once.
    pub fn mark(&mut self, now: Now, name: &str) {
        self.advance(now);
        if !self.closed {
            self.pending.push_back(PendingMark { name: name.to_owned(), behind: self.received.len(), arrived: now });
            self.advance(now);
        }
    }

    /// Forgets everything queued and sends every pending mark back.
    pub fn clear(&mut self, now: Now) {
        self.advance(now);
        if self.closed {
            return;
        }
        if self.queued() > 0 {
            self.fates.push(Stretch { bytes: self.next..self.received.len(), fate: Fate::Cleared(now) });
            self.next = self.received.len();
        }
        let flushed = self.pending.drain(..);
        self.returned.extend(flushed.map(|mark| ReturnedMark { name: mark.name, at: now, flushed: true }));
    }

    /// Plays up to `now`. Every other call does so itself.
    pub fn advance(&mut self, now: Now) {
        if self.closed {
            return;
        }
        let (run_from, run_at) = self.run;
        let sounded = now.saturating_sub(run_at).as_micros() / BYTE.as_micros();
        let reached = run_from.saturating_add(usize::try_from(sounded).unwrap_or(usize::MAX));
        let reached = reached.min(self.received.len()).max(self.next);
        if reached > self.next {
            match self.fates.last_mut() {
                Some(Stretch { bytes, fate: Fate::Played(_) }) if bytes.end == self.next && bytes.start >= run_from => {
                    bytes.end = reached;
                }
                Some(_) | None => {
                    self.fates.push(Stretch { bytes: self.next..reached, fate: Fate::Played(run_at) });
                }
            }
            self.next = reached;
        }
        while self.pending.front().is_some_and(|mark| mark.behind <= self.next) {
            let Some(mark) = self.pending.pop_front() else { break };
            let at = self.sounded_at(mark.behind).unwrap_or(mark.arrived).max(mark.arrived);
            self.returned.push_back(ReturnedMark { name: mark.name, at, flushed: false });
        }
    }

    /// Ends playback: what is queued stays unplayed for ever and pending marks are not returned.
    pub fn close(&mut self, now: Now) {
        self.advance(now);
        self.closed = true;
        self.pending.clear();
    }

    /// The next mark to send back. Drain after every other call.
    pub fn poll_mark(&mut self) -> Option<ReturnedMark> {
        self.returned.pop_front()
    }

    /// When [`Player::advance`] has a mark to return next; none while no mark waits for audio.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Now> {
        let mark = self.pending.front()?;
        let (run_from, run_at) = self.run;
        Some(run_at + BYTE * u32::try_from(mark.behind.saturating_sub(run_from)).unwrap_or(u32::MAX))
    }

    /// When everything queued will have been played.
    #[must_use]
    pub fn drained_at(&self) -> Now {
        let (run_from, run_at) = self.run;
        run_at + BYTE * u32::try_from(self.received.len() - run_from).unwrap_or(u32::MAX)
    }

    /// Every byte that was received and kept, in order.
    #[must_use]
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// What became of the received bytes so far, in order, from the first to the last that is not queued any more.
    #[must_use]
    pub fn fates(&self) -> &[Stretch] {
        &self.fates
    }

    /// The audio that sounded so far, in order: when each uninterrupted stretch began, and its bytes.
    pub fn played(&self) -> impl Iterator<Item = (Now, &[u8])> {
        self.fates.iter().filter_map(|stretch| match stretch.fate {
            Fate::Played(at) => Some((at, &self.received[stretch.bytes.clone()])),
            Fate::Cleared(_) => None,
        })
    }

    /// What has sounded behind this received byte, in order: when it began, where it lies in [`Player::received`], and it.
    pub fn played_from(&self, byte: usize) -> impl Iterator<Item = (Now, Range<usize>, &[u8])> {
        self.fates
            .iter()
            .rev()
            .take_while(move |stretch| stretch.bytes.end > byte)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .filter_map(move |stretch| match stretch.fate {
                Fate::Played(at) => {
                    let from = stretch.bytes.start.max(byte);
                    let later = BYTE * u32::try_from(from - stretch.bytes.start).unwrap_or(u32::MAX);
                    Some((at + later, from..stretch.bytes.end, &self.received[from..stretch.bytes.end]))
                }
                Fate::Cleared(_) => None,
            })
    }

    /// How many of these received bytes have sounded.
    #[must_use]
    pub fn played_of(&self, bytes: Range<usize>) -> usize {
        self.fates
            .iter()
            .filter(|stretch| matches!(stretch.fate, Fate::Played(_)))
            .map(|stretch| stretch.bytes.end.min(bytes.end).saturating_sub(stretch.bytes.start.max(bytes.start)))
            .sum()
    }

    /// When this received byte began to sound (a byte one past a played stretch: when that stretch ended); none while it
    /// has not, or when it was cleared.
    #[must_use]
    pub fn sounded_at(&self, byte: usize) -> Option<Now> {
        self.fates.iter().find_map(|stretch| match stretch.fate {
            Fate::Played(at) if (stretch.bytes.start..=stretch.bytes.end).contains(&byte) => {
                Some(at + BYTE * u32::try_from(byte - stretch.bytes.start).unwrap_or(u32::MAX))
            }
            Fate::Played(_) | Fate::Cleared(_) => None,
        })
    }

    /// Bytes received, neither played nor cleared.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.received.len() - self.next
    }

    /// Bytes that found no room in the ten minutes.
    #[must_use]
    pub fn discarded(&self) -> usize {
        self.discarded
    }

    /// Marks that wait for audio to be played.
    #[must_use]
    pub fn pending_marks(&self) -> usize {
        self.pending.len()
    }
}

#[cfg(test)]
mod tests;
