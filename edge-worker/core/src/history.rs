//! The history in D1: rows that rooms write by versioned upserts, and how they are read back. The rooms hold the truth; a row
//! here may lag behind by what its outbox still holds.

use crate::ports::{Database, DatabaseFault, Row, SqlValue, Statement};
use shared::api::CallRow;
use shared::call::{CallState, CallStatus, Direction};
use shared::console_api::CallSnapshot;
use shared::ids::{AgentId, CallId, CallSid, Party, PhoneNumber};
use shared::time::UnixMillis;
use shared::transcript::TranscriptLine;

/// Writes a call's row unless a newer version is there.
const UPSERT: &str = "INSERT INTO calls (call, call_sid, direction, from_party, to_party, agent, opened_at, answered_at, \
    ended_at, duration_s, status, reason, state, transcript, settled, version) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
    ON CONFLICT (call) DO UPDATE SET call_sid = excluded.call_sid, agent = excluded.agent, \
    answered_at = excluded.answered_at, ended_at = excluded.ended_at, duration_s = excluded.duration_s, \
    status = excluded.status, reason = excluded.reason, state = excluded.state, transcript = excluded.transcript, \
    settled = excluded.settled, version = excluded.version WHERE excluded.version > calls.version";

const COLUMNS_BY_CALL: &str = "SELECT call, call_sid, direction, from_party, to_party, agent, opened_at, state, transcript, \
    settled FROM calls WHERE call = ?1";
const COLUMNS_BY_SID: &str = "SELECT call, call_sid, direction, from_party, to_party, agent, opened_at, state, transcript, \
    settled FROM calls WHERE call_sid = ?1 LIMIT 1";

/// Newest first; filters that are NULL let everything pass.
const PAGE: &str = "SELECT call, call_sid, direction, from_party, to_party, agent, opened_at, state FROM calls \
    WHERE (?1 IS NULL OR opened_at < ?1 OR (opened_at = ?1 AND call < ?2)) \
    AND (?3 IS NULL OR status = ?3) AND (?4 IS NULL OR direction = ?4) AND (?5 IS NULL OR agent = ?5) \
    AND (?6 IS NULL OR from_party = ?6 OR to_party = ?6) AND (?7 IS NULL OR opened_at >= ?7) \
    AND (?8 IS NULL OR opened_at < ?8) \
    AND (?10 IS NULL OR instr(from_party, ?10) > 0 OR instr(to_party, ?10) > 0) \
    ORDER BY opened_at DESC, call DESC LIMIT ?9";

/// Calls that were placed between the same two numbers at about the same time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rivals {
    /// Twilio's names of those that have one.
    pub named: Vec<CallSid>,
    /// Whether one has no name yet: a leg that is found may be its.
    pub unnamed: bool,
}

const RIVALS: &str = "SELECT call_sid, ended_at FROM calls WHERE call <> ?1 AND from_party = ?2 AND to_party = ?3 \
    AND direction = 'outbound' AND opened_at >= ?4 LIMIT 200";
/// How much earlier than a call its rivals may have been opened: Twilio's clock and its whole seconds.
const RIVALS_BEFORE_MS: i64 = 5_000 + 20_000;

/// Who else may own a leg between these two numbers.
pub async fn rivals(
    database: &impl Database,
    call: &CallId,
    from: &PhoneNumber,
    to: &PhoneNumber,
    since: UnixMillis,
) -> Result<Rivals, DatabaseFault> {
    let since = since.plus(-RIVALS_BEFORE_MS).0;
    let values = vec![call.as_str().into(), from.as_str().into(), to.as_str().into(), since.into()];
    let results = database.run(vec![Statement { sql: RIVALS, values }]).await?;
    let mut rivals = Rivals::default();
    for row in results.into_iter().next().unwrap_or_default() {
        match row.text("call_sid").and_then(|sid| CallSid::parse(sid).ok()) {
            Some(sid) => rivals.named.push(sid),
            None => rivals.unnamed |= row.integer("ended_at").is_none(),
        }
    }
    Ok(rivals)
}

/// The statement that writes a call's row.
pub fn upsert(snapshot: &CallSnapshot, transcript: String, settled: bool, version: u64) -> Option<Statement> {
    let state = &snapshot.state;
    let word = |value: serde_json::Value| value.as_str().map(str::to_owned);
    let direction = word(serde_json::to_value(snapshot.direction).ok()?)?;
    let reason = state.termination().and_then(|t| serde_json::to_value(t.reason).ok()).and_then(word);
    let time = |t: Option<UnixMillis>| t.map(|t| t.0);
    let values: Vec<SqlValue> = vec![
        snapshot.call.as_str().into(),
        snapshot.call_sid.as_ref().map(CallSid::as_str).into(),
        direction.into(),
        snapshot.from.to_text().into(),
        snapshot.to.to_text().into(),
        snapshot.agent.as_ref().map(AgentId::as_str).into(),
        snapshot.opened_at.0.into(),
        time(state.answered_at).into(),
        time(state.ended_at).into(),
        state.connected_s().into(),
        state.status.as_str().into(),
        reason.into(),
        serde_json::to_string(state).ok()?.into(),
        transcript.into(),
        i64::from(settled).into(),
        version.into(),
    ];
    Some(Statement { sql: UPSERT, values })
}

