//! A client of the pure twin in virtual time: sends events, plays audio at 20 ms a frame, waits, and remembers what came.
//! It serves tests and the gallery of events; it is nobody's relay and knows none of the rules that a client must keep.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::options::Options;
use super::record::Record;
use super::twin::{Output, Twin};
use crate::speech::{FRAME_BYTES, Library, mulaw};

const FRAME: Duration = Duration::from_millis(20);

/// A conversation with a twin.
#[derive(Debug)]
pub struct Rehearsal {
    /// The other side.
    pub twin: Twin,
    now: Duration,
    seen: Vec<(Duration, Value)>,
    last: Option<Output>,
}

impl Rehearsal {
    /// Opens a session for `gpt-realtime-2.1` as connection 1.
    #[must_use]
    pub fn open(options: Options) -> Self {
        Self::open_as(options, 1, "gpt-realtime-2.1")
    }

    /// Opens a session as the nth connection, for any model.
    #[must_use]
    pub fn open_as(options: Options, connection: u32, model: &str) -> Self {
        let (twin, first) = Twin::open(Arc::new(options), connection, model, Duration::ZERO, 1_795_000_000);
        let mut rehearsal = Self { twin, now: Duration::ZERO, seen: Vec::new(), last: None };
        rehearsal.take(first);
        rehearsal
    }

    /// Milliseconds since the session began.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now.as_millis() as u64
    }

    /// Everything that came, in order.
    #[must_use]
    pub fn events(&self) -> Vec<&Value> {
        self.seen.iter().map(|(_, event)| event).collect()
    }

    /// The types of everything that came, in order.
    #[must_use]
    pub fn kinds(&self) -> Vec<&str> {
        self.seen.iter().map(|(_, event)| kind(event)).collect()
    }

    /// Forgets what came so far.
    pub fn forget(&mut self) {
        self.seen.clear();
    }

    /// The last close or drop.
    #[must_use]
    pub fn closed(&self) -> Option<&Output> {
        self.last.as_ref()
    }

    /// The twin's record.
    #[must_use]
    pub fn record(&self) -> &Record {
        self.twin.record()
    }

    /// The latest event of this type.
    #[must_use]
    pub fn latest(&self, wanted: &str) -> Option<&Value> {
        self.seen.iter().rev().map(|(_, event)| event).find(|event| kind(event) == wanted)
    }

    /// When the latest event of this type came.
    #[must_use]
    pub fn latest_ms(&self, wanted: &str) -> Option<u64> {
        self.seen.iter().rev().find(|(_, event)| kind(event) == wanted).map(|(at, _)| at.as_millis() as u64)
    }

    /// Sends an event and returns what came at once.
    pub fn send(&mut self, event: &Value) -> Vec<Value> {
        self.send_text(&event.to_string())
    }

    /// Sends a text message and returns what came at once.
    pub fn send_text(&mut self, text: &str) -> Vec<Value> {
        let before = self.seen.len();
        let out = self.twin.handle(text, self.now);
        self.take(out);
        self.seen[before..].iter().map(|(_, event)| event.clone()).collect()
    }

    /// Configures the session as a telephone relay does: mu-law both ways, transcription on, 500 ms of silence end a turn.
    pub fn configure(&mut self) -> Vec<Value> {
        self.send(&telephone(json!({
            "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500,
        })))
    }

    /// Plays mu-law audio in 20 ms frames, in real time.
    pub fn play(&mut self, audio: &[u8]) {
        for frame in audio.chunks(FRAME_BYTES) {
            self.send(&json!({ "type": "input_audio_buffer.append", "audio": STANDARD.encode(frame) }));
            self.wait(FRAME);
        }
    }

    /// Plays a recording.
    pub fn say(&mut self, id: &str) {
        let audio = Library::embedded().get(id).map(crate::speech::Recording::audio).unwrap_or_default();
        self.play(audio);
    }

    /// Plays digital silence.
    pub fn silence(&mut self, ms: usize) {
        self.play(&vec![mulaw::SILENCE; ms * 8]);
    }

    /// Lets time pass without sending anything.
    pub fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.twin.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            let out = self.twin.handle_timeout(self.now);
            self.take(out);
        }
        self.now = until;
    }

    /// Plays silence until an event of this type comes and returns it.
    ///
    /// # Panics
    /// If none comes within a minute of the conversation.
    pub fn until(&mut self, wanted: &str) -> Value {
        let before = self.seen.len();
        for _ in 0..3_000 {
            if let Some((_, event)) = self.seen[before..].iter().find(|(_, event)| kind(event) == wanted) {
                return event.clone();
            }
            self.silence(20);
        }
        panic!("no {wanted} came, but {:?}", self.kinds());
    }

    fn take(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Text(text) => {
                    let event = serde_json::from_str(&text).unwrap_or(Value::String(text));
                    self.seen.push((self.now, event));
                }
                Output::Close { .. } | Output::Drop => self.last = Some(output),
            }
        }
    }
}

/// The `session.update` of a telephone relay with this turn detection.
#[must_use]
pub fn telephone(turn_detection: Value) -> Value {
    json!({ "type": "session.update", "event_id": "configure", "session": {
        "type": "realtime", "output_modalities": ["audio"],
        "instructions": "You answer the telephone of Riverside Clinic.",
        "audio": {
            "input": {
                "format": { "type": "audio/pcmu" }, "transcription": { "model": "gpt-transcribe" },
                "turn_detection": turn_detection,
            },
            "output": { "format": { "type": "audio/pcmu" }, "voice": "marin" },
        },
    } })
}

/// An event's `type`.
#[must_use]
pub fn kind(event: &Value) -> &str {
    event["type"].as_str().unwrap_or_default()
}
