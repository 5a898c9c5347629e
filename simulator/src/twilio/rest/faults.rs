//! What goes wrong with the REST interface when a scenario says so: which request, and how.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refusal, cut, respond};

/// Which requests a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestVerb {
    /// `POST /Calls`.
    Create,
    /// `POST /Calls/{sid}`.
    Update,
    /// `GET /Calls/{sid}`.
    Fetch,
    /// `GET /Calls`.
    List,
    /// Everything else.
    Other,
}

/// What goes wrong. The kinds whose names end in `after` do what was asked before they fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestFaultKind {
    /// HTTP 500, code 20500; nothing was done.
    ServerError,
    /// HTTP 500, code 20500; it was done.
    ServerErrorAfter,
    /// HTTP 429, code 20429; nothing was done.
    TooMany,
    /// HTTP 502 with a page of HTML; nothing was done.
    Gateway,
    /// No answer; nothing was done.
    Silence,
    /// No answer; it was done.
    SilenceAfter,
    /// Half a body; it was done.
    CutAfter,
    /// A connection that is slow by two seconds; it was done.
    SlowAfter,
}

impl RestFaultKind {
    pub(super) fn is_carried_out(self) -> bool {
        match self {
            Self::ServerError | Self::TooMany | Self::Gateway | Self::Silence => false,
            Self::ServerErrorAfter | Self::SilenceAfter | Self::CutAfter | Self::SlowAfter => true,
        }
    }
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestFault {
    /// Of which requests.
    pub on: RestVerb,
    /// The nth of them, from 1; none: every one.
    #[serde(default)]
    pub nth: Option<u32>,
    /// What.
    pub kind: RestFaultKind,
}

/// The faults of a run, and how many requests of each kind there were.
#[derive(Debug)]
pub struct RestFaults {
    faults: Vec<RestFault>,
    counts: HashMap<RestVerb, u32>,
}

impl RestFaults {
    /// With nothing counted yet.
    #[must_use]
    pub fn new(faults: Vec<RestFault>) -> Self {
        Self { faults, counts: HashMap::new() }
    }

    /// What goes wrong with the next request of this kind.
    pub fn next(&mut self, verb: RestVerb) -> Option<RestFaultKind> {
        let count = self.counts.entry(verb).or_default();
        *count += 1;
        let number = *count;
        self.faults.iter().find(|f| f.on == verb && f.nth.is_none_or(|nth| nth == number)).map(|fault| fault.kind)
    }
}

pub(super) async fn answer(kind: RestFaultKind, done: Option<(u16, Value)>) -> Response {
    let (status, body) = done.unwrap_or((200, json!({})));
    match kind {
        RestFaultKind::ServerError | RestFaultKind::ServerErrorAfter => {
            let refusal = Refusal::new(500, 20500, "An internal server error has occurred");
            respond(500, &refusal.body())
        }
        RestFaultKind::TooMany => respond(429, &Refusal::new(429, 20429, "Too Many Requests").body()),
        RestFaultKind::Gateway => {
            (StatusCode::BAD_GATEWAY, [("content-type", "text/html")], "<html>502 Bad Gateway</html>").into_response()
        }
        // The client's own patience ends it; the connection goes when it leaves.
        RestFaultKind::Silence | RestFaultKind::SilenceAfter => std::future::pending().await,
        RestFaultKind::CutAfter => cut(status, &body),
        RestFaultKind::SlowAfter => {
            tokio::time::sleep(Duration::from_secs(2)).await;
            respond(status, &body)
        }
    }
}
