//! What a client may send: the shape of every client event of the GA interface (OpenAI's `realtime` types of 2026-11 and
//! the field rules of its guides), and the event as a value once it fits. What an event does is the twin's business.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::schema::Shape::{Any, Bool, Either, List, Map, Number, Object, OneOf, OrNull, Tagged, Text, Whole};
use super::schema::{Field, Refusal, Shape, optional, required};

/// Most audio bytes in one `input_audio_buffer.append`: 15 MiB.
pub(super) const LARGEST_APPEND: usize = 15 * 1024 * 1024;

const LONG: usize = 1 << 24;
const NAME: usize = 512;

/// Longest id a client may give to an item.
const ITEM_ID: usize = 64;

const EVENT_ID: Field = optional("event_id", OrNull(&Text(NAME)));
const TYPE: Field = required("type", Text(NAME));

static TURN_DETECTION: Shape = Tagged(
    "type",
    &[
        (
            "server_vad",
            Object(&[
                TYPE,
                optional("threshold", Number(0.0, 1.0)),
                optional("prefix_padding_ms", Whole(0, 60_000)),
                optional("silence_duration_ms", Whole(0, 60_000)),
                optional("create_response", Bool),
                optional("interrupt_response", Bool),
                optional("idle_timeout_ms", OrNull(&Whole(5_000, 30_000))),
            ]),
        ),
        (
            "semantic_vad",
            Object(&[
                TYPE,
                optional("eagerness", OneOf(&["low", "medium", "high", "auto"])),
                optional("create_response", Bool),
                optional("interrupt_response", Bool),
            ]),
        ),
    ],
);

/// PCM must name its only rate; the telephone formats must not name one.
const FORMAT: Shape = Tagged(
    "type",
    &[
        ("audio/pcm", Object(&[TYPE, required("rate", Whole(24_000, 24_000))])),
        ("audio/pcmu", Object(&[TYPE])),
        ("audio/pcma", Object(&[TYPE])),
    ],
);

static TRANSCRIPTION: Shape = Object(&[
    optional("model", Text(NAME)),
    optional("language", Text(NAME)),
    optional("languages", List(&Text(NAME))),
    optional("keywords", List(&Text(NAME))),
    optional("prompt", Text(LONG)),
    optional("delay", OneOf(&["minimal", "low", "medium", "high", "xhigh"])),
]);

static NOISE_REDUCTION: Shape =
    Object(&[required("type", OneOf(&["near_field", "far_field"])), optional("strength", Number(0.0, 1.0))]);

const VOICE: Shape = Either(&[
    OneOf(&["alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"]),
    Object(&[required("id", Text(NAME))]),
]);

static TOOL: Shape = Tagged(
    "type",
    &[
        (
            "function",
            Object(&[
                TYPE,
                required("name", Text(64)),
                optional("description", Text(LONG)),
                optional("parameters", Any),
            ]),
        ),
        (
            "mcp",
            Object(&[
                TYPE,
                required("server_label", Text(NAME)),
                optional("server_url", Text(NAME)),
                optional("server_description", Text(LONG)),
                optional("connector_id", Text(NAME)),
                optional("authorization", Text(LONG)),
                optional("headers", OrNull(&Map(64, NAME, &Text(LONG)))),
                optional("allowed_tools", Any),
                optional("allowed_callers", Any),
                optional("require_approval", Any),
                optional("defer_loading", Bool),
                optional("tunnel_id", Text(NAME)),
            ]),
        ),
    ],
);

const TOOL_CHOICE: Shape = Either(&[
    OneOf(&["auto", "none", "required"]),
    Tagged(
        "type",
        &[
            ("function", Object(&[TYPE, required("name", Text(64))])),
            ("mcp", Object(&[TYPE, required("server_label", Text(NAME)), optional("name", OrNull(&Text(NAME)))])),
        ],
    ),
]);

const MODALITIES: Shape = List(&OneOf(&["audio", "text"]));
const MAX_OUTPUT_TOKENS: Shape = Either(&[OneOf(&["inf"]), Whole(1, 4096)]);
static REASONING: Shape = Object(&[optional("effort", OneOf(&["minimal", "low", "medium", "high", "xhigh"]))]);
static PROMPT: Shape = Object(&[
    required("id", Text(NAME)),
    optional("version", OrNull(&Text(NAME))),
    optional("variables", OrNull(&Any)),
]);

