//! The stage on which a session plays: inputs at moments in milliseconds, actions as short lines. A test fails on any line
//! that is missing or extra, on a deadline that was passed over, and on an action after the verdict.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use session::{Action, Input, Now, Session, SessionConfig};
use shared::agent::Agent;
use shared::call::Direction;
use shared::ids::{AgentId, CallId, CallSid, Party, StreamSid};
use shared::node_api::{CallPlan, NodeEvent, Speaker};
use shared::time::UnixMillis;

/// The stream of every test.
pub(crate) const STREAM: &str = "MZ00000000000000000000000000000001";
/// The wall time at the stream's start.
pub(crate) const WALL: i64 = 1_700_000_000_000;

/// A session and the moment it is at.
pub(crate) struct Stage {
    pub(crate) session: Session,
    pub(crate) is_over: bool,
    at: u64,
    player: Player,
}

/// Twilio's player without any delay on the way: when each mark is reached.
#[derive(Default)]
struct Player {
    end_us: u64,
    marks: Vec<(u64, String)>,
}

impl Player {
    fn take(&mut self, now_us: u64, action: &Action) {
        let Action::ToTwilio(text) = action else { return };
        let message: Value = serde_json::from_str(text).unwrap();
        match message["event"].as_str().unwrap() {
            "media" => {
                let bytes = STANDARD.decode(message["media"]["payload"].as_str().unwrap()).unwrap().len() as u64;
                self.end_us = self.end_us.max(now_us) + bytes * 125;
            }
            "mark" => self.marks.push((self.end_us.max(now_us), message["mark"]["name"].as_str().unwrap().to_owned())),
            _ => (self.end_us, self.marks) = (now_us, Vec::new()),
        }
    }
}

/// A configuration without the carrier's watchdog: most tests send no audio of the caller.
pub(crate) fn config() -> SessionConfig {
    SessionConfig { carrier_timeout: Now::from_secs(100_000), ..SessionConfig::default() }
}

/// A plan of an agent with this provider; it greets with "Good morning.", except the line test.
pub(crate) fn plan(provider: &str) -> CallPlan {
    let mut agent = Agent::line_test(AgentId::parse("test").unwrap());
    agent.voice.provider = provider.to_owned();
    agent.instructions = "Be brief.".to_owned();
    agent.greeting = (provider != "echo").then(|| "Good morning.".to_owned());
    CallPlan {
        call: CallId::new(1, [1; 10]),
        call_sid: CallSid::parse("CA00000000000000000000000000000001").unwrap(),
        direction: Direction::Inbound,
        caller: Party::Unknown,
        agent,
        variables: Default::default(),
        greeted: false,
        heard: Vec::new(),
        remaining_s: 600,
    }
}

impl Stage {
    /// A session whose stream has begun.
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: SessionConfig) -> Self {
        let session = Session::new(StreamSid::parse(STREAM).unwrap(), config, UnixMillis(WALL));
        let mut stage = Self { session, is_over: false, at: 0, player: Player::default() };
        assert_eq!(stage.drain(), ["fact: stream started"]);
        stage
    }

    /// A call that is live at 100 ms, with an agent that does not greet.
    pub(crate) fn live() -> Self {
        Self::live_with(|_| {})
    }

    /// The same with a changed plan.
    pub(crate) fn live_with(change: impl FnOnce(&mut CallPlan)) -> Self {
        let mut plan = plan("openai");
        plan.agent.greeting = None;
        change(&mut plan);
        let mut stage = Self::new();
        stage.check(10, Input::Begin(Box::new(plan)), &["open openai"]);
        stage.check(50, Input::ProviderOpened, &["provider: session.update"]);
        stage.provider(100, &updated(), &["fact: ready openai"]);
        stage
    }

    /// One input, and exactly these actions.
    #[track_caller]
    pub(crate) fn check(&mut self, at: u64, input: Input<'_>, expected: &[&str]) {
        assert_eq!(self.run(at, input), expected, "at {at} ms");
    }

    /// One input, and whatever comes out.
    #[track_caller]
    pub(crate) fn run(&mut self, at: u64, input: Input<'_>) -> Vec<String> {
        assert!(at >= self.at, "time does not go back");
        self.at = at;
        if let Some(due) = self.due()
            && !matches!(input, Input::Timeout)
        {
            assert!(due >= at, "the deadline at {due} ms was passed over");
        }
        self.session.handle(Now::from_millis(at), input);
        self.drain()
    }

    /// The deadline that must be the next, and exactly these actions.
    #[track_caller]
    pub(crate) fn wake(&mut self, at: u64, expected: &[&str]) {
        assert_eq!(self.due(), Some(at), "the next deadline");
        self.check(at, Input::Timeout, expected);
    }

    /// A message of the provider.
    #[track_caller]
    pub(crate) fn provider(&mut self, at: u64, message: &Value, expected: &[&str]) {
        self.check(at, Input::ProviderText(&message.to_string()), expected);
    }

    /// A message of Twilio.
    #[track_caller]
    pub(crate) fn twilio(&mut self, at: u64, message: &Value, expected: &[&str]) {
        self.check(at, Input::Twilio(&message.to_string()), expected);
    }

    /// Marks that come back.
    #[track_caller]
    pub(crate) fn marks(&mut self, at: u64, names: &[&str], expected: &[&str]) {
        let mut seen = Vec::new();
        for name in names {
            seen.extend(self.run(at, Input::Twilio(&mark(name).to_string())));
        }
        assert_eq!(seen, expected, "at {at} ms");
    }

    /// Lets time pass: marks come back when they are reached and deadlines are kept. Returns what came out, audio and
    /// marks excepted.
    #[track_caller]
    pub(crate) fn pass(&mut self, until: u64) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let due = self.due();
            let mark = self.player.marks.first().map(|(at, _)| at.div_ceil(1_000));
            match (mark, due) {
                (Some(at), _) if at <= until && due.is_none_or(|due| at <= due) => {
                    let (_, name) = self.player.marks.remove(0);
                    lines.extend(self.run(at.max(self.at), Input::Twilio(&mark_text(&name))));
                }
                (_, Some(at)) if at <= until => lines.extend(self.run(at, Input::Timeout)),
                _ => break,
            }
        }
        lines.retain(|line| !line.starts_with("twilio: ") || line == "twilio: clear");
        lines
    }

    /// The next deadline in whole milliseconds, rounded up.
    pub(crate) fn due(&self) -> Option<u64> {
        self.session.poll_timeout().map(|at| at.as_micros().div_ceil(1_000) as u64)
    }

    #[track_caller]
    fn drain(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(action) = self.session.poll_action() {
            assert!(!self.is_over, "{action:?} after the verdict");
            self.is_over = matches!(action, Action::Ended(_));
            self.player.take(self.at * 1_000, &action);
            lines.push(line(&action));
        }
        assert_eq!(self.session.is_over(), self.is_over);
        lines
    }
}

