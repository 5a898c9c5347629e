//! The room itself: takes one event, asks the part that it concerns, saves, and says what must happen.

use super::{RoomInput, RoomOutput, RoomResponse, RoomStore, StoreFault};
use shared::ticket::TicketSigner;
use shared::time::UnixMillis;

/// A room in memory, loaded from its store and in step with it.
#[derive(Debug)]
pub struct Room {
    tickets: TicketSigner,
}

impl Room {
    /// Loads the room. `tickets` signs resume tokens.
    pub fn load(_store: &impl RoomStore, tickets: TicketSigner) -> Result<Self, StoreFault> {
        Ok(Self { tickets })
    }

    /// Takes one event.
    pub fn handle(
        &mut self,
        _store: &mut impl RoomStore,
        _now: UnixMillis,
        _input: RoomInput,
    ) -> Result<RoomOutput, StoreFault> {
        let _ = &self.tickets;
        Ok(RoomOutput { answer: RoomResponse::Done, effects: Vec::new(), alarm: None })
    }
}
