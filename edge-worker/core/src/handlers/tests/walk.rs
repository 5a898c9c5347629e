use super::*;
use crate::call_room::RoomInput;
use crate::call_room::SocketId;
use shared::console_api::ServerMessage;
use shared::ids::{CallId, Epoch};
use shared::node_api::{NodeEvent, NodeFact, NodeMessage, RoomMessage, Speaker};

/// A media node as the edge sees it: it takes a ticket from TwiML and opens the call's room.
struct Node<'a> {
    deployment: &'a Deployment,
    call: CallId,
    socket: SocketId,
}

impl<'a> Node<'a> {
    fn redeem(deployment: &'a Deployment, twiml: &str) -> Self {
        let ticket = attribute(twiml, "Parameter", "value").unwrap();
        let action = target_of(&attribute(twiml, "Connect", "action").unwrap());
        let call = CallId::parse(action.split("call=").nth(1).unwrap().split('&').next().unwrap()).unwrap();
        let request = bearer(&ticket, socket(&format!("/node/calls/{call}")));
        let request = by_node(deployment, &node_of(twiml), request);
        let Reply::Upgrade(Upgrade::Node { call, entry }) = deployment.reply(request) else { panic!("refused") };
        let socket = deployment.world.open_node(&call, entry);
        Self { deployment, call, socket }
    }

