//! The live index of the deployment, as a machine: which media nodes are alive and how full, which calls are live, who
//! watches the board, and a mirror of the configuration so that `/voice` works while D1 does not. Everything here can be
//! rebuilt: nodes from heartbeats, calls from their rooms, configuration from D1. A second object of the same kind hashes
//! passwords and counts attempts, so that neither delays a call.

use crate::call_room::{NodeChoice, SocketId};
use serde::{Deserialize, Serialize};
use shared::agent::Agent;
use shared::console_api::{BoardCall, NodeView};
use shared::ids::{AgentId, CallId, CallSid, NodeId, PhoneNumber};
use shared::node_api::Heartbeat;
use shared::time::UnixMillis;
use std::collections::BTreeMap;

mod board;
mod machine;
mod nodes;
pub mod vault;

pub use machine::{LINE_TEST, SCHEMA, Switchboard, built_in, line_test};

/// What the Worker and the rooms ask; travels as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", content = "of", rename_all = "snake_case")]
pub enum SwitchboardRequest {
    /// Who answers this number, and on which node? Answered [`SwitchboardResponse::Found`].
    Lookup(Lookup),
    /// A node, other than this one if there is another. Answered [`SwitchboardResponse::Node`].
    PickNode {
        /// Whom not to choose.
        avoid: Option<NodeId>,
    },
    /// A verified heartbeat. Answered [`SwitchboardResponse::Done`], or [`SwitchboardResponse::Replayed`].
    Heartbeat(Box<SignedHeartbeat>),
    /// A room reports its call. Answered [`SwitchboardResponse::Done`].
    Report {
        /// The call.
        call: Box<BoardCall>,
        /// Whether it is over.
        over: bool,
    },
    /// Which live call has this name at Twilio? Answered [`SwitchboardResponse::Call`].
    Resolve {
        /// The leg.
        call_sid: CallSid,
    },
    /// The whole configuration as D1 has it. Answered [`SwitchboardResponse::Done`].
    Mirror(Box<Mirror>),
    /// The same, as the Switchboard itself has fetched it. Answered [`SwitchboardResponse::Done`].
    Fetched {
        /// What D1 has.
        mirror: Box<Mirror>,
        /// The version that the Switchboard held when it began to ask. When D1 then has a lower one, D1 was restored from a
        /// backup, and its word counts.
        held: u64,
    },
    /// Which nodes are there? Answered [`SwitchboardResponse::Nodes`].
    Nodes,
    /// Hash a new password, for whoever has proved that they may set one: nothing is counted. Answered
    /// [`SwitchboardResponse::Hashed`].
    HashPassword {
        /// The password.
        password: Password,
    },
    /// Is this the password of that hash? Answered [`SwitchboardResponse::Checked`], or [`SwitchboardResponse::TooMany`].
    CheckPassword {
        /// The password.
        password: Password,
        /// The stored hash; none: there is no such account (the same time is spent).
        hash: Option<String>,
        /// What the attempt counts for, beside [`vault::DEPLOYMENT`].
        buckets: Vec<String>,
    },
}

impl SwitchboardRequest {
    /// The name of the object that answers this request.
    pub fn object(&self) -> &'static str {
        match self {
            Self::Lookup(_)
            | Self::PickNode { .. }
            | Self::Heartbeat(_)
            | Self::Report { .. }
            | Self::Resolve { .. }
            | Self::Mirror(_)
            | Self::Fetched { .. }
            | Self::Nodes => MAIN_OBJECT,
            Self::HashPassword { .. } | Self::CheckPassword { .. } => VAULT_OBJECT,
        }
    }
}

/// Name of the object that holds the live index; board watchers attach to it.
pub const MAIN_OBJECT: &str = "main";
/// Name of the object that hashes passwords.
pub const VAULT_OBJECT: &str = "vault";

/// A password on its way to the vault; does not print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(pub String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("•••")
    }
}

/// Whom a lookup is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lookup {
    /// The number that was called.
    pub number: Option<PhoneNumber>,
    /// An agent asked for by name; it wins over the number.
    pub agent: Option<AgentId>,
    /// Whether a node is wanted too.
    pub with_node: bool,
}

/// A heartbeat whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedHeartbeat {
    /// It.
    pub heartbeat: Heartbeat,
    /// When it was signed, by the node's clock.
    pub at: UnixMillis,
    /// Its nonce.
    pub nonce: String,
}

/// The configuration, mirrored.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mirror {
    /// Raised with every change in D1, at least to the time of the change in milliseconds, so that no version comes twice
    /// even after D1 was restored; the highest wins.
    pub version: u64,
    /// Every agent but the built-in one.
    pub agents: Vec<Agent>,
    /// Who answers which number.
    pub numbers: BTreeMap<String, AgentId>,
    /// Who answers everything else; none: the built-in line test.
    pub default_agent: Option<AgentId>,
}

/// The answers; travel as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", content = "with", rename_all = "snake_case")]
pub enum SwitchboardResponse {
    /// Taken.
    Done,
    /// To [`SwitchboardRequest::Lookup`].
    Found {
        /// Who answers; none: the agent asked for by name does not exist.
        agent: Option<Box<Agent>>,
        /// On which node; none: none has room, or none was wanted.
        node: Option<NodeChoice>,
    },
    /// To [`SwitchboardRequest::PickNode`].
    Node(Option<NodeChoice>),
    /// This heartbeat has been seen before.
    Replayed,
    /// To [`SwitchboardRequest::Resolve`].
    Call(Option<CallId>),
    /// To [`SwitchboardRequest::Nodes`].
    Nodes(Vec<NodeView>),
    /// To [`SwitchboardRequest::HashPassword`].
    Hashed(String),
    /// To [`SwitchboardRequest::CheckPassword`].
    Checked(bool),
    /// Too many attempts; nothing was looked at.
    TooMany {
        /// Seconds until the next may be made.
        retry_after_s: u32,
    },
}

/// One event for the Switchboard.
#[derive(Debug, Clone, PartialEq)]
pub enum SwitchboardInput {
    /// Somebody asks. `salt` is fresh entropy (only a new password's hash uses it).
    Request {
        /// What.
        request: SwitchboardRequest,
        /// 16 bytes of entropy.
        salt: [u8; 16],
    },
    /// A board watcher's socket was opened. Accept it first, then handle this.
    WatcherOpened {
        /// The socket.
        socket: SocketId,
    },
    /// The alarm rang.
    Alarm,
}

/// What the Switchboard wants done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum SwitchboardEffect {
    /// Send a text message on a socket.
    Send {
        /// Which.
        socket: SocketId,
        /// The text.
        text: String,
    },
    /// Send a text message to every watcher.
    Broadcast {
        /// The text.
        text: String,
    },
    /// Read the configuration from D1 with [`crate::mirror::load`] and hand it in as [`SwitchboardRequest::Fetched`]; then
    /// hand over parked reports with [`crate::parking::drain`].
    LoadMirror {
        /// The version that is held now.
        held: u64,
    },
}

/// The result of one event.
#[derive(Debug, Clone, PartialEq)]
pub struct SwitchboardOutput {
    /// The answer to a request; [`SwitchboardResponse::Done`] for every other input.
    pub answer: SwitchboardResponse,
    /// What to do now, in order.
    pub effects: Vec<SwitchboardEffect>,
    /// When to ring next; none: never.
    pub alarm: Option<UnixMillis>,
}

#[cfg(test)]
mod tests;
