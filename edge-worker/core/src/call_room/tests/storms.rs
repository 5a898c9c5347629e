use super::*;
use crate::ports::SqlValue;
use proptest::prelude::*;

/// One thing that may happen to a call.
#[derive(Debug, Clone)]
enum Happening {
    Status(u8),
    Answer(bool),
    OpenNode {
        offer: u8,
        resume: bool,
    },
    Hello {
        socket: u8,
        last: u64,
    },
    /// `skew` 0 and 1: as it should be; 2: again; 3: beyond a gap; 4: of another epoch.
    Facts {
        socket: u8,
        skew: u8,
        events: Vec<u8>,
    },
    CloseNode(u8),
    After {
        epoch: u32,
        node: Option<bool>,
    },
    Stream(u8),
    Words(u32),
    HangUp,
    Watch(Option<u64>),
    Pass(i64),
    /// The oldest piece of work comes back: done, failed, or never.
    Work(u8),
    Evict,
    Garbage(String),
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    prop_oneof![
        4 => (0u8..4).prop_map(Status),
        1 => prop_oneof![6 => 0u8..5, 1 => 5u8..9].prop_map(Status),
        1 => any::<bool>().prop_map(Answer),
        4 => (any::<u8>(), any::<bool>()).prop_map(|(offer, resume)| OpenNode { offer, resume }),
        8 => (any::<u8>(), 0u64..12).prop_map(|(socket, last)| Hello { socket, last }),
        16 => (any::<u8>(), 0u8..5, proptest::collection::vec(prop_oneof![9 => 0u8..5, 1 => 5u8..8], 1..4))
            .prop_map(|(socket, skew, events)| Facts { socket, skew, events }),
        1 => any::<u8>().prop_map(CloseNode),
        6 => (0u32..5, proptest::option::of(proptest::bool::weighted(0.9))).prop_map(|(epoch, node)| After { epoch, node }),
        1 => (0u8..3).prop_map(Stream),
        1 => (1u32..5).prop_map(Words),
        1 => prop_oneof![4 => Just(Evict), 1 => Just(HangUp)],
        1 => proptest::option::of(0u64..30).prop_map(Watch),
        4 => prop_oneof![0i64..2_000, 2_000i64..90_000].prop_map(Pass),
        4 => (0u8..6).prop_map(Work),
        1 => Just(Evict),
        1 => "\\PC{0,30}".prop_map(Garbage),
    ]
}

fn event(kind: u8, line: u64) -> NodeEvent {
    match kind {
        0 => NodeEvent::StreamStarted { stream_sid: stream_sid(1) },
        1 => said(Speaker::Agent, &format!("a{line}"), "Good morning.", line as i64),
        2 => said(Speaker::Caller, &format!("c{line}"), "Hello.", line as i64),
        3 => NodeEvent::Heard { item: format!("a{line}"), heard_ms: 10, received_ms: 20, cut: true },
        4 => NodeEvent::Digit { digit: '#' },
        5 => NodeEvent::Ended { reason: EndReason::StreamLost },
        6 => NodeEvent::Ended { reason: EndReason::CallerHungUp },
        _ => NodeEvent::Unknown,
    }
}

/// A call in a storm: what its peers hold, and what came back of its work.
struct Storm {
    bench: Bench,
    offers: Vec<Offer>,
    sockets: Vec<(SocketId, Offer)>,
    pending: Vec<Work>,
    /// The row that D1 has: version, state, and whether it is settled.
    row: Option<(u64, SqlValue, SqlValue)>,
    watched: u64,
    opened: u32,
}

impl Storm {
    fn new() -> Self {
        Self { bench: Bench::new(), offers: vec![], sockets: vec![], pending: vec![], row: None, watched: 0, opened: 0 }
    }

    fn handle(&mut self, input: RoomInput) -> RoomResponse {
        let before = self.bench.room.view().clone();
        let output = self.bench.handle(input);
        let after = self.bench.room.view();
        assert!(after.epoch >= before.epoch && after.seq >= before.seq);
        assert!(!before.state.is_over() || after.state.is_over(), "what is over stays over");
        assert!(before.state.status <= after.state.status);
        // Watchers see every fact once and in order.
        for message in broadcasts(&output.effects) {
            if let ServerMessage::Facts { facts } = message {
                for fact in facts {
                    assert_eq!(fact.seq, self.watched + 1);
                    self.watched = fact.seq;
                }
            }
        }
        assert_eq!(self.watched, after.seq);
        // What is asked again at once would never end.
        assert!(output.alarm.is_none_or(|at| at > self.bench.now || !works(&output.effects).is_empty()), "{output:?}");
        for effect in &output.effects {
            if let Effect::Close { socket, .. } = effect {
                self.sockets.retain(|(s, _)| s != socket);
            }
        }
        self.pending.extend(works(&output.effects));
        output.answer
    }

