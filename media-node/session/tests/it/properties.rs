//! Whatever comes in, in whatever order: no panic, valid messages out, one verdict and nothing after it.

use crate::stage::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};
use session::{Action, DialFailure, Input, Now, Session, SessionConfig};
use shared::call::EndReason;
use shared::ids::StreamSid;
use shared::node_api::{NodeEvent, NodeOrder};
use shared::time::UnixMillis;
use std::collections::{BTreeMap, BTreeSet};

/// An input that owns what it says.
#[derive(Debug, Clone)]
enum Happening {
    Begin {
        provider: &'static str,
        greeted: bool,
    },
    Twilio(String),
    /// A mark that the session has sent comes back, counted from the oldest.
    Mark(usize),
    TwilioClosed,
    Opened,
    Text(String),
    Binary(Vec<u8>),
    Closed,
    Failed(u16),
    End,
    Tell(u64),
    Drain(u64),
    Abort,
    Timeout,
    Wait(u64),
}

fn id() -> impl Strategy<Value = String> {
    (0u8..5).prop_map(|number| format!("id{number}"))
}

fn provider_text() -> impl Strategy<Value = String> {
    let message = prop_oneof![
        6 => (id(), id(), 0usize..3_000, 0u8..3).prop_map(|(r, i, bytes, c)| json!({"type": "response.output_audio.delta",
            "response_id": r, "item_id": i, "content_index": c, "delta": STANDARD.encode(tagged(&i, bytes))})),
        2 => id().prop_map(|r| created(&r)),
        2 => (id(), prop_oneof!["completed", "cancelled", "failed", "incomplete"]).prop_map(|(r, s)| done(&r, &s)),
        2 => (id(), id()).prop_map(|(r, i)| audio_done(&r, &i)),
        1 => (id(), id()).prop_map(|(r, i)| transcript(&r, &i, "Some words.")),
        1 => (id(), id()).prop_map(|(r, i)| words(&r, &i, "some ")),
        3 => id().prop_map(|i| speech_started(&i, 40)),
        3 => id().prop_map(|i| speech_stopped(&i)),
        1 => id().prop_map(|i| heard(&i, "Hello.")),
        3 => Just(updated()),
        1 => prop_oneof!["session_expired", "insufficient_quota", "invalid_value", "conversation_already_has_active_response"]
            .prop_map(|code| error(&code, None, "…")),
        1 => id().prop_map(|c| json!({"type": "response.output_item.done", "item": {"type": "function_call", "status": "completed", "call_id": c}})),
        1 => Just(json!({"type": "unheard.of"})),
    ];
    prop_oneof![20 => message.prop_map(|m| m.to_string()), 1 => ".{0,40}", 1 => Just("{\"type\":\"error\"}".to_owned())]
}

/// Audio whose every byte says whose it is.
fn tagged(item: &str, bytes: usize) -> Vec<u8> {
    vec![item.as_bytes()[2]; bytes]
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        2 => (prop_oneof![8 => Just("openai"), 1 => Just("echo"), 1 => Just("nobody")], any::<bool>())
            .prop_map(|(provider, greeted)| Happening::Begin { provider, greeted }),
        4 => Just(Happening::Twilio(audio("a").to_string())),
        1 => ".{0,40}".prop_map(Happening::Twilio),
        1 => Just(Happening::Twilio(json!({"event": "dtmf", "dtmf": {"digit": "5"}}).to_string())),
        6 => (0usize..3).prop_map(Happening::Mark),
        3 => Just(Happening::Opened),
        20 => provider_text().prop_map(Happening::Text),
        1 => proptest::collection::vec(any::<u8>(), 0..9).prop_map(Happening::Binary),
        1 => Just(Happening::Closed),
        1 => prop_oneof![Just(401u16), Just(503)].prop_map(Happening::Failed),
        1 => (0u64..4).prop_map(Happening::Tell),
        3 => Just(Happening::Timeout),
        6 => (0u64..900).prop_map(Happening::Wait),
    ]
}

fn ending() -> impl Strategy<Value = Happening> {
    prop_oneof![
        Just(Happening::Twilio(stop().to_string())),
        Just(Happening::TwilioClosed),
        Just(Happening::Abort),
        Just(Happening::End),
        (0u64..3_000).prop_map(Happening::Drain),
        Just(Happening::Wait(1)),
    ]
}

/// What a run has done so far, and what must be true of it.
#[derive(Default)]
struct Watch {
    marks: Vec<String>,
    over: usize,
    opened: i32,
    generation: usize,
    /// Provider items with bytes received (by the session's own facts and what was put in).
    received: BTreeMap<String, u64>,
    /// Items that were cut: nothing of them may be sent again on the same connection.
    cut: BTreeSet<u8>,
}

