//! What goes into a session and what comes out of it: the only types that its driver and its tests need. What the values
//! do lives in `session`.

use shared::agent::VoicePlan;
use shared::call::{EndReason, Termination};
use shared::node_api::{CallPlan, NodeEvent, NodeOrder, Speaker};
use shared::time::UnixMillis;

/// Monotonic time since the call's start on this node.
pub type Now = core::time::Duration;

/// Something happened outside. Inputs of a provider connection that the session has closed ([`Action::CloseProvider`])
/// must not be delivered any more; those of the next one follow its [`Action::OpenProvider`].
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// The room's plan, or the standalone one. A second plan is ignored.
    Begin(Box<CallPlan>),
    /// One text message from Twilio, of those that follow `start`: `media`, `mark`, `dtmf`, `stop`, unknown kinds.
    Twilio(&'a str),
    /// Twilio's socket is gone and there was no `stop`.
    TwilioClosed,
    /// The provider's WebSocket is open.
    ProviderOpened,
    /// One text message from the provider.
    ProviderText(&'a str),
    /// One binary message from the provider.
    ProviderBinary(&'a [u8]),
    /// The provider's socket is gone; also when it broke without a close frame.
    ProviderClosed {
        /// The close frame's code.
        code: Option<u16>,
    },
    /// The provider's socket could not be opened.
    ProviderFailed(DialFailure),
    /// The room wants something done; answered with [`Action::OrderDone`].
    Order {
        /// The order's id, handed back.
        id: u64,
        /// What to do.
        order: NodeOrder,
    },
    /// The node is shutting down: the call goes on and is ended in good order at the deadline.
    Drain {
        /// When it must be over.
        deadline: Now,
    },
    /// End at once without a word: the room refused the node, or the node must stop now.
    Abort(EndReason),
    /// The moment that [`crate::Session::poll_timeout`] named has come.
    Timeout,
}

/// Why a provider's socket could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialFailure {
    /// The provider does not want us: a wrong key, no quota, an unknown model, or a key that this node does not have.
    /// Trying again is pointless.
    Refused {
        /// The HTTP status, if it came to one.
        status: Option<u16>,
    },
    /// It may work later: no route, no answer in time, a server's fault, too many requests.
    Unavailable {
        /// The HTTP status, if it came to one.
        status: Option<u16>,
    },
}

impl DialFailure {
    /// What an HTTP status other than 101 means for a WebSocket handshake: 408, 429 and everything outside 4xx may pass.
    pub fn from_status(status: u16) -> Self {
        match status {
            408 | 429 => Self::Unavailable { status: Some(status) },
            400..=499 => Self::Refused { status: Some(status) },
            _ => Self::Unavailable { status: Some(status) },
        }
    }
}

/// Something must be done outside. In order; audio among them may be dropped by a driver that cannot write, nothing else.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Open a socket to this voice's provider ([`crate::provider::dial`] says where and with which headers).
    OpenProvider(VoicePlan),
    /// Close the provider's socket (or stop opening it) and forget what else comes from it.
    CloseProvider,
    /// A text message for the provider.
    ToProvider(String),
    /// A binary message for the provider.
    ToProviderBinary(Vec<u8>),
    /// A text message for Twilio.
    ToTwilio(String),
    /// A fact for the room.
    Fact(NodeEvent),
    /// Words still being recognised or spoken; may be lost.
    Live {
        /// Who speaks.
        speaker: Speaker,
        /// The item that the final fact will name.
        item: String,
        /// All of the text so far; at most 4000 characters, the newest.
        text: String,
        /// When it began to be said.
        started_at: UnixMillis,
    },
    /// An order was carried out, or could not be.
    OrderDone {
        /// The order's id.
        id: u64,
        /// Why not; none: done.
        error: Option<String>,
    },
    /// Close Twilio's socket in good order: the stream is over.
    CloseTwilio,
    /// The verdict. Exactly once, and the last action.
    Ended(Termination),
}