    fn learn(&mut self, offer: Offer) {
        if !self.offers.contains(&offer) {
            self.offers.push(offer);
        }
    }

    fn happen(&mut self, happening: Happening) {
        let pick = |n: u8, len: usize| usize::from(n) % len.max(1);
        match happening {
            Happening::Status(n) => {
                let words = [
                    "queued",
                    "initiated",
                    "ringing",
                    "in-progress",
                    "ringing",
                    "completed",
                    "busy",
                    "failed",
                    "canceled",
                ];
                let event = status_event(CallStatus::read(words[usize::from(n)]).unwrap(), self.bench.now);
                self.report(Reported::Life { event });
            }
            Happening::Answer(with_node) => {
                let request = RoomRequest::Answer(Box::new(answering(with_node.then(|| node("m1")))));
                if let RoomResponse::Answer(Answer::Media(offer)) = self.handle(RoomInput::Request(request)) {
                    self.learn(offer);
                }
            }
            Happening::OpenNode { offer, resume } => {
                let Some(offer) = self.offers.get(pick(offer, self.offers.len())).cloned() else { return };
                self.opened += 1;
                let socket = SocketId(format!("s{}", self.opened));
                self.sockets.push((socket.clone(), offer.clone()));
                let entry = if resume { resume_entry(&offer) } else { stream_entry(&offer) };
                self.handle(RoomInput::NodeOpened { socket, entry });
            }
            Happening::Hello { socket, last } => {
                let Some((_, offer)) = self.sockets.get(pick(socket, self.sockets.len())).cloned() else { return };
                self.node_says(socket, serde_json::to_string(&hello(&offer, last)).unwrap());
            }
            Happening::Facts { socket, skew, events } => {
                let Some((_, offer)) = self.sockets.get(pick(socket, self.sockets.len())).cloned() else { return };
                let next = self.bench.room.view().acked(offer.epoch) + 1;
                let (epoch, from) = match skew {
                    2 => (offer.epoch, next.saturating_sub(2).max(1)),
                    3 => (offer.epoch, next + 2),
                    4 => (offer.epoch.next(), next),
                    _ => (offer.epoch, next),
                };
                let list = (from..).zip(events).map(|(line, kind)| fact(line, event(kind, line))).collect();
                self.node_says(socket, serde_json::to_string(&facts(epoch.0, list)).unwrap());
            }
            Happening::CloseNode(n) => {
                if !self.sockets.is_empty() {
                    let (socket, _) = self.sockets.remove(pick(n, self.sockets.len()));
                    self.handle(RoomInput::NodeClosed { socket });
                }
            }
            Happening::After { epoch, node: with } => {
                let rescue = with.map(|some| some.then(|| node("m2")));
                if let RoomResponse::After(NextStep::Media(offer)) =
                    self.handle(RoomInput::Request(after(epoch, rescue)))
                {
                    self.learn(offer);
                }
            }
            Happening::Stream(n) => {
                let phase = [StreamPhase::Started, StreamPhase::Stopped, StreamPhase::Error][usize::from(n)];
                self.report(Reported::Life { event: CallEvent::Stream { stream_sid: stream_sid(1), phase } });
            }
            Happening::Words(sequence) => self.report(Reported::Words {
                transcription_sid: TranscriptionSid::parse(&format!("GT{:032}", 1)).unwrap(),
                track: Track::InboundTrack,
                sequence,
                is_final: sequence % 2 == 0,
                text: "words".into(),
                at: self.bench.now,
            }),
            Happening::HangUp => {
                self.handle(RoomInput::Request(RoomRequest::HangUp));
            }
            Happening::Watch(from_seq) => {
                self.handle(RoomInput::WatcherOpened { socket: SocketId("w".into()), from_seq });
            }
            Happening::Pass(millis) => {
                let until = self.bench.now.plus(millis);
                while let Some(at) = self.bench.alarm.filter(|at| *at <= until) {
                    self.bench.now = at.max(self.bench.now);
                    self.handle(RoomInput::Alarm);
                    if self.bench.alarm.is_some_and(|next| next <= self.bench.now) {
                        break;
                    }
                }
                self.bench.now = until.max(self.bench.now);
            }
            Happening::Work(n) => {
                if !self.pending.is_empty() {
                    let work = self.pending.remove(0);
                    self.come_back(work, n);
                }
            }
            Happening::Evict => self.bench.evict = !self.bench.evict,
            Happening::Garbage(text) => self.node_says(0, text),
        }
    }

