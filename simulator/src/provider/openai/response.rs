//! A response on its way: what it will say, in which pieces, and how it looks in events. When pieces are due and what
//! interrupts them is the twin's business.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::ids::Dice;
use super::options::Options;
use super::script::ToolCall;
use super::session::{Format, Session};
use crate::speech::{Recording, mulaw};

/// What a response puts out, before it has ids and times.
#[derive(Clone, Debug)]
pub(super) enum Planned {
    /// One item of speech (or of text, when the response is not spoken).
    Say(Vec<&'static Recording>),
    Call(ToolCall),
}

/// An output item's content.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Speech { audio: Arc<[u8]>, sent: usize },
    Text,
    Call { name: String, call_id: String },
}

/// How far an output item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Planned,
    Open,
    Complete,
    Incomplete,
}

/// An output item.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) item_id: String,
    pub(super) content: Content,
    /// The words, or the call's arguments.
    pub(super) text: String,
    /// How many bytes of `text` were sent.
    pub(super) text_sent: usize,
    pub(super) recordings: Vec<String>,
    pub(super) phase: Phase,
}

/// One thing that a response does at its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Open {
        output: usize,
    },
    /// Words or arguments up to this byte of the text.
    Text {
        output: usize,
        to: usize,
    },
    /// Audio up to this byte.
    Audio {
        output: usize,
        to: usize,
    },
    Finish {
        output: usize,
    },
    Done,
}

/// A response in progress.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) id: String,
    /// Whether it writes to the default conversation.
    pub(super) conversational: bool,
    pub(super) format: Format,
    pub(super) outputs: Vec<Output>,
    /// Fields that are the same in every event: modalities, audio, metadata and so on.
    fixed: Map<String, Value>,
    /// Tokens of the input: text and audio.
    pub(super) input_tokens: (u64, u64),
}

/// The parameters of a `response.create`, or of one that turn detection makes: the session's where they say nothing.
pub(super) struct Manner {
    pub(super) spoken: bool,
    pub(super) format: Format,
    pub(super) conversational: bool,
    fixed: Map<String, Value>,
}

impl Manner {
    pub(super) fn of(session: &Session, params: &Value, conversation_id: &str) -> Self {
        let whole = session.value();
        let param = |name: &str| params.get(name).filter(|value| !value.is_null());
        let modalities = param("output_modalities").unwrap_or(&whole["output_modalities"]);
        let conversational = params["conversation"] != "none";
        let output = &params["audio"]["output"];
        let format = output.get("format").unwrap_or(&whole["audio"]["output"]["format"]);
        let voice = output.get("voice").unwrap_or(&whole["audio"]["output"]["voice"]);
        let fixed = json!({
            "object": "realtime.response",
            "output_modalities": modalities,
            "audio": { "output": { "format": format, "voice": voice } },
            "conversation_id": conversational.then_some(conversation_id),
            "max_output_tokens": param("max_output_tokens").unwrap_or(&whole["max_output_tokens"]),
            "metadata": param("metadata"),
        });
        Self {
            spoken: modalities[0] != "text",
            format: match format["type"].as_str() {
                Some("audio/pcmu") => Format::Pcmu,
                Some("audio/pcma") => Format::Pcma,
                _ => Format::Pcm,
            },
            conversational,
            fixed: fixed.as_object().cloned().unwrap_or_default(),
        }
    }
}

impl Running {
    pub(super) fn new(id: String, manner: Manner, plan: Vec<Planned>, dice: &mut Dice) -> Self {
        let Manner { spoken, format, conversational, fixed } = manner;
        let outputs = plan
            .into_iter()
            .map(|planned| {
                let item_id = dice.id("item");
                let (content, text, recordings) = match planned {
                    Planned::Say(lines) => {
                        let text = lines.iter().map(|line| line.text()).collect::<Vec<_>>().join(" ");
                        let ids = lines.iter().map(|line| line.id().to_owned()).collect();
                        let content = if spoken {
                            let audio: Vec<u8> = lines.iter().flat_map(|line| line.audio()).copied().collect();
                            Content::Speech { audio: coded(audio, format).into(), sent: 0 }
                        } else {
                            Content::Text
                        };
                        (content, text, ids)
                    }
                    Planned::Call(call) => {
                        (Content::Call { name: call.name, call_id: dice.id("call") }, call.arguments, Vec::new())
                    }
                };
                Output { item_id, content, text, text_sent: 0, recordings, phase: Phase::Planned }
            })
            .collect();
        Self { id, conversational, format, outputs, fixed, input_tokens: (0, 0) }
    }