/// An action in a few words.
pub(crate) fn line(action: &Action) -> String {
    match action {
        Action::OpenProvider(voice) => format!("open {}", voice.provider),
        Action::CloseProvider => "close provider".into(),
        Action::ToProvider(text) => provider_line(&serde_json::from_str(text).expect("JSON for the provider")),
        Action::ToProviderBinary(bytes) => format!("provider: {} bytes", bytes.len()),
        Action::ToTwilio(text) => twilio_line(&serde_json::from_str(text).expect("JSON for Twilio")),
        Action::Fact(event) => fact_line(event),
        Action::Live { speaker, text, .. } => format!("live: {} {text}", who(*speaker)),
        Action::OrderDone { id, error: None } => format!("order {id} done"),
        Action::OrderDone { id, error: Some(error) } => format!("order {id}: {error}"),
        Action::CloseTwilio => "close twilio".into(),
        Action::Ended(termination) => {
            assert_eq!(termination.result, termination.reason.result());
            format!("ended {:?}", termination.reason)
        }
    }
}

fn who(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Caller => "caller",
        Speaker::Agent => "agent",
    }
}

fn twilio_line(message: &Value) -> String {
    assert_eq!(message["streamSid"], STREAM);
    match message["event"].as_str().unwrap() {
        "media" => {
            format!("twilio: {} bytes", STANDARD.decode(message["media"]["payload"].as_str().unwrap()).unwrap().len())
        }
        "mark" => format!("twilio: mark {}", message["mark"]["name"].as_str().unwrap()),
        event => format!("twilio: {event}"),
    }
}

fn provider_line(message: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match message["type"].as_str().unwrap() {
        "input_audio_buffer.append" => format!("provider: hear {}", text(&message["audio"])),
        "response.create" => match message["response"]["instructions"].as_str() {
            Some(instructions) => format!("provider: respond: {}", instructions.lines().last().unwrap()),
            None => "provider: respond".into(),
        },
        "response.cancel" => format!("provider: cancel {}", text(&message["response_id"])),
        "conversation.item.truncate" => format!(
            "provider: truncate {}/{} at {}",
            text(&message["item_id"]),
            message["content_index"],
            message["audio_end_ms"]
        ),
        "conversation.item.create" => {
            let item = &message["item"];
            match item["type"].as_str().unwrap() {
                "message" => format!("provider: {} {}", text(&item["role"]), text(&item["content"][0]["text"])),
                kind => format!("provider: {kind} {}", text(&item["call_id"])),
            }
        }
        kind => format!("provider: {kind}"),
    }
}

