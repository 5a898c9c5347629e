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

/// The tables of a room's object; idempotent, made with the first write: looking for a call that never was must leave
/// nothing behind.
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

const HAS_TABLES: &str = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'pages'";

/// A room's storage over SQLite. After a failed event it must be opened anew: what it knows of its tables may be wrong.
#[derive(Debug)]
pub struct SqlRoomStore<S> {
    sql: S,
    /// Whether the tables are there.
    made: bool,
}

impl<S: Sql> SqlRoomStore<S> {
    /// Looks whether there is anything; writes nothing.
    pub fn open(sql: S) -> Result<Self, StoreFault> {
        let made = !sql.exec(HAS_TABLES, Vec::new())?.is_empty();
        Ok(Self { sql, made })
    }

    fn make_tables(&mut self) -> Result<(), StoreFault> {
        if !self.made {
            for statement in SCHEMA {
                self.sql.exec(statement, Vec::new())?;
            }
            self.made = true;
        }
        Ok(())
    }
}

impl<S: Sql> RoomStore for SqlRoomStore<S> {
    fn page(&self, page: Page) -> Result<Option<String>, StoreFault> {
        if !self.made {
            return Ok(None);
        }
        let rows = self.sql.exec(READ_PAGE, vec![page.id().into()])?;
        Ok(rows.first().and_then(|row| row.text("page")).map(str::to_owned))
    }

    fn write(&mut self, page: Page, text: &str) -> Result<(), StoreFault> {
        self.make_tables()?;
        self.sql.exec(WRITE_PAGE, vec![page.id().into(), text.into()])?;
        Ok(())
    }

    fn append(&mut self, fact: &StampedFact, source: &str) -> Result<bool, StoreFault> {
        self.make_tables()?;
        let json = serde_json::to_string(&fact.fact).map_err(|_| StoreFault::Unreadable)?;
        let values: Vec<SqlValue> = vec![fact.seq.into(), source.into(), fact.at.0.into(), json.into()];
        Ok(!self.sql.exec(APPEND, values)?.is_empty())
    }

    fn facts(&self, after: u64, limit: u32) -> Result<Vec<StampedFact>, StoreFault> {
        if !self.made {
            return Ok(Vec::new());
        }
        let rows = self.sql.exec(READ_FACTS, vec![after.into(), limit.into()])?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call_room::{Room, RoomInput, RoomRequest, RoomResponse, SocketId};
    use crate::testing::{START, config};
    use crate::twin::sqlite::Sqlite;

    /// The statements as they come.
    struct Watched<'a>(&'a Sqlite, std::cell::RefCell<Vec<&'static str>>);

    impl Sql for &Watched<'_> {
        fn exec(&self, sql: &'static str, values: Vec<SqlValue>) -> Result<Vec<Row>, SqlFault> {
            self.1.borrow_mut().push(sql);
            self.0.exec(sql, values)
        }
    }

    #[test]
    fn looking_at_a_call_that_never_was_writes_nothing() {
        let sqlite = Sqlite::open().unwrap();
        let watched = Watched(&sqlite, Default::default());
        let mut store = SqlRoomStore::open(&watched).unwrap();
        let mut room = Room::load(&store, config().tickets).unwrap();
        let socket = SocketId("w".into());
        for input in [
            RoomInput::Request(RoomRequest::Read),
            RoomInput::Request(RoomRequest::HangUp),
            RoomInput::WatcherOpened { socket, from_seq: None },
        ] {
            let output = room.handle(&mut store, START, input).unwrap();
            assert!(matches!(output.answer, RoomResponse::Unknown | RoomResponse::Done));
            assert_eq!(output.alarm, None);
        }
        let statements = watched.1.borrow();
        assert!(statements.iter().all(|sql| sql.starts_with("SELECT")), "{statements:?}");
        assert!(sqlite.exec("SELECT name FROM sqlite_master", Vec::new()).unwrap().is_empty());
    }

    #[test]
    fn what_was_written_is_there_when_it_is_opened_again() {
        let sqlite = Sqlite::open().unwrap();
        let watched = Watched(&sqlite, Default::default());
        SqlRoomStore::open(&watched).unwrap().write(Page::Desk, "{}").unwrap();
        let store = SqlRoomStore::open(&watched).unwrap();
        assert_eq!(store.page(Page::Desk), Ok(Some("{}".to_owned())));
        assert_eq!((store.page(Page::Brief), store.facts(0, 10)), (Ok(None), Ok(Vec::new())));
    }
}
