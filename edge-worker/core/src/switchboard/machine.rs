//! The Switchboard itself: takes one event, asks the part that it concerns, and says what must happen.

use super::{SwitchboardInput, SwitchboardOutput, SwitchboardResponse};
use crate::ports::{Sql, SqlFault};
use shared::time::UnixMillis;

/// The Switchboard in memory, loaded from its storage and in step with it. The vault is an object of the same kind.
#[derive(Debug)]
pub struct Switchboard {}

impl Switchboard {
    /// Makes the tables where they are missing and loads what is stored.
    pub fn load(_sql: &impl Sql, _now: UnixMillis) -> Result<Self, SqlFault> {
        Ok(Self {})
    }

    /// Takes one event. A [`SqlFault`] means: answer as unavailable, drop the machine, load anew at the next event.
    pub fn handle(
        &mut self,
        _sql: &impl Sql,
        _now: UnixMillis,
        _input: SwitchboardInput,
    ) -> Result<SwitchboardOutput, SqlFault> {
        Ok(SwitchboardOutput { answer: SwitchboardResponse::Done, effects: Vec::new(), alarm: None })
    }
}
