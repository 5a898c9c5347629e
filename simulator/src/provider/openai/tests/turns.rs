use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

fn heard(client: &Rehearsal) -> Vec<Vec<String>> {
    client.record().turns.iter().map(|turn| turn.heard.clone()).collect()
}

/// The order that the documentation shows for one spoken turn; the transcription comes late, beside the response.
#[test]
fn one_spoken_turn_in_the_usual_order() {
    let mut client = telephoned(Options { first_audio_ms: 600, ..plain() });
    client.silence(1000);
    client.say("caller-booking");
    client.until("response.done");
    let mut order: Vec<&str> = client.kinds();
    order.dedup();
    let deltas = |kind: &&str| !kind.ends_with(".delta");
    assert_eq!(
        order.into_iter().filter(deltas).collect::<Vec<_>>(),
        [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
            "rate_limits.updated",
            "conversation.item.input_audio_transcription.completed",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
        ]
    );
    let started = client.latest("input_audio_buffer.speech_started").expect("it came");
    let stopped = client.latest("input_audio_buffer.speech_stopped").expect("it came");
    let start_ms = started["audio_start_ms"].as_u64().expect("a number");
    let end_ms = stopped["audio_end_ms"].as_u64().expect("a number");
    // 1 s of silence, 60 ms of margin in the recording, 300 ms of padding; 3.48 s of words, 500 ms of silence.
    assert!((720..=1000).contains(&start_ms), "{start_ms}");
    assert!((4600..=5000).contains(&end_ms), "{end_ms}");
    assert_eq!(started["item_id"], stopped["item_id"]);
    let completed = client.latest("conversation.item.input_audio_transcription.completed").expect("it came");
    assert_eq!(completed["item_id"], started["item_id"]);
    assert_eq!(completed["transcript"], "Hello, I would like to book an appointment with Doctor Patel.");
    assert_eq!(completed["usage"]["type"], "tokens");
    let deltas: String = client
        .events()
        .iter()
        .filter(|event| kind(event) == "conversation.item.input_audio_transcription.delta")
        .filter_map(|event| event["delta"].as_str())
        .collect();
    assert_eq!(json!(deltas), completed["transcript"]);
    assert_eq!(heard(&client), [["caller-booking"]]);
    assert_eq!(client.record().violations_total, 0);
}

#[test]
fn noise_on_the_line_is_not_speech() {
    let mut client = telephoned(plain());
    for _ in 0..3 {
        client.say("noise-street");
        client.silence(1000);
    }
    assert_eq!(client.kinds(), [] as [&str; 0]);
}

#[test]
fn a_sound_that_is_no_word_fails_to_transcribe_and_is_asked_about() {
    let mut client = telephoned(plain());
    client.silence(500);
    client.say("noise-clatter");
    client.until("response.done");
    let failed = client.latest("conversation.item.input_audio_transcription.failed").expect("it came");
    assert_eq!(failed["error"]["code"], "audio_unintelligible");
    assert_eq!(client.record().items[0].recordings, ["agent-not-understood"]);
    assert_eq!(heard(&client), [[] as [&str; 0]]);
}

#[test]
fn without_audio_the_turn_does_not_end() {
    let mut client = telephoned(plain());
    client.say("caller-hours");
    client.wait(std::time::Duration::from_secs(20));
    assert_eq!(client.kinds(), ["input_audio_buffer.speech_started"], "silence must be sent to be heard");
    client.silence(600);
    assert!(client.kinds().contains(&"input_audio_buffer.speech_stopped"));
}

#[test]
fn any_chunk_size_is_heard_alike() {
    let audio = crate::speech::Library::embedded().get("caller-name").expect("a line").audio();
    for size in [37, 160, 1000, 8000] {
        let mut client = telephoned(plain());
        let mut all = vec![crate::speech::mulaw::SILENCE; 4000];
        all.extend_from_slice(audio);
        all.extend(vec![crate::speech::mulaw::SILENCE; 8000]);
        for chunk in all.chunks(size) {
            client.send(&json!({ "type": "input_audio_buffer.append", "audio": STANDARD.encode(chunk) }));
        }
        assert_eq!(heard(&client), [["caller-name"]], "chunks of {size}");
        assert_eq!(client.record().input, all, "every byte is recorded");
    }
}

