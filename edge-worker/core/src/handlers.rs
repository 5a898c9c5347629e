//! From a request to a reply: the route's demands are checked here (method, size, form, principal), then its handler is
//! asked. Handlers are generic over the ports and hold no state.

use crate::config::{Config, InvalidConfig};
use crate::http::{Reply, Request, Response};
use crate::ports::Ports;
use shared::time::UnixMillis;

/// Answers a request. Never fails and never panics: whatever goes wrong becomes an answer.
pub async fn handle<P: Ports>(_config: &Config, _ports: &P, _now: UnixMillis, _request: Request) -> Reply {
    Reply::Respond(Response::empty(503))
}

/// Answers a request when the variables could not be read: Twilio hears an apology, everybody else reads which variables
/// are at fault.
pub fn misconfigured(_invalid: &InvalidConfig, _request: &Request) -> Response {
    Response::empty(503)
}
