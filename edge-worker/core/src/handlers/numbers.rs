//! Our telephone numbers and who answers them: stored in D1, mirrored to the Switchboard with every change.

use super::Outcome;
use super::agents::{push, raise, unknown_agent};
use super::refusal::{Refusal, read_json};
use crate::http::{Reply, Request, Response};
use crate::mirror;
use crate::ports::{Ports, Statement};
use crate::switchboard::LINE_TEST;
use shared::api::{NumberList, NumberView, PointNumber};
use shared::ids::PhoneNumber;
use shared::time::UnixMillis;

const POINT: &str = "INSERT INTO numbers (number, agent) SELECT ?1, ?2 \
    WHERE (?2 = ?3 OR EXISTS (SELECT 1 FROM agents WHERE id = ?2)) \
    AND (EXISTS (SELECT 1 FROM numbers WHERE number = ?1) OR (SELECT COUNT(*) FROM numbers) < ?4) \
    ON CONFLICT (number) DO UPDATE SET agent = excluded.agent RETURNING number";
const FULL: &str = "SELECT 1 AS full WHERE (SELECT COUNT(*) FROM numbers) >= ?2 \
    AND NOT EXISTS (SELECT 1 FROM numbers WHERE number = ?1)";
const RELEASE: &str = "DELETE FROM numbers WHERE number = ?1 RETURNING number";

/// `GET /api/numbers`.
pub(super) async fn list<P: Ports>(ports: &P) -> Outcome {
    let mirror = mirror::load(ports).await?;
    let numbers = mirror
        .numbers
        .into_iter()
        .filter_map(|(number, agent)| Some(NumberView { number: PhoneNumber::parse(&number).ok()?, agent }))
        .collect();
    Ok(Reply::Respond(Response::json(200, &NumberList { numbers })))
}

/// `PUT /api/numbers/{number}`.
pub(super) async fn point<P: Ports>(ports: &P, now: UnixMillis, request: &Request, number: &str) -> Outcome {
    let number = read_number(number)?;
    let PointNumber { agent } = read_json(&request.body)?;
    let values = vec![number.as_str().into(), agent.as_str().into(), LINE_TEST.into(), mirror::LIMIT.into()];
    let full = Statement { sql: FULL, values: vec![number.as_str().into(), mirror::LIMIT.into()] };
    let rows = ports.run(vec![full, Statement { sql: POINT, values }, raise(now)]).await?;
    let found = |n: usize| rows.get(n).is_some_and(|rows| !rows.is_empty());
    match (found(0), found(1)) {
        (_, true) => {}
        (true, false) => {
            return Err(Refusal::new(409, "too_many_numbers", "there are too many numbers; release one first"));
        }
        (false, false) => return Err(unknown_agent()),
    }
    push(ports).await;
    Ok(Reply::Respond(Response::json(200, &NumberView { number, agent })))
}

/// `DELETE /api/numbers/{number}`.
pub(super) async fn release<P: Ports>(ports: &P, now: UnixMillis, number: &str) -> Outcome {
    let number = read_number(number)?;
    let release = Statement { sql: RELEASE, values: vec![number.as_str().into()] };
    let rows = ports.run(vec![release, raise(now)]).await?;
    if rows.first().is_none_or(Vec::is_empty) {
        return Err(Refusal::not_found("number"));
    }
    push(ports).await;
    Ok(Reply::Respond(Response::empty(204)))
}

fn read_number(text: &str) -> Result<PhoneNumber, Refusal> {
    PhoneNumber::parse(text).map_err(|invalid| Refusal::field("number", invalid.to_string()))
}
