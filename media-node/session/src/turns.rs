//! Who speaks, and the words of both sides on their way to becoming facts: when a turn of the caller began, what has been
//! recognised or generated of an item so far, and what has already been said as a fact. Audio is `playback`'s.
//!
//! Bounds: 64 items with unfinished text (the oldest is finished early), 16,000 characters an item, 128 finished items
//! remembered so that none is told twice.

use shared::node_api::{NodeEvent, Speaker};
use shared::time::UnixMillis;
use std::collections::VecDeque;

const UNFINISHED: usize = 64;
const FINISHED: usize = 128;
const TEXT_BYTES: usize = 16_000;
/// Interim words carry at most this much of the text, its end.
const LIVE_BYTES: usize = 4_000;
/// Interim words of one item come no faster than this, in milliseconds.
const LIVE_EVERY_MS: i64 = 100;

/// Interim words to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interim {
    pub(crate) speaker: Speaker,
    pub(crate) item: String,
    pub(crate) text: String,
    pub(crate) started_at: UnixMillis,
}

#[derive(Debug)]
struct Line {
    speaker: Speaker,
    item: String,
    /// The response it belongs to; empty for the caller's.
    response: String,
    text: String,
    started_at: UnixMillis,
    shown_at: Option<UnixMillis>,
}

impl Line {
    fn said(self) -> Option<NodeEvent> {
        (!self.text.trim().is_empty()).then_some(NodeEvent::Said {
            speaker: self.speaker,
            item: self.item,
            text: self.text,
            started_at: self.started_at,
        })
    }
}

/// Both sides' turns.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    caller_speaks: bool,
    lines: VecDeque<Line>,
    finished: VecDeque<String>,
}

impl Turns {
    /// Whether the caller is speaking, as far as the provider has told.
    pub(crate) fn caller_speaks(&self) -> bool {
        self.caller_speaks
    }

    /// The caller began to speak, at `at`; the words will come under `item`, if it is known already.
    pub(crate) fn caller_started(&mut self, item: Option<&str>, at: UnixMillis) -> Option<NodeEvent> {
        self.caller_speaks = true;
        item.and_then(|item| self.line(Speaker::Caller, item, "", at).1)
    }

    /// The caller stopped.
    pub(crate) fn caller_stopped(&mut self) {
        self.caller_speaks = false;
    }

    /// An item of the agent begins to sound at `at`.
    pub(crate) fn agent_started(&mut self, response: &str, item: &str, at: UnixMillis) -> Option<NodeEvent> {
        if self.is_finished(item) {
            return None;
        }
        let (line, overflow) = self.line(Speaker::Agent, item, response, at);
        if let Some(line) = line {
            line.started_at = at;
        }
        overflow
    }

    /// More of an item's text. Returns what to show now, and the fact of another item that had to make room.
    pub(crate) fn add(
        &mut self,
        speaker: Speaker,
        response: &str,
        item: &str,
        more: &str,
        now: UnixMillis,
    ) -> (Option<Interim>, Option<NodeEvent>) {
        if self.is_finished(item) {
            return (None, None);
        }
        let (line, overflow) = self.line(speaker, item, response, now);
        let Some(line) = line else { return (None, overflow) };
        if line.text.len() + more.len() <= TEXT_BYTES {
            line.text.push_str(more);
        }
        if line.shown_at.is_some_and(|at| now.since(at) < LIVE_EVERY_MS) || line.text.trim().is_empty() {
            return (None, overflow);
        }
        line.shown_at = Some(now);
        let interim = Interim {
            speaker,
            item: line.item.clone(),
            text: tail(&line.text).to_owned(),
            started_at: line.started_at,
        };
        (Some(interim), overflow)
    }

    /// All of an item's text. The fact, unless it was told before or there is nothing to tell.
    pub(crate) fn finish(&mut self, speaker: Speaker, item: &str, text: &str, now: UnixMillis) -> Option<NodeEvent> {
        if self.is_finished(item) {
            return None;
        }
        let place = self.lines.iter().position(|line| line.item == item);
        let started_at = place.and_then(|at| self.lines.remove(at)).map_or(now, |line| line.started_at);
        self.remember(item);
        let text = text.get(..floor(text, TEXT_BYTES)).unwrap_or_default().to_owned();
        Line { speaker, item: item.to_owned(), response: String::new(), text, started_at, shown_at: None }.said()
    }

    /// A response is done: what came of its items' text is what was said. Items without any text are left alone, should
    /// theirs come late.
    pub(crate) fn finish_response(&mut self, response: &str) -> Vec<NodeEvent> {
        let is_its = |line: &Line| line.speaker == Speaker::Agent && line.response == response && !line.text.is_empty();
        self.finish_where(is_its)
    }

    /// No text will come any more at all.
    pub(crate) fn finish_all(&mut self) -> Vec<NodeEvent> {
        self.caller_speaks = false;
        self.finish_where(|_| true)
    }

