//! Finding a call by either of its names, wherever it stands: the room has the truth, the history has what is settled, the
//! Switchboard knows the live ones by Twilio's name.

use super::refusal::Refusal;
use crate::call_room::{RoomRequest, RoomResponse, Shown};
use crate::config::Config;
use crate::history::{self, CallKey, StoredCall};
use crate::ports::{DatabaseFault, Ports};
use crate::switchboard::{SwitchboardRequest, SwitchboardResponse};
use shared::ids::{AccountSid, CallId, CallSid};
use shared::secret::sha256;

/// The id of a call that Twilio brought to us: the same for ever, so that a repeated webhook meets the same room.
pub(super) fn call_of_sid(account: &AccountSid, call_sid: &CallSid) -> CallId {
    derive(&format!("leg\n{account}\n{call_sid}"))
}

/// The id of a call that was asked for under an idempotency key. `attempt` counts the calls that were given up for too many
/// requests before.
pub(super) fn call_of_key(scope: &str, key: &str, attempt: u32) -> CallId {
    derive(&match attempt {
        0 => format!("idempotency\n{scope}\n{key}"),
        again => format!("idempotency\n{scope}\n{key}\n{again}"),
    })
}

fn derive(text: &str) -> CallId {
    let hash = sha256(text.as_bytes());
    let mut digest = [0; 16];
    for (to, from) in digest.iter_mut().zip(hash) {
        *to = from;
    }
    CallId::derived(digest)
}

/// A call as found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum FoundCall {
    /// Its room shows it.
    Live(Box<Shown>),
    /// The history has it, and nothing changes any more (or its room could not be asked).
    Stored(Box<StoredCall>),
}

/// Finds a call; 404 when nobody knows it, 503 when nobody could say.
pub(super) async fn find<P: Ports>(config: &Config, ports: &P, name: &str) -> Result<FoundCall, Refusal> {
    let key = CallKey::read(name).ok_or_else(|| Refusal::not_found("call"))?;
    let stored = history::find(ports, &key).await;
    if let Ok(Some(stored)) = &stored
        && stored.settled
    {
        return Ok(FoundCall::Stored(Box::new(stored.clone())));
    }
    let mut unclear = stored.is_err();
    let known = stored.ok().flatten();
    for call in rooms_of(config, ports, &key, known.as_ref()).await {
        match ports.room(&call, RoomRequest::Read).await {
            Ok(RoomResponse::Call(shown)) => return Ok(FoundCall::Live(shown)),
            Ok(_) => {}
            Err(_) => unclear = true,
        }
    }
    match known {
        Some(stored) => Ok(FoundCall::Stored(Box::new(stored))),
        None if unclear => Err(Refusal::unavailable()),
        None => Err(Refusal::not_found("call")),
    }
}

/// The rooms that a name may mean, the likeliest first; at most two.
async fn rooms_of<P: Ports>(config: &Config, ports: &P, key: &CallKey, known: Option<&StoredCall>) -> Vec<CallId> {
    let sid = match (key, known) {
        (CallKey::Call(call), _) => return vec![call.clone()],
        (CallKey::Sid(_), Some(stored)) => return vec![stored.row.call.clone()],
        (CallKey::Sid(sid), None) => sid,
    };
    let asked = ports.switchboard(SwitchboardRequest::Resolve { call_sid: sid.clone() }).await;
    let live = match asked {
        Ok(SwitchboardResponse::Call(call)) => call,
        Ok(_) | Err(_) => None,
    };
    live.into_iter().chain(std::iter::once(call_of_sid(&config.account, sid))).collect()
}

/// The room to which an order for a call goes; 404 when nobody knows the call.
pub(super) async fn room<P: Ports>(config: &Config, ports: &P, name: &str) -> Result<CallId, Refusal> {
    let key = CallKey::read(name).ok_or_else(|| Refusal::not_found("call"))?;
    if let CallKey::Call(call) = &key {
        return Ok(call.clone());
    }
    match find(config, ports, name).await? {
        FoundCall::Live(shown) => Ok(shown.snapshot.call),
        FoundCall::Stored(stored) => Ok(stored.row.call),
    }
}

/// The database's fault as a refusal, for readers that need it spelt out.
impl From<&DatabaseFault> for Refusal {
    fn from(fault: &DatabaseFault) -> Self {
        Self::from(*fault)
    }
}
