use super::*;
use shared::node_api::{CLOSE_BAD_MESSAGE, CLOSE_REFUSED, CLOSE_SUPERSEDED};

#[test]
fn a_ticket_opens_the_room_and_hello_brings_the_plan() {
    let (mut bench, offer) = Bench::inbound();
    let socket = SocketId("n1".into());
    assert_eq!(messages(&bench.open_node(&socket, &offer), &socket), []);
    assert_eq!(bench.room.view().epoch, Epoch(1));
    bench.now = bench.now.plus(2_000);
    let said = bench.say(&socket, &hello(&offer, 0));
    let [RoomMessage::Begin { protocol, plan, epoch, resume_token, acked_line }] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert_eq!((*protocol, *epoch, *acked_line), (PROTOCOL_VERSION, Epoch(1), 0));
    assert_eq!(plan.call, call_id());
    assert_eq!(plan.caller, Party::read(CALLER));
    assert_eq!(plan.agent, agent("desk"));
    assert_eq!(plan.variables["name"], "Ada");
    assert_eq!((plan.greeted, plan.heard.len(), plan.remaining_s), (false, 0, 3598));
    let verifier = config().tickets.verifier();
    let claims = verifier.verify(resume_token, Audience::Resume, bench.now).unwrap();
    assert_eq!((claims.call, claims.epoch, claims.node), (call_id(), Epoch(1), offer.to.node));
    bench.check();
}

#[test]
fn facts_are_stored_once_and_acknowledged_without_a_gap() {
    let (mut bench, offer, socket) = Bench::talking();
    let before = bench.room.view().seq;
    let one = fact(1, said(Speaker::Agent, "a1", "Good morning.", 0));
    let two = fact(2, said(Speaker::Caller, "c1", "Hello.", 900));
    let three = fact(3, NodeEvent::Digit { digit: '5' });
    assert_eq!(bench.say(&socket, &facts(1, vec![one.clone()])), [RoomMessage::Ack { line: 1 }]);
    // Line 2 was lost: nothing beyond the gap is taken.
    assert_eq!(bench.say(&socket, &facts(1, vec![three.clone()])), [RoomMessage::Ack { line: 1 }]);
    // The node resends from what was acknowledged.
    let all = facts(1, vec![one, two, three]);
    assert_eq!(bench.say(&socket, &all), [RoomMessage::Ack { line: 3 }]);
    assert_eq!(bench.say(&socket, &all), [RoomMessage::Ack { line: 3 }]);
    assert_eq!(bench.room.view().seq, before + 3);
    // A new socket of the same owner goes on where the old one was.
    let again = SocketId("n2".into());
    let entry = resume_entry(&offer);
    let effects = bench.handle(RoomInput::NodeOpened { socket: again.clone(), entry }).effects;
    assert_eq!(closed(&effects, &socket), Some(CLOSE_SUPERSEDED));
    let said = bench.say(&again, &hello(&offer, 3));
    assert!(matches!(said.as_slice(), [RoomMessage::Begin { acked_line: 3, .. }]), "{said:?}");
    bench.check();
}

#[test]
fn a_stream_that_started_says_that_the_call_was_answered() {
    let (mut bench, _, socket) = Bench::talking();
    assert_eq!(bench.room.view().state.status, CallStatus::Ringing);
    let started = fact(1, NodeEvent::StreamStarted { stream_sid: stream_sid(1) });
    let at = started.at;
    bench.say(&socket, &facts(1, vec![started.clone()]));
    let state = &bench.room.view().state;
    assert_eq!((state.status, state.answered_at), (CallStatus::InProgress, Some(at)));
    // Told again, it is no second fact.
    let before = bench.room.view().seq;
    bench.say(&socket, &facts(1, vec![started]));
    assert_eq!(bench.room.view().seq, before);
    bench.check();
}

#[test]
fn a_ticket_is_burnt_once() {
    let (mut bench, offer) = Bench::inbound();
    let (first, thief, same) = (SocketId("a".into()), SocketId("b".into()), SocketId("c".into()));
    bench.open_node(&first, &offer);
    // Another node with the same ticket, and a forged nonce.
    for change in 0..3 {
        let mut claims = claims(&offer, Audience::Stream);
        match change {
            0 => claims.node = NodeId::parse("m2").unwrap(),
            1 => claims.nonce = "another".into(),
            _ => claims.epoch = Epoch(2),
        }
        let entry = NodeEntry { claims };
        let effects = bench.handle(RoomInput::NodeOpened { socket: thief.clone(), entry }).effects;
        assert_eq!(messages(&effects, &thief), [refused("ticket_invalid")]);
        assert_eq!(closed(&effects, &thief), Some(CLOSE_REFUSED));
    }
    // The owner is not disturbed; it may come back with the same ticket before it heard `begin`.
    assert_eq!(closed(&bench.open_node(&same, &offer), &first), Some(CLOSE_SUPERSEDED));
    assert!(matches!(bench.say(&same, &hello(&offer, 0)).as_slice(), [RoomMessage::Begin { .. }]));
    assert_eq!(bench.room.view().epoch, Epoch(1), "the epoch was raised once");
    bench.check();
}

