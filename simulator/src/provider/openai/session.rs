//! The session object: its defaults as `session.created` shows them, what a `session.update` changes, and the few of its
//! settings that the twin acts on, as typed values.

use serde_json::{Map, Value, json};

use super::schema::Refusal;

/// How audio bytes are coded on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `audio/pcm` at 24 kHz: 16-bit little-endian, the default.
    Pcm,
    /// `audio/pcmu`: G.711 mu-law at 8 kHz.
    Pcmu,
    /// `audio/pcma`: G.711 A-law at 8 kHz.
    Pcma,
}

impl Format {
    /// Bytes per millisecond of audio.
    #[must_use]
    pub const fn bytes_per_ms(self) -> usize {
        match self {
            Self::Pcm => 48,
            Self::Pcmu | Self::Pcma => 8,
        }
    }

    fn of(value: &Value) -> Self {
        match value["type"].as_str() {
            Some("audio/pcmu") => Self::Pcmu,
            Some("audio/pcma") => Self::Pcma,
            _ => Self::Pcm,
        }
    }
}

/// How the twin finds the end of a turn, with every default filled in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TurnDetection {
    /// `server_vad.threshold`; semantic detection uses the default.
    pub(super) threshold: f64,
    pub(super) prefix_padding_ms: u64,
    pub(super) end: TurnEnd,
    pub(super) create_response: bool,
    pub(super) interrupt_response: bool,
    pub(super) idle_timeout_ms: Option<u64>,
}

/// What ends a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TurnEnd {
    /// So many milliseconds of silence.
    Silence(u64),
    /// A short pause after words that are complete, or this many milliseconds of silence.
    Meaning(u64),
}

/// What an update meets in the conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// The model has spoken: the voice is settled.
    pub(super) has_spoken: bool,
    /// A response is running: the speed is settled.
    pub(super) responding: bool,
}

/// The session object and its typed settings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Session {
    value: Value,
    pub(super) input: Format,
    pub(super) output: Format,
    pub(super) turns: Option<TurnDetection>,
    /// Model that transcribes, if transcription is on.
    pub(super) transcription: Option<String>,
    /// Whether responses are spoken (else they are text).
    pub(super) spoken: bool,
}

const SERVER_VAD: &str = "server_vad";

/// Published samples of `session.created` show 200 ms of silence although the reference page says 500.
fn server_vad() -> Value {
    json!({
        "type": SERVER_VAD, "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200,
        "idle_timeout_ms": null, "create_response": true, "interrupt_response": true,
    })
}

fn semantic_vad() -> Value {
    json!({ "type": "semantic_vad", "eagerness": "auto", "create_response": true, "interrupt_response": true })
}

impl Session {
    pub(super) fn new(id: &str, model: &str, expires_at: u64) -> Self {
        let pcm = json!({ "type": "audio/pcm", "rate": 24_000 });
        let value = json!({
            "id": id, "object": "realtime.session", "type": "realtime", "model": model, "expires_at": expires_at,
            "output_modalities": ["audio"],
            "instructions": "You are a helpful voice. Answer briefly and kindly.",
            "tools": [], "tool_choice": "auto", "max_output_tokens": "inf",
            "tracing": null, "truncation": "auto", "prompt": null, "include": null,
            "audio": {
                "input": {
                    "format": pcm, "transcription": null, "noise_reduction": null, "turn_detection": server_vad(),
                },
                "output": { "format": pcm, "voice": "alloy", "speed": 1.0 },
            },
        });
        Self::from(value)
    }

    fn from(value: Value) -> Self {
        let audio = &value["audio"];
        let transcription = &audio["input"]["transcription"];
        Self {
            input: Format::of(&audio["input"]["format"]),
            output: Format::of(&audio["output"]["format"]),
            turns: turn_detection(&audio["input"]["turn_detection"]),
            transcription: transcription
                .is_object()
                .then(|| transcription["model"].as_str().unwrap_or("whisper-1").to_owned()),
            spoken: value["output_modalities"][0] != "text",
            value,
        }
    }

    /// The whole session as `session.created` and `session.updated` show it.
    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn model(&self) -> &str {
        self.value["model"].as_str().unwrap_or_default()
    }

