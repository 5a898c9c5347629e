//! What the logic may ask of the world: entropy, rooms, the Switchboard, the D1 database, Twilio's REST service, a journal.
//! The time is not a port: it is read once per request or event and handed in. The Worker's shell implements these over the
//! runtime, [`crate::twin`] over memory.

use crate::call_room::{RoomRequest, RoomResponse};
use crate::switchboard::{SwitchboardRequest, SwitchboardResponse};
use shared::ids::CallId;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// All of them; implemented by whatever implements each.
pub trait Ports: Entropy + Rooms + Switchboards + Database + TwilioRest + Journal + Patience {}
impl<T: Entropy + Rooms + Switchboards + Database + TwilioRest + Journal + Patience> Ports for T {}

/// Randomness fit for keys.
pub trait Entropy {
    /// Fills the bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// An object could not be asked, or did not answer in time (the shell gives up after 1.2 seconds, and never repeats a
/// request to an overloaded object). Whether the request had an effect is unknown; every request bears repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the object did not answer")]
pub struct Unavailable;

/// The rooms: one per call, named by the [`CallId`].
pub trait Rooms {
    /// Asks a room.
    #[expect(async_fn_in_trait, reason = "the Worker is single-threaded: no future here needs to be Send")]
    async fn room(&self, call: &CallId, request: RoomRequest) -> Result<RoomResponse, Unavailable>;
}

/// The Switchboard's objects, named by [`SwitchboardRequest::object`].
pub trait Switchboards {
    /// Asks the Switchboard.
    #[expect(async_fn_in_trait, reason = "the Worker is single-threaded: no future here needs to be Send")]
    async fn switchboard(&self, request: SwitchboardRequest) -> Result<SwitchboardResponse, Unavailable>;
}

/// A value bound to a statement. Integers stay below 2^53, so that they survive JavaScript's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqlValue {
    /// NULL.
    Null,
    /// An integer (D1: bind as a float).
    Integer(i64),
    /// A text.
    Text(String),
}

impl From<i64> for SqlValue {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}
impl From<u64> for SqlValue {
    fn from(value: u64) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}
impl From<u32> for SqlValue {
    fn from(value: u32) -> Self {
        Self::Integer(i64::from(value))
    }
}
impl From<&str> for SqlValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<String> for SqlValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl<T: Into<SqlValue>> From<Option<T>> for SqlValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row as a JSON object by column name: what both D1 and an object's SQLite can hand over.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row(pub serde_json::Map<String, serde_json::Value>);

impl Row {
    /// An integer column; a whole float counts (JavaScript has only those).
    pub fn integer(&self, column: &str) -> Option<i64> {
        let value = self.0.get(column)?;
        value.as_i64().or_else(|| {
            let float = value.as_f64()?;
            (float.fract() == 0.0 && float.abs() < 9.0e15).then_some(float as i64)
        })
    }
    /// A text column.
    pub fn text(&self, column: &str) -> Option<&str> {
        self.0.get(column)?.as_str()
    }
}

/// A statement with its values, in the order of `?1`, `?2`, ….
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Static SQL: nothing a user sends ever becomes part of it.
    pub sql: &'static str,
    /// What is bound.
    pub values: Vec<SqlValue>,
}

/// Why the database did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseFault {
    /// A constraint refused it (D1's message contains `constraint failed`).
    #[error("a constraint refused the statement")]
    Constraint,
    /// Overloaded; not to be repeated soon.
    #[error("the database is overloaded")]
    Overloaded,
    /// Anything else. A write may have happened.
    #[error("the database is unavailable")]
    Unavailable,
}

/// The D1 database.
pub trait Database {
    /// Runs the statements as one atomic batch; one list of rows per statement. Reads that fail may be repeated by the
    /// shell, writes not.
    #[expect(async_fn_in_trait, reason = "the Worker is single-threaded: no future here needs to be Send")]
    async fn run(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, DatabaseFault>;
}

/// The SQLite of a Durable Object: synchronous, and everything written in one event commits together.
pub trait Sql {
    /// Runs one statement; its rows, if it has any.
    fn exec(&self, sql: &'static str, values: Vec<SqlValue>) -> Result<Vec<Row>, SqlFault>;
}

/// The object's storage refused; nothing more may be promised in this event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the object's storage failed")]
pub struct SqlFault;

/// A request to Twilio's REST service.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// GET or POST.
    pub method: crate::http::Method,
    /// The absolute address.
    pub url: String,
    /// The `Authorization` header.
    pub authorization: shared::secret::Secret,
    /// The form body of a POST (`application/x-www-form-urlencoded`).
    pub form: Option<String>,
}

/// What came back, whatever its status. The shell reads at most 256 KiB and follows no redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`, if it was a number of seconds.
    pub retry_after_s: Option<u32>,
    /// The body.
    pub body: Vec<u8>,
}

/// No answer came (10 seconds at most); whether the request was carried out is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("twilio did not answer")]
pub struct NoAnswer;

/// Twilio's REST service.
pub trait TwilioRest {
    /// Sends one request.
    #[expect(async_fn_in_trait, reason = "the Worker is single-threaded: no future here needs to be Send")]
    async fn send(&self, request: Outgoing) -> Result<Incoming, NoAnswer>;
}

/// A bound for what has to be answered in time. The time itself is not a port.
pub trait Patience {
    /// Returns after this long.
    #[expect(async_fn_in_trait, reason = "the Worker is single-threaded: no future here needs to be Send")]
    async fn wait(&self, millis: u32);
}

/// The work's result, or none when it took longer; then the work is dropped where it stands.
pub async fn within<T>(patience: &impl Patience, millis: u32, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut limit) = (pin!(work), pin!(patience.wait(millis)));
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => limit.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// How much a record matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something was refused or went another way than usual; nobody has to act.
    Info,
    /// Somebody should look when it repeats.
    Warn,
    /// Somebody should look.
    Error,
}

/// A line for the operator's journal. Every field is either a static text, an id or a typed error's message, so that no
/// number, text, ticket or secret can get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// How much it matters.
    pub level: Level,
    /// A whole sentence that reads alone.
    pub message: &'static str,
    /// The call, if it is about one.
    pub call: Option<CallId>,
    /// A short word, such as an error code or a route's name.
    pub detail: Option<String>,
}

/// Where records go.
pub trait Journal {
    /// Writes one.
    fn record(&self, record: Record);
}