#[test]
fn audio_that_is_no_audio_is_refused() {
    let mut client = telephoned(plain());
    let append = |audio: &str| json!({ "type": "input_audio_buffer.append", "audio": audio });
    for bad in ["a", "====", "AA", "AAA\u{e9}", "AA_-", "A A="] {
        assert_eq!(refused(&client.send(&append(bad))), code_at("invalid_value", "audio"), "{bad}");
    }
    let large = "A".repeat(15 * 1024 * 1024 / 3 * 4);
    assert_eq!(client.send(&append(&large)), [] as [Value; 0], "15 MiB are allowed");
    assert_eq!(refused(&client.send(&append(&format!("{large}AAAA")))), code_at("string_above_max_length", "audio"));

    let mut client = Rehearsal::open(plain());
    assert_eq!(refused(&client.send(&append("AA=="))), code_at("invalid_value", "audio"), "half a sample of 16 bits");
    assert_eq!(client.send(&append("AAA=")), [] as [Value; 0]);
}

/// A rejected update leaves 24 kHz PCM in place, and mu-law read as PCM means nothing to anybody.
#[test]
fn mulaw_sent_to_a_default_session_is_noted_and_not_understood() {
    let mut client = Rehearsal::open(plain());
    client.send(&json!({ "type": "session.update", "session": { "audio": {} } }));
    client.say("caller-booking");
    client.silence(2000);
    assert_eq!(client.record().violation_codes(), ["missing_required_parameter", "audio_before_session_updated"]);
    assert!(heard(&client).iter().all(Vec::is_empty));
    assert!(client.record().input_bytes_before_update > 16_000);
}

#[test]
fn pcm_and_alaw_are_understood_when_agreed() {
    use super::super::response::coded;
    use super::super::session::Format;
    let line = crate::speech::Library::embedded().get("caller-price").expect("a line").audio();
    for (format, name) in
        [(Format::Pcm, json!({ "type": "audio/pcm", "rate": 24_000 })), (Format::Pcma, json!({ "type": "audio/pcma" }))]
    {
        let mut client = Rehearsal::open(plain());
        client.send(&json!({ "type": "session.update", "session": { "type": "realtime", "audio": {
            "input": { "format": name } } } }));
        let mut audio = vec![crate::speech::mulaw::SILENCE; 4000];
        audio.extend_from_slice(line);
        audio.extend(vec![crate::speech::mulaw::SILENCE; 8000]);
        for chunk in coded(audio, format).chunks(20 * format.bytes_per_ms()) {
            client.send(&json!({ "type": "input_audio_buffer.append", "audio": STANDARD.encode(chunk) }));
        }
        assert_eq!(heard(&client), [["caller-price"]], "{format:?}");
    }
}

#[test]
fn manual_turns_are_committed_and_answered_by_hand() {
    let mut client = Rehearsal::open(plain());
    client.send(&telephone(Value::Null));
    client.forget();
    let commit = json!({ "type": "input_audio_buffer.commit", "event_id": "c1" });
    assert_eq!(refused(&client.send(&commit)), code("input_audio_buffer_commit_empty"));
    client.say("caller-hours");
    assert_eq!(client.kinds(), ["error"], "nothing is detected");
    let answer = client.send(&commit);
    assert_eq!(
        answer.iter().map(kind).collect::<Vec<_>>(),
        ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
    );
    client.silence(1000);
    assert!(client.latest("response.created").is_none(), "a commit does not ask for a response");
    client.send(&json!({ "type": "response.create" }));
    client.until("response.done");
    assert_eq!(client.record().items[0].recordings, ["agent-hours"]);
    let cleared = client.send(&json!({ "type": "input_audio_buffer.clear" }));
    assert_eq!(cleared.iter().map(kind).collect::<Vec<_>>(), ["input_audio_buffer.cleared"]);
    assert_eq!(refused(&client.send(&commit)), code("input_audio_buffer_commit_empty"), "cleared");
}

