use super::*;

fn message(id: &str, role: &str, content: Value) -> Value {
    json!({ "type": "conversation.item.create", "item": {
        "id": id, "type": "message", "role": role, "content": [content] } })
}

fn text(id: &str, role: &str, words: &str) -> Value {
    let kind = if role == "assistant" { "output_text" } else { "input_text" };
    message(id, role, json!({ "type": kind, "text": words }))
}

fn truncate(item_id: &str, content_index: i64, audio_end_ms: i64) -> Value {
    json!({ "type": "conversation.item.truncate", "item_id": item_id, "content_index": content_index,
            "audio_end_ms": audio_end_ms })
}

#[test]
fn items_are_added_where_they_are_wanted() {
    let mut client = telephoned(plain());
    let mut previous = |event: &Value| {
        let answer = client.send(event);
        assert_eq!(
            answer.iter().map(kind).collect::<Vec<_>>(),
            ["conversation.item.added", "conversation.item.done"],
            "{answer:?}"
        );
        assert_eq!(answer[0]["item"]["object"], "realtime.item");
        answer[0]["previous_item_id"].clone()
    };
    assert_eq!(previous(&text("a", "system", "Be kind.")), Value::Null);
    assert_eq!(previous(&text("b", "assistant", "Hello.")), "a");
    let mut first = text("c", "user", "Hello?");
    first["previous_item_id"] = json!("root");
    assert_eq!(previous(&first), Value::Null);
    let mut between = text("d", "user", "And?");
    between["previous_item_id"] = json!("a");
    assert_eq!(previous(&between), "a");
    assert_eq!(
        refused(&client.send(&text("b", "user", "Again."))),
        code_at("item_create_duplicate_item_id", "item.id")
    );
    let mut nowhere = text("e", "user", "Where?");
    nowhere["previous_item_id"] = json!("nothing");
    assert_eq!(refused(&client.send(&nowhere)), code_at("item_create_invalid_previous_item_id", "previous_item_id"));
}

#[test]
fn items_of_the_wrong_shape_are_refused() {
    let mut client = telephoned(plain());
    let mut refuse = |event: &Value| refused(&client.send(event));
    let old = message("a", "user", json!({ "type": "text", "text": "Beta." }));
    assert_eq!(refuse(&old), code_at("invalid_value", "item.content[0].type"));
    let wrong = message("a", "assistant", json!({ "type": "input_text", "text": "Mine?" }));
    assert_eq!(refuse(&wrong), code_at("invalid_value", "item.content[0].type"));
    let audio = message("a", "assistant", json!({ "type": "output_audio", "transcript": "Hello.", "audio": null }));
    assert_eq!(refuse(&audio), code_at("missing_required_parameter", "item.content[0].text"), "no injected speech");
    let long = text(&"i".repeat(65), "user", "Hello.");
    assert_eq!(refuse(&long), code_at("string_above_max_length", "item.id"));
    let output = json!({ "type": "conversation.item.create", "item": {
        "type": "function_call_output", "call_id": "c", "output": { "not": "text" } } });
    assert_eq!(refuse(&output), code_at("invalid_type", "item.output"));
    let unknown = json!({ "type": "conversation.item.create", "item": { "type": "item_reference", "id": "a" } });
    assert_eq!(refuse(&unknown), code_at("invalid_value", "item.type"));
}

#[test]
fn what_a_client_writes_is_answered_as_if_it_was_said() {
    let mut client = telephoned(plain());
    client.send(&text("a", "user", "What I want to know: how much does a check-up cost?"));
    client.send(&json!({ "type": "response.create" }));
    client.until("response.done");
    client.send(&text("b", "system", "Now tell the caller: \"Thank you for calling. Goodbye.\""));
    client.send(&json!({ "type": "response.create" }));
    client.until("response.done");
    let said: Vec<_> = client.record().items.iter().map(|item| item.recordings.concat()).collect();
    assert_eq!(said, ["agent-price", "agent-goodbye"]);
}

#[test]
fn items_are_retrieved_and_deleted() {
    let mut client = telephoned(plain());
    client.send(&json!({ "type": "response.create" }));
    let done = client.until("response.done");
    let id = done["response"]["output"][0]["id"].as_str().expect("an id").to_owned();
    let retrieved = client.send(&json!({ "type": "conversation.item.retrieve", "item_id": id }));
    let content = &retrieved[0]["item"]["content"][0];
    assert_eq!(content["type"], "output_audio");
    assert!(content["audio"].as_str().is_some_and(|audio| audio.len() > 1000), "with its audio");
    let delete = json!({ "type": "conversation.item.delete", "item_id": id });
    let deleted = client.send(&delete);
    assert_eq!((kind(&deleted[0]), &deleted[0]["item_id"]), ("conversation.item.deleted", &json!(id)));
    assert_eq!(refused(&client.send(&delete)), code_at("item_delete_invalid_item_id", "item_id"));
    let retrieve = json!({ "type": "conversation.item.retrieve", "item_id": id });
    assert_eq!(refused(&client.send(&retrieve)), code_at("item_retrieve_invalid_item_id", "item_id"));
}

