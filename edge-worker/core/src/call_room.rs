//! The truth of one call, as a machine: requests, sockets' messages, alarms and outcomes of earlier work in; an answer and
//! effects out. Every fact is stored before anything is said about it, and what must happen outside (projection to D1, the
//! board, Twilio's REST service) waits in an outbox inside the state until its success was reported back. Sockets, storage
//! engines and clocks live in the shell; which node gets a call is the Switchboard's decision.
//!
//! The shell's contract: one event at a time, `handle`, then perform the effects in order (a failed send to a socket is
//! ignored), then arm the alarm at `alarm` (none: delete it). [`Work`] may run after the event's answer was sent; its
//! outcome comes back as [`RoomInput::WorkDone`]. A [`StoreFault`] means that nothing may be sent: drop the machine, answer
//! as unavailable and load anew at the next event.

mod desk;
mod machine;
mod media;
mod node_line;
mod outbox;
mod projection;
mod reconcile;
pub mod store;
mod vocabulary;
mod watchers;

pub use desk::{CallView, Desk};
pub use machine::Room;
pub use store::{MemoryRoomStore, RoomStore, SqlRoomStore, StoreFault};
pub use vocabulary::*;

#[cfg(test)]
mod tests;
