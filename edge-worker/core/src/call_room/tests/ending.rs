use super::*;

#[test]
fn the_same_question_gets_the_same_offer_and_a_late_one_none() {
    let (mut bench, offer) = Bench::inbound();
    let again = |nonce: &str| {
        let mut a = answering(Some(node("m2")));
        a.nonce = nonce.into();
        RoomRequest::Answer(Box::new(a))
    };
    let facts = bench.facts().len();
    for nonce in ["11112222333344445555666677778888", "99"] {
        assert_eq!(bench.ask(again(nonce)), RoomResponse::Answer(Answer::Media(offer.clone())));
    }
    assert_eq!(bench.facts().len(), facts, "asking again stores nothing");
    // Burnt: whoever asks now is not the leg that was answered.
    bench.open_node(&SocketId("n1".into()), &offer);
    assert_eq!(bench.ask(again("99")), RoomResponse::Answer(Answer::Inert));
    // Replayed a day later, after the call.
    bench.status(CallStatus::Completed);
    bench.now = bench.now.plus(86_400_000);
    assert_eq!(bench.ask(again("99")), RoomResponse::Answer(Answer::Inert));
    bench.check();
}

#[test]
fn an_expired_offer_is_not_made_again() {
    let (mut bench, _) = Bench::inbound();
    bench.now = bench.now.plus(60_000);
    let RoomResponse::Answer(answer) = bench.ask(RoomRequest::Answer(Box::new(answering(Some(node("m1")))))) else {
        panic!()
    };
    assert_eq!(answer, Answer::Inert);
}

#[test]
fn without_a_node_the_caller_hears_busy_and_the_call_is_over() {
    let mut bench = Bench::new();
    for _ in 0..2 {
        let answer = bench.ask(RoomRequest::Answer(Box::new(answering(None))));
        assert_eq!(answer, RoomResponse::Answer(Answer::NoCapacity));
    }
    assert_eq!(bench.room.view().state.termination(), Some(EndReason::NoCapacity.into()));
    bench.check();
}

#[test]
fn another_leg_is_not_this_call() {
    let (mut bench, offer) = Bench::inbound();
    let seq = bench.room.view().seq;
    let mut foreign = answering(Some(node("m1")));
    foreign.call_sid = call_sid(2);
    assert_eq!(bench.ask(RoomRequest::Answer(Box::new(foreign))), RoomResponse::Answer(Answer::Inert));
    let event = status_event(CallStatus::Completed, START);
    let report = Report { call_sid: call_sid(2), what: Reported::Life { event } };
    assert_eq!(bench.ask(RoomRequest::Report(Box::new(report))), RoomResponse::Done);
    let mut claims = claims(&offer, Audience::Stream);
    claims.call_sid = call_sid(2);
    let socket = SocketId("x".into());
    let effects = bench.handle(RoomInput::NodeOpened { socket: socket.clone(), entry: NodeEntry { claims } }).effects;
    assert_eq!(messages(&effects, &socket), [refused("ticket_invalid")]);
    assert_eq!(bench.room.view().seq, seq);
}

#[test]
fn a_lost_stream_is_rescued_three_times_and_then_given_up() {
    let (mut bench, mut offer, mut socket) = Bench::talking();
    for round in 1..=3u32 {
        bench.handle(RoomInput::NodeClosed { socket });
        assert_eq!(
            bench.ask(after(round, None)),
            RoomResponse::After(NextStep::NeedsNode { lost: Some(offer.to.node.clone()) })
        );
        let to = node(&format!("m{}", round + 1));
        let RoomResponse::After(NextStep::Media(next)) = bench.ask(after(round, Some(Some(to.clone())))) else {
            panic!()
        };
        assert_eq!((next.epoch, &next.to), (Epoch(round + 1), &to));
        // Asked again before the node came: the same offer, not another rescue.
        assert_eq!(bench.ask(after(round, None)), RoomResponse::After(NextStep::Media(next.clone())));
        offer = next;
        socket = SocketId(format!("n{}", round + 1));
        bench.open_node(&socket, &offer);
        bench.say(&socket, &hello(&offer, 0));
        // The verb that lost asks too.
        assert_eq!(bench.ask(after(round, None)), RoomResponse::After(NextStep::Inert));
    }
    assert_eq!(bench.ask(after(4, None)), RoomResponse::After(NextStep::Apologise));
    assert_eq!(bench.room.view().state.termination(), Some(EndReason::StreamLost.into()));
    assert_eq!(bench.ask(after(4, None)), RoomResponse::After(NextStep::HangUp));
    bench.check();
}

#[test]
fn a_stream_that_never_began_is_rescued_too() {
    let (mut bench, offer) = Bench::inbound();
    let RoomResponse::After(NextStep::Media(second)) = bench.ask(after(1, Some(Some(node("m2"))))) else { panic!() };
    assert_eq!(second.epoch, Epoch(2), "the first ticket may never be used any more");
    let late = SocketId("late".into());
    assert_eq!(messages(&bench.open_node(&late, &offer), &late), [refused("superseded")]);
    bench.open_node(&SocketId("n".into()), &second);
    assert_eq!(bench.room.view().epoch, Epoch(2));
    bench.check();
}

