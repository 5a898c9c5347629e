//! Whole calls of a standalone node: with the built-in line test, and with a provider.

use crate::support::phone::{CALL, Phone, STREAM, frame};
use crate::support::provider::{KEY, Provider};
use crate::support::tls::Certified;
use crate::support::{TestNode, soon, standalone};
use serde_json::json;

#[tokio::test]
async fn the_line_test_returns_the_callers_own_bytes() {
    let node = TestNode::start(standalone("provider = \"echo\"", &[]));
    let mut phone = Phone::call(node.address, json!({})).await;
    let spoken: Vec<u8> = (0..100).flat_map(frame).collect();
    for number in 0..100 {
        phone.speak(&frame(number)).await;
    }
    // The greeting tone comes first; behind it the voice, 800 ms late: of 2 s spoken, 1.2 s have come back.
    let mut heard = Vec::new();
    let back = &spoken[..1200 * 8];
    while !heard.windows(back.len()).any(|part| part == back) {
        heard.extend(phone.listen(1).await);
    }
    assert!(heard.ends_with(back));
    phone.hang_up().await;
    assert_eq!(phone.closed().await, Some(1000));

    let facts = node.facts_until("ended").await;
    let kinds: Vec<_> = facts.iter().map(|fact| fact["event"]["kind"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds.first(), Some(&"stream_started"));
    assert_eq!(facts.last().map(|fact| &fact["event"]["reason"]), Some(&json!("caller_hung_up")));
    for (number, fact) in facts.iter().enumerate() {
        assert_eq!((&fact["callSid"], &fact["streamSid"]), (&json!(CALL), &json!(STREAM)));
        assert_eq!(fact["line"], json!(number + 1));
        assert!(fact["at"].as_i64().is_some_and(|at| at > 1_700_000_000_000));
    }
    node.metric_reaches("trunkline_calls_ended_total{reason=\"caller_hung_up\",result=\"completed\"}", 1.0).await;
    assert_eq!(node.metric("trunkline_frames_total{way=\"in\"}").await, 100.0);
}

#[tokio::test]
async fn a_call_with_a_provider_is_byte_exact_both_ways_and_its_key_stays_here() {
    let mut provider = Provider::start().await;
    let plan = "provider = \"openai\"\nmodel = \"gpt-test\"\ninstructions = \"Be brief.\"";
    let node = TestNode::start(standalone(plan, &[("OPENAI_REALTIME_URL", &provider.url), ("OPENAI_API_KEY", KEY)]));
    let mut phone = Phone::call(node.address, json!({})).await;
    // What the caller says while the provider connects is kept.
    for number in 0..10 {
        phone.speak(&frame(number)).await;
    }
    let mut voice = provider.connection().await;
    assert_eq!((voice.authorization.as_str(), voice.query.as_str()), (&*format!("Bearer {KEY}"), "model=gpt-test"));
    voice.configure().await;
    for number in 10..20 {
        phone.speak(&frame(number)).await;
    }
    assert_eq!(voice.listen(20 * 160).await, (0..20).flat_map(frame).collect::<Vec<_>>());

    // An answer in bursts faster than real time.
    voice.begin("r1", "i1").await;
    let answer: Vec<u8> = (40..90).flat_map(frame).collect();
    for part in answer.chunks(4000) {
        voice.delta("r1", "i1", part).await;
    }
    voice.end("r1", "i1", "Nine to five.").await;
    assert_eq!(phone.listen(answer.len()).await, answer);
    let facts = node.facts_until("said").await;
    let said = &facts.last().expect("a fact")["event"];
    assert_eq!((&said["speaker"], &said["text"]), (&json!("agent"), &json!("Nine to five.")));
    phone.press('5').await;
    assert_eq!(node.facts_until("digit").await.last().expect("a fact")["event"]["digit"], "5");
    phone.hang_up().await;
    node.facts_until("ended").await;
    // The provider is let go in good order.
    assert_eq!(voice.hear().await, None);
    node.metric_reaches("trunkline_provider_dials_total{reason=\"opened\"}", 1.0).await;
}

#[tokio::test]
async fn a_provider_behind_tls_is_heard_when_its_certificate_is_known() {
    let certified = Certified::new();
    let mut provider = Provider::start_tls(&certified).await;
    let variables = [("OPENAI_REALTIME_URL", provider.url.as_str()), ("OPENAI_API_KEY", KEY)];
    let stranger = TestNode::start(standalone("provider = \"openai\"", &variables));
    let _unheard = Phone::call(stranger.address, json!({})).await;
    stranger.metric_reaches("trunkline_provider_dials_total{reason=\"unavailable\"}", 1.0).await;
    let mut known = variables.to_vec();
    known.push(("EXTRA_CA_FILE", certified.path()));
    let node = TestNode::start(standalone("provider = \"openai\"", &known));
    let mut phone = Phone::call(node.address, json!({})).await;
    phone.speak(&frame(3)).await;
    let mut voice = provider.configured().await;
    assert_eq!(voice.listen(160).await, frame(3));
    voice.begin("r", "i").await;
    voice.delta("r", "i", &frame(4)).await;
    assert_eq!(phone.listen(160).await, frame(4));
}

#[tokio::test]
async fn a_caller_who_interrupts_hears_silence_at_once() {
    let mut provider = Provider::start().await;
    let node = TestNode::start(standalone(
        "provider = \"openai\"",
        &[("OPENAI_REALTIME_URL", &provider.url), ("OPENAI_API_KEY", KEY)],
    ));
    let mut phone = Phone::call(node.address, json!({})).await;
    phone.speak(&frame(0)).await;
    let mut voice = provider.configured().await;
    voice.begin("r1", "i1").await;
    voice.delta("r1", "i1", &vec![1; 8000]).await;
    phone.collect(8000, false).await;
    voice.say(json!({"type": "input_audio_buffer.speech_started", "event_id": "e", "audio_start_ms": 20, "item_id": "u1"}))
        .await;
    loop {
        let event = phone.hear().await.expect("a clear");
        if event["event"] == "clear" {
            break;
        }
        assert_eq!(event["event"], "mark");
    }
    voice.delta("r1", "i1", &vec![2; 8000]).await;
    let truncated = voice.hear_type("conversation.item.truncate").await;
    assert!(truncated["audio_end_ms"].as_u64().is_some_and(|ms| ms < 1000), "{truncated}");
    node.facts_until("barged_in").await;
    node.metric_reaches("trunkline_barge_ins_total", 1.0).await;
    phone.hang_up().await;
    // Of the interrupted answer nothing came after the clear.
    while let Some(event) = phone.hear().await {
        assert_ne!(event["event"], "media");
    }
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_apologised_for() {
    let refusing = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}/v1/realtime", refusing.local_addr().expect("an address"));
    drop(refusing);
    let node =
        TestNode::start(standalone("provider = \"openai\"", &[("OPENAI_REALTIME_URL", &url), ("OPENAI_API_KEY", KEY)]));
    let mut phone = Phone::call(node.address, json!({})).await;
    phone.listen(1).await;
    let ended = soon(async {
        loop {
            // Twilio's clock: marks come back when they have been played; here at once.
            phone.speak(&frame(1)).await;
            let Some(event) = phone.hear().await else { break node.facts_until("ended").await };
            if event["event"] == "mark" {
                phone.event(json!({"event": "mark", "mark": event["mark"]})).await;
            }
        }
    })
    .await;
    assert_eq!(ended.last().expect("a fact")["event"]["reason"], "provider_unavailable");
    assert!(ended.iter().any(|fact| fact["event"]["kind"] == "said"));
}
