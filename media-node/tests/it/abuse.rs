//! Peers that lie, stall, repeat themselves or break: they cost their own call at most, and little memory.

use crate::support::phone::{Phone, STREAM, frame};
use crate::support::provider::{KEY, Provider};
use crate::support::{TestNode, soon, standalone};
use media_node::config::Fault;
use serde_json::json;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

const ECHO: &str = "provider = \"echo\"";

/// Texts that are no sound message from anybody.
fn corpus() -> Vec<String> {
    let mut corpus: Vec<String> = [
        "",
        " ",
        "null",
        "true",
        "[]",
        "{}",
        "{",
        "\u{feff}{}",
        "\u{0}",
        "{\"event\":1}",
        "{\"event\":\"media\"}",
        "{\"event\":\"media\",\"media\":null}",
        "{\"event\":\"media\",\"media\":{\"payload\":7}}",
        "{\"event\":\"media\",\"media\":{\"payload\":\"!!!!\"}}",
        "{\"event\":\"media\",\"media\":{\"payload\":\"AAA\"}}",
        "{\"event\":\"media\",\"media\":{\"payload\":\"AA=A\"}}",
        "{\"event\":\"media\",\"media\":{\"payload\":\"\\ud800\"}}",
        "{\"event\":\"media\",\"event\":\"mark\",\"mark\":{\"name\":\"g1m1\"}}",
        "{\"event\":\"mark\",\"mark\":{\"name\":\"g99999999999999999999m1\"}}",
        "{\"event\":\"dtmf\",\"dtmf\":{\"digit\":\"12\"}}",
        "{\"event\":\"start\",\"start\":{}}",
        "{\"event\":\"media\",\"sequenceNumber\":1e400,\"media\":{\"payload\":\"\"}}",
        "{\"type\":1}",
        "{\"type\":\"response.output_audio.delta\"}",
        "{\"type\":\"response.output_audio.delta\",\"delta\":null,\"item_id\":3}",
        "{\"type\":\"response.output_audio.delta\",\"response_id\":\"r\",\"item_id\":\"i\",\"output_index\":0,\"content_index\":0,\"delta\":\"####\"}",
        "{\"type\":\"input_audio_buffer.speech_started\",\"audio_start_ms\":-1}",
        "{\"type\":\"error\",\"error\":\"x\"}",
        "{\"type\":\"response.done\",\"response\":[]}",
        "{\"type\":\"session.updated\"}",
    ]
    .map(str::to_owned)
    .to_vec();
    corpus.push("[".repeat(10_000));
    corpus.push("{\"a\":".repeat(5_000));
    corpus.push(format!("{{\"event\":\"{}\"}}", "x".repeat(60_000)));
    corpus.push(format!(
        "{{\"event\":\"media\",\"streamSid\":\"{STREAM}\",\"media\":{{\"payload\":\"{}\"}}}}",
        "/".repeat(60_000)
    ));
    corpus
}

/// A call beside the one that is abused; it must not notice.
struct Bystander(Phone);

impl Bystander {
    async fn call(node: &TestNode) -> Self {
        Self(Phone::call(node.address, json!({})).await)
    }
    /// Speaks for two seconds at once and hears what was spoken 800 ms before the end.
    async fn is_well(&mut self, from: usize) {
        for number in from..from + 100 {
            self.0.speak(&frame(number)).await;
        }
        let mut heard = Vec::new();
        while !heard.ends_with(&frame(from + 59)) {
            heard.extend(self.0.listen(1).await);
        }
    }
}

#[tokio::test]
async fn malformed_messages_from_twilio_end_neither_the_node_nor_another_call() {
    let mut config = standalone(ECHO, &[]);
    // The bystander says nothing while the others are abused.
    config.session.carrier_timeout = Duration::from_secs(60);
    let node = TestNode::start(config);
    let mut bystander = Bystander::call(&node).await;
    bystander.is_well(0).await;
    // As the first message.
    for text in corpus() {
        let mut phone = Phone::dial(node.address, "/media", &[]).await.expect("a place");
        phone.raw(text).await;
        drop(phone);
    }
    // In a call: a few are borne, more end it.
    let mut phone = Phone::call(node.address, json!({})).await;
    phone.listen(1).await;
    for _ in 0..3 {
        for text in corpus() {
            phone.raw(text).await;
        }
    }
    phone.closed().await;
    drop(phone);
    // Binary, too large, not masked, not UTF-8, reserved bits: each alone.
    for message in [Message::binary(vec![0; 100]), Message::text("x".repeat(70_000)), Message::binary(vec![1; 70_000])]
    {
        use futures_util::SinkExt as _;
        let mut phone = Phone::call(node.address, json!({})).await;
        let _ = phone.socket.send(message).await;
        phone.hang_up().await;
        phone.closed().await;
    }
    for bytes in [
        &b"\x81\x02hi"[..],
        &b"\x81\x82\0\0\0\0\xff\xfe"[..],
        &b"\xf1\x80\0\0\0\0"[..],
        &b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..],
    ] {
        let mut stream = TcpStream::connect(node.address).await.expect("a connection");
        let head = "GET /media HTTP/1.1\r\nhost: n\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("a written head");
        stream.write_all(bytes).await.expect("written bytes");
        // The node closes; how politely is its own affair.
        let mut rest = Vec::new();
        let _ = soon(tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest)).await;
    }
    node.metric_reaches("trunkline_calls_ended_total{reason=\"invalid_stream\",result=\"failed\"}", 1.0).await;
    assert!(node.metric("trunkline_decode_errors_total{leg=\"twilio\"}").await >= 50.0);
    assert_eq!(node.metric("trunkline_call_panics_total").await, 0.0);
    bystander.is_well(200).await;
}

