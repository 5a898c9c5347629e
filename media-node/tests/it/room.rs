//! The call's room: tickets, begin, facts and their acknowledgement across lost sockets, orders, refusals.

use crate::support::edge::{Edge, NODE, RESUME};
use crate::support::phone::{Phone, STREAM, frame};
use crate::support::tls::Certified;
use crate::support::{TestNode, soon};
use serde_json::json;
use shared::ids::{CallSid, NodeId};
use shared::ticket::Audience;
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn a_ticket_opens_the_room_and_the_room_begins_the_call() {
    let mut edge = Edge::start().await;
    let node = TestNode::start(edge.config(&[("FLY_REGION", "iad"), ("MAX_CALLS", "7")]));
    let beat = edge.beat().await;
    assert_eq!((&beat["node"], &beat["region"]), (&json!(NODE), &json!("iad")));
    assert_eq!(beat["url"], json!(format!("ws://{}", node.address)));
    assert_eq!((&beat["capacity"], &beat["liveCalls"], &beat["draining"]), (&json!(7), &json!(0), &json!(false)));

    let ticket = edge.ticket(&edge.claims());
    let mut phone = Phone::call(node.address, ticket.clone()).await;
    let mut room = edge.room().await;
    assert_eq!(room.path, format!("/node/calls/{}", edge.claims().call));
    assert_eq!(json!(room.bearer), ticket["ticket"]);
    let hello = room.hear().await.expect("hello");
    assert_eq!(
        hello,
        json!({"type": "hello", "protocol": 1, "node": NODE, "streamSid": STREAM, "lastLine": 1}),
        "the stream's start is a fact already"
    );
    room.begin("echo", 0).await;
    let facts = room.facts_until("provider_ready").await;
    assert_eq!(facts.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(facts[0].1, json!({"kind": "stream_started", "streamSid": STREAM}));
    room.ack(2).await;
    phone.listen(1).await;
    phone.press('7').await;
    let facts = room.facts_until("digit").await;
    assert_eq!(facts.last().expect("a fact"), &(3, json!({"kind": "digit", "digit": "7"})));
    room.ack(3).await;
    phone.hang_up().await;
    let facts = room.facts_until("ended").await;
    let (line, ended) = facts.last().expect("a fact");
    assert_eq!(ended, &json!({"kind": "ended", "reason": "caller_hung_up"}));
    node.metric_reaches("trunkline_facts_unacknowledged", 1.0).await;
    room.ack(*line).await;
    assert_eq!(room.hear().await, None, "the node closes once everything is stored");
    soon(async { while node.metric("trunkline_facts_unacknowledged").await != 0.0 {} }).await;
    assert_eq!(node.metric("trunkline_facts_lost_total").await, 0.0);
}

#[tokio::test]
async fn the_edge_is_reached_over_tls_and_only_with_a_known_certificate() {
    let mut edge = Edge::start().await;
    let certified = Certified::new();
    // A proxy that takes TLS off: behind it stands the same edge.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
    let (acceptor, plain) = (certified.acceptor(), edge.url.replace("http://", ""));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, plain) = (acceptor.clone(), plain.clone());
            tokio::spawn(async move {
                let Ok(mut near) = acceptor.accept(stream).await else { return };
                let mut far = TcpStream::connect(plain).await.expect("the edge");
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    let stranger = TestNode::start(edge.config_at(&url, &[]));
    stranger.metric_reaches("trunkline_heartbeats_total{reason=\"missed\"}", 1.0).await;
    let node = TestNode::start(edge.config_at(&url, &[("EXTRA_CA_FILE", certified.path())]));
    assert_eq!(edge.beat().await["node"], NODE);
    let _phone = Phone::call(node.address, edge.ticket(&edge.claims())).await;
    let mut room = edge.room().await;
    assert_eq!(room.hear().await.expect("hello")["type"], "hello");
}

#[tokio::test]
async fn a_bad_ticket_opens_nothing() {
    let mut edge = Edge::start().await;
    let node = TestNode::start(edge.config(&[]));
    let good = edge.claims();
    let mut expired = good.clone();
    expired.expires = expired.expires.plus(-200_000);
    let mut elsewhere = good.clone();
    elsewhere.node = NodeId::parse("node-2").expect("a node's id");
    let mut resume = good.clone();
    resume.audience = Audience::Resume;
    let mut other_call = good.clone();
    other_call.call_sid = CallSid::parse("CA00000000000000000000000000000002").expect("a call's id");
    let mut forged = edge.ticket(&good);
    forged["ticket"] = format!("{}A", forged["ticket"].as_str().expect("a text")).into();
    let mut bad: Vec<_> = [expired, elsewhere, resume, other_call].iter().map(|claims| edge.ticket(claims)).collect();
    bad.extend([forged, json!({"ticket": ""}), json!({})]);
    for (number, parameters) in bad.into_iter().enumerate() {
        let mut phone = Phone::call(node.address, parameters).await;
        assert_eq!(phone.closed().await, Some(1008), "ticket {number}");
    }
    node.metric_reaches("trunkline_calls_refused_total{reason=\"ticket\"}", 7.0).await;
    assert!(!edge.has_room());
}

#[tokio::test]
async fn facts_survive_lost_sockets_in_order_and_once() {
    let mut edge = Edge::start().await;
    let node = TestNode::start(edge.config(&[]));
    let ticket = edge.ticket(&edge.claims());
    let mut phone = Phone::call(node.address, ticket.clone()).await;

    // The first socket dies before `begin`: the ticket is shown again.
    drop(edge.room().await);
    let mut room = edge.room().await;
    assert_eq!(json!(room.bearer), ticket["ticket"]);
    room.begin("echo", 0).await;
    room.facts_until("provider_ready").await;
    room.ack(1).await;
    phone.press('1').await;
    room.facts_until("digit").await;

    // The second dies with lines 2 and 3 stored or not, nobody knows. The call goes on meanwhile.
    drop(room);
    phone.listen(1).await;
    for digit in ['2', '3'] {
        phone.press(digit).await;
    }
    let mut room = edge.room().await;
    assert_eq!(room.bearer, RESUME);
    let hello = room.hear().await.expect("hello");
    assert!(hello["lastLine"].as_u64().is_some_and(|line| line >= 3), "{hello}");
    // The room had stored line 2 as well.
    room.begin("echo", 2).await;
    let mut digits = Vec::new();
    let mut next = 3;
    while digits.len() < 3 {
        let message = room.hear().await.expect("facts");
        for fact in message["facts"].as_array().into_iter().flatten() {
            assert_eq!(fact["line"], json!(next));
            next += 1;
            if fact["event"]["kind"] == "digit" {
                digits.push(fact["event"]["digit"].clone());
            }
        }
    }
    assert_eq!(digits, ["1", "2", "3"]);
    phone.hang_up().await;
    phone.closed().await;
    let last = room.facts_until("ended").await.last().expect("facts").0;

    // The last one dies after the call: the facts are still delivered.
    drop(room);
    let mut room = edge.room().await;
    room.begin("echo", last - 1).await;
    let facts = room.facts_until("ended").await;
    assert_eq!(facts.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [last]);
    room.ack(last).await;
    assert_eq!(room.hear().await, None);
    assert_eq!(node.metric("trunkline_facts_lost_total").await, 0.0);
}

#[tokio::test]
async fn a_refused_node_leaves_the_call_without_a_verdict() {
    for way in ["message", "close", "status"] {
        let mut edge = Edge::answering((way == "status").then_some(403)).await;
        let node = TestNode::start(edge.config(&[]));
        let ticket = edge.ticket(&edge.claims());
        let mut phone = Phone::call(node.address, ticket).await;
        if way != "status" {
            let mut room = edge.room().await;
            room.hear().await.expect("hello");
            if way == "message" {
                room.say(json!({"type": "refused", "code": "ticket_used"})).await;
            }
            room.close(4403).await;
        }
        assert_eq!(phone.closed().await, Some(1000), "{way}");
        drop(phone);
        node.metric_reaches("trunkline_calls_ended_total{reason=\"stream_lost\",result=\"failed\"}", 1.0).await;
        assert!(!edge.has_room(), "{way}: it must not come back");
        let unfinished = ["trunkline_facts_lost_total", "trunkline_facts_unacknowledged"];
        for name in unfinished {
            assert_eq!(node.metric(name).await, 0.0, "{way}: {name}");
        }
    }
}

#[tokio::test]
async fn a_superseded_node_stops_talking_and_hands_in_what_was_said() {
    let mut edge = Edge::start().await;
    let node = TestNode::start(edge.config(&[]));
    let mut phone = Phone::call(node.address, edge.ticket(&edge.claims())).await;
    let mut room = edge.room().await;
    room.begin("echo", 0).await;
    phone.listen(1).await;
    room.facts_until("provider_ready").await;
    room.ack(1).await;
    room.close(4409).await;
    assert_eq!(phone.closed().await, Some(1000));
    drop(phone);
    let mut room = edge.room().await;
    assert_eq!(room.bearer, RESUME);
    room.begin("echo", 1).await;
    let facts = room.facts_until("ended").await;
    assert_eq!(facts[0], (2, json!({"kind": "provider_ready", "provider": "echo"})));
    room.ack(facts.last().expect("facts").0).await;
    assert_eq!(room.hear().await, None);
    assert_eq!(node.metric("trunkline_facts_lost_total").await, 0.0);
}

#[tokio::test]
async fn a_superseded_node_comes_back_once_at_most() {
    let mut edge = Edge::start().await;
    let node = TestNode::start(edge.config(&[]));
    let mut phone = Phone::call(node.address, edge.ticket(&edge.claims())).await;
    let mut room = edge.room().await;
    room.begin("echo", 0).await;
    phone.listen(1).await;
    room.say(json!({"type": "refused", "code": "superseded"})).await;
    room.close(4409).await;
    let mut again = edge.room().await;
    again.hear().await.expect("hello");
    again.say(json!({"type": "refused", "code": "superseded"})).await;
    again.close(4403).await;
    node.metric_reaches("trunkline_facts_lost_total", 1.0).await;
    assert!(!edge.has_room());
}

#[tokio::test]
async fn an_order_is_carried_out_once() {
    let mut edge = Edge::start().await;
    let node = TestNode::start(edge.config(&[]));
    let mut phone = Phone::call(node.address, edge.ticket(&edge.claims())).await;
    let mut room = edge.room().await;
    room.begin("echo", 0).await;
    room.facts_until("provider_ready").await;
    // The line test takes no text: an order that cannot be carried out is answered, twice when it is repeated.
    for _ in 0..2 {
        room.say(json!({"type": "order", "id": 1, "order": {"kind": "tell", "text": "hello"}})).await;
        let done = loop {
            let message = room.hear().await.expect("an answer");
            if message["type"] == "order_done" {
                break message;
            }
        };
        assert!(done["id"] == 1 && done["error"].is_string(), "{done}");
    }
    room.say(json!({"type": "order", "id": 2, "order": {"kind": "end", "reason": "operator_hung_up"}})).await;
    phone.speak(&frame(1)).await;
    let facts = room.facts_until("ended").await;
    assert_eq!(facts.last().expect("a fact").1["reason"], "operator_hung_up");
    assert_eq!(phone.closed().await, Some(1000));
}

#[tokio::test]
async fn unknown_and_broken_messages_of_a_room_change_nothing() {
    let mut edge = Edge::start().await;
    let node = TestNode::start(edge.config(&[]));
    let mut phone = Phone::call(node.address, edge.ticket(&edge.claims())).await;
    let mut room = edge.room().await;
    for text in ["", "null", "{", "[1]", r#"{"type":"begin"}"#, r#"{"type":"dance"}"#, r#"{"type":"ack","line":-1}"#] {
        use futures_util::SinkExt as _;
        soon(room.socket.send(tokio_tungstenite::tungstenite::Message::text(text))).await.expect("an open socket");
    }
    room.ack(99).await;
    room.begin("echo", 0).await;
    room.facts_until("provider_ready").await;
    phone.listen(1).await;
    node.metric_reaches("trunkline_decode_errors_total{leg=\"edge\"}", 6.0).await;
}
