//! The world in memory: every port over values, with time that moves when it is told to, real SQLite under D1 and under the
//! objects, a small Twilio, and faults that can be switched on. The handlers' tests run on it; a simulator may. Nothing of it
//! is part of the Worker.

use crate::call_room::{Effect, NodeEntry, Room, RoomInput, RoomRequest, RoomResponse, SocketId, SqlRoomStore, Work};
use crate::config::Config;
use crate::handlers;
use crate::http::{Reply, Request};
use crate::mirror;
use crate::parking;
use crate::ports::{
    Database, DatabaseFault, Entropy, Incoming, Journal, NoAnswer, Outgoing, Patience, Record, Rooms, Row, Statement,
    Switchboards, TwilioRest, Unavailable,
};
use crate::switchboard::{
    MAIN_OBJECT, Switchboard, SwitchboardEffect, SwitchboardInput, SwitchboardOutput, SwitchboardRequest,
    SwitchboardResponse, VAULT_OBJECT,
};
use crate::work;
use shared::ids::CallId;
use shared::time::UnixMillis;
use sqlite::Sqlite;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use twilio::Twilio;

pub mod sqlite;
pub mod twilio;

/// D1's tables, as deployed.
pub const MIGRATIONS: &[&str] =
    &[include_str!("../../migrations/0001_trunkline.sql"), include_str!("../../migrations/0002_parked.sql")];

/// What is broken at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Rooms do not answer.
    pub rooms: bool,
    /// The Switchboard does not answer.
    pub switchboard: bool,
    /// D1 answers so.
    pub database: Option<DatabaseFault>,
    /// Objects lose their memory before every event, as after an eviction.
    pub evictions: bool,
    /// Nobody ever answers, neither objects nor D1; only patience ends.
    pub silence: bool,
}

/// How often each port was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// Rooms.
    pub rooms: u32,
    /// The Switchboard's objects.
    pub switchboard: u32,
    /// D1.
    pub database: u32,
    /// Twilio's REST service.
    pub twilio: u32,
}

/// A socket that ends in an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Socket {
    /// What the object sent, oldest first.
    pub received: Vec<String>,
    /// The code with which the object closed it.
    pub closed: Option<u16>,
}

#[derive(Debug)]
struct RoomObject {
    room: Option<Room>,
    store: SqlRoomStore<Sqlite>,
    alarm: Option<UnixMillis>,
    nodes: BTreeSet<SocketId>,
    watchers: BTreeSet<SocketId>,
}

#[derive(Debug)]
struct SwitchboardObject {
    machine: Option<Switchboard>,
    sql: Sqlite,
    alarm: Option<UnixMillis>,
    watchers: BTreeSet<SocketId>,
}

#[derive(Debug)]
enum Pending {
    Work(CallId, Box<Work>),
    LoadMirror(u64),
}

#[derive(Debug)]
struct Inner {
    now: UnixMillis,
    entropy: u64,
    rooms: BTreeMap<CallId, RoomObject>,
    switchboards: BTreeMap<&'static str, SwitchboardObject>,
    database: Sqlite,
    twilio: Twilio,
    journal: Vec<Record>,
    faults: Faults,
    asked: Asked,
    sockets: BTreeMap<SocketId, Socket>,
    next_socket: u64,
    pending: VecDeque<Pending>,
    /// Rooms that are broken for good.
    broken: BTreeSet<CallId>,
}

/// The world.
#[derive(Debug)]
pub struct World {
    /// The deployment's variables.
    pub config: Config,
    inner: RefCell<Inner>,
}

/// The engine that stands in for SQLite could not be made; tests cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sqlite could not be opened")]
pub struct NoSqlite;

