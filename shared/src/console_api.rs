//! Edge and browser: the messages of `WS /ws/transcriptions` (one call) and `WS /ws/calls` (the live board). A watcher gets
//! a snapshot, then facts in the order of `seq`; with `fromSeq` it gets the facts after that one instead. TypeScript types
//! are generated from this module.

use crate::call::{CallEvent, CallState, Direction};
use crate::ids::{AgentId, CallId, CallSid, Epoch, NodeId, Party, TranscriptionSid};
use crate::node_api::{NodeEvent, Speaker};
use crate::time::UnixMillis;
use crate::transcript::TranscriptLine;
use serde::{Deserialize, Serialize};

/// The version of everything in this module; it stands in every snapshot.
pub const PROTOCOL_VERSION: u32 = 1;
/// Largest message a browser may send, bytes.
pub const MAX_CLIENT_MESSAGE_BYTES: usize = 4096;
/// Close code when the call is unknown.
pub const CLOSE_UNKNOWN_CALL: u16 = 4404;
/// Close code when the watcher reads too slowly; it should reconnect with `fromSeq`.
pub const CLOSE_TOO_SLOW: u16 = 4408;
/// Close code when the session has ended.
pub const CLOSE_SIGNED_OUT: u16 = 4401;

/// A side of a call as Twilio's real-time transcription names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub enum Track {
    /// What Twilio receives from the leg.
    InboundTrack,
    /// What Twilio sends to the leg.
    OutboundTrack,
}

impl Track {
    /// Twilio's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InboundTrack => "inbound_track",
            Self::OutboundTrack => "outbound_track",
        }
    }
    /// Who speaks on it: the leg itself is the caller, what it hears is our side.
    pub fn speaker(self) -> Speaker {
        match self {
            Self::InboundTrack => Speaker::Caller,
            Self::OutboundTrack => Speaker::Agent,
        }
    }
}

/// A stored fact of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub enum CallFact {
    /// The room was opened.
    Opened {
        /// Which way.
        direction: Direction,
        /// Twilio's `From`.
        from: Party,
        /// Twilio's `To`.
        to: Party,
        /// Who answers, if an agent does.
        agent: Option<AgentId>,
    },
    /// Twilio's name of the call became known.
    Bound {
        /// It.
        call_sid: CallSid,
    },
    /// The call's life moved.
    Life {
        /// How.
        event: CallEvent,
    },
    /// A node took the media over.
    Owner {
        /// Who.
        node: NodeId,
        /// The epoch it began.
        epoch: Epoch,
    },
    /// A node reported.
    Node {
        /// The epoch of the report.
        epoch: Epoch,
        /// The node's line.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        line: u64,
        /// What happened.
        event: NodeEvent,
    },
    /// Twilio's real-time transcription heard something (final results only).
    Transcribed {
        /// Which transcription.
        transcription_sid: TranscriptionSid,
        /// Which side.
        track: Track,
        /// Twilio's `SequenceId`.
        sequence: u32,
        /// The text.
        text: String,
        /// Twilio's `Timestamp`.
        at: UnixMillis,
    },
}

/// A fact with its place in the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct StampedFact {
    /// From 1, contiguous per call.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub seq: u64,
    /// When the room stored it.
    pub at: UnixMillis,
    /// It.
    pub fact: CallFact,
}

/// Everything that a page about one call shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct CallSnapshot {
    /// Ours.
    pub call: CallId,
    /// Twilio's, once known.
    pub call_sid: Option<CallSid>,
    /// Which way.
    pub direction: Direction,
    /// Twilio's `From`.
    pub from: Party,
    /// Twilio's `To`.
    pub to: Party,
    /// Who answers.
    pub agent: Option<AgentId>,
    /// When the room was opened.
    pub opened_at: UnixMillis,
    /// Its life so far.
    pub state: CallState,
    /// Who carries the media: node and epoch.
    pub node: Option<NodeId>,
    /// The current epoch.
    pub epoch: Epoch,
    /// What has been said.
    pub transcript: Vec<TranscriptLine>,
    /// The last fact that this snapshot contains; 0: none.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub seq: u64,
}

/// To a browser that watches one call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub enum ServerMessage {
    /// The call as it stands. The first message, unless the watcher named a `fromSeq` that can be continued.
    Snapshot {
        /// [`PROTOCOL_VERSION`].
        protocol: u32,
        /// It.
        call: Box<CallSnapshot>,
    },
    /// Facts that follow what the watcher has, in order, without a gap.
    Facts {
        /// At least one, except as the first message of a resumed watch that has missed nothing.
        facts: Vec<StampedFact>,
    },
    /// Words still being said; replaced by the next of the same item or by its fact.
    Live {
        /// Who.
        speaker: Speaker,
        /// The line's key in the transcript.
        key: String,
        /// All of it so far.
        text: String,
        /// When it began to be said.
        started_at: UnixMillis,
    },
    /// The call is over and every fact is stored; the socket closes with 1000.
    Ended {
        /// The last fact.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        seq: u64,
    },
}

/// From a browser that watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub enum ClientMessage {
    /// Everything up to here has been shown.
    Seen {
        /// The fact.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        seq: u64,
    },
    /// A kind that this version does not know; ignored.
    #[serde(other)]
    Unknown,
}

/// A live call on the board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct BoardCall {
    /// Ours.
    pub call: CallId,
    /// Twilio's.
    pub call_sid: Option<CallSid>,
    /// Which way.
    pub direction: Direction,
    /// Twilio's `From`.
    pub from: Party,
    /// Twilio's `To`.
    pub to: Party,
    /// Who answers.
    pub agent: Option<AgentId>,
    /// Where it stands, in Twilio's words.
    pub status: crate::call::CallStatus,
    /// Who carries the media.
    pub node: Option<NodeId>,
    /// When the room was opened.
    pub opened_at: UnixMillis,
    /// When it was answered.
    pub answered_at: Option<UnixMillis>,
    /// Raised by the room with each report; of two reports the higher wins.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub version: u64,
}

/// A node on the board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct NodeView {
    /// Who.
    pub node: NodeId,
    /// Where.
    pub region: String,
    /// The most calls it takes.
    pub capacity: u32,
    /// The calls it carries.
    pub live_calls: u32,
    /// It takes no new calls.
    pub draining: bool,
    /// Its lease has not lapsed.
    pub alive: bool,
    /// Its last heartbeat.
    pub seen_at: UnixMillis,
    /// Its program's version.
    pub version: String,
}

/// To a browser that watches the board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub enum BoardMessage {
    /// All of it; the first message, and after any doubt.
    Board {
        /// [`PROTOCOL_VERSION`].
        protocol: u32,
        /// Every live call.
        calls: Vec<BoardCall>,
        /// Every node known.
        nodes: Vec<NodeView>,
    },
    /// A call appeared or changed.
    Call {
        /// It.
        call: BoardCall,
    },
    /// A call is over.
    Gone {
        /// Which.
        call: CallId,
    },
    /// The nodes changed.
    Nodes {
        /// All of them.
        nodes: Vec<NodeView>,
    },
}
