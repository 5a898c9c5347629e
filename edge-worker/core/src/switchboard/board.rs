//! The live calls, as their rooms report them: of two reports the higher version wins, and a call that is over stays over.

use serde::{Deserialize, Serialize};
use shared::console_api::{BoardCall, BoardMessage};
use shared::ids::{CallId, CallSid};
use shared::time::UnixMillis;
use std::collections::BTreeMap;

/// Most live calls shown.
const MOST_CALLS: usize = 10_000;
/// How long an ended call is remembered, so that a late report does not bring it back.
const REMEMBER_MS: i64 = 3_600_000;

/// A call that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Gone {
    version: u64,
    call_sid: Option<CallSid>,
    at: UnixMillis,
}

/// The index of live calls.
#[derive(Debug, Default)]
pub(super) struct Board {
    live: BTreeMap<CallId, BoardCall>,
    gone: BTreeMap<CallId, Gone>,
}

/// What a report changed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// Nothing: it is old.
    Nothing,
    /// A call appeared or changed.
    Live(Box<BoardCall>),
    /// A call is over. Whether it was shown before.
    Gone(CallId, bool),
}

impl Change {
    /// What watchers are told.
    pub(super) fn message(self) -> Option<BoardMessage> {
        match self {
            Self::Live(call) => Some(BoardMessage::Call { call: *call }),
            Self::Gone(call, true) => Some(BoardMessage::Gone { call }),
            Self::Gone(_, false) | Self::Nothing => None,
        }
    }
}

impl Board {
    /// Takes back what was stored.
    pub(super) fn restore(&mut self, call: BoardCall) {
        self.live.insert(call.call.clone(), call);
    }

    /// Takes a room's report.
    pub(super) fn report(&mut self, call: BoardCall, over: bool, now: UnixMillis) -> Change {
        let known = self.live.get(&call.call).map(|c| c.version).max(self.gone.get(&call.call).map(|g| g.version));
        if known.is_some_and(|version| version >= call.version) {
            return Change::Nothing;
        }
        if over || self.gone.contains_key(&call.call) {
            let shown = self.live.remove(&call.call).is_some();
            let gone = Gone { version: call.version, call_sid: call.call_sid, at: now };
            self.gone.insert(call.call.clone(), gone);
            return Change::Gone(call.call, shown);
        }
        if self.live.len() >= MOST_CALLS && !self.live.contains_key(&call.call) {
            return Change::Nothing;
        }
        self.live.insert(call.call.clone(), call.clone());
        Change::Live(Box::new(call))
    }

    /// Every live call.
    pub(super) fn calls(&self) -> Vec<BoardCall> {
        self.live.values().cloned().collect()
    }

    /// The call with this name at Twilio, live or recently over. Should two claim it, the one that was opened first has it.
    pub(super) fn resolve(&self, call_sid: &CallSid) -> Option<CallId> {
        let claims = self.live.iter().filter(|(_, c)| c.call_sid.as_ref() == Some(call_sid));
        let live = claims.min_by_key(|(_, c)| c.opened_at).map(|(id, _)| id);
        let gone = || self.gone.iter().find(|(_, g)| g.call_sid.as_ref() == Some(call_sid)).map(|(id, _)| id);
        live.or_else(gone).cloned()
    }

    /// Forgets calls that ended long ago.
    pub(super) fn forget(&mut self, now: UnixMillis) {
        self.gone.retain(|_, gone| now.since(gone.at) <= REMEMBER_MS);
    }
}
