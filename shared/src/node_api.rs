//! Edge and node: what they say to each other. Facts go up, numbered; orders come down.
//!
//! ```text
//! node                                         edge (the call's room)
//!  |  GET /node/calls/{call}  Authorization: Bearer <ticket or resume token>,
//!  |                          signed by the node as `node_auth` says (empty body)
//!  |----------------------------------------------->|  burns the ticket, raises the epoch
//!  |  {"type":"hello", …}                           |
//!  |----------------------------------------------->|
//!  |                    {"type":"begin","plan":{…}} |  or {"type":"refused", …} and close 4403
//!  |<-----------------------------------------------|
//!  |  {"type":"facts","epoch":1,"facts":[{line:1…}]}|  stored, then
//!  |----------------------------------------------->|
//!  |                        {"type":"ack","line":1} |
//!  |<-----------------------------------------------|
//!  |  {"type":"live", …}  (not numbered, may be lost)
//!  |----------------------------------------------->|
//!  |            {"type":"order","id":7,"order":{…}} |
//!  |<-----------------------------------------------|
//! ```
//!
//! A node numbers its facts per (call, epoch) from 1 without gaps and resends from the first unacknowledged line whenever
//! the socket is new. The room stores each line once. Text frames, one JSON object each. Unknown `type`s are ignored on
//! both sides, so either may be deployed first.

use crate::agent::Agent;
use crate::call::{Direction, EndReason};
use crate::ids::{CallId, CallSid, Epoch, NodeId, Party, StreamSid};
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of everything in this module; each side sends its own in its first message.
pub const PROTOCOL_VERSION: u32 = 1;
/// Path of the room's socket: this and the [`CallId`].
pub const ROOM_PATH: &str = "/node/calls/";
/// Path to which a node posts its [`Heartbeat`].
pub const HEARTBEAT_PATH: &str = "/node/heartbeat";
/// How often a node sends a heartbeat.
pub const HEARTBEAT_EVERY_MS: i64 = 2_000;
/// How long a heartbeat keeps a node in service.
pub const LEASE_MS: i64 = 6_000;
/// Largest text message that a node sends on the room's socket, bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// Largest text message that a room sends: `begin`, with an agent's longest texts and the newest of the conversation.
pub const MAX_ROOM_MESSAGE_BYTES: usize = 256 * 1024;
/// Close code after `refused`: this socket may not own this call; do not come back.
pub const CLOSE_REFUSED: u16 = 4403;
/// Close code when a newer owner or a newer socket of the same owner has taken over.
pub const CLOSE_SUPERSEDED: u16 = 4409;
/// Close code when the message could not be understood.
pub const CLOSE_BAD_MESSAGE: u16 = 4400;

/// From node to room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum NodeMessage {
    /// The first message on every socket.
    Hello {
        /// [`PROTOCOL_VERSION`] of the node.
        protocol: u32,
        /// Who speaks.
        node: NodeId,
        /// The stream that brought the ticket.
        stream_sid: StreamSid,
        /// The highest line ever sent in this epoch; 0 on the first socket.
        last_line: u64,
    },
    /// Facts in order, without a gap between them.
    Facts {
        /// The epoch they belong to.
        epoch: Epoch,
        /// At least one.
        facts: Vec<NodeFact>,
    },
    /// Words still being recognised or spoken; not stored, may be lost.
    Live {
        /// The epoch it belongs to.
        epoch: Epoch,
        /// Who speaks.
        speaker: Speaker,
        /// The item that the final fact will name.
        item: String,
        /// All of the text so far.
        text: String,
        /// When it began to be said, by the node's clock.
        started_at: UnixMillis,
    },
    /// An order was carried out, or could not be.
    OrderDone {
        /// The order's id.
        id: u64,
        /// Why not; none: done.
        #[serde(default)]
        error: Option<String>,
    },
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// A fact with its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeFact {
    /// From 1, per (call, epoch), no gaps.
    pub line: u64,
    /// When, by the node's clock.
    pub at: UnixMillis,
    /// What happened.
    pub event: NodeEvent,
}

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub enum Speaker {
    /// The person on the telephone.
    Caller,
    /// The agent, or whoever speaks for our side.
    Agent,
}

/// What happened in a call, seen from the node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub enum NodeEvent {
    /// Twilio's stream is attached.
    StreamStarted {
        /// Which.
        stream_sid: StreamSid,
    },
    /// The provider's session is ready for audio.
    ProviderReady {
        /// Its name.
        provider: String,
    },
    /// The provider's session was lost; another try follows unless the call ends.
    ProviderLost {
        /// Its name.
        provider: String,
        /// A short reason without private data.
        reason: String,
    },
    /// Something was said, as text. For the agent: what was generated, which may not all have been heard.
    Said {
        /// Who.
        speaker: Speaker,
        /// The provider's item.
        item: String,
        /// The text.
        text: String,
        /// When it began to be said, by the node's clock: transcripts arrive late, and this is what orders them.
        started_at: UnixMillis,
    },
    /// How much of an agent's item the caller heard, from Twilio's marks.
    Heard {
        /// The provider's item.
        item: String,
        /// Milliseconds of it that were played.
        heard_ms: u32,
        /// Milliseconds of it that had been received.
        received_ms: u32,
        /// Whether it was cut off: by the caller, or by the end of the call.
        cut: bool,
    },
    /// The caller spoke while something was unplayed; Twilio's buffer was cleared.
    BargedIn {
        /// The item that was playing.
        item: String,
        /// Milliseconds of it that had been played.
        heard_ms: u32,
    },
    /// The caller pressed a key.
    Digit {
        /// One of `0-9`, `*`, `#`, `A-D`.
        digit: char,
    },
    /// The call is over for this node. The last fact of an epoch.
    Ended {
        /// Why.
        reason: EndReason,
    },
    /// A kind that this version does not know; kept so that the line numbers have no gap.
    #[serde(other)]
    Unknown,
}

