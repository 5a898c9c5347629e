use super::*;
use shared::console_api::{CallFact, StampedFact};
use shared::ids::Epoch;
use shared::node_api::{NodeEvent, Speaker};
use shared::time::UnixMillis;

fn fact(seq: u64, event: NodeEvent) -> StampedFact {
    StampedFact { seq, at: UnixMillis(0), fact: CallFact::Node { epoch: Epoch(1), line: seq, event } }
}

fn said(seq: u64, item: &str, text: &str) -> StampedFact {
    let speaker = Speaker::Agent;
    fact(seq, NodeEvent::Said { speaker, item: item.into(), text: text.into(), started_at: UnixMillis(seq as i64) })
}

fn facts() -> Vec<StampedFact> {
    vec![
        said(3, "a1", "Good\nmorning."),
        fact(4, NodeEvent::Digit { digit: '1' }),
        said(5, "a2", "How can I help?"),
        fact(6, NodeEvent::Heard { item: "a1".into(), heard_ms: 500, received_ms: 900, cut: true }),
    ]
}

const FIRST: &str = "id: 3\nevent: line\ndata: {\"key\":\"1:a1\",\"speaker\":\"agent\",\"text\":\"Good\\nmorning.\",\"startedAt\":3,\"heard\":null}\n\n";
const SECOND: &str = "id: 5\nevent: line\ndata: {\"key\":\"1:a2\",\"speaker\":\"agent\",\"text\":\"How can I help?\",\"startedAt\":5,\"heard\":null}\n\n";
const HEARD: &str = "id: 6\nevent: line\ndata: {\"key\":\"1:a1\",\"speaker\":\"agent\",\"text\":\"Good\\nmorning.\",\"startedAt\":3,\"heard\":{\"heardMs\":500,\"receivedMs\":900,\"cut\":true}}\n\n";

#[test]
fn lines_come_whole_and_the_end_ends() {
    let mut stream = TranscriptStream::new(0);
    let piece = stream.push(&ServerMessage::Facts { facts: facts() });
    assert_eq!(piece, Piece { text: format!("{FIRST}{SECOND}{HEARD}"), ends: false });
    let live = ServerMessage::Live {
        speaker: Speaker::Caller,
        key: "1:c1".into(),
        text: "I".into(),
        started_at: UnixMillis(9),
    };
    assert_eq!(
        stream.push(&live).text,
        "event: live\ndata: {\"type\":\"live\",\"speaker\":\"caller\",\"key\":\"1:c1\",\"text\":\"I\",\"startedAt\":9}\n\n"
    );
    let end = stream.push(&ServerMessage::Ended { seq: 7 });
    assert_eq!(end, Piece { text: "id: 7\nevent: ended\ndata: {\"seq\":7}\n\n".into(), ends: true });
}

#[test]
fn resuming_leaves_out_what_the_client_has_and_nothing_else() {
    for (after, expected) in [(3, format!("{SECOND}{HEARD}")), (5, HEARD.to_owned()), (6, String::new())] {
        let mut stream = TranscriptStream::new(after);
        let mut text = String::new();
        for fact in facts() {
            text.push_str(&stream.push(&ServerMessage::Facts { facts: vec![fact] }).text);
        }
        assert_eq!(text, expected, "after {after}");
    }
}

#[test]
fn an_id_that_the_call_never_reached_loses_nothing() {
    let mut stream = TranscriptStream::new(900);
    assert_eq!(stream.push(&ServerMessage::Facts { facts: facts() }).text, "");
    let end = stream.push(&ServerMessage::Ended { seq: 7 });
    assert_eq!(end.text.matches("event: line").count(), 2, "{}", end.text);
    assert!(end.text.contains("morning.") && end.text.contains("How can I help?"));
    assert!(end.text.ends_with("event: ended\ndata: {\"seq\":7}\n\n"));
}
