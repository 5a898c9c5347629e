//! What the telephone network does around Twilio in one call: how the called person reacts, who is reached by a `<Dial>`,
//! what transcription hears there, and on which undocumented points Twilio takes which way. Data of a scenario; the machine
//! that acts on it is [`super::call`].

use std::collections::BTreeMap;

use serde::Deserialize;

/// How a telephone that Twilio rings reacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reaction {
    /// It is answered.
    #[default]
    Answers,
    /// It is engaged.
    Busy,
    /// It rings until Twilio gives up.
    Silent,
    /// The person declines (Twilio: `no-answer`).
    Declines,
    /// The number does not exist (Twilio: `failed`, SIP 404).
    Unreachable,
}

/// A telephone that Twilio rings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telephone {
    /// What happens there.
    pub reaction: Reaction,
    /// From dialling to the first ring, milliseconds.
    pub rings_after_ms: u64,
    /// From the first ring (for `unreachable`: from dialling) to the reaction, milliseconds.
    pub reacts_after_ms: u64,
    /// In a `<Dial>`: hangs up this long after being joined; none: stays as long as the caller.
    pub hangs_up_after_ms: Option<u64>,
    /// What answering-machine detection finds here.
    pub answered_by: String,
}

impl Default for Telephone {
    fn default() -> Self {
        Self {
            reaction: Reaction::Answers,
            rings_after_ms: 300,
            reacts_after_ms: 1200,
            hangs_up_after_ms: None,
            answered_by: "human".to_owned(),
        }
    }
}

/// Something that real-time transcription hears.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overheard {
    /// After the transcription's start, milliseconds.
    pub after_ms: u64,
    /// `inbound_track` or `outbound_track`.
    pub track: String,
    /// The words.
    pub text: String,
}

/// The whole network, for one call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// The telephone that an outbound call rings.
    pub callee: Telephone,
    /// Others, by the `To` of a `<Dial>`; who is not named answers at once.
    pub reached: BTreeMap<String, Telephone>,
    /// What is said where transcription listens.
    pub overheard: Vec<Overheard>,
    /// Whether the call goes on with its TwiML when a stream's socket dies without a close frame. Not documented; the
    /// other possibility is that the call ends.
    pub survives_stream_death: bool,
    /// Whether `action` is still requested, with a terminal `CallStatus`, when the call ended inside the verb. Documented
    /// for `<Dial>` only.
    pub action_after_end: bool,
    /// How long answering-machine detection takes, milliseconds.
    pub detection_ms: u64,
    /// How long after a recording's end its file is ready, milliseconds.
    pub recording_ready_ms: u64,
    /// From an update of a live call to its effect, milliseconds; the interrupted verb's `action` is requested half-way.
    pub update_ms: u64,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            callee: Telephone::default(),
            reached: BTreeMap::new(),
            overheard: Vec::new(),
            survives_stream_death: true,
            action_after_end: true,
            detection_ms: 4000,
            recording_ready_ms: 700,
            update_ms: 650,
        }
    }
}
