//! A request and an answer as plain values, small enough to build by hand in a test and from the runtime's own types in a
//! few lines. Nothing here reads a socket; what only a runtime can do (upgrade, stream) is a [`Reply`] for the shell.

use crate::call_room::NodeEntry;
use crate::passes::Pass;
use serde::Serialize;
use shared::ids::CallId;
use std::collections::BTreeSet;

/// The methods that any route declares; everything else is [`Method::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD: a GET whose body nobody wants.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
    /// Any other; no route has it.
    Other,
}

impl Method {
    /// Reads the method's name; names are case-sensitive.
    pub fn read(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }
    /// The method's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Other => "OTHER",
        }
    }
    /// Whether a request with it may change something.
    pub fn is_unsafe(self) -> bool {
        !matches!(self, Self::Get | Self::Head)
    }
}

/// A request as it arrived. Path and query are raw: Twilio signs them as sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Raw path, beginning with `/`, still percent-encoded.
    pub path: String,
    /// Raw query without the `?`; none: the address has no `?`.
    pub query: Option<String>,
    /// Header names in lower case with their values, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body. The shell reads at most [`crate::route::body_cap`] + 1 bytes, so that a longer one is seen as longer.
    pub body: Vec<u8>,
    /// The client's address as the platform says it (never from a header that a client can set).
    pub ip: Option<String>,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, target: &str) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Self { method, path: path.to_owned(), query, headers: Vec::new(), body: Vec::new(), ip: None }
    }

    /// A header's only value; none when it is absent or stands twice (a header that counts may not be ambiguous).
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let first = values.next();
        if values.next().is_some() { None } else { first }
    }

    /// The decoded value of a query parameter; none when it is absent or stands twice.
    pub fn query_value(&self, name: &str) -> Option<String> {
        let mut values = form_urlencoded::parse(self.query.as_deref().unwrap_or_default().as_bytes())
            .filter(|(n, _)| n == name)
            .map(|(_, v)| v.into_owned());
        let first = values.next();
        if values.next().is_some() { None } else { first }
    }

    /// The name of a query parameter that stands more than once, if there is one.
    pub fn repeated_parameter(&self) -> Option<String> {
        let mut seen = BTreeSet::new();
        form_urlencoded::parse(self.query.as_deref().unwrap_or_default().as_bytes())
            .map(|(name, _)| name.into_owned())
            .find(|name| !seen.insert(name.clone()))
    }

    /// Whether the client asks to switch to a WebSocket.
    pub fn is_websocket(&self) -> bool {
        self.method == Method::Get && self.header("upgrade").is_some_and(|u| u.eq_ignore_ascii_case("websocket"))
    }
}

impl std::fmt::Debug for Request {
    /// Method and path only: query, headers and body carry numbers and credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({} bytes)", self.method.as_str(), self.path, self.body.len())
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Header names in lower case and their values. `set-cookie` may stand twice.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }
    /// An answer with a body of this type.
    pub fn text(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }
    /// An answer in JSON. A value that cannot be written (none of ours) becomes `null`.
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec());
        Self::text(status, "application/json; charset=utf-8", body)
    }
    /// The same answer with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
    }
}

/// What the logic decided about a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Send this.
    Respond(Response),
    /// Everything was checked: switch to a WebSocket that ends in this object.
    Upgrade(Upgrade),
    /// Everything was checked: answer 200 with `text/event-stream` and the headers of [`crate::security::event_stream`].
    /// Attach to the room as a watcher with `from_seq` 0 and pass each message through a
    /// [`crate::event_stream::TranscriptStream`].
    Stream {
        /// The room.
        call: CallId,
        /// The client's `Last-Event-ID`; 0: from the beginning.
        after: u64,
        /// Who reads; the stream ends with it.
        pass: Pass,
    },
}

/// Where an accepted WebSocket ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upgrade {
    /// In the call's room, as a node's socket: [`crate::call_room::RoomInput::NodeOpened`].
    Node {
        /// The room.
        call: CallId,
        /// The verified credential.
        entry: NodeEntry,
    },
    /// In the call's room, as a watcher: [`crate::call_room::RoomInput::WatcherOpened`].
    Watch {
        /// The room.
        call: CallId,
        /// The last fact that the watcher has; none: it wants a snapshot.
        from_seq: Option<u64>,
        /// Who watches; the socket ends with it.
        pass: Pass,
    },
    /// In the Switchboard, as a watcher of the board: [`crate::switchboard::SwitchboardInput::WatcherOpened`].
    Board {
        /// Who watches; the socket ends with it.
        pass: Pass,
    },
}
