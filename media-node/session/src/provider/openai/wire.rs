//! The bodies of OpenAI's server events, as far as they are read. Fields that are not named are passed over.

use super::super::ProviderFault;
use serde::Deserialize;
use std::borrow::Cow;

/// Longest id that is taken: ours to bound, theirs are near 30 characters.
const ID_BYTES: usize = 128;

/// Whether a text can be an id.
pub(super) fn is_id(text: &str) -> bool {
    text.len() <= ID_BYTES
}

/// An id, if it is not too long.
pub(super) fn id<'a>(kind: &'static str, text: Cow<'a, str>) -> Result<Cow<'a, str>, ProviderFault> {
    if is_id(&text) { Ok(text) } else { Err(ProviderFault::Content(kind)) }
}

/// Reads an event's body.
pub(super) fn body<'a, T: Deserialize<'a>>(kind: &'static str, text: &'a str) -> Result<T, ProviderFault> {
    serde_json::from_str(text).map_err(|_| ProviderFault::Content(kind))
}

/// `response.output_audio.delta`.
#[derive(Deserialize)]
pub(super) struct AudioDelta<'a> {
    #[serde(borrow)]
    pub(super) response_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) item_id: Cow<'a, str>,
    pub(super) content_index: u32,
    #[serde(borrow)]
    pub(super) delta: Cow<'a, str>,
}

/// What names a part of an item.
#[derive(Deserialize)]
pub(super) struct Part<'a> {
    #[serde(borrow)]
    pub(super) item_id: Cow<'a, str>,
    #[serde(default)]
    pub(super) content_index: u32,
}

/// A transcript's addition, of either side.
#[derive(Deserialize)]
pub(super) struct WordsDelta<'a> {
    #[serde(borrow, default)]
    pub(super) response_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) item_id: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) delta: Option<Cow<'a, str>>,
}

/// A whole transcript, of either side.
#[derive(Deserialize)]
pub(super) struct Transcript<'a> {
    #[serde(borrow)]
    pub(super) item_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) transcript: Cow<'a, str>,
}

/// `input_audio_buffer.speech_started` and `.speech_stopped`.
#[derive(Deserialize)]
pub(super) struct Speech<'a> {
    #[serde(default)]
    pub(super) audio_start_ms: Option<u64>,
    #[serde(borrow, default)]
    pub(super) item_id: Option<Cow<'a, str>>,
}

/// `response.created` and `response.done`.
#[derive(Deserialize)]
pub(super) struct ResponseEvent<'a> {
    #[serde(borrow)]
    pub(super) response: Response<'a>,
}

/// A response.
#[derive(Deserialize)]
pub(super) struct Response<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) status: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) status_details: Option<StatusDetails<'a>>,
}

/// Why a response has its status.
#[derive(Deserialize)]
pub(super) struct StatusDetails<'a> {
    #[serde(borrow, default)]
    pub(super) error: Option<Error<'a>>,
}

/// `response.output_item.done`.
#[derive(Deserialize)]
pub(super) struct ItemEvent<'a> {
    #[serde(borrow)]
    pub(super) item: Item<'a>,
}

/// An item.
#[derive(Deserialize)]
pub(super) struct Item<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) status: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) call_id: Option<Cow<'a, str>>,
}

/// `session.updated`.
#[derive(Deserialize)]
pub(super) struct SessionEvent<'a> {
    #[serde(borrow)]
    pub(super) session: Session<'a>,
}

/// The configuration in force.
#[derive(Deserialize)]
pub(super) struct Session<'a> {
    #[serde(borrow, default)]
    audio: Option<Audio<'a>>,
}

#[derive(Deserialize)]
struct Audio<'a> {
    #[serde(borrow, default)]
    input: Option<Direction<'a>>,
    #[serde(borrow, default)]
    output: Option<Direction<'a>>,
}

#[derive(Deserialize)]
struct Direction<'a> {
    #[serde(borrow, default)]
    format: Option<Format<'a>>,
}

#[derive(Deserialize)]
struct Format<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    rate: Option<u32>,
}

impl Session<'_> {
    /// Whether both directions are mu-law at its one rate. Anything else would be noise in somebody's ear.
    pub(super) fn is_pcmu_both_ways(&self) -> bool {
        let is_pcmu = |direction: &Option<Direction<'_>>| {
            direction
                .as_ref()
                .and_then(|d| d.format.as_ref())
                .is_some_and(|format| format.kind == "audio/pcmu" && format.rate.is_none_or(|rate| rate == 8_000))
        };
        self.audio.as_ref().is_some_and(|audio| is_pcmu(&audio.input) && is_pcmu(&audio.output))
    }
}

/// `error`.
#[derive(Deserialize)]
pub(super) struct ErrorEvent<'a> {
    #[serde(borrow)]
    pub(super) error: Error<'a>,
}

/// An error. Its message is read to tell it from others and goes no further.
#[derive(Deserialize)]
pub(super) struct Error<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) code: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) message: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) event_id: Option<Cow<'a, str>>,
}
