//! The twin of one session as a pure machine: a client's message or the time comes in, server messages come out. It holds
//! no socket and no clock, so thousands of conversations can be played in a second of real time. The drive contract: after
//! every call send what came out in order, then wait for the next message or for [`Twin::poll_timeout`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::client_event::{self, ClientEvent};
use super::detector::Change;
use super::ids::Dice;
use super::input::{Committed, InputBuffer};
use super::items::{Conversation, Item, ItemAudio};
use super::options::{FaultKind, Moment, Options, Persona};
use super::record::{End, Exchanged, Record, ResponseRecord, SpokenItem, ToolOutput, Truncation, Turn};
use super::response::{Content, Manner, Phase, Planned, Running, Step, coded};
use super::schema::Refusal;
use super::script::Prompter;
use super::session::{Format, Session, Standing, TurnEnd, reasons};
use crate::speech::{Library, Recording, Who};

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

    // ---- What the client asks for

    fn apply(&mut self, event: ClientEvent, now: Duration, out: &mut Vec<Output>) -> Result<(), Refusal> {
        match event {
            ClientEvent::SessionUpdate(patch) => self.update_session(&patch, now, out),
            ClientEvent::Append(audio) => self.append(&audio, now, out),
            ClientEvent::Commit => self.commit(now, out),
            ClientEvent::Clear => {
                self.input.clear();
                self.speech_item = None;
                self.emit(now, out, json!({ "type": "input_audio_buffer.cleared" }));
                Ok(())
            }
            ClientEvent::ItemCreate { item, previous } => self.create_item(item, previous.as_deref(), now, out),
            ClientEvent::ItemRetrieve { item_id } => {
                let item = self.conversation.retrieve(&item_id)?;
                let mut value = item.value.clone();
                if item.audio.is_some()
                    && let Some(spoken) = self.record.item(&item_id)
                {
                    value["content"][0]["audio"] = json!(STANDARD.encode(&spoken.audio));
                }
                self.emit(now, out, json!({ "type": "conversation.item.retrieved", "item": value }));
                Ok(())
            }
            ClientEvent::ItemTruncate { item_id, content_index, audio_end_ms } => {
                self.truncate(item_id, content_index, audio_end_ms, now, out)
            }
            ClientEvent::ItemDelete { item_id } => {
                self.conversation.delete(&item_id)?;
                self.emit(now, out, json!({ "type": "conversation.item.deleted", "item_id": item_id }));
                Ok(())
            }
            ClientEvent::ResponseCreate(params) => self.create_response(&params, now, out),
            ClientEvent::ResponseCancel { response_id } => self.cancel_by_client(response_id.as_deref(), now, out),
            ClientEvent::OutputClear => {
                let message = "output_audio_buffer.clear is only available over WebRTC and SIP.";
                Err(Refusal::new("invalid_value", message).at("type"))
            }
        }
    }

    fn update_session(&mut self, patch: &Value, now: Duration, out: &mut Vec<Output>) -> Result<(), Refusal> {
        let standing = Standing { has_spoken: self.has_spoken, responding: !self.responses.is_empty() };
        self.session = self.session.updated(patch, standing)?;
        self.input.configure(self.session.turns.as_ref());
        self.updated = true;
        self.emit(now, out, json!({ "type": "session.updated", "session": self.session.value() }));
        Ok(())
    }

    fn append(&mut self, audio: &[u8], now: Duration, out: &mut Vec<Output>) -> Result<(), Refusal> {
        if self.session.input == Format::Pcm && audio.len() % 2 == 1 {
            return Err(Refusal::invalid_value("audio", "16-bit audio has an even number of bytes"));
        }
        if !self.updated && !audio.is_empty() {
            if self.record.input_bytes_before_update == 0 {
                let message = "Audio came before the session was configured; it is read in the default format.";
                let refusal = Refusal::new("audio_before_session_updated", message);
                self.record.note(now, "input_audio_buffer.append", refusal);
            }
            self.record.input_bytes_before_update += audio.len() as u64;
        }
        self.record.arrived(now, audio);
        let turns = self.session.turns;
        for change in self.input.append(audio, self.session.input, turns.as_ref()) {
            match change {
                Change::Started { at_ms } => self.speech_started(at_ms, now, out),
                Change::Stopped { at_ms } => self.speech_stopped(at_ms, now, out),
            }
        }
        if turns.is_some_and(|turns| matches!(turns.end, TurnEnd::Meaning(_))) {
            let library = self.library;
            let finished = self.input.glance().and_then(|audio| library.hear(audio).pop());
            if finished.is_some_and(|heard| heard.to_the_end()) {
                let at_ms = self.input.end_speech();
                self.speech_stopped(at_ms, now, out);
            }
        }
        Ok(())
    }

    fn commit(&mut self, now: Duration, out: &mut Vec<Output>) -> Result<(), Refusal> {
        let held = self.input.uncommitted_ms();
        if held < LEAST_COMMIT_MS {
            let message = format!(
                "Error committing input audio buffer: buffer too small. Expected at least {LEAST_COMMIT_MS}ms of \
                 audio, but buffer only has {held}ms of audio."
            );
            return Err(Refusal::new("input_audio_buffer_commit_empty", message));
        }
        self.input.end_speech();
        let committed = self.input.commit(self.input.clock_ms());
        let item_id = self.speech_item.take().unwrap_or_else(|| self.dice.id("item"));
        self.take_turn(&item_id, &committed, now, out);
        Ok(())
    }

    fn create_item(
        &mut self,
        mut item: Value,
        after: Option<&str>,
        now: Duration,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let id = item["id"].as_str().map_or_else(|| self.dice.id("item"), str::to_owned);
        let kind = item["type"].as_str().unwrap_or_default().to_owned();
        if kind == "function_call_output" {
            let call_id = item["call_id"].as_str().unwrap_or_default();
            let Some(call) = self.conversation.call(call_id) else {
                let message = "Tool call ID not found in conversation.";
                return Err(Refusal::new("invalid_tool_call_id", message).at("item.call_id"));
            };
            if self.conversation.has_output(call_id) {
                let message = "This tool call already has its output.";
                return Err(Refusal::new("invalid_tool_call_id", message).at("item.call_id"));
            }
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (name, output) = (text(&call.value["name"]), text(&item["output"]));
            let call_id = call_id.to_owned();
            self.add_item(&id, item, after, now, out)?;
            self.record.tool_outputs.push(ToolOutput { call_id, name, output });
            return Ok(());
        }
        let mut heard = Vec::new();
        let mut text = String::new();
        for (index, content) in item["content"].as_array_mut().into_iter().flatten().enumerate() {
            if let Some(words) = content["text"].as_str() {
                text.push_str(words);
                text.push(' ');
            }
            if content["type"] == "input_audio" {
                let audio = content["audio"].as_str().unwrap_or_default();
                let Ok(audio) = STANDARD.decode(audio) else {
                    let param = format!("item.content[{index}].audio");
                    return Err(Refusal::invalid_value(&param, "expected standard base64 with padding"));
                };
                let mut buffer = InputBuffer::new(None);
                buffer.append(&audio, self.session.input, None);
                let committed = buffer.commit(buffer.clock_ms());
                heard.extend(self.library.hear(&committed.audio).iter().map(|heard| heard.recording.id().to_owned()));
                if let Some(content) = content.as_object_mut() {
                    content.remove("audio");
                }
            }
        }
        let role = item["role"].as_str().unwrap_or_default().to_owned();
        if kind == "function_call" && !item["call_id"].is_string() {
            item["call_id"] = json!(self.dice.id("call"));
        }
        self.add_item(&id, item, after, now, out)?;
        self.input_tokens.0 += text.len() as u64 / 4;
        match role.as_str() {
            "user" if text.is_empty() => self.said = Some(Said::Heard(heard)),
            "user" => self.said = Some(Said::Written(text)),
            "system" => self.told = Some(text),
            _ => {}
        }
        Ok(())
    }

    fn add_item(
        &mut self,
        id: &str,
        mut value: Value,
        after: Option<&str>,
        now: Duration,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        value["id"] = json!(id);
        value["object"] = json!("realtime.item");
        value["status"] = json!("completed");
        let item = Item { id: id.to_owned(), value: value.clone(), audio: None };
        let previous = self.conversation.insert(item, after)?;
        for kind in ["conversation.item.added", "conversation.item.done"] {
            self.emit(now, out, json!({ "type": kind, "item": value, "previous_item_id": previous }));
        }
        Ok(())
    }

    fn truncate(
        &mut self,
        item_id: String,
        content_index: u64,
        audio_end_ms: u64,
        now: Duration,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let outcome = self.conversation.truncate(&item_id, content_index, audio_end_ms);
        if outcome.is_ok() {
            if let Some(item) = self.record.item_mut(&item_id) {
                item.truncated_to_ms = Some(audio_end_ms);
            }
            let event = json!({
                "type": "conversation.item.truncated", "item_id": item_id, "content_index": content_index,
                "audio_end_ms": audio_end_ms,
            });
            self.emit(now, out, event);
        }
        let accepted = outcome.is_ok();
        self.record.truncations.push(Truncation { at: now, item_id, content_index, audio_end_ms, accepted });
        outcome
    }

    fn create_response(&mut self, params: &Value, now: Duration, out: &mut Vec<Output>) -> Result<(), Refusal> {
        let conversational = params["conversation"] != "none";
        if conversational {
            self.refuse_second()?;
        }
        for name in ["reasoning", "parallel_tool_calls"] {
            if params.get(name).is_some_and(|value| !value.is_null()) && !reasons(self.session.model()) {
                let message = format!("Unsupported option for this model: '{name}'.");
                return Err(Refusal::new("invalid_value", message).at(format!("response.{name}")));
            }
        }
        let voice = &params["audio"]["output"]["voice"];
        if self.has_spoken && !voice.is_null() && *voice != self.session.value()["audio"]["output"]["voice"] {
            let message = "Cannot update a conversation's voice if assistant audio is present.";
            return Err(Refusal::new("cannot_update_voice", message));
        }
        for (index, input) in params["input"].as_array().into_iter().flatten().enumerate() {
            let id = input["id"].as_str().unwrap_or_default();
            if input["type"] == "item_reference" && self.conversation.get(id).is_none() {
                let param = format!("response.input[{index}].id");
                return Err(Refusal::invalid_value(&param, "no item with this id exists"));
            }
        }
        if self.calls.iter().any(|call_id| !self.conversation.has_output(call_id)) {
            let message = "A response was asked for while a function call had no output yet.";
            self.record.note(now, "response.create", Refusal::new("tool_output_missing", message));
        }
        let plan = self.plan(params, now);
        self.respond(params, plan, now, out);
        Ok(())
    }

    fn cancel_by_client(&mut self, id: Option<&str>, now: Duration, out: &mut Vec<Output>) -> Result<(), Refusal> {
        let wanted = match id {
            Some(id) => self.responses.iter().find(|response| response.id == id),
            None => self.active(),
        };
        let Some(response) = wanted.map(|response| response.id.clone()) else {
            return Err(Refusal::new("response_cancel_not_active", "Cancellation failed: no active response found."));
        };
        self.cancel(&response, "client_cancelled", now, out);
        Ok(())
    }

    // ---- Turns

    fn speech_started(&mut self, at_ms: u64, now: Duration, out: &mut Vec<Output>) {
        let item_id = self.dice.id("item");
        self.idle_generation += 1;
        let event = json!({ "type": "input_audio_buffer.speech_started", "audio_start_ms": at_ms, "item_id": item_id });
        self.emit(now, out, event);
        self.speech_item = Some(item_id);
        let interrupts = self.session.turns.is_some_and(|turns| turns.interrupt_response);
        if interrupts && let Some(active) = self.active().map(|response| response.id.clone()) {
            self.cancel(&active, "turn_detected", now, out);
        }
    }

    fn speech_stopped(&mut self, at_ms: u64, now: Duration, out: &mut Vec<Output>) {
        // Without an item, the client committed or cleared in the middle of the speech.
        let item_id = self.speech_item.take().unwrap_or_else(|| self.dice.id("item"));
        let event = json!({ "type": "input_audio_buffer.speech_stopped", "audio_end_ms": at_ms, "item_id": item_id });
        self.emit(now, out, event);
        let committed = self.input.commit(at_ms);
        self.take_turn(&item_id, &committed, now, out);
        if self.session.turns.is_some_and(|turns| turns.create_response) {
            match self.refuse_second() {
                Ok(()) => {
                    let plan = self.plan(&Value::Null, now);
                    self.respond(&Value::Null, plan, now, out);
                }
                // Possible with `interrupt_response: false`; no client event is to blame.
                Err(refusal) => self.emit_error(now, out, None, &refusal),
            }
        }
    }

    /// Makes a user item of committed audio.
    fn take_turn(&mut self, item_id: &str, committed: &Committed, now: Duration, out: &mut Vec<Output>) {
        self.idle_generation += 1;
        let heard: Vec<&'static Recording> =
            self.library.hear(&committed.audio).into_iter().map(|heard| heard.recording).collect();
        let ids: Vec<String> = heard.iter().map(|recording| recording.id().to_owned()).collect();
        let audio_ms = committed.end_ms - committed.start_ms;
        self.input_tokens.1 += audio_ms / 100;
        self.record.turns.push(Turn {
            item_id: item_id.to_owned(),
            at: now,
            start_ms: committed.start_ms,
            end_ms: committed.end_ms,
            heard: ids.clone(),
        });
        let value = json!({
            "id": item_id, "object": "realtime.item", "type": "message", "status": "completed", "role": "user",
            "content": [{ "type": "input_audio", "transcript": null }],
        });
        let item = Item { id: item_id.to_owned(), value: value.clone(), audio: None };
        let previous = self.conversation.push(item);
        let committed =
            json!({ "type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": previous });
        self.emit(now, out, committed);
        for kind in ["conversation.item.added", "conversation.item.done"] {
            self.emit(now, out, json!({ "type": kind, "item": value, "previous_item_id": previous }));
        }
        match &mut self.said {
            // Not answered yet: both turns are.
            Some(Said::Heard(before)) => before.extend(ids),
            Some(Said::Written(_)) | None => self.said = Some(Said::Heard(ids)),
        }
        if self.session.transcription.is_some() {
            let words = heard.iter().map(|recording| recording.text()).collect::<Vec<_>>().join(" ");
            let text = (!words.is_empty()).then_some(words);
            let at = now + Duration::from_millis(self.options.transcription_ms);
            let item_id = item_id.to_owned();
            self.after(at, Due::Transcription { item_id, text, audio_ms, part: TranscriptPart::Delta });
        }
    }

    fn transcribe(
        &mut self,
        item_id: String,
        text: Option<String>,
        audio_ms: u64,
        part: TranscriptPart,
        now: Duration,
        out: &mut Vec<Output>,
    ) {
        let named = |kind: &str| format!("conversation.item.input_audio_transcription.{kind}");
        let ids = json!({ "item_id": item_id, "content_index": 0 });
        let Some(text) = text else {
            let error = json!({
                "type": "transcription_error", "code": "audio_unintelligible",
                "message": "The audio could not be transcribed.", "param": null,
            });
            self.emit(now, out, with(ids, json!({ "type": named("failed"), "error": error })));
            return;
        };
        let half = text.char_indices().find(|(at, letter)| *letter == ' ' && *at * 2 >= text.len());
        let half = half.map_or(text.len(), |(at, _)| at);
        match part {
            TranscriptPart::Delta => {
                self.emit(now, out, with(ids, json!({ "type": named("delta"), "delta": text[..half] })));
                let at = now + Duration::from_millis(30);
                let part = TranscriptPart::Rest;
                self.after(at, Due::Transcription { item_id, text: Some(text), audio_ms, part });
            }
            TranscriptPart::Rest => {
                if half < text.len() {
                    let delta = json!({ "type": named("delta"), "delta": text[half..] });
                    self.emit(now, out, with(ids.clone(), delta));
                }
                let by_time = self.session.transcription.as_deref().is_some_and(|model| model.contains("whisper"));
                let usage = if by_time {
                    json!({ "type": "duration", "seconds": audio_ms as f64 / 1000.0 })
                } else {
                    let (input, output) = (audio_ms / 100, text.len() as u64 / 4 + 1);
                    json!({
                        "type": "tokens", "input_tokens": input, "output_tokens": output,
                        "total_tokens": input + output,
                        "input_token_details": { "audio_tokens": input, "text_tokens": 0 },
                    })
                };
                if let Some(item) = self.conversation.get_mut(&item_id) {
                    item.value["content"][0]["transcript"] = json!(text);
                }
                let completed = json!({ "type": named("completed"), "transcript": text, "usage": usage });
                self.emit(now, out, with(ids, completed));
            }
        }
    }

    /// The caller has been silent for long after the last answer.
    fn idle(&mut self, now: Duration, out: &mut Vec<Output>) {
        let Some(idle_ms) = self.session.turns.and_then(|turns| turns.idle_timeout_ms) else { return };
        if self.input.speaking() || !self.responses.is_empty() {
            return;
        }
        let item_id = self.dice.id("item");
        let end_ms = self.input.clock_ms();
        let event = json!({
            "type": "input_audio_buffer.timeout_triggered", "audio_start_ms": end_ms.saturating_sub(idle_ms),
            "audio_end_ms": end_ms, "item_id": item_id,
        });
        self.emit(now, out, event);
        let committed = self.input.commit(end_ms);
        self.take_turn(&item_id, &Committed { start_ms: end_ms.saturating_sub(idle_ms), ..committed }, now, out);
        self.said = None;
        let plan = vec![Planned::Say(self.recordings(&self.options.script.silence))];
        self.respond(&Value::Null, plan, now, out);
    }

    // ---- Responses

    fn active(&self) -> Option<&Running> {
        self.responses.iter().find(|response| response.conversational)
    }

    fn refuse_second(&self) -> Result<(), Refusal> {
        self.active().map_or(Ok(()), |active| {
            let message = format!(
                "Conversation already has an active response in progress: {}. Wait until the response is finished \
                 before creating a new one.",
                active.id
            );
            Err(Refusal::new("conversation_already_has_active_response", message))
        })
    }

    fn recordings(&self, ids: &[String]) -> Vec<&'static Recording> {
        ids.iter().filter_map(|id| self.library.get(id)).collect()
    }

    /// What the model says now.
    fn plan(&mut self, params: &Value, now: Duration) -> Vec<Planned> {
        let script = Arc::clone(&self.options);
        let script = &script.script;
        // An instruction that holds an agent's line word for word is obeyed.
        let told = self.told.take();
        let instructions = params["instructions"].as_str().or(told.as_deref()).unwrap_or_default();
        if let Some(line) = self.library.spoken_in(instructions, Who::Agent) {
            self.said = None;
            return vec![Planned::Say(vec![line])];
        }
        if !self.calls.is_empty() && self.calls.iter().all(|call_id| self.conversation.has_output(call_id)) {
            self.calls.clear();
            let then = std::mem::take(&mut self.then);
            if !then.is_empty() {
                return vec![Planned::Say(self.recordings(&then))];
            }
        }
        let first = self.responses_created == 0 && self.record.turns.is_empty();
        let heard = match self.said.take() {
            None if first => return vec![Planned::Say(self.recordings(&script.greeting))],
            None => Vec::new(),
            Some(Said::Heard(ids)) => ids,
            Some(Said::Written(text)) => {
                self.library.spoken_in(&text, Who::Caller).map(|line| line.id().to_owned()).into_iter().collect()
            }
        };
        // Of several lines in one breath, the last that means something is answered.
        let answer = heard.iter().rev().find_map(|heard| self.prompter.answer(script, heard));
        let Some(answer) = answer else { return vec![Planned::Say(self.recordings(&script.otherwise))] };
        let say = self.recordings(&answer.say);
        let mut plan: Vec<Planned> = if answer.separate_items {
            say.into_iter().map(|line| Planned::Say(vec![line])).collect()
        } else if say.is_empty() {
            Vec::new()
        } else {
            vec![Planned::Say(say)]
        };
        let tools = params.get("tools").unwrap_or(&self.session.value()["tools"]);
        let declared: Vec<&str> =
            tools.as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str()).collect();
        let may_call = params.get("tool_choice").unwrap_or(&self.session.value()["tool_choice"]) != "none";
        for tool in &answer.tools {
            if may_call && declared.contains(&tool.name.as_str()) {
                plan.push(Planned::Call(tool.clone()));
            } else {
                let message = format!("The script calls '{}', which the session does not offer.", tool.name);
                self.record.note(now, "session.update", Refusal::new("tool_not_declared", message));
            }
        }
        self.then.clone_from(&answer.then);
        if plan.is_empty() {
            plan.push(Planned::Say(self.recordings(&script.otherwise)));
        }
        plan
    }

    fn respond(&mut self, params: &Value, plan: Vec<Planned>, now: Duration, out: &mut Vec<Output>) {
        self.idle_generation += 1;
        self.responses_created += 1;
        let number = self.responses_created;
        let options = Arc::clone(&self.options);
        let faults = options.faults_of(self.record.connection).filter_map(|fault| match fault.at {
            Moment::Response { number: nth, audio_ms } if nth == number => Some((&fault.kind, audio_ms)),
            Moment::Response { .. } | Moment::AfterMs(_) | Moment::Connect => None,
        });
        let faults: Vec<(&FaultKind, u64)> = faults.collect();
        let mut manner = Manner::of(&self.session, params, &self.conversation_id);
        if faults.iter().any(|(kind, _)| **kind == FaultKind::WrongFormat) {
            manner.format = Format::Pcm;
        }
        let id = self.dice.id("resp");
        let mut response = Running::new(id.clone(), manner, plan, &mut self.dice);
        response.input_tokens = self.input_tokens;
        self.record.responses.push(ResponseRecord {
            id: id.clone(),
            created_at: now,
            done_at: None,
            status: "in_progress",
            reason: None,
        });
        let created = response.value("in_progress", Value::Null);
        let failure = faults.iter().find_map(|(kind, _)| match kind {
            FaultKind::FailResponse(code) => Some(code.clone()),
            _ => None,
        });
        let start = now + Duration::from_millis(options.first_audio_ms);
        if failure.is_none() {
            let timeline = response.timeline(start, &options, &mut self.dice);
            for (kind, audio_ms) in &faults {
                let at = start + Duration::from_secs_f64(*audio_ms as f64 / 1000.0 / options.speed);
                self.after(at, Due::Fault((*kind).clone()));
            }
            for (at, step) in timeline {
                self.after(at, Due::Step { response: id.clone(), step });
            }
        }
        self.responses.push(response);
        self.emit(now, out, json!({ "type": "response.created", "response": created }));
        let rate_limits = json!([
            { "name": "requests", "limit": 10_000, "remaining": 10_000 - number.min(10_000), "reset_seconds": 0.006 },
            { "name": "tokens", "limit": 400_000, "remaining": 395_904, "reset_seconds": 0.614 },
        ]);
        self.emit(now, out, json!({ "type": "rate_limits.updated", "rate_limits": rate_limits }));
        if let Some(code) = failure {
            let message = "The response could not be generated.";
            let error = json!({ "type": "server_error", "code": code, "message": message });
            self.finish(&id, "failed", None, json!({ "type": "failed", "error": error }), now, out);
        }
    }

    fn step(&mut self, response_id: &str, step: Step, now: Duration, out: &mut Vec<Output>) {
        let Some(index) = self.responses.iter().position(|response| response.id == response_id) else { return };
        match step {
            Step::Open { output } => self.open_item(index, output, now, out),
            Step::Text { output, to } => self.send_text(index, output, to, now, out),
            Step::Audio { output, to } => self.send_audio(index, output, to, now, out),
            Step::Finish { output } => self.close_item(index, output, Phase::Complete, now, out),
            Step::Done => {
                self.finish(response_id, "completed", None, Value::Null, now, out);
            }
        }
    }

    fn open_item(&mut self, index: usize, output_index: usize, now: Duration, out: &mut Vec<Output>) {
        let response = &mut self.responses[index];
        let (response_id, conversational, format) = (response.id.clone(), response.conversational, response.format);
        let output = &mut response.outputs[output_index];
        output.phase = Phase::Open;
        let (item_id, item, part) = (output.item_id.clone(), output.value(), output.part());
        let is_call = matches!(output.content, Content::Call { .. });
        let is_speech = matches!(output.content, Content::Speech { .. });
        if is_speech {
            self.record.items.push(SpokenItem {
                item_id: item_id.clone(),
                response_id: response_id.clone(),
                recordings: output.recordings.clone(),
                format,
                text: output.text.clone(),
                audio: Vec::new(),
                audio_bytes: 0,
                cancelled_at_bytes: None,
                truncated_to_ms: None,
                first_audio_at: None,
                complete: false,
            });
        }
        let added = json!({
            "type": "response.output_item.added", "response_id": response_id, "output_index": output_index,
            "item": item,
        });
        self.emit(now, out, added);
        if conversational {
            let audio = is_speech.then(|| ItemAudio { bytes_per_ms: format.bytes_per_ms(), ..ItemAudio::default() });
            let previous = self.conversation.push(Item { id: item_id.clone(), value: item.clone(), audio });
            let added = json!({ "type": "conversation.item.added", "item": item, "previous_item_id": previous });
            self.emit(now, out, added);
        }
        if !is_call {
            let ids = part_ids(&response_id, &item_id, output_index);
            self.emit(now, out, with(ids, json!({ "type": "response.content_part.added", "part": part })));
        }
    }

    fn send_text(&mut self, index: usize, output_index: usize, to: usize, now: Duration, out: &mut Vec<Output>) {
        let response = &mut self.responses[index];
        let response_id = response.id.clone();
        let output = &mut response.outputs[output_index];
        let delta = output.text.get(output.text_sent..to).unwrap_or_default().to_owned();
        if delta.is_empty() {
            return;
        }
        output.text_sent = to;
        let item_id = output.item_id.clone();
        let event = match &output.content {
            Content::Speech { .. } => json!({ "type": "response.output_audio_transcript.delta", "delta": delta }),
            Content::Text => json!({ "type": "response.output_text.delta", "delta": delta }),
            Content::Call { call_id, .. } => {
                let event = json!({
                    "type": "response.function_call_arguments.delta", "response_id": response_id, "item_id": item_id,
                    "output_index": output_index, "call_id": call_id, "delta": delta,
                });
                self.emit(now, out, event);
                return;
            }
        };
        self.emit(now, out, with(part_ids(&response_id, &item_id, output_index), event));
    }

    fn send_audio(&mut self, index: usize, output_index: usize, to: usize, now: Duration, out: &mut Vec<Output>) {
        let response = &mut self.responses[index];
        let response_id = response.id.clone();
        let output = &mut response.outputs[output_index];
        let item_id = output.item_id.clone();
        let Content::Speech { audio, sent } = &mut output.content else { return };
        let audio = Arc::clone(audio);
        let from = std::mem::replace(sent, to);
        self.send_delta(&response_id, &item_id, output_index, &audio[from..to], now, out);
    }

    fn send_delta(
        &mut self,
        response_id: &str,
        item_id: &str,
        output_index: usize,
        audio: &[u8],
        now: Duration,
        out: &mut Vec<Output>,
    ) {
        self.has_spoken = true;
        self.record.spoke(now, item_id, audio);
        if let Some(item) = self.conversation.get_mut(item_id)
            && let Some(sent) = &mut item.audio
        {
            sent.bytes += audio.len();
        }
        let delta = json!({ "type": "response.output_audio.delta", "delta": STANDARD.encode(audio) });
        self.emit(now, out, with(part_ids(response_id, item_id, output_index), delta));
    }

    fn close_item(&mut self, index: usize, output_index: usize, phase: Phase, now: Duration, out: &mut Vec<Output>) {
        let response = &mut self.responses[index];
        let (response_id, conversational) = (response.id.clone(), response.conversational);
        let output = &mut response.outputs[output_index];
        output.phase = phase;
        let (item_id, item, part) = (output.item_id.clone(), output.value(), output.part());
        let said = output.said().to_owned();
        let ids = part_ids(&response_id, &item_id, output_index);
        let events = match &output.content {
            Content::Speech { .. } => vec![
                with(ids.clone(), json!({ "type": "response.output_audio.done" })),
                with(ids.clone(), json!({ "type": "response.output_audio_transcript.done", "transcript": said })),
                with(ids, json!({ "type": "response.content_part.done", "part": part })),
            ],
            Content::Text => vec![
                with(ids.clone(), json!({ "type": "response.output_text.done", "text": said })),
                with(ids, json!({ "type": "response.content_part.done", "part": part })),
            ],
            Content::Call { name, call_id } => {
                if phase == Phase::Complete {
                    self.calls.push(call_id.clone());
                }
                vec![json!({
                    "type": "response.function_call_arguments.done", "response_id": response_id, "item_id": item_id,
                    "output_index": output_index, "call_id": call_id, "name": name, "arguments": said,
                })]
            }
        };
        for event in events {
            self.emit(now, out, event);
        }
        if let Some(spoken) = self.record.item_mut(&item_id) {
            spoken.complete = phase == Phase::Complete;
        }
        if conversational {
            if let Some(kept) = self.conversation.get_mut(&item_id) {
                kept.value = item.clone();
                // A truncation while the item was being spoken holds.
                if kept.audio.as_ref().is_some_and(|audio| audio.kept_ms.is_some()) {
                    kept.value["content"][0]["transcript"] = json!("");
                }
            }
            let previous = self.conversation.before(&item_id);
            let done = json!({ "type": "conversation.item.done", "item": item, "previous_item_id": previous });
            self.emit(now, out, done);
        }
        let done = json!({
            "type": "response.output_item.done", "response_id": response_id, "output_index": output_index,
            "item": item,
        });
        self.emit(now, out, done);
    }

    fn finish(
        &mut self,
        response_id: &str,
        status: &'static str,
        reason: Option<&'static str>,
        details: Value,
        now: Duration,
        out: &mut Vec<Output>,
    ) {
        let Some(index) = self.responses.iter().position(|response| response.id == response_id) else { return };
        let response = self.responses.remove(index);
        if let Some(record) = self.record.responses.iter_mut().rev().find(|record| record.id == response_id) {
            record.status = status;
            record.reason = reason;
            record.done_at = Some(now);
        }
        self.emit(now, out, json!({ "type": "response.done", "response": response.value(status, details) }));
        let idle_ms = self.session.turns.and_then(|turns| turns.idle_timeout_ms);
        if let Some(idle_ms) = idle_ms.filter(|_| response.conversational && status == "completed") {
            self.idle_generation += 1;
            let at = now + Duration::from_millis(response.sent_ms() + idle_ms);
            self.after(at, Due::Idle { generation: self.idle_generation });
        }
    }

    fn cancel(&mut self, response_id: &str, reason: &'static str, now: Duration, out: &mut Vec<Output>) {
        let mut rest = Vec::new();
        self.agenda.retain(|_, due| match due {
            Due::Step { response, step } if response == response_id => {
                rest.push(step.clone());
                false
            }
            _ => true,
        });
        let Some(index) = self.responses.iter().position(|response| response.id == response_id) else { return };
        let open = self.responses[index].outputs.iter().position(|output| output.phase == Phase::Open);
        let mut late = Vec::new();
        if let Some(open) = open {
            let item_id = self.responses[index].outputs[open].item_id.clone();
            if let Some(item) = self.record.item_mut(&item_id) {
                item.cancelled_at_bytes = Some(item.audio_bytes);
            }
            let mut audio = rest.iter().filter_map(|step| match step {
                Step::Audio { output, to } if *output == open => Some(*to),
                Step::Audio { .. } | Step::Text { .. } | Step::Open { .. } | Step::Finish { .. } | Step::Done => None,
            });
            // Only what already flows can be in flight.
            let flowing = self.responses[index].outputs[open].sent_bytes() > 0;
            let flowing = |count: u32| if flowing { count as usize } else { 0 };
            let before = flowing(self.options.late_deltas.before_done);
            let after = flowing(self.options.late_deltas.after_done);
            for to in audio.by_ref().take(before) {
                self.send_audio(index, open, to, now, out);
            }
            if let Content::Speech { audio: bytes, sent } = &self.responses[index].outputs[open].content {
                let mut from = *sent;
                for to in audio.take(after) {
                    late.push((item_id.clone(), open, bytes[from..to].to_vec()));
                    from = to;
                }
            }
            self.close_item(index, open, Phase::Incomplete, now, out);
        }
        let details = json!({ "type": "cancelled", "reason": reason });
        self.finish(response_id, "cancelled", Some(reason), details, now, out);
        for (nth, (item_id, output_index, audio)) in (1..).zip(late) {
            let response_id = response_id.to_owned();
            self.after(now + LATE_BY * nth, Due::Late { response_id, item_id, output_index, audio });
        }
    }

    // ---- The echo of load runs

    fn send_back(&mut self, audio: &str, now: Duration, out: &mut Vec<Output>) {
        if self.echo.is_none() {
            self.echo = Some(self.begin_echo(now, out));
        }
        let Some(echo) = &self.echo else { return };
        let padding = audio.bytes().rev().take_while(|byte| *byte == b'=').count();
        let bytes = (audio.len() / 4 * 3).saturating_sub(padding);
        self.record.input_bytes += bytes as u64;
        if let Some(item) = self.record.items.last_mut() {
            item.audio_bytes += bytes;
        }
        Record::count(&mut self.record.sent, "response.output_audio.delta");
        if self.silent {
            return;
        }
        let mut text = String::with_capacity(echo.head.len() + audio.len() + 2);
        text.push_str(&echo.head);
        text.push_str(audio);
        text.push_str("\"}");
        out.push(Output::Text(text));
    }

    fn begin_echo(&mut self, now: Duration, out: &mut Vec<Output>) -> Echo {
        let manner = Manner::of(&self.session, &Value::Null, &self.conversation_id);
        let id = self.dice.id("resp");
        let plan = vec![Planned::Say(Vec::new())];
        let response = Running::new(id.clone(), manner, plan, &mut self.dice);
        self.emit(
            now,
            out,
            json!({ "type": "response.created", "response": response.value("in_progress", Value::Null) }),
        );
        let item_id = response.outputs.first().map(|output| output.item_id.clone()).unwrap_or_default();
        self.responses.push(response);
        self.open_item(0, 0, now, out);
        let event_id = self.dice.id("event");
        let head = format!(
            "{{\"type\":\"response.output_audio.delta\",\"event_id\":\"{event_id}\",\"response_id\":\"{id}\",\
             \"item_id\":\"{item_id}\",\"output_index\":0,\"content_index\":0,\"delta\":\""
        );
        Echo { head }
    }

    // ---- Time

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

    // ---- Words to the client

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
