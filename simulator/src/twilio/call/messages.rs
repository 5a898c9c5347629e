//! What passes between a call's machine and the world around it: inputs, actions, and the webhooks in them.

use std::time::Duration;

use super::super::Alert;
use super::super::stream::Kind;
use super::super::twiml::{StreamNoun, Target};
use super::{Source, Status};

/// A webhook to request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What it is for.
    pub purpose: Purpose,
    /// Where to.
    pub target: Target,
    /// The form, in no particular order.
    pub fields: Vec<(String, String)>,
}

/// What a webhook is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// The first document, or that of a `<Redirect>` or an update.
    Voice,
    /// A verb's `action`.
    Action,
    /// The fallback document.
    Fallback,
    /// A file to play.
    Audio,
    /// A call's status.
    Status,
    /// A stream's beginning or end.
    Stream,
    /// A recording's progress.
    Recording,
    /// Real-time transcription.
    Transcription,
    /// Asynchronous answering-machine detection.
    Detection,
}

/// What came back for a document or file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// How a stream's socket ended on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEnd {
    /// It could not be connected (31901 to 31920).
    Refused(Alert),
    /// The server closed it (31921).
    ServerClosed,
    /// It broke without a close frame (31903).
    Broken,
    /// The server broke the protocol (31924).
    Violation,
}

/// A change of a live call through the REST interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// Go on with another document.
    Redirect(Source),
    /// `Status=canceled`: only before the answer.
    Cancel,
    /// `Status=completed`.
    Complete,
}

/// Something that happened to the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// It begins: an inbound call arrives, an outbound one gets its turn.
    Begin,
    /// The answer to [`Action::Fetch`] of this number.
    Fetched(u64, Result<Fetched, Alert>),
    /// A stream's socket is open.
    StreamOpened(String),
    /// A stream's socket ended, not by [`Action::StopStream`].
    StreamEnded(String, StreamEnd),
    /// The person pressed a key.
    Digit(char),
    /// The person hung up.
    HungUp,
    /// A moment that [`Call::poll_timeout`] named has come.
    Timeout,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Request it and give the answer back under this number.
    Fetch(u64, Request),
    /// Request it; the answer does not matter.
    Notify(Request),
    /// Connect a stream.
    OpenStream {
        /// `MZ…`.
        sid: String,
        /// Which way.
        kind: Kind,
        /// Where to and with what.
        noun: StreamNoun,
    },
    /// End a stream: the call goes on without it, or is over.
    StopStream {
        /// `MZ…`.
        sid: String,
    },
    /// Twilio itself speaks (or plays) to the leg.
    Announce {
        /// The words, or what is played.
        text: String,
        /// For how long.
        lasts: Duration,
    },
    /// The call changed its state.
    Became(Status),
    /// Twilio's debugger gets a line.
    Alert(Alert),
}
