//! A call's life as a join: events may arrive in any order, late, twice or not at all, and every order of the same set
//! ends in the same state. Each field only moves one way (a maximum, a minimum or a union), so nothing is ever taken
//! back and a terminal call stays terminal. What a room does about a change does not live here.

use crate::ids::{RecordingSid, StreamSid, TranscriptionSid};
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a call stands, in Twilio's words; the order of the variants is the order of a call's life, and of two terminal
/// reports the later variant wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub enum CallStatus {
    /// Known to us, not yet dialled by Twilio.
    #[default]
    Queued,
    /// Twilio has begun to dial. Only callbacks say this; the REST enumeration does not have it.
    Initiated,
    /// The far end rings.
    Ringing,
    /// Answered (the callback's event is `answered`).
    InProgress,
    /// Ended by our request before it was answered.
    Canceled,
    /// Nobody answered, or the call was rejected.
    NoAnswer,
    /// The far end was busy.
    Busy,
    /// Could not be connected.
    Failed,
    /// Was answered and has ended.
    Completed,
}

impl CallStatus {
    /// Whether the call is over.
    pub fn is_terminal(self) -> bool {
        self >= Self::Canceled
    }

    /// Twilio's word, as in `CallStatus` of a webhook and `status` of the REST resource.
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

    /// Reads Twilio's word; `answered` is taken as `in-progress`.
    pub fn read(text: &str) -> Option<Self> {
        Some(match text {
            "queued" => Self::Queued,
            "initiated" => Self::Initiated,
            "ringing" => Self::Ringing,
            "in-progress" | "answered" => Self::InProgress,
            "canceled" => Self::Canceled,
            "no-answer" => Self::NoAnswer,
            "busy" => Self::Busy,
            "failed" => Self::Failed,
            "completed" => Self::Completed,
            _ => return None,
        })
    }
}

/// Which way the call was set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub enum Direction {
    /// Somebody called one of our numbers.
    Inbound,
    /// We called.
    Outbound,
    /// A person in a browser called through us.
    Browser,
}

/// How a call ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub enum EndResult {
    /// It ran and ended as calls do.
    Completed,
    /// It was never answered.
    Unanswered,
    /// It was cut by one of our limits.
    Limited,
    /// Something failed.
    Failed,
}

/// Why a call ended. Each reason knows its result ([`EndReason::result`]), so the two cannot disagree. In order of how
/// much the reason tells: of two reports about one call the later variant wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub enum EndReason {
    /// Twilio says that it ended, nobody said why.
    CarrierReported,
    /// The media stream ended and nothing more was heard of the call.
    StreamLost,
    /// Nobody answered.
    NoAnswer,
    /// Busy.
    Busy,
    /// Cancelled before it was answered.
    Canceled,
    /// Twilio could not connect it, or refused to.
    DialFailed,
    /// No node had room for it; the caller heard so.
    NoCapacity,
    /// The other person hung up.
    CallerHungUp,
    /// The agent ended it.
    AgentHungUp,
    /// An operator or the API ended it.
    OperatorHungUp,
    /// Both sides were silent for the agent's limit.
    Silence,
    /// The agent's longest call was reached.
    MaxDuration,
    /// The node had to stop and nobody could take over.
    NodeStopped,
    /// The stream's audio was not what Media Streams promise, or the stream broke its protocol.
    InvalidStream,
    /// The provider refused us (key, quota, agent's configuration).
    ProviderRefused,
    /// The provider could not be reached, or went away and did not come back.
    ProviderUnavailable,
    /// A fault of ours.
    InternalError,
}

impl EndReason {
    /// The result that belongs to the reason.
    pub fn result(self) -> EndResult {
        match self {
            Self::CarrierReported | Self::CallerHungUp | Self::AgentHungUp | Self::OperatorHungUp => {
                EndResult::Completed
            }
            Self::NoAnswer | Self::Busy | Self::Canceled => EndResult::Unanswered,
            Self::Silence | Self::MaxDuration => EndResult::Limited,
            Self::StreamLost
            | Self::DialFailed
            | Self::NoCapacity
            | Self::NodeStopped
            | Self::InvalidStream
            | Self::ProviderRefused
            | Self::ProviderUnavailable
            | Self::InternalError => EndResult::Failed,
        }
    }
}

/// The verdict on a call: exactly one per call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Termination {
    /// Why.
    pub reason: EndReason,
    /// How, always `reason.result()`.
    pub result: EndResult,
}

impl From<EndReason> for Termination {
    fn from(reason: EndReason) -> Self {
        Self { reason, result: reason.result() }
    }
}

/// How far a stream is; later variants win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub enum StreamPhase {
    /// `stream-started`.
    Started,
    /// `stream-stopped`.
    Stopped,
    /// `stream-error`.
    Error,
}

/// How far a recording is; later variants win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub enum RecordingPhase {
    /// Running.
    InProgress,
    /// There is none: too short, silent, or Twilio's fault.
    Absent,
    /// Its file can be fetched.
    Completed,
}

/// How far a real-time transcription is; later variants win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub enum TranscriptionPhase {
    /// `transcription-started`, or content has come.
    Running,
    /// `transcription-stopped`.
    Stopped,
    /// `transcription-error`.
    Error,
}

