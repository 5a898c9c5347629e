use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::provider::openai::{Keep, Output};

/// Any JSON, shallow enough to be quick.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop_oneof![Just("audio"), Just("text"), Just("realtime"), Just("server_vad"), Just("message"), Just("user")]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(field(), inner, 0..5).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("type"),
        Just("session"),
        Just("audio"),
        Just("input"),
        Just("output"),
        Just("format"),
        Just("rate"),
        Just("turn_detection"),
        Just("item"),
        Just("id"),
        Just("item_id"),
        Just("content"),
        Just("content_index"),
        Just("audio_end_ms"),
        Just("response"),
        Just("event_id"),
        Just("previous_item_id"),
        Just("stranger"),
    ]
    .prop_map(str::to_owned)
}

/// Client events that are nearly right.
fn any_event() -> impl Strategy<Value = Value> {
    let kinds = prop_oneof![
        Just("session.update"),
        Just("input_audio_buffer.append"),
        Just("input_audio_buffer.commit"),
        Just("input_audio_buffer.clear"),
        Just("conversation.item.create"),
        Just("conversation.item.retrieve"),
        Just("conversation.item.truncate"),
        Just("conversation.item.delete"),
        Just("response.create"),
        Just("response.cancel"),
        Just("output_audio_buffer.clear"),
        Just("something.else"),
    ];
    (kinds, proptest::collection::hash_map(field(), any_json(), 0..4)).prop_map(|(kind, fields)| {
        let mut event: serde_json::Map<String, Value> = fields.into_iter().collect();
        event.insert("type".to_owned(), json!(kind));
        Value::Object(event)
    })
}

/// Client events of the right shape; `SPOKEN` stands for the item that is being spoken.
fn right_event() -> impl Strategy<Value = Value> {
    let id = prop_oneof![3 => Just("SPOKEN".to_owned()), 1 => "[ab]{1,2}"];
    let vad = prop_oneof![
        Just(Value::Null),
        (0.0..1.0_f64, 0..900_u64).prop_map(|(threshold, silence)| {
            json!({ "type": "server_vad", "threshold": threshold, "silence_duration_ms": silence })
        }),
        Just(json!({ "type": "semantic_vad" })),
    ];
    let format = prop_oneof![
        Just(json!({ "type": "audio/pcmu" })),
        Just(json!({ "type": "audio/pcm", "rate": 24_000 })),
        Just(json!({ "type": "audio/pcma" })),
    ];
    prop_oneof![
        (id.clone(), 0..2_u64, 0..3000_u64).prop_map(|(id, index, end)| {
            json!({ "type": "conversation.item.truncate", "item_id": id, "content_index": index, "audio_end_ms": end })
        }),
        id.clone().prop_map(|id| json!({ "type": "conversation.item.retrieve", "item_id": id })),
        id.clone().prop_map(|id| json!({ "type": "conversation.item.delete", "item_id": id })),
        (id, "[a-z ]{0,20}").prop_map(|(id, text)| {
            json!({ "type": "conversation.item.create", "item": { "id": id, "type": "message", "role": "user",
                "content": [{ "type": "input_text", "text": text }] } })
        }),
        (vad, format).prop_map(|(vad, format)| {
            json!({ "type": "session.update", "session": { "type": "realtime",
                "audio": { "input": { "turn_detection": vad, "format": format } } } })
        }),
        proptest::collection::vec(any::<u8>(), 0..4000)
            .prop_map(|audio| { json!({ "type": "input_audio_buffer.append", "audio": STANDARD.encode(audio) }) }),
        Just(json!({ "type": "input_audio_buffer.commit" })),
        Just(json!({ "type": "input_audio_buffer.clear" })),
        Just(json!({ "type": "response.create" })),
        Just(json!({ "type": "response.create", "response": { "conversation": "none" } })),
        Just(json!({ "type": "response.cancel" })),
    ]
}