#[test]
fn an_unknown_or_finished_call_admits_nobody() {
    let (_, offer) = Bench::inbound();
    let socket = SocketId("n".into());
    let mut empty = Bench::new();
    assert_eq!(messages(&empty.open_node(&socket, &offer), &socket), [refused("unknown_call")]);
    assert!(empty.store.page(store::Page::Desk).unwrap().is_none(), "nothing was written");

    let (mut bench, offer) = Bench::inbound();
    bench.status(CallStatus::Completed);
    assert_eq!(messages(&bench.open_node(&socket, &offer), &socket), [refused("call_over")]);
    bench.check();
}

#[test]
fn a_former_owner_hands_in_what_it_has_and_changes_nothing_else() {
    let (mut bench, first, old) = Bench::talking();
    bench.say(&old, &facts(1, vec![fact(1, said(Speaker::Agent, "a1", "Good morning.", 0))]));
    bench.handle(RoomInput::NodeClosed { socket: old });
    let RoomResponse::After(NextStep::Media(second)) = bench.ask(after(1, Some(Some(node("m2"))))) else { panic!() };
    assert_eq!(second.epoch, Epoch(2));
    let new = SocketId("new".into());
    bench.open_node(&new, &second);
    let begun = bench.say(&new, &hello(&second, 0));
    let [RoomMessage::Begin { plan, epoch: Epoch(2), .. }] = begun.as_slice() else { panic!("{begun:?}") };
    assert!(plan.greeted);
    assert_eq!(plan.heard.len(), 1);

    let late = SocketId("late".into());
    let entry = resume_entry(&first);
    let effects = bench.handle(RoomInput::NodeOpened { socket: late.clone(), entry }).effects;
    assert_eq!(closed(&effects, &new), None, "the owner stays");
    let begun = bench.say(&late, &hello(&first, 3));
    let [RoomMessage::Begin { epoch: Epoch(1), acked_line: 1, resume_token, .. }] = begun.as_slice() else {
        panic!("{begun:?}")
    };
    let again = config().tickets.verifier().verify(resume_token, Audience::Resume, bench.now).unwrap();
    assert_eq!((again.node, again.epoch), (first.to.node.clone(), Epoch(1)));
    let rest = facts(
        1,
        vec![
            fact(2, said(Speaker::Caller, "c1", "One more thing.", 900)),
            fact(3, NodeEvent::Ended { reason: EndReason::CallerHungUp }),
        ],
    );
    assert_eq!(bench.say(&late, &rest), [RoomMessage::Ack { line: 3 }, refused("superseded")]);
    assert!(!bench.room.view().state.is_over(), "a former owner's verdict is history");
    assert_eq!(bench.room.snapshot().unwrap().transcript.len(), 2, "what was said is kept");
    // With nothing to hand in it is sent away at once.
    let idle = SocketId("idle".into());
    bench.handle(RoomInput::NodeOpened { socket: idle.clone(), entry: resume_entry(&first) });
    assert_eq!(bench.say(&idle, &hello(&first, 3)), [refused("superseded")]);
    // With the stream ticket of the old epoch nobody gets in any more.
    let effects = bench.open_node(&late, &first);
    assert_eq!(messages(&effects, &late), [refused("superseded")]);
    bench.check();
}