impl World {
    /// An empty deployment at this moment.
    pub fn new(config: Config, now: UnixMillis) -> Result<Self, NoSqlite> {
        let database = Sqlite::open().ok_or(NoSqlite)?;
        for migration in MIGRATIONS {
            database.script(migration).map_err(|_| NoSqlite)?;
        }
        let mut switchboards = BTreeMap::new();
        for name in [MAIN_OBJECT, VAULT_OBJECT] {
            let sql = Sqlite::open().ok_or(NoSqlite)?;
            switchboards.insert(name, SwitchboardObject { machine: None, sql, alarm: None, watchers: BTreeSet::new() });
        }
        let inner = Inner {
            now,
            entropy: 1,
            rooms: BTreeMap::new(),
            switchboards,
            database,
            twilio: Twilio::default(),
            journal: Vec::new(),
            faults: Faults::default(),
            asked: Asked::default(),
            sockets: BTreeMap::new(),
            next_socket: 0,
            pending: VecDeque::new(),
            broken: BTreeSet::new(),
        };
        Ok(Self { config, inner: RefCell::new(inner) })
    }

    /// The time.
    pub fn now(&self) -> UnixMillis {
        self.inner.borrow().now
    }

    /// Sets what is broken.
    pub fn set_faults(&self, faults: Faults) {
        self.inner.borrow_mut().faults = faults;
    }

    /// Breaks one room for good.
    pub fn break_room(&self, call: &CallId) {
        self.inner.borrow_mut().broken.insert(call.clone());
    }

    /// Answers at once, or never.
    async fn speak(&self) {
        if self.inner.borrow().faults.silence {
            std::future::pending::<()>().await;
        }
    }

    /// How often each port was asked so far.
    pub fn asked(&self) -> Asked {
        self.inner.borrow().asked
    }

    /// Everything written to the journal so far.
    pub fn journal(&self) -> Vec<Record> {
        self.inner.borrow().journal.clone()
    }

    /// Twilio's side, to read or to script.
    pub fn with_twilio<T>(&self, look: impl FnOnce(&mut Twilio) -> T) -> T {
        look(&mut self.inner.borrow_mut().twilio)
    }

    /// Sends a request through the handlers; the work that follows is left for [`World::settle`].
    pub async fn request(&self, request: Request) -> Reply {
        let now = self.now();
        handlers::handle(&self.config, self, now, request).await
    }

    /// Does the work that waits, and the work that follows from it.
    pub async fn settle(&self) {
        // A bound instead of an endless loop should a piece of work ever ask for itself at once.
        for _ in 0..1000 {
            let next = self.inner.borrow_mut().pending.pop_front();
            match next {
                None => return,
                Some(Pending::Work(call, work)) => {
                    let done = work::perform(&self.config, self, *work).await;
                    self.tell_room(&call, done);
                }
                Some(Pending::LoadMirror(held)) => {
                    if let Ok(mirror) = mirror::load(self).await {
                        let fetched = SwitchboardRequest::Fetched { mirror: Box::new(mirror), held };
                        let _ = self.switchboard(fetched).await;
                    }
                    parking::drain(self, self.now()).await;
                }
            }
        }
    }

    /// Lets time pass up to this moment: alarms ring in their order, and their work is done.
    pub async fn advance(&self, to: UnixMillis) {
        loop {
            let due = {
                let inner = self.inner.borrow();
                let rooms = inner.rooms.iter().filter_map(|(call, room)| Some((room.alarm?, Some(call.clone()))));
                let boards = inner.switchboards.get(MAIN_OBJECT).and_then(|s| Some((s.alarm?, None)));
                rooms.chain(boards).filter(|(at, _)| *at <= to).min()
            };
            let Some((at, which)) = due else { break };
            self.inner.borrow_mut().now = self.now().max(at);
            match which {
                Some(call) => {
                    if let Some(room) = self.inner.borrow_mut().rooms.get_mut(&call) {
                        room.alarm = None;
                    }
                    self.tell_room(&call, RoomInput::Alarm);
                }
                None => {
                    if let Some(board) = self.inner.borrow_mut().switchboards.get_mut(MAIN_OBJECT) {
                        board.alarm = None;
                    }
                    self.tell_switchboard(MAIN_OBJECT, SwitchboardInput::Alarm);
                }
            }
            self.settle().await;
        }
        let mut inner = self.inner.borrow_mut();
        inner.now = inner.now.max(to);
    }

