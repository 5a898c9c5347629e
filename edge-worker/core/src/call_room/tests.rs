use super::*;
use crate::testing::{CALLER, OURS, START, agent, call_sid, config, stream_sid};
use crate::twilio_rest::{TwilioOrder, TwilioOutcome};
use shared::call::{CallEvent, CallStatus, Direction, EndReason};
use shared::call::{RecordingPhase, StreamPhase, TranscriptionPhase};
use shared::console_api::Track;
use shared::console_api::{CallFact, ServerMessage, StampedFact};
use shared::ids::RecordingSid;
use shared::ids::{CallId, Epoch, NodeId, Party, TranscriptionSid};
use shared::node_api::{NodeEvent, NodeFact, NodeMessage, NodeOrder, PROTOCOL_VERSION, RoomMessage, Speaker};
use shared::ticket::{Audience, Claims};
use shared::time::UnixMillis;
use std::collections::BTreeMap;

mod ending;
mod node_line;
mod orders;
mod outbox;
mod reconcile;
mod storms;
mod watching;

/// A room on a bench: its storage in memory, its time moved by hand.
#[derive(Clone)]
struct Bench {
    room: Room,
    store: MemoryRoomStore,
    now: UnixMillis,
    alarm: Option<UnixMillis>,
    /// Lose the memory before every event, as an eviction does.
    evict: bool,
}

impl Bench {
    fn new() -> Self {
        let store = MemoryRoomStore::default();
        let room = Room::load(&store, config().tickets).unwrap();
        Self { room, store, now: START, alarm: None, evict: false }
    }

    /// An inbound call whose media was offered to node `m1`.
    fn inbound() -> (Self, Offer) {
        let mut bench = Self::new();
        let answer = bench.ask(RoomRequest::Answer(Box::new(answering(Some(node("m1"))))));
        let RoomResponse::Answer(Answer::Media(offer)) = answer else { panic!("{answer:?}") };
        (bench, offer)
    }

    /// The same, with the ticket burnt and the greeting done.
    fn talking() -> (Self, Offer, SocketId) {
        let (mut bench, offer) = Self::inbound();
        let socket = SocketId("n1".into());
        bench.open_node(&socket, &offer);
        bench.say(&socket, &hello(&offer, 0));
        (bench, offer, socket)
    }

    fn handle(&mut self, input: RoomInput) -> RoomOutput {
        if self.evict {
            self.room = Room::load(&self.store, config().tickets).unwrap();
        }
        let output = self.room.handle(&mut self.store, self.now, input).unwrap();
        self.alarm = output.alarm;
        output
    }

    fn ask(&mut self, request: RoomRequest) -> RoomResponse {
        self.handle(RoomInput::Request(request)).answer
    }

    fn report(&mut self, what: Reported) -> RoomOutput {
        self.handle(RoomInput::Request(RoomRequest::Report(Box::new(Report { call_sid: call_sid(1), what }))))
    }

    fn status(&mut self, status: CallStatus) -> RoomOutput {
        let event = status_event(status, self.now);
        self.report(Reported::Life { event })
    }

    fn open_node(&mut self, socket: &SocketId, offer: &Offer) -> Vec<Effect> {
        self.handle(RoomInput::NodeOpened { socket: socket.clone(), entry: stream_entry(offer) }).effects
    }

    fn say(&mut self, socket: &SocketId, message: &NodeMessage) -> Vec<RoomMessage> {
        let text = serde_json::to_string(message).unwrap();
        let effects = self.handle(RoomInput::NodeText { socket: socket.clone(), text }).effects;
        messages(&effects, socket)
    }

    fn facts(&self) -> Vec<StampedFact> {
        self.store.facts(0, u32::MAX).unwrap()
    }

    /// What every room must be at any moment.
    fn check(&self) {
        let facts = self.facts();
        for (place, fact) in facts.iter().enumerate() {
            assert_eq!(fact.seq, place as u64 + 1, "seq is contiguous from 1");
        }
        assert_eq!(&CallView::replay(&facts), self.room.view(), "the log adds up to the state");
    }

    /// Rings the alarm when it is due, until then lets time pass; the work that comes up.
    fn ring(&mut self) -> Vec<Work> {
        self.now = self.alarm.expect("an alarm is set").max(self.now);
        works(&self.handle(RoomInput::Alarm).effects)
    }

