//! Reports of Twilio's that their room could not take at once: they wait in D1 and are handed over later, in the order in
//! which they came. Twilio is answered as if all were well, so what it said must not be lost; rooms bear being told twice.

use crate::call_room::{Report, RoomRequest};
use crate::ports::{Database, DatabaseFault, Rooms, Statement};
use shared::ids::CallId;
use shared::secret::{hex, sha256};
use shared::time::UnixMillis;

/// Reports handed over at a time, and how often in a row.
const STEP: i64 = 50;
const STEPS: u32 = 10;

const PARK: &str =
    "INSERT INTO parked (id, call, report, parked_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING";
const OLDEST: &str = "SELECT id, call, report FROM parked ORDER BY parked_at, id LIMIT ?1";
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

/// Hands over what is parked, until nothing is left or something does not answer. The Switchboard's object calls it whenever
/// it fetches the configuration.
pub async fn drain(ports: &(impl Database + Rooms)) {
    for _ in 0..STEPS {
        let oldest = Statement { sql: OLDEST, values: vec![STEP.into()] };
        let Ok(results) = ports.run(vec![oldest]).await else { return };
        let rows = results.into_iter().next().unwrap_or_default();
        if rows.is_empty() {
            return;
        }
        for row in rows {
            let parked = || -> Option<(CallId, Report)> {
                let call = CallId::parse(row.text("call")?).ok()?;
                Some((call, serde_json::from_str(row.text("report")?).ok()?))
            };
            // What cannot be read any more helps nobody.
            if let Some((call, report)) = parked()
                && ports.room(&call, RoomRequest::Report(Box::new(report))).await.is_err()
            {
                return;
            }
            let values = vec![row.text("id").unwrap_or_default().into()];
            if ports.run(vec![Statement { sql: FORGET, values }]).await.is_err() {
                return;
            }
        }
    }
}