/// What a caller of the API may name a call by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallKey {
    /// Ours.
    Call(CallId),
    /// Twilio's.
    Sid(CallSid),
}

impl CallKey {
    /// Reads either; none: it is neither.
    pub fn read(text: &str) -> Option<Self> {
        CallId::parse(text).map(Self::Call).or_else(|_| CallSid::parse(text).map(Self::Sid)).ok()
    }
}

/// A call as the history has it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredCall {
    /// As listed.
    pub row: CallRow,
    /// Everything its events add up to.
    pub state: CallState,
    /// What was said.
    pub transcript: Vec<TranscriptLine>,
    /// Nothing will change any more, as far as the room knew.
    pub settled: bool,
}

/// Which calls are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only older than this one.
    pub before: Option<(UnixMillis, CallId)>,
    /// Only with this status.
    pub status: Option<CallStatus>,
    /// Only this way.
    pub direction: Option<Direction>,
    /// Only of this agent.
    pub agent: Option<AgentId>,
    /// Only with this party on either end.
    pub party: Option<Party>,
    /// Only with this text in either party: a part of a number.
    pub number: Option<String>,
    /// Only opened at this moment or later.
    pub from: Option<UnixMillis>,
    /// Only opened before this moment.
    pub until: Option<UnixMillis>,
    /// At most so many.
    pub limit: u32,
}

/// Lists calls, newest first.
pub async fn list(database: &impl Database, filter: &Filter) -> Result<Vec<CallRow>, DatabaseFault> {
    let direction = filter.direction.and_then(|d| serde_json::to_value(d).ok()?.as_str().map(str::to_owned));
    let values: Vec<SqlValue> = vec![
        filter.before.as_ref().map(|(at, _)| at.0).into(),
        filter.before.as_ref().map(|(_, call)| call.as_str()).into(),
        filter.status.map(CallStatus::as_str).into(),
        direction.into(),
        filter.agent.as_ref().map(AgentId::as_str).into(),
        filter.party.as_ref().map(Party::to_text).into(),
        filter.from.map(|t| t.0).into(),
        filter.until.map(|t| t.0).into(),
        filter.limit.into(),
        filter.number.as_deref().into(),
    ];
    let results = database.run(vec![Statement { sql: PAGE, values }]).await?;
    Ok(results.into_iter().flatten().filter_map(|row| Some(read_row(&row)?.0)).collect())
}

/// Finds one call.
pub async fn find(database: &impl Database, key: &CallKey) -> Result<Option<StoredCall>, DatabaseFault> {
    let statement = match key {
        CallKey::Call(call) => Statement { sql: COLUMNS_BY_CALL, values: vec![call.as_str().into()] },
        CallKey::Sid(sid) => Statement { sql: COLUMNS_BY_SID, values: vec![sid.as_str().into()] },
    };
    let results = database.run(vec![statement]).await?;
    Ok(results.into_iter().flatten().next().and_then(|row| {
        let (list_row, state) = read_row(&row)?;
        Some(StoredCall {
            row: list_row,
            state,
            transcript: serde_json::from_str(row.text("transcript")?).ok()?,
            settled: row.integer("settled") == Some(1),
        })
    }))
}

fn read_row(row: &Row) -> Option<(CallRow, CallState)> {
    let state: CallState = serde_json::from_str(row.text("state")?).ok()?;
    let direction = serde_json::from_value(serde_json::Value::String(row.text("direction")?.to_owned())).ok()?;
    let list_row = call_row(
        CallId::parse(row.text("call")?).ok()?,
        row.text("call_sid").and_then(|t| CallSid::parse(t).ok()),
        direction,
        (Party::read(row.text("from_party")?), Party::read(row.text("to_party")?)),
        row.text("agent").and_then(|t| AgentId::parse(t).ok()),
        UnixMillis(row.integer("opened_at")?),
        &state,
    );
    Some((list_row, state))
}

/// A call of a live room in the form of the history's list.
pub fn row_of(snapshot: &CallSnapshot) -> CallRow {
    call_row(
        snapshot.call.clone(),
        snapshot.call_sid.clone(),
        snapshot.direction,
        (snapshot.from.clone(), snapshot.to.clone()),
        snapshot.agent.clone(),
        snapshot.opened_at,
        &snapshot.state,
    )
}

fn call_row(
    call: CallId,
    call_sid: Option<CallSid>,
    direction: Direction,
    (from, to): (Party, Party),
    agent: Option<AgentId>,
    opened_at: UnixMillis,
    state: &CallState,
) -> CallRow {
    CallRow {
        call,
        call_sid,
        direction,
        from,
        to,
        agent,
        opened_at: opened_at.to_rfc3339(),
        answered_at: state.answered_at.map(UnixMillis::to_rfc3339),
        ended_at: state.ended_at.map(UnixMillis::to_rfc3339),
        duration_s: state.connected_s(),
        status: state.status,
        termination: state.termination(),
    }
}
