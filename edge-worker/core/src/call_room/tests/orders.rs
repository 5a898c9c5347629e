use super::*;

/// The eight events of one call: four statuses, a stream's, a recording's, a transcription's, and the node's verdict.
fn eight() -> Vec<RoomInput> {
    let at = |second: i64| START.plus(second * 1000);
    let report = |event| {
        let report = Report { call_sid: call_sid(1), what: Reported::Life { event } };
        RoomInput::Request(RoomRequest::Report(Box::new(report)))
    };
    let verdict = facts(1, vec![fact(1, NodeEvent::Ended { reason: EndReason::CallerHungUp })]);
    vec![
        report(status_event(CallStatus::Initiated, at(1))),
        report(status_event(CallStatus::Ringing, at(2))),
        report(status_event(CallStatus::InProgress, at(3))),
        report(status_event(CallStatus::Completed, at(15))),
        report(CallEvent::Stream { stream_sid: stream_sid(1), phase: StreamPhase::Stopped }),
        report(CallEvent::Recording {
            recording_sid: RecordingSid::parse(&format!("RE{:032}", 1)).unwrap(),
            phase: RecordingPhase::Completed,
            duration_s: Some(11),
        }),
        report(CallEvent::Transcription {
            transcription_sid: TranscriptionSid::parse(&format!("GT{:032}", 1)).unwrap(),
            phase: TranscriptionPhase::Stopped,
        }),
        RoomInput::NodeText { socket: SocketId("n1".into()), text: serde_json::to_string(&verdict).unwrap() },
    ]
}

/// Everything that stays of the call but the order in which it was learnt.
fn outcome(bench: &Bench) -> (CallView, Vec<String>) {
    let mut log: Vec<String> = bench.facts().iter().map(|f| serde_json::to_string(&f.fact).unwrap()).collect();
    log.sort_unstable();
    (bench.room.view().clone(), log)
}

struct Walk {
    events: Vec<RoomInput>,
    expected: (CallView, Vec<String>),
    orders: u32,
}

impl Walk {
    /// Visits every order by walking the tree of its beginnings: what two orders have in common is played once.
    fn visit(&mut self, bench: &Bench, taken: &mut Vec<usize>) {
        if taken.len() == self.events.len() {
            self.orders += 1;
            assert_eq!(outcome(bench), self.expected, "{taken:?}");
            return;
        }
        for next in 0..self.events.len() {
            if taken.contains(&next) {
                continue;
            }
            let mut bench = bench.clone();
            bench.handle(self.events[next].clone());
            taken.push(next);
            // A duplicate of something already seen, at every step another one: nothing is stored, nothing is shown.
            let again = taken[(taken.len() * 5 + 3) % taken.len()];
            let before = bench.room.view().seq;
            let output = bench.handle(self.events[again].clone());
            assert_eq!(bench.room.view().seq, before, "a duplicate was stored");
            assert_eq!(broadcasts(&output.effects), []);
            self.visit(&bench, taken);
            taken.pop();
        }
    }
}

#[test]
fn all_orders_of_eight_events_with_duplicates_end_in_one_state() {
    let (bench, ..) = Bench::talking();
    let events = eight();
    let mut straight = bench.clone();
    for event in &events {
        straight.handle(event.clone());
    }
    straight.check();
    let view = straight.room.view();
    assert_eq!(view.state.status, CallStatus::Completed);
    assert_eq!(view.state.termination(), Some(EndReason::CallerHungUp.into()));
    assert_eq!(view.state.connected_s(), Some(12));
    let mut walk = Walk { events, expected: outcome(&straight), orders: 0 };
    walk.visit(&bench, &mut Vec::new());
    assert_eq!(walk.orders, 40_320);
}

#[test]
fn any_of_the_eight_may_be_lost_and_the_rest_still_counts() {
    let events = eight();
    for subset in 0u32..256 {
        let (mut bench, ..) = Bench::talking();
        for (n, event) in events.iter().enumerate() {
            if subset & 1 << n != 0 {
                bench.handle(event.clone());
            }
        }
        bench.check();
        // Whatever was lost, the room asks Twilio by itself and the call ends within two minutes.
        let end = bench.now.plus(120_000);
        let twilio =
            TwilioOutcome::Stands { status: CallStatus::Completed, duration_s: Some(12), ended_at: Some(START) };
        while !bench.room.view().state.status.is_terminal() {
            assert!(bench.now <= end, "subset {subset:08b} is not over after two minutes");
            for work in bench.ring() {
                let answer = match work.key {
                    WorkKey::Fetch => WorkOutcome::Twilio(twilio.clone()),
                    WorkKey::HangUp => WorkOutcome::Twilio(TwilioOutcome::Carried),
                    WorkKey::Project | WorkKey::Board | WorkKey::Find | WorkKey::Note => WorkOutcome::Done,
                };
                bench.done(&work, answer);
            }
        }
        bench.check();
    }
}
