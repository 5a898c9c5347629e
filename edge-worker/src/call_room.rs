//! The Durable Object of one call: it hands each event to the core's room and performs what the room wants done. What a
//! room decides stands in the core; this object owns its storage, its sockets, its alarm and nothing else.

use crate::alarm::Alarm;
use crate::clock;
use crate::objects::{self, Wanted};
use crate::sockets::{self, Kind};
use crate::sqlite::{ObjectSql, atomically};
use crate::watchers::Watchers;
use crate::world::World;
use edge_core::call_room::{
    Effect, NodeEntry, Room, RoomInput, RoomOutput, RoomRequest, RoomResponse, SqlRoomStore, StoreFault, Work,
};
use edge_core::passes::Pass;
use edge_core::ports::{Entropy as _, Journal as _, Level, Record};
use edge_core::work;
use serde::{Deserialize, Serialize};
use shared::ids::CallId;
use shared::node_api::{CLOSE_BAD_MESSAGE, MAX_MESSAGE_BYTES};
use shared::time::UnixMillis;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use worker::{
    DurableObject, Env, Error, Request, Response, Result, Socket, State, WebSocket, WebSocketIncomingMessage,
    durable_object,
};

/// When a room that could not take an event tries again by itself, milliseconds.
const RETRY_MS: i64 = 5_000;
/// Close code for a socket whose event could not be stored: the other end reconnects and goes on.
const CLOSE_UNAVAILABLE: u16 = 1011;

/// A socket that the Worker hands over, after it has checked everything.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub(crate) enum RoomSocket {
    /// A node's.
    Node {
        /// Its verified credential.
        entry: NodeEntry,
    },
    /// A watcher's.
    Watcher {
        /// The last fact that it has.
        from_seq: Option<u64>,
        /// What it came in with.
        pass: Pass,
    },
}

/// The truth of one call.
#[durable_object]
pub struct CallRoom {
    hall: Rc<Hall>,
}

/// What the object's events share.
struct Hall {
    state: State,
    world: World,
    /// The room and its store; none: to be loaded at the next event.
    room: RefCell<Option<(Room, SqlRoomStore<ObjectSql>)>>,
    alarm: Alarm,
    watchers: Watchers,
}

impl DurableObject for CallRoom {
    fn new(state: State, env: Env) -> Self {
        sockets::answer_pings(&state);
        let hall = Hall {
            state,
            world: World::new(env),
            room: RefCell::default(),
            alarm: Alarm::default(),
            watchers: Watchers::default(),
        };
        Self { hall: Rc::new(hall) }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        match objects::wanted::<RoomRequest, RoomSocket>(request).await {
            Some(Wanted::Asked(request)) => {
                let answer = event(&self.hall, RoomInput::Request(request)).await;
                objects::answer::<RoomResponse>(answer.as_ref())
            }
            Some(Wanted::Attached(socket)) => attach(&self.hall, socket).await,
            None => objects::answer::<RoomResponse>(None),
        }
    }

    /// Never fails while it can still arm the next ring: the runtime gives up after six failures.
    async fn alarm(&self) -> Result<Response> {
        self.hall.alarm.rang();
        if event(&self.hall, RoomInput::Alarm).await.is_none() {
            self.hall.alarm.set(&self.hall.state, Some(clock::now().plus(RETRY_MS))).await?;
        }
        Response::empty()
    }

    async fn websocket_message(&self, socket: WebSocket, message: WebSocketIncomingMessage) -> Result<()> {
        let Some((kind, name)) = sockets::identify(&self.hall.state, &socket) else { return Ok(()) };
        match (kind, message) {
            (Kind::Node, WebSocketIncomingMessage::String(text)) if text.len() <= MAX_MESSAGE_BYTES => {
                if event(&self.hall, RoomInput::NodeText { socket: name, text }).await.is_none() {
                    let _ = socket.close(Some(CLOSE_UNAVAILABLE), Some("try again"));
                }
            }
            (Kind::Node, WebSocketIncomingMessage::String(_) | WebSocketIncomingMessage::Binary(_)) => {
                let _ = socket.close(Some(CLOSE_BAD_MESSAGE), Some("not a message of this protocol"));
            }
            (Kind::Watcher, message) => self.hall.watchers.heard(&socket, &name, &message, clock::now()),
        }
        Ok(())
    }

    async fn websocket_close(&self, socket: WebSocket, code: usize, _reason: String, _clean: bool) -> Result<()> {
        sockets::close_back(&socket, code);
        self.gone(&socket).await
    }

    async fn websocket_error(&self, socket: WebSocket, _error: Error) -> Result<()> {
        self.gone(&socket).await
    }

    async fn connect(&self, _socket: Socket) -> Result<()> {
        Ok(())
    }
}

