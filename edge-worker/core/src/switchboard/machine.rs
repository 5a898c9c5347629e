//! The Switchboard itself: takes one event, asks the part that it concerns, and says what must happen.

use super::board::{Board, Change};
use super::nodes::{NodeEntry, Nodes, Taken};
use super::vault::{self, Attempts};
use super::{
    Lookup, Mirror, SwitchboardEffect, SwitchboardInput, SwitchboardOutput, SwitchboardRequest, SwitchboardResponse,
};
use crate::ports::{Sql, SqlFault};
use shared::agent::Agent;
use shared::console_api::{BoardCall, BoardMessage, PROTOCOL_VERSION};
use shared::ids::{AgentId, NodeId};
use shared::time::UnixMillis;

/// Name of the agent that every deployment has.
pub const LINE_TEST: &str = "line-test";
/// How often the mirror is fetched anew, in case a push was lost.
const MIRROR_EVERY_MS: i64 = 60_000;
/// How often nodes whose lease has lapsed are looked for while any is alive.
const LOOK_EVERY_MS: i64 = 5_000;

/// Tables of the object; idempotent, run once per load.
pub const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS nodes (node TEXT PRIMARY KEY, entry TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS live (call TEXT PRIMARY KEY, entry TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS mirror (kind TEXT NOT NULL, id TEXT NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (kind, id))",
];
const ALL_NODES: &str = "SELECT entry FROM nodes LIMIT 1000";
const PUT_NODE: &str =
    "INSERT INTO nodes (node, entry) VALUES (?1, ?2) ON CONFLICT (node) DO UPDATE SET entry = excluded.entry";
const DELETE_NODE: &str = "DELETE FROM nodes WHERE node = ?1";
const ALL_LIVE: &str = "SELECT entry FROM live LIMIT 10000";
const PUT_LIVE: &str =
    "INSERT INTO live (call, entry) VALUES (?1, ?2) ON CONFLICT (call) DO UPDATE SET entry = excluded.entry";
const DELETE_LIVE: &str = "DELETE FROM live WHERE call = ?1";
const ALL_MIRROR: &str = "SELECT kind, id, entry FROM mirror LIMIT 20000";
const PUT_MIRROR: &str = "INSERT INTO mirror (kind, id, entry) VALUES (?1, ?2, ?3) \
    ON CONFLICT (kind, id) DO UPDATE SET entry = excluded.entry";
const CLEAR_MIRROR: &str = "DELETE FROM mirror";

/// The Switchboard in memory, loaded from its storage and in step with it. The vault is an object of the same kind.
#[derive(Debug)]
pub struct Switchboard {
    nodes: Nodes,
    board: Board,
    mirror: Mirror,
    /// When the mirror was last known to be fresh.
    mirrored_at: Option<UnixMillis>,
    attempts: Attempts,
    /// Who was alive when the watchers were last told.
    told_alive: Vec<NodeId>,
    /// Whether this object is the live index (the vault has nothing to do by itself).
    active: bool,
}

impl Switchboard {
    /// Makes the tables where they are missing and loads what is stored.
    pub fn load(sql: &impl Sql, now: UnixMillis) -> Result<Self, SqlFault> {
        for statement in SCHEMA {
            sql.exec(statement, Vec::new())?;
        }
        let mut nodes = Nodes::default();
        for row in sql.exec(ALL_NODES, Vec::new())? {
            let entry: Option<NodeEntry> = row.text("entry").and_then(|text| serde_json::from_str(text).ok());
            if let Some(entry) = entry {
                nodes.restore(entry, now);
            }
        }
        let mut board = Board::default();
        for row in sql.exec(ALL_LIVE, Vec::new())? {
            let call: Option<BoardCall> = row.text("entry").and_then(|text| serde_json::from_str(text).ok());
            if let Some(call) = call {
                board.restore(call);
            }
        }
        let mut mirror = Mirror::default();
        for row in sql.exec(ALL_MIRROR, Vec::new())? {
            let (Some(kind), Some(id), Some(entry)) = (row.text("kind"), row.text("id"), row.text("entry")) else {
                continue;
            };
            match kind {
                "agent" => mirror.agents.extend(serde_json::from_str::<Agent>(entry).ok()),
                "number" => mirror.numbers.extend(AgentId::parse(entry).ok().map(|agent| (id.to_owned(), agent))),
                "default" => mirror.default_agent = AgentId::parse(entry).ok(),
                "version" => mirror.version = entry.parse().unwrap_or_default(),
                _ => {}
            }
        }
        let told_alive = nodes.alive(now);
        Ok(Self {
            nodes,
            board,
            mirror,
            mirrored_at: None,
            attempts: Attempts::load(sql, now)?,
            told_alive,
            active: false,
        })
    }

    /// Takes one event. A [`SqlFault`] means: answer as unavailable, drop the machine, load anew at the next event.
    pub fn handle(
        &mut self,
        sql: &impl Sql,
        now: UnixMillis,
        input: SwitchboardInput,
    ) -> Result<SwitchboardOutput, SqlFault> {
        let mut effects = Vec::new();
        let answer = match input {
            SwitchboardInput::Request { request, salt } => {
                self.active |= request.object() == super::MAIN_OBJECT;
                self.request(sql, now, request, salt, &mut effects)?
            }
            SwitchboardInput::WatcherOpened { socket } => {
                self.active = true;
                let board = BoardMessage::Board {
                    protocol: PROTOCOL_VERSION,
                    calls: self.board.calls(),
                    nodes: self.nodes.views(now),
                };
                effects.push(SwitchboardEffect::Send { socket, text: text(&board) });
                SwitchboardResponse::Done
            }
            SwitchboardInput::Alarm => {
                self.active = true;
                self.board.forget(now);
                for node in self.nodes.forget(now) {
                    sql.exec(DELETE_NODE, vec![node.as_str().into()])?;
                }
                SwitchboardResponse::Done
            }
        };
        if !self.active {
            return Ok(SwitchboardOutput { answer, effects, alarm: None });
        }
        let alive = self.nodes.alive(now);
        if alive != self.told_alive {
            self.told_alive = alive;
            effects.push(self.show_nodes(now));
        }
        if self.mirrored_at.is_none_or(|at| now.since(at) >= MIRROR_EVERY_MS) {
            // Counted as fresh already, so that one loss costs one period and not a storm.
            self.mirrored_at = Some(now);
            effects.push(SwitchboardEffect::LoadMirror { held: self.mirror.version });
        }
        let pace = if self.told_alive.is_empty() { MIRROR_EVERY_MS } else { LOOK_EVERY_MS };
        // On a grid, so that the alarm is not moved with every event.
        let alarm = UnixMillis((now.0.div_euclid(pace) + 1) * pace);
        Ok(SwitchboardOutput { answer, effects, alarm: Some(alarm) })
    }

    fn request(
        &mut self,
        sql: &impl Sql,
        now: UnixMillis,
        request: SwitchboardRequest,
        salt: [u8; 16],
        effects: &mut Vec<SwitchboardEffect>,
    ) -> Result<SwitchboardResponse, SqlFault> {
        Ok(match request {
            SwitchboardRequest::Lookup(lookup) => self.look_up(&lookup, now),
            SwitchboardRequest::PickNode { avoid } => SwitchboardResponse::Node(self.nodes.choose(avoid.as_ref(), now)),
            SwitchboardRequest::Heartbeat(signed) => {
                let node = signed.heartbeat.node.clone();
                match self.nodes.take(*signed, now) {
                    Taken::Replayed => SwitchboardResponse::Replayed,
                    Taken::Taken { visible, write } => {
                        if let Some(entry) = self.nodes.entry(&node).filter(|_| write) {
                            sql.exec(PUT_NODE, vec![node.as_str().into(), text(entry).into()])?;
                        }
                        if visible {
                            self.told_alive = self.nodes.alive(now);
                            effects.push(self.show_nodes(now));
                        }
                        SwitchboardResponse::Done
                    }
                }
            }
            SwitchboardRequest::Report { call, over } => {
                let change = self.board.report(*call, over, now);
                match &change {
                    Change::Nothing => {}
                    Change::Live(call) => {
                        sql.exec(PUT_LIVE, vec![call.call.as_str().into(), text(call).into()])?;
                    }
                    Change::Gone(call, _) => {
                        sql.exec(DELETE_LIVE, vec![call.as_str().into()])?;
                    }
                }
                effects.extend(change.message().map(|m| SwitchboardEffect::Broadcast { text: text(&m) }));
                SwitchboardResponse::Done
            }
            SwitchboardRequest::Resolve { call_sid } => SwitchboardResponse::Call(self.board.resolve(&call_sid)),
            SwitchboardRequest::Mirror(mirror) => {
                self.mirrored_at = Some(now);
                if mirror.version > self.mirror.version {
                    self.replace_mirror(sql, *mirror)?;
                }
                SwitchboardResponse::Done
            }
            SwitchboardRequest::Fetched { mirror, held } => {
                self.mirrored_at = Some(now);
                // Lower than what was held before D1 was asked, and nothing has come since: not late, but restored.
                let restored = mirror.version < held && held == self.mirror.version;
                if mirror.version > self.mirror.version || restored {
                    self.replace_mirror(sql, *mirror)?;
                }
                SwitchboardResponse::Done
            }
            SwitchboardRequest::Nodes => SwitchboardResponse::Nodes(self.nodes.views(now)),
            SwitchboardRequest::HashPassword { password } => match vault::hash(&password.0, &salt) {
                Some(hash) => SwitchboardResponse::Hashed(hash),
                None => return Err(SqlFault),
            },
            SwitchboardRequest::CheckPassword { password, hash, mut buckets } => {
                buckets.push(vault::DEPLOYMENT.to_owned());
                match self.attempts.count(sql, &buckets, now)? {
                    Err(retry_after_s) => SwitchboardResponse::TooMany { retry_after_s },
                    Ok(()) => SwitchboardResponse::Checked(vault::matches(&password.0, hash.as_deref())),
                }
            }
        })
    }

    fn replace_mirror(&mut self, sql: &impl Sql, mirror: Mirror) -> Result<(), SqlFault> {
        store_mirror(sql, &mirror)?;
        self.mirror = mirror;
        Ok(())
    }

    fn look_up(&mut self, lookup: &Lookup, now: UnixMillis) -> SwitchboardResponse {
        let known = |id: &AgentId| self.mirror.agents.iter().find(|a| a.id == *id).cloned().or_else(|| built_in(id));
        let agent = match (&lookup.agent, &lookup.number) {
            (Some(id), _) => known(id),
            (None, number) => {
                let pointed = number.as_ref().and_then(|n| self.mirror.numbers.get(n.as_str())).and_then(known);
                let default = || self.mirror.default_agent.as_ref().and_then(known);
                pointed.or_else(default).or_else(line_test)
            }
        };
        let node = (lookup.with_node && agent.is_some()).then(|| self.nodes.choose(None, now)).flatten();
        SwitchboardResponse::Found { agent: agent.map(Box::new), node }
    }

    fn show_nodes(&self, now: UnixMillis) -> SwitchboardEffect {
        SwitchboardEffect::Broadcast { text: text(&BoardMessage::Nodes { nodes: self.nodes.views(now) }) }
    }
}

/// The built-in agent of this name, if there is one.
pub fn built_in(id: &AgentId) -> Option<Agent> {
    (id.as_str() == LINE_TEST).then(|| Agent::line_test(id.clone()))
}

/// The built-in line test.
pub fn line_test() -> Option<Agent> {
    AgentId::parse(LINE_TEST).ok().map(Agent::line_test)
}

fn store_mirror(sql: &impl Sql, mirror: &Mirror) -> Result<(), SqlFault> {
    sql.exec(CLEAR_MIRROR, Vec::new())?;
    let put = |kind: &str, id: &str, entry: String| sql.exec(PUT_MIRROR, vec![kind.into(), id.into(), entry.into()]);
    for agent in &mirror.agents {
        put("agent", agent.id.as_str(), text(agent))?;
    }
    for (number, agent) in &mirror.numbers {
        put("number", number, agent.to_string())?;
    }
    if let Some(agent) = &mirror.default_agent {
        put("default", "", agent.to_string())?;
    }
    put("version", "", mirror.version.to_string())?;
    Ok(())
}

fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
