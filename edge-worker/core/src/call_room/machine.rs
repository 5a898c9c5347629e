//! The room itself: takes one event, hands it to the part that it concerns, stores, and says what must happen. What each
//! kind of event means stands in the parts.

use super::desk::{Brief, Moved, Placed, life_source};
use super::store::Page;
use super::{
    Desk, Effect, Opened, Opening, Placement, PlacementOutcome, Report, Reported, RoomInput, RoomOutput, RoomRequest,
    RoomResponse, RoomStore, Shown, StoreFault, Task, WorkKey,
};
use shared::call::{CallEvent, CallStatus, EndReason, TranscriptionPhase};
use shared::console_api::{CallFact, CallSnapshot, ServerMessage, StampedFact};
use shared::ids::CallSid;
use shared::ticket::TicketSigner;
use shared::time::UnixMillis;
use shared::transcript::Transcript;

/// How long words may wait before the history gets them.
const WORDS_DELAY_MS: i64 = 20_000;
/// Facts read from the store at a time.
const READ_STEP: u32 = 500;

/// A room in memory, loaded from its store and in step with it.
#[derive(Debug, Clone)]
pub struct Room {
    pub(super) tickets: TicketSigner,
    pub(super) brief: Option<Brief>,
    pub(super) desk: Desk,
    pub(super) transcript: Transcript,
    saved: String,
}

/// One event on its way through the room.
pub(super) struct Turn<'a, S> {
    pub(super) room: &'a mut Room,
    pub(super) store: &'a mut S,
    pub(super) now: UnixMillis,
    /// What sockets are told, in order.
    pub(super) effects: Vec<Effect>,
    /// Facts that this event added.
    pub(super) fresh: Vec<StampedFact>,
}

impl Room {
    /// Loads the room; its facts are read once to fold the transcript. `tickets` signs resume tokens.
    pub fn load(store: &impl RoomStore, tickets: TicketSigner) -> Result<Self, StoreFault> {
        let brief = store.page(Page::Brief)?.map(|text| serde_json::from_str(&text)).transpose();
        let saved = store.page(Page::Desk)?.unwrap_or_default();
        let mut desk: Desk = if saved.is_empty() {
            Desk::default()
        } else {
            serde_json::from_str(&saved).map_err(|_| StoreFault::Unreadable)?
        };
        let mut transcript = Transcript::default();
        let mut after = 0;
        loop {
            let facts = store.facts(after, READ_STEP)?;
            let Some(last) = facts.last() else { break };
            after = last.seq;
            for fact in &facts {
                transcript.apply(&fact.fact);
                // The desk is saved with its facts; should an engine ever lose the second write, the log still counts.
                if fact.seq > desk.view.seq {
                    desk.view.apply(fact);
                }
            }
        }
        Ok(Self { tickets, brief: brief.map_err(|_| StoreFault::Unreadable)?, desk, transcript, saved })
    }

    /// What the facts add up to.
    pub fn view(&self) -> &super::CallView {
        &self.desk.view
    }

    /// Whether the room was ever opened.
    pub fn is_open(&self) -> bool {
        self.brief.is_some()
    }

    /// The call as watchers first see it; none: never opened.
    pub fn snapshot(&self) -> Option<CallSnapshot> {
        let (brief, view) = (self.brief.as_ref()?, &self.desk.view);
        let opened = view.opened.as_ref()?;
        Some(CallSnapshot {
            call: brief.call.clone(),
            call_sid: view.call_sid.clone(),
            direction: opened.direction,
            from: opened.from.clone(),
            to: opened.to.clone(),
            agent: opened.agent.clone(),
            opened_at: opened.at,
            state: view.state.clone(),
            node: view.owner.clone(),
            epoch: view.epoch,
            transcript: self.transcript.lines().into_iter().cloned().collect(),
            seq: view.seq,
        })
    }

