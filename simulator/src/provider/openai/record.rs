//! What one conversation was, for a verdict to judge: every byte received and sent, every item, every truncation, every
//! rule the client broke. Times are those given to the twin. Nothing here decides anything.

use std::collections::BTreeMap;
use std::time::Duration;

use super::options::Keep;
use super::schema::Refusal;
use super::session::Format;

/// Most violations listed one by one; `violations_total` counts on.
const MOST_VIOLATIONS: usize = 1_000;

/// The record of one conversation.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Number of the connection on its server, from 1.
    pub connection: u32,
    /// `model` of the URL.
    pub model: String,
    /// `session.id`.
    pub session_id: String,
    /// When it began.
    pub opened_at: Duration,
    /// When and how it ended.
    pub ended: Option<(Duration, End)>,
    /// Every audio byte received, as it came, unless only counts are kept.
    pub input: Vec<u8>,
    /// When how many of those bytes came.
    pub arrivals: Vec<Arrival>,
    /// How many audio bytes came.
    pub input_bytes: u64,
    /// Audio bytes that came before the client had seen a `session.updated`: they were read with the default format.
    pub input_bytes_before_update: u64,
    /// The caller's turns.
    pub turns: Vec<Turn>,
    /// The responses.
    pub responses: Vec<ResponseRecord>,
    /// The model's spoken items, in the order they were begun.
    pub items: Vec<SpokenItem>,
    /// Every truncation asked for.
    pub truncations: Vec<Truncation>,
    /// Outputs of function calls, in the order received.
    pub tool_outputs: Vec<ToolOutput>,
    /// Rules that the client broke; at most the first thousand.
    pub violations: Vec<Violation>,
    /// How many rules were broken.
    pub violations_total: u64,
    /// Client events by type.
    pub received: BTreeMap<String, u64>,
    /// Server events by type.
    pub sent: BTreeMap<String, u64>,
    /// The text of every event, with [`Keep::Events`].
    pub events: Vec<Exchanged>,
    pub(super) keep: Option<Keep>,
}

/// How a conversation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The client closed or left.
    ByClient,
    /// Closed by the twin with this code: 1001 when the session expired.
    Closed(u16),
    /// The twin dropped the connection, by a fault of its script.
    Dropped,
    /// The server was stopped.
    Stopped,
}

/// Audio that came at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at: Duration,
    /// How many bytes.
    pub bytes: u32,
}

/// A committed stretch of the caller's audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The user item.
    pub item_id: String,
    /// When it was committed.
    pub at: Duration,
    /// Where it lies on the input clock.
    pub start_ms: u64,
    /// Its end on the input clock.
    pub end_ms: u64,
    /// Recordings heard in it, in order; empty when nothing was understood.
    pub heard: Vec<String>,
}

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseRecord {
    /// `response.id`.
    pub id: String,
    /// When it was created.
    pub created_at: Duration,
    /// When `response.done` was sent.
    pub done_at: Option<Duration>,
    /// `response.status`.
    pub status: &'static str,
    /// `response.status_details.reason`.
    pub reason: Option<&'static str>,
}

/// One spoken item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpokenItem {
    /// The item.
    pub item_id: String,
    /// Its response.
    pub response_id: String,
    /// Recordings it consists of.
    pub recordings: Vec<String>,
    /// Coding of its audio.
    pub format: Format,
    /// Its words, all of them, whether or not they were sent.
    pub text: String,
    /// Audio bytes sent in its deltas, late ones included, unless only counts are kept.
    pub audio: Vec<u8>,
    /// How many those are.
    pub audio_bytes: usize,
    /// How many had been sent when the response was cancelled; what follows came late.
    pub cancelled_at_bytes: Option<usize>,
    /// Where the client truncated it.
    pub truncated_to_ms: Option<u64>,
    /// When its first audio was sent.
    pub first_audio_at: Option<Duration>,
    /// Whether all of it was sent.
    pub complete: bool,
}

/// A `conversation.item.truncate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// When.
    pub at: Duration,
    /// Of which item.
    pub item_id: String,
    /// Which content part.
    pub content_index: u64,
    /// What the caller heard, as the client says.
    pub audio_end_ms: u64,
    /// Whether it was right.
    pub accepted: bool,
}

/// A `function_call_output` item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolOutput {
    /// Which call.
    pub call_id: String,
    /// The function's name.
    pub name: String,
    /// What it gave.
    pub output: String,
}

/// A rule that the client broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Duration,
    /// `type` of the client's event, empty when it had none.
    pub event: String,
    /// What was wrong; its code is that of the `error` event, or one of ours where the vendor sends none:
    /// `audio_before_session_updated`, `tool_output_missing`, `binary_frame`.
    pub refusal: Refusal,
}

/// One event that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// When.
    pub at: Duration,
    /// Whether the client sent it.
    pub by_client: bool,
    /// Its JSON text.
    pub text: String,
}

impl Record {
    /// The spoken item of this id.
    #[must_use]
    pub fn item(&self, item_id: &str) -> Option<&SpokenItem> {
        self.items.iter().find(|item| item.item_id == item_id)
    }

    /// Codes of the violations, in order: the shortest thing a test can compare.
    #[must_use]
    pub fn violation_codes(&self) -> Vec<&'static str> {
        self.violations.iter().map(|violation| violation.refusal.code).collect()
    }

    pub(super) fn keeps_audio(&self) -> bool {
        self.keep != Some(Keep::Counts)
    }

    pub(super) fn keeps_events(&self) -> bool {
        self.keep == Some(Keep::Events)
    }

    pub(super) fn note(&mut self, at: Duration, event: &str, refusal: Refusal) {
        self.violations_total += 1;
        if self.violations.len() < MOST_VIOLATIONS {
            self.violations.push(Violation { at, event: event.to_owned(), refusal });
        }
    }

    pub(super) fn arrived(&mut self, at: Duration, bytes: &[u8]) {
        self.input_bytes += bytes.len() as u64;
        if self.keeps_audio() {
            self.input.extend_from_slice(bytes);
            self.arrivals.push(Arrival { at, bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX) });
        }
    }

    pub(super) fn item_mut(&mut self, item_id: &str) -> Option<&mut SpokenItem> {
        // Nearly always the last.
        self.items.iter_mut().rev().find(|item| item.item_id == item_id)
    }

    pub(super) fn spoke(&mut self, at: Duration, item_id: &str, audio: &[u8]) {
        let keep = self.keeps_audio();
        let Some(item) = self.item_mut(item_id) else { return };
        item.first_audio_at.get_or_insert(at);
        item.audio_bytes += audio.len();
        if keep {
            item.audio.extend_from_slice(audio);
        }
    }

    pub(super) fn count(counts: &mut BTreeMap<String, u64>, kind: &str) {
        match counts.get_mut(kind) {
            Some(count) => *count += 1,
            None => {
                counts.insert(kind.to_owned(), 1);
            }
        }
    }
}
