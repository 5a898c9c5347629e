//! OpenAI's Realtime API, GA interface over WebSocket: its client and server events (guides "Realtime conversations" and
//! "WebSockets", the types of the `openai` packages of 2026-11) to and from the neutral ones. Audio is `audio/pcmu` both ways,
//! passed on as the base64 it arrives in; an audio delta in its usual form is read with borrowed slices in one pass.

mod wire;

use super::{
    Capabilities, Codec, Complaint, DialError, DialRequest, ProviderCommand, ProviderEvent, ProviderFault, Respond,
    ResponseOutcome, Setup, Wire, tidy_code,
};
use crate::scan;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::agent::{TurnDetection, VoicePlan};
use shared::node_api::Speaker;
use shared::secret::Secret;
use std::borrow::Cow;

const URL: &str = "wss://api.openai.com/v1/realtime";
const MODEL: &str = "gpt-realtime-2.1";
const VOICE: &str = "marin";
/// The event id of our one `session.update`: an error that names it is a refusal.
const CONFIGURE: &str = "trunkline-configure";
/// Error codes after which no try can succeed.
const FATAL: [&str; 6] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "invalid_api_key",
    "account_deactivated",
    "billing_hard_limit_reached",
    "forbidden",
];
const APPEND_HEAD: &str = r#"{"type":"input_audio_buffer.append","audio":""#;
const APPEND_TAIL: &str = r#""}"#;

/// Where and how to dial; `OpenAI-Beta` must not be sent, it selects a retired interface.
pub(super) fn dial(plan: &VoicePlan, url: Option<&str>, key: Option<&Secret>) -> Result<DialRequest, DialError> {
    let key = key.ok_or(DialError::NoKey)?;
    let base = url.unwrap_or(URL);
    let mark = if base.contains('?') { '&' } else { '?' };
    let model = percent_encoded(plan.model.as_deref().unwrap_or(MODEL));
    Ok(DialRequest {
        url: format!("{base}{mark}model={model}"),
        headers: vec![("authorization", Secret::new(format!("Bearer {}", key.expose())))],
    })
}

fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The codec. All that it remembers is whether the configuration has been accepted.
#[derive(Debug, Default)]
pub(super) struct OpenAi {
    is_configured: bool,
}

impl Codec for OpenAi {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            is_local: false,
            takes_turns: true,
            // `interrupt_response` is always switched on.
            interrupts_itself: true,
            wants_heard: true,
            takes_text: true,
        }
    }

    fn read<'a>(&mut self, text: &'a str) -> Result<ProviderEvent<'a>, ProviderFault> {
        if let Some(audio) = plain_audio(text) {
            return Ok(audio);
        }
        #[derive(Deserialize)]
        struct Envelope<'a> {
            #[serde(borrow, rename = "type")]
            kind: Cow<'a, str>,
        }
        let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|_| ProviderFault::Envelope)?;
        self.read_kind(&envelope.kind, text)
    }

    fn read_binary<'a>(&mut self, _: &'a [u8]) -> Result<ProviderEvent<'a>, ProviderFault> {
        Err(ProviderFault::Envelope)
    }

    fn write(&mut self, command: ProviderCommand<'_>) -> Wire {
        let message = match command {
            ProviderCommand::Hear(payload) => {
                let mut text = String::with_capacity(APPEND_HEAD.len() + payload.len() + APPEND_TAIL.len());
                text.push_str(APPEND_HEAD);
                text.push_str(payload);
                text.push_str(APPEND_TAIL);
                return Wire::Text(text);
            }
            ProviderCommand::Configure(setup) => session_update(setup),
            ProviderCommand::Remember(line) => match line.speaker {
                Speaker::Caller => message("user", "input_text", &line.text),
                Speaker::Agent => message("assistant", "output_text", &line.text),
            },
            ProviderCommand::Know(text) => message("system", "input_text", text),
            ProviderCommand::Respond { what } => match what {
                Respond::Freely => json!({"type": "response.create"}),
                Respond::Following(instructions) => {
                    json!({"type": "response.create", "response": {"instructions": instructions}})
                }
                Respond::Saying(words) => json!({"type": "response.create", "response": {"instructions": format!(
                    "Say exactly the following to the caller, word for word, and nothing else:\n{words}"
                )}}),
            },
            ProviderCommand::Cancel { response } => json!({"type": "response.cancel", "response_id": response}),
            ProviderCommand::Truncate { item, content_index, heard_ms } => json!({
                "type": "conversation.item.truncate",
                "item_id": item,
                "content_index": content_index,
                "audio_end_ms": heard_ms,
            }),
            ProviderCommand::AnswerTool { call, output } => json!({
                "type": "conversation.item.create",
                "item": {"type": "function_call_output", "call_id": call, "output": output},
            }),
        };
        Wire::Text(message.to_string())
    }
}

fn message(role: &str, kind: &str, text: &str) -> Value {
    json!({
        "type": "conversation.item.create",
        "item": {"type": "message", "role": role, "content": [{"type": kind, "text": text}]},
    })
}

