use super::*;
use crate::ports::SqlValue;

fn projections(works: &[Work]) -> Vec<&Work> {
    works.iter().filter(|w| w.key == WorkKey::Project).collect()
}

#[test]
fn the_history_and_the_board_are_told_until_they_have_heard() {
    let (mut bench, offer, _) = Bench::talking();
    // The first projection left with the opening; it fails again and again while the call goes on.
    let mut attempts = 0;
    let mut newest = 0;
    while bench.now.since(START) < 3_600_000 && attempts < 12 {
        for work in bench.ring() {
            match work.key {
                WorkKey::Project => {
                    attempts += 1;
                    newest = newest.max(work.version);
                    assert_eq!(bench.done(&work, WorkOutcome::Failed), []);
                }
                WorkKey::Fetch => {
                    let stands =
                        TwilioOutcome::Stands { status: CallStatus::InProgress, duration_s: None, ended_at: None };
                    bench.done(&work, WorkOutcome::Twilio(stands));
                }
                WorkKey::Board | WorkKey::HangUp | WorkKey::Find | WorkKey::Note => {
                    bench.done(&work, WorkOutcome::Done);
                }
            }
        }
    }
    assert_eq!(attempts, 12);
    // D1 is back: the newest state goes out, once.
    let mut told = Vec::new();
    while told.is_empty() {
        for work in bench.ring() {
            bench.done(&work, WorkOutcome::Done);
            told.extend(projections(&[work]).into_iter().cloned());
        }
    }
    let Task::Project(statements) = &told[0].task else { panic!() };
    assert_eq!(statements.len(), 1);
    assert!(statements[0].values.contains(&SqlValue::Text(offer.call_sid.to_string())));
    assert!(told[0].version >= newest);
    bench.check();
}

#[test]
fn a_change_during_an_attempt_goes_out_after_it() {
    let mut bench = Bench::new();
    let output = bench.handle(RoomInput::Request(RoomRequest::Answer(Box::new(answering(Some(node("m1")))))));
    let first = works(&output.effects);
    assert_eq!(first.iter().map(|w| w.key).collect::<Vec<_>>(), [WorkKey::Project, WorkKey::Board]);
    let output = bench.status(CallStatus::InProgress);
    assert_eq!(works(&output.effects), [], "one attempt at a time");
    let next = bench.done(&first[0], WorkOutcome::Done);
    assert_eq!(projections(&next).len(), 1);
    assert!(next[0].version > first[0].version);
    let Task::Board { over: false, .. } = first[1].task else { panic!() };
}

#[test]
fn words_reach_the_history_within_twenty_seconds() {
    let (mut bench, _, socket) = Bench::talking();
    for _ in 0..4 {
        for work in bench.ring() {
            bench.done(&work, WorkOutcome::Done);
        }
        if bench.now > START {
            break;
        }
    }
    let spoken = bench.now;
    bench.say(&socket, &facts(1, vec![fact(1, said(Speaker::Caller, "c1", "Hello?", 0))]));
    loop {
        let works = bench.ring();
        if let [project] = projections(&works).as_slice() {
            let Task::Project(statements) = &project.task else { panic!() };
            let said = |v: &SqlValue| matches!(v, SqlValue::Text(t) if t.contains("Hello?"));
            assert!(statements[0].values.iter().any(said));
            break;
        }
        for work in works {
            bench.done(&work, WorkOutcome::Done);
        }
        assert!(bench.now.since(spoken) <= 20_000);
    }
}

#[test]
fn losing_the_memory_before_every_event_changes_nothing() {
    let play = |evict| {
        let mut bench = Bench { evict, ..Bench::new() };
        let mut outputs = Vec::new();
        let answer = bench.handle(RoomInput::Request(RoomRequest::Answer(Box::new(answering(Some(node("m1")))))));
        let RoomResponse::Answer(Answer::Media(offer)) = answer.answer.clone() else { panic!() };
        let socket = SocketId("n1".into());
        outputs.push(answer);
        outputs.push(bench.handle(RoomInput::NodeOpened { socket: socket.clone(), entry: stream_entry(&offer) }));
        let mut lines = vec![serde_json::to_string(&hello(&offer, 0)).unwrap()];
        for line in 1..=40 {
            let speaker = if line % 2 == 0 { Speaker::Caller } else { Speaker::Agent };
            let event = said(speaker, &format!("i{line}"), "Something was said.", line as i64 * 50);
            lines.push(serde_json::to_string(&facts(1, vec![fact(line, event)])).unwrap());
        }
        let last = vec![fact(41, NodeEvent::Ended { reason: EndReason::CallerHungUp })];
        lines.push(serde_json::to_string(&facts(1, last)).unwrap());
        for text in lines {
            bench.now = bench.now.plus(700);
            outputs.push(bench.handle(RoomInput::NodeText { socket: socket.clone(), text }));
            if bench.alarm.is_some_and(|at| at <= bench.now) {
                outputs.push(bench.handle(RoomInput::Alarm));
            }
            bench.check();
        }
        outputs.push(bench.status(CallStatus::Completed));
        outputs.push(bench.handle(RoomInput::WatcherOpened { socket: SocketId("w".into()), from_seq: Some(3) }));
        (outputs, bench.facts())
    };
    assert_eq!(play(false), play(true));
}