    fn node_says(&mut self, n: u8, text: String) {
        if let Some((socket, _)) = self.sockets.get(usize::from(n) % self.sockets.len().max(1)).cloned() {
            self.handle(RoomInput::NodeText { socket, text });
        }
    }

    fn report(&mut self, what: Reported) {
        let report = Report { call_sid: call_sid(1), what };
        self.handle(RoomInput::Request(RoomRequest::Report(Box::new(report))));
    }

    /// The outcome of a piece of work: 0 lost, 1 failed, 2 done and the answer lost, else done.
    fn come_back(&mut self, work: Work, how: u8) {
        if let Task::Project(statements) = &work.task
            && how >= 2
            && self.row.as_ref().is_none_or(|(version, ..)| work.version > *version)
        {
            let values = &statements[0].values;
            self.row = Some((work.version, values[12].clone(), values[14].clone()));
        }
        let outcome = match (how, &work.task) {
            (0 | 2, _) => return,
            (1, _) => WorkOutcome::Failed,
            (_, Task::Twilio(TwilioOrder::Fetch { .. })) if how < 5 => WorkOutcome::Twilio(TwilioOutcome::Stands {
                status: CallStatus::InProgress,
                duration_s: None,
                ended_at: None,
            }),
            (_, Task::Twilio(TwilioOrder::Fetch { .. })) => WorkOutcome::Twilio(TwilioOutcome::Stands {
                status: CallStatus::Completed,
                duration_s: Some(1),
                ended_at: None,
            }),
            (_, Task::Twilio(TwilioOrder::HangUp { .. })) => WorkOutcome::Twilio(TwilioOutcome::Carried),
            (_, Task::Twilio(TwilioOrder::Find { .. })) => WorkOutcome::Twilio(TwilioOutcome::Found(Vec::new())),
            (_, Task::Project(_) | Task::Board { .. } | Task::Note(_)) => WorkOutcome::Done,
        };
        self.handle(RoomInput::WorkDone { key: work.key, version: work.version, outcome });
    }

    /// Everything works again, the leg has ended at Twilio and no callback comes: the call must end here too.
    fn heal(&mut self) {
        let healed = self.bench.now;
        for _ in 0..500 {
            while !self.pending.is_empty() {
                let work = self.pending.remove(0);
                self.come_back(work, 5);
            }
            let Some(at) = self.bench.alarm else { break };
            self.bench.now = at.max(self.bench.now);
            self.handle(RoomInput::Alarm);
            let over = self.bench.room.view().state.status.is_terminal();
            assert!(over || self.bench.now.since(healed) <= 120_000, "not over two minutes after everything healed");
        }
        assert_eq!(self.bench.alarm, None, "a finished call leaves nothing to do");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_a_call_ends_once_and_its_history_is_the_truth(
        happenings in proptest::collection::vec(happening(), 1..120),
    ) {
        let mut storm = Storm::new();
        storm.happen(Happening::Answer(true));
        storm.happen(Happening::OpenNode { offer: 0, resume: false });
        storm.happen(Happening::Hello { socket: 0, last: 0 });
        for happening in happenings {
            storm.happen(happening);
        }
        storm.bench.check();
        storm.heal();
        storm.bench.check();
        let view = storm.bench.room.view();
        prop_assert!(view.state.status.is_terminal() && view.state.termination().is_some());
        let (_, state, settled) = storm.row.clone().expect("the history has the call");
        prop_assert_eq!(state, SqlValue::Text(serde_json::to_string(&view.state).unwrap()));
        prop_assert_eq!(settled, SqlValue::Integer(1));
    }
}