    fn say(&self, message: &NodeMessage) -> Vec<RoomMessage> {
        let text = serde_json::to_string(message).unwrap();
        self.deployment.world.tell_room(&self.call, RoomInput::NodeText { socket: self.socket.clone(), text });
        block_on(self.deployment.world.settle());
        let received = self.deployment.world.take_received(&self.socket);
        received.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    fn hello(&self, node: &str) -> Vec<RoomMessage> {
        self.say(&NodeMessage::Hello {
            protocol: 1,
            node: NodeId::parse(node).unwrap(),
            stream_sid: crate::testing::stream_sid(1),
            last_line: 0,
        })
    }

    fn fact(&self, epoch: u32, line: u64, event: NodeEvent) {
        let fact = NodeFact { line, at: self.deployment.world.now(), event };
        let said = self.say(&NodeMessage::Facts { epoch: Epoch(epoch), facts: vec![fact] });
        assert_eq!(said, [RoomMessage::Ack { line }]);
    }
}

fn said(speaker: Speaker, item: &str, text: &str, at: UnixMillis) -> NodeEvent {
    NodeEvent::Said { speaker, item: item.into(), text: text.into(), started_at: at }
}

fn play(evictions: bool) -> Value {
    let deployment = Deployment::with_node();
    deployment.world.set_faults(Faults { evictions, ..Faults::default() });
    let browser = deployment.set_up();
    let made = deployment.send(browser.on(put("/api/agents/desk", &agent_body("desk"))));
    assert_eq!(made.status, 200, "{}", text(&made));
    let pointed = deployment.send(browser.on(put("/api/numbers/%2B15550100199", &json!({"agent": "desk"}))));
    assert_eq!(pointed.status, 200, "{}", text(&pointed));
    let board = deployment.world.open_board();

    // Somebody calls.
    let twiml = ring(&deployment, 1);
    assert_eq!(attribute(&twiml, "Stream", "url").as_deref(), Some("wss://m1.example.com/media/m1"));
    let node = Node::redeem(&deployment, &twiml);
    let begun = node.hello("m1");
    let [RoomMessage::Begin { plan, .. }] = begun.as_slice() else { panic!("{begun:?}") };
    assert_eq!(plan.agent.id.as_str(), "desk");
    assert_eq!(plan.caller.to_text(), CALLER);
    let watcher = deployment.world.open_watcher(&node.call, None);

    // They talk, and the caller hangs up.
    deployment.advance(1_500);
    let start = deployment.world.now();
    node.fact(1, 1, said(Speaker::Agent, "a1", "Good morning.", start));
    deployment.advance(2_000);
    node.fact(1, 2, said(Speaker::Caller, "c1", "When are you open?", start.plus(1_800)));
    node.fact(1, 3, NodeEvent::Heard { item: "a1".into(), heard_ms: 900, received_ms: 900, cut: false });
    let live = deployment.send(browser.on(get(&format!("/api/calls/{}", call_sid(1)))));
    assert_eq!(read(&live)["transcript"].as_array().unwrap().len(), 2);
    deployment.advance(1_000);
    node.fact(1, 4, NodeEvent::Ended { reason: shared::call::EndReason::CallerHungUp });
    let mut fields = inbound_fields(&call_sid(1));
    fields.retain(|(name, _)| *name != "CallStatus");
    fields.push(("CallStatus", "completed".into()));
    fields.push(("CallDuration", "5".into()));
    fields.push(("Timestamp", "Thu, 01 Jan 2026 00:00:05 +0000".into()));
    fields.push(("SequenceNumber", "0".into()));
    let callback = twilio_post("/api/calls/status", &borrowed(&fields));
    for _ in 0..3 {
        assert_eq!(deployment.send(callback.clone()).status, 204);
    }

    // The watcher saw everything in order, then the end.
    let seen = deployment.world.socket(&watcher);
    assert_eq!(seen.closed, Some(1000));
    let messages: Vec<ServerMessage> = seen.received.iter().map(|t| serde_json::from_str(t).unwrap()).collect();
    let Some(ServerMessage::Snapshot { call, .. }) = messages.first() else { panic!("{messages:?}") };
    let mut seq = call.seq;
    for message in &messages[1..] {
        if let ServerMessage::Facts { facts } = message {
            for fact in facts {
                assert_eq!(fact.seq, seq + 1);
                seq = fact.seq;
            }
        }
    }
    assert_eq!(messages.last(), Some(&ServerMessage::Ended { seq }));

    // The board showed the call and took it away.
    let board = deployment.world.socket(&board).received;
    assert!(board.iter().any(|t| t.contains(r#""type":"call""#)));
    assert!(board.last().unwrap().contains(r#""type":"gone""#), "{:?}", board.last());

    // The history has it in D1, and the API shows it by either name.
    deployment.advance(30_000);
    let rows = deployment.world.query("SELECT status, duration_s, reason, settled FROM calls");
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].text("status"), rows[0].integer("duration_s")), (Some("completed"), Some(5)));
    assert_eq!((rows[0].text("reason"), rows[0].integer("settled")), (Some("caller_hung_up"), Some(1)));
    let rooms = deployment.world.asked().rooms;
    let shown = deployment.send(browser.on(get(&format!("/api/calls/{}", node.call))));
    assert_eq!(deployment.world.asked().rooms, rooms, "a settled call's room is not woken");
    let list = read(&deployment.send(browser.on(get("/api/calls"))));
    assert_eq!(list["calls"][0]["durationS"], 5);
    let plain = deployment.send(bearer(
        &deployment.key(&browser),
        with_accept(get(&format!("/api/calls/{}/transcript", call_sid(1))), "text/plain"),
    ));
    assert_eq!(
        text(&plain),
        "[2026-01-01T00:00:01.500Z] Agent: Good morning.\n[2026-01-01T00:00:03.300Z] Caller: When are you open?\n"
    );
    read(&shown)
}

fn with_accept(mut request: Request, accept: &str) -> Request {
    request.headers.push(("accept".into(), accept.into()));
    request
}

#[test]
fn an_inbound_call_from_its_webhook_to_its_history() {
    let shown = play(false);
    assert_eq!(shown["call"]["termination"]["reason"], "caller_hung_up");
    assert_eq!(shown["transcript"][0]["heard"], json!({"heardMs": 900, "receivedMs": 900, "cut": false}));
    assert_eq!(shown["call"]["answeredAt"], Value::Null, "nobody reported when it was answered");
}

#[test]
fn the_same_with_every_object_evicted_before_every_event() {
    assert_eq!(play(true), play(false));
}

#[test]
fn a_call_that_loses_its_node_goes_on_with_another() {
    let deployment = Deployment::with_node();
    let twiml = ring(&deployment, 1);
    let first = Node::redeem(&deployment, &twiml);
    first.hello("m1");
    first.fact(1, 1, said(Speaker::Agent, "a1", "Good morning.", deployment.world.now()));
    deployment.beat("m2", 3, false);
    // The node dies: Twilio asks the action of `<Connect>`.
    let ask = |twiml: &str| {
        let target = target_of(&attribute(twiml, "Connect", "action").unwrap());
        let mut fields = inbound_fields(&call_sid(1));
        fields.retain(|(name, _)| *name != "CallStatus");
        fields.push(("CallStatus", "in-progress".into()));
        text(&deployment.send(twilio_post(&target, &borrowed(&fields))))
    };
    let rescued = ask(&twiml);
    assert_eq!(
        attribute(&rescued, "Stream", "url").as_deref(),
        Some("wss://m2.example.com/media/m2"),
        "not the lost one"
    );
    assert_eq!(ask(&twiml), rescued, "the same question, the same answer");
    let second = Node::redeem(&deployment, &rescued);
    let begun = second.hello("m2");
    let [RoomMessage::Begin { plan, epoch: Epoch(2), .. }] = begun.as_slice() else { panic!("{begun:?}") };
    assert!(plan.greeted && plan.heard[0].text == "Good morning.");
    assert!(ask(&twiml).ends_with("<Response/>"), "the verb that lost is inert");
    second.fact(2, 1, NodeEvent::Ended { reason: shared::call::EndReason::AgentHungUp });
    assert!(ask(&rescued).contains("<Hangup/>"));
}
