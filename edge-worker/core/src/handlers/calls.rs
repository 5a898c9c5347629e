//! Calls over the API: the list, one call, hanging up. Placing a call stands beside this file.

use super::Outcome;
use super::lookup::{self, FoundCall};
use super::refusal::Refusal;
use crate::call_room::{RoomRequest, RoomResponse};
use crate::config::Config;
use crate::history::{self, Filter};
use crate::http::{Reply, Request, Response};
use crate::ports::Ports;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::api::{CallDetail, CallPage, CallRow, PlacedCall};
use shared::call::CallStatus;
use shared::ids::{AgentId, CallId, Party};
use shared::time::UnixMillis;

/// Calls on a page when the request does not say, and at most.
const PAGE: u32 = 50;
const LONGEST_PAGE: u32 = 200;

/// `GET /api/calls`.
pub(super) async fn list<P: Ports>(ports: &P, request: &Request) -> Outcome {
    let filter = read_filter(request)?;
    let limit = filter.limit;
    let mut calls = history::list(ports, &Filter { limit: limit + 1, ..filter }).await?;
    let more = calls.len() > limit as usize;
    calls.truncate(limit as usize);
    let next_cursor = calls.last().filter(|_| more).map(cursor);
    Ok(Reply::Respond(Response::json(200, &CallPage { calls, next_cursor })))
}

/// `GET /api/calls/{sid}`.
pub(super) async fn show<P: Ports>(config: &Config, ports: &P, name: &str) -> Outcome {
    let detail = match lookup::find(config, ports, name).await? {
        FoundCall::Live(shown) => CallDetail {
            call: history::row_of(&shown.snapshot),
            state: shown.snapshot.state,
            transcript: shown.snapshot.transcript,
        },
        FoundCall::Stored(stored) => {
            CallDetail { call: stored.row, state: stored.state, transcript: stored.transcript }
        }
    };
    Ok(Reply::Respond(Response::json(200, &detail)))
}

/// `POST /api/calls/{sid}/hangup`: asking twice, or when the call is over, is no error.
pub(super) async fn hang_up<P: Ports>(config: &Config, ports: &P, name: &str) -> Outcome {
    let call = lookup::room(config, ports, name).await?;
    match ports.room(&call, RoomRequest::HangUp).await? {
        RoomResponse::HangUp { call_sid, status, .. } => {
            let answer = PlacedCall { success: true, call_sid, call, status: status.as_str().to_owned() };
            Ok(Reply::Respond(Response::json(200, &answer)))
        }
        RoomResponse::Unknown => Err(Refusal::not_found("call")),
        RoomResponse::Done
        | RoomResponse::Opened(_)
        | RoomResponse::Answer(_)
        | RoomResponse::After(_)
        | RoomResponse::Call(_) => Err(Refusal::unavailable()),
    }
}

fn read_filter(request: &Request) -> Result<Filter, Refusal> {
    let value = |name: &str| request.query_value(name).filter(|v| !v.is_empty());
    let moment = |name: &'static str| {
        let message = "this must be a time in RFC 3339, such as 2026-01-31T09:00:00Z";
        value(name).map(|t| UnixMillis::from_rfc3339(&t).map_err(|_| Refusal::field(name, message))).transpose()
    };
    let limit = match value("limit") {
        None => PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|n| (1..=LONGEST_PAGE).contains(n))
            .ok_or_else(|| Refusal::field("limit", format!("this must be 1 to {LONGEST_PAGE}")))?,
    };
    let before = value("cursor")
        .map(|c| read_cursor(&c).ok_or_else(|| Refusal::field("cursor", "this must be a cursor of an earlier page")))
        .transpose()?;
    let status = value("status")
        .map(|s| CallStatus::read(&s).ok_or_else(|| Refusal::field("status", "this must be one of Twilio's statuses")))
        .transpose()?;
    let direction = value("direction")
        .map(|d| {
            serde_json::from_value(serde_json::Value::String(d))
                .map_err(|_| Refusal::field("direction", "this must be inbound, outbound or browser"))
        })
        .transpose()?;
    let agent = value("agent")
        .map(|a| AgentId::parse(&a).map_err(|invalid| Refusal::field("agent", invalid.to_string())))
        .transpose()?;
    let party = value("party")
        .map(|p| match Party::read(&p) {
            Party::Unknown => Err(Refusal::field("party", "this must be a number in E.164, client:… or sip:…")),
            party @ (Party::Phone(_) | Party::Client(_) | Party::Sip(_)) => Ok(party),
        })
        .transpose()?;
    let number = value("number")
        .map(|text| {
            let sound = (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || b == b'+');
            if sound {
                Ok(text)
            } else {
                Err(Refusal::field("number", "this must be a part of a number: digits, or + and digits"))
            }
        })
        .transpose()?;
    let (from, until) = (moment("from")?, moment("until")?);
    Ok(Filter { before, status, direction, agent, party, number, from, until, limit })
}

fn cursor(row: &CallRow) -> String {
    let at = UnixMillis::from_rfc3339(&row.opened_at).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(format!("{}.{}", at.0, row.call))
}

fn read_cursor(text: &str) -> Option<(UnixMillis, CallId)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (at, call) = text.split_once('.')?;
    Some((UnixMillis(at.parse().ok()?), CallId::parse(call).ok()?))
}
