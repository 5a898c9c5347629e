//! The configuration on its way from D1, its truth, to the Switchboard, its mirror: read whole, sent whole, the highest
//! version wins. Changing the configuration is the handlers' matter.

use crate::ports::{Database, DatabaseFault, Row, Statement, Switchboards};
use crate::switchboard::{Mirror, SwitchboardRequest};
use shared::agent::Agent;
use shared::ids::{AgentId, PhoneNumber};

/// Most agents or numbers that are mirrored.
pub const LIMIT: i64 = 5_000;
/// Most bytes that all agents together may have: they are sent and held whole.
pub const LIMIT_BYTES: i64 = 8 * 1024 * 1024;

/// Reads the whole configuration from D1.
pub async fn load(database: &impl Database) -> Result<Mirror, DatabaseFault> {
    let statement = |sql| Statement { sql, values: Vec::new() };
    let limited = |sql| Statement { sql, values: vec![LIMIT.into()] };
    let results = database
        .run(vec![
            statement("SELECT version, default_agent FROM configuration WHERE id = 1"),
            limited("SELECT agent, version FROM agents ORDER BY id LIMIT ?1"),
            limited("SELECT number, agent FROM numbers ORDER BY number LIMIT ?1"),
        ])
        .await?;
    let mut results = results.into_iter();
    let mut next = || results.next().unwrap_or_default();
    let (head, agents, numbers) = (next(), next(), next());
    let head = head.first();
    Ok(Mirror {
        version: head.and_then(|r| r.integer("version")).and_then(|v| u64::try_from(v).ok()).unwrap_or_default(),
        default_agent: head.and_then(|r| r.text("default_agent")).and_then(|t| AgentId::parse(t).ok()),
        agents: agents.iter().filter_map(read_agent).collect(),
        numbers: numbers.iter().filter_map(read_number).collect(),
    })
}

/// Reads the configuration and hands it to the Switchboard. Whether it arrived: when not, the Switchboard's own alarm
/// fetches it later.
pub async fn push(ports: &(impl Database + Switchboards)) -> bool {
    match load(ports).await {
        Ok(mirror) => ports.switchboard(SwitchboardRequest::Mirror(Box::new(mirror))).await.is_ok(),
        Err(DatabaseFault::Constraint | DatabaseFault::Overloaded | DatabaseFault::Unavailable) => false,
    }
}

/// The agent of a row of `agents`; its version is the row's.
pub(crate) fn read_agent(row: &Row) -> Option<Agent> {
    let agent: Agent = serde_json::from_str(row.text("agent")?).ok()?;
    Some(Agent { version: u32::try_from(row.integer("version")?).ok()?, ..agent })
}

/// The number and agent of a row of `numbers`.
pub(crate) fn read_number(row: &Row) -> Option<(String, AgentId)> {
    let number = PhoneNumber::parse(row.text("number")?).ok()?;
    Some((number.into(), AgentId::parse(row.text("agent")?).ok()?))
}