impl CallRoom {
    async fn gone(&self, socket: &WebSocket) -> Result<()> {
        if let Some((Kind::Node, name)) = sockets::identify(&self.hall.state, socket) {
            event(&self.hall, RoomInput::NodeClosed { socket: name }).await;
        }
        Ok(())
    }
}

/// Accepts a socket, then tells the room about it.
async fn attach(hall: &Rc<Hall>, socket: RoomSocket) -> Result<Response> {
    let (kind, pass) = match &socket {
        RoomSocket::Node { .. } => (Kind::Node, None),
        RoomSocket::Watcher { pass, .. } => (Kind::Watcher, Some(pass)),
    };
    let mut name = [0; 16];
    hall.world.fill(&mut name);
    let (name, response) = match sockets::accept(&hall.state, kind, name, pass) {
        Ok(accepted) => accepted,
        Err(_) => return objects::answer::<RoomResponse>(None),
    };
    let input = match socket {
        RoomSocket::Node { entry } => RoomInput::NodeOpened { socket: name.clone(), entry },
        RoomSocket::Watcher { from_seq, .. } => RoomInput::WatcherOpened { socket: name.clone(), from_seq },
    };
    if event(hall, input).await.is_none() {
        sockets::close(&hall.state, &name, CLOSE_UNAVAILABLE, "try again");
    }
    Ok(response)
}

/// One event from its arrival to its effects; none when the room could not take it.
async fn event(hall: &Rc<Hall>, input: RoomInput) -> Option<RoomResponse> {
    let now = clock::now();
    let output = step(hall, now, input)?;
    let works = hall.perform(output.effects);
    // A room that was never opened has nothing to do or to wake up for: even an alarm would leave something behind.
    if !hall.is_open() {
        return Some(output.answer);
    }
    let alarm = hall.watchers.alarm(&hall.state, now, output.alarm);
    if hall.alarm.set(&hall.state, alarm).await.is_err() {
        hall.note(Level::Error, "a room's alarm could not be set");
    }
    for work in works {
        hall.state.wait_until(carry_out(Rc::clone(hall), work));
    }
    // After any event, not only when the alarm rings: an event right before it moves the alarm on.
    if hall.watchers.is_due(now) {
        let hall = Rc::clone(hall);
        let state = Rc::clone(&hall);
        state.state.wait_until(async move { hall.watchers.look(&hall.state, &hall.world, now).await });
    }
    Some(output.answer)
}

/// The event itself, without a pause: everything that it writes commits together, or nothing does.
fn step(hall: &Rc<Hall>, now: UnixMillis, input: RoomInput) -> Option<RoomOutput> {
    let inside = Rc::clone(hall);
    let outcome = atomically(&hall.state, move || inside.handle(now, input));
    match outcome {
        Ok(output) => Some(output),
        Err(fault) => {
            // What is in memory may be ahead of what is stored.
            hall.room.borrow_mut().take();
            hall.note(
                Level::Error,
                match fault {
                    StoreFault::Engine => "a room's storage failed",
                    StoreFault::Unreadable => "a room's storage holds something unreadable",
                },
            );
            None
        }
    }
}

/// Work outside runs beside the object's events; its outcome is an event of its own. (Boxed: it leads to more of its kind.)
fn carry_out(hall: Rc<Hall>, work: Work) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        let Ok(config) = hall.world.config() else { return };
        let done = work::perform(&config, &hall.world, work).await;
        event(&hall, done).await;
    })
}

impl Hall {
    fn handle(&self, now: UnixMillis, input: RoomInput) -> std::result::Result<RoomOutput, StoreFault> {
        let mut slot = self.room.borrow_mut();
        let (room, store) = match slot.as_mut() {
            Some(loaded) => loaded,
            None => {
                let config = self.world.config().map_err(|_| StoreFault::Engine)?;
                let store = SqlRoomStore::open(ObjectSql::new(&self.state))?;
                slot.insert((Room::load(&store, config.tickets.clone())?, store))
            }
        };
        room.handle(store, now, input)
    }

    fn is_open(&self) -> bool {
        self.room.borrow().as_ref().is_some_and(|(room, _)| room.is_open())
    }

    /// Sends and closes at once; hands back what has to wait.
    fn perform(&self, effects: Vec<Effect>) -> Vec<Work> {
        let mut works = Vec::new();
        for effect in effects {
            match effect {
                Effect::Send { socket, text } => sockets::send(&self.state, &socket, &text),
                Effect::Close { socket, code, reason } => sockets::close(&self.state, &socket, code, reason),
                Effect::Broadcast { text } => sockets::broadcast(&self.state, &text),
                Effect::CloseWatchers { code } => sockets::close_watchers(&self.state, code),
                Effect::Work(work) => works.push(work),
            }
        }
        works
    }

    fn note(&self, level: Level, message: &'static str) {
        let call = self.state.id().name().and_then(|name| CallId::parse(&name).ok());
        self.world.record(Record { level, message, call, detail: None });
    }
}
