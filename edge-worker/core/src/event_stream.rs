//! A call's transcript as server-sent events: what a room tells a watcher goes in, the text of events comes out. Each event
//! that may be resumed from carries the fact's `seq` as its id. Attaching and writing are the shell's matter.

use serde::Serialize;
use shared::console_api::ServerMessage;
use shared::transcript::Transcript;

/// The encoder of one client's stream. It folds all facts of the call, so that a line that changes after the client's
/// `Last-Event-ID` is sent whole.
#[derive(Debug, Clone, Default)]
pub struct TranscriptStream {
    after: u64,
    transcript: Transcript,
}

/// A piece of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Piece {
    /// Text to send; may be empty.
    pub text: String,
    /// The stream ends after it.
    pub ends: bool,
}

impl TranscriptStream {
    /// A stream for a client that has everything up to this fact (0: nothing).
    pub fn new(after: u64) -> Self {
        Self { after, transcript: Transcript::default() }
    }

    /// Encodes what the room said: `line` events with a whole [`shared::transcript::TranscriptLine`], `live` events (without
    /// an id) for words still being said, one `ended` event at the end. The watcher must have attached with `from_seq` 0.
    pub fn push(&mut self, message: &ServerMessage) -> Piece {
        match message {
            // Only a watcher without `from_seq` gets a snapshot; its lines are sent so that nothing is missing.
            ServerMessage::Snapshot { call, .. } => {
                let mut text = String::new();
                if call.seq > self.after {
                    for line in &call.transcript {
                        event(&mut text, Some(call.seq), "line", line);
                    }
                }
                Piece { text, ends: false }
            }
            ServerMessage::Facts { facts } => {
                let mut text = String::new();
                for stamped in facts {
                    let Some(line) = self.transcript.apply(&stamped.fact) else { continue };
                    if stamped.seq > self.after && !line.text.is_empty() {
                        event(&mut text, Some(stamped.seq), "line", line);
                    }
                }
                Piece { text, ends: false }
            }
            ServerMessage::Live { .. } => {
                let mut text = String::new();
                event(&mut text, None, "live", message);
                Piece { text, ends: false }
            }
            ServerMessage::Ended { seq } => {
                let mut text = String::new();
                if self.after > *seq {
                    // The client's id is not this call's: nothing was sent so far, so everything is sent now.
                    for line in self.transcript.lines().into_iter().filter(|line| !line.text.is_empty()) {
                        event(&mut text, Some(*seq), "line", line);
                    }
                }
                event(&mut text, Some(*seq), "ended", &serde_json::json!({ "seq": seq }));
                Piece { text, ends: true }
            }
        }
    }
}

/// One event; JSON has no line breaks outside of strings and escapes those inside, so one `data` line is enough.
fn event(out: &mut String, id: Option<u64>, name: &str, data: &impl Serialize) {
    use std::fmt::Write;
    if let Some(id) = id {
        let _ = writeln!(out, "id: {id}");
    }
    let _ = writeln!(out, "event: {name}");
    let _ = writeln!(out, "data: {}\n", serde_json::to_string(data).unwrap_or_default());
}

#[cfg(test)]
mod tests;