#[test]
fn vad_events_without_responses() {
    let mut client = Rehearsal::open(plain());
    client.send(&telephone(json!({
        "type": "server_vad", "silence_duration_ms": 300, "create_response": false, "interrupt_response": false,
    })));
    client.forget();
    client.say("caller-booking");
    client.silence(1000);
    assert!(client.kinds().contains(&"input_audio_buffer.committed"));
    assert!(!client.kinds().contains(&"response.created"));
}

#[test]
fn a_longer_silence_may_be_asked_for() {
    let mut client = Rehearsal::open(plain());
    client.send(&telephone(json!({ "type": "server_vad", "silence_duration_ms": 1500 })));
    client.silence(500);
    client.say("caller-yes");
    client.silence(1000);
    assert!(client.latest("input_audio_buffer.speech_stopped").is_none());
    client.silence(600);
    assert!(client.latest("input_audio_buffer.speech_stopped").is_some());
}

#[test]
fn meaning_ends_a_turn_sooner_than_silence() {
    for (eagerness, most_ms) in [("low", 8_000), ("high", 2_000)] {
        let semantic = telephone(json!({ "type": "semantic_vad", "eagerness": eagerness }));
        let end_after = |audio: &[u8]| {
            let mut client = Rehearsal::open(plain());
            client.send(&semantic);
            client.silence(500);
            client.play(audio);
            let spoken = client.now_ms();
            client.until("input_audio_buffer.speech_stopped");
            client.now_ms() - spoken
        };
        let line = crate::speech::Library::embedded().get("caller-tuesday").expect("a line").audio();
        assert!(end_after(line) < 600, "a finished sentence");
        let waited = end_after(&line[..line.len() / 2]);
        assert!((most_ms - 400..=most_ms + 100).contains(&waited), "half a sentence: {waited}");
    }
}

#[test]
fn two_turns_before_an_answer_are_answered_together() {
    let mut client = Rehearsal::open(plain());
    client.send(&telephone(Value::Null));
    for line in ["caller-booking", "noise-clatter"] {
        client.say(line);
        client.send(&json!({ "type": "input_audio_buffer.commit" }));
    }
    client.send(&json!({ "type": "response.create" }));
    client.until("response.done");
    assert_eq!(client.record().items[0].recordings, ["agent-which-day"]);
}

#[test]
fn a_silent_caller_is_asked_after_the_answer_was_played_and_the_timeout_passed() {
    let mut client = Rehearsal::open(plain());
    client.send(&telephone(json!({ "type": "server_vad", "silence_duration_ms": 500, "idle_timeout_ms": 5000 })));
    client.send(&json!({ "type": "response.create" }));
    client.until("response.done");
    let done_ms = client.latest_ms("response.done").expect("it came");
    let greeting_ms =
        u64::from(crate::speech::Library::embedded().get("agent-greeting").expect("a line").duration_ms());
    let triggered = client.until("input_audio_buffer.timeout_triggered");
    let at_ms = client.latest_ms("input_audio_buffer.timeout_triggered").expect("it came");
    assert_eq!(at_ms, done_ms + greeting_ms + 5000);
    let start = triggered["audio_start_ms"].as_u64().expect("a number");
    let end = triggered["audio_end_ms"].as_u64().expect("a number");
    assert_eq!(end - start, 5000);
    client.until("response.done");
    let said: Vec<_> = client.record().items.iter().map(|item| item.recordings.concat()).collect();
    assert_eq!(said, ["agent-greeting", "agent-still-there"]);
    client.forget();
    client.say("caller-booking");
    client.until("response.done");
    assert!(!client.kinds().contains(&"input_audio_buffer.timeout_triggered"), "speech stops the clock");
}
