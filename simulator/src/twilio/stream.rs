//! A Media Stream as Twilio plays it, message by message: what the server gets (`connected`, `start`, `media`, `dtmf`, `mark`,
//! `stop`), what it may send (`media`, `mark`, `clear`), and what a strict Twilio would complain about. Sources: the Media
//! Streams pages "WebSocket Messages" and errors 31900 to 31951. A pure machine; sockets are [`super::socket`]'s, the playout
//! clock is [`super::player`]'s.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::player::Player;
use super::{Alert, Now};

/// Which way a stream's audio goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `<Connect><Stream>`: the server hears the caller and is heard.
    Bidirectional,
    /// `<Start><Stream>`: the server only listens.
    Unidirectional,
}

/// A side of the leg, in the words of `media.track`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Track {
    /// What Twilio receives from the leg.
    Inbound,
    /// What Twilio sends to the leg.
    Outbound,
}

impl Track {
    fn word(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// All that `start` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// `AC…`.
    pub account_sid: String,
    /// `CA…`.
    pub call_sid: String,
    /// `MZ…`.
    pub stream_sid: String,
    /// `<Connect>` or `<Start>`.
    pub kind: Kind,
    /// Which sides are streamed; only `Inbound` for a bidirectional stream.
    pub tracks: Vec<Track>,
    /// The document's `<Parameter>`s.
    pub parameters: BTreeMap<String, String>,
}

/// How a stream that Twilio ends says goodbye. Documented is the first; the others have been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Farewell {
    /// `stop`, then the socket is closed.
    #[default]
    StopThenClose,
    /// `stop`, and the socket stays open until the server closes it.
    StopOnly,
    /// The socket is closed without a `stop`.
    CloseOnly,
}

/// What Twilio does on the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Sends one text message.
    Text(String),
    /// Closes the socket with code 1000.
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Fresh,
    Open { since: Now },
    Over,
}

/// One stream. Give it everything that happens through the methods, then drain [`MediaStream::poll_output`], then read
/// [`MediaStream::poll_timeout`] and call [`MediaStream::advance`] at that time.
#[derive(Debug)]
pub struct MediaStream {
    opening: Opening,
    phase: Phase,
    player: Player,
    sequence: u64,
    chunks: BTreeMap<Track, u64>,
    outputs: VecDeque<Output>,
    alerts: Vec<(Now, Alert)>,
    said: Vec<u8>,
    clears: Vec<(Now, usize)>,
    marks_received: usize,
}

impl MediaStream {
    /// A stream that has not said anything yet.
    #[must_use]
    pub fn new(opening: Opening) -> Self {
        Self {
            opening,
            phase: Phase::Fresh,
            player: Player::default(),
            sequence: 0,
            chunks: BTreeMap::new(),
            outputs: VecDeque::new(),
            alerts: Vec::new(),
            said: Vec::new(),
            clears: Vec::new(),
            marks_received: 0,
        }
    }

    /// The socket is connected: `connected` and `start` are sent.
    pub fn open(&mut self, now: Now) {
        if self.phase != Phase::Fresh {
            return;
        }
        self.phase = Phase::Open { since: now };
        self.send(json!({"event": "connected", "protocol": "Call", "version": "1.0.0"}));
        let tracks: Vec<&str> = self.opening.tracks.iter().map(|track| track.word()).collect();
        let start = json!({
            "accountSid": self.opening.account_sid,
            "streamSid": self.opening.stream_sid,
            "callSid": self.opening.call_sid,
            "tracks": tracks,
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": self.opening.parameters,
        });
        self.send_numbered("start", start);
    }

    /// The leg's audio on one track, mu-law; Twilio does so every 20 ms with 160 bytes.
    pub fn say(&mut self, now: Now, track: Track, audio: &[u8]) {
        let Phase::Open { since } = self.phase else { return };
        if !self.opening.tracks.contains(&track) {
            return;
        }
        if track == Track::Inbound {
            self.said.extend_from_slice(audio);
        }
        let chunk = self.chunks.entry(track).or_default();
        *chunk += 1;
        let media = json!({
            "track": track.word(),
            "chunk": chunk.to_string(),
            "timestamp": now.saturating_sub(since).as_millis().to_string(),
            "payload": STANDARD.encode(audio),
        });
        self.send_numbered("media", media);
    }

    /// A frame that is lost on its way into Twilio: nothing is sent, but its time has passed.
    pub fn lose(&mut self, track: Track) {
        if matches!(self.phase, Phase::Open { .. }) {
            *self.chunks.entry(track).or_default() += 1;
        }
    }

    /// A frame that comes after the stream was stopped, as it can when it was under way. It is not counted as said.
    pub fn stray(&mut self, now: Now) {
        let close =
            self.outputs.iter().position(|output| *output == Output::Close).map(|at| self.outputs.split_off(at));
        let media = json!({
            "track": "inbound", "chunk": "1", "timestamp": now.as_millis().to_string(), "payload": STANDARD.encode([0xff; 160]),
        });
        self.send_numbered("media", media);
        self.outputs.extend(close.into_iter().flatten());
    }

    /// The caller presses a key. Only bidirectional streams are told.
    pub fn press(&mut self, digit: char) {
        if matches!(self.phase, Phase::Open { .. }) && self.opening.kind == Kind::Bidirectional {
            self.send_numbered("dtmf", json!({"track": "inbound_track", "digit": digit.to_string()}));
        }
    }

