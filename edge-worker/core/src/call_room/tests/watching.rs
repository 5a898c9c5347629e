use super::*;
use shared::console_api::CLOSE_UNKNOWN_CALL;

fn told(effects: &[Effect], to: &SocketId) -> Vec<ServerMessage> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send { socket, text } if socket == to => Some(serde_json::from_str(text).unwrap()),
            _ => None,
        })
        .collect()
}

fn watch(bench: &mut Bench, from_seq: Option<u64>) -> (Vec<Effect>, SocketId) {
    let socket = SocketId("w".into());
    (bench.handle(RoomInput::WatcherOpened { socket: socket.clone(), from_seq }).effects, socket)
}

#[test]
fn a_watcher_gets_a_snapshot_and_then_every_fact() {
    let (mut bench, _, socket) = Bench::talking();
    bench.say(&socket, &facts(1, vec![fact(1, said(Speaker::Agent, "a1", "Good morning.", 0))]));
    let (effects, watcher) = watch(&mut bench, None);
    let messages = told(&effects, &watcher);
    let [ServerMessage::Snapshot { call, .. }] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(call.transcript[0].text, "Good morning.");
    assert_eq!(call.node, Some(NodeId::parse("m1").unwrap()));
    let head = call.seq;
    let text = serde_json::to_string(&facts(1, vec![fact(2, NodeEvent::Digit { digit: '1' })])).unwrap();
    let effects = bench.handle(RoomInput::NodeText { socket, text }).effects;
    let shown = broadcasts(&effects);
    let [ServerMessage::Facts { facts }] = shown.as_slice() else { panic!("{shown:?}") };
    assert_eq!(facts.iter().map(|f| f.seq).collect::<Vec<_>>(), [head + 1]);
}

#[test]
fn resuming_anywhere_leaves_no_gap_and_no_duplicate() {
    let (mut bench, _, socket) = Bench::talking();
    for line in 1..=350 {
        bench
            .say(&socket, &facts(1, vec![fact(line, said(Speaker::Caller, &format!("c{line}"), "word", line as i64))]));
    }
    let head = bench.room.view().seq;
    let log = bench.facts();
    for from in [0, 1, 99, 100, 101, 250, head - 1, head] {
        let (effects, watcher) = watch(&mut bench, Some(from));
        let mut seen = Vec::new();
        for message in told(&effects, &watcher) {
            let ServerMessage::Facts { facts } = message else { panic!("{message:?}") };
            assert!(facts.len() <= 100);
            seen.extend(facts);
        }
        assert_eq!(seen, log[from as usize..], "from {from}");
    }
    // A cursor that is not of this call: everything anew.
    let (effects, watcher) = watch(&mut bench, Some(head + 1));
    assert!(matches!(told(&effects, &watcher).as_slice(), [ServerMessage::Snapshot { .. }]));
}

#[test]
fn the_end_is_told_once_everything_was_said() {
    let (mut bench, _, socket) = Bench::talking();
    let effects = bench.status(CallStatus::Completed).effects;
    assert!(
        broadcasts(&effects).iter().all(|m| !matches!(m, ServerMessage::Ended { .. })),
        "the node has not finished"
    );
    bench.now = bench.now.plus(300);
    let last = vec![
        fact(1, said(Speaker::Caller, "c1", "Goodbye.", 500)),
        fact(2, NodeEvent::Ended { reason: EndReason::CallerHungUp }),
    ];
    let text = serde_json::to_string(&facts(1, last)).unwrap();
    let effects = bench.handle(RoomInput::NodeText { socket, text }).effects;
    let shown = broadcasts(&effects);
    let head = bench.room.view().seq;
    assert!(
        matches!(shown.as_slice(), [ServerMessage::Facts { .. }, ServerMessage::Ended { seq }] if *seq == head),
        "{shown:?}"
    );
    assert!(effects.contains(&Effect::CloseWatchers { code: 1000 }));
    // Who comes later hears it too, with or without a cursor.
    for from in [None, Some(head), Some(0)] {
        let (effects, watcher) = watch(&mut bench, from);
        assert!(matches!(told(&effects, &watcher).last(), Some(ServerMessage::Ended { .. })), "{from:?}");
        assert_eq!(closed(&effects, &watcher), Some(1000));
    }
    bench.check();
}

#[test]
fn a_node_that_never_finishes_does_not_keep_the_call_open() {
    let (mut bench, ..) = Bench::talking();
    bench.status(CallStatus::Completed);
    let mut ended = false;
    for _ in 0..10 {
        if bench.alarm.is_none() {
            break;
        }
        bench.now = bench.alarm.unwrap().max(bench.now);
        let effects = bench.handle(RoomInput::Alarm).effects;
        ended |= broadcasts(&effects).iter().any(|m| matches!(m, ServerMessage::Ended { .. }));
        for work in works(&effects) {
            bench.done(&work, WorkOutcome::Done);
        }
    }
    assert!(ended);
    assert!(bench.now.since(START) <= 20_000);
    assert_eq!(bench.alarm, None, "nothing is left to do");
}

#[test]
fn an_unknown_call_is_said_so() {
    let mut bench = Bench::new();
    let (effects, watcher) = watch(&mut bench, None);
    assert_eq!(closed(&effects, &watcher), Some(CLOSE_UNKNOWN_CALL));
    assert_eq!(bench.ask(RoomRequest::Read), RoomResponse::Unknown);
    assert_eq!(bench.ask(RoomRequest::HangUp), RoomResponse::Unknown);
}

#[test]
fn a_watcher_knows_how_much_was_heard_of_what_has_no_words_yet() {
    let (mut bench, _, socket) = Bench::talking();
    let heard = NodeEvent::Heard { item: "a1".into(), heard_ms: 300, received_ms: 900, cut: true };
    bench.say(&socket, &facts(1, vec![fact(1, heard)]));
    let (effects, watcher) = watch(&mut bench, None);
    let messages = told(&effects, &watcher);
    let [ServerMessage::Snapshot { call, .. }] = messages.as_slice() else { panic!("{messages:?}") };
    let [line] = call.transcript.as_slice() else { panic!("{:?}", call.transcript) };
    assert_eq!((line.key.as_str(), line.text.as_str()), ("1:a1", ""));
    assert_eq!(line.heard.map(|h| (h.heard_ms, h.cut)), Some((300, true)));
    // The transcript itself has only what has words.
    assert_eq!(bench.room.snapshot().unwrap().transcript, []);
}
