//! A call's transcript as a fold over its facts: who said what, in the order in which it was said, and how much of the
//! agent's words the caller heard. The result depends on the set of facts, not on their order. Interim words are not facts
//! and do not appear here.

use crate::console_api::{CallFact, Track};
use crate::ids::{Epoch, TranscriptionSid};
use crate::node_api::{HeardLine, NodeEvent, Speaker};
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One thing that was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct TranscriptLine {
    /// Unique in the call and stable.
    pub key: String,
    /// Who.
    pub speaker: Speaker,
    /// What; empty while only the amount heard is known.
    pub text: String,
    /// When it began to be said.
    pub started_at: UnixMillis,
    /// How much of it was heard; only the agent's lines have it, once playback has ended or was cut.
    pub heard: Option<HeardPart>,
}

/// How much of an agent's line was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct HeardPart {
    /// Milliseconds played.
    pub heard_ms: u32,
    /// Milliseconds received from the provider.
    pub received_ms: u32,
    /// Whether it was cut off.
    pub cut: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Item { epoch: Epoch, item: String },
    Transcribed { sid: TranscriptionSid, sequence: u32, track: Track },
}

/// The fold's state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transcript {
    lines: BTreeMap<Key, TranscriptLine>,
}

impl Transcript {
    /// Takes a fact in; facts that say nothing about the transcript change nothing, duplicates neither. Returns the line
    /// that changed.
    pub fn apply(&mut self, fact: &CallFact) -> Option<&TranscriptLine> {
        let (key, change) = read(fact)?;
        let text_key = match &key {
            Key::Item { epoch, item } => format!("{}:{item}", epoch.0),
            Key::Transcribed { sid, sequence, track } => format!("{sid}:{}:{sequence}", track.as_str()),
        };
        let line = self.lines.entry(key).or_insert_with(|| TranscriptLine {
            key: text_key,
            speaker: Speaker::Agent,
            text: String::new(),
            started_at: UnixMillis(i64::MAX),
            heard: None,
        });
        match change {
            Change::Said { speaker, text, started_at } => {
                line.speaker = speaker;
                line.started_at = line.started_at.min(started_at);
                // Two texts for one item do not come from a sound node; the larger is chosen so that order cannot matter.
                if text > line.text.as_str() {
                    text.clone_into(&mut line.text);
                }
            }
            Change::Heard(part) => line.heard = line.heard.max(Some(part)),
        }
        Some(line)
    }

