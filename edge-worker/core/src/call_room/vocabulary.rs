//! The room's words: what it is asked and answers, what goes in and what comes out. It is one thing because the shell and the
//! machine match on all of it together, and a word is found beside those that answer it. No decision lives here.

use crate::ports::Statement;
use crate::twilio_rest::{TwilioOrder, TwilioOutcome};
use serde::{Deserialize, Serialize};
use shared::agent::Agent;
use shared::call::{CallEvent, CallStatus, Direction, EndReason};
use shared::console_api::{BoardCall, CallSnapshot, Track};
use shared::ids::{CallId, CallSid, Epoch, NodeId, Party, TranscriptionSid};
use shared::ticket;
use shared::time::UnixMillis;
use std::collections::BTreeMap;

/// What the Worker asks of a room; travels as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", content = "of", rename_all = "snake_case")]
pub enum RoomRequest {
    /// Open the room without offering media: a call that Trunkline places, or a browser's. Answered [`RoomResponse::Opened`].
    Open(Box<Opening>),
    /// Was a call placed here with this request? Changes nothing. Answered [`RoomResponse::Opened`], or
    /// [`RoomResponse::Unknown`].
    Recall {
        /// [`Opening::digest`].
        digest: String,
    },
    /// What became of `POST /Calls`. Answered [`RoomResponse::Opened`] with the placement as it stands.
    Placed(PlacementOutcome),
    /// TwiML is wanted for this leg. Answered [`RoomResponse::Answer`].
    Answer(Box<Answering>),
    /// Twilio reported something. Answered [`RoomResponse::Done`] or [`RoomResponse::Unknown`].
    Report(Box<Report>),
    /// A stream (or a `<Dial>`) has ended and Twilio asks how to go on. Answered [`RoomResponse::After`].
    After(Box<After>),
    /// An operator wants the call to end. Answered [`RoomResponse::HangUp`].
    HangUp,
    /// Show the call. Answered [`RoomResponse::Call`].
    Read,
}

/// A room's answer; travels as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", content = "with", rename_all = "snake_case")]
pub enum RoomResponse {
    /// There is no such call.
    Unknown,
    /// Stored (or known before).
    Done,
    /// To [`RoomRequest::Open`] and [`RoomRequest::Placed`].
    Opened(Opened),
    /// To [`RoomRequest::Answer`].
    Answer(Answer),
    /// To [`RoomRequest::After`].
    After(NextStep),
    /// To [`RoomRequest::HangUp`].
    HangUp {
        /// Twilio's name of the call, if known.
        call_sid: Option<CallSid>,
        /// Where the call stands.
        status: CallStatus,
        /// Whether it was over already.
        over: bool,
    },
    /// To [`RoomRequest::Read`].
    Call(Box<Shown>),
}

/// A call as the room shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// It.
    pub snapshot: CallSnapshot,
    /// Over, and nothing that was said is still on its way.
    pub settled: bool,
}

/// A new call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Opening {
    /// Ours; names the room.
    pub call: CallId,
    /// Which way.
    pub direction: Direction,
    /// Twilio's `From`.
    pub from: Party,
    /// Twilio's `To`.
    pub to: Party,
    /// Twilio's name, when it is known already.
    pub call_sid: Option<CallSid>,
    /// Where it stands.
    pub status: CallStatus,
    /// Who speaks; none: a browser's call.
    pub agent: Option<Agent>,
    /// Values for the agent's instructions.
    pub variables: BTreeMap<String, String>,
    /// Only for a call that Trunkline places: hexadecimal SHA-256 of what was asked, so that the same idempotency key with
    /// another request is noticed.
    pub digest: Option<String>,
    /// Random, one per attempt to place a call: the same opening handed over twice is still one attempt.
    pub attempt: String,
}

/// Where a placed call's `POST /Calls` stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Placement {
    /// Being sent by whoever opened the room.
    Pending,
    /// Twilio has it.
    Accepted {
        /// Its name there.
        call_sid: CallSid,
        /// Twilio's word at that moment.
        status: String,
    },
    /// Nobody knows; being looked for.
    Unknown,
    /// Twilio refused; nothing rang.
    Refused {
        /// Twilio's HTTP status.
        status: u16,
        /// Twilio's code; 0: none.
        code: u32,
        /// Twilio's sentence.
        message: String,
    },
    /// Twilio had too many requests; the same request may be made again.
    Deferred,
    /// It was looked for long enough: Twilio never had it.
    NeverMade,
}