/// The complete configuration. `pcmu` takes no `rate`; `silence_duration_ms` is always sent because the served default is
/// not the documented one; `create_response` and `interrupt_response` are what [`Capabilities`] promise.
fn session_update(setup: Setup<'_>) -> Value {
    let turn_detection = match &setup.voice.turn_detection {
        TurnDetection::ServerVad { threshold, prefix_padding_ms, silence_duration_ms } => json!({
            "type": "server_vad",
            "threshold": (f64::from(*threshold) * 1000.0).round() / 1000.0,
            "prefix_padding_ms": prefix_padding_ms,
            "silence_duration_ms": silence_duration_ms,
            "create_response": true,
            "interrupt_response": true,
        }),
        TurnDetection::SemanticVad { eagerness } => json!({
            "type": "semantic_vad",
            "eagerness": eagerness,
            "create_response": true,
            "interrupt_response": true,
        }),
    };
    // ISO 639-1 where BCP 47 begins with it; a longer first subtag is left out and the language is recognised.
    let language = setup.language.split('-').next().filter(|tag| tag.len() == 2).map(str::to_ascii_lowercase);
    let mut transcription = json!({"model": setup.transcription_model});
    if let (Some(language), Some(object)) = (language, transcription.as_object_mut()) {
        object.insert("language".to_owned(), Value::String(language));
    }
    json!({
        "type": "session.update",
        "event_id": CONFIGURE,
        "session": {
            "type": "realtime",
            "output_modalities": ["audio"],
            "instructions": setup.instructions,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcmu"},
                    "transcription": transcription,
                    "turn_detection": turn_detection,
                },
                "output": {
                    "format": {"type": "audio/pcmu"},
                    "voice": setup.voice.voice.as_deref().unwrap_or(VOICE),
                },
            },
        },
    })
}

/// An audio delta about which nothing is unusual.
fn plain_audio(text: &str) -> Option<ProviderEvent<'_>> {
    let (mut response, mut item, mut content_index, mut delta) = (None, None, None, None);
    scan::members(text, |outer, key, value| {
        match key {
            _ if outer.is_some() => {}
            // The kind comes first as the vendor writes it, so every other message leaves here at once.
            "type" => (value.text()? == "response.output_audio.delta").then_some(())?,
            "response_id" => response = Some(value.text()?),
            "item_id" => item = Some(value.text()?),
            "content_index" => content_index = Some(value.number()?),
            "delta" if delta.is_none() => delta = Some(value.text()?),
            "delta" => return None,
            _ => {}
        }
        Some(())
    })?;
    let (response, item) = (response?, item?);
    (wire::is_id(response) && wire::is_id(item)).then_some(())?;
    Some(ProviderEvent::Audio {
        response: response.into(),
        item: item.into(),
        content_index: content_index?,
        payload: delta?.into(),
    })
}

