//! Stopping: calls finish, late ones are ended in good order, a second signal stops at once, and a node always ends.

use crate::support::edge::Edge;
use crate::support::phone::{Phone, frame};
use crate::support::{TestNode, soon, standalone};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

const ECHO: &str = "provider = \"echo\"";

#[tokio::test]
async fn a_call_may_finish_while_the_node_takes_no_more() {
    let node = TestNode::start(standalone(ECHO, &[]));
    let mut phone = Phone::call(node.address, json!({})).await;
    phone.listen(1).await;
    node.trigger.pull();
    soon(async { while node.get("/readyz").await.0 != 503 {} }).await;
    assert_eq!(node.get("/healthz").await.0, 200);
    assert_eq!(Phone::dial(node.address, "/media", &[]).await.err(), Some(503));
    // The call goes on: what is said now still comes back.
    for number in 0..100 {
        phone.speak(&frame(number)).await;
    }
    let mut heard = Vec::new();
    while !heard.ends_with(&frame(59)) {
        heard.extend(phone.listen(1).await);
    }
    assert!(!node.running.is_finished());
    phone.hang_up().await;
    phone.closed().await;
    drop(phone);
    soon(node.running).await.expect("no panic");
}

#[tokio::test]
async fn a_call_that_does_not_end_is_ended_with_a_word() {
    let node = TestNode::start(standalone(ECHO, &[("DRAIN_SECONDS", "8")]));
    let mut phone = Phone::call(node.address, json!({})).await;
    phone.listen(1).await;
    let began = Instant::now();
    node.trigger.pull();
    let mut heard = 0;
    loop {
        phone.speak(&frame(1)).await;
        match phone.hear().await {
            Some(event) if event["event"] == "mark" => {
                phone.event(json!({"event": "mark", "mark": event["mark"]})).await;
            }
            Some(_) => heard += 1,
            None => break,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(heard > 0);
    let facts = node.facts_until("ended").await;
    assert_eq!(facts.last().expect("a fact")["event"]["reason"], "node_stopped");
    assert!(facts.iter().any(|fact| fact["event"]["kind"] == "said"), "the caller was told");
    drop(phone);
    soon(node.running).await.expect("no panic");
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn a_second_signal_stops_now() {
    let node = TestNode::start(standalone(ECHO, &[]));
    let mut phone = Phone::call(node.address, json!({})).await;
    phone.listen(1).await;
    node.trigger.pull();
    soon(async { while node.get("/readyz").await.0 != 503 {} }).await;
    let began = Instant::now();
    node.trigger.pull();
    assert_eq!(phone.closed().await, Some(1000));
    let facts = node.facts_until("ended").await;
    assert_eq!(facts.last().expect("a fact")["event"]["reason"], "node_stopped");
    drop(phone);
    soon(node.running).await.expect("no panic");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_stuck_call_does_not_hold_the_node_up() {
    let node = TestNode::start(standalone(ECHO, &[("DRAIN_SECONDS", "1")]));
    // A socket that says nothing is not a call yet, and not waited for longer than the drain.
    let _silent = Phone::dial(node.address, "/media", &[]).await.expect("a place");
    let began = Instant::now();
    node.trigger.pull();
    soon(node.running).await.expect("no panic");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn facts_are_delivered_before_the_node_ends() {
    let mut edge = Edge::start().await;
    let node = TestNode::start(edge.config(&[]));
    assert_eq!(edge.beat().await["draining"], false);
    let ticket = edge.ticket(&edge.claims());
    let mut phone = Phone::call(node.address, ticket).await;
    let mut room = edge.room().await;
    room.begin("echo", 0).await;
    phone.listen(1).await;
    node.trigger.pull();
    soon(async { while edge.beat().await["draining"] != true {} }).await;
    phone.hang_up().await;
    phone.closed().await;
    drop(phone);
    let facts = room.facts_until("ended").await;
    assert!(!node.running.is_finished(), "it must not leave before the room has stored the facts");
    room.ack(facts.last().expect("facts").0).await;
    soon(node.running).await.expect("no panic");
}