#[test]
fn without_another_node_the_caller_hears_an_apology() {
    let (mut bench, ..) = Bench::talking();
    assert_eq!(bench.ask(after(1, Some(None))), RoomResponse::After(NextStep::Apologise));
    assert_eq!(bench.room.view().state.termination(), Some(EndReason::NodeStopped.into()));
}

#[test]
fn what_ended_by_design_is_hung_up() {
    let (mut bench, _, socket) = Bench::talking();
    bench.say(&socket, &facts(1, vec![fact(1, NodeEvent::Ended { reason: EndReason::AgentHungUp })]));
    assert_eq!(bench.ask(after(1, None)), RoomResponse::After(NextStep::HangUp));
    assert_eq!(bench.ask(after(7, None)), RoomResponse::After(NextStep::HangUp));
    assert_eq!(bench.room.view().state.termination(), Some(EndReason::AgentHungUp.into()));
}

#[test]
fn a_node_that_must_stop_only_ends_its_own_part() {
    for reason in [EndReason::NodeStopped, EndReason::StreamLost] {
        let (mut bench, _, socket) = Bench::talking();
        bench.say(&socket, &facts(1, vec![fact(1, NodeEvent::Ended { reason })]));
        assert!(!bench.room.view().state.is_over());
        assert!(matches!(bench.ask(after(1, None)), RoomResponse::After(NextStep::NeedsNode { .. })), "{reason:?}");
    }
}

#[test]
fn an_end_that_races_the_rescue_wins() {
    let (mut bench, _, socket) = Bench::talking();
    let RoomResponse::After(NextStep::Media(second)) = bench.ask(after(1, Some(Some(node("m2"))))) else { panic!() };
    bench.say(&socket, &facts(1, vec![fact(1, NodeEvent::Ended { reason: EndReason::Silence })]));
    assert_eq!(bench.room.view().state.termination(), Some(EndReason::Silence.into()));
    let other = SocketId("n2".into());
    assert_eq!(messages(&bench.open_node(&other, &second), &other), [refused("call_over")]);
    assert_eq!(bench.ask(after(2, None)), RoomResponse::After(NextStep::HangUp));
    bench.check();
}

#[test]
fn hanging_up_tells_the_node_and_twilio_once() {
    let (mut bench, _, socket) = Bench::talking();
    let output = bench.handle(RoomInput::Request(RoomRequest::HangUp));
    let order = RoomMessage::Order { id: 1, order: NodeOrder::End { reason: EndReason::OperatorHungUp } };
    assert_eq!(messages(&output.effects, &socket), [order]);
    let hang_up: Vec<Work> = works(&output.effects).into_iter().filter(|w| w.key == WorkKey::HangUp).collect();
    let [work] = hang_up.as_slice() else { panic!("{hang_up:?}") };
    assert_eq!(work.task, Task::Twilio(TwilioOrder::HangUp { call_sid: call_sid(1) }));
    // A second browser presses the button.
    let again = bench.handle(RoomInput::Request(RoomRequest::HangUp));
    assert!(works(&again.effects).iter().all(|w| w.key != WorkKey::HangUp));
    assert!(matches!(again.answer, RoomResponse::HangUp { over: false, .. }));
    bench.done(work, WorkOutcome::Twilio(TwilioOutcome::Carried));
    assert_eq!(bench.room.view().state.termination(), Some(EndReason::OperatorHungUp.into()));
    // The verb that was interrupted asks how to go on.
    assert_eq!(bench.ask(after(1, None)), RoomResponse::After(NextStep::HangUp));
    assert!(matches!(bench.ask(RoomRequest::HangUp), RoomResponse::HangUp { over: true, .. }));
    bench.check();
}

#[test]
fn a_dialled_leg_tells_how_it_ended() {
    let open = |verdict| {
        let mut bench = Bench::new();
        let mut answering = answering(None);
        answering.opening = answering.opening.map(|o| Opening { direction: Direction::Browser, agent: None, ..o });
        assert_eq!(bench.ask(RoomRequest::Answer(Box::new(answering))), RoomResponse::Answer(Answer::Dial));
        let after = After { call_sid: call_sid(1), status: CallStatus::InProgress, ended: Interlude::Dial { verdict } };
        assert_eq!(bench.ask(RoomRequest::After(Box::new(after))), RoomResponse::After(NextStep::HangUp));
        bench.status(CallStatus::Completed);
        bench.check();
        bench.room.view().state.termination()
    };
    assert_eq!(open(Some(EndReason::Busy)), Some(EndReason::Busy.into()));
    assert_eq!(open(None), Some(EndReason::CarrierReported.into()));
}

#[test]
fn who_was_hung_up_while_it_rang_gets_no_media() {
    let (mut bench, _) = Bench::inbound();
    let mut fresh = Bench::new();
    fresh.ask(RoomRequest::Open(Box::new(opening())));
    for bench in [&mut bench, &mut fresh] {
        bench.ask(RoomRequest::HangUp);
        let answer = bench.ask(RoomRequest::Answer(Box::new(answering(Some(node("m1"))))));
        assert_eq!(answer, RoomResponse::Answer(Answer::Inert));
    }
}