static SESSION: Shape = Object(&[
    required("type", OneOf(&["realtime"])),
    optional("model", Text(NAME)),
    optional("output_modalities", MODALITIES),
    optional("instructions", Text(LONG)),
    optional(
        "audio",
        Object(&[
            optional(
                "input",
                Object(&[
                    optional("format", FORMAT),
                    optional("transcription", OrNull(&TRANSCRIPTION)),
                    optional("noise_reduction", OrNull(&NOISE_REDUCTION)),
                    optional("turn_detection", OrNull(&TURN_DETECTION)),
                ]),
            ),
            optional(
                "output",
                Object(&[optional("format", FORMAT), optional("voice", VOICE), optional("speed", Number(0.25, 1.5))]),
            ),
        ]),
    ),
    optional("include", OrNull(&List(&OneOf(&["item.input_audio_transcription.logprobs"])))),
    optional("tools", List(&TOOL)),
    optional("tool_choice", TOOL_CHOICE),
    optional("parallel_tool_calls", Bool),
    optional("reasoning", OrNull(&REASONING)),
    optional("max_output_tokens", MAX_OUTPUT_TOKENS),
    optional(
        "tracing",
        OrNull(&Either(&[
            OneOf(&["auto"]),
            Object(&[
                optional("workflow_name", Text(NAME)),
                optional("group_id", Text(NAME)),
                optional("metadata", Any),
            ]),
        ])),
    ),
    optional(
        "truncation",
        Either(&[
            OneOf(&["auto", "disabled"]),
            Object(&[
                required("type", OneOf(&["retention_ratio"])),
                required("retention_ratio", Number(0.0, 1.0)),
                optional("token_limits", Object(&[optional("post_instructions", Whole(0, 1_000_000))])),
            ]),
        ]),
    ),
    optional("prompt", OrNull(&PROMPT)),
]);

const ID: Field = optional("id", OrNull(&Text(ITEM_ID)));
const OBJECT: Field = optional("object", OneOf(&["realtime.item"]));
const STATUS: Field = optional("status", OneOf(&["completed", "incomplete", "in_progress"]));
const ROLE: Field = required("role", Text(NAME));

static USER_CONTENT: Shape = Tagged(
    "type",
    &[
        ("input_text", Object(&[TYPE, required("text", Text(LONG))])),
        ("input_audio", Object(&[TYPE, required("audio", Text(LONG)), optional("transcript", OrNull(&Text(LONG)))])),
        (
            "input_image",
            Object(&[TYPE, required("image_url", Text(LONG)), optional("detail", OneOf(&["auto", "low", "high"]))]),
        ),
    ],
);

/// The model's own audio cannot be injected: the server asks for the text instead (openai-agents-js issue 963).
static ASSISTANT_CONTENT: Shape = Tagged(
    "type",
    &[
        ("output_text", Object(&[TYPE, required("text", Text(LONG))])),
        (
            "output_audio",
            Object(&[
                required("text", Text(LONG)),
                TYPE,
                optional("audio", OrNull(&Text(LONG))),
                optional("transcript", OrNull(&Text(LONG))),
            ]),
        ),
    ],
);

static SYSTEM_CONTENT: Shape = Tagged("type", &[("input_text", Object(&[TYPE, required("text", Text(LONG))]))]);

static ITEM: Shape = Tagged(
    "type",
    &[
        (
            "message",
            Tagged(
                "role",
                &[
                    ("user", Object(&[TYPE, ROLE, ID, OBJECT, STATUS, required("content", List(&USER_CONTENT))])),
                    (
                        "assistant",
                        Object(&[TYPE, ROLE, ID, OBJECT, STATUS, required("content", List(&ASSISTANT_CONTENT))]),
                    ),
                    ("system", Object(&[TYPE, ROLE, ID, OBJECT, STATUS, required("content", List(&SYSTEM_CONTENT))])),
                ],
            ),
        ),
        (
            "function_call",
            Object(&[
                TYPE,
                ID,
                OBJECT,
                STATUS,
                required("name", Text(64)),
                required("arguments", Text(LONG)),
                optional("call_id", Text(NAME)),
            ]),
        ),
        (
            "function_call_output",
            Object(&[TYPE, ID, OBJECT, STATUS, required("call_id", Text(NAME)), required("output", Text(LONG))]),
        ),
        (
            "mcp_approval_response",
            Object(&[
                TYPE,
                required("id", Text(ITEM_ID)),
                required("approval_request_id", Text(NAME)),
                required("approve", Bool),
                optional("reason", OrNull(&Text(LONG))),
            ]),
        ),
    ],
);

