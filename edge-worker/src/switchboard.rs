//! The Durable Object of the live index, and of the vault, which is another object of the same class: it hands each event to
//! the core's Switchboard and performs what that wants done.

use crate::alarm::Alarm;
use crate::clock;
use crate::objects::{self, Wanted};
use crate::sockets::{self, Kind};
use crate::sqlite::{ObjectSql, atomically};
use crate::watchers::Watchers;
use crate::world::World;
use edge_core::mirror;
use edge_core::parking;
use edge_core::passes::Pass;
use edge_core::ports::{Entropy as _, Journal as _, Level, Record, SqlFault};
use edge_core::switchboard::{
    Switchboard as Machine, SwitchboardEffect, SwitchboardInput, SwitchboardOutput, SwitchboardRequest,
    SwitchboardResponse,
};
use serde::{Deserialize, Serialize};
use shared::time::UnixMillis;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use worker::{
    DurableObject, Env, Error, Request, Response, Result, Socket, State, WebSocket, WebSocketIncomingMessage,
    durable_object,
};

/// When an event could not be taken, the object tries again by itself, milliseconds.
const RETRY_MS: i64 = 5_000;
/// Close code when the event could not be taken: the watcher reconnects.
const CLOSE_UNAVAILABLE: u16 = 1011;

/// A socket that the Worker hands over, after it has checked everything.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum BoardSocket {
    /// A watcher's of the board.
    Watcher {
        /// What it came in with.
        pass: Pass,
    },
}

/// Which nodes are alive and which calls are live; or the vault of passwords.
#[durable_object]
pub struct Switchboard {
    office: Rc<Office>,
}

/// What the object's events share.
struct Office {
    state: State,
    world: World,
    /// None: to be loaded at the next event.
    machine: RefCell<Option<Machine>>,
    alarm: Alarm,
    watchers: Watchers,
}

impl DurableObject for Switchboard {
    fn new(state: State, env: Env) -> Self {
        sockets::answer_pings(&state);
        let office = Office {
            state,
            world: World::new(env),
            machine: RefCell::default(),
            alarm: Alarm::default(),
            watchers: Watchers::default(),
        };
        Self { office: Rc::new(office) }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        match objects::wanted::<SwitchboardRequest, BoardSocket>(request).await {
            Some(Wanted::Asked(request)) => {
                let answer = ask(&self.office, request).await;
                objects::answer::<SwitchboardResponse>(answer.as_ref())
            }
            Some(Wanted::Attached(BoardSocket::Watcher { pass })) => attach(&self.office, &pass).await,
            None => objects::answer::<SwitchboardResponse>(None),
        }
    }

    /// Never fails while it can still arm the next ring: the runtime gives up after six failures.
    async fn alarm(&self) -> Result<Response> {
        self.office.alarm.rang();
        if event(&self.office, SwitchboardInput::Alarm).await.is_none() {
            self.office.alarm.set(&self.office.state, Some(clock::now().plus(RETRY_MS))).await?;
        }
        Response::empty()
    }

    async fn websocket_message(&self, socket: WebSocket, message: WebSocketIncomingMessage) -> Result<()> {
        // A watcher of the board has nothing to say.
        if let Some((_, name)) = sockets::identify(&self.office.state, &socket) {
            self.office.watchers.heard(&socket, &name, &message, clock::now());
        }
        Ok(())
    }

    async fn websocket_close(&self, socket: WebSocket, code: usize, _reason: String, _clean: bool) -> Result<()> {
        sockets::close_back(&socket, code);
        Ok(())
    }

    async fn websocket_error(&self, _socket: WebSocket, _error: Error) -> Result<()> {
        Ok(())
    }

    async fn connect(&self, _socket: Socket) -> Result<()> {
        Ok(())
    }
}

async fn attach(office: &Rc<Office>, pass: &Pass) -> Result<Response> {
    let mut name = [0; 16];
    office.world.fill(&mut name);
    let (socket, response) = match sockets::accept(&office.state, Kind::Watcher, name, Some(pass)) {
        Ok(accepted) => accepted,
        Err(_) => return objects::answer::<SwitchboardResponse>(None),
    };
    if event(office, SwitchboardInput::WatcherOpened { socket: socket.clone() }).await.is_none() {
        sockets::close(&office.state, &socket, CLOSE_UNAVAILABLE, "try again");
    }
    Ok(response)
}

async fn ask(office: &Rc<Office>, request: SwitchboardRequest) -> Option<SwitchboardResponse> {
    let mut salt = [0; 16];
    office.world.fill(&mut salt);
    event(office, SwitchboardInput::Request { request, salt }).await
}

/// One event from its arrival to its effects; none when it could not be taken.
async fn event(office: &Rc<Office>, input: SwitchboardInput) -> Option<SwitchboardResponse> {
    let now = clock::now();
    let output = step(office, now, input)?;
    let load = office.perform(output.effects);
    let alarm = office.watchers.alarm(&office.state, now, output.alarm);
    if office.alarm.set(&office.state, alarm).await.is_err() {
        office.note("the Switchboard's alarm could not be set");
    }
    if let Some(held) = load {
        office.state.wait_until(load_mirror(Rc::clone(office), held));
    }
    // After any event, not only when the alarm rings: an event right before it moves the alarm on.
    if office.watchers.is_due(now) {
        let office = Rc::clone(office);
        let state = Rc::clone(&office);
        state.state.wait_until(async move { office.watchers.look(&office.state, &office.world, now).await });
    }
    Some(output.answer)
}

/// The event itself, without a pause: everything that it writes commits together, or nothing does.
fn step(office: &Rc<Office>, now: UnixMillis, input: SwitchboardInput) -> Option<SwitchboardOutput> {
    let inside = Rc::clone(office);
    match atomically(&office.state, move || inside.handle(now, input)) {
        Ok(output) => Some(output),
        Err(SqlFault) => {
            office.machine.borrow_mut().take();
            office.note("the Switchboard's storage failed");
            None
        }
    }
}

/// Reads the configuration beside the object's events, and hands over reports that their rooms could not take. When D1 is away the machine's own alarm asks again. (Boxed: it
/// leads to more of its kind.)
fn load_mirror(office: Rc<Office>, held: u64) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        match mirror::load(&office.world).await {
            Ok(mirror) => {
                ask(&office, SwitchboardRequest::Fetched { mirror: Box::new(mirror), held }).await;
            }
            Err(_) => office.note("the configuration could not be read from D1"),
        }
        parking::drain(&office.world, crate::clock::now()).await;
    })
}

impl Office {
    fn handle(&self, now: UnixMillis, input: SwitchboardInput) -> std::result::Result<SwitchboardOutput, SqlFault> {
        let sql = ObjectSql::new(&self.state);
        let mut slot = self.machine.borrow_mut();
        let machine = match slot.as_mut() {
            Some(machine) => machine,
            None => slot.insert(Machine::load(&sql, now)?),
        };
        machine.handle(&sql, now, input)
    }

    /// Sends at once; says whether the mirror is to be loaded, and which version is held.
    fn perform(&self, effects: Vec<SwitchboardEffect>) -> Option<u64> {
        let mut load = None;
        for effect in effects {
            match effect {
                SwitchboardEffect::Send { socket, text } => sockets::send(&self.state, &socket, &text),
                SwitchboardEffect::Broadcast { text } => sockets::broadcast(&self.state, &text),
                SwitchboardEffect::LoadMirror { held } => load = Some(held),
            }
        }
        load
    }

    fn note(&self, message: &'static str) {
        self.world.record(Record { level: Level::Error, message, call: None, detail: None });
    }
}
