use super::*;
use crate::provider::openai::{Answer, Format, LateDeltas, Script, ToolCall, expected_audio};
use crate::speech::Library;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

fn audio(events: &[&Value]) -> Vec<u8> {
    events
        .iter()
        .filter(|event| kind(event) == "response.output_audio.delta")
        .flat_map(|event| STANDARD.decode(event["delta"].as_str().unwrap_or_default()).unwrap_or_default())
        .collect()
}

fn text(events: &[&Value], wanted: &str) -> String {
    events.iter().filter(|event| kind(event) == wanted).filter_map(|event| event["delta"].as_str()).collect()
}

#[test]
fn a_greeting_is_every_byte_of_its_recording_faster_than_it_sounds() {
    let mut client = telephoned(Options { speed: 5.0, ..plain() });
    let created = client.send(&json!({ "type": "response.create", "response": {
        "instructions": "Say: \"Riverside Clinic, good morning. How can I help you?\"" } }));
    assert_eq!(created.iter().map(kind).collect::<Vec<_>>(), ["response.created", "rate_limits.updated"]);
    assert_eq!(created[0]["response"]["status"], "in_progress");
    let begun = client.now_ms();
    let done = client.until("response.done");
    let greeting = Library::embedded().get("agent-greeting").expect("a line");
    assert_eq!(audio(&client.events()), greeting.audio());
    assert_eq!(text(&client.events(), "response.output_audio_transcript.delta"), greeting.text());
    let took = client.latest_ms("response.done").expect("it came") - begun;
    let expected = 250 + u64::from(greeting.duration_ms()) / 5;
    assert!((expected - 20..=expected + 20).contains(&took), "{took} instead of {expected}");
    let response = &done["response"];
    assert_eq!(response["status"], "completed");
    assert_eq!(response["output"][0]["content"], json!([{ "type": "output_audio", "transcript": greeting.text() }]));
    assert_eq!(response["usage"]["output_token_details"]["audio_tokens"], u64::from(greeting.duration_ms()) / 50);
    let sums = |whole: &str, parts: [&str; 2]| {
        assert_eq!(
            response["usage"][whole].as_u64(),
            parts.iter().map(|part| response["usage"][*part].as_u64()).sum::<Option<u64>>()
        );
    };
    sums("total_tokens", ["input_tokens", "output_tokens"]);
    let item = client.record().item(response["output"][0]["id"].as_str().expect("an id")).expect("recorded").clone();
    assert_eq!(item.audio, expected_audio(&[greeting], Format::Pcmu));
    assert!(item.complete);
    assert_eq!(item.truncated_to_ms, None);
}

#[test]
fn the_format_is_the_sessions() {
    let greeting = Library::embedded().get("agent-greeting").expect("a line");
    let mut client = Rehearsal::open(plain());
    client.send(&json!({ "type": "response.create" }));
    client.until("response.done");
    assert_eq!(audio(&client.events()).len(), greeting.audio().len() * 6, "24 kHz, 16 bits, by default");
    let mut client = telephoned(plain());
    client.send(&json!({ "type": "response.create", "response": {
        "audio": { "output": { "format": { "type": "audio/pcma" } } } } }));
    client.until("response.done");
    assert_eq!(audio(&client.events()), expected_audio(&[greeting], Format::Pcma), "a response may have its own");
}

#[test]
fn speech_over_an_answer_cancels_it_and_late_deltas_still_come() {
    let late = LateDeltas { before_done: 1, after_done: 2 };
    let mut client = telephoned(Options { late_deltas: late, chunks_ms: vec![100], speed: 4.0, ..plain() });
    client.say("caller-hours");
    client.until("response.output_audio.delta");
    client.forget();
    client.say("caller-interrupts");
    client.silence(100);
    let kinds: Vec<&str> =
        client.kinds().into_iter().skip_while(|kind| *kind != "input_audio_buffer.speech_started").collect();
    assert_eq!(
        kinds[..10],
        [
            "input_audio_buffer.speech_started",
            "response.output_audio.delta",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "response.output_audio.delta",
            "response.output_audio.delta",
        ]
    );
    assert_eq!(kinds.len(), 10, "and then nothing more of it: {kinds:?}");
    let done = &client.latest("response.done").expect("it came")["response"];
    assert_eq!(done["status"], "cancelled");
    assert_eq!(done["status_details"], json!({ "type": "cancelled", "reason": "turn_detected" }));
    assert_eq!(done["output"][0]["status"], "incomplete");
    let item = client.record().items[0].clone();
    let whole = Library::embedded().get("agent-hours").expect("a line").audio();
    assert!(item.audio_bytes < whole.len() / 2);
    assert_eq!(item.audio, whole[..item.audio_bytes], "late deltas go on where the answer was cut");
    assert_eq!(item.cancelled_at_bytes, Some(item.audio_bytes - 3 * 800));
    client.until("response.done");
    assert_eq!(client.record().items[1].recordings, ["agent-go-ahead"]);
}

