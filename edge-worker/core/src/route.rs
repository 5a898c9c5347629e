//! One table from method and path to what is meant, and what each route demands before its handler is asked: who may call,
//! how long the body may be, in which form it comes. The addresses of the systems that Trunkline replaces stand in the same
//! table. What a route does lives in the handlers.

use crate::http::Method;
use shared::twilio::webhook::MAX_FORM_BYTES;

/// What is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the table below says which address each one is")]
pub enum Route {
    Voice,
    AfterStream,
    Fallback,
    CallStatus,
    StreamStatus,
    MachineDetection,
    RecordingStatus,
    Transcription,
    Heartbeat,
    NodeSocket,
    Health,
    Token,
    PlaceCall,
    ListCalls,
    ShowCall,
    HangUp,
    Transcript,
    TranscriptByQuery,
    SetUp,
    ShowSession,
    SignIn,
    SignOut,
    ListKeys,
    CreateKey,
    DeleteKey,
    ListAgents,
    ShowAgent,
    PutAgent,
    DeleteAgent,
    SetDefaultAgent,
    ListNumbers,
    PointNumber,
    ReleaseNumber,
    WatchCall,
    WatchBoard,
}

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// Anybody.
    Nobody,
    /// Twilio, by its signature.
    Twilio,
    /// A media node, by `NODE_SECRET` or a ticket.
    Node,
    /// A signed-in person or an API key.
    User,
    /// A signed-in person only: API keys may not make or delete API keys.
    Person,
    /// Whoever has the right token or password in the body.
    SetUp,
}

/// The form of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// None is read; one that is sent is ignored.
    Nothing,
    /// `application/json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The method.
    pub method: Method,
    /// The path; one segment may be `{…}`.
    pub pattern: &'static str,
    /// What is meant.
    pub route: Route,
    /// Who may use it.
    pub principal: Principal,
    /// The body's form.
    pub content: Content,
    /// The longest body, bytes.
    pub body_cap: usize,
}

/// Longest body of an API request, bytes.
pub const API_BODY: usize = 256 * 1024;
/// Longest body of a sign-in, bytes.
const SMALL_BODY: usize = 8 * 1024;

const fn twilio(method: Method, pattern: &'static str, route: Route) -> Entry {
    let content = match method {
        Method::Post => Content::Form,
        Method::Get | Method::Head | Method::Put | Method::Patch | Method::Delete | Method::Other => Content::Nothing,
    };
    Entry { method, pattern, route, principal: Principal::Twilio, content, body_cap: MAX_FORM_BYTES }
}

const fn read(pattern: &'static str, route: Route, principal: Principal) -> Entry {
    Entry { method: Method::Get, pattern, route, principal, content: Content::Nothing, body_cap: SMALL_BODY }
}

const fn write(method: Method, pattern: &'static str, route: Route, principal: Principal) -> Entry {
    Entry { method, pattern, route, principal, content: Content::Json, body_cap: API_BODY }
}

const fn act(method: Method, pattern: &'static str, route: Route, principal: Principal) -> Entry {
    Entry { method, pattern, route, principal, content: Content::Nothing, body_cap: SMALL_BODY }
}

const fn sign_in(pattern: &'static str, route: Route) -> Entry {
    Entry {
        method: Method::Post,
        pattern,
        route,
        principal: Principal::SetUp,
        content: Content::Json,
        body_cap: SMALL_BODY,
    }
}

