use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::agent::TurnDetection;

fn voice() -> VoicePlan {
    VoicePlan { provider: "openai".into(), model: None, voice: None, turn_detection: TurnDetection::default() }
}

fn openai() -> Box<dyn Codec> {
    codec("openai").unwrap()
}

fn written(command: ProviderCommand<'_>) -> Value {
    match openai().write(command) {
        Wire::Text(text) => serde_json::from_str(&text).unwrap(),
        wire @ (Wire::Binary(_) | Wire::Nothing) => panic!("{wire:?}"),
    }
}

#[test]
fn dialling() {
    let key = Secret::new("sk-test");
    let endpoints = Endpoints { openai_key: Some(key), openai_url: None };
    let request = dial(&voice(), &endpoints).unwrap();
    assert_eq!(request.url, "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1");
    assert_eq!(request.headers, [("authorization", Secret::new("Bearer sk-test"))]);
    let local = Endpoints { openai_url: Some("ws://127.0.0.1:9/v1/realtime?x=1".into()), ..endpoints.clone() };
    let odd = VoicePlan { model: Some("my model&call_id=1".into()), ..voice() };
    assert_eq!(dial(&odd, &local).unwrap().url, "ws://127.0.0.1:9/v1/realtime?x=1&model=my%20model%26call_id%3D1");
    assert_eq!(dial(&voice(), &Endpoints::default()), Err(DialError::NoKey));
    let named = |provider: &str| VoicePlan { provider: provider.into(), ..voice() };
    assert_eq!(dial(&named("echo"), &endpoints), Err(DialError::NoSocket));
    assert_eq!(dial(&named("nobody"), &endpoints), Err(DialError::UnknownProvider));
    assert!(codec("nobody").is_none());
}

#[test]
fn the_configuration_is_complete() {
    let setup = Setup {
        voice: &voice(),
        instructions: "Be \"brief\".",
        language: "en-US",
        transcription_model: "gpt-transcribe",
    };
    assert_eq!(
        written(ProviderCommand::Configure(setup)),
        json!({"type": "session.update", "event_id": "trunkline-configure", "session": {
            "type": "realtime",
            "output_modalities": ["audio"],
            "instructions": "Be \"brief\".",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcmu"},
                    "transcription": {"model": "gpt-transcribe", "language": "en"},
                    "turn_detection": {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300,
                        "silence_duration_ms": 500, "create_response": true, "interrupt_response": true},
                },
                "output": {"format": {"type": "audio/pcmu"}, "voice": "marin"},
            },
        }})
    );
    let semantic = VoicePlan {
        voice: Some("cedar".into()),
        turn_detection: TurnDetection::SemanticVad { eagerness: "low".into() },
        ..voice()
    };
    let session = written(ProviderCommand::Configure(Setup { voice: &semantic, language: "gsw-CH", ..setup }));
    assert_eq!(
        session["session"]["audio"]["input"]["turn_detection"],
        json!({"type": "semantic_vad", "eagerness": "low", "create_response": true, "interrupt_response": true})
    );
    assert_eq!(session["session"]["audio"]["input"]["transcription"], json!({"model": "gpt-transcribe"}));
    assert_eq!(session["session"]["audio"]["output"]["voice"], "cedar");
    let exact = VoicePlan {
        turn_detection: TurnDetection::ServerVad { threshold: 0.6, prefix_padding_ms: 0, silence_duration_ms: 100 },
        ..voice()
    };
    let session = written(ProviderCommand::Configure(Setup { voice: &exact, ..setup }));
    assert_eq!(session["session"]["audio"]["input"]["turn_detection"]["threshold"], json!(0.6));
}