/// What a client can see of a session's state.
fn state(client: &Rehearsal) -> (Value, usize, usize, bool, u64) {
    let record = client.record();
    let items = (record.items.len(), record.turns.len());
    (client.twin.session().clone(), items.0, items.1, client.twin.is_responding(), record.input_bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Whatever arrives: no panic; whatever is refused changes nothing; exactly one error names each refusal.
    #[test]
    fn a_refused_event_changes_nothing(
        events in proptest::collection::vec(
            prop_oneof![3 => any_event(), 1 => any_json(), 4 => right_event()], 1..12),
        wait_ms in 200..1500_u64,
    ) {
        let mut client = telephoned(plain());
        client.send(&json!({ "type": "response.create" }));
        client.wait(Duration::from_millis(wait_ms));
        let spoken = client.record().items.first().map(|item| item.item_id.clone());
        for mut event in events {
            if let (Some(spoken), Some(id)) = (&spoken, event.get_mut("item_id"))
                && id == "SPOKEN"
            {
                *id = json!(spoken);
            }
            let before = state(&client);
            let errors = client.record().violations_total;
            let answer = client.send(&event);
            if answer.iter().any(|answer| kind(answer) == "error") {
                prop_assert_eq!(answer.len(), 1);
                prop_assert_eq!(client.record().violations_total, errors + 1);
                prop_assert_eq!(state(&client), before);
                let echoed = &answer[0]["error"]["event_id"];
                prop_assert!(echoed.is_null() || echoed == &event["event_id"]);
            }
        }
    }

    /// Text that is not JSON, or JSON cut off anywhere, is one error.
    #[test]
    fn broken_text_is_one_error(text in "\\PC{0,80}", cut in 0..200_usize) {
        let mut client = telephoned(plain());
        let whole = telephone(Value::Null).to_string();
        for text in [text.as_str(), &whole[..cut.min(whole.len() - 1)]] {
            let answer = client.send_text(text);
            prop_assert!(answer.iter().all(|event| kind(event) == "error"), "{answer:?}");
            prop_assert_eq!(answer.len(), 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Interrupted at any moment with any pace: the deltas of an item are a beginning of its recording, nothing else of it
    /// follows, and truncating at any point up to what was sent is right while one further is not.
    #[test]
    fn interrupted_anywhere_the_books_balance(
        seed in any::<u64>(),
        speed in 1.0..20.0_f64,
        chunk in 20..500_u32,
        wait_ms in 0..3000_u64,
        heard in 0.0..1.0_f64,
    ) {
        let mut client = telephoned(Options { seed, speed, chunks_ms: vec![chunk], keep: Keep::Events, ..plain() });
        client.say("caller-hours");
        client.until("response.created");
        client.silence(wait_ms as usize);
        client.say("caller-interrupts");
        client.until("response.created");
        client.until("response.done");
        client.wait(Duration::from_secs(1));
        let record = client.record().clone();
        let item = &record.items[0];
        // Interrupted before its first sound, the long answer has no item and the next one is the first.
        let library = crate::speech::Library::embedded();
        let whole = library.get(&item.recordings.concat()).expect("a line").audio();
        prop_assert_eq!(&item.audio[..], &whole[..item.audio_bytes]);
        prop_assert_eq!(item.complete, item.audio_bytes == whole.len() && item.cancelled_at_bytes.is_none());
        let sent_ms = (item.audio_bytes / 8) as u64;
        let end = (heard * sent_ms as f64) as u64;
        let truncate = |ms: u64| json!({
            "type": "conversation.item.truncate", "item_id": item.item_id, "content_index": 0, "audio_end_ms": ms });
        let too_far = client.send(&truncate(sent_ms + 1));
        prop_assert_eq!(refused(&too_far).0, "invalid_value");
        let truncated = client.send(&truncate(end));
        prop_assert_eq!(kind(&truncated[0]), "conversation.item.truncated");
    }

    /// A twin whose driver is late does the same things, in the same order, as one that is driven on time.
    #[test]
    fn a_late_driver_gets_the_same_events(seed in any::<u64>(), step_ms in 1..700_u64) {
        let options = Options { seed, ..Options::default() };
        let mut prompt = Rehearsal::open(options.clone());
        let mut late = Rehearsal::open(options);
        for client in [&mut prompt, &mut late] {
            client.configure();
            client.send(&json!({ "type": "response.create" }));
        }
        prompt.wait(Duration::from_secs(10));
        let mut texts = Vec::new();
        let mut now = Duration::ZERO;
        while now < Duration::from_secs(10) {
            now += Duration::from_millis(step_ms);
            for output in late.twin.handle_timeout(now) {
                if let Output::Text(text) = output {
                    texts.push(serde_json::from_str::<Value>(&text).expect("JSON"));
                }
            }
        }
        let begun = late.events().len();
        let expected: Vec<Value> = prompt.events()[begun..].iter().map(|event| (*event).clone()).collect();
        prop_assert_eq!(texts, expected);
    }
}
