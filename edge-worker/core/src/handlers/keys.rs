//! API keys: made, listed and deleted by signed-in people. The key itself is shown once; only its hash is stored.

use super::Outcome;
use super::auth;
use super::refusal::{Refusal, read_json};
use crate::http::{Reply, Request, Response};
use crate::ports::{Level, Ports, Record, Row, Statement};
use shared::api::{CreatedKey, KeyList, KeyView, NewKey};
use shared::time::UnixMillis;

/// Most keys that there may be.
const MOST_KEYS: i64 = 200;

const LIST: &str = "SELECT id, name, last4, created_at FROM keys ORDER BY created_at, id LIMIT ?1";
const INSERT: &str = "INSERT INTO keys (id, hash, name, last4, created_at) SELECT ?1, ?2, ?3, ?4, ?5 \
    WHERE (SELECT COUNT(*) FROM keys) < ?6 RETURNING id";
const DELETE: &str = "DELETE FROM keys WHERE id = ?1 RETURNING id";

/// `GET /api/keys`.
pub(super) async fn list<P: Ports>(ports: &P) -> Outcome {
    let rows = ports.run(vec![Statement { sql: LIST, values: vec![MOST_KEYS.into()] }]).await?;
    let keys = rows.iter().flatten().filter_map(read_view).collect();
    Ok(Reply::Respond(Response::json(200, &KeyList { keys })))
}

/// `POST /api/keys`.
pub(super) async fn create<P: Ports>(ports: &P, now: UnixMillis, request: &Request) -> Outcome {
    let NewKey { name } = read_json(&request.body)?;
    let name = name.trim().to_owned();
    if !(1..=120).contains(&name.chars().count()) {
        return Err(Refusal::field("name", "the name must have 1 to 120 characters"));
    }
    let key = auth::new_key(ports);
    let id = format!("key{}", auth::random_hex::<8>(ports));
    let last4 = key.get(key.len().saturating_sub(4)..).unwrap_or_default().to_owned();
    let values = vec![
        id.as_str().into(),
        auth::digest(&key).into(),
        name.as_str().into(),
        last4.as_str().into(),
        now.0.into(),
        MOST_KEYS.into(),
    ];
    let rows = ports.run(vec![Statement { sql: INSERT, values }]).await?;
    if rows.first().is_none_or(Vec::is_empty) {
        return Err(Refusal::new(
            409,
            "too_many_keys",
            format!("there are {MOST_KEYS} keys already; delete one first"),
        ));
    }
    ports.record(Record { level: Level::Info, message: "an API key was made", call: None, detail: Some(id.clone()) });
    let view = KeyView { id, name, last4, created_at: now.to_rfc3339() };
    Ok(Reply::Respond(Response::json(201, &CreatedKey { key, view })))
}

/// `DELETE /api/keys/{id}`.
pub(super) async fn delete<P: Ports>(ports: &P, id: &str) -> Outcome {
    let rows = ports.run(vec![Statement { sql: DELETE, values: vec![id.into()] }]).await?;
    if rows.first().is_none_or(Vec::is_empty) {
        return Err(Refusal::not_found("key"));
    }
    ports.record(Record {
        level: Level::Info,
        message: "an API key was deleted",
        call: None,
        detail: Some(id.to_owned()),
    });
    Ok(Reply::Respond(Response::empty(204)))
}

fn read_view(row: &Row) -> Option<KeyView> {
    Some(KeyView {
        id: row.text("id")?.to_owned(),
        name: row.text("name")?.to_owned(),
        last4: row.text("last4")?.to_owned(),
        created_at: UnixMillis(row.integer("created_at")?).to_rfc3339(),
    })
}