    /// Hands an event to a room, as its object would: none when the room is unavailable.
    pub fn tell_room(&self, call: &CallId, input: RoomInput) -> Option<RoomResponse> {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        if inner.faults.rooms || inner.broken.contains(call) {
            return None;
        }
        if !inner.rooms.contains_key(call) {
            let store = SqlRoomStore::open(Sqlite::open()?).ok()?;
            let object =
                RoomObject { room: None, store, alarm: None, nodes: BTreeSet::new(), watchers: BTreeSet::new() };
            inner.rooms.insert(call.clone(), object);
        }
        let object = inner.rooms.get_mut(call)?;
        if inner.faults.evictions {
            object.room = None;
        }
        let room = match &mut object.room {
            Some(room) => room,
            empty => empty.insert(Room::load(&object.store, self.config.tickets.clone()).ok()?),
        };
        let output = room.handle(&mut object.store, inner.now, input).ok()?;
        object.alarm = output.alarm;
        for effect in output.effects {
            match effect {
                Effect::Send { socket, text } => inner.sockets.entry(socket).or_default().received.push(text),
                Effect::Close { socket, code, .. } => {
                    inner.sockets.entry(socket.clone()).or_default().closed.get_or_insert(code);
                    object.nodes.remove(&socket);
                    object.watchers.remove(&socket);
                }
                Effect::Broadcast { text } => {
                    for socket in &object.watchers {
                        inner.sockets.entry(socket.clone()).or_default().received.push(text.clone());
                    }
                }
                Effect::CloseWatchers { code } => {
                    for socket in std::mem::take(&mut object.watchers) {
                        inner.sockets.entry(socket).or_default().closed.get_or_insert(code);
                    }
                }
                Effect::Work(work) => inner.pending.push_back(Pending::Work(call.clone(), Box::new(work))),
            }
        }
        Some(output.answer)
    }

    fn tell_switchboard(&self, name: &'static str, input: SwitchboardInput) -> Option<SwitchboardResponse> {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        if inner.faults.switchboard {
            return None;
        }
        let object = inner.switchboards.get_mut(name)?;
        if inner.faults.evictions {
            object.machine = None;
        }
        let machine = match &mut object.machine {
            Some(machine) => machine,
            empty => empty.insert(Switchboard::load(&object.sql, inner.now).ok()?),
        };
        let SwitchboardOutput { answer, effects, alarm } = machine.handle(&object.sql, inner.now, input).ok()?;
        object.alarm = alarm;
        for effect in effects {
            match effect {
                SwitchboardEffect::Send { socket, text } => {
                    inner.sockets.entry(socket).or_default().received.push(text)
                }
                SwitchboardEffect::Broadcast { text } => {
                    for socket in &object.watchers {
                        inner.sockets.entry(socket.clone()).or_default().received.push(text.clone());
                    }
                }
                SwitchboardEffect::LoadMirror { held } => inner.pending.push_back(Pending::LoadMirror(held)),
            }
        }
        Some(answer)
    }

    fn new_socket(&self) -> SocketId {
        let mut inner = self.inner.borrow_mut();
        inner.next_socket += 1;
        let socket = SocketId(format!("socket-{}", inner.next_socket));
        inner.sockets.insert(socket.clone(), Socket::default());
        socket
    }

    /// Opens a node's socket to a room.
    pub fn open_node(&self, call: &CallId, entry: NodeEntry) -> SocketId {
        let socket = self.new_socket();
        if let Some(object) = self.inner.borrow_mut().rooms.get_mut(call) {
            object.nodes.insert(socket.clone());
        }
        self.tell_room(call, RoomInput::NodeOpened { socket: socket.clone(), entry });
        socket
    }

    /// Opens a watcher's socket to a room.
    pub fn open_watcher(&self, call: &CallId, from_seq: Option<u64>) -> SocketId {
        let socket = self.new_socket();
        if let Some(object) = self.inner.borrow_mut().rooms.get_mut(call) {
            object.watchers.insert(socket.clone());
        }
        self.tell_room(call, RoomInput::WatcherOpened { socket: socket.clone(), from_seq });
        socket
    }

    /// Opens a watcher's socket to the board.
    pub fn open_board(&self) -> SocketId {
        let socket = self.new_socket();
        if let Some(object) = self.inner.borrow_mut().switchboards.get_mut(MAIN_OBJECT) {
            object.watchers.insert(socket.clone());
        }
        self.tell_switchboard(MAIN_OBJECT, SwitchboardInput::WatcherOpened { socket: socket.clone() });
        socket
    }

    /// A socket as its other end sees it.
    pub fn socket(&self, socket: &SocketId) -> Socket {
        self.inner.borrow().sockets.get(socket).cloned().unwrap_or_default()
    }

    /// Takes what a socket received so far.
    pub fn take_received(&self, socket: &SocketId) -> Vec<String> {
        self.inner.borrow_mut().sockets.get_mut(socket).map(|s| std::mem::take(&mut s.received)).unwrap_or_default()
    }

    /// How many rooms have ever been asked anything.
    pub fn room_count(&self) -> usize {
        self.inner.borrow().rooms.len()
    }

    /// Runs a statement on D1 directly.
    pub fn query(&self, sql: &'static str) -> Vec<Row> {
        let statement = Statement { sql, values: Vec::new() };
        self.inner.borrow().database.batch(vec![statement]).ok().and_then(|mut r| r.pop()).unwrap_or_default()
    }
}

