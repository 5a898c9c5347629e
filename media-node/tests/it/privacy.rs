//! Everything that a node logs in a whole call, at the most talkative level, and nothing private among it.

use crate::support::TestNode;
use crate::support::edge::{Edge, RESUME};
use crate::support::log::written;
use crate::support::phone::{CALL, Phone, frame};
use crate::support::provider::{KEY, Provider};
use serde_json::json;

#[tokio::test]
async fn no_log_line_has_a_number_a_text_a_ticket_or_a_key() {
    let mut edge = Edge::start().await;
    let mut provider = Provider::start().await;
    let node = TestNode::start(edge.config(&[("OPENAI_REALTIME_URL", &provider.url), ("OPENAI_API_KEY", KEY)]));
    let ticket = edge.ticket(&edge.claims());
    let bad = json!({"ticket": format!("{}x", ticket["ticket"].as_str().expect("a text"))});
    Phone::call(node.address, bad).await.closed().await;

    let mut phone = Phone::call(node.address, ticket.clone()).await;
    let mut room = edge.room().await;
    room.begin("openai", 0).await;
    let mut voice = provider.configured().await;
    phone.speak(&frame(1)).await;
    voice.begin("r1", "i1").await;
    voice.delta("r1", "i1", &frame(2)).await;
    voice.end("r1", "i1", "transcript canary").await;
    voice
        .say(json!({"type": "error", "event_id": "e", "error": {"type": "invalid_request_error", "code": "x",
        "message": format!("complaint canary {KEY}")}}))
        .await;
    phone.raw("{\"broken canary\"".to_owned()).await;
    phone.press('4').await;
    room.facts_until("digit").await;
    drop(room);
    let mut room = edge.room().await;
    room.begin("openai", 0).await;
    voice.raw(tokio_tungstenite::tungstenite::Message::text("not JSON canary")).await;
    drop(voice);
    provider.configured().await;
    phone.hang_up().await;
    phone.closed().await;
    let last = room.facts_until("ended").await.last().expect("facts").0;
    room.ack(last).await;
    assert_eq!(room.hear().await, None);
    node.trigger.pull();
    crate::support::soon(node.running).await.expect("no panic");

    // The lines of the other tests' nodes are among them, and must be as clean.
    let log = written().text();
    assert!(log.contains("call started") && log.contains("call ended") && log.contains(CALL), "{log}");
    for line in log.lines() {
        let record: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
        let target = record["target"].as_str().unwrap_or_default();
        assert!(target.starts_with("media_node"), "{line}");
    }
    let ticket = ticket["ticket"].as_str().expect("a text");
    for private in ["+1555", "5550100123", "canary", ticket, RESUME, KEY, "sk-", "Bearer", "v1."] {
        assert!(!log.contains(private), "{private} is in the log:\n{log}");
    }
}
