use super::*;

fn update(session: Value) -> Value {
    json!({ "type": "session.update", "event_id": "my-event", "session": session })
}

#[test]
fn the_first_event_is_the_default_session() {
    let client = Rehearsal::open(Options { unknown_event_every: 0, ..Options::default() });
    assert_eq!(client.kinds(), ["session.created", "conversation.created"]);
    let session = &client.events()[0]["session"];
    assert_eq!(session["type"], "realtime");
    assert_eq!(session["object"], "realtime.session");
    assert_eq!(session["model"], "gpt-realtime-2.1");
    assert_eq!(session["expires_at"], 1_795_000_000_u64 + 3600);
    assert_eq!(session["output_modalities"], json!(["audio"]));
    let pcm = json!({ "type": "audio/pcm", "rate": 24_000 });
    assert_eq!(session["audio"]["input"]["format"], pcm);
    assert_eq!(session["audio"]["output"], json!({ "format": pcm, "voice": "alloy", "speed": 1.0 }));
    assert_eq!(session["audio"]["input"]["transcription"], Value::Null);
    assert_eq!(session["audio"]["input"]["turn_detection"]["type"], "server_vad");
    assert_eq!(session["audio"]["input"]["turn_detection"]["silence_duration_ms"], 200);
}

#[test]
fn an_update_changes_what_it_names_and_nothing_else() {
    let mut client = Rehearsal::open(plain());
    let before = client.twin.session().clone();
    let answer = client.send(&update(json!({
        "type": "realtime", "instructions": "Be brief.",
        "audio": { "input": { "turn_detection": { "type": "server_vad", "threshold": 0.8 } } },
    })));
    assert_eq!(answer.iter().map(kind).collect::<Vec<_>>(), ["session.updated"]);
    let mut expected = before;
    expected["instructions"] = json!("Be brief.");
    expected["audio"]["input"]["turn_detection"]["threshold"] = json!(0.8);
    assert_eq!(answer[0]["session"], expected);

    let answer = client.send(&update(json!({
        "type": "realtime", "audio": { "input": { "turn_detection": { "type": "semantic_vad" } } },
    })));
    let semantic =
        json!({ "type": "semantic_vad", "eagerness": "auto", "create_response": true, "interrupt_response": true });
    assert_eq!(answer[0]["session"]["audio"]["input"]["turn_detection"], semantic);

    let off =
        update(json!({ "type": "realtime", "instructions": "", "audio": { "input": { "turn_detection": null } } }));
    let answer = client.send(&off);
    assert_eq!(answer[0]["session"]["audio"]["input"]["turn_detection"], Value::Null);
    assert_eq!(answer[0]["session"]["instructions"], "");
    assert_eq!(client.record().violations_total, 0);
}

