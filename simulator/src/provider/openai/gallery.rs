//! Conversations that together make the twin send every kind of event it knows, for judges outside this program.

use std::time::Duration;

use serde_json::{Value, json};

use super::options::{Fault, FaultKind, Keep, Moment, Options};
use super::record::Exchanged;
use super::rehearsal::{Rehearsal, kind, telephone};
use super::script::{Answer, Script, ToolCall};

/// Every type of event that the twin can send, unknown ones aside.
pub const SERVER_EVENTS: &[&str] = &[
    "error",
    "session.created",
    "session.updated",
    "conversation.created",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.retrieved",
    "conversation.item.truncated",
    "conversation.item.deleted",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
    "conversation.item.input_audio_transcription.failed",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "input_audio_buffer.cleared",
    "input_audio_buffer.timeout_triggered",
    "response.created",
    "response.done",
    "response.output_item.added",
    "response.output_item.done",
    "response.content_part.added",
    "response.content_part.done",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
    "response.output_text.delta",
    "response.output_text.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "rate_limits.updated",
];

/// Plays the conversations and returns every event of both sides that was accepted or sent, in order. What a client sent
/// wrongly on purpose is left out; the errors it got are there.
///
/// # Panics
/// If a conversation does not go as it must.
#[must_use]
pub fn gallery() -> Vec<Exchanged> {
    let mut all = Vec::new();
    for (seed, play) in (1..).zip([booking, tools, by_hand, edges, semantic, written, failures]) {
        let mut options = Options { seed, keep: Keep::Events, unknown_event_every: 0, ..Options::default() };
        options.script = script();
        if seed == 7 {
            options.faults = vec![
                Fault {
                    connection: None,
                    at: Moment::Response { number: 1, audio_ms: 0 },
                    kind: FaultKind::FailResponse("rate_limit_exceeded".to_owned()),
                },
                Fault { connection: None, at: Moment::AfterMs(20_000), kind: FaultKind::Expire },
            ];
        }
        let mut rehearsal = Rehearsal::open(options);
        let wrong = play(&mut rehearsal);
        let events = rehearsal.record().events.iter().filter(|event| !(event.by_client && wrong.contains(&event.text)));
        all.extend(events.cloned());
    }
    all
}

/// One line of what `judges/openai_events.py` reads.
#[must_use]
pub fn line(event: &Exchanged) -> String {
    let direction = if event.by_client { "client" } else { "server" };
    let event: Value = serde_json::from_str(&event.text).unwrap_or_else(|_| json!(event.text));
    json!({ "direction": direction, "event": event }).to_string()
}

fn script() -> Script {
    let mut script = Script::clinic();
    let call = |name: &str, arguments: &str| ToolCall { name: name.to_owned(), arguments: arguments.to_owned() };
    script.answers.insert(
        0,
        Answer {
            heard: "caller-price".to_owned(),
            say: vec!["agent-one-moment".to_owned()],
            separate_items: false,
            tools: vec![call("price_of", "{\"service\": \"check-up\"}"), call("insurers", "{}")],
            then: vec!["agent-price".to_owned()],
        },
    );
    script.answers.insert(
        0,
        Answer {
            heard: "caller-yes".to_owned(),
            say: vec!["agent-booked".to_owned(), "agent-goodbye".to_owned()],
            separate_items: true,
            ..Answer::default()
        },
    );
    script
}

type Wrong = Vec<String>;

/// Greeting, turns, a barge-in with its truncation, a response in two items.
fn booking(client: &mut Rehearsal) -> Wrong {
    client.configure();
    client.send(&json!({ "type": "response.create", "response": { "instructions": "Greet the caller." } }));
    client.until("response.done");
    client.say("caller-booking");
    client.until("response.done");
    client.say("caller-hours");
    client.until("response.output_audio.delta");
    client.silence(300);
    client.say("caller-interrupts");
    client.until("response.done");
    let items = &client.record().items;
    let cut = items.iter().find(|item| item.cancelled_at_bytes.is_some());
    let id = cut.map(|item| item.item_id.clone()).unwrap_or_default();
    client.send(&json!({
        "type": "conversation.item.truncate", "item_id": id, "content_index": 0, "audio_end_ms": 300,
    }));
    client.send(&json!({ "type": "conversation.item.retrieve", "item_id": id }));
    client.say("caller-yes");
    client.until("response.done");
    client.say("noise-clatter");
    client.until("conversation.item.input_audio_transcription.failed");
    client.until("response.done");
    Vec::new()
}

