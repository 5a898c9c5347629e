//! Agents: stored in D1, mirrored to the Switchboard with every change. The built-in line test always exists and cannot be
//! changed.

use super::Outcome;
use super::refusal::{Refusal, read_json};
use crate::http::{Reply, Request, Response};
use crate::mirror;
use crate::ports::{Level, Ports, Record, Statement};
use crate::switchboard::{LINE_TEST, built_in, line_test};
use shared::agent::Agent;
use shared::api::{AgentList, DefaultAgent};
use shared::ids::AgentId;
use shared::time::UnixMillis;

const READ: &str = "SELECT agent, version FROM agents WHERE id = ?1";
const PUT: &str = "INSERT INTO agents (id, version, agent) SELECT ?1, 1, ?2 \
    WHERE (EXISTS (SELECT 1 FROM agents WHERE id = ?1) OR (SELECT COUNT(*) FROM agents) < ?3) \
    AND (SELECT COALESCE(SUM(LENGTH(CAST(agent AS BLOB))), 0) FROM agents WHERE id <> ?1) \
    + LENGTH(CAST(?2 AS BLOB)) <= ?4 \
    ON CONFLICT (id) DO UPDATE SET version = agents.version + 1, agent = excluded.agent RETURNING version";
const DELETE: &str = "DELETE FROM agents WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM numbers WHERE agent = ?1) \
    AND NOT EXISTS (SELECT 1 FROM configuration WHERE default_agent = ?1) RETURNING id";
const SET_DEFAULT: &str = "UPDATE configuration SET default_agent = ?1 WHERE id = 1 \
    AND (?1 = ?2 OR EXISTS (SELECT 1 FROM agents WHERE id = ?1)) RETURNING id";
/// Part of every batch that changes the configuration: mirrors go by it. By the clock, so that after a restoration of the
/// database no version comes again with other contents.
pub(super) const RAISE_VERSION: &str = "UPDATE configuration SET version = MAX(version + 1, ?1) WHERE id = 1";

/// `GET /api/agents`.
pub(super) async fn list<P: Ports>(ports: &P) -> Outcome {
    let mirror = mirror::load(ports).await?;
    let fallback = line_test().ok_or_else(Refusal::unavailable)?;
    let default_agent = mirror.default_agent.unwrap_or_else(|| fallback.id.clone());
    let agents = std::iter::once(fallback).chain(mirror.agents).collect();
    Ok(Reply::Respond(Response::json(200, &AgentList { agents, default_agent })))
}

/// `GET /api/agents/{id}`.
pub(super) async fn show<P: Ports>(ports: &P, id: &str) -> Outcome {
    let id = read_id(id)?;
    let agent = match built_in(&id) {
        Some(agent) => agent,
        None => {
            let rows = ports.run(vec![Statement { sql: READ, values: vec![id.as_str().into()] }]).await?;
            let row = rows.first().and_then(|rows| rows.first());
            row.and_then(mirror::read_agent).ok_or_else(|| Refusal::not_found("agent"))?
        }
    };
    Ok(Reply::Respond(Response::json(200, &agent)))
}

/// `PUT /api/agents/{id}`.
pub(super) async fn put<P: Ports>(ports: &P, now: UnixMillis, request: &Request, id: &str) -> Outcome {
    let id = read_id(id)?;
    if built_in(&id).is_some() || id.as_str() == "default" {
        return Err(Refusal::new(409, "reserved", "this agent's name is reserved"));
    }
    let mut agent: Agent = read_json(&request.body)?;
    if agent.id != id {
        return Err(Refusal::field("id", "the agent's id must be the one in the address"));
    }
    agent.validate().map_err(|invalid| Refusal::field(invalid.field, invalid.to_string()))?;
    let text = serde_json::to_string(&agent).map_err(|_| Refusal::unavailable())?;
    let put = Statement {
        sql: PUT,
        values: vec![id.as_str().into(), text.into(), mirror::LIMIT.into(), mirror::LIMIT_BYTES.into()],
    };
    let rows = ports.run(vec![put, raise(now)]).await?;
    let version = rows.first().and_then(|rows| rows.first()).and_then(|row| row.integer("version"));
    let Some(version) = version else {
        return Err(Refusal::new(
            409,
            "too_many_agents",
            "there are too many agents, or they are too long together; delete one first",
        ));
    };
    agent.version = u32::try_from(version).unwrap_or(u32::MAX);
    push(ports).await;
    Ok(Reply::Respond(Response::json(200, &agent)))
}

/// `DELETE /api/agents/{id}`.
pub(super) async fn delete<P: Ports>(ports: &P, now: UnixMillis, id: &str) -> Outcome {
    let id = read_id(id)?;
    if built_in(&id).is_some() {
        return Err(Refusal::new(409, "reserved", "the built-in agent cannot be deleted"));
    }
    let values = vec![id.as_str().into()];
    let read = Statement { sql: READ, values: values.clone() };
    let rows = ports.run(vec![read, Statement { sql: DELETE, values }, raise(now)]).await?;
    let found = |n: usize| rows.get(n).is_some_and(|rows| !rows.is_empty());
    match (found(0), found(1)) {
        (false, _) => Err(Refusal::not_found("agent")),
        (true, false) => {
            Err(Refusal::new(409, "in_use", "this agent answers a number or is the default; change that first"))
        }
        (true, true) => {
            push(ports).await;
            Ok(Reply::Respond(Response::empty(204)))
        }
    }
}

/// `PUT /api/agents/default`.
pub(super) async fn set_default<P: Ports>(ports: &P, now: UnixMillis, request: &Request) -> Outcome {
    let DefaultAgent { agent } = read_json(&request.body)?;
    let set = Statement { sql: SET_DEFAULT, values: vec![agent.as_str().into(), LINE_TEST.into()] };
    let rows = ports.run(vec![set, raise(now)]).await?;
    if rows.first().is_none_or(Vec::is_empty) {
        return Err(unknown_agent());
    }
    push(ports).await;
    Ok(Reply::Respond(Response::json(200, &DefaultAgent { agent })))
}

pub(super) fn raise(now: UnixMillis) -> Statement {
    Statement { sql: RAISE_VERSION, values: vec![now.0.into()] }
}

/// Brings the change to the Switchboard; a lost one is fetched by the Switchboard itself within a minute.
pub(super) async fn push<P: Ports>(ports: &P) {
    if !mirror::push(ports).await {
        let message = "a change of the configuration will reach the Switchboard later";
        ports.record(Record { level: Level::Warn, message, call: None, detail: None });
    }
}

pub(super) fn unknown_agent() -> Refusal {
    Refusal::field("agent", "there is no such agent").status(422)
}

fn read_id(text: &str) -> Result<AgentId, Refusal> {
    AgentId::parse(text).map_err(|invalid| Refusal::field("id", invalid.to_string()))
}