#[test]
fn what_cannot_be_understood_closes_the_socket_and_nothing_else() {
    let (bench, ..) = Bench::talking();
    for bad in ["", "{", "[]", "{\"type\":\"facts\"}", "{\"type\":\"facts\",\"epoch\":-1,\"facts\":[]}", "\u{0}"] {
        let (mut bench, socket) = (bench.clone(), SocketId("n1".into()));
        let effects = bench.handle(RoomInput::NodeText { socket: socket.clone(), text: bad.into() }).effects;
        assert_eq!(closed(&effects, &socket), Some(CLOSE_BAD_MESSAGE), "{bad}");
        assert!(!bench.room.view().state.is_over());
        bench.check();
    }
    let mut bench = bench;
    let socket = SocketId("n1".into());
    let unknown = r#"{"type":"dance","steps":4}"#.to_owned();
    assert_eq!(bench.handle(RoomInput::NodeText { socket: socket.clone(), text: unknown }).effects, []);
    let huge = format!(r#"{{"type":"dance","steps":"{}"}}"#, "x".repeat(64 * 1024));
    let effects = bench.handle(RoomInput::NodeText { socket: socket.clone(), text: huge }).effects;
    assert_eq!(closed(&effects, &socket), Some(CLOSE_BAD_MESSAGE));
}

#[test]
fn facts_before_hello_or_of_another_epoch_are_not_taken() {
    let (mut bench, offer) = Bench::inbound();
    let socket = SocketId("n1".into());
    bench.open_node(&socket, &offer);
    let seq = bench.room.view().seq;
    let one = || vec![fact(1, NodeEvent::Digit { digit: '1' })];
    assert_eq!(bench.say(&socket, &facts(1, one())), []);
    bench.say(&socket, &hello(&offer, 0));
    assert_eq!(bench.say(&socket, &facts(2, one())), []);
    assert_eq!(bench.say(&socket, &facts(0, one())), []);
    assert_eq!(bench.room.view().seq, seq);
    bench.check();
}

#[test]
fn an_order_waits_for_its_owner_and_is_repeated_until_it_is_carried_out() {
    let (mut bench, offer, socket) = Bench::talking();
    bench.handle(RoomInput::NodeClosed { socket: socket.clone() });
    assert!(matches!(bench.ask(RoomRequest::HangUp), RoomResponse::HangUp { over: false, .. }));
    let order = RoomMessage::Order { id: 1, order: NodeOrder::End { reason: EndReason::OperatorHungUp } };
    for socket in ["n2", "n3"].map(|s| SocketId(s.into())) {
        bench.handle(RoomInput::NodeOpened { socket: socket.clone(), entry: resume_entry(&offer) });
        let said = bench.say(&socket, &hello(&offer, 0));
        assert!(matches!(said.as_slice(), [RoomMessage::Begin { .. }, o] if *o == order), "{said:?}");
    }
    bench.say(&SocketId("n3".into()), &NodeMessage::OrderDone { id: 1, error: None });
    let last = SocketId("n4".into());
    bench.handle(RoomInput::NodeOpened { socket: last.clone(), entry: resume_entry(&offer) });
    assert_eq!(bench.say(&last, &hello(&offer, 0)).len(), 1);
    bench.check();
}

#[test]
fn words_being_said_are_shown_and_not_stored() {
    let (mut bench, _, socket) = Bench::talking();
    let seq = bench.room.view().seq;
    let live = NodeMessage::Live {
        epoch: Epoch(1),
        speaker: Speaker::Caller,
        item: "c1".into(),
        text: "I would".into(),
        started_at: START,
    };
    let text = serde_json::to_string(&live).unwrap();
    let effects = bench.handle(RoomInput::NodeText { socket, text }).effects;
    let shown = broadcasts(&effects);
    assert!(matches!(shown.as_slice(), [ServerMessage::Live { key, .. }] if key == "1:c1"), "{shown:?}");
    assert_eq!(bench.room.view().seq, seq);
}

#[test]
fn sockets_that_died_without_a_word_do_not_pile_up() {
    let (mut bench, offer, _) = Bench::talking();
    for n in 0..50 {
        let socket = SocketId(format!("again-{n}"));
        bench.handle(RoomInput::NodeOpened { socket: socket.clone(), entry: resume_entry(&offer) });
        let said = bench.say(&socket, &hello(&offer, 0));
        assert!(matches!(said.as_slice(), [RoomMessage::Begin { .. }]), "{said:?}");
    }
    let desk = bench.store.page(store::Page::Desk).unwrap().unwrap();
    assert!(!desk.contains("again-48") && desk.contains("again-49"), "{desk}");
}

#[test]
fn a_node_that_did_not_notice_the_end_is_told() {
    let (mut bench, _, socket) = Bench::talking();
    bench.status(CallStatus::Completed);
    bench.now = bench.now.plus(14_999);
    assert_eq!(messages(&bench.handle(RoomInput::Alarm).effects, &socket), []);
    bench.now = bench.now.plus(1);
    let effects = bench.handle(RoomInput::Alarm).effects;
    assert_eq!(messages(&effects, &socket), [refused("call_over")]);
    assert_eq!(closed(&effects, &socket), Some(CLOSE_REFUSED));
    // It may still come back with what it has.
    let (again, offer) = (SocketId("again".into()), Bench::inbound().1);
    bench.handle(RoomInput::NodeOpened { socket: again.clone(), entry: resume_entry(&offer) });
    assert!(matches!(bench.say(&again, &hello(&offer, 1)).as_slice(), [RoomMessage::Begin { .. }]));
}

#[test]
fn an_owner_that_is_overtaken_may_finish_what_it_says() {
    let (mut bench, _, old) = Bench::talking();
    let RoomResponse::After(NextStep::Media(second)) = bench.ask(after(1, Some(Some(node("m2"))))) else { panic!() };
    let effects = bench.open_node(&SocketId("new".into()), &second);
    assert_eq!(closed(&effects, &old), None);
    for line in 1..=3 {
        let said = bench.say(&old, &facts(1, vec![fact(line, NodeEvent::Digit { digit: '1' })]));
        assert_eq!(said, [RoomMessage::Ack { line }]);
    }
    bench.check();
}

#[test]
fn a_ticket_that_was_seen_somewhere_opens_nothing_once_its_owner_has_begun() {
    let (mut bench, offer, socket) = Bench::talking();
    bench.say(&socket, &facts(1, vec![fact(1, NodeEvent::Digit { digit: '1' })]));
    let thief = SocketId("thief".into());
    let effects = bench.open_node(&thief, &offer);
    assert_eq!(messages(&effects, &thief), [refused("ticket_used")]);
    assert_eq!((closed(&effects, &thief), closed(&effects, &socket)), (Some(CLOSE_REFUSED), None));
    assert!(matches!(works(&effects).as_slice(), [Work { task: Task::Note(_), .. }]), "the operator is told");
    // The owner is where it was, and comes back with what only it was given.
    assert_eq!(
        bench.say(&socket, &facts(1, vec![fact(2, NodeEvent::Digit { digit: '2' })])),
        [RoomMessage::Ack { line: 2 }]
    );
    bench.handle(RoomInput::NodeClosed { socket });
    assert_eq!(messages(&bench.open_node(&thief, &offer), &thief), [refused("ticket_used")]);
    let again = SocketId("again".into());
    bench.handle(RoomInput::NodeOpened { socket: again.clone(), entry: resume_entry(&offer) });
    assert!(matches!(bench.say(&again, &hello(&offer, 2)).as_slice(), [RoomMessage::Begin { acked_line: 2, .. }]));
    bench.check();
}

#[test]
fn the_longest_plan_fits_into_one_message() {
    let mut desk = agent("desk");
    // Control characters are the longest in JSON: six bytes each.
    desk.instructions = "\u{1}".repeat(shared::agent::Agent::MAX_TEXT);
    desk.greeting = Some("\u{1}".repeat(shared::agent::Agent::MAX_TEXT));
    let variables = BTreeMap::from([("v".to_owned(), "x".repeat(16 * 1024))]);
    let mut bench = Bench::new();
    let opening = Opening { agent: Some(desk), variables, ..opening() };
    let request = Answering { opening: Some(opening), ..answering(Some(node("m1"))) };
    let RoomResponse::Answer(Answer::Media(offer)) = bench.ask(RoomRequest::Answer(Box::new(request))) else {
        panic!()
    };
    let socket = SocketId("n1".into());
    bench.open_node(&socket, &offer);
    bench.say(&socket, &hello(&offer, 0));
    for line in 1..=300 {
        let speaker = if line == 1 { Speaker::Agent } else { Speaker::Caller };
        let text = format!("{line} {}", "\u{1f600}".repeat(250));
        bench.say(&socket, &facts(1, vec![fact(line, said(speaker, &format!("i{line}"), &text, line as i64))]));
    }
    let again = SocketId("n2".into());
    bench.handle(RoomInput::NodeOpened { socket: again.clone(), entry: resume_entry(&offer) });
    let begun = bench.say(&again, &hello(&offer, 300));
    let [begin @ RoomMessage::Begin { plan, .. }] = begun.as_slice() else { panic!("{begun:?}") };
    let size = serde_json::to_string(begin).unwrap().len();
    assert!(size <= shared::node_api::MAX_ROOM_MESSAGE_BYTES, "{size}");
    assert!(plan.greeted, "although the greeting is no longer among the newest lines");
    assert!((20..=24).contains(&plan.heard.len()), "{}", plan.heard.len());
    assert!(plan.heard[plan.heard.len() - 1].text.starts_with("300 "));
}
