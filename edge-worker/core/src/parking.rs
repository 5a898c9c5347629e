//! Reports of Twilio's that their room could not take at once: they wait in D1 and are handed over later, in the order in
//! which they came. Twilio is answered as if all were well, so what it said must not be lost; rooms bear being told twice.

use crate::call_room::{Report, RoomRequest};
use crate::ports::{Database, DatabaseFault, Journal, Level, Record, Rooms, Statement};
use shared::ids::CallId;
use shared::secret::{hex, sha256};
use shared::time::UnixMillis;
use std::collections::BTreeSet;

/// Reports handed over at a time, and how often in a row.
const STEP: i64 = 50;
const STEPS: u32 = 10;
/// How long a report waits for its room at most.
const LONGEST_MS: i64 = 24 * 3_600_000;

const PARK: &str =
    "INSERT INTO parked (id, call, report, parked_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING";
const OLDEST: &str = "SELECT id, call, report, parked_at FROM parked WHERE parked_at > ?1 OR (parked_at = ?1 AND id > ?2) \
    ORDER BY parked_at, id LIMIT ?3";
const FORGET: &str = "DELETE FROM parked WHERE id = ?1";

/// Parks a report for its room.
pub async fn park(
    database: &impl Database,
    now: UnixMillis,
    call: &CallId,
    report: &Report,
) -> Result<(), DatabaseFault> {
    let text = serde_json::to_string(report).map_err(|_| DatabaseFault::Unavailable)?;
    let id = hex(&sha256(format!("{call}\n{text}").as_bytes()));
    let values = vec![id.into(), call.as_str().into(), text.into(), now.0.into()];
    database.run(vec![Statement { sql: PARK, values }]).await?;
    Ok(())
}

/// Hands over what is parked, once from the oldest to the newest or until D1 does not answer. A room that cannot answer is
/// left alone for this round; what waits for longer than a day is given up, since the room has asked Twilio itself by then.
/// The Switchboard's object calls it whenever it fetches the configuration.
pub async fn drain(ports: &(impl Database + Rooms + Journal), now: UnixMillis) {
    let mut silent = BTreeSet::new();
    let mut after = (i64::MIN >> 16, String::new());
    for _ in 0..STEPS {
        let oldest = Statement { sql: OLDEST, values: vec![after.0.into(), after.1.clone().into(), STEP.into()] };
        let Ok(results) = ports.run(vec![oldest]).await else { return };
        let rows = results.into_iter().next().unwrap_or_default();
        if rows.is_empty() {
            return;
        }
        for row in rows {
            let (id, parked_at) = (row.text("id").unwrap_or_default(), row.integer("parked_at").unwrap_or_default());
            after = (parked_at, id.to_owned());
            let parked = || -> Option<(CallId, Report)> {
                let call = CallId::parse(row.text("call")?).ok()?;
                Some((call, serde_json::from_str(row.text("report")?).ok()?))
            };
            // What cannot be read any more helps nobody.
            if let Some((call, report)) = parked() {
                let gives_up = now.since(UnixMillis(parked_at)) > LONGEST_MS;
                let taken =
                    !silent.contains(&call) && ports.room(&call, RoomRequest::Report(Box::new(report))).await.is_ok();
                if !taken {
                    silent.insert(call.clone());
                    if !gives_up {
                        continue;
                    }
                    let message = "a parked report of Twilio's was given up: its room has not answered for a day";
                    ports.record(Record { level: Level::Error, message, call: Some(call), detail: None });
                }
            }
            if ports.run(vec![Statement { sql: FORGET, values: vec![id.into()] }]).await.is_err() {
                return;
            }
        }
    }
}
