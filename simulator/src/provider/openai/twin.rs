//! The twin of one session as a pure machine: a client's message or the time comes in, server messages come out. It holds
//! no socket and no clock, so thousands of conversations can be played in a second of real time. The drive contract: after
//! every call send what came out in order, then wait for the next message or for [`Twin::poll_timeout`].

mod answers;
mod echo;
mod requests;
mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::client_event;
use super::ids::Dice;
use super::input::InputBuffer;
use super::items::Conversation;
use super::options::{FaultKind, Moment, Options, Persona};
use super::record::{End, Exchanged, Record};
use super::response::{Running, Step, coded};
use super::schema::Refusal;
use super::script::Prompter;
use super::session::{Format, Session};
use crate::speech::{Library, Recording};

/// Less audio than this cannot be committed: 100 ms.
const LEAST_COMMIT_MS: u64 = 100;

/// Time between the deltas that arrive after a cancelled response is done.
const LATE_BY: Duration = Duration::from_millis(8);

/// What goes to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A text message: the JSON of a server event (or, as a fault, not JSON).
    Text(String),
    /// A close frame; nothing follows.
    Close {
        /// 1001 when the session expired.
        code: u16,
        /// The close reason.
        reason: String,
    },
    /// The TCP connection ends without a close frame; nothing follows.
    Drop,
}

/// What the model answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// Recordings heard; none when nothing was understood.
    Heard(Vec<String>),
    /// Written by a client.
    Written(String),
}