#[test]
fn commands_as_the_reference_writes_them() {
    assert_eq!(
        openai().write(ProviderCommand::Hear("//8=")),
        Wire::Text(r#"{"type":"input_audio_buffer.append","audio":"//8="}"#.into())
    );
    let line = |speaker, text: &str| HeardLine { speaker, text: text.into() };
    let item = |role: &str, kind: &str, text: &str| {
        json!({"type": "conversation.item.create",
        "item": {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}})
    };
    for (command, expected) in [
        (ProviderCommand::Remember(&line(Speaker::Caller, "Hi\"")), item("user", "input_text", "Hi\"")),
        (ProviderCommand::Remember(&line(Speaker::Agent, "Hello")), item("assistant", "output_text", "Hello")),
        (ProviderCommand::Know("x"), item("system", "input_text", "x")),
        (ProviderCommand::Respond { what: Respond::Freely }, json!({"type": "response.create"})),
        (
            ProviderCommand::Respond { what: Respond::Following("Be back.") },
            json!({"type": "response.create", "response": {"instructions": "Be back."}}),
        ),
        (
            ProviderCommand::Respond { what: Respond::Saying("Good morning.") },
            json!({"type": "response.create", "response": {"instructions":
                "Say exactly the following to the caller, word for word, and nothing else:\nGood morning."}}),
        ),
        (ProviderCommand::Cancel { response: "resp_1" }, json!({"type": "response.cancel", "response_id": "resp_1"})),
        (
            ProviderCommand::Truncate { item: "item_\"1", content_index: 2, heard_ms: 640 },
            json!({"type": "conversation.item.truncate", "item_id": "item_\"1", "content_index": 2, "audio_end_ms": 640}),
        ),
        (
            ProviderCommand::AnswerTool { call: "call_1", output: "{}" },
            json!({"type": "conversation.item.create",
                "item": {"type": "function_call_output", "call_id": "call_1", "output": "{}"}}),
        ),
    ] {
        assert_eq!(written(command), expected);
    }
}

#[test]
fn audio_is_borrowed_in_its_usual_form_and_read_in_any() {
    let usual = r#"{"type":"response.output_audio.delta","event_id":"event_1","response_id":"resp_1","item_id":"item_1","output_index":0,"content_index":1,"delta":"//8="}"#;
    let Ok(ProviderEvent::Audio { response, item, content_index: 1, payload }) = openai().read(usual) else {
        panic!("not audio")
    };
    assert!(matches!(
        (&response, &item, &payload),
        (Cow::Borrowed("resp_1"), Cow::Borrowed("item_1"), Cow::Borrowed("//8="))
    ));
    for other in [
        r#"{"delta":"//8=","content_index":1,"item_id":"item_1","response_id":"resp_1","type":"response.output_audio.delta"}"#,
        r#"{ "type" : "response.output_audio.delta", "response_id":"resp_1","item_id":"item_1","content_index":1,"delta":"\/\/8=","x":{"y":["\""]}}"#,
        r#"{"type":"response.output\u005faudio.delta","response_id":"resp_1","item_id":"item_1","content_index":1,"delta":"//8="}"#,
    ] {
        assert_eq!(openai().read(other), openai().read(usual), "{other}");
    }
}

#[test]
fn malformed_known_kinds_are_typed_and_unknown_kinds_are_not_faults() {
    let long = "x".repeat(200);
    for (text, fault) in [
        ("", ProviderFault::Envelope),
        ("[]", ProviderFault::Envelope),
        ("{\"type\":1}", ProviderFault::Envelope),
        ("{\"type\":\"error\"}", ProviderFault::Content("error")),
        (r#"{"type":"response.created","response":{"id":7}}"#, ProviderFault::Content("response.created")),
        (r#"{"type":"response.done"}"#, ProviderFault::Content("response.done")),
        (
            r#"{"type":"response.output_audio.delta","response_id":"r","item_id":"i","content_index":-1,"delta":""}"#,
            ProviderFault::Content("response.output_audio.delta"),
        ),
        (
            r#"{"type":"response.output_audio.delta","response_id":"r","item_id":"i","content_index":0,"delta":"","delta":""}"#,
            ProviderFault::Content("response.output_audio.delta"),
        ),
        (
            &format!(
                r#"{{"type":"response.output_audio.delta","response_id":"r","item_id":"{long}","content_index":0,"delta":""}}"#
            ),
            ProviderFault::Content("response.output_audio.delta"),
        ),
        (
            r#"{"type":"input_audio_buffer.speech_started","audio_start_ms":1e400}"#,
            ProviderFault::Content("input_audio_buffer.speech_started"),
        ),
        (
            r#"{"type":"response.output_item.done","item":{"type":"function_call","status":"completed"}}"#,
            ProviderFault::Content("response.output_item.done"),
        ),
        (
            &format!(r#"{{"type":"session.updated","session":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000)),
            ProviderFault::Content("session.updated"),
        ),
    ] {
        assert_eq!(openai().read(text), Err(fault), "{}", text.get(..120).unwrap_or(text));
    }
    assert_eq!(openai().read(r#"{"type":"conversation.dreamt"}"#), Ok(ProviderEvent::Unknown));
    assert_eq!(openai().read_binary(b"{}"), Err(ProviderFault::Envelope));
}

#[test]
fn errors_by_what_must_be_done_about_them() {
    let error = |code: &str, event: Option<&str>, message: &str| {
        let text = json!({"type": "error", "error": {"type": "invalid_request_error", "code": code, "message": message,
            "event_id": event}});
        openai().read(&text.to_string()).map(|event| format!("{event:?}"))
    };
    for (code, event, message, expected) in [
        ("invalid_api_key", None, "Incorrect API key provided: sk-secret", r#"Refused { code: "invalid_api_key" }"#),
        ("Bad Thing sk-9!", Some("trunkline-configure"), "", r#"Refused { code: "adhingsk9" }"#),
        ("session_expired", None, "", "Expired"),
        ("conversation_already_has_active_response", None, "", "Complained(ResponseRuns)"),
        ("response_cancel_not_active", None, "", "Complained(Benign)"),
        ("invalid_value", None, "Audio content of 100ms is already shorter than 200ms", "Complained(Benign)"),
        ("invalid_value", None, "no", "Complained(Other)"),
    ] {
        assert_eq!(error(code, event, message).as_deref(), Ok(expected));
    }
    let nulls =
        r#"{"type":"error","error":{"type":"server_error","code":null,"message":"x","param":null,"event_id":null}}"#;
    assert_eq!(openai().read(nulls), Ok(ProviderEvent::Complained(Complaint::Other)));
}

#[test]
fn responses_by_how_they_ended() {
    let done = |status: Value, details: Value| {
        let text =
            json!({"type": "response.done", "response": {"id": "r", "status": status, "status_details": details}});
        match openai().read(&text.to_string()) {
            Ok(ProviderEvent::ResponseDone { outcome, .. }) => outcome,
            event => panic!("{event:?}"),
        }
    };
    let failed = |code: &str| json!({"type": "failed", "error": {"type": "x", "code": code}});
    assert_eq!(done(json!("completed"), Value::Null), ResponseOutcome::Completed);
    assert_eq!(done(json!("incomplete"), json!({"reason": "max_output_tokens"})), ResponseOutcome::Completed);
    assert_eq!(done(json!("cancelled"), json!({"reason": "turn_detected"})), ResponseOutcome::Cancelled);
    assert_eq!(done(json!("failed"), failed("rate_limit_exceeded")), ResponseOutcome::Failed);
    assert_eq!(done(json!("failed"), Value::Null), ResponseOutcome::Failed);
    assert_eq!(
        done(json!("failed"), failed("insufficient_quota")),
        ResponseOutcome::Refused { code: "insufficient_quota".into() }
    );
}

proptest! {
    #[test]
    fn any_text_is_borne(text in ".*") {
        let _ = openai().read(&text);
    }

    /// What scans as plain is what serde reads.
    #[test]
    fn both_readers_of_audio_agree(response in "[a-zA-Z_]{0,20}", item in "[ -~]{0,20}", index in any::<u32>(), payload in "[A-Za-z0-9+/]{0,40}") {
        let message = json!({"type": "response.output_audio.delta", "response_id": response, "item_id": item, "content_index": index, "delta": payload});
        let text = message.to_string();
        prop_assert_eq!(openai().read(&text), Ok(ProviderEvent::Audio {
            response: response.into(), item: item.into(), content_index: index, payload: payload.into(),
        }));
    }
}
