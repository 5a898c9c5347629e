use super::*;

fn stands(status: CallStatus) -> WorkOutcome {
    let over = status.is_terminal();
    WorkOutcome::Twilio(TwilioOutcome::Stands {
        status,
        duration_s: over.then_some(9),
        ended_at: over.then_some(START),
    })
}

/// Rings until the call is over at Twilio too; Twilio answers each question so. How long it took, and what was asked.
fn until_over(bench: &mut Bench, answer: impl Fn(WorkKey) -> WorkOutcome) -> (i64, Vec<WorkKey>) {
    let start = bench.now;
    let mut asked = Vec::new();
    for _ in 0..1000 {
        if bench.room.view().state.status.is_terminal() {
            return (bench.now.since(start), asked);
        }
        let mut works = bench.ring();
        while let Some(work) = works.pop() {
            let outcome = match work.key {
                WorkKey::Project | WorkKey::Board | WorkKey::Note => WorkOutcome::Done,
                WorkKey::HangUp | WorkKey::Fetch | WorkKey::Find => {
                    asked.push(work.key);
                    answer(work.key)
                }
            };
            works.extend(bench.done(&work, outcome));
        }
    }
    panic!("never over; asked {asked:?}");
}

fn placed(key: Option<&str>) -> (Bench, RoomRequest) {
    let mut bench = Bench::new();
    let opening = Opening {
        direction: Direction::Outbound,
        call_sid: None,
        status: CallStatus::Queued,
        digest: Some(key.unwrap_or("digest").into()),
        ..opening()
    };
    let request = RoomRequest::Open(Box::new(opening));
    assert_eq!(bench.ask(request.clone()), RoomResponse::Opened(Opened::New));
    (bench, request)
}

#[test]
fn a_call_whose_stream_never_comes_ends_after_half_a_minute() {
    let (mut bench, _) = Bench::inbound();
    let (took, asked) = until_over(&mut bench, |_| stands(CallStatus::Canceled));
    assert_eq!(asked, [WorkKey::Fetch]);
    assert_eq!(took, 30_000);
    bench.check();
}

#[test]
fn a_leg_that_waits_for_a_stream_that_never_comes_is_hung_up() {
    let (mut bench, _) = Bench::inbound();
    let hung_up = std::cell::Cell::new(false);
    let (took, _) = until_over(&mut bench, |key| match key {
        WorkKey::HangUp => {
            hung_up.set(true);
            WorkOutcome::Twilio(TwilioOutcome::Carried)
        }
        _ if hung_up.get() => stands(CallStatus::Completed),
        _ => stands(CallStatus::InProgress),
    });
    assert!(hung_up.get() && took <= 60_000, "{took}");
    assert_eq!(bench.room.view().state.termination(), Some(EndReason::StreamLost.into()));
    bench.check();
}

#[test]
fn a_stream_that_never_comes_while_twilio_is_silent_is_lost_after_two_minutes() {
    let (mut bench, _) = Bench::inbound();
    while !bench.room.view().state.is_over() {
        for work in bench.ring() {
            bench.done(&work, WorkOutcome::Failed);
        }
    }
    assert_eq!(bench.now.since(START), 120_000);
    assert_eq!(bench.room.view().state.termination(), Some(EndReason::StreamLost.into()));
}

#[test]
fn a_quiet_call_is_asked_about_once_a_minute() {
    let (mut bench, ..) = Bench::talking();
    let mut questions = 0;
    while bench.now.since(START) < 600_000 {
        for work in bench.ring() {
            if work.key == WorkKey::Fetch {
                questions += 1;
                bench.done(&work, stands(CallStatus::InProgress));
            } else {
                bench.done(&work, WorkOutcome::Done);
            }
        }
    }
    assert_eq!(questions, 10);
    assert!(!bench.room.view().state.is_over());
    assert_eq!(
        bench.facts().iter().filter(|f| matches!(f.fact, CallFact::Life { .. })).count(),
        2,
        "nothing new to store"
    );
}

#[test]
fn a_call_that_was_lost_with_its_node_is_not_left_alone() {
    let (mut bench, _, socket) = Bench::talking();
    bench.say(&socket, &facts(1, vec![fact(1, NodeEvent::Ended { reason: EndReason::StreamLost })]));
    bench.handle(RoomInput::NodeClosed { socket });
    let hung_up = std::cell::Cell::new(false);
    until_over(&mut bench, |key| match key {
        WorkKey::HangUp => {
            hung_up.set(true);
            WorkOutcome::Twilio(TwilioOutcome::Carried)
        }
        _ if hung_up.get() => stands(CallStatus::Completed),
        _ => stands(CallStatus::InProgress),
    });
    assert!(hung_up.get());
    assert_eq!(bench.room.view().state.termination(), Some(EndReason::StreamLost.into()));
}

