//! Sockets for those who watch: one call, or the board. Who asks was checked before, and a page's Origin with it.

use super::Outcome;
use super::auth::Who;
use super::lookup;
use super::node::upgrade_required;
use super::refusal::Refusal;
use crate::config::Config;
use crate::history::CallKey;
use crate::http::{Reply, Request, Upgrade};
use crate::ports::Ports;

/// `WS /ws/transcriptions?callSid=…[&fromSeq=N]`. An unknown [`shared::ids::CallId`] is refused by its room with 4404.
pub(super) async fn call<P: Ports>(config: &Config, ports: &P, request: &Request, who: &Who) -> Outcome {
    if !request.is_websocket() {
        return Err(upgrade_required());
    }
    let name = request.query_value("callSid").unwrap_or_default();
    if CallKey::read(&name).is_none() {
        return Err(Refusal::field("callSid", "this must be a call's id or Twilio's CallSid"));
    }
    let from_seq = request
        .query_value("fromSeq")
        .map(|n| n.parse().map_err(|_| Refusal::field("fromSeq", "this must be the number of a fact")))
        .transpose()?;
    let call = lookup::room(config, ports, &name).await?;
    Ok(Reply::Upgrade(Upgrade::Watch { call, from_seq, pass: who.pass() }))
}

/// `WS /ws/calls`.
pub(super) fn board(request: &Request, who: &Who) -> Outcome {
    if !request.is_websocket() {
        return Err(upgrade_required());
    }
    Ok(Reply::Upgrade(Upgrade::Board { pass: who.pass() }))
}