impl OpenAi {
    fn read_kind<'a>(&mut self, kind: &str, text: &'a str) -> Result<ProviderEvent<'a>, ProviderFault> {
        Ok(match kind {
            "response.output_audio.delta" => {
                let body: wire::AudioDelta<'_> = wire::body("response.output_audio.delta", text)?;
                ProviderEvent::Audio {
                    response: wire::id("response.output_audio.delta", body.response_id)?,
                    item: wire::id("response.output_audio.delta", body.item_id)?,
                    content_index: body.content_index,
                    payload: body.delta,
                }
            }
            "response.output_audio.done" => {
                let body: wire::Part<'_> = wire::body("response.output_audio.done", text)?;
                ProviderEvent::AudioDone {
                    item: wire::id("response.output_audio.done", body.item_id)?,
                    content_index: body.content_index,
                }
            }
            "response.output_audio_transcript.delta" => {
                let body: wire::WordsDelta<'_> = wire::body("response.output_audio_transcript.delta", text)?;
                ProviderEvent::Words {
                    speaker: Speaker::Agent,
                    response: wire::id("response.output_audio_transcript.delta", body.response_id.unwrap_or_default())?,
                    item: wire::id("response.output_audio_transcript.delta", body.item_id)?,
                    more: body.delta.unwrap_or_default(),
                }
            }
            "response.output_audio_transcript.done" => {
                let body: wire::Transcript<'_> = wire::body("response.output_audio_transcript.done", text)?;
                ProviderEvent::Said {
                    speaker: Speaker::Agent,
                    item: wire::id("response.output_audio_transcript.done", body.item_id)?,
                    text: body.transcript,
                }
            }
            "conversation.item.input_audio_transcription.delta" => {
                let body: wire::WordsDelta<'_> = wire::body("conversation.item.input_audio_transcription.delta", text)?;
                ProviderEvent::Words {
                    speaker: Speaker::Caller,
                    response: Cow::Borrowed(""),
                    item: wire::id("conversation.item.input_audio_transcription.delta", body.item_id)?,
                    more: body.delta.unwrap_or_default(),
                }
            }
            "conversation.item.input_audio_transcription.completed" => {
                let body: wire::Transcript<'_> =
                    wire::body("conversation.item.input_audio_transcription.completed", text)?;
                ProviderEvent::Said {
                    speaker: Speaker::Caller,
                    item: wire::id("conversation.item.input_audio_transcription.completed", body.item_id)?,
                    text: body.transcript,
                }
            }
            "input_audio_buffer.speech_started" => {
                let body: wire::Speech<'_> = wire::body("input_audio_buffer.speech_started", text)?;
                let item = body.item_id.map(|id| wire::id("input_audio_buffer.speech_started", id)).transpose()?;
                ProviderEvent::CallerStarted { item, at_ms: body.audio_start_ms }
            }
            "input_audio_buffer.speech_stopped" => {
                wire::body::<wire::Speech<'_>>("input_audio_buffer.speech_stopped", text)?;
                ProviderEvent::CallerStopped
            }
            "response.created" => {
                let body: wire::ResponseEvent<'_> = wire::body("response.created", text)?;
                ProviderEvent::ResponseStarted { response: wire::id("response.created", body.response.id)? }
            }
            "response.done" => {
                let body: wire::ResponseEvent<'_> = wire::body("response.done", text)?;
                ProviderEvent::ResponseDone {
                    outcome: outcome(&body.response),
                    response: wire::id("response.done", body.response.id)?,
                }
            }
            "response.output_item.done" => {
                let body: wire::ItemEvent<'_> = wire::body("response.output_item.done", text)?;
                match (body.item.kind.as_ref(), body.item.status.as_deref(), body.item.call_id) {
                    ("function_call", Some("completed"), Some(call)) => {
                        ProviderEvent::ToolAsked { call: wire::id("response.output_item.done", call)? }
                    }
                    ("function_call", Some("completed"), None) => {
                        return Err(ProviderFault::Content("response.output_item.done"));
                    }
                    _ => ProviderEvent::Nothing,
                }
            }
            "session.updated" => {
                let body: wire::SessionEvent<'_> = wire::body("session.updated", text)?;
                if self.is_configured {
                    ProviderEvent::Nothing
                } else if body.session.is_pcmu_both_ways() {
                    self.is_configured = true;
                    ProviderEvent::Ready
                } else {
                    ProviderEvent::Refused { code: "audio_format".to_owned() }
                }
            }
            "error" => {
                let body: wire::ErrorEvent<'_> = wire::body("error", text)?;
                complaint(&body.error)
            }
            "session.created"
            | "conversation.created"
            | "conversation.item.added"
            | "conversation.item.done"
            | "conversation.item.created"
            | "conversation.item.retrieved"
            | "conversation.item.truncated"
            | "conversation.item.deleted"
            | "conversation.item.input_audio_transcription.segment"
            | "conversation.item.input_audio_transcription.failed"
            | "input_audio_buffer.committed"
            | "input_audio_buffer.cleared"
            | "input_audio_buffer.timeout_triggered"
            | "response.output_item.added"
            | "response.content_part.added"
            | "response.content_part.done"
            | "response.output_text.delta"
            | "response.output_text.done"
            | "response.function_call_arguments.delta"
            | "response.function_call_arguments.done"
            | "rate_limits.updated" => ProviderEvent::Nothing,
            _ => ProviderEvent::Unknown,
        })
    }
}

fn outcome(response: &wire::Response<'_>) -> ResponseOutcome {
    let code = response.status_details.as_ref().and_then(|d| d.error.as_ref()).and_then(|e| e.code.as_deref());
    match response.status.as_deref() {
        Some("failed") => match code {
            Some(code) if FATAL.contains(&code) => ResponseOutcome::Refused { code: tidy_code(code) },
            Some(_) | None => ResponseOutcome::Failed,
        },
        Some("cancelled") => ResponseOutcome::Cancelled,
        Some(_) | None => ResponseOutcome::Completed,
    }
}

/// What an `error` event means. Most leave the session open.
fn complaint(error: &wire::Error<'_>) -> ProviderEvent<'static> {
    let code = error.code.as_deref().or(error.kind.as_deref()).unwrap_or_default();
    if FATAL.contains(&code) || error.event_id.as_deref() == Some(CONFIGURE) {
        return ProviderEvent::Refused { code: tidy_code(code) };
    }
    match code {
        "session_expired" => ProviderEvent::Expired,
        "conversation_already_has_active_response" => ProviderEvent::Complained(Complaint::ResponseRuns),
        "response_cancel_not_active" => ProviderEvent::Complained(Complaint::Benign),
        _ => {
            let message = error.message.as_deref().unwrap_or_default();
            let is_truncation =
                message.contains("already shorter than") || message.contains("Only model output audio messages");
            ProviderEvent::Complained(if is_truncation { Complaint::Benign } else { Complaint::Other })
        }
    }
}