/// The table. A fixed path stands before a pattern that would also match it.
pub const TABLE: &[Entry] = {
    use Method::{Delete, Get, Post, Put};
    use Principal::{Nobody, Node, Person, User};
    &[
        twilio(Post, "/voice", Route::Voice),
        twilio(Get, "/voice", Route::Voice),
        twilio(Post, "/voice/after-stream", Route::AfterStream),
        twilio(Get, "/voice/after-stream", Route::AfterStream),
        twilio(Post, "/voice/fallback", Route::Fallback),
        twilio(Get, "/voice/fallback", Route::Fallback),
        twilio(Post, "/api/calls/status", Route::CallStatus),
        twilio(Post, "/api/calls/stream-status", Route::StreamStatus),
        twilio(Post, "/api/calls/amd", Route::MachineDetection),
        twilio(Post, "/api/calls/recording-status", Route::RecordingStatus),
        twilio(Post, "/api/transcriptions/realtime", Route::Transcription),
        // The replaced systems' addresses of the same.
        twilio(Post, "/twiml", Route::Voice),
        twilio(Get, "/twiml", Route::Voice),
        twilio(Post, "/api/twilio/voice", Route::Voice),
        twilio(Get, "/api/twilio/voice", Route::Voice),
        twilio(Post, "/api/twilio/status", Route::CallStatus),
        twilio(Post, "/recording-status-callback", Route::RecordingStatus),
        Entry {
            method: Post,
            pattern: "/node/heartbeat",
            route: Route::Heartbeat,
            principal: Node,
            content: Content::Json,
            body_cap: SMALL_BODY,
        },
        read("/node/calls/{call}", Route::NodeSocket, Node),
        read("/health", Route::Health, Nobody),
        read("/api/token", Route::Token, User),
        act(Post, "/api/token", Route::Token, User),
        read("/api/calls", Route::ListCalls, User),
        write(Post, "/api/calls", Route::PlaceCall, User),
        read("/api/calls/{call}", Route::ShowCall, User),
        act(Post, "/api/calls/{call}/hangup", Route::HangUp, User),
        read("/api/calls/{call}/transcript", Route::Transcript, User),
        // The replaced systems' addresses of the same.
        write(Post, "/api/call", Route::PlaceCall, User),
        write(Post, "/api/call/start", Route::PlaceCall, User),
        write(Post, "/api/make-call", Route::PlaceCall, User),
        write(Post, "/api/outbound/initiate", Route::PlaceCall, User),
        read("/api/call/transcript", Route::TranscriptByQuery, User),
        sign_in("/api/setup", Route::SetUp),
        read("/api/session", Route::ShowSession, Nobody),
        sign_in("/api/session", Route::SignIn),
        act(Delete, "/api/session", Route::SignOut, Person),
        read("/api/keys", Route::ListKeys, Person),
        write(Post, "/api/keys", Route::CreateKey, Person),
        act(Delete, "/api/keys/{key}", Route::DeleteKey, Person),
        read("/api/agents", Route::ListAgents, User),
        write(Put, "/api/agents/default", Route::SetDefaultAgent, User),
        read("/api/agents/{agent}", Route::ShowAgent, User),
        write(Put, "/api/agents/{agent}", Route::PutAgent, User),
        act(Delete, "/api/agents/{agent}", Route::DeleteAgent, User),
        read("/api/numbers", Route::ListNumbers, User),
        write(Put, "/api/numbers/{number}", Route::PointNumber, User),
        act(Delete, "/api/numbers/{number}", Route::ReleaseNumber, User),
        read("/ws/transcriptions", Route::WatchCall, User),
        read("/ws/calls", Route::WatchBoard, User),
    ]
};

/// A request's place in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The row.
    pub entry: &'static Entry,
    /// The decoded text of the `{…}` segment; empty without one.
    pub parameter: String,
}

/// Why a request has no place in the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missed {
    /// Nothing is there.
    #[error("no such address")]
    NotFound,
    /// Something is there, for these methods.
    #[error("this address does not take that method")]
    Method(Vec<Method>),
}

impl Missed {
    /// The value of `Allow`.
    pub fn allow(methods: &[Method]) -> String {
        methods.iter().map(|m| m.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// Finds a request's row. `path` is raw; a path that two programs could read differently (dot segments, double slashes,
/// encoded slashes, broken encoding) is not found.
pub fn find(method: Method, path: &str) -> Result<Found, Missed> {
    let places: Vec<(&'static Entry, String)> =
        TABLE.iter().filter_map(|entry| Some((entry, matches(entry.pattern, path)?))).collect();
    // A fixed path hides the patterns that would also match it.
    let fixed = places.iter().any(|(entry, _)| !entry.pattern.contains('{'));
    let mut methods = Vec::new();
    for (entry, parameter) in places {
        if fixed && entry.pattern.contains('{') {
            continue;
        }
        // Nobody asks for TwiML without wanting it.
        let head = method == Method::Head && entry.method == Method::Get && entry.principal != Principal::Twilio;
        if entry.method == method || head {
            return Ok(Found { entry, parameter });
        }
        methods.push(entry.method);
    }
    methods.sort_unstable();
    if methods.is_empty() { Err(Missed::NotFound) } else { Err(Missed::Method(methods)) }
}

/// How many bytes of a request's body count; the shell reads one more, so that a longer body is noticed.
pub fn body_cap(method: Method, path: &str) -> usize {
    find(method, path).map_or(0, |found| found.entry.body_cap)
}

/// The text that stands for the pattern's `{…}`, or an empty text when it has none; none when the path is another.
fn matches(pattern: &str, path: &str) -> Option<String> {
    let mut parameter = String::new();
    let (mut left, mut right) = (pattern.split('/'), path.split('/'));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Some(parameter),
            (Some(p), Some(given)) if p.starts_with('{') => parameter = decode_segment(given)?,
            (Some(p), Some(given)) if p == given => {}
            (Some(_), Some(_)) | (Some(_), None) | (None, Some(_)) => return None,
        }
    }
}

fn decode_segment(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
            let (high, low) = (digit()?, digit()?);
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    let sound = !text.is_empty() && text != "." && text != ".." && !text.contains('/') && text.len() <= 256;
    sound.then_some(text)
}

#[cfg(test)]
mod tests;
