//! The JSON bodies of the HTTP API, both ways. Requests refuse unknown fields. What a field may contain beyond its type is
//! checked by the handler that reads it. Errors are always [`ErrorBody`].

use crate::agent::Agent;
use crate::call::{CallState, Direction, Termination};
use crate::ids::{AgentId, CallId, CallSid, Party, PhoneNumber};
use crate::transcript::TranscriptLine;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Any refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ErrorBody {
    /// The one member.
    pub error: ErrorDetail,
}

/// What was refused and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ErrorDetail {
    /// A stable word for programs, for example `invalid_field`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// The field at fault, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// `POST /api/calls`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PlaceCall {
    /// Whom to call, E.164. The replaced systems' `phone` and `number` are accepted for it.
    #[serde(alias = "phone", alias = "number")]
    pub to: PhoneNumber,
    /// Who speaks; none: the default agent.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub agent: Option<AgentId>,
    /// The caller id; none: `TWILIO_CALLER_ID`.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub from: Option<PhoneNumber>,
    /// Values for the agent's instructions.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(as = "Option<BTreeMap<String, String>>", optional))]
    pub variables: BTreeMap<String, String>,
    /// Whether Twilio records the call.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(as = "Option<bool>", optional))]
    pub record: bool,
    /// Whether Twilio looks for an answering machine (asynchronously).
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(as = "Option<bool>", optional))]
    pub machine_detection: bool,
}

/// The answer to `POST /api/calls`: 201, or 202 when Twilio's answer is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PlacedCall {
    /// Whether Twilio accepted the call.
    pub success: bool,
    /// Twilio's name of it; null while unknown.
    pub call_sid: Option<CallSid>,
    /// Ours.
    pub call: CallId,
    /// Twilio's word for where it stands, or `unknown`.
    pub status: String,
}

/// A call in the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct CallRow {
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
    /// Who answered.
    pub agent: Option<AgentId>,
    /// When the room was opened, RFC 3339.
    pub opened_at: String,
    /// When it was answered, RFC 3339.
    pub answered_at: Option<String>,
    /// When it ended, RFC 3339.
    pub ended_at: Option<String>,
    /// Seconds connected.
    pub duration_s: Option<u32>,
    /// Where it stands, in Twilio's words.
    pub status: crate::call::CallStatus,
    /// The verdict.
    pub termination: Option<Termination>,
}

/// `GET /api/calls`: newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct CallPage {
    /// At most `limit` of them.
    pub calls: Vec<CallRow>,
    /// Give it back as `cursor` for the next page; null: there is none.
    pub next_cursor: Option<String>,
}

/// `GET /api/calls/{sid}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct CallDetail {
    /// As in the list.
    pub call: CallRow,
    /// Everything its events add up to.
    pub state: CallState,
    /// What was said.
    pub transcript: Vec<TranscriptLine>,
}

/// `GET /api/calls/{sid}/transcript` as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct TranscriptBody {
    /// Ours.
    pub call: CallId,
    /// Twilio's.
    pub call_sid: Option<CallSid>,
    /// Whether the call is over, so that nothing follows.
    pub complete: bool,
    /// In the order in which it was said.
    pub lines: Vec<TranscriptLine>,
}

/// `GET` or `POST /api/token`: a Voice SDK access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct VoiceToken {
    /// The JWT.
    pub token: String,
    /// The client identity in it.
    pub identity: String,
    /// When it ends, RFC 3339.
    pub expires_at: String,
}

/// `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Health {
    /// `ok`; `degraded` when no media node is alive.
    pub status: String,
    /// The Worker's version.
    pub version: String,
    /// Nodes with a lease.
    pub nodes_alive: u32,
}

/// `POST /api/setup`: makes the first administrator, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct SetUp {
    /// `SETUP_TOKEN`.
    pub token: String,
    /// The administrator's address, their name at sign-in.
    pub email: String,
    /// 12 to 128 characters.
    pub password: String,
}

/// `POST /api/session`: sign in. The answer sets the cookie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct SignIn {
    /// As given at set-up.
    pub email: String,
    /// As given at set-up.
    pub password: String,
}

/// `GET /api/session`, and the answer to set-up and sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct SessionView {
    /// Who is signed in; null: nobody.
    pub email: Option<String>,
    /// Send it as `X-CSRF-Token` with every unsafe request; null when nobody is signed in.
    pub csrf_token: Option<String>,
    /// Whether the first administrator has still to be made.
    pub needs_setup: bool,
}

/// `POST /api/keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct NewKey {
    /// What it is for, 1 to 120 characters.
    pub name: String,
}

/// An API key as listed; the key itself is never shown again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct KeyView {
    /// Its name in addresses.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// Its last four characters.
    pub last4: String,
    /// RFC 3339.
    pub created_at: String,
}

/// The answer to `POST /api/keys`, the only time at which the key is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct CreatedKey {
    /// The key, `tl_live_…`.
    pub key: String,
    /// As listed from now on.
    pub view: KeyView,
}

/// `GET /api/keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct KeyList {
    /// All of them.
    pub keys: Vec<KeyView>,
}

/// `GET /api/agents`. `GET`, `PUT` and `DELETE /api/agents/{id}` carry one [`Agent`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct AgentList {
    /// All of them, the built-in line test included.
    pub agents: Vec<Agent>,
    /// Who answers where nothing else is said.
    pub default_agent: AgentId,
}

/// `PUT /api/numbers/{number}`: which agent answers one of our numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PointNumber {
    /// Who answers.
    pub agent: AgentId,
}

/// A number and who answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct NumberView {
    /// E.164.
    pub number: PhoneNumber,
    /// Who answers.
    pub agent: AgentId,
}

/// `GET /api/numbers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct NumberList {
    /// All of them.
    pub numbers: Vec<NumberView>,
}

/// `PUT /api/agents/default`: who answers where nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct DefaultAgent {
    /// Who.
    pub agent: AgentId,
}

/// The call's end in words for a page: kept here so that console and exports say the same.
pub fn describe(termination: &Termination) -> &'static str {
    use crate::call::EndReason as R;
    match termination.reason {
        R::CarrierReported => "The call ended",
        R::StreamLost => "The audio connection was lost",
        R::NoAnswer => "Nobody answered",
        R::Busy => "The line was busy",
        R::Canceled => "Cancelled before it was answered",
        R::DialFailed => "The call could not be connected",
        R::NoCapacity => "All lines were busy on our side",
        R::CallerHungUp => "The caller hung up",
        R::AgentHungUp => "The agent ended the call",
        R::OperatorHungUp => "An operator ended the call",
        R::Silence => "Ended after a long silence",
        R::MaxDuration => "Ended at the longest allowed duration",
        R::NodeStopped => "The media node stopped",
        R::InvalidStream => "The audio stream was not valid",
        R::ProviderRefused => "The AI provider refused the connection",
        R::ProviderUnavailable => "The AI provider was unavailable",
        R::InternalError => "An internal error",
    }
}
