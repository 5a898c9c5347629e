//! The model's side of a session: what is answered, how a response runs, and how it is cancelled.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::items::{Item, ItemAudio};
use super::super::options::{FaultKind, Moment};
use super::super::record::{ResponseRecord, SpokenItem};
use super::super::response::{Content, Manner, Phase, Planned, Running, Step};
use super::super::schema::Refusal;
use super::super::session::Format;
use super::{Due, LATE_BY, Output, Said, Twin, part_ids, with};
use crate::speech::{Recording, Who};

impl Twin {
    pub(super) fn active(&self) -> Option<&Running> {
        self.responses.iter().find(|response| response.conversational)
    }

    pub(super) fn refuse_second(&self) -> Result<(), Refusal> {
        self.active().map_or(Ok(()), |active| {
            let message = format!(
                "Conversation already has an active response in progress: {}. Wait until the response is finished \
                 before creating a new one.",
                active.id
            );
            Err(Refusal::new("conversation_already_has_active_response", message))
        })
    }

    pub(super) fn recordings(&self, ids: &[String]) -> Vec<&'static Recording> {
        ids.iter().filter_map(|id| self.library.get(id)).collect()
    }

    /// What the model says now.
    pub(super) fn plan(&mut self, params: &Value, now: Duration) -> Vec<Planned> {
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

    pub(super) fn respond(&mut self, params: &Value, plan: Vec<Planned>, now: Duration, out: &mut Vec<Output>) {
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
            FaultKind::Refuse(_)
            | FaultKind::Stall
            | FaultKind::Drop
            | FaultKind::Close(_)
            | FaultKind::Hang
            | FaultKind::Garbage
            | FaultKind::Expire
            | FaultKind::WrongFormat => None,
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

    pub(super) fn step(&mut self, response_id: &str, step: Step, now: Duration, out: &mut Vec<Output>) {
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

    pub(super) fn open_item(&mut self, index: usize, output_index: usize, now: Duration, out: &mut Vec<Output>) {
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

    pub(super) fn send_text(
        &mut self,
        index: usize,
        output_index: usize,
        to: usize,
        now: Duration,
        out: &mut Vec<Output>,
    ) {
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

    pub(super) fn send_audio(
        &mut self,
        index: usize,
        output_index: usize,
        to: usize,
        now: Duration,
        out: &mut Vec<Output>,
    ) {
        let response = &mut self.responses[index];
        let response_id = response.id.clone();
        let output = &mut response.outputs[output_index];
        let item_id = output.item_id.clone();
        let Content::Speech { audio, sent } = &mut output.content else { return };
        let audio = Arc::clone(audio);
        let from = std::mem::replace(sent, to);
        self.send_delta(&response_id, &item_id, output_index, &audio[from..to], now, out);
    }

    pub(super) fn send_delta(
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

    pub(super) fn close_item(
        &mut self,
        index: usize,
        output_index: usize,
        phase: Phase,
        now: Duration,
        out: &mut Vec<Output>,
    ) {
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
                    kept.set_content("transcript", "");
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

    pub(super) fn finish(
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

    pub(super) fn cancel(&mut self, response_id: &str, reason: &'static str, now: Duration, out: &mut Vec<Output>) {
        let mut rest = Vec::new();
        self.agenda.retain(|_, due| {
            let Due::Step { response, step } = due else { return true };
            let mine = response == response_id;
            if mine {
                rest.push(step.clone());
            }
            !mine
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
}