/// Function calls with their outputs; one call is cut short.
fn tools(client: &mut Rehearsal) -> Wrong {
    client.configure();
    client.send(&json!({ "type": "session.update", "session": { "type": "realtime", "tools": [
        { "type": "function", "name": "price_of", "description": "What a service costs.",
          "parameters": { "type": "object", "properties": { "service": { "type": "string" } } } },
        { "type": "function", "name": "insurers" },
    ] } }));
    client.say("caller-price");
    let done = client.until("response.done");
    for item in done["response"]["output"].as_array().into_iter().flatten() {
        if item["type"] == "function_call" {
            client.send(&json!({ "type": "conversation.item.create", "item": {
                "type": "function_call_output", "call_id": item["call_id"], "output": "{\"euros\": 60}",
            } }));
        }
    }
    client.send(&json!({ "type": "response.create" }));
    client.until("response.done");
    Vec::new()
}

/// Manual turns, and the buffer cleared.
fn by_hand(client: &mut Rehearsal) -> Wrong {
    client.send(&telephone(Value::Null));
    client.say("caller-hours");
    client.send(&json!({ "type": "input_audio_buffer.clear" }));
    client.say("caller-booking");
    client.send(&json!({ "type": "input_audio_buffer.commit", "event_id": "commit-1" }));
    client.send(&json!({ "type": "response.create", "response": {
        "metadata": { "turn": "1" }, "max_output_tokens": 400, "output_modalities": ["audio"],
    } }));
    client.until("response.output_audio.delta");
    client.send(&json!({ "type": "response.cancel" }));
    client.send(&json!({ "type": "session.update", "session": { "type": "realtime", "audio": {
        "input": { "transcription": { "model": "whisper-1", "language": "en" } },
    } } }));
    client.say("caller-name");
    client.send(&json!({ "type": "input_audio_buffer.commit" }));
    client.until("conversation.item.input_audio_transcription.completed");
    Vec::new()
}

/// Everything that is refused, and what idle callers are told.
fn edges(client: &mut Rehearsal) -> Wrong {
    client.send(&telephone(json!({ "type": "server_vad", "silence_duration_ms": 500, "idle_timeout_ms": 5000 })));
    let wrong = [
        json!({ "type": "response.cancel", "event_id": "needless" }),
        json!({ "type": "session.update", "session": { "output_modalities": ["audio"] } }),
        json!({ "type": "session.update", "session": { "type": "realtime", "audio": {
            "input": { "format": { "type": "audio/pcmu", "rate": 8000 } } } } }),
        json!({ "type": "input_audio_buffer.commit" }),
        json!({ "type": "conversation.item.truncate", "item_id": "item_none", "content_index": 0, "audio_end_ms": 1 }),
        json!({ "type": "no.such.event" }),
    ];
    for event in &wrong {
        client.send(event);
    }
    client.send(&json!({ "type": "response.create" }));
    client.until("response.done");
    client.until("input_audio_buffer.timeout_triggered");
    client.until("response.done");
    wrong.iter().map(Value::to_string).collect()
}

/// Meaning ends the turn.
fn semantic(client: &mut Rehearsal) -> Wrong {
    client.send(&telephone(json!({ "type": "semantic_vad", "eagerness": "low", "create_response": true })));
    client.say("caller-tuesday");
    client.until("response.done");
    Vec::new()
}

/// Items made by the client, and answers in text.
fn written(client: &mut Rehearsal) -> Wrong {
    client.send(&json!({ "type": "session.update", "session": { "type": "realtime", "output_modalities": ["text"] } }));
    let message = |id: &str, role: &str, kind: &str, text: &str| {
        json!({ "type": "conversation.item.create", "item": {
            "id": id, "type": "message", "role": role, "content": [{ "type": kind, "text": text }] } })
    };
    client.send(&message("item_a", "system", "input_text", "The caller was here before."));
    client.send(&message("item_b", "assistant", "output_text", "Riverside Clinic, good morning."));
    client.send(&message("item_c", "user", "input_text", "How much does a check-up cost?"));
    client.send(&json!({ "type": "conversation.item.create", "previous_item_id": "root", "item": {
        "id": "item_d", "type": "function_call", "name": "insurers", "call_id": "call_d", "arguments": "{}" } }));
    client.send(&json!({ "type": "conversation.item.create", "item": {
        "type": "function_call_output", "call_id": "call_d", "output": "[]" } }));
    client.send(&json!({ "type": "response.create", "response": {
        "conversation": "none", "input": [{ "type": "item_reference", "id": "item_c" }], "tool_choice": "none",
        "instructions": "Say: Thank you for calling. Goodbye.", "metadata": { "kind": "summary" },
    } }));
    client.until("response.done");
    client.send(&json!({ "type": "response.create" }));
    client.until("response.done");
    client.send(&json!({ "type": "conversation.item.delete", "item_id": "item_a" }));
    Vec::new()
}

/// A response that fails, and a session that expires.
fn failures(client: &mut Rehearsal) -> Wrong {
    client.configure();
    let event = json!({ "type": "response.create" });
    let answers = client.send(&event);
    assert!(answers.iter().any(|event| kind(event) == "response.done"), "the first response fails at once");
    client.send(&event);
    client.until("response.done");
    client.wait(Duration::from_secs(30));
    Vec::new()
}
