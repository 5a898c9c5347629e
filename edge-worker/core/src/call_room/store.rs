//! Where a room's facts and desk are kept: a trait with two implementations, over an object's SQLite and in memory. What is
//! stored and when is the machine's decision. A fact's source key is unique in its call: what was stored once is never
//! stored again.

use crate::ports::{Row, Sql, SqlFault, SqlValue};
use shared::console_api::{CallFact, StampedFact};
use shared::time::UnixMillis;
use std::collections::{BTreeMap, BTreeSet};

/// The store refused or holds something unreadable; nothing may be promised in this event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// The engine refused.
    #[error("the room's storage failed")]
    Engine,
    /// What is stored cannot be read.
    #[error("the room's storage holds something unreadable")]
    Unreadable,
}

impl From<SqlFault> for StoreFault {
    fn from(SqlFault: SqlFault) -> Self {
        Self::Engine
    }
}

/// What is kept beside the facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// What was fixed when the room was opened; large, written once.
    Brief,
    /// Everything that changes.
    Desk,
}

impl Page {
    fn id(self) -> i64 {
        match self {
            Self::Brief => 1,
            Self::Desk => 2,
        }
    }
}

/// A room's storage. Everything written in one event commits together.
pub trait RoomStore {
    /// A page as last written, JSON; none: never written.
    fn page(&self, page: Page) -> Result<Option<String>, StoreFault>;
    /// Writes a page.
    fn write(&mut self, page: Page, text: &str) -> Result<(), StoreFault>;
    /// Stores a fact under the next free `seq` that the caller knows. False: its source was stored before, nothing changed.
    fn append(&mut self, fact: &StampedFact, source: &str) -> Result<bool, StoreFault>;
    /// Facts after a `seq`, in order, at most `limit`.
    fn facts(&self, after: u64, limit: u32) -> Result<Vec<StampedFact>, StoreFault>;
}

/// The tables of a room's object; idempotent, run once per load.
pub const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS facts (seq INTEGER PRIMARY KEY, source TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, fact TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS pages (id INTEGER PRIMARY KEY, page TEXT NOT NULL)",
];

const READ_PAGE: &str = "SELECT page FROM pages WHERE id = ?1";
const WRITE_PAGE: &str =
    "INSERT INTO pages (id, page) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET page = excluded.page";
const APPEND: &str =
    "INSERT INTO facts (seq, source, at, fact) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (source) DO NOTHING RETURNING seq";
const READ_FACTS: &str = "SELECT seq, at, fact FROM facts WHERE seq > ?1 ORDER BY seq LIMIT ?2";

/// A room's storage over SQLite.
#[derive(Debug)]
pub struct SqlRoomStore<S>(S);

impl<S: Sql> SqlRoomStore<S> {
    /// Makes the tables where they are missing.
    pub fn open(sql: S) -> Result<Self, StoreFault> {
        for statement in SCHEMA {
            sql.exec(statement, Vec::new())?;
        }
        Ok(Self(sql))
    }
}

impl<S: Sql> RoomStore for SqlRoomStore<S> {
    fn page(&self, page: Page) -> Result<Option<String>, StoreFault> {
        let rows = self.0.exec(READ_PAGE, vec![page.id().into()])?;
        Ok(rows.first().and_then(|row| row.text("page")).map(str::to_owned))
    }

    fn write(&mut self, page: Page, text: &str) -> Result<(), StoreFault> {
        self.0.exec(WRITE_PAGE, vec![page.id().into(), text.into()])?;
        Ok(())
    }

    fn append(&mut self, fact: &StampedFact, source: &str) -> Result<bool, StoreFault> {
        let json = serde_json::to_string(&fact.fact).map_err(|_| StoreFault::Unreadable)?;
        let values: Vec<SqlValue> = vec![fact.seq.into(), source.into(), fact.at.0.into(), json.into()];
        Ok(!self.0.exec(APPEND, values)?.is_empty())
    }

    fn facts(&self, after: u64, limit: u32) -> Result<Vec<StampedFact>, StoreFault> {
        let rows = self.0.exec(READ_FACTS, vec![after.into(), limit.into()])?;
        rows.iter().map(|row| read_fact(row).ok_or(StoreFault::Unreadable)).collect()
    }
}

fn read_fact(row: &Row) -> Option<StampedFact> {
    let fact: CallFact = serde_json::from_str(row.text("fact")?).ok()?;
    Some(StampedFact { seq: u64::try_from(row.integer("seq")?).ok()?, at: UnixMillis(row.integer("at")?), fact })
}

/// A room's storage in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryRoomStore {
    pages: BTreeMap<i64, String>,
    facts: Vec<StampedFact>,
    sources: BTreeSet<String>,
}

impl RoomStore for MemoryRoomStore {
    fn page(&self, page: Page) -> Result<Option<String>, StoreFault> {
        Ok(self.pages.get(&page.id()).cloned())
    }

    fn write(&mut self, page: Page, text: &str) -> Result<(), StoreFault> {
        self.pages.insert(page.id(), text.to_owned());
        Ok(())
    }

    fn append(&mut self, fact: &StampedFact, source: &str) -> Result<bool, StoreFault> {
        if !self.sources.insert(source.to_owned()) {
            return Ok(false);
        }
        self.facts.push(fact.clone());
        Ok(true)
    }

    fn facts(&self, after: u64, limit: u32) -> Result<Vec<StampedFact>, StoreFault> {
        Ok(self.facts.iter().filter(|f| f.seq > after).take(limit as usize).cloned().collect())
    }
}
