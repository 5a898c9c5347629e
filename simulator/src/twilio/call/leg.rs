//! What a call leg is when it begins, and the states it can be in. What happens to it is the machine's.

use super::super::twiml::Target;

/// Where a call stands. `Initiated` is only in callbacks; the REST interface shows `queued` for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Waiting for its turn to be dialled.
    Queued,
    /// Being dialled.
    Initiated,
    /// Ringing.
    Ringing,
    /// Answered.
    InProgress,
    /// Ended before it was answered, by us.
    Canceled,
    /// Nobody answered, or the call was refused.
    NoAnswer,
    /// Engaged.
    Busy,
    /// Could not be connected.
    Failed,
    /// Was answered and has ended.
    Completed,
}

impl Status {
    /// `CallStatus` of a callback.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Canceled => "canceled",
            Self::NoAnswer => "no-answer",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Completed => "completed",
        }
    }

    /// Whether the call is over.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self >= Self::Canceled
    }
}

/// Who began the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Somebody calls one of the account's numbers, or a browser calls its application.
    Inbound,
    /// The account calls through the REST interface.
    OutboundApi,
}

impl Direction {
    /// Twilio's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::OutboundApi => "outbound-api",
        }
    }
}

/// Where a call's first document comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// From this address.
    Url(Target),
    /// It is this one.
    Inline(String),
}

/// Answering-machine detection of an outbound call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detection {
    /// Told the result while the call goes on; none: the first document waits for it.
    pub asynchronous: Option<Option<Target>>,
}

/// A recording that was asked for when the call was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPlan {
    /// Told how far it is.
    pub callback: Option<Target>,
    /// Of which events.
    pub events: Vec<String>,
    /// 1 or 2.
    pub channels: u8,
}

/// All that is known of a leg when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// `CA…`.
    pub sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// Who calls.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// Who began it.
    pub direction: Direction,
    /// What to do when it is answered (inbound: when it rings).
    pub source: Source,
    /// Requested when that fails.
    pub fallback: Option<Target>,
    /// Told of its life.
    pub status_callback: Option<Target>,
    /// Of which events: `initiated`, `ringing`, `answered`, `completed`.
    pub status_events: Vec<String>,
    /// Further fields of every webhook: places, caller name, a browser's own parameters.
    pub fields: Vec<(String, String)>,
    /// Seconds of ringing.
    pub timeout_s: u32,
    /// Longest call, seconds.
    pub time_limit_s: Option<u32>,
    /// Whether a machine is looked for.
    pub detection: Option<Detection>,
    /// Whether it is recorded from the answer.
    pub record: Option<RecordPlan>,
}