/// What became of `POST /Calls`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementOutcome {
    /// The outcome; never [`Placement::Pending`].
    pub placement: Placement,
    /// Whether somebody may repeat the request (it had an idempotency key).
    pub repeatable: bool,
}

/// The answer to an opening.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "opened", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Opened {
    /// The room is new (or its last attempt was deferred): go on and place the call.
    New,
    /// It was opened before with the same request.
    Known {
        /// How far it got; none: not a placed call.
        placement: Option<Placement>,
    },
    /// It was opened before with another request.
    Conflict,
    /// The last attempt was deferred and the call has been given up since: nothing was placed, another call may be.
    Spent,
}

/// A leg that wants TwiML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answering {
    /// Twilio's name of the leg.
    pub call_sid: CallSid,
    /// The call, if this request is what opens it (inbound); none: it must be open.
    pub opening: Option<Opening>,
    /// Twilio's `CallStatus`.
    pub status: CallStatus,
    /// Where the call may go; none: the room says first whether it wants a node at all ([`Answer::NeedsNode`]).
    pub seat: Option<Seat>,
    /// 32 hexadecimal digits for a new ticket.
    pub nonce: String,
    /// Nobody asks again after this (`/voice/fallback`).
    pub last: bool,
}

/// What the Switchboard chose for a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seat {
    /// The node; none: no node has room.
    pub node: Option<NodeChoice>,
}

/// A node and where Twilio reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeChoice {
    /// Who.
    pub node: NodeId,
    /// Its public base address, `wss://…` or on loopback `ws://…`.
    pub url: String,
}

/// Media offered to a node: all that a ticket and its TwiML are made of. The same offer always gives the same ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// The call.
    pub call: CallId,
    /// The leg.
    pub call_sid: CallSid,
    /// To whom.
    pub to: NodeChoice,
    /// The epoch that redeeming creates.
    pub epoch: Epoch,
    /// The ticket's nonce.
    pub nonce: String,
    /// Until when it may be redeemed.
    pub expires: UnixMillis,
}

/// How to answer a leg.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "how", content = "with", rename_all = "snake_case")]
pub enum Answer {
    /// With media.
    Media(Offer),
    /// Ask the Switchboard for a node and ask again with it.
    NeedsNode,
    /// The call lives and Twilio asks a last time: a question after its stream must have failed. Ask it anew
    /// ([`RoomRequest::After`]).
    GoOn {
        /// The stream that has ended.
        epoch: Epoch,
    },
    /// By dialling: the call has no agent, a browser makes it.
    Dial,
    /// With a busy sentence: no node has room.
    NoCapacity,
    /// Not at all: the call is over, its media belongs to somebody, or the leg is another one.
    Inert,
    /// With an apology: the call was never opened.
    Unknown,
}

/// Something that Twilio reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The leg it is about; it binds a call whose name was not known yet.
    pub call_sid: CallSid,
    /// What.
    pub what: Reported,
}

/// What was reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Reported {
    /// The call's life.
    Life {
        /// How it moved.
        event: CallEvent,
    },
    /// Words from real-time transcription.
    Words {
        /// Which transcription.
        transcription_sid: TranscriptionSid,
        /// Which side.
        track: Track,
        /// Twilio's `SequenceId`.
        sequence: u32,
        /// Whether they stand; otherwise they are only shown.
        is_final: bool,
        /// The text.
        text: String,
        /// Twilio's `Timestamp`.
        at: UnixMillis,
    },
    /// A leg that this one dialled (a browser's call), which is what the far end's life is.
    Dialled {
        /// How it stands.
        status: CallStatus,
        /// Since when.
        at: UnixMillis,
    },
    /// A person or a machine, in Twilio's words.
    AnsweredBy {
        /// `human`, `machine_end_beep`, ….
        who: String,
    },
}

/// A question after a stream or a dialled leg.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct After {
    /// The leg that asks.
    pub call_sid: CallSid,
    /// Where the leg stands.
    pub status: CallStatus,
    /// What ended.
    pub ended: Interlude,
}

/// What ended before Twilio asked how to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "was", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Interlude {
    /// A stream of this epoch.
    Stream {
        /// The epoch in the address.
        epoch: Epoch,
        /// For a new stream, once the room has said [`NextStep::NeedsNode`]: the node (none: there is none) and a nonce.
        rescue: Option<Rescue>,
    },
    /// A dialled leg, with the verdict that its `DialCallStatus` implies (none: it was connected and has ended).
    Dial {
        /// The verdict.
        verdict: Option<EndReason>,
    },
}

