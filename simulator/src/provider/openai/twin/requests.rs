//! What each client event does: one function per event that is more than a lookup.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::client_event::ClientEvent;
use super::super::detector::Change;
use super::super::input::InputBuffer;
use super::super::items::Item;
use super::super::record::{ToolOutput, Truncation};
use super::super::schema::Refusal;
use super::super::session::{Format, Standing, TurnEnd, reasons};
use super::{LEAST_COMMIT_MS, Output, Said, Twin};

impl Twin {
    pub(super) fn apply(&mut self, event: ClientEvent, now: Duration, out: &mut Vec<Output>) -> Result<(), Refusal> {
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
                let mut item = item.clone();
                if let Some(spoken) = self.record.item(&item_id) {
                    item.set_content("audio", &STANDARD.encode(&spoken.audio));
                }
                self.emit(now, out, json!({ "type": "conversation.item.retrieved", "item": item.value }));
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

    pub(super) fn update_session(
        &mut self,
        patch: &Value,
        now: Duration,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let standing = Standing { has_spoken: self.has_spoken, responding: !self.responses.is_empty() };
        self.session = self.session.updated(patch, standing)?;
        self.input.configure(self.session.turns.as_ref());
        self.updated = true;
        self.emit(now, out, json!({ "type": "session.updated", "session": self.session.value() }));
        Ok(())
    }

    pub(super) fn append(&mut self, audio: &[u8], now: Duration, out: &mut Vec<Output>) -> Result<(), Refusal> {
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

    pub(super) fn commit(&mut self, now: Duration, out: &mut Vec<Output>) -> Result<(), Refusal> {
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

    pub(super) fn create_item(
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
        let content = item.get_mut("content").and_then(Value::as_array_mut);
        for (index, content) in content.into_iter().flatten().enumerate() {
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

    pub(super) fn add_item(
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

    pub(super) fn truncate(
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

    pub(super) fn create_response(
        &mut self,
        params: &Value,
        now: Duration,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
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

    pub(super) fn cancel_by_client(
        &mut self,
        id: Option<&str>,
        now: Duration,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
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
}