#[test]
fn an_item_is_truncated_at_what_was_heard() {
    let mut client = telephoned(Options { chunks_ms: vec![100], ..plain() });
    client.send(&json!({ "type": "response.create" }));
    client.until("response.output_audio.delta");
    client.wait(std::time::Duration::from_millis(30));
    let item = client.record().items[0].clone();
    let sent_ms = (item.audio_bytes / 8) as i64;
    assert!((300..2000).contains(&sent_ms), "in the middle of the burst: {sent_ms}");
    let too_far = client.send(&truncate(&item.item_id, 0, sent_ms + 1));
    assert_eq!(refused(&too_far), code_at("invalid_value", "audio_end_ms"));
    assert_eq!(
        too_far[0]["error"]["message"],
        format!("Audio content of {sent_ms}ms is already shorter than {}ms.", sent_ms + 1)
    );
    let answer = client.send(&truncate(&item.item_id, 0, sent_ms));
    assert_eq!(kind(&answer[0]), "conversation.item.truncated");
    assert_eq!(answer[0]["audio_end_ms"], sent_ms);
    assert_eq!(kind(&client.send(&truncate(&item.item_id, 0, 120))[0]), "conversation.item.truncated");
    assert_eq!(
        refused(&client.send(&truncate(&item.item_id, 0, 121))),
        code_at("invalid_value", "audio_end_ms"),
        "what was cut off is gone"
    );
    client.until("response.done");
    let retrieved = client.send(&json!({ "type": "conversation.item.retrieve", "item_id": item.item_id }));
    assert_eq!(retrieved[0]["item"]["content"][0]["transcript"], "", "the text goes with the audio");
    assert_eq!(client.record().items[0].truncated_to_ms, Some(120));
    let accepted: Vec<_> = client.record().truncations.iter().map(|truncation| truncation.accepted).collect();
    assert_eq!(accepted, [false, true, true, false]);
}

#[test]
fn a_finished_answer_that_is_still_playing_is_truncated_too() {
    let mut client = telephoned(plain());
    client.send(&json!({ "type": "response.create" }));
    let done = client.until("response.done");
    let id = done["response"]["output"][0]["id"].as_str().expect("an id");
    assert_eq!(kind(&client.send(&truncate(id, 0, 0))[0]), "conversation.item.truncated");
}

#[test]
fn only_the_models_audio_can_be_truncated() {
    let mut client = telephoned(Options { first_audio_ms: 1000, ..plain() });
    client.say("caller-booking");
    let started = client.until("response.created");
    assert_eq!(started["response"]["output"], json!([]));
    let user = client.latest("input_audio_buffer.speech_started").expect("it came")["item_id"].clone();
    let user = user.as_str().expect("an id");
    assert_eq!(refused(&client.send(&truncate(user, 0, 0))), code_at("unsupported_content_type", "item_id"));
    assert_eq!(
        refused(&client.send(&truncate("item_unknown", 0, 0))),
        code_at("item_truncate_invalid_item_id", "item_id")
    );
    let done = client.until("response.done");
    let id = done["response"]["output"][0]["id"].as_str().expect("an id");
    assert_eq!(refused(&client.send(&truncate(id, 1, 0))), code_at("invalid_value", "content_index"));
    assert_eq!(refused(&client.send(&truncate(id, -1, 0))), code_at("invalid_value", "content_index"));
    assert_eq!(refused(&client.send(&truncate(id, 0, -1))), code_at("invalid_value", "audio_end_ms"));
    let fraction =
        json!({ "type": "conversation.item.truncate", "item_id": id, "content_index": 0, "audio_end_ms": 1.5 });
    assert_eq!(refused(&client.send(&fraction)), code_at("invalid_type", "audio_end_ms"));
    let silent = json!({ "type": "conversation.item.truncate", "item_id": id, "content_index": 0 });
    assert_eq!(refused(&client.send(&silent)), code_at("missing_required_parameter", "audio_end_ms"));
}

/// Between `output_item.added` and the first delta an item exists and has no audio: the classic trap.
#[test]
fn an_item_without_audio_yet_cannot_be_truncated() {
    let script = crate::provider::openai::Script { greeting: Vec::new(), ..crate::provider::openai::Script::default() };
    let mut client = telephoned(Options { script, ..plain() });
    client.send(&json!({ "type": "response.create" }));
    let added = client.until("response.output_item.added");
    let id = added["item"]["id"].as_str().expect("an id");
    assert_eq!(refused(&client.send(&truncate(id, 0, 0))), code_at("unsupported_content_type", "item_id"));
}
