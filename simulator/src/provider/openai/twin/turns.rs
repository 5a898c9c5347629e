//! The caller's side of a session: speech begins and ends, becomes an item, is transcribed; silence runs out.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::input::Committed;
use super::super::items::Item;
use super::super::record::Turn;
use super::super::response::Planned;
use super::{Due, Output, Said, TranscriptPart, Twin, with};
use crate::speech::Recording;

impl Twin {
    pub(super) fn speech_started(&mut self, at_ms: u64, now: Duration, out: &mut Vec<Output>) {
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

    pub(super) fn speech_stopped(&mut self, at_ms: u64, now: Duration, out: &mut Vec<Output>) {
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
    pub(super) fn take_turn(&mut self, item_id: &str, committed: &Committed, now: Duration, out: &mut Vec<Output>) {
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

    pub(super) fn transcribe(
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
                    item.set_content("transcript", &text);
                }
                let completed = json!({ "type": named("completed"), "transcript": text, "usage": usage });
                self.emit(now, out, with(ids, completed));
            }
        }
    }

    /// The caller has been silent for long after the last answer.
    pub(super) fn idle(&mut self, now: Duration, out: &mut Vec<Output>) {
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
}