/// Something that happens at a time of its own.
#[derive(Clone, Debug)]
enum Due {
    Step { response: String, step: Step },
    Late { response_id: String, item_id: String, output_index: usize, audio: Vec<u8> },
    Transcription { item_id: String, text: Option<String>, audio_ms: u64, part: TranscriptPart },
    Idle { generation: u64 },
    Fault(FaultKind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TranscriptPart {
    Delta,
    Rest,
}

/// The endless response of [`Persona::Echo`].
#[derive(Debug)]
struct Echo {
    /// Everything of a delta before its payload.
    head: String,
}

/// One session of the simulated provider.
#[derive(Debug)]
pub struct Twin {
    options: Arc<Options>,
    library: &'static Library,
    dice: Dice,
    conversation_id: String,
    session: Session,
    input: InputBuffer,
    conversation: Conversation,
    prompter: Prompter,
    said: Option<Said>,
    /// Words of system messages since the last response: what the agent was told in the middle of the call.
    told: Option<String>,
    /// Calls whose output is awaited or has come, and what is said after all of them.
    calls: Vec<String>,
    then: Vec<String>,
    responses: Vec<Running>,
    responses_created: u32,
    agenda: BTreeMap<(Duration, u64), Due>,
    sequence: u64,
    idle_generation: u64,
    /// Id of the item that the speech now heard will become.
    speech_item: Option<String>,
    input_tokens: (u64, u64),
    has_spoken: bool,
    updated: bool,
    silent: bool,
    since_unknown: u32,
    echo: Option<Echo>,
    record: Record,
}

impl Twin {
    /// Opens a session, as the nth connection of its server (from 1); returns its first messages. `unix_seconds` is the wall
    /// time, for `expires_at` only.
    #[must_use]
    pub fn open(
        options: Arc<Options>,
        connection: u32,
        model: &str,
        now: Duration,
        unix_seconds: u64,
    ) -> (Self, Vec<Output>) {
        let mut dice = Dice::new(options.seed, connection);
        let session = Session::new(&dice.id("sess"), model, unix_seconds + options.session_seconds);
        let record = Record {
            connection,
            model: model.to_owned(),
            session_id: session.value()["id"].as_str().unwrap_or_default().to_owned(),
            opened_at: now,
            keep: Some(options.keep),
            ..Record::default()
        };
        let mut twin = Self {
            library: Library::embedded(),
            conversation_id: dice.id("conv"),
            input: InputBuffer::new(session.turns.as_ref()),
            session,
            dice,
            conversation: Conversation::default(),
            prompter: Prompter::default(),
            said: None,
            told: None,
            calls: Vec::new(),
            then: Vec::new(),
            responses: Vec::new(),
            responses_created: 0,
            agenda: BTreeMap::new(),
            sequence: 0,
            idle_generation: 0,
            speech_item: None,
            input_tokens: (0, 0),
            has_spoken: false,
            updated: false,
            silent: false,
            since_unknown: 0,
            echo: None,
            record,
            options,
        };
        let mut out = Vec::new();
        twin.emit(now, &mut out, json!({ "type": "session.created", "session": twin.session.value() }));
        if twin.options.conversation_created {
            let conversation = json!({ "id": twin.conversation_id, "object": "realtime.conversation" });
            twin.emit(now, &mut out, json!({ "type": "conversation.created", "conversation": conversation }));
        }
        twin.after(now + Duration::from_secs(twin.options.session_seconds), Due::Fault(FaultKind::Expire));
        let options = Arc::clone(&twin.options);
        for fault in options.faults_of(connection) {
            if let Moment::AfterMs(ms) = fault.at {
                twin.after(now + Duration::from_millis(ms), Due::Fault(fault.kind.clone()));
            }
        }
        (twin, out)
    }

    /// Takes one text message of the client.
    pub fn handle(&mut self, text: &str, now: Duration) -> Vec<Output> {
        let mut out = Vec::new();
        self.handle_into(text, now, &mut out);
        out
    }

    /// [`Twin::handle`], appending to a vector that the caller reuses.
    pub fn handle_into(&mut self, text: &str, now: Duration, out: &mut Vec<Output>) {
        self.run_due(now, out);
        if self.is_over() {
            return;
        }
        if self.record.keeps_events() {
            self.record.events.push(Exchanged { at: now, by_client: true, text: text.to_owned() });
        }
        if self.options.persona == Persona::Echo
            && let Some(append) = client_event::plain_append(text)
        {
            Record::count(&mut self.record.received, "input_audio_buffer.append");
            self.send_back(&append.audio, now, out);
            return;
        }
        let received = client_event::parse(text);
        Record::count(&mut self.record.received, counted_kind(&received.kind));
        let outcome = received.outcome.and_then(|event| self.apply(event, now, out));
        if let Err(refusal) = outcome {
            self.refuse(now, out, &received.kind, received.event_id.as_deref(), refusal);
        }
    }

    /// Takes a binary message: the interface has none.
    pub fn handle_binary(&mut self, now: Duration) -> Vec<Output> {
        let mut out = Vec::new();
        self.run_due(now, &mut out);
        if !self.is_over() {
            let refusal = Refusal::new("binary_frame", "Messages must be text frames holding JSON.");
            self.refuse(now, &mut out, "", None, refusal);
        }
        out
    }

    /// When [`Twin::handle_timeout`] must be called next; `None` when nothing is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.agenda.first_key_value().map(|((at, _), _)| *at)
    }

    /// Does everything that is due at `now`.
    pub fn handle_timeout(&mut self, now: Duration) -> Vec<Output> {
        let mut out = Vec::new();
        self.run_due(now, &mut out);
        out
    }

    /// [`Twin::handle_timeout`], appending to a vector that the caller reuses.
    pub fn handle_timeout_into(&mut self, now: Duration, out: &mut Vec<Output>) {
        self.run_due(now, out);
    }

    /// The connection ended without the twin's doing.
    pub fn ended(&mut self, how: End, now: Duration) {
        if !self.is_over() {
            self.end(how, now);
        }
    }

    /// Whether the session is over: nothing comes out any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.record.ended.is_some()
    }

    /// What happened so far.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Whether a response is running in the default conversation.
    #[must_use]
    pub fn is_responding(&self) -> bool {
        self.active().is_some()
    }

    /// The session object as `session.updated` would show it.
    #[must_use]
    pub fn session(&self) -> &Value {
        self.session.value()
    }

    fn after(&mut self, at: Duration, due: Due) {
        self.sequence += 1;
        self.agenda.insert((at, self.sequence), due);
    }

    fn run_due(&mut self, now: Duration, out: &mut Vec<Output>) {
        while !self.is_over()
            && let Some(entry) = self.agenda.first_entry()
            && entry.key().0 <= now
        {
            // Things happen at their own time even when the driver is late, so one seed gives one record.
            let ((at, _), due) = entry.remove_entry();
            match due {
                Due::Step { response, step } => self.step(&response, step, at, out),
                Due::Late { response_id, item_id, output_index, audio } => {
                    self.send_delta(&response_id, &item_id, output_index, &audio, at, out);
                }
                Due::Transcription { item_id, text, audio_ms, part } => {
                    self.transcribe(item_id, text, audio_ms, part, at, out);
                }
                Due::Idle { generation } if generation == self.idle_generation => self.idle(at, out),
                Due::Idle { .. } => {}
                Due::Fault(kind) => self.fail(&kind, at, out),
            }
        }
    }