    /// The lines that have a text, in the order in which they were said.
    pub fn lines(&self) -> Vec<&TranscriptLine> {
        let mut lines: Vec<(&Key, &TranscriptLine)> = self.lines.iter().filter(|(_, l)| !l.text.is_empty()).collect();
        lines.sort_by(|(ka, a), (kb, b)| match (ka, kb) {
            (Key::Item { .. }, Key::Item { .. }) => (a.started_at, ka).cmp(&(b.started_at, kb)),
            // Twilio numbers a transcription's results; its timestamps may disagree with the numbers.
            (Key::Transcribed { .. }, Key::Transcribed { .. })
            | (Key::Item { .. }, Key::Transcribed { .. })
            | (Key::Transcribed { .. }, Key::Item { .. }) => ka.cmp(kb),
        });
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// The lines of which only the amount heard is known: their words are still on their way.
    pub fn wordless(&self) -> Vec<&TranscriptLine> {
        self.lines.values().filter(|line| line.text.is_empty() && line.heard.is_some()).collect()
    }

    /// The conversation as the caller experienced it, for whoever takes the call over: an agent's line that was cut is
    /// shortened in proportion to what was played, at a word's end; one of which nothing was played is left out.
    pub fn heard(&self) -> Vec<HeardLine> {
        self.lines()
            .into_iter()
            .filter_map(|line| {
                let text = match (line.speaker, line.heard) {
                    (Speaker::Agent, Some(part)) if part.cut => shorten(&line.text, part.heard_ms, part.received_ms),
                    (Speaker::Agent, _) | (Speaker::Caller, _) => line.text.as_str(),
                };
                (!text.is_empty()).then(|| HeardLine { speaker: line.speaker, text: text.to_owned() })
            })
            .collect()
    }
}

/// The beginning of `text` that `heard` of `received` milliseconds can hold, ending at a word's end.
fn shorten(text: &str, heard: u32, received: u32) -> &str {
    if received == 0 {
        return "";
    }
    let limit = (text.len() as u64 * u64::from(heard.min(received)) / u64::from(received)) as usize;
    if limit >= text.len() {
        return text;
    }
    let end = text.char_indices().filter(|(at, c)| *at <= limit && c.is_whitespace()).map(|(at, _)| at).next_back();
    end.and_then(|at| text.get(..at)).unwrap_or_default().trim_end()
}

enum Change<'a> {
    Said { speaker: Speaker, text: &'a str, started_at: UnixMillis },
    Heard(HeardPart),
}

fn read(fact: &CallFact) -> Option<(Key, Change<'_>)> {
    match fact {
        CallFact::Node { epoch, event, .. } => match event {
            NodeEvent::Said { speaker, item, text, started_at } => Some((
                Key::Item { epoch: *epoch, item: item.clone() },
                Change::Said { speaker: *speaker, text, started_at: *started_at },
            )),
            NodeEvent::Heard { item, heard_ms, received_ms, cut } => Some((
                Key::Item { epoch: *epoch, item: item.clone() },
                Change::Heard(HeardPart { heard_ms: *heard_ms, received_ms: *received_ms, cut: *cut }),
            )),
            NodeEvent::StreamStarted { .. }
            | NodeEvent::ProviderReady { .. }
            | NodeEvent::ProviderLost { .. }
            | NodeEvent::BargedIn { .. }
            | NodeEvent::Digit { .. }
            | NodeEvent::Ended { .. }
            | NodeEvent::Unknown => None,
        },
        CallFact::Transcribed { transcription_sid, track, sequence, text, at } => Some((
            Key::Transcribed { sid: transcription_sid.clone(), sequence: *sequence, track: *track },
            Change::Said { speaker: track.speaker(), text, started_at: *at },
        )),
        CallFact::Opened { .. } | CallFact::Bound { .. } | CallFact::Life { .. } | CallFact::Owner { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(line: u64, event: NodeEvent) -> CallFact {
        CallFact::Node { epoch: Epoch(1), line, event }
    }
    fn said(line: u64, speaker: Speaker, item: &str, text: &str, at: i64) -> CallFact {
        node(line, NodeEvent::Said { speaker, item: item.into(), text: text.into(), started_at: UnixMillis(at) })
    }

    #[test]
    fn late_transcripts_stand_where_they_were_said() {
        let facts = [
            said(1, Speaker::Agent, "a1", "Good morning, how can I help you today?", 100),
            said(2, Speaker::Agent, "a2", "We are open from nine.", 900),
            said(3, Speaker::Caller, "c1", "When are you open?", 500),
            node(4, NodeEvent::Heard { item: "a1".into(), heard_ms: 1000, received_ms: 2000, cut: true }),
        ];
        let mut forward = Transcript::default();
        let mut backward = Transcript::default();
        for fact in &facts {
            forward.apply(fact);
        }
        for fact in facts.iter().rev().chain(&facts) {
            backward.apply(fact);
        }
        assert_eq!(forward, backward);
        let texts: Vec<_> = forward.heard().into_iter().map(|l| l.text).collect();
        assert_eq!(texts, ["Good morning, how", "When are you open?", "We are open from nine."]);
    }

    #[test]
    fn shortening_ends_at_words_and_bears_any_text() {
        assert_eq!(shorten("Good morning", 0, 100), "");
        assert_eq!(shorten("Good morning", 60, 100), "Good");
        assert_eq!(shorten("Good morning", 100, 100), "Good morning");
        assert_eq!(shorten("äöü äöü", 40, 100), "");
        assert_eq!(shorten("äöü äöü", 99, 100), "äöü");
        assert_eq!(shorten("x", 1, 0), "");
    }
}
