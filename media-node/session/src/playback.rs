//! The heard ledger: for each spoken item (provider's item and content index) how much was received, sent to Twilio and
//! played, from Twilio's marks and the time between them. Mark names carry a generation, which an interruption raises, so
//! that marks flushed by a `clear` are told from marks that were reached. Items and responses that were interrupted are
//! remembered as dead: their late audio is dropped. When to interrupt is the session's decision.
//!
//! Bounds: audio queued at Twilio ([`Playback::new`]), 256 items, 4096 marks that have not come back, 4096 pauses within one
//! item, 64 dead items and 64 dead responses (the oldest is forgotten).

mod clock;
mod item;

use crate::Now;
use clock::{PlayoutClock, Stamp, length_us};
use item::Item;
pub(crate) use item::{Heard, Source};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// Base64 characters of the longest piece sent as one message: whole groups of four, 1599 bytes, just under 200 ms.
const PIECE_CHARS: usize = 2132;
const PIECE_BYTES: u64 = 1599;
/// A mark is sent once this much is unmarked: 100 ms. One for each 20 ms would only be traffic.
const MARK_EVERY: u64 = 800;
const ITEMS: usize = 256;
const MARKS: usize = 4096;
const DEAD: usize = 64;
/// Playback that should have ended this long ago has ended, even if its last mark has not come back. Before that a `clear`
/// that clears nothing costs nothing, and one that is missing lets the agent talk into the caller's words.
const TAIL_US: i64 = 1_000_000;

/// A piece of a provider's item, as it arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delta<'a> {
    pub(crate) connection: u32,
    pub(crate) response: &'a str,
    pub(crate) item: &'a str,
    pub(crate) content_index: u32,
}

/// A mark's name on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MarkName {
    generation: u64,
    number: u64,
}

impl fmt::Display for MarkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}m{}", self.generation, self.number)
    }
}

impl MarkName {
    fn read(text: &str) -> Option<Self> {
        let (generation, number) = text.strip_prefix('g')?.split_once('m')?;
        Some(Self { generation: generation.parse().ok()?, number: number.parse().ok()? })
    }
}

/// A message for Twilio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Out<'p> {
    /// Audio, as base64.
    Media(&'p str),
    /// A mark behind it.
    Mark(MarkName),
}

/// What became of a delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// It was sent. If it is the first audio of its item: the moment at which it begins to sound.
    Sent(Option<Now>),
    /// Its item or response was interrupted.
    Dead,
    /// There was no room for it.
    Full,
}

#[derive(Debug)]
struct Pending {
    number: u64,
    serial: u64,
    offset: u64,
    stamp: Stamp,
}

/// Names that must not be heard again; the newest 64.
#[derive(Debug, Default)]
struct Dead(VecDeque<String>);

impl Dead {
    fn add(&mut self, name: &str) {
        if name.is_empty() || self.has(name) {
            return;
        }
        if self.0.len() >= DEAD {
            self.0.pop_front();
        }
        self.0.push_back(name.to_owned());
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|dead| dead == name)
    }
}

/// The ledger of one stream.
#[derive(Debug)]
pub(crate) struct Playback {
    bound_us: i64,
    clock: PlayoutClock,
    generation: u64,
    marks_sent: u64,
    next_serial: u64,
    /// In the order in which they play.
    items: VecDeque<Item>,
    pending: VecDeque<Pending>,
    dead_items: Dead,
    dead_responses: Dead,
}

impl Playback {
    /// A ledger with which at most `bound_ms` of audio wait unplayed at Twilio.
    pub(crate) fn new(bound_ms: u32) -> Self {
        Self {
            bound_us: i64::from(bound_ms) * 1_000,
            clock: PlayoutClock::new(),
            generation: 1,
            marks_sent: 0,
            next_serial: 0,
            items: VecDeque::new(),
            pending: VecDeque::new(),
            dead_items: Dead::default(),
            dead_responses: Dead::default(),
        }
    }

    /// Takes a delta of `bytes` bytes in and says what to send for it: pieces of at most 200 ms with marks between.
    /// `payload` must be base64 of exactly that many bytes.
    pub(crate) fn receive<'p>(
        &mut self,
        now: Now,
        delta: Delta<'_>,
        payload: &'p str,
        bytes: usize,
        out: impl FnMut(Out<'p>),
    ) -> Received {
        // What is in the ledger is alive: an interruption empties it.
        let place = match self.items.iter().rposition(|item| item.is(delta)) {
            Some(place) => place,
            None if self.dead_items.has(delta.item) || self.dead_responses.has(delta.response) => {
                return Received::Dead;
            }
            None if bytes == 0 => return Received::Sent(None),
            None if self.items.len() >= ITEMS => return Received::Full,
            None => self.begin(Source::Spoken {
                connection: delta.connection,
                response: delta.response.to_owned(),
                item: delta.item.to_owned(),
                content_index: delta.content_index,
            }),
        };
        self.queue(now, place, payload, bytes as u64, out)
    }