    /// Takes one event. After a [`StoreFault`] this value must not be used any more.
    pub fn handle(
        &mut self,
        store: &mut impl RoomStore,
        now: UnixMillis,
        input: RoomInput,
    ) -> Result<RoomOutput, StoreFault> {
        let mut turn = Turn { room: self, store, now, effects: Vec::new(), fresh: Vec::new() };
        let answer = turn.dispatch(input)?;
        turn.finish(answer)
    }
}

impl<S: RoomStore> Turn<'_, S> {
    fn dispatch(&mut self, input: RoomInput) -> Result<RoomResponse, StoreFault> {
        match input {
            RoomInput::Request(request) => return self.request(request),
            RoomInput::NodeOpened { socket, entry } => self.node_opened(socket, entry)?,
            RoomInput::NodeText { socket, text } => self.node_text(&socket, &text)?,
            RoomInput::NodeClosed { socket } => self.node_closed(&socket),
            RoomInput::WatcherOpened { socket, from_seq } => self.watcher_opened(socket, from_seq)?,
            // Deadlines are looked at after every event.
            RoomInput::Alarm => {}
            RoomInput::WorkDone { key, version, outcome } => self.work_done(key, version, outcome)?,
        }
        Ok(RoomResponse::Done)
    }

    fn request(&mut self, request: RoomRequest) -> Result<RoomResponse, StoreFault> {
        match request {
            RoomRequest::Open(opening) => self.open(*opening).map(RoomResponse::Opened),
            RoomRequest::Recall { digest } => Ok(match &self.room.brief {
                Some(_) => RoomResponse::Opened(self.recall(&digest)),
                None => RoomResponse::Unknown,
            }),
            RoomRequest::Placed(outcome) => self.placed(outcome),
            RoomRequest::Answer(answering) => self.answer(*answering).map(RoomResponse::Answer),
            RoomRequest::Report(report) => self.report(*report),
            RoomRequest::After(after) => self.after(*after).map(RoomResponse::After),
            RoomRequest::HangUp => self.hang_up(),
            RoomRequest::Read => Ok(match self.room.snapshot() {
                Some(snapshot) => RoomResponse::Call(Box::new(Shown { snapshot, settled: self.room.desk.settled })),
                None => RoomResponse::Unknown,
            }),
        }
    }

    /// Has something done outside.
    fn work(&mut self, key: WorkKey, version: u64, task: Task) {
        if let Some(brief) = &self.room.brief {
            let call = brief.call.clone();
            self.effects.push(Effect::Work(super::Work { call, key, version, task }));
        }
    }

    /// Tells the operator.
    pub(super) fn note(&mut self, message: &'static str) {
        self.work(WorkKey::Note, 0, Task::Note(message));
    }

    /// Stores a fact, once per source. False: it was stored before.
    pub(super) fn record(&mut self, source: &str, fact: CallFact) -> Result<bool, StoreFault> {
        let stamped = StampedFact { seq: self.room.desk.view.seq + 1, at: self.now, fact };
        if !self.store.append(&stamped, source)? {
            return Ok(false);
        }
        self.room.transcript.apply(&stamped.fact);
        let desk = &mut self.room.desk;
        match desk.view.apply(&stamped) {
            Moved::Life => {
                desk.outbox.want(WorkKey::Project, self.now);
                desk.outbox.want(WorkKey::Board, self.now);
            }
            Moved::Words => desk.outbox.want(WorkKey::Project, self.now.plus(WORDS_DELAY_MS)),
            Moved::Detail => {}
        }
        self.fresh.push(stamped);
        Ok(true)
    }

    /// Stores an event of the call's life.
    pub(super) fn live(&mut self, event: CallEvent) -> Result<bool, StoreFault> {
        self.record(&life_source(&event), CallFact::Life { event })
    }

    /// Gives a verdict, dated now.
    pub(super) fn verdict(&mut self, reason: EndReason) -> Result<bool, StoreFault> {
        self.live(CallEvent::Ended { reason, at: self.now })
    }

    /// A status that a request carried beside its question; such requests have no time of their own.
    pub(super) fn passing_status(&mut self, status: CallStatus) -> Result<(), StoreFault> {
        let event = CallEvent::Status { status, at: self.now, duration_s: None, sip_code: None };
        self.record(&format!("seen:{}", status.as_str()), CallFact::Life { event })?;
        Ok(())
    }

    /// Learns Twilio's name of the call. False: the call has another name.
    pub(super) fn bind(&mut self, call_sid: &CallSid) -> Result<bool, StoreFault> {
        if let Some(known) = &self.room.desk.view.call_sid {
            return Ok(known == call_sid);
        }
        self.record("bound", CallFact::Bound { call_sid: call_sid.clone() })?;
        let desk = &mut self.room.desk;
        desk.outbox.drop(WorkKey::Find);
        if let Some(Placed { placement, .. }) = &mut desk.placement {
            match placement {
                Placement::Pending | Placement::Unknown | Placement::Deferred => {
                    let status = desk.view.state.status.as_str().to_owned();
                    *placement = Placement::Accepted { call_sid: call_sid.clone(), status };
                }
                Placement::Accepted { .. } | Placement::Refused { .. } | Placement::NeverMade => {}
            }
        }
        if desk.hang_up_asked {
            desk.outbox.want(WorkKey::HangUp, self.now);
        }
        Ok(true)
    }

    /// Opens the room, or notices that it was opened before.
    pub(super) fn open(&mut self, opening: Opening) -> Result<Opened, StoreFault> {
        if let Some(brief) = &self.room.brief {
            let known = match &opening.digest {
                Some(digest) if brief.digest.as_ref() != Some(digest) => return Ok(Opened::Conflict),
                Some(digest) => self.recall(digest),
                None => return Ok(Opened::Known { placement: self.placement() }),
            };
            let Some(placed) = &mut self.room.desk.placement else { return Ok(known) };
            return Ok(match (&placed.placement, &known) {
                // The same attempt, handed over a second time because its answer was lost.
                (Placement::Pending, _) if placed.attempt == opening.attempt => Opened::New,
                (Placement::Deferred, Opened::Known { .. }) => {
                    let attempt = opening.attempt;
                    *placed = Placed { placement: Placement::Pending, since: self.now, attempt };
                    Opened::New
                }
                _ => known,
            });
        }
        let Opening { call, direction, from, to, call_sid, status, agent, variables, digest, attempt } = opening;
        let agent_id = agent.as_ref().map(|a| a.id.clone());
        let placed = digest.is_some();
        let brief = Brief { call, agent, variables, digest };
        let text = serde_json::to_string(&brief).map_err(|_| StoreFault::Unreadable)?;
        self.store.write(Page::Brief, &text)?;
        self.room.brief = Some(brief);
        self.sign_of_life();
        self.record("opened", CallFact::Opened { direction, from, to, agent: agent_id })?;
        self.room.desk.placement = placed.then_some(Placed { placement: Placement::Pending, since: self.now, attempt });
        if let Some(call_sid) = call_sid {
            self.bind(&call_sid)?;
        }
        if status != CallStatus::Queued {
            self.passing_status(status)?;
        }
        Ok(Opened::New)
    }

    /// Takes the outcome of `POST /Calls`. What a callback told in the meantime counts more.
    fn placed(&mut self, outcome: PlacementOutcome) -> Result<RoomResponse, StoreFault> {
        if self.room.brief.is_none() {
            return Ok(RoomResponse::Unknown);
        }
        self.sign_of_life();
        let known = match &outcome.placement {
            Placement::Accepted { call_sid, status } => {
                self.bind(call_sid)?;
                if let Some(status) = CallStatus::read(status).filter(|s| *s != CallStatus::Queued) {
                    self.passing_status(status)?;
                }
                true
            }
            Placement::Refused { .. } => {
                self.passing_status(CallStatus::Failed)?;
                true
            }
            Placement::Deferred if !outcome.repeatable => {
                self.passing_status(CallStatus::Failed)?;
                true
            }
            Placement::Deferred | Placement::Unknown | Placement::Pending | Placement::NeverMade => {
                self.room.desk.view.call_sid.is_none()
            }
        };
        if known {
            self.set_placement(outcome.placement);
        }
        Ok(RoomResponse::Opened(Opened::Known { placement: self.placement() }))
    }

    /// Where the placing stands, to somebody who asks the same once more.
    fn recall(&self, digest: &str) -> Opened {
        let same = self.room.brief.as_ref().is_some_and(|brief| brief.digest.as_deref() == Some(digest));
        match self.placement() {
            _ if !same => Opened::Conflict,
            Some(Placement::Deferred) if self.room.desk.view.state.is_over() => Opened::Spent,
            placement => Opened::Known { placement },
        }
    }

    fn placement(&self) -> Option<Placement> {
        self.room.desk.placement.as_ref().map(|placed| placed.placement.clone())
    }

    /// Notes where the placing stands since now.
    pub(super) fn set_placement(&mut self, placement: Placement) {
        let attempt = self.room.desk.placement.take().map(|placed| placed.attempt).unwrap_or_default();
        self.room.desk.placement = Some(Placed { placement, since: self.now, attempt });
    }

    /// Takes a report of Twilio's. A report about another leg than the call's changes nothing.
    fn report(&mut self, report: Report) -> Result<RoomResponse, StoreFault> {
        if self.room.brief.is_none() {
            return Ok(RoomResponse::Unknown);
        }
        if !self.bind(&report.call_sid)? {
            return Ok(RoomResponse::Done);
        }
        self.sign_of_life();
        match report.what {
            Reported::Life { event } => {
                self.live(event)?;
            }
            Reported::Words { transcription_sid, track, sequence, is_final, text, at } => {
                self.live(CallEvent::Transcription {
                    transcription_sid: transcription_sid.clone(),
                    phase: TranscriptionPhase::Running,
                })?;
                if is_final {
                    let source = format!("words:{transcription_sid}:{}:{sequence}", track.as_str());
                    self.record(&source, CallFact::Transcribed { transcription_sid, track, sequence, text, at })?;
                } else {
                    let key = format!("{transcription_sid}:{}:{sequence}", track.as_str());
                    self.broadcast(&ServerMessage::Live { speaker: track.speaker(), key, text, started_at: at });
                }
            }
            Reported::Dialled { status, at } => {
                // Only how far it got: its end is told by the question after `<Dial>`, and by our own leg's end.
                if matches!(status, CallStatus::Ringing | CallStatus::InProgress) {
                    let event = CallEvent::Status { status, at, duration_s: None, sip_code: None };
                    self.record(&format!("dialled:{}", status.as_str()), CallFact::Life { event })?;
                }
            }
            Reported::AnsweredBy { who } => {
                self.room.desk.answered_by.get_or_insert(who);
            }
        }
        Ok(RoomResponse::Done)
    }

    /// Ends the event: what follows from the new state, what the watchers see, what leaves the outbox; then the desk is
    /// saved, and only then is anything said.
    fn finish(mut self, answer: RoomResponse) -> Result<RoomOutput, StoreFault> {
        if self.room.brief.is_none() {
            return Ok(RoomOutput { answer, effects: self.effects, alarm: None });
        }
        self.follow_up()?;
        self.tell_watchers();
        let due = self.room.desk.outbox.take_due(self.now);
        for (key, version) in due {
            match self.room.task(key, version) {
                Some(task) => self.work(key, version, task),
                None => self.room.desk.outbox.drop(key),
            }
        }
        let text = serde_json::to_string(&self.room.desk).map_err(|_| StoreFault::Unreadable)?;
        if text != self.room.saved {
            self.store.write(Page::Desk, &text)?;
            self.room.saved = text;
        }
        let alarm = self.room.next_alarm();
        Ok(RoomOutput { answer, effects: self.effects, alarm })
    }
}