    fn fail(&mut self, kind: &FaultKind, now: Duration, out: &mut Vec<Output>) {
        match kind {
            FaultKind::Drop => {
                out.push(Output::Drop);
                self.end(End::Dropped, now);
            }
            FaultKind::Close(code) => {
                out.push(Output::Close { code: *code, reason: "The server is going away.".to_owned() });
                self.end(End::Closed(*code), now);
            }
            FaultKind::Hang => self.silent = true,
            FaultKind::Garbage => {
                out.push(Output::Text("{\"type\":\"response.output_audio.delta\",\"delta\":".to_owned()));
            }
            FaultKind::Expire => {
                let message = format!(
                    "Your session hit the maximum duration of {} minutes.",
                    self.options.session_seconds.div_ceil(60)
                );
                self.emit_error(now, out, None, &Refusal::new("session_expired", message.clone()));
                out.push(Output::Close { code: 1001, reason: message });
                self.end(End::Closed(1001), now);
            }
            // These are part of how a connection or a response begins.
            FaultKind::Refuse(_) | FaultKind::Stall | FaultKind::FailResponse(_) | FaultKind::WrongFormat => {}
        }
    }

    fn end(&mut self, how: End, now: Duration) {
        self.record.ended = Some((now, how));
        self.agenda.clear();
    }

    fn refuse(&mut self, now: Duration, out: &mut Vec<Output>, kind: &str, event_id: Option<&str>, refusal: Refusal) {
        self.emit_error(now, out, event_id, &refusal);
        self.record.note(now, kind, refusal);
    }

    fn emit_error(&mut self, now: Duration, out: &mut Vec<Output>, event_id: Option<&str>, refusal: &Refusal) {
        let error = json!({
            "type": "invalid_request_error", "code": refusal.code, "message": refusal.message,
            "param": refusal.param, "event_id": event_id,
        });
        self.emit(now, out, json!({ "type": "error", "error": error }));
    }

    fn emit(&mut self, now: Duration, out: &mut Vec<Output>, mut event: Value) {
        if self.silent {
            return;
        }
        event["event_id"] = json!(self.dice.id("event"));
        Record::count(&mut self.record.sent, event["type"].as_str().unwrap_or_default());
        self.push(now, out, event.to_string());
        let every = self.options.unknown_event_every;
        self.since_unknown += 1;
        if every > 0 && self.since_unknown >= every {
            self.since_unknown = 0;
            let unknown = match self.dice.next() % 3 {
                0 => json!({ "type": "ping", "timestamp": 0 }),
                1 => json!({ "type": "response.mood.updated", "event_id": self.dice.id("event"), "mood": ["calm"] }),
                _ => json!({ "type": "session.hint", "event_id": self.dice.id("event"), "session": null, "delta": 7 }),
            };
            Record::count(&mut self.record.sent, "unknown");
            self.push(now, out, unknown.to_string());
        }
    }

    fn push(&mut self, now: Duration, out: &mut Vec<Output>, text: String) {
        if self.record.keeps_events() {
            self.record.events.push(Exchanged { at: now, by_client: false, text: text.clone() });
        }
        out.push(Output::Text(text));
    }
}

/// Received kinds are counted by name; names that no client event has are counted together, so a peer cannot fill memory.
fn counted_kind(kind: &str) -> &str {
    if client_event::is_known(kind) { kind } else { "unknown" }
}

fn part_ids(response_id: &str, item_id: &str, output_index: usize) -> Value {
    json!({ "response_id": response_id, "item_id": item_id, "output_index": output_index, "content_index": 0 })
}

/// `base` with the fields of `more` as well.
fn with(mut base: Value, more: Value) -> Value {
    if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
        base.extend(more);
    }
    base
}

/// Audio bytes of recordings in a session's coding: what a client should receive, for a verdict to compare.
#[must_use]
pub fn expected_audio(recordings: &[&Recording], format: Format) -> Vec<u8> {
    coded(recordings.iter().flat_map(|recording| recording.audio()).copied().collect(), format)
}