/// From room to node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum RoomMessage {
    /// The node owns the call's media. Sent once per socket, after `hello`.
    Begin {
        /// [`PROTOCOL_VERSION`] of the edge.
        protocol: u32,
        /// What to do. Boxed: it is much larger than the other messages.
        plan: Box<CallPlan>,
        /// The epoch this owner has.
        epoch: Epoch,
        /// The bearer token for further sockets of this owner.
        resume_token: String,
        /// The highest line stored for this epoch; resend from the next.
        acked_line: u64,
    },
    /// Every line up to this one is stored.
    Ack {
        /// The highest contiguous line.
        line: u64,
    },
    /// Do something.
    Order {
        /// Unique in the call; a repeated id is not carried out twice.
        id: u64,
        /// What.
        order: NodeOrder,
    },
    /// This socket may not own the call. Close follows; the node ends its stream without a verdict.
    Refused {
        /// A short code: `ticket_invalid`, `ticket_used`, `superseded`, `call_over`, `unknown_call`.
        code: String,
    },
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// An order to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum NodeOrder {
    /// End the call.
    End {
        /// The verdict to give.
        reason: EndReason,
    },
    /// Tell the agent something that the caller does not hear.
    Tell {
        /// The text, at most 4000 characters.
        text: String,
    },
    /// A kind that this version does not know; answered with an error.
    #[serde(other)]
    Unknown,
}

/// What a node needs to know to carry a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallPlan {
    /// Ours.
    pub call: CallId,
    /// Twilio's.
    pub call_sid: CallSid,
    /// Which way.
    pub direction: Direction,
    /// The other person.
    pub caller: Party,
    /// The agent, in the version that the call began with.
    pub agent: Agent,
    /// Per-call values for the agent's instructions.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Whether somebody already greeted the caller (a rescue): then nothing is greeted again.
    #[serde(default)]
    pub greeted: bool,
    /// What has been said and heard so far, oldest first; empty on a first stream.
    #[serde(default)]
    pub heard: Vec<HeardLine>,
    /// Seconds that remain of the agent's longest call.
    pub remaining_s: u32,
}

/// A line of the conversation as the caller experienced it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeardLine {
    /// Who.
    pub speaker: Speaker,
    /// What was heard of it.
    pub text: String,
}

/// A node's report to the Switchboard, every [`HEARTBEAT_EVERY_MS`], signed as [`crate::node_auth`] says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Heartbeat {
    /// [`PROTOCOL_VERSION`] of the node.
    pub protocol: u32,
    /// Who.
    pub node: NodeId,
    /// Its public base address, `wss://host` (`ws://` on loopback only), without a path or trailing slash.
    pub url: String,
    /// Where it runs, for example `iad`.
    pub region: String,
    /// The most calls it takes.
    pub capacity: u32,
    /// The calls it carries now.
    pub live_calls: u32,
    /// It takes no new calls.
    pub draining: bool,
    /// The program's version.
    pub version: String,
}

/// The Switchboard's answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatAnswer {
    /// How long this heartbeat counts, milliseconds.
    pub lease_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_on_the_wire_are_pinned() -> Result<(), Box<dyn std::error::Error>> {
        let facts = NodeMessage::Facts {
            epoch: Epoch(2),
            facts: vec![NodeFact {
                line: 7,
                at: UnixMillis(5),
                event: NodeEvent::Heard { item: "i".into(), heard_ms: 20, received_ms: 40, cut: true },
            }],
        };
        assert_eq!(
            serde_json::to_string(&facts)?,
            r#"{"type":"facts","epoch":2,"facts":[{"line":7,"at":5,"event":{"kind":"heard","item":"i","heardMs":20,"receivedMs":40,"cut":true}}]}"#
        );
        assert_eq!(
            serde_json::to_string(&RoomMessage::Order {
                id: 1,
                order: NodeOrder::End { reason: EndReason::OperatorHungUp }
            })?,
            r#"{"type":"order","id":1,"order":{"kind":"end","reason":"operator_hung_up"}}"#
        );
        Ok(())
    }

    #[test]
    fn newer_peers_are_understood() -> Result<(), Box<dyn std::error::Error>> {
        assert_eq!(serde_json::from_str::<RoomMessage>(r#"{"type":"dance","n":1}"#)?, RoomMessage::Unknown);
        assert_eq!(serde_json::from_str::<NodeEvent>(r#"{"kind":"sneezed","n":1}"#)?, NodeEvent::Unknown);
        assert_eq!(serde_json::from_str::<NodeOrder>(r#"{"kind":"sing"}"#)?, NodeOrder::Unknown);
        Ok(())
    }
}