    /// Its steps and their times, from `at` on. Audio comes faster than real time, words a little before their sound.
    pub(super) fn timeline(&self, mut at: Duration, options: &Options, dice: &mut Dice) -> Vec<(Duration, Step)> {
        let mut steps = Vec::new();
        for (index, output) in self.outputs.iter().enumerate() {
            steps.push((at, Step::Open { output: index }));
            let pieces = match &output.content {
                Content::Speech { audio, .. } => {
                    let mut ends = Vec::new();
                    let mut from = 0;
                    while from < audio.len() {
                        let chunk_ms = dice.pick(&options.chunks_ms).unwrap_or(100);
                        from = (from + chunk_ms as usize * self.format.bytes_per_ms()).min(audio.len());
                        ends.push(from);
                    }
                    ends
                }
                Content::Text | Content::Call { .. } => vec![0; 4],
            };
            let mut sent = 0;
            for (piece, end) in pieces.iter().enumerate() {
                let to = text_end(&output.text, piece + 1, pieces.len());
                steps.push((at, Step::Text { output: index, to }));
                if *end > 0 {
                    steps.push((at, Step::Audio { output: index, to: *end }));
                    let length_ms = (end - sent) as f64 / self.format.bytes_per_ms() as f64;
                    at += Duration::from_secs_f64(length_ms / 1000.0 / options.speed);
                    sent = *end;
                } else {
                    at += Duration::from_millis(10);
                }
            }
            steps.push((at, Step::Finish { output: index }));
        }
        steps.push((at, Step::Done));
        steps
    }

    /// Milliseconds of audio sent so far, over all items.
    pub(super) fn sent_ms(&self) -> u64 {
        let bytes: usize = self.outputs.iter().map(Output::sent_bytes).sum();
        (bytes / self.format.bytes_per_ms()) as u64
    }

    /// The `response` of an event.
    pub(super) fn value(&self, status: &str, details: Value) -> Value {
        let mut value = self.fixed.clone();
        value.insert("id".into(), json!(self.id));
        value.insert("status".into(), json!(status));
        value.insert("status_details".into(), details);
        let begun = self.outputs.iter().filter(|output| output.phase != Phase::Planned);
        value.insert("output".into(), begun.map(Output::value).collect());
        value.insert("usage".into(), if status == "in_progress" { Value::Null } else { self.usage() });
        Value::Object(value)
    }

    /// Tokens in the vendor's proportions: ten a second of what was heard, twenty a second of what was said.
    fn usage(&self) -> Value {
        let (text_in, audio_in) = self.input_tokens;
        let audio_out = self.sent_ms() / 50;
        let text_out: u64 = self.outputs.iter().map(|output| output.text_sent as u64 / 4).sum();
        json!({
            "total_tokens": text_in + audio_in + audio_out + text_out,
            "input_tokens": text_in + audio_in,
            "output_tokens": audio_out + text_out,
            "input_token_details": {
                "text_tokens": text_in, "audio_tokens": audio_in, "image_tokens": 0, "cached_tokens": 0,
                "cached_tokens_details": { "text_tokens": 0, "audio_tokens": 0, "image_tokens": 0 },
            },
            "output_token_details": { "text_tokens": text_out, "audio_tokens": audio_out },
        })
    }
}

impl Output {
    /// The item as events show it.
    pub(super) fn value(&self) -> Value {
        let status = match self.phase {
            Phase::Planned | Phase::Open => "in_progress",
            Phase::Complete => "completed",
            Phase::Incomplete => "incomplete",
        };
        let said = self.said();
        let content = match &self.content {
            Content::Call { name, call_id } => {
                return json!({
                    "id": self.item_id, "object": "realtime.item", "type": "function_call", "status": status,
                    "name": name, "call_id": call_id, "arguments": said,
                });
            }
            _ if matches!(self.phase, Phase::Planned | Phase::Open) => json!([]),
            Content::Speech { .. } => json!([{ "type": "output_audio", "transcript": said }]),
            Content::Text => json!([{ "type": "output_text", "text": said }]),
        };
        json!({
            "id": self.item_id, "object": "realtime.item", "type": "message", "status": status,
            "role": "assistant", "content": content,
        })
    }

    /// The content part as events show it.
    pub(super) fn part(&self) -> Value {
        match self.content {
            Content::Text => json!({ "type": "text", "text": self.said() }),
            Content::Speech { .. } | Content::Call { .. } => json!({ "type": "audio", "transcript": self.said() }),
        }
    }

    /// The words (or arguments) sent so far.
    pub(super) fn said(&self) -> &str {
        self.text.get(..self.text_sent).unwrap_or_default()
    }

    pub(super) fn sent_bytes(&self) -> usize {
        match self.content {
            Content::Speech { sent, .. } => sent,
            Content::Text | Content::Call { .. } => 0,
        }
    }
}

/// Where the text of piece `piece` (from 1) of `pieces` ends: at a word's end, all of it at the last.
fn text_end(text: &str, piece: usize, pieces: usize) -> usize {
    if piece >= pieces {
        return text.len();
    }
    // The first piece carries at least a word, as the vendor's words run ahead of the sound.
    let goal = text.len() * piece / pieces;
    text.char_indices().find(|(at, letter)| *letter == ' ' && *at >= goal).map_or(text.len(), |(at, _)| at)
}

/// Recorded mu-law in the coding that a session wants.
pub(super) fn coded(audio: Vec<u8>, format: Format) -> Vec<u8> {
    match format {
        Format::Pcmu => audio,
        Format::Pcma => audio.into_iter().map(|byte| mulaw::encode_alaw(mulaw::decode(byte))).collect(),
        Format::Pcm => {
            let mut last = 0_i32;
            let mut pcm = Vec::with_capacity(audio.len() * 6);
            for byte in audio {
                let next = i32::from(mulaw::decode(byte));
                // Three samples for one, on a straight line.
                for third in 1..=3 {
                    pcm.extend_from_slice(&((last + (next - last) * third / 3) as i16).to_le_bytes());
                }
                last = next;
            }
            pcm
        }
    }
}