#[test]
fn after_a_verdict_twilio_is_asked_and_a_leg_that_lingers_is_ended() {
    let (mut bench, _, socket) = Bench::talking();
    bench.say(&socket, &facts(1, vec![fact(1, NodeEvent::Ended { reason: EndReason::AgentHungUp })]));
    let rounds = std::cell::Cell::new(0);
    let (took, asked) = until_over(&mut bench, |key| match key {
        WorkKey::HangUp => WorkOutcome::Twilio(TwilioOutcome::Gone),
        _ => {
            rounds.set(rounds.get() + 1);
            stands(if rounds.get() > 1 { CallStatus::Completed } else { CallStatus::InProgress })
        }
    });
    assert_eq!(asked, [WorkKey::Fetch, WorkKey::HangUp, WorkKey::Fetch]);
    assert_eq!(took, 5_000);
    assert_eq!(bench.room.view().state.termination(), Some(EndReason::AgentHungUp.into()));
    assert_eq!(bench.room.view().state.connected_s(), Some(9));
    bench.check();
}

#[test]
fn an_unknown_dialling_is_looked_for_and_found_once() {
    let (mut bench, request) = placed(None);
    let outcome = PlacementOutcome { placement: Placement::Unknown, repeatable: true };
    assert!(matches!(
        bench.ask(RoomRequest::Placed(outcome)),
        RoomResponse::Opened(Opened::Known { placement: Some(Placement::Unknown) })
    ));
    let (_, asked) = until_over(&mut bench, |key| match key {
        WorkKey::Find => WorkOutcome::Twilio(TwilioOutcome::Found(vec![call_sid(1)])),
        _ => stands(CallStatus::NoAnswer),
    });
    assert_eq!(asked, [WorkKey::Find, WorkKey::Fetch]);
    assert_eq!(bench.room.view().call_sid, Some(call_sid(1)));
    assert_eq!(bench.room.view().state.termination(), Some(EndReason::NoAnswer.into()));
    let RoomResponse::Opened(Opened::Known { placement: Some(Placement::Accepted { call_sid: sid, .. }) }) =
        bench.ask(request)
    else {
        panic!()
    };
    assert_eq!(sid, call_sid(1));
    bench.check();
}

#[test]
fn a_callback_names_a_call_whose_creation_was_never_answered() {
    let (mut bench, request) = placed(None);
    bench.ask(RoomRequest::Placed(PlacementOutcome { placement: Placement::Unknown, repeatable: true }));
    bench.status(CallStatus::Ringing);
    assert!(matches!(
        bench.ask(request),
        RoomResponse::Opened(Opened::Known { placement: Some(Placement::Accepted { .. }) })
    ));
    // Twilio's own answer, had it come late, changes nothing.
    bench.ask(RoomRequest::Placed(PlacementOutcome { placement: Placement::Unknown, repeatable: true }));
    assert_eq!(bench.room.view().call_sid, Some(call_sid(1)));
    bench.check();
}

#[test]
fn a_call_that_is_found_nowhere_was_never_made() {
    let (mut bench, _) = placed(None);
    bench.ask(RoomRequest::Placed(PlacementOutcome { placement: Placement::Unknown, repeatable: false }));
    let (took, asked) = until_over(&mut bench, |_| WorkOutcome::Twilio(TwilioOutcome::Found(Vec::new())));
    assert!(asked.iter().all(|key| *key == WorkKey::Find) && asked.len() >= 10, "{asked:?}");
    assert_eq!(took, 300_000);
    assert_eq!(bench.room.view().state.termination(), Some(EndReason::DialFailed.into()));
}

#[test]
fn whoever_placed_the_call_died_before_it_could_say_what_became_of_it() {
    let (mut bench, _) = placed(None);
    let (took, asked) = until_over(&mut bench, |key| match key {
        WorkKey::Find => WorkOutcome::Twilio(TwilioOutcome::Found(vec![call_sid(1)])),
        _ => stands(CallStatus::Completed),
    });
    assert_eq!(asked, [WorkKey::Find, WorkKey::Fetch]);
    assert_eq!(took, 35_000, "twenty seconds for whoever placed it, fifteen until the first look");
}

#[test]
fn the_same_request_again_is_the_same_call_and_another_is_a_conflict() {
    let (mut bench, same_attempt) = placed(Some("one"));
    // Handed over twice because its answer was lost, it is still one attempt.
    assert_eq!(bench.ask(same_attempt.clone()), RoomResponse::Opened(Opened::New));
    let RoomRequest::Open(opening) = &same_attempt else { panic!() };
    let request = RoomRequest::Open(Box::new(Opening { attempt: "attempt-2".into(), ..(**opening).clone() }));
    assert_eq!(bench.ask(request.clone()), RoomResponse::Opened(Opened::Known { placement: Some(Placement::Pending) }));
    let other = Opening { digest: Some("two".into()), ..(**opening).clone() };
    assert_eq!(bench.ask(RoomRequest::Open(Box::new(other))), RoomResponse::Opened(Opened::Conflict));
    // Too many requests: the same request may be made again, and is then made.
    bench.ask(RoomRequest::Placed(PlacementOutcome { placement: Placement::Deferred, repeatable: true }));
    assert_eq!(bench.ask(request.clone()), RoomResponse::Opened(Opened::New));
    assert_eq!(bench.ask(same_attempt), RoomResponse::Opened(Opened::Known { placement: Some(Placement::Pending) }));
    let refused = Placement::Refused { status: 400, code: 21211, message: "no".into() };
    bench.ask(RoomRequest::Placed(PlacementOutcome { placement: refused.clone(), repeatable: true }));
    assert_eq!(bench.ask(request), RoomResponse::Opened(Opened::Known { placement: Some(refused) }));
    assert_eq!(bench.room.view().state.termination(), Some(EndReason::DialFailed.into()));
    bench.check();
}

