//! `GET /health`: whether the Worker answers and any media node is alive. Always 200: the Worker itself is well when it says
//! this.

use super::Outcome;
use crate::http::{Reply, Response};
use crate::ports::Ports;
use crate::switchboard::{SwitchboardRequest, SwitchboardResponse};
use shared::api::Health;

/// `GET /health`.
pub(super) async fn show<P: Ports>(ports: &P) -> Outcome {
    let nodes = match ports.switchboard(SwitchboardRequest::Nodes).await {
        Ok(SwitchboardResponse::Nodes(nodes)) => nodes,
        Ok(_) | Err(_) => Vec::new(),
    };
    let alive = nodes.iter().filter(|node| node.alive).count();
    let health = Health {
        status: if alive > 0 { "ok" } else { "degraded" }.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        nodes_alive: u32::try_from(alive).unwrap_or(u32::MAX),
    };
    Ok(Reply::Respond(Response::json(200, &health)))
}