    fn finish_where(&mut self, which: impl Fn(&Line) -> bool) -> Vec<NodeEvent> {
        let (over, kept): (VecDeque<Line>, VecDeque<Line>) =
            std::mem::take(&mut self.lines).into_iter().partition(which);
        self.lines = kept;
        over.into_iter()
            .filter_map(|line| {
                self.remember(&line.item);
                line.said()
            })
            .collect()
    }

    fn is_finished(&self, item: &str) -> bool {
        self.finished.iter().any(|name| name == item)
    }

    fn remember(&mut self, item: &str) {
        if self.finished.len() >= FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back(item.to_owned());
    }

    fn line(
        &mut self,
        speaker: Speaker,
        item: &str,
        response: &str,
        at: UnixMillis,
    ) -> (Option<&mut Line>, Option<NodeEvent>) {
        if let Some(place) = self.lines.iter().position(|line| line.item == item) {
            return (self.lines.get_mut(place), None);
        }
        let overflow = if self.lines.len() >= UNFINISHED { self.lines.pop_front() } else { None };
        if let Some(line) = &overflow {
            let name = line.item.clone();
            self.remember(&name);
        }
        self.lines.push_back(Line {
            speaker,
            item: item.to_owned(),
            response: response.to_owned(),
            text: String::new(),
            started_at: at,
            shown_at: None,
        });
        (self.lines.back_mut(), overflow.and_then(Line::said))
    }
}

/// The largest place at most `at` where `text` can be cut.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(0)
}

fn tail(text: &str) -> &str {
    let from = text.len().saturating_sub(LIVE_BYTES);
    (from..=text.len()).find_map(|at| text.get(at..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn t(ms: i64) -> UnixMillis {
        UnixMillis(ms)
    }

    fn said(speaker: Speaker, item: &str, text: &str, at: i64) -> Option<NodeEvent> {
        Some(NodeEvent::Said { speaker, item: item.into(), text: text.into(), started_at: t(at) })
    }

    #[test]
    fn a_turn_is_dated_by_its_beginning() {
        let mut turns = Turns::default();
        assert_eq!(turns.caller_started(Some("c1"), t(100)), None);
        assert!(turns.caller_speaks());
        turns.caller_stopped();
        assert!(!turns.caller_speaks());
        let (interim, _) = turns.add(Speaker::Caller, "", "c1", "Hel", t(900));
        assert_eq!(interim.map(|i| (i.text, i.started_at)), Some(("Hel".to_owned(), t(100))));
        assert_eq!(turns.add(Speaker::Caller, "", "c1", "lo", t(950)), (None, None), "too soon to show again");
        assert_eq!(turns.finish(Speaker::Caller, "c1", "Hello.", t(1_000)), said(Speaker::Caller, "c1", "Hello.", 100));
        assert_eq!(turns.finish(Speaker::Caller, "c1", "Hello.", t(1_100)), None, "told once");
    }

    #[test]
    fn an_agents_line_is_dated_by_its_sound() {
        let mut turns = Turns::default();
        turns.add(Speaker::Agent, "r1", "a1", "Good ", t(10));
        turns.agent_started("r1", "a1", t(30));
        turns.add(Speaker::Agent, "r1", "a1", "morn", t(40));
        turns.add(Speaker::Agent, "r2", "a2", "Other", t(50));
        assert_eq!(turns.finish_response("r1"), Vec::from_iter(said(Speaker::Agent, "a1", "Good morn", 30)));
        assert_eq!(turns.finish(Speaker::Agent, "a1", "Good morning.", t(60)), None);
        assert_eq!(turns.finish_all(), Vec::from_iter(said(Speaker::Agent, "a2", "Other", 50)));
    }

    #[test]
    fn nothing_said_is_no_fact() {
        let mut turns = Turns::default();
        turns.caller_started(Some("c1"), t(1));
        assert_eq!(turns.finish(Speaker::Caller, "c1", "  ", t(2)), None);
        turns.caller_started(Some("c2"), t(1));
        assert_eq!(turns.finish_all(), vec![]);
    }

    #[test]
    fn everything_is_bounded() {
        let mut turns = Turns::default();
        let mut facts = 0;
        for item in 0..1_000 {
            let (_, overflow) = turns.add(Speaker::Agent, "r", &format!("i{item}"), &"é".repeat(3_000), t(item));
            facts += usize::from(overflow.is_some());
        }
        assert_eq!((facts, turns.lines.len(), turns.finished.len()), (1_000 - UNFINISHED, UNFINISHED, FINISHED));
        for _ in 0..10 {
            let (interim, _) = turns.add(Speaker::Agent, "r", "i999", &"é".repeat(3_000), t(5_000));
            assert!(interim.is_none_or(|i| i.text.len() <= LIVE_BYTES));
        }
        let Some(NodeEvent::Said { text, .. }) = turns.finish(Speaker::Agent, "i999", &"é".repeat(9_999), t(1)) else {
            panic!("no fact")
        };
        assert!(text.len() <= TEXT_BYTES);
    }
}