#[tokio::test]
async fn malformed_messages_from_a_provider_end_neither_the_node_nor_another_call() {
    let mut provider = Provider::start().await;
    let node = TestNode::start(standalone(
        "provider = \"openai\"",
        &[("OPENAI_REALTIME_URL", &provider.url), ("OPENAI_API_KEY", KEY)],
    ));
    let mut well = Phone::call(node.address, json!({})).await;
    let mut well_voice = provider.configured().await;
    let mut ill = Phone::call(node.address, json!({})).await;
    let mut ill_voice = provider.configured().await;
    for text in corpus() {
        ill_voice.raw(Message::text(text)).await;
    }
    ill_voice.raw(Message::binary(vec![7; 5000])).await;
    // Enough of it, and the provider counts as lost: it is dialled once more.
    let mut again = provider.connection().await;
    // Now it sends more than a message may have.
    again.raw(Message::text("x".repeat(1_100_000))).await;
    while again.hear().await.is_some() {}
    drop((ill_voice, again));
    ill.speak(&frame(1)).await;

    well.speak(&frame(5)).await;
    assert_eq!(well_voice.listen(160).await, frame(5));
    well_voice.begin("r", "i").await;
    well_voice.delta("r", "i", &frame(6)).await;
    assert_eq!(well.listen(160).await, frame(6));
    assert!(node.metric("trunkline_decode_errors_total{leg=\"provider\"}").await >= 1.0);
    assert_eq!(node.metric("trunkline_call_panics_total").await, 0.0);
}

#[tokio::test]
async fn a_panic_in_one_call_ends_that_call_alone() {
    let mut config = standalone(ECHO, &[("MAX_CALLS", "2")]);
    config.fault = Some(Fault::PanicOnDigit('9'));
    let node = TestNode::start(config);
    let mut bystander = Bystander::call(&node).await;
    let mut phone = Phone::call(node.address, json!({})).await;
    phone.listen(1).await;
    phone.press('9').await;
    assert_eq!(phone.closed().await, Some(1011));
    drop(phone);
    node.metric_reaches("trunkline_call_panics_total", 1.0).await;
    node.metric_reaches("trunkline_calls_ended_total{reason=\"internal_error\",result=\"failed\"}", 1.0).await;
    let facts = node.facts_until("ended").await;
    assert_eq!(facts.last().expect("a fact")["event"]["reason"], "internal_error");
    bystander.is_well(0).await;
    // Its place is free again.
    let mut next = Phone::call(node.address, json!({})).await;
    next.listen(1).await;
}

#[tokio::test]
async fn a_caller_who_stops_reading_costs_bounded_memory_and_only_his_own_audio() {
    let mut provider = Provider::start().await;
    let mut config =
        standalone("provider = \"openai\"", &[("OPENAI_REALTIME_URL", &provider.url), ("OPENAI_API_KEY", KEY)]);
    config.timing.write_stalled = Duration::from_millis(200);
    config.timing.write_dead = Duration::from_millis(3000);
    let node = TestNode::start(config);
    let mut well = Phone::call(node.address, json!({})).await;
    let mut well_voice = provider.configured().await;
    let mut deaf = Phone::call(node.address, json!({})).await;
    let mut voice = provider.configured().await;

    // Five minutes of speech at once, for somebody who reads none of it; he goes on speaking himself.
    voice.begin("r1", "i1").await;
    let pushing = tokio::spawn(async move {
        for number in 0..300 {
            voice.delta("r1", "i1", &[u8::try_from(number % 251).expect("below 251"); 8000]).await;
        }
        // It is read to its end, because what is dropped makes room.
        voice
    });
    let mut voice = soon(async {
        while !pushing.is_finished() {
            deaf.speak(&frame(1)).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        pushing.await.expect("no panic")
    })
    .await;
    node.metric_reaches("trunkline_audio_dropped_total{leg=\"twilio\"}", 100.0).await;

    // The other call has its audio at once meanwhile.
    well_voice.begin("r", "i").await;
    well_voice.delta("r", "i", &frame(6)).await;
    assert_eq!(well.listen(160).await, frame(6));

    // He never reads: the stream is given up.
    soon(async { while voice.hear().await.is_some() {} }).await;
    node.metric_reaches("trunkline_calls_ended_total{reason=\"stream_lost\",result=\"failed\"}", 1.0).await;
}