    /// A text message from the server, at `now`.
    pub fn handle(&mut self, now: Now, text: &str) {
        self.advance(now);
        if !matches!(self.phase, Phase::Open { .. }) {
            return;
        }
        if self.opening.kind == Kind::Unidirectional {
            return self.alert(now, 31951, "a message on a stream that only listens");
        }
        match Command::read(text, &self.opening.stream_sid) {
            Ok(Command::Media(audio)) => {
                if self.player.receive(now, &audio) > 0 {
                    self.alert(now, 31931, "more than ten minutes of audio are waiting to be played");
                }
            }
            Ok(Command::Mark(name)) => {
                self.marks_received += 1;
                self.player.mark(now, &name);
            }
            Ok(Command::Clear) => {
                self.clears.push((now, self.player.received().len()));
                self.player.clear(now);
            }
            Err(problem) => self.alert(now, 31951, problem),
        }
        self.advance(now);
    }

    /// A binary message from the server.
    pub fn handle_binary(&mut self, now: Now) {
        self.advance(now);
        self.alert(now, 31950, "a binary message");
    }

    /// The server broke the WebSocket protocol (a fragmented control frame, a reserved bit, text that is not UTF-8).
    pub fn handle_violation(&mut self, now: Now, what: &str) {
        self.alert(now, 31924, what);
        self.closed(now);
    }

    /// Plays up to `now`: due marks go back.
    pub fn advance(&mut self, now: Now) {
        self.player.advance(now);
        while let Some(mark) = self.player.poll_mark() {
            self.send_numbered("mark", json!({"name": mark.name}));
        }
    }

    /// When the next mark is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Now> {
        self.player.poll_timeout()
    }

    /// Twilio ends the stream: the call is over, or goes on with other TwiML.
    pub fn stop(&mut self, now: Now, farewell: Farewell) {
        self.advance(now);
        if !matches!(self.phase, Phase::Open { .. }) {
            return;
        }
        if farewell != Farewell::CloseOnly {
            let ids = json!({"accountSid": self.opening.account_sid, "callSid": self.opening.call_sid});
            self.send_numbered("stop", ids);
        }
        if farewell != Farewell::StopOnly {
            self.outputs.push_back(Output::Close);
        }
        self.phase = Phase::Over;
        self.player.close(now);
    }

    /// The socket is gone, by the server's close or by accident.
    pub fn closed(&mut self, now: Now) {
        self.phase = Phase::Over;
        self.player.close(now);
    }

    /// What to do on the socket next. Drain after every other call.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether the stream has been opened and has not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    /// What Twilio said at `start`.
    #[must_use]
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// The playout buffer: what was received, what sounded when, what was cleared.
    #[must_use]
    pub fn player(&self) -> &Player {
        &self.player
    }

    /// Every byte sent on the inbound track, in order.
    #[must_use]
    pub fn said(&self) -> &[u8] {
        &self.said
    }

    /// Each `clear`: when it came, and how many bytes had been received before it.
    #[must_use]
    pub fn clears(&self) -> &[(Now, usize)] {
        &self.clears
    }

    /// How many marks the server has sent.
    #[must_use]
    pub fn marks_received(&self) -> usize {
        self.marks_received
    }

    /// Everything that was wrong, in order. (Twilio's debugger shows each code once per stream.)
    #[must_use]
    pub fn alerts(&self) -> &[(Now, Alert)] {
        &self.alerts
    }

    fn alert(&mut self, now: Now, code: u16, what: impl Into<String>) {
        self.alerts.push((now, Alert::new(code, what)));
    }

    fn send(&mut self, message: Value) {
        self.outputs.push_back(Output::Text(message.to_string()));
    }

    fn send_numbered(&mut self, event: &str, body: Value) {
        self.sequence += 1;
        let mut message = Map::new();
        message.insert("event".to_owned(), event.into());
        message.insert("sequenceNumber".to_owned(), self.sequence.to_string().into());
        message.insert("streamSid".to_owned(), self.opening.stream_sid.clone().into());
        message.insert(event.to_owned(), body);
        self.send(Value::Object(message));
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Command {
    Media(Vec<u8>),
    Mark(String),
    Clear,
}

impl Command {
    fn read(text: &str, stream_sid: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|_| "a message that is not JSON".to_owned())?;
        let Value::Object(message) = value else { return Err("a message that is not an object".to_owned()) };
        let event = message.get("event").and_then(Value::as_str).ok_or("a message without an event")?;
        let body = match event {
            "media" | "mark" => Some(event),
            "clear" => None,
            other => return Err(format!("an unknown event `{}`", other.chars().take(40).collect::<String>())),
        };
        match message.get("streamSid").and_then(Value::as_str) {
            Some(sid) if sid == stream_sid => {}
            Some(_) => return Err(format!("`{event}` for another stream")),
            None => return Err(format!("`{event}` without a streamSid")),
        }
        if let Some(extra) =
            message.keys().find(|key| !matches!(key.as_str(), "event" | "streamSid") && Some(key.as_str()) != body)
        {
            return Err(format!("`{event}` with an extra field `{}`", extra.chars().take(40).collect::<String>()));
        }
        let Some(body) = body else { return Ok(Self::Clear) };
        let body = message.get(body).and_then(Value::as_object).ok_or(format!("`{event}` without its object"))?;
        let field = if event == "media" { "payload" } else { "name" };
        let value = body.get(field).and_then(Value::as_str).ok_or(format!("`{event}` without a {field}"))?;
        if body.len() > 1 {
            return Err(format!("`{event}` with an extra field in its object"));
        }
        if event == "mark" {
            return Ok(Self::Mark(value.to_owned()));
        }
        STANDARD.decode(value).map(Self::Media).map_err(|_| "`media` whose payload is not base64".to_owned())
    }
}

#[cfg(test)]
mod tests;