#[test]
fn an_answer_interrupted_before_its_first_sound_has_no_item() {
    let mut client = telephoned(Options { first_audio_ms: 5_000, ..plain() });
    client.send(&json!({ "type": "response.create" }));
    client.say("caller-booking");
    let done = client.latest("response.done").expect("cancelled");
    assert_eq!(done["response"]["status"], "cancelled");
    assert_eq!(done["response"]["output"], json!([]));
    assert_eq!(client.record().items.len(), 0);
}

#[test]
fn without_interruption_the_answer_runs_on_and_the_second_is_refused() {
    let mut client = Rehearsal::open(Options { speed: 1.0, ..plain() });
    client.send(&telephone(json!({
        "type": "server_vad", "silence_duration_ms": 500, "interrupt_response": false,
    })));
    client.say("caller-hours");
    client.until("response.output_audio.delta");
    client.forget();
    client.say("caller-interrupts");
    let error = client.until("error");
    assert_eq!(error["error"]["code"], "conversation_already_has_active_response");
    assert_eq!(error["error"]["event_id"], Value::Null, "no event of the client's is to blame");
    assert_eq!(client.record().violations_total, 0);
    client.until("response.done");
    assert_eq!(client.record().responses[0].status, "completed");
}

#[test]
fn only_what_runs_can_be_cancelled_and_only_one_may_run() {
    let mut client = telephoned(plain());
    let cancel = json!({ "type": "response.cancel", "event_id": "mine" });
    let needless = client.send(&cancel);
    assert_eq!(refused(&needless), code("response_cancel_not_active"));
    assert_eq!(needless[0]["error"]["event_id"], "mine");
    client.send(&json!({ "type": "response.create" }));
    let create = json!({ "type": "response.create" });
    assert_eq!(refused(&client.send(&create)), code("conversation_already_has_active_response"));
    client.until("response.output_audio.delta");
    let other = json!({ "type": "response.cancel", "response_id": "resp_other" });
    assert_eq!(refused(&client.send(&other)), code("response_cancel_not_active"));
    let answer = client.send(&cancel);
    let done = answer.last().expect("an answer");
    assert_eq!(kind(done), "response.done");
    assert_eq!(done["response"]["status_details"], json!({ "type": "cancelled", "reason": "client_cancelled" }));
    assert_eq!(kind(&client.send(&create)[0]), "response.created", "now another may run");
}

#[test]
fn a_response_beside_the_conversation_leaves_it_alone() {
    let mut client = telephoned(plain());
    client.send(&json!({ "type": "response.create" }));
    let beside = json!({ "type": "response.create", "response": {
        "conversation": "none", "output_modalities": ["text"], "metadata": { "topic": "summary" },
        "instructions": "Say: Thank you for calling. Goodbye.",
    } });
    let created = client.send(&beside);
    assert_eq!(created[0]["response"]["conversation_id"], Value::Null);
    assert_eq!(created[0]["response"]["metadata"], json!({ "topic": "summary" }));
    client.until("response.done");
    assert_eq!(text(&client.events(), "response.output_text.delta"), "Thank you for calling. Goodbye.");
    client.until("response.done");
    let added = client.kinds().into_iter().filter(|kind| *kind == "conversation.item.added").count();
    assert_eq!(added, 1, "only the greeting");
}