/// What a rescue needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rescue {
    /// Who takes over.
    pub node: Option<NodeChoice>,
    /// 32 hexadecimal digits for a new ticket.
    pub nonce: String,
}

/// How a leg goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "next", content = "with", rename_all = "snake_case")]
pub enum NextStep {
    /// The call should go on: ask the Switchboard for a node other than this one and ask again with it.
    NeedsNode {
        /// Who lost it.
        lost: Option<NodeId>,
    },
    /// A new stream.
    Media(Offer),
    /// It ended as it should: hang up.
    HangUp,
    /// Nothing: another verb has taken the call over.
    Inert,
    /// Say that it could not go on, and hang up.
    Apologise,
}

/// A socket's name, chosen by the shell, unique in the object for as long as the socket lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SocketId(pub String);

/// A node's verified credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEntry {
    /// What the ticket or resume token says.
    pub claims: ticket::Claims,
}

/// One event for a room.
#[derive(Debug, Clone, PartialEq)]
pub enum RoomInput {
    /// The Worker asks.
    Request(RoomRequest),
    /// A node's socket was opened with a verified credential. Accept it first, then handle this.
    NodeOpened {
        /// The socket.
        socket: SocketId,
        /// The credential.
        entry: NodeEntry,
    },
    /// A node sent a text message.
    NodeText {
        /// On which socket.
        socket: SocketId,
        /// The text.
        text: String,
    },
    /// A node's socket is gone.
    NodeClosed {
        /// Which.
        socket: SocketId,
    },
    /// A watcher's socket was opened. Accept it first, then handle this.
    WatcherOpened {
        /// The socket.
        socket: SocketId,
        /// The last fact that it has; none: it wants a snapshot.
        from_seq: Option<u64>,
    },
    /// The alarm rang.
    Alarm,
    /// Work from the outbox was done, or was not.
    WorkDone {
        /// Which.
        key: WorkKey,
        /// Its version.
        version: u64,
        /// What came of it.
        outcome: WorkOutcome,
    },
}

/// What a room wants done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send a text message on a socket.
    Send {
        /// Which.
        socket: SocketId,
        /// The text.
        text: String,
    },
    /// Close a socket.
    Close {
        /// Which.
        socket: SocketId,
        /// The code.
        code: u16,
        /// A short reason.
        reason: &'static str,
    },
    /// Send a text message to every watcher.
    Broadcast {
        /// The text.
        text: String,
    },
    /// Close every watcher's socket.
    CloseWatchers {
        /// The code.
        code: u16,
    },
    /// Do this outside, with [`crate::work::perform`], and report back.
    Work(Work),
}

/// Names a kind of work; one of a kind is under way at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkKey {
    /// The history's row in D1.
    Project,
    /// The board.
    Board,
    /// Ending the leg at Twilio.
    HangUp,
    /// Asking Twilio where the leg stands.
    Fetch,
    /// Looking for a call whose creation had no clear answer.
    Find,
    /// A line for the operator's journal; done or lost, never repeated.
    Note,
}

/// Work from the outbox. Repeating it does no harm.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// Whose.
    pub call: CallId,
    /// Its kind.
    pub key: WorkKey,
    /// Raised with each change of what is to be done; comes back in [`RoomInput::WorkDone`].
    pub version: u64,
    /// What.
    pub task: Task,
}

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// Run these statements on D1.
    Project(Vec<Statement>),
    /// Tell the Switchboard.
    Board {
        /// The call.
        call: BoardCall,
        /// Whether it is over.
        over: bool,
    },
    /// Ask Twilio.
    Twilio(TwilioOrder),
    /// Tell the operator; a whole sentence.
    Note(&'static str),
}

/// What came of a piece of work.
#[derive(Debug, Clone, PartialEq)]
pub enum WorkOutcome {
    /// Done.
    Done,
    /// Twilio's answer.
    Twilio(TwilioOutcome),
    /// Not done, or nobody knows: it is tried again later.
    Failed,
}

/// The result of one event.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomOutput {
    /// The answer to a request; [`RoomResponse::Done`] for every other input.
    pub answer: RoomResponse,
    /// What to do now, in order.
    pub effects: Vec<Effect>,
    /// When to ring next; none: never.
    pub alarm: Option<UnixMillis>,
}