/// Each of these is refused with its code and path, and leaves the defaults in place.
#[test]
fn what_the_documentation_forbids_is_refused() {
    let input = |input: Value| json!({ "type": "realtime", "audio": { "input": input } });
    let output = |output: Value| json!({ "type": "realtime", "audio": { "output": output } });
    let vad = |vad: Value| input(json!({ "turn_detection": vad }));
    let missing = "missing_required_parameter";
    let unknown = "unknown_parameter";
    let invalid = "invalid_value";
    let cases = [
        (json!({ "output_modalities": ["audio"] }), missing, "session.type"),
        (json!({ "type": "transcription" }), invalid, "session.type"),
        (json!({ "type": "realtime", "temperature": 0.8 }), unknown, "session.temperature"),
        (json!({ "type": "realtime", "modalities": ["audio", "text"] }), unknown, "session.modalities"),
        (json!({ "type": "realtime", "input_audio_format": "g711_ulaw" }), unknown, "session.input_audio_format"),
        (json!({ "type": "realtime", "turn_detection": null }), unknown, "session.turn_detection"),
        (json!({ "type": "realtime", "voice": "alloy" }), unknown, "session.voice"),
        (json!({ "type": "realtime", "output_modalities": ["audio", "text"] }), invalid, "session.output_modalities"),
        (json!({ "type": "realtime", "output_modalities": [] }), invalid, "session.output_modalities"),
        (json!({ "type": "realtime", "output_modalities": ["video"] }), invalid, "session.output_modalities[0]"),
        (json!({ "type": "realtime", "instructions": 7 }), "invalid_type", "session.instructions"),
        (json!({ "type": "realtime", "max_output_tokens": 4097 }), invalid, "session.max_output_tokens"),
        (json!({ "type": "realtime", "max_output_tokens": 0 }), invalid, "session.max_output_tokens"),
        (json!({ "type": "realtime", "max_output_tokens": "all" }), invalid, "session.max_output_tokens"),
        (json!({ "type": "realtime", "model": "gpt-realtime-2" }), invalid, "session.model"),
        (json!({ "type": "realtime", "truncation": "sometimes" }), invalid, "session.truncation"),
        (
            json!({ "type": "realtime", "truncation": { "type": "retention_ratio", "retention_ratio": 1.5 } }),
            invalid,
            "session.truncation.retention_ratio",
        ),
        (
            input(json!({ "format": { "type": "audio/pcmu", "rate": 8000 } })),
            unknown,
            "session.audio.input.format.rate",
        ),
        (input(json!({ "format": { "type": "audio/pcm" } })), missing, "session.audio.input.format.rate"),
        (
            input(json!({ "format": { "type": "audio/pcm", "rate": 16000 } })),
            invalid,
            "session.audio.input.format.rate",
        ),
        (input(json!({ "format": "g711_ulaw" })), "invalid_type", "session.audio.input.format"),
        (
            output(json!({ "format": { "type": "audio/pcmu", "rate": 8000 } })),
            unknown,
            "session.audio.output.format.rate",
        ),
        (output(json!({ "voice": "siri" })), invalid, "session.audio.output.voice"),
        (output(json!({ "speed": 2.0 })), invalid, "session.audio.output.speed"),
        (input(json!({ "noise_reduction": { "type": "loud" } })), invalid, "session.audio.input.noise_reduction.type"),
        (
            vad(json!({ "type": "server_vad", "threshold": 1.01 })),
            invalid,
            "session.audio.input.turn_detection.threshold",
        ),
        (
            vad(json!({ "type": "server_vad", "idle_timeout_ms": 4999 })),
            invalid,
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (
            vad(json!({ "type": "server_vad", "idle_timeout_ms": 30001 })),
            invalid,
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (
            vad(json!({ "type": "semantic_vad", "idle_timeout_ms": 6000 })),
            unknown,
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (
            vad(json!({ "type": "semantic_vad", "threshold": 0.5 })),
            unknown,
            "session.audio.input.turn_detection.threshold",
        ),
        (
            vad(json!({ "type": "server_vad", "prefix_padding_ms": 0.5 })),
            "invalid_type",
            "session.audio.input.turn_detection.prefix_padding_ms",
        ),
        (vad(json!({ "threshold": 0.5 })), missing, "session.audio.input.turn_detection.type"),
        (
            json!({ "type": "realtime", "tools": [{ "type": "function", "function": { "name": "f" } }] }),
            unknown,
            "session.tools[0].function",
        ),
        (json!({ "type": "realtime", "tools": [{ "type": "function" }] }), missing, "session.tools[0].name"),
        (json!({ "type": "realtime", "tool_choice": "sometimes" }), invalid, "session.tool_choice"),
    ];
    for (session, error, param) in cases {
        let mut client = Rehearsal::open(plain());
        let before = client.twin.session().clone();
        let answer = client.send(&update(session.clone()));
        assert_eq!(refused(&answer), code_at(error, param), "{session}");
        assert_eq!(answer[0]["error"]["event_id"], "my-event");
        assert_eq!(*client.twin.session(), before, "nothing is changed by {session}");
        assert_eq!(client.record().violation_codes(), [error]);
    }
}

#[test]
fn reasoning_is_for_reasoning_models_and_the_whole_update_is_refused() {
    let with_reasoning =
        update(json!({ "type": "realtime", "instructions": "Think.", "reasoning": { "effort": "low" } }));
    for (model, takes) in [
        ("gpt-realtime-2", true),
        ("gpt-realtime-2.1", true),
        ("gpt-realtime-2.1-mini", true),
        ("gpt-realtime", false),
        ("gpt-realtime-1.5", false),
        ("gpt-realtime-2025-08-28", false),
        ("gpt-realtime-mini", false),
    ] {
        let mut client = Rehearsal::open_as(plain(), 1, model);
        let answer = client.send(&with_reasoning);
        assert_eq!(kind(&answer[0]) == "session.updated", takes, "{model}");
        assert_eq!(client.twin.session()["instructions"] == "Think.", takes, "{model}");
    }
}

#[test]
fn the_voice_is_settled_once_it_was_heard_and_the_speed_while_it_is() {
    let mut client = telephoned(plain());
    client.send(&json!({ "type": "response.create" }));
    client.until("response.output_audio.delta");
    let speed = update(json!({ "type": "realtime", "audio": { "output": { "speed": 1.2 } } }));
    assert_eq!(refused(&client.send(&speed)), code_at("invalid_value", "session.audio.output.speed"));
    client.until("response.done");
    assert_eq!(kind(&client.send(&speed)[0]), "session.updated");
    let voice = |voice: &str| update(json!({ "type": "realtime", "audio": { "output": { "voice": voice } } }));
    assert_eq!(refused(&client.send(&voice("cedar"))), code("cannot_update_voice"));
    assert_eq!(kind(&client.send(&voice("marin"))[0]), "session.updated", "the same voice is no change");
}

#[test]
fn tracing_cannot_be_changed_once_it_is_on() {
    let mut client = Rehearsal::open(plain());
    let tracing = |tracing: Value| update(json!({ "type": "realtime", "tracing": tracing }));
    assert_eq!(kind(&client.send(&tracing(json!("auto")))[0]), "session.updated");
    assert_eq!(refused(&client.send(&tracing(Value::Null))), code_at("invalid_value", "session.tracing"));
}

#[test]
fn messages_that_are_no_events_are_refused_and_the_session_stays() {
    let mut client = Rehearsal::open(plain());
    let mut refuse = |text: &str| refused(&client.send_text(text));
    assert_eq!(refuse("{"), code("invalid_json"));
    assert_eq!(refuse("[]"), code_at("invalid_type", ""));
    assert_eq!(refuse("{}"), code_at("missing_required_parameter", "type"));
    assert_eq!(refuse("{\"type\":7}"), code_at("invalid_type", "type"));
    assert_eq!(refuse("{\"type\":\"response.truncate\"}"), code_at("invalid_value", "type"));
    assert_eq!(refuse("{\"type\":\"session.update\"}"), code_at("missing_required_parameter", "session"));
    assert_eq!(refuse("{\"type\":\"response.cancel\",\"why\":\"because\"}"), code_at("unknown_parameter", "why"));
    assert_eq!(refuse("{\"type\":\"output_audio_buffer.clear\"}"), code_at("invalid_value", "type"));
    let binary = client.twin.handle_binary(std::time::Duration::ZERO);
    assert_eq!(binary.len(), 1);
    assert_eq!(client.record().violations_total, 9);
    assert!(!client.twin.is_over());
}

#[test]
fn one_seed_gives_the_same_conversation_again() {
    let play = || {
        let mut client = Rehearsal::open(Options::default());
        client.configure();
        client.send(&json!({ "type": "response.create" }));
        client.until("response.done");
        client.say("caller-booking");
        client.until("response.done");
        client.events().into_iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(play(), play());
    let other = Rehearsal::open(Options { seed: 2, ..Options::default() });
    assert_ne!(other.events()[0], &play()[0]);
}
