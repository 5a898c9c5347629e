//! The session: wires the small machines of a call together.

use crate::{Action, Input, Now, SessionConfig};
use shared::ids::StreamSid;
use shared::time::UnixMillis;
use std::collections::VecDeque;

/// A call on this node.
#[derive(Debug)]
pub struct Session {
    stream_sid: StreamSid,
    config: SessionConfig,
    wall: UnixMillis,
    actions: VecDeque<Action>,
}

impl Session {
    /// After Twilio's `start`: the stream is known, the plan is not yet. `wall` is the wall time at `Now` zero.
    pub fn new(stream_sid: StreamSid, config: SessionConfig, wall: UnixMillis) -> Self {
        Self { stream_sid, config, wall, actions: VecDeque::new() }
    }

    /// Takes one input in. `now` never goes back; an earlier one counts as the latest known.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        let _ = (&self.stream_sid, &self.config, self.wall, now, input);
    }

    /// The next thing to do; call it until it is empty after every [`Session::handle`].
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Input::Timeout`] is due; none: no deadline is running.
    pub fn poll_timeout(&self) -> Option<Now> {
        None
    }

    /// Whether [`Action::Ended`] has been queued: inputs are ignored from then on.
    pub fn is_over(&self) -> bool {
        false
    }
}
