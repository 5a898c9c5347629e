//! The watchers of one object: as long as any is here, its alarm also rings to ask whether what they came in with still
//! lives, and whoever's does not is sent off. When that is asked and what it means is the core's.

use crate::sockets;
use crate::world::World;
use edge_core::call_room::SocketId;
use edge_core::pace::Pace;
use edge_core::passes;
use edge_core::ports::{Journal as _, Level, Record};
use shared::console_api::{CLOSE_SIGNED_OUT, MAX_CLIENT_MESSAGE_BYTES};
use shared::time::UnixMillis;
use std::cell::{Cell, RefCell};
use worker::{State, WebSocket, WebSocketIncomingMessage};

/// Close code for a message over its limit.
const CLOSE_TOO_BIG: u16 = 1009;
/// Close code for too many messages.
const CLOSE_TOO_MANY: u16 = 1008;

/// What this instance knows about its watchers' passes.
#[derive(Default)]
pub(crate) struct Watchers {
    /// When they were last asked about.
    looked: Cell<Option<UnixMillis>>,
    pace: RefCell<Pace>,
}

impl Watchers {
    /// The object's alarm with the next look, if somebody watches.
    pub(crate) fn alarm(&self, state: &State, now: UnixMillis, alarm: Option<UnixMillis>) -> Option<UnixMillis> {
        if sockets::passes(state).is_empty() {
            return alarm;
        }
        let look = passes::next_look(now);
        Some(alarm.map_or(look, |at| at.min(look)))
    }

    /// A watcher said something. `seen` asks for nothing and unknown kinds are ignored, but nobody may say too much.
    pub(crate) fn heard(
        &self,
        socket: &WebSocket,
        name: &SocketId,
        message: &WebSocketIncomingMessage,
        now: UnixMillis,
    ) {
        let small = matches!(message, WebSocketIncomingMessage::String(text) if text.len() <= MAX_CLIENT_MESSAGE_BYTES);
        if !small {
            let _ = socket.close(Some(CLOSE_TOO_BIG), Some("message too big"));
        } else if !self.pace.borrow_mut().take(name, now) {
            let _ = socket.close(Some(CLOSE_TOO_MANY), Some("too many messages"));
        }
    }

    /// Whether it is time to [`Watchers::look`].
    pub(crate) fn is_due(&self, now: UnixMillis) -> bool {
        passes::is_due(self.looked.get(), now)
    }

    /// Asks, and sends off whoever has signed out or whose key is gone.
    pub(crate) async fn look(&self, state: &State, world: &World, now: UnixMillis) {
        self.looked.set(Some(now));
        let here = sockets::passes(state);
        if here.is_empty() {
            return;
        }
        match passes::ended(world, now, here).await {
            Ok(ended) => {
                for pass in ended {
                    sockets::close_pass(state, &pass, CLOSE_SIGNED_OUT, "signed out");
                }
            }
            Err(_) => {
                let message = "whether watchers are still signed in could not be asked";
                world.record(Record { level: Level::Warn, message, call: None, detail: None });
            }
        }
    }
}
