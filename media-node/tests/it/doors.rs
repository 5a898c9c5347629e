//! Who may come in: addresses, places, signatures, other machines' streams.

use crate::support::phone::{Phone, frame};
use crate::support::{TestNode, config, http, standalone};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::io::Write as _;
use std::time::Duration;

const ECHO: &str = "provider = \"echo\"";

#[tokio::test]
async fn every_address_means_one_thing() {
    let node = TestNode::start(standalone(ECHO, &[("NODE_ID", "n1")]));
    for path in ["/media", "/media/", "/media/n1", "/call", "/outbound-media-stream"] {
        assert!(Phone::dial(node.address, path, &[]).await.is_ok(), "{path}");
    }
    assert_eq!(Phone::dial(node.address, "/media/n2", &[]).await.err(), Some(404));
    assert_eq!(Phone::dial(node.address, "/elsewhere", &[]).await.err(), Some(404));
    assert_eq!(node.get("/media").await.0, 426);
    let (status, health) = node.get("/healthz").await;
    assert!(status == 200 && health.contains("\"draining\":false"), "{health}");
    assert_eq!(node.get("/readyz").await.0, 200);
    assert_eq!(node.get("/metrics").await.0, 404);
    assert_eq!(node.get("/").await.0, 404);
    let post = "POST /media HTTP/1.1\r\nhost: n\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let (status, answer) = http(node.address, post).await;
    assert!(status == 405 && answer.to_lowercase().contains("allow: get"), "{answer}");
}

#[tokio::test]
async fn a_full_node_says_so_before_the_upgrade() {
    let node = TestNode::start(standalone(ECHO, &[("MAX_CALLS", "1")]));
    let mut phone = Phone::call(node.address, json!({})).await;
    phone.listen(1).await;
    assert_eq!(Phone::dial(node.address, "/media", &[]).await.err(), Some(503));
    assert_eq!(node.metric("trunkline_calls_refused_total{reason=\"full\"}").await, 1.0);
    phone.hang_up().await;
    phone.closed().await;
    drop(phone);
    node.metric_reaches("trunkline_calls_ended_total{reason=\"caller_hung_up\",result=\"completed\"}", 1.0).await;
    assert!(Phone::dial(node.address, "/media", &[]).await.is_ok());
}

#[tokio::test]
async fn a_stream_that_never_starts_is_closed() {
    let mut config = standalone(ECHO, &[]);
    config.timing.start = Duration::from_millis(100);
    let node = TestNode::start(config);
    let mut silent = Phone::dial(node.address, "/media", &[]).await.expect("a place");
    assert_eq!(silent.closed().await, Some(1008));
    let mut talkative = Phone::dial(node.address, "/media", &[]).await.expect("a place");
    talkative.raw(format!("{{\"event\":\"connected\",\"padding\":\"{}\"}}", "x".repeat(9000))).await;
    assert_eq!(talkative.closed().await, Some(1008));
    for reason in ["no_start", "too_much_before_start"] {
        node.metric_reaches(&format!("trunkline_calls_refused_total{{reason=\"{reason}\"}}"), 1.0).await;
    }
    assert_eq!(node.metric("trunkline_calls_started_total").await, 0.0);
}

#[tokio::test]
async fn a_stream_in_another_format_is_refused() {
    let node = TestNode::start(standalone(ECHO, &[]));
    for format in [
        json!({"encoding": "audio/x-l16", "sampleRate": 8000, "channels": 1}),
        json!({"encoding": "audio/x-mulaw", "sampleRate": 16000, "channels": 1}),
        json!({"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 2}),
    ] {
        let mut phone = Phone::dial(node.address, "/media", &[]).await.expect("a place");
        phone.start_with(json!({}), format).await;
        phone.speak(&frame(1)).await;
        assert_eq!(phone.hear().await, None);
        let facts = node.facts_until("ended").await;
        assert_eq!(facts.last().expect("a fact")["event"]["reason"], "invalid_stream");
    }
}

/// The signature is made by another implementation of HMAC-SHA1 than the product has.
#[tokio::test]
async fn upgrades_are_signed_when_a_token_is_set() {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(ECHO.as_bytes()).expect("a written plan");
    let path = file.path().to_str().expect("a plain path");
    let mut config = config(&[
        ("STANDALONE_PLAN", path),
        ("PUBLIC_URL", "wss://node.example"),
        ("NODE_ID", "n1"),
        ("TWILIO_AUTH_TOKEN", "twilio-token"),
    ]);
    config.listen = "127.0.0.1:0".parse().expect("an address");
    config.metrics = Some(config.listen);
    let node = TestNode::start(config);
    let signature = STANDARD.encode(hmac_sha1(b"twilio-token", b"wss://node.example/media"));
    assert!(Phone::dial(node.address, "/media", &[("x-twilio-signature", &signature)]).await.is_ok());
    assert_eq!(Phone::dial(node.address, "/call", &[("x-twilio-signature", &signature)]).await.err(), Some(403));
    assert_eq!(Phone::dial(node.address, "/media", &[]).await.err(), Some(403));
    assert_eq!(node.get("/healthz").await.0, 200);
}

fn hmac_sha1(key: &[u8], data: &[u8]) -> [u8; 20] {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    ring::hmac::sign(&key, data).as_ref().try_into().expect("twenty bytes")
}

#[tokio::test]
async fn on_fly_another_machines_stream_is_replayed_once() {
    let node = TestNode::start(standalone(ECHO, &[("FLY_MACHINE_ID", "e2865013f44908")]));
    let upgrade = |path: &str, more: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nhost: n\r\nconnection: Upgrade, close\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        )
    };
    let (status, answer) = http(node.address, &upgrade("/media/4d891d2c0e3987", "")).await;
    assert_ne!(status, 101);
    assert!(answer.lines().any(|line| line.eq_ignore_ascii_case("fly-replay: instance=4d891d2c0e3987")), "{answer}");
    let src = "fly-replay-src: instance=4d891d2c0e3987;region=iad;t=1700000000000000\r\n";
    let (status, answer) = http(node.address, &upgrade("/media/4d891d2c0e3987", src)).await;
    assert!(status == 404 && !answer.to_lowercase().contains("fly-replay"), "{answer}");
    let (status, answer) = http(node.address, &upgrade("/media/a%0d%0ab", "")).await;
    assert!(status == 404 && !answer.to_lowercase().contains("fly-replay"), "{answer}");
    assert!(Phone::dial(node.address, "/media/e2865013f44908", &[]).await.is_ok());
}