impl Entropy for World {
    /// Not random at all: the same run gives the same bytes.
    fn fill(&self, bytes: &mut [u8]) {
        let mut inner = self.inner.borrow_mut();
        for byte in bytes {
            // The multiplier and increment are Knuth's MMIX.
            inner.entropy =
                inner.entropy.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (inner.entropy >> 56) as u8;
        }
    }
}

impl Rooms for World {
    async fn room(&self, call: &CallId, request: RoomRequest) -> Result<RoomResponse, Unavailable> {
        self.inner.borrow_mut().asked.rooms += 1;
        self.speak().await;
        // Through JSON, as between Worker and object.
        let request = through_json(&request).ok_or(Unavailable)?;
        let answer = self.tell_room(call, RoomInput::Request(request)).ok_or(Unavailable)?;
        through_json(&answer).ok_or(Unavailable)
    }
}

impl Switchboards for World {
    async fn switchboard(&self, request: SwitchboardRequest) -> Result<SwitchboardResponse, Unavailable> {
        self.inner.borrow_mut().asked.switchboard += 1;
        self.speak().await;
        let mut salt = [0; 16];
        self.fill(&mut salt);
        let name = request.object();
        let request = through_json(&request).ok_or(Unavailable)?;
        let input = SwitchboardInput::Request { request, salt };
        let answer = self.tell_switchboard(name, input).ok_or(Unavailable)?;
        through_json(&answer).ok_or(Unavailable)
    }
}

impl Database for World {
    async fn run(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, DatabaseFault> {
        self.speak().await;
        let mut inner = self.inner.borrow_mut();
        inner.asked.database += 1;
        match inner.faults.database {
            Some(fault) => Err(fault),
            None => inner.database.batch(statements),
        }
    }
}

impl TwilioRest for World {
    async fn send(&self, request: Outgoing) -> Result<Incoming, NoAnswer> {
        let mut inner = self.inner.borrow_mut();
        inner.asked.twilio += 1;
        let now = inner.now;
        inner.twilio.answer(request, now)
    }
}

impl Patience for World {
    /// Time only passes by hand here: as long as anybody answers, patience does not end.
    async fn wait(&self, _millis: u32) {
        if !self.inner.borrow().faults.silence {
            std::future::pending::<()>().await;
        }
    }
}

impl Journal for World {
    fn record(&self, record: Record) {
        self.inner.borrow_mut().journal.push(record);
    }
}

fn through_json<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> Option<T> {
    serde_json::from_str(&serde_json::to_string(value).ok()?).ok()
}