static RESPONSE: Shape = Object(&[
    optional("instructions", Text(LONG)),
    optional("output_modalities", MODALITIES),
    optional("audio", Object(&[optional("output", Object(&[optional("format", FORMAT), optional("voice", VOICE)]))])),
    optional("tools", List(&TOOL)),
    optional("tool_choice", TOOL_CHOICE),
    optional("conversation", OneOf(&["auto", "none"])),
    optional("input", List(&Any)),
    optional("metadata", OrNull(&Map(16, 64, &Text(512)))),
    optional("max_output_tokens", MAX_OUTPUT_TOKENS),
    optional("parallel_tool_calls", Bool),
    optional("reasoning", OrNull(&REASONING)),
    optional("prompt", OrNull(&PROMPT)),
]);

/// `response.create.input` also takes references to items.
static REFERENCE: Shape = Object(&[required("type", OneOf(&["item_reference"])), required("id", Text(ITEM_ID))]);

static EVENT: Shape = Tagged(
    "type",
    &[
        ("session.update", Object(&[TYPE, EVENT_ID, required("session", Any)])),
        ("input_audio_buffer.append", Object(&[TYPE, EVENT_ID, required("audio", Text(usize::MAX))])),
        ("input_audio_buffer.commit", Object(&[TYPE, EVENT_ID])),
        ("input_audio_buffer.clear", Object(&[TYPE, EVENT_ID])),
        (
            "conversation.item.create",
            Object(&[TYPE, EVENT_ID, required("item", Any), optional("previous_item_id", OrNull(&Text(NAME)))]),
        ),
        ("conversation.item.retrieve", Object(&[TYPE, EVENT_ID, required("item_id", Text(NAME))])),
        (
            "conversation.item.truncate",
            Object(&[
                TYPE,
                EVENT_ID,
                required("item_id", Text(NAME)),
                required("content_index", Whole(0, i64::MAX)),
                required("audio_end_ms", Whole(0, i64::MAX)),
            ]),
        ),
        ("conversation.item.delete", Object(&[TYPE, EVENT_ID, required("item_id", Text(NAME))])),
        ("response.create", Object(&[TYPE, EVENT_ID, optional("response", OrNull(&RESPONSE))])),
        ("response.cancel", Object(&[TYPE, EVENT_ID, optional("response_id", OrNull(&Text(NAME)))])),
        ("output_audio_buffer.clear", Object(&[TYPE, EVENT_ID])),
    ],
);

/// A client event whose shape is right.
#[derive(Debug, PartialEq)]
pub(super) enum ClientEvent {
    /// The sparse session.
    SessionUpdate(Value),
    /// Decoded audio bytes.
    Append(Vec<u8>),
    Commit,
    Clear,
    ItemCreate {
        item: Value,
        previous: Option<String>,
    },
    ItemRetrieve {
        item_id: String,
    },
    ItemTruncate {
        item_id: String,
        content_index: u64,
        audio_end_ms: u64,
    },
    ItemDelete {
        item_id: String,
    },
    ResponseCreate(Value),
    ResponseCancel {
        response_id: Option<String>,
    },
    /// Only sessions over WebRTC and SIP have an output buffer.
    OutputClear,
}

/// A client event with what an answer must name.
#[derive(Debug)]
pub(super) struct Received<T> {
    /// `type`, if it could be read.
    pub(super) kind: String,
    /// The client's own `event_id`.
    pub(super) event_id: Option<String>,
    pub(super) outcome: Result<T, Refusal>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Append<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) audio: Cow<'a, str>,
    #[serde(default)]
    event_id: Option<String>,
}