    /// The session after a sparse update whose shape is right. The old one stays as it is.
    pub(super) fn updated(&self, patch: &Value, standing: Standing) -> Result<Self, Refusal> {
        self.permits(patch, standing)?;
        let mut value = self.value.clone();
        let (Some(session), Some(patch)) = (value.as_object_mut(), patch.as_object()) else {
            return Ok(self.clone());
        };
        for (name, new) in patch {
            if name == "audio" {
                merge_audio(&mut session["audio"], new);
            } else {
                session.insert(name.clone(), new.clone());
            }
        }
        Ok(Self::from(value))
    }

    fn permits(&self, patch: &Value, standing: Standing) -> Result<(), Refusal> {
        let refuse = |code, message: &str, param: &str| Err(Refusal::new(code, message).at(param));
        if let Some(model) = patch["model"].as_str()
            && model != self.model()
        {
            return refuse("invalid_value", "The model of a session cannot be changed.", "session.model");
        }
        let output = &patch["audio"]["output"];
        let current = &self.value["audio"]["output"];
        if standing.has_spoken && !output["voice"].is_null() && output["voice"] != current["voice"] {
            let message = "Cannot update a conversation's voice if assistant audio is present.";
            return Err(Refusal::new("cannot_update_voice", message));
        }
        if standing.responding && !output["speed"].is_null() && output["speed"].as_f64() != current["speed"].as_f64() {
            let message = "The speed cannot be changed while a response is in progress.";
            return refuse("invalid_value", message, "session.audio.output.speed");
        }
        for name in ["reasoning", "parallel_tool_calls"] {
            if patch.get(name).is_some_and(|value| !value.is_null()) && !reasons(self.model()) {
                let message = format!("Unsupported option for this model: '{name}'.");
                return refuse("invalid_value", &message, &format!("session.{name}"));
            }
        }
        if let Some(tracing) = patch.get("tracing")
            && !self.value["tracing"].is_null()
            && *tracing != self.value["tracing"]
        {
            return refuse("invalid_value", "Tracing cannot be changed once it is enabled.", "session.tracing");
        }
        Ok(())
    }
}

/// Whether this is a reasoning model. `gpt-realtime-2025-08-28` is a date, not generation 2.
pub(super) fn reasons(model: &str) -> bool {
    let generation = model.strip_prefix("gpt-realtime-2");
    generation.is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with("-mini"))
}

fn merge_audio(audio: &mut Value, patch: &Value) {
    for (side, fields) in patch.as_object().into_iter().flatten() {
        for (name, new) in fields.as_object().into_iter().flatten() {
            let old = &mut audio[side][name];
            match (name.as_str(), new) {
                ("turn_detection", Value::Object(new)) => {
                    let mut base = match new["type"].as_str() {
                        kind if old["type"].as_str() == kind => old.take(),
                        Some(SERVER_VAD) => server_vad(),
                        _ => semantic_vad(),
                    };
                    lay_over(&mut base, new);
                    *old = base;
                }
                // An update that names no strength keeps the old one.
                ("noise_reduction", Value::Object(new)) if old.is_object() => lay_over(old, new),
                _ => *old = new.clone(),
            }
        }
    }
}

fn lay_over(base: &mut Value, patch: &Map<String, Value>) {
    for (name, new) in patch {
        base[name] = new.clone();
    }
}

fn turn_detection(value: &Value) -> Option<TurnDetection> {
    let kind = value["type"].as_str()?;
    let end = if kind == SERVER_VAD {
        TurnEnd::Silence(value["silence_duration_ms"].as_u64().unwrap_or(500))
    } else {
        TurnEnd::Meaning(match value["eagerness"].as_str() {
            Some("low") => 8_000,
            Some("high") => 2_000,
            _ => 4_000,
        })
    };
    Some(TurnDetection {
        threshold: value["threshold"].as_f64().unwrap_or(0.5),
        prefix_padding_ms: value["prefix_padding_ms"].as_u64().unwrap_or(300),
        end,
        create_response: value["create_response"].as_bool().unwrap_or(true),
        interrupt_response: value["interrupt_response"].as_bool().unwrap_or(true),
        idle_timeout_ms: value["idle_timeout_ms"].as_u64(),
    })
}
