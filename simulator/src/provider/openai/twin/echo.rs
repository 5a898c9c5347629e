//! The persona of load runs: every append comes back at once as a delta with the same payload, without being decoded,
//! in one endless response.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::record::Record;
use super::super::response::{Manner, Planned, Running};
use super::{Echo, Output, Twin};

impl Twin {
    pub(super) fn send_back(&mut self, audio: &str, now: Duration, out: &mut Vec<Output>) {
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

    pub(super) fn begin_echo(&mut self, now: Duration, out: &mut Vec<Output>) -> Echo {
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
}
