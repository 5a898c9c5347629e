//! What media nodes send over HTTP: heartbeats, signed with `NODE_SECRET`, and the opening of a room's socket, with a ticket.

use super::Outcome;
use super::auth::bearer;
use super::refusal::{Refusal, read_json};
use crate::call_room::NodeEntry;
use crate::config::Config;
use crate::http::{Reply, Request, Response, Upgrade};
use crate::ports::{Level, Ports, Record};
use crate::switchboard::{SignedHeartbeat, SwitchboardRequest, SwitchboardResponse};
use shared::ids::{CallId, NodeId};
use shared::node_api::{HEARTBEAT_PATH, Heartbeat, HeartbeatAnswer, LEASE_MS};
use shared::node_auth::{self, HEADER_NODE, HEADER_NONCE, HEADER_SIGNATURE, HEADER_TIME};
use shared::ticket::{Audience, Refused, TicketVerifier};
use shared::time::UnixMillis;

/// Most calls that a node may claim to take.
const MOST_CALLS: u32 = 100_000;

/// `POST /node/heartbeat`.
pub(super) async fn heartbeat<P: Ports>(config: &Config, ports: &P, now: UnixMillis, request: &Request) -> Outcome {
    let header = |name| request.header(name).unwrap_or_default();
    let signed = || -> Option<(NodeId, UnixMillis)> {
        let node = NodeId::parse(header(HEADER_NODE)).ok()?;
        let at = UnixMillis(header(HEADER_TIME).parse().ok()?);
        let (nonce, signature) = (header(HEADER_NONCE), header(HEADER_SIGNATURE));
        let verdict =
            node_auth::verify(&config.node_secret, HEARTBEAT_PATH, &node, at, nonce, &request.body, signature, now);
        verdict.ok().map(|()| (node, at))
    };
    let Some((node, at)) = signed() else {
        let message = "a heartbeat was refused: its signature or its clock is not right";
        ports.record(Record { level: Level::Warn, message, call: None, detail: None });
        return Err(Refusal::new(401, "unauthorized", "the heartbeat's signature or time is not right"));
    };
    let heartbeat: Heartbeat = read_json(&request.body)?;
    if heartbeat.node != node {
        return Err(Refusal::field("node", "the heartbeat is another node's than its header says"));
    }
    if !is_base_address(&heartbeat.url, config.is_plain_loopback()) {
        return Err(Refusal::field(
            "url",
            "this must be a wss address without a path (ws on loopback, when this Worker is there too)",
        ));
    }
    if heartbeat.region.len() > 64 || heartbeat.version.len() > 64 || heartbeat.capacity > MOST_CALLS {
        return Err(Refusal::field("capacity", "region, version or capacity is out of range"));
    }
    let nonce = header(HEADER_NONCE).to_owned();
    let signed = SignedHeartbeat { heartbeat, at, nonce };
    let answer = ports.switchboard(SwitchboardRequest::Heartbeat(Box::new(signed))).await?;
    if answer == SwitchboardResponse::Replayed {
        return Err(Refusal::new(409, "replayed", "this heartbeat has been seen before"));
    }
    Ok(Reply::Respond(Response::json(200, &HeartbeatAnswer { lease_ms: LEASE_MS })))
}

/// Whether a node signed this request, its own path and body included.
fn is_signed_by(config: &Config, request: &Request, node: &NodeId, now: UnixMillis) -> bool {
    let header = |name| request.header(name).unwrap_or_default();
    let Ok(at) = header(HEADER_TIME).parse().map(UnixMillis) else { return false };
    let (nonce, signature) = (header(HEADER_NONCE), header(HEADER_SIGNATURE));
    node_auth::verify(&config.node_secret, &request.path, node, at, nonce, &request.body, signature, now).is_ok()
}

/// `WS /node/calls/{call}`. A ticket passes through Twilio and is seen by whoever sees its requests; so whoever shows one must
/// also be a node of ours.
pub(super) fn open_socket(config: &Config, now: UnixMillis, request: &Request, call: &str) -> Outcome {
    let call = CallId::parse(call).map_err(|_| Refusal::not_found("call"))?;
    if !request.is_websocket() {
        return Err(upgrade_required());
    }
    let header = |name| request.header(name).unwrap_or_default();
    let node = NodeId::parse(header(HEADER_NODE)).ok().filter(|node| is_signed_by(config, request, node, now));
    let node = node.ok_or_else(|| {
        Refusal::new(401, "unauthorized", "a node's socket must be signed with NODE_SECRET, by a clock that is right")
    })?;
    let token = request.header("authorization").and_then(bearer);
    let token = token.ok_or_else(|| Refusal::new(401, "unauthorized", "a ticket is needed"))?;
    let read = |verifier: TicketVerifier| match verifier.verify(token, Audience::Stream, now) {
        Err(Refused::Audience) => verifier.verify(token, Audience::Resume, now),
        other => other,
    };
    let claims = match (read(config.tickets.verifier()), config.former_tickets) {
        // Signed before the key was replaced.
        (Err(Refused::Signature), Some(former)) => read(former),
        (claims, _) => claims,
    };
    let claims = claims.map_err(|refused| Refusal::new(403, "ticket_invalid", refused.to_string()))?;
    if claims.call != call {
        return Err(Refusal::new(403, "ticket_invalid", "the ticket is for another call"));
    }
    if claims.node != node {
        return Err(Refusal::new(403, "ticket_invalid", "the ticket is for another node"));
    }
    Ok(Reply::Upgrade(Upgrade::Node { call, entry: NodeEntry { claims } }))
}

pub(super) fn upgrade_required() -> Refusal {
    Refusal::new(426, "upgrade_required", "this address is a WebSocket").with("upgrade", "websocket")
}

/// `wss://host[:port]`, or `ws://` on loopback for a Worker that is there itself; Twilio is sent there, so nothing else may
/// stand in it.
fn is_base_address(url: &str, plain_loopback: bool) -> bool {
    let sound = |authority: &str| {
        !authority.is_empty()
            && authority.len() <= 255
            && authority.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'))
    };
    if let Some(authority) = url.strip_prefix("wss://") {
        return sound(authority);
    }
    let loopback = |authority: &str| {
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        matches!(host, "127.0.0.1" | "localhost" | "[::1]")
    };
    plain_loopback && url.strip_prefix("ws://").is_some_and(|authority| sound(authority) && loopback(authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_socket_addresses_count() {
        for good in [
            "wss://media.example.com",
            "wss://a.example:8443",
            "ws://127.0.0.1:4000",
            "ws://[::1]:4000",
            "ws://localhost",
        ] {
            assert!(is_base_address(good, true), "{good}");
            assert_eq!(is_base_address(good, false), good.starts_with("wss://"), "{good}");
        }
        for bad in [
            "https://a.example",
            "ws://a.example",
            "wss://",
            "wss://a/b",
            "wss://a?b",
            "wss://u@a",
            "ws://127.0.0.1.a:1",
        ] {
            assert!(!is_base_address(bad, true), "{bad}");
        }
    }
}