fn fact_line(event: &NodeEvent) -> String {
    match event {
        NodeEvent::StreamStarted { .. } => "fact: stream started".into(),
        NodeEvent::ProviderReady { provider } => format!("fact: ready {provider}"),
        NodeEvent::ProviderLost { provider, reason } => format!("fact: lost {provider}: {reason}"),
        NodeEvent::Said { speaker, item, text, started_at } => {
            format!("fact: {} said {item} at {}: {text}", who(*speaker), started_at.since(UnixMillis(WALL)))
        }
        NodeEvent::Heard { item, heard_ms, received_ms, cut } => {
            format!("fact: heard {item} {heard_ms} of {received_ms}{}", if *cut { " cut" } else { "" })
        }
        NodeEvent::BargedIn { item, heard_ms } => format!("fact: barged in {item} at {heard_ms}"),
        NodeEvent::Digit { digit } => format!("fact: digit {digit}"),
        NodeEvent::Ended { reason } => format!("fact: ended {reason:?}"),
        NodeEvent::Unknown => "fact: unknown".into(),
    }
}

/// Twilio: 20 ms of the caller's audio whose base64 begins with `tag` (letters).
pub(crate) fn audio(tag: &str) -> Value {
    let payload = format!("{}{tag}==", "/".repeat(214 - tag.len()));
    json!({"event": "media", "sequenceNumber": "3", "streamSid": STREAM,
        "media": {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": payload}})
}

/// What the provider is told to hear for [`audio`].
pub(crate) fn hear(tag: &str) -> String {
    format!("provider: hear {}{tag}==", "/".repeat(214 - tag.len()))
}

fn mark_text(name: &str) -> String {
    mark(name).to_string()
}

/// Twilio: a mark that comes back.
pub(crate) fn mark(name: &str) -> Value {
    json!({"event": "mark", "sequenceNumber": "4", "streamSid": STREAM, "mark": {"name": name}})
}

/// Twilio: the stream is over.
pub(crate) fn stop() -> Value {
    json!({"event": "stop", "sequenceNumber": "5", "streamSid": STREAM,
        "stop": {"accountSid": "AC00000000000000000000000000000001", "callSid": "CA00000000000000000000000000000001"}})
}

/// Provider: the configuration is in force.
pub(crate) fn updated() -> Value {
    json!({"type": "session.updated", "event_id": "event_2", "session": {"type": "realtime", "audio": {
        "input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcmu"}, "voice": "marin"}}}})
}

/// Provider: a response begins.
pub(crate) fn created(response: &str) -> Value {
    json!({"type": "response.created", "event_id": "event_3", "response": {"id": response, "status": "in_progress"}})
}

/// Provider: so many milliseconds of an item's audio.
pub(crate) fn delta(response: &str, item: &str, ms: usize) -> Value {
    json!({"type": "response.output_audio.delta", "event_id": "event_4", "response_id": response, "item_id": item,
        "output_index": 0, "content_index": 0, "delta": STANDARD.encode(vec![0x7e; ms * 8])})
}

/// Provider: no more audio for an item.
pub(crate) fn audio_done(response: &str, item: &str) -> Value {
    json!({"type": "response.output_audio.done", "event_id": "event_5", "response_id": response, "item_id": item,
        "output_index": 0, "content_index": 0})
}

/// Provider: all that an item says.
pub(crate) fn transcript(response: &str, item: &str, text: &str) -> Value {
    json!({"type": "response.output_audio_transcript.done", "event_id": "event_6", "response_id": response,
        "item_id": item, "output_index": 0, "content_index": 0, "transcript": text})
}

/// Provider: some of what an item says.
pub(crate) fn words(response: &str, item: &str, text: &str) -> Value {
    json!({"type": "response.output_audio_transcript.delta", "event_id": "event_6", "response_id": response,
        "item_id": item, "output_index": 0, "content_index": 0, "delta": text})
}

/// Provider: a response is done.
pub(crate) fn done(response: &str, status: &str) -> Value {
    json!({"type": "response.done", "event_id": "event_7", "response": {"id": response, "status": status}})
}

/// Provider: the caller began to speak.
pub(crate) fn speech_started(item: &str, at_ms: u64) -> Value {
    json!({"type": "input_audio_buffer.speech_started", "event_id": "event_8", "audio_start_ms": at_ms, "item_id": item})
}

/// Provider: the caller stopped.
pub(crate) fn speech_stopped(item: &str) -> Value {
    json!({"type": "input_audio_buffer.speech_stopped", "event_id": "event_9", "audio_end_ms": 900, "item_id": item})
}

/// Provider: what the caller said.
pub(crate) fn heard(item: &str, text: &str) -> Value {
    json!({"type": "conversation.item.input_audio_transcription.completed", "event_id": "event_10", "item_id": item,
        "content_index": 0, "transcript": text, "usage": {"type": "duration", "seconds": 1}})
}

/// Provider: an error.
pub(crate) fn error(code: &str, event_id: Option<&str>, message: &str) -> Value {
    json!({"type": "error", "event_id": "event_11", "error": {"type": "invalid_request_error", "code": code,
        "message": message, "param": null, "event_id": event_id}})
}