impl Watch {
    fn see(&mut self, action: &Action) {
        assert_eq!(self.over, 0, "{action:?} after the verdict");
        match action {
            Action::ToTwilio(text) => {
                let message: Value = serde_json::from_str(text).expect("JSON for Twilio");
                assert_eq!(message["streamSid"], STREAM);
                match message["event"].as_str() {
                    Some("media") => {
                        let audio = STANDARD.decode(message["media"]["payload"].as_str().unwrap()).unwrap();
                        assert!(!audio.is_empty() && audio.len() <= 3_000);
                        // Clips and echoes are other bytes than the tags '0' to '4', unless by chance; whole pieces are not.
                        let first = audio[0];
                        if audio.iter().all(|b| *b == first) && (b'0'..=b'4').contains(&first) {
                            assert!(!self.cut.contains(&first), "audio of an interrupted item");
                        }
                    }
                    Some("mark") => self.marks.push(message["mark"]["name"].as_str().unwrap().to_owned()),
                    Some("clear") => self.generation += 1,
                    event => panic!("{event:?}"),
                }
            }
            Action::ToProvider(text) => {
                let message: Value = serde_json::from_str(text).expect("JSON for the provider");
                if message["type"] == "conversation.item.truncate" {
                    let item = message["item_id"].as_str().unwrap();
                    let received = self.received.get(item).copied().unwrap_or(0);
                    assert!(received > 0, "truncates an item without audio");
                    assert!(message["audio_end_ms"].as_u64().unwrap() <= received / 8, "truncates beyond what came");
                }
            }
            Action::OpenProvider(_) => {
                self.opened += 1;
                assert_eq!(self.opened, 1, "a second socket beside the first");
            }
            Action::CloseProvider => {
                self.opened -= 1;
                assert_eq!(self.opened, 0, "closes what is not open");
            }
            Action::Fact(NodeEvent::Heard { item, heard_ms, received_ms, cut }) => {
                assert!(heard_ms <= received_ms);
                if *cut && let Some(tag) = item.strip_prefix("id") {
                    self.cut.insert(tag.as_bytes()[0]);
                }
            }
            Action::Ended(_) => self.over += 1,
            Action::Fact(_)
            | Action::Live { .. }
            | Action::OrderDone { .. }
            | Action::CloseTwilio
            | Action::ToProviderBinary(_) => {}
        }
    }
}

fn play(happenings: Vec<Happening>) {
    let mut session = Session::new(StreamSid::parse(STREAM).unwrap(), SessionConfig::default(), UnixMillis(WALL));
    let mut watch = Watch::default();
    let mut now = Now::ZERO;
    for happening in happenings {
        let input = match &happening {
            Happening::Begin { provider, greeted } => {
                let mut plan = plan(provider);
                plan.greeted = *greeted;
                Input::Begin(Box::new(plan))
            }
            Happening::Twilio(text) => Input::Twilio(text),
            Happening::Mark(at) => {
                if watch.marks.is_empty() {
                    continue;
                }
                let name = watch.marks.remove((*at).min(watch.marks.len() - 1));
                deliver(&mut session, &mut watch, now, Input::Twilio(&mark(&name).to_string()));
                continue;
            }
            Happening::TwilioClosed => Input::TwilioClosed,
            Happening::Opened => Input::ProviderOpened,
            Happening::Text(text) => {
                if let Ok(message) = serde_json::from_str::<Value>(text)
                    && message["type"] == "response.output_audio.delta"
                {
                    let bytes = STANDARD.decode(message["delta"].as_str().unwrap()).unwrap().len() as u64;
                    *watch.received.entry(message["item_id"].as_str().unwrap().to_owned()).or_default() += bytes;
                }
                Input::ProviderText(text)
            }
            Happening::Binary(bytes) => Input::ProviderBinary(bytes),
            Happening::Closed if watch.opened == 0 => continue,
            Happening::Closed => {
                watch.opened = 0;
                Input::ProviderClosed { code: None }
            }
            Happening::Failed(_) if watch.opened == 0 => continue,
            Happening::Failed(status) => {
                // Only a socket that is being opened can fail to open.
                session.handle(now, Input::ProviderFailed(DialFailure::from_status(*status)));
                let lost = std::iter::from_fn(|| session.poll_action()).collect::<Vec<_>>();
                if !lost.is_empty() {
                    watch.opened = 0;
                }
                lost.iter().for_each(|action| watch.see(action));
                continue;
            }
            Happening::End => Input::Order { id: 99, order: NodeOrder::End { reason: EndReason::OperatorHungUp } },
            Happening::Tell(id) => Input::Order { id: *id, order: NodeOrder::Tell { text: "x".into() } },
            Happening::Drain(after) => Input::Drain { deadline: now + Now::from_millis(*after) },
            Happening::Abort => Input::Abort(EndReason::InternalError),
            Happening::Timeout => {
                now = session.poll_timeout().unwrap_or(now).max(now);
                Input::Timeout
            }
            Happening::Wait(ms) => {
                now += Now::from_millis(*ms);
                Input::Timeout
            }
        };
        deliver(&mut session, &mut watch, now, input);
        // Items of the tags are dead for one connection only.
        if matches!(happening, Happening::Closed) {
            watch.cut.clear();
        }
    }
    // Every call comes to an end by its own deadlines, in finitely many steps.
    for _ in 0..2_000 {
        let Some(due) = session.poll_timeout() else { break };
        now = now.max(due);
        deliver(&mut session, &mut watch, now, Input::Timeout);
    }
    assert_eq!(watch.over, 1, "no verdict");
}

fn deliver(session: &mut Session, watch: &mut Watch, now: Now, input: Input<'_>) {
    let is_timeout = matches!(input, Input::Timeout);
    session.handle(now, input);
    let mut count = 0;
    while let Some(action) = session.poll_action() {
        watch.see(&action);
        count += 1;
        assert!(count < 3_000, "an input without end");
    }
    assert_eq!(session.is_over(), watch.over > 0);
    let next = session.poll_timeout();
    assert!(!is_timeout || next.is_none_or(|due| due > now), "the deadline {next:?} stays due at {now:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_a_call_ends_once(
        early in proptest::collection::vec(happening(), 0..10),
        provider in prop_oneof![8 => Just("openai"), 1 => Just("echo")],
        middle in proptest::collection::vec(happening(), 0..150),
        last in ending(),
        late in proptest::collection::vec(happening(), 0..20),
    ) {
        let mut all = early;
        all.extend([
            Happening::Begin { provider, greeted: false },
            Happening::Opened,
            Happening::Text(updated().to_string()),
        ]);
        all.extend(middle);
        all.push(last);
        all.extend(late);
        play(all);
    }
}