/// Something that was reported about a call's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub enum CallEvent {
    /// A status of the leg, from a callback, a webhook or the REST resource.
    Status {
        /// The status.
        status: CallStatus,
        /// When it was so, by the reporter's clock.
        at: UnixMillis,
        /// Seconds from answer to end, when the reporter knows.
        #[serde(default)]
        duration_s: Option<u32>,
        /// The SIP answer code of a terminal status.
        #[serde(default)]
        sip_code: Option<u16>,
    },
    /// A Media Stream's own callback.
    Stream {
        /// Which.
        stream_sid: StreamSid,
        /// How far it is.
        phase: StreamPhase,
    },
    /// A recording's callback.
    Recording {
        /// Which.
        recording_sid: RecordingSid,
        /// How far it is.
        phase: RecordingPhase,
        /// Its length in seconds, when complete.
        #[serde(default)]
        duration_s: Option<u32>,
    },
    /// A real-time transcription's callback (what was said is a transcript's matter).
    Transcription {
        /// Which.
        transcription_sid: TranscriptionSid,
        /// How far it is.
        phase: TranscriptionPhase,
    },
    /// The owner of the media, or the edge itself, gave its verdict.
    Ended {
        /// Why.
        reason: EndReason,
        /// When, by the reporter's clock.
        at: UnixMillis,
    },
}

/// A recording as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct RecordingState {
    /// How far it is.
    pub phase: RecordingPhase,
    /// Seconds, once complete.
    pub duration_s: Option<u32>,
}

/// All that the events of a call add up to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct CallState {
    /// The furthest status reported.
    pub status: CallStatus,
    /// The earliest moment at which any status was reported.
    pub first_at: Option<UnixMillis>,
    /// The earliest moment at which the call was reported answered.
    pub answered_at: Option<UnixMillis>,
    /// The earliest moment at which it was reported over (by Twilio or by a verdict).
    pub ended_at: Option<UnixMillis>,
    /// Twilio's seconds from answer to end.
    pub duration_s: Option<u32>,
    /// The SIP answer code of the end.
    pub sip_code: Option<u16>,
    /// Streams by sid.
    pub streams: BTreeMap<StreamSid, StreamPhase>,
    /// Recordings by sid.
    pub recordings: BTreeMap<RecordingSid, RecordingState>,
    /// Real-time transcriptions by sid.
    pub transcriptions: BTreeMap<TranscriptionSid, TranscriptionPhase>,
    /// The best verdict given so far; see [`CallState::termination`].
    pub verdict: Option<EndReason>,
}

fn raise<T: Ord + Copy>(field: &mut Option<T>, value: Option<T>) {
    *field = (*field).max(value);
}
fn lower<T: Ord + Copy>(field: &mut Option<T>, value: T) {
    *field = Some(field.map_or(value, |old| old.min(value)));
}

impl CallState {
    /// Joins an event in. Returns whether anything changed: a duplicate, or an event that later ones have overtaken and
    /// that adds nothing, changes nothing.
    pub fn apply(&mut self, event: &CallEvent) -> bool {
        let before = self.clone();
        match event {
            CallEvent::Status { status, at, duration_s, sip_code } => {
                self.status = self.status.max(*status);
                lower(&mut self.first_at, *at);
                raise(&mut self.duration_s, *duration_s);
                raise(&mut self.sip_code, *sip_code);
                if *status == CallStatus::InProgress {
                    lower(&mut self.answered_at, *at);
                }
                if status.is_terminal() {
                    lower(&mut self.ended_at, *at);
                }
            }
            CallEvent::Stream { stream_sid, phase } => {
                let slot = self.streams.entry(stream_sid.clone()).or_insert(*phase);
                *slot = (*slot).max(*phase);
            }
            CallEvent::Recording { recording_sid, phase, duration_s } => {
                let slot = self
                    .recordings
                    .entry(recording_sid.clone())
                    .or_insert(RecordingState { phase: *phase, duration_s: *duration_s });
                slot.phase = slot.phase.max(*phase);
                raise(&mut slot.duration_s, *duration_s);
            }
            CallEvent::Transcription { transcription_sid, phase } => {
                let slot = self.transcriptions.entry(transcription_sid.clone()).or_insert(*phase);
                *slot = (*slot).max(*phase);
            }
            CallEvent::Ended { reason, at } => {
                raise(&mut self.verdict, Some(*reason));
                lower(&mut self.ended_at, *at);
            }
        }
        *self != before
    }

    /// Whether the call is over: Twilio said so, or a verdict was given.
    pub fn is_over(&self) -> bool {
        self.status.is_terminal() || self.verdict.is_some()
    }

    /// The one termination of a call that is over: the verdict, or what Twilio's status implies.
    pub fn termination(&self) -> Option<Termination> {
        let implied = match self.status {
            CallStatus::Queued | CallStatus::Initiated | CallStatus::Ringing | CallStatus::InProgress => None,
            CallStatus::Canceled => Some(EndReason::Canceled),
            CallStatus::NoAnswer => Some(EndReason::NoAnswer),
            CallStatus::Busy => Some(EndReason::Busy),
            CallStatus::Failed => Some(EndReason::DialFailed),
            CallStatus::Completed => Some(EndReason::CarrierReported),
        };
        self.verdict.max(implied).map(Termination::from)
    }

    /// How long the call was connected, in seconds: Twilio's figure, else from answer to end by our marks (rounded down).
    pub fn connected_s(&self) -> Option<u32> {
        self.duration_s.or_else(|| {
            let ms = self.ended_at?.since(self.answered_at?).max(0);
            u32::try_from(ms / 1000).ok()
        })
    }
}

#[cfg(test)]
mod tests;