/// The append in `text` if it is one and nothing is odd about it: nearly all traffic is this, and it is read without a tree.
pub(super) fn plain_append(text: &str) -> Option<Append<'_>> {
    let append: Append<'_> = serde_json::from_str(text).ok()?;
    (append.kind == "input_audio_buffer.append").then_some(append)
}

/// Reads one text message of the client.
pub(super) fn parse(text: &str) -> Received<ClientEvent> {
    if let Some(append) = plain_append(text) {
        let outcome = decode(&append.audio).map(ClientEvent::Append);
        return Received { kind: append.kind.into_owned(), event_id: append.event_id, outcome };
    }
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(_) => {
            let refusal = Refusal::new("invalid_json", "The message could not be parsed as JSON.");
            return Received { kind: String::new(), event_id: None, outcome: Err(refusal) };
        }
    };
    let word = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let kind = word("type").unwrap_or_default();
    let event_id = word("event_id");
    let outcome = EVENT.check(&value, "").and_then(|()| typed(&kind, value));
    Received { kind, event_id, outcome }
}

fn typed(kind: &str, mut value: Value) -> Result<ClientEvent, Refusal> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let whole = |name: &str| value.get(name).and_then(Value::as_u64).unwrap_or_default();
    let item_id = text("item_id").unwrap_or_default();
    Ok(match kind {
        "session.update" => {
            let session = value["session"].take();
            SESSION.check(&session, "session")?;
            one_modality(&session, "session")?;
            ClientEvent::SessionUpdate(session)
        }
        "input_audio_buffer.append" => ClientEvent::Append(decode(value["audio"].as_str().unwrap_or_default())?),
        "input_audio_buffer.commit" => ClientEvent::Commit,
        "input_audio_buffer.clear" => ClientEvent::Clear,
        "conversation.item.create" => {
            let previous = text("previous_item_id");
            let item = value["item"].take();
            ITEM.check(&item, "item")?;
            ClientEvent::ItemCreate { item, previous }
        }
        "conversation.item.retrieve" => ClientEvent::ItemRetrieve { item_id },
        "conversation.item.truncate" => ClientEvent::ItemTruncate {
            item_id,
            content_index: whole("content_index"),
            audio_end_ms: whole("audio_end_ms"),
        },
        "conversation.item.delete" => ClientEvent::ItemDelete { item_id },
        "response.create" => {
            let response = value["response"].take();
            one_modality(&response, "response")?;
            for (index, input) in response["input"].as_array().into_iter().flatten().enumerate() {
                let path = format!("response.input[{index}]");
                let shape = if input["type"] == "item_reference" { &REFERENCE } else { &ITEM };
                shape.check(input, &path)?;
            }
            ClientEvent::ResponseCreate(response)
        }
        "response.cancel" => ClientEvent::ResponseCancel { response_id: text("response_id") },
        _ => ClientEvent::OutputClear,
    })
}

/// Both modalities at once, none, or one twice: audio always brings its transcript.
fn one_modality(value: &Value, path: &str) -> Result<(), Refusal> {
    let modalities = value["output_modalities"].as_array();
    if modalities.is_none_or(|list| list.len() == 1) {
        return Ok(());
    }
    let message = "Invalid modalities: supported combinations are ['text'] and ['audio'].";
    Err(Refusal::new("invalid_value", message).at(format!("{path}.output_modalities")))
}

fn decode(audio: &str) -> Result<Vec<u8>, Refusal> {
    if audio.len() / 4 * 3 > LARGEST_APPEND + 2 {
        let message = "Invalid 'audio': an event may carry at most 15 MiB of audio.";
        return Err(Refusal::new("string_above_max_length", message).at("audio"));
    }
    STANDARD.decode(audio).map_err(|_| Refusal::invalid_value("audio", "expected standard base64 with padding"))
}

/// Whether the interface has a client event of this type.
pub(super) fn is_known(kind: &str) -> bool {
    match &EVENT {
        Tagged(_, variants) => variants.iter().any(|(name, _)| *name == kind),
        Any | Text(_) | OneOf(_) | Bool | Whole(..) | Number(..) | List(_) | Map(..) | Object(_) | Either(_)
        | OrNull(_) => false,
    }
}