    fn done(&mut self, work: &Work, outcome: WorkOutcome) -> Vec<Work> {
        works(&self.handle(RoomInput::WorkDone { key: work.key, version: work.version, outcome }).effects)
    }
}

fn call_id() -> CallId {
    CallId::derived([7; 16])
}

fn node(name: &str) -> NodeChoice {
    NodeChoice { node: NodeId::parse(name).unwrap(), url: format!("wss://{name}.example.com") }
}

fn opening() -> Opening {
    Opening {
        call: call_id(),
        direction: Direction::Inbound,
        from: Party::read(CALLER),
        to: Party::read(OURS),
        call_sid: Some(call_sid(1)),
        status: CallStatus::Ringing,
        agent: Some(agent("desk")),
        variables: BTreeMap::from([("name".to_owned(), "Ada".to_owned())]),
        digest: None,
        attempt: "attempt-1".into(),
    }
}

fn answering(node: Option<NodeChoice>) -> Answering {
    Answering {
        call_sid: call_sid(1),
        opening: Some(opening()),
        status: CallStatus::Ringing,
        seat: Some(Seat { node }),
        nonce: "00112233445566778899aabbccddeeff".into(),
        last: false,
    }
}

fn claims(offer: &Offer, audience: Audience) -> Claims {
    Claims {
        audience,
        call: offer.call.clone(),
        call_sid: offer.call_sid.clone(),
        node: offer.to.node.clone(),
        epoch: offer.epoch,
        nonce: offer.nonce.clone(),
        expires: offer.expires,
    }
}

fn stream_entry(offer: &Offer) -> NodeEntry {
    NodeEntry { claims: claims(offer, Audience::Stream) }
}

fn resume_entry(offer: &Offer) -> NodeEntry {
    NodeEntry { claims: claims(offer, Audience::Resume) }
}

fn hello(offer: &Offer, last_line: u64) -> NodeMessage {
    NodeMessage::Hello {
        protocol: shared::node_api::PROTOCOL_VERSION,
        node: offer.to.node.clone(),
        stream_sid: stream_sid(1),
        last_line,
    }
}

fn fact(line: u64, event: NodeEvent) -> NodeFact {
    NodeFact { line, at: START.plus(line as i64 * 100), event }
}

fn said(speaker: Speaker, item: &str, text: &str, at: i64) -> NodeEvent {
    NodeEvent::Said { speaker, item: item.into(), text: text.into(), started_at: START.plus(at) }
}

fn facts(epoch: u32, facts: Vec<NodeFact>) -> NodeMessage {
    NodeMessage::Facts { epoch: Epoch(epoch), facts }
}

fn status_event(status: CallStatus, at: UnixMillis) -> CallEvent {
    CallEvent::Status { status, at, duration_s: (status == CallStatus::Completed).then_some(12), sip_code: None }
}

fn messages(effects: &[Effect], to: &SocketId) -> Vec<RoomMessage> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send { socket, text } if socket == to => Some(serde_json::from_str(text).unwrap()),
            _ => None,
        })
        .collect()
}

fn broadcasts(effects: &[Effect]) -> Vec<ServerMessage> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Broadcast { text } => Some(serde_json::from_str(text).unwrap()),
            _ => None,
        })
        .collect()
}

fn works(effects: &[Effect]) -> Vec<Work> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Work(work) => Some(work.clone()),
            _ => None,
        })
        .collect()
}

fn closed(effects: &[Effect], which: &SocketId) -> Option<u16> {
    effects.iter().find_map(|effect| match effect {
        Effect::Close { socket, code, .. } if socket == which => Some(*code),
        _ => None,
    })
}

fn after(epoch: u32, rescue: Option<Option<NodeChoice>>) -> RoomRequest {
    let rescue = rescue.map(|node| Rescue { node, nonce: "ffeeddccbbaa99887766554433221100".into() });
    RoomRequest::After(Box::new(After {
        call_sid: call_sid(1),
        status: CallStatus::InProgress,
        ended: Interlude::Stream { epoch: Epoch(epoch), rescue },
    }))
}

fn refused(code: &str) -> RoomMessage {
    RoomMessage::Refused { code: code.into() }
}