    /// Queues a recording of ours behind what plays. The payloads are base64 of so many bytes each.
    pub(crate) fn play<'p>(
        &mut self,
        now: Now,
        item: String,
        payloads: impl Iterator<Item = (&'p str, usize)>,
        mut out: impl FnMut(Out<'p>),
    ) -> Option<Now> {
        let place = self.begin(Source::Clip { item });
        let mut began = None;
        for (payload, bytes) in payloads {
            if let Received::Sent(Some(at)) = self.queue(now, place, payload, bytes as u64, &mut out) {
                began = Some(at);
            }
        }
        if let Some(item) = self.items.get_mut(place) {
            item.done = true;
        }
        self.mark(now, place, &mut out);
        began
    }

    fn begin(&mut self, source: Source) -> usize {
        self.next_serial += 1;
        self.items.push_back(Item::new(self.next_serial, source));
        self.items.len() - 1
    }

    fn queue<'p>(
        &mut self,
        now: Now,
        place: usize,
        payload: &'p str,
        bytes: u64,
        mut out: impl FnMut(Out<'p>),
    ) -> Received {
        let over = self.clock.queued_us(now).saturating_add(length_us(bytes)) > self.bound_us;
        let Some(item) = self.items.get_mut(place) else { return Received::Full };
        item.received += bytes;
        if over {
            return Received::Full;
        }
        let first = item.sent == 0;
        let mut began = None;
        let (mut rest, mut left) = (payload, bytes);
        while left > 0 {
            let (piece, length) = match rest.split_at_checked(PIECE_CHARS) {
                Some((piece, more)) if !more.is_empty() => {
                    rest = more;
                    (piece, PIECE_BYTES)
                }
                _ => (std::mem::take(&mut rest), left),
            };
            left = left.saturating_sub(length);
            let (start, fresh) = self.clock.send(now, length);
            began = began.or(Some(start));
            let Some(item) = self.items.get_mut(place) else { break };
            item.extend(start, length);
            let is_due = fresh || item.unmarked >= MARK_EVERY;
            out(Out::Media(piece));
            if is_due {
                self.mark(now, place, &mut out);
            }
        }
        Received::Sent(began.filter(|_| first).map(moment))
    }

    /// Sends a mark behind an item's last byte, unless it has one there.
    fn mark<'p>(&mut self, now: Now, place: usize, out: &mut impl FnMut(Out<'p>)) {
        let Some(item) = self.items.get_mut(place) else { return };
        if item.unmarked == 0 || self.pending.len() >= MARKS {
            return;
        }
        item.unmarked = 0;
        self.marks_sent += 1;
        self.pending.push_back(Pending {
            number: self.marks_sent,
            serial: item.serial,
            offset: item.sent,
            stamp: self.clock.stamp(now),
        });
        out(Out::Mark(MarkName { generation: self.generation, number: self.marks_sent }));
    }

    /// A frame of the caller's audio came, dated so many milliseconds after the stream's start: it shows how late marks are.
    pub(crate) fn frame(&mut self, now: Now, dated_ms: u32) {
        self.clock.frame(now, dated_ms);
    }

    /// Twilio sent a mark back. Marks of an older generation, and any that were not sent, change nothing: `false`.
    pub(crate) fn reached(&mut self, now: Now, name: &str, ended: impl FnMut(Heard)) -> bool {
        let Some(name) = MarkName::read(name) else { return false };
        if name.generation != self.generation || !self.pending.iter().any(|mark| mark.number == name.number) {
            return false;
        }
        while let Some(mark) = self.pending.front()
            && mark.number <= name.number
        {
            if mark.number == name.number {
                self.clock.reached(now, mark.stamp);
            }
            self.prove_first();
        }
        self.settle(ended);
        true
    }

    /// The first mark that has not come back counts as reached.
    fn prove_first(&mut self) {
        let Some(mark) = self.pending.pop_front() else { return };
        if let Some(item) = self.items.iter_mut().find(|item| item.serial == mark.serial) {
            item.prove(mark.offset);
        }
    }

    fn settle(&mut self, mut ended: impl FnMut(Heard)) {
        self.items.retain(|item| {
            let is_played = item.is_played();
            if is_played {
                ended(item.ending(item.sent));
            }
            !is_played
        });
    }

    /// When the oldest mark that has not come back was expected, if there is one.
    pub(crate) fn expected_mark(&self) -> Option<Now> {
        self.pending.front().map(|mark| moment(self.clock.expected_us(mark.stamp)))
    }

    /// No mark will come for what should have been played by `until`: it counts as played.
    pub(crate) fn presume(&mut self, until: Now, ended: impl FnMut(Heard)) {
        while self.expected_mark().is_some_and(|at| at <= until) {
            self.prove_first();
        }
        self.settle(ended);
    }

    /// No more audio will come for these items: their ends get marks, and those that are played are over.
    fn finish(
        &mut self,
        now: Now,
        which: impl Fn(&Source) -> bool,
        mut out: impl FnMut(Out<'static>),
        ended: impl FnMut(Heard),
    ) {
        for place in 0..self.items.len() {
            if let Some(item) = self.items.get_mut(place)
                && which(&item.source)
            {
                item.done = true;
                self.mark(now, place, &mut out);
            }
        }
        self.settle(ended);
    }

    /// The provider has no more audio for this item's part.
    pub(crate) fn finish_item(
        &mut self,
        now: Now,
        name: &str,
        part: u32,
        out: impl FnMut(Out<'static>),
        ended: impl FnMut(Heard),
    ) {
        let is_it = |source: &Source| match source {
            Source::Spoken { item, content_index, .. } => item == name && *content_index == part,
            Source::Clip { .. } => false,
        };
        self.finish(now, is_it, out, ended);
    }

    /// The provider has no more audio for this response.
    pub(crate) fn finish_response(
        &mut self,
        now: Now,
        name: &str,
        out: impl FnMut(Out<'static>),
        ended: impl FnMut(Heard),
    ) {
        let is_its = |source: &Source| match source {
            Source::Spoken { response, .. } => response == name,
            Source::Clip { .. } => false,
        };
        self.finish(now, is_its, out, ended);
    }

    /// The provider is gone: what is queued still plays, more will not come.
    pub(crate) fn finish_all(&mut self, now: Now, out: impl FnMut(Out<'static>), ended: impl FnMut(Heard)) {
        self.finish(now, |_| true, out, ended);
    }

    /// A response that was interrupted before it had audio: what comes of it is dropped.
    pub(crate) fn kill(&mut self, response: &str) {
        self.dead_responses.add(response);
    }

    /// Whether a response was interrupted.
    pub(crate) fn is_dead(&self, response: &str) -> bool {
        self.dead_responses.has(response)
    }

    fn playing(&self, now: Now) -> i64 {
        self.clock.playing_us(now, self.pending.front().map(|mark| mark.stamp))
    }

    /// Whether a `clear` sent now would, or might, cut something off.
    pub(crate) fn is_audible(&self, now: Now) -> bool {
        let playing = self.playing(now).saturating_sub(TAIL_US);
        self.items.iter().any(|item| item.heard(playing) < item.sent)
    }

    /// Forgets what is queued, as of a `clear` that is sent now. Returns what was heard of each item, in playing order;
    /// the first that is cut was playing.
    pub(crate) fn interrupt(&mut self, now: Now) -> Vec<Heard> {
        let playing = self.playing(now);
        self.generation += 1;
        self.pending.clear();
        self.clock.clear(now);
        let items = std::mem::take(&mut self.items);
        items
            .into_iter()
            .map(|item| {
                match &item.source {
                    Source::Spoken { response, item: name, .. } => {
                        self.dead_items.add(name);
                        self.dead_responses.add(response);
                    }
                    Source::Clip { .. } => {}
                }
                item.ending(item.heard(playing))
            })
            .collect()
    }

    /// When all that was sent will have been played; the past when it has.
    pub(crate) fn drained_at(&self) -> Now {
        moment(self.clock.drained_us())
    }

    /// How long what was sent still plays.
    pub(crate) fn remaining(&self, now: Now) -> Duration {
        self.drained_at().saturating_sub(now)
    }

    /// Whether a clip of ours is still playing or queued.
    pub(crate) fn plays_clip(&self) -> bool {
        self.items.iter().any(|item| matches!(item.source, Source::Clip { .. }))
    }
}

fn moment(us: i64) -> Now {
    Now::from_micros(u64::try_from(us).unwrap_or(0))
}

#[cfg(test)]
mod tests;