#[test]
fn metadata_and_its_limits() {
    let mut client = telephoned(plain());
    let create = |metadata: Value| json!({ "type": "response.create", "response": { "metadata": metadata } });
    let many: Value = (0..17).map(|n| (n.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(refused(&client.send(&create(many))), code_at("invalid_value", "response.metadata"));
    let long = json!({ "k": "x".repeat(513) });
    assert_eq!(refused(&client.send(&create(long))), code_at("string_above_max_length", "response.metadata.k"));
    let both = json!({ "type": "response.create", "response": { "output_modalities": ["text", "audio"] } });
    assert_eq!(refused(&client.send(&both)), code_at("invalid_value", "response.output_modalities"));
    let reference =
        json!({ "type": "response.create", "response": { "input": [{ "type": "item_reference", "id": "no" }] } });
    assert_eq!(refused(&client.send(&reference)), code_at("invalid_value", "response.input[0].id"));
}

fn tool_script() -> Script {
    let tool = |name: &str, arguments: &str| ToolCall { name: name.to_owned(), arguments: arguments.to_owned() };
    Script {
        answers: vec![
            Answer {
                heard: "caller-price".to_owned(),
                say: vec!["agent-one-moment".to_owned()],
                tools: vec![tool("price_of", "{\"service\": \"check-up\"}"), tool("insurers", "{}")],
                then: vec!["agent-price".to_owned()],
                ..Answer::default()
            },
            Answer {
                heard: "caller-booking".to_owned(),
                say: vec!["agent-which-day".to_owned(), "agent-still-there".to_owned()],
                separate_items: true,
                ..Answer::default()
            },
        ],
        ..Script::default()
    }
}

#[test]
fn function_calls_are_streamed_awaited_and_spoken_about() {
    let mut client = telephoned(Options { script: tool_script(), ..plain() });
    let output = |call_id: &Value| {
        json!({ "type": "conversation.item.create", "item": {
            "type": "function_call_output", "call_id": call_id, "output": "{}" } })
    };
    client.send(&json!({ "type": "session.update", "session": { "type": "realtime", "tools": [
        { "type": "function", "name": "price_of" }, { "type": "function", "name": "insurers" } ] } }));
    assert_eq!(refused(&client.send(&output(&json!("call_unknown")))), code_at("invalid_tool_call_id", "item.call_id"));
    client.say("caller-price");
    let done = client.until("response.done");
    let items = done["response"]["output"].as_array().expect("a list").clone();
    let kinds: Vec<_> = items.iter().map(|item| item["type"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["message", "function_call", "function_call"]);
    assert_eq!(items[1]["arguments"], "{\"service\": \"check-up\"}");
    assert_eq!(items[1]["status"], "completed");
    let streamed: String = client
        .events()
        .iter()
        .filter(|event| kind(event) == "response.function_call_arguments.delta" && event["item_id"] == items[1]["id"])
        .filter_map(|event| event["delta"].as_str())
        .collect();
    assert_eq!(streamed, "{\"service\": \"check-up\"}");

    client.send(&output(&items[1]["call_id"]));
    assert_eq!(
        refused(&client.send(&output(&items[1]["call_id"]))),
        code_at("invalid_tool_call_id", "item.call_id"),
        "one output each"
    );
    client.silence(1000);
    client.send(&output(&items[2]["call_id"]));
    client.send(&json!({ "type": "response.create" }));
    client.until("response.done");
    let said: Vec<_> = client.record().items.iter().map(|item| item.recordings.concat()).collect();
    assert_eq!(said, ["agent-one-moment", "agent-price"]);
    let outputs: Vec<_> = client.record().tool_outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(outputs, ["price_of", "insurers"]);
}

#[test]
fn asking_for_a_response_before_the_outputs_is_noted_and_so_is_a_tool_that_is_not_offered() {
    let mut client = telephoned(Options { script: tool_script(), ..plain() });
    client.send(&json!({ "type": "session.update", "session": { "type": "realtime", "tools": [
        { "type": "function", "name": "price_of" } ] } }));
    client.say("caller-price");
    client.until("response.done");
    client.send(&json!({ "type": "response.create" }));
    client.until("response.done");
    assert_eq!(client.record().violation_codes(), ["tool_not_declared", "tool_output_missing"]);
}

#[test]
fn one_response_may_hold_two_audio_items() {
    let mut client = telephoned(Options { script: tool_script(), ..plain() });
    client.say("caller-booking");
    let done = client.until("response.done");
    let items = done["response"]["output"].as_array().expect("a list");
    assert_eq!(items.len(), 2);
    assert_ne!(items[0]["id"], items[1]["id"]);
    let deltas: Vec<_> =
        client.events().into_iter().filter(|event| kind(event) == "response.output_audio.delta").collect();
    assert!(deltas.iter().any(|delta| delta["output_index"] == 1 && delta["item_id"] == items[1]["id"]));
    assert_eq!(client.record().items.len(), 2);
}

#[test]
fn the_same_question_gets_the_next_answer() {
    let answer = |say: &str| Answer { heard: "caller-yes".to_owned(), say: vec![say.to_owned()], ..Answer::default() };
    let script = Script { answers: vec![answer("agent-booked"), answer("agent-goodbye")], ..Script::default() };
    let mut client = telephoned(Options { script, ..plain() });
    for _ in 0..3 {
        client.say("caller-yes");
        client.until("response.done");
        client.silence(1000);
    }
    let said: Vec<_> = client.record().items.iter().map(|item| item.recordings.concat()).collect();
    assert_eq!(said, ["agent-booked", "agent-goodbye", "agent-goodbye"]);
}

#[test]
fn scripts_that_cannot_work_are_named() {
    let library = Library::embedded();
    assert_eq!(Options::default().check(library), Ok(()));
    assert_eq!(Options::echo().check(library), Ok(()));
    let script = Script { greeting: vec!["agent-sings".to_owned()], ..Script::default() };
    let error = Options { script, ..Options::default() }.check(library).expect_err("unknown");
    assert_eq!(error.to_string(), "no recording is called `agent-sings`");
    let script =
        Script { answers: vec![Answer { heard: "caller-yes".to_owned(), ..Answer::default() }], ..Script::default() };
    assert!(Options { script, ..Options::default() }.check(library).is_err());
    for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Options { speed, ..Options::default() }.check(library).is_err());
    }
    for chunks_ms in [vec![], vec![100, 0]] {
        assert!(Options { chunks_ms, ..Options::default() }.check(library).is_err());
    }
}

#[test]
fn unknown_events_are_sprinkled_in() {
    let mut client = Rehearsal::open(Options { unknown_event_every: 3, ..Options::default() });
    client.configure();
    client.send(&json!({ "type": "response.create" }));
    client.until("response.done");
    let unknown =
        client.kinds().into_iter().filter(|kind| !crate::provider::openai::SERVER_EVENTS.contains(kind)).count();
    assert!(unknown > 3, "{:?}", client.kinds());
}
