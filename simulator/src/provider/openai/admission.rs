//! Who may open a session: the checks on the upgrade request, before any WebSocket exists.

use serde_json::json;

use super::options::{FaultKind, Moment, Options};

/// What matters of an upgrade request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The URL's path.
    pub path: &'a str,
    /// The URL's query, without the question mark.
    pub query: Option<&'a str>,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// `OpenAI-Beta`.
    pub beta: Option<&'a str>,
}

/// An upgrade that is refused: an HTTP status and a JSON body shaped like the vendor's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turned {
    /// HTTP status.
    pub status: u16,
    /// `error.code` of the body.
    pub code: &'static str,
    /// The body.
    pub body: String,
}

/// What happens to an upgrade request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A session for this model begins.
    Welcome {
        /// `model` of the query.
        model: String,
    },
    /// It is refused.
    Refused(Turned),
    /// It is never answered.
    Ignored,
}

/// Decides on the nth upgrade request of a server (from 1).
#[must_use]
pub fn admit(options: &Options, connection: u32, request: Request<'_>) -> Admission {
    let fault = options.faults_of(connection).find(|fault| fault.at == Moment::Connect).map(|fault| &fault.kind);
    match fault {
        Some(FaultKind::Stall) => return Admission::Ignored,
        Some(FaultKind::Refuse(status)) => {
            let (code, message) = match status {
                401 => ("invalid_api_key", "Incorrect API key provided."),
                429 => ("rate_limit_exceeded", "Rate limit reached."),
                _ => ("server_error", "The server had an error while processing your request."),
            };
            return refuse(*status, code, message);
        }
        _ => {}
    }
    let key = request.authorization.and_then(|header| header.strip_prefix("Bearer ")).map(str::trim);
    match (key, &options.key) {
        (None | Some(""), _) => {
            return refuse(401, "missing_api_key", "Missing bearer authentication in header.");
        }
        (Some(key), Some(expected)) if key != expected => {
            return refuse(401, "invalid_api_key", "Incorrect API key provided.");
        }
        (Some(_), _) => {}
    }
    if request.beta.is_some() {
        return refuse(400, "beta_api_shape_disabled", "The Realtime Beta API is no longer supported.");
    }
    if !request.path.ends_with("/realtime") {
        return refuse(404, "not_found", "Invalid URL.");
    }
    let pairs = request.query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let mut models = pairs.filter(|(name, _)| *name == "model").map(|(_, value)| value);
    match (models.next(), models.next()) {
        (Some(model), None) if !model.is_empty() => Admission::Welcome { model: model.to_owned() },
        _ => refuse(400, "missing_model", "You must provide exactly one model parameter."),
    }
}

fn refuse(status: u16, code: &'static str, message: &str) -> Admission {
    let kind = if status >= 500 { "server_error" } else { "invalid_request_error" };
    let body = json!({ "error": { "message": message, "type": kind, "param": null, "code": code } }).to_string();
    Admission::Refused(Turned { status, code, body })
}
