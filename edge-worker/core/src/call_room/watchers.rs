//! Those who watch the call: a snapshot or the facts that they lack when they come, then every fact in order, then the end.
//! Which sockets watch is the shell's knowledge; nothing is kept here about any of them.

use super::machine::Turn;
use super::{Effect, RoomStore, SocketId, StoreFault};
use shared::console_api::{CLOSE_UNKNOWN_CALL, PROTOCOL_VERSION, ServerMessage};

/// Most facts in one message.
const STEP: u32 = 100;
/// Code with which a watcher's socket is closed once everything was said.
const CLOSE_DONE: u16 = 1000;

impl<S: RoomStore> Turn<'_, S> {
    /// A watcher came.
    pub(super) fn watcher_opened(&mut self, socket: SocketId, from_seq: Option<u64>) -> Result<(), StoreFault> {
        let Some(mut snapshot) = self.room.snapshot() else {
            self.effects.push(Effect::Close { socket, code: CLOSE_UNKNOWN_CALL, reason: "no such call" });
            return Ok(());
        };
        let head = snapshot.seq;
        match from_seq.filter(|seq| *seq <= head) {
            Some(mut after) => loop {
                let facts = self.store.facts(after, STEP)?;
                let last = facts.last().map_or(head, |fact| fact.seq);
                self.tell(&socket, &ServerMessage::Facts { facts });
                after = last;
                if after >= head {
                    break;
                }
            },
            None => {
                // The facts that follow only bring the words; how much of them was heard must be there before.
                snapshot.transcript.extend(self.room.transcript.wordless().into_iter().cloned());
                self.tell(&socket, &ServerMessage::Snapshot { protocol: PROTOCOL_VERSION, call: Box::new(snapshot) })
            }
        }
        if self.room.desk.settled {
            self.tell(&socket, &ServerMessage::Ended { seq: head });
            self.effects.push(Effect::Close { socket, code: CLOSE_DONE, reason: "the call is over" });
        }
        Ok(())
    }

    fn tell(&mut self, socket: &SocketId, message: &ServerMessage) {
        let text = serde_json::to_string(message).unwrap_or_default();
        self.effects.push(Effect::Send { socket: socket.clone(), text });
    }

    pub(super) fn broadcast(&mut self, message: &ServerMessage) {
        self.effects.push(Effect::Broadcast { text: serde_json::to_string(message).unwrap_or_default() });
    }

    /// Shows the watchers what this event added, and the end once there is one.
    pub(super) fn tell_watchers(&mut self) {
        if !self.fresh.is_empty() {
            let facts = std::mem::take(&mut self.fresh);
            self.broadcast(&ServerMessage::Facts { facts });
        }
        if self.settles() {
            self.room.desk.settled = true;
            if self.is_late() {
                self.dismiss_nodes();
            }
            let seq = self.room.desk.view.seq;
            self.broadcast(&ServerMessage::Ended { seq });
            self.effects.push(Effect::CloseWatchers { code: CLOSE_DONE });
            self.room.desk.outbox.want(super::WorkKey::Project, self.now);
        }
    }
}