#[test]
fn a_deferred_dialling_that_nobody_repeats_is_over() {
    let (mut bench, _) = placed(None);
    bench.ask(RoomRequest::Placed(PlacementOutcome { placement: Placement::Deferred, repeatable: false }));
    assert!(bench.room.view().state.is_over());
    let (mut bench, _) = placed(None);
    bench.ask(RoomRequest::Placed(PlacementOutcome { placement: Placement::Deferred, repeatable: true }));
    let (took, asked) = until_over(&mut bench, |_| WorkOutcome::Failed);
    assert_eq!((took, asked.len()), (600_000, 0));
    // Its key is free for another call, and its story does not change.
    let recall = |digest: &str| RoomRequest::Recall { digest: digest.into() };
    assert_eq!(bench.ask(recall("digest")), RoomResponse::Opened(Opened::Spent));
    assert_eq!(bench.ask(recall("another")), RoomResponse::Opened(Opened::Conflict));
    assert_eq!(Bench::new().ask(recall("digest")), RoomResponse::Unknown);
}

#[test]
fn a_call_that_is_being_rescued_is_not_ended() {
    let (mut bench, _, socket) = Bench::talking();
    // A minute of quiet is nearly over when the node goes away.
    bench.now = bench.alarm.unwrap().plus(-2_000);
    bench.say(&socket, &facts(1, vec![fact(1, NodeEvent::Ended { reason: EndReason::NodeStopped })]));
    bench.handle(RoomInput::NodeClosed { socket });
    let ended_at = bench.now;
    let mut asked = 0;
    while bench.now.since(ended_at) < 9_000 && bench.alarm.is_some_and(|at| at.since(ended_at) < 9_000) {
        for work in bench.ring() {
            asked += u32::from(work.key == WorkKey::Fetch);
            let outcome = if work.key == WorkKey::Fetch { stands(CallStatus::InProgress) } else { WorkOutcome::Done };
            bench.done(&work, outcome);
        }
    }
    bench.now = ended_at.plus(9_000);
    let work = Work { call: call_id(), key: WorkKey::Fetch, version: 1, task: Task::Note("") };
    let _ = asked;
    bench.room.desk.outbox.want(WorkKey::Fetch, bench.now);
    bench.done(&work, stands(CallStatus::InProgress));
    assert!(!bench.room.view().state.is_over(), "Twilio's question is on its way");
    // It came, and a new stream is on its way.
    let RoomResponse::After(NextStep::Media(_)) = bench.ask(after(1, Some(Some(node("m2"))))) else { panic!() };
    bench.now = ended_at.plus(20_000);
    bench.room.desk.outbox.want(WorkKey::Fetch, bench.now);
    bench.done(&work, stands(CallStatus::InProgress));
    assert!(!bench.room.view().state.is_over(), "a new stream is on its way");
    bench.check();
}

#[test]
fn an_offer_that_nobody_takes_does_not_end_a_call_that_a_node_carries() {
    let (mut bench, ..) = Bench::talking();
    // A copy of Twilio's question makes an offer; the stream it asks about lives.
    let RoomResponse::After(NextStep::Media(_)) = bench.ask(after(1, Some(Some(node("m2"))))) else { panic!() };
    while bench.now.since(START) < 400_000 {
        for work in bench.ring() {
            let outcome = if work.key == WorkKey::Fetch { stands(CallStatus::InProgress) } else { WorkOutcome::Done };
            bench.done(&work, outcome);
        }
    }
    assert!(!bench.room.view().state.is_over());
    // The real question still gets a stream.
    let RoomResponse::After(NextStep::Media(offer)) = bench.ask(after(1, Some(Some(node("m2"))))) else { panic!() };
    assert_eq!(offer.epoch, Epoch(3));
    bench.check();
}

#[test]
fn hanging_up_a_call_without_a_name_waits_for_its_name() {
    let (mut bench, _) = placed(None);
    let output = bench.handle(RoomInput::Request(RoomRequest::HangUp));
    assert!(works(&output.effects).iter().all(|w| w.key != WorkKey::HangUp));
    let output = bench.status(CallStatus::Ringing);
    assert!(works(&output.effects).iter().any(|w| w.key == WorkKey::HangUp), "{:?}", output.effects);
    bench.check();
}

#[test]
fn a_busy_sentence_is_not_cut_short() {
    let mut bench = Bench::new();
    bench.ask(RoomRequest::Answer(Box::new(answering(None))));
    let (took, asked) = until_over(&mut bench, |_| stands(CallStatus::Completed));
    assert_eq!((took, asked), (30_000, vec![WorkKey::Fetch]));
}
