//! How a twin behaves: pace, oddities, faults, what it keeps. All of it can stand in a scenario's TOML.

use serde::{Deserialize, Serialize};

use super::script::{Script, ScriptError};
use crate::speech::Library;

/// The behaviour of one twin server and of each conversation on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Seed of everything that varies: ids, order of chunk sizes.
    pub seed: u64,
    /// The only accepted API key; without one, any.
    pub key: Option<String>,
    /// Age at which a session expires; the vendor's is 60 minutes.
    pub session_seconds: u64,
    /// Milliseconds from `response.created` to the first audio.
    pub first_audio_ms: u64,
    /// How many times faster than real time audio is sent.
    pub speed: f64,
    /// Lengths of audio deltas in milliseconds, drawn by the seed. Need not be whole telephone frames.
    pub chunks_ms: Vec<u32>,
    /// Milliseconds from the commit to the input transcription.
    pub transcription_ms: u64,
    /// Audio deltas still sent after a response was cancelled: before and after its `response.done`.
    pub late_deltas: LateDeltas,
    /// An event of an unknown type is sent after every so many events; 0 for never.
    pub unknown_event_every: u32,
    /// Sends `conversation.created` after `session.created`.
    pub conversation_created: bool,
    /// What is kept of a conversation.
    pub keep: Keep,
    /// Who answers.
    pub persona: Persona,
    /// What the agent says.
    pub script: Script,
    /// What goes wrong, and when.
    pub faults: Vec<Fault>,
}

/// Deltas of a cancelled response that were "already in flight".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LateDeltas {
    /// Between `speech_started` (or the client's cancel) and `response.done`.
    pub before_done: u32,
    /// After `response.done`.
    pub after_done: u32,
}

/// How much of a conversation stays in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Only counts and texts; for long load runs.
    Counts,
    /// All audio, both ways.
    Audio,
    /// All audio, and the text of every event, both ways.
    Events,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Persona {
    /// The [`Script`].
    Script,
    /// Nobody listens: each append is sent back at once as one audio delta with the same payload, in one endless response.
    Echo,
}

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// In which connection to this server, from 1; without it in every one.
    #[serde(default)]
    pub connection: Option<u32>,
    /// When.
    pub at: Moment,
    /// What.
    pub kind: FaultKind,
}

/// When a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Moment {
    /// When the client connects; for [`FaultKind::Refuse`] and [`FaultKind::Stall`].
    Connect,
    /// So many milliseconds after the session began.
    AfterMs(u64),
    /// In the nth response (from 1), before the audio that follows so many milliseconds of it.
    Response {
        /// Which response.
        number: u32,
        /// How much of its audio was sent.
        #[serde(default)]
        audio_ms: u64,
    },
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// The upgrade is refused with this status: 401, 429, 500 and so on.
    Refuse(u16),
    /// The upgrade is never answered.
    Stall,
    /// The TCP connection ends without a close frame.
    Drop,
    /// A close frame with this code.
    Close(u16),
    /// Nothing more is sent, and the connection stays.
    Hang,
    /// One message that is not JSON.
    Garbage,
    /// The session reaches its end now.
    Expire,
    /// The response fails with this code, before any output; only at [`Moment::Response`].
    FailResponse(String),
    /// The response's audio is 24 kHz PCM, whatever was agreed; only at [`Moment::Response`].
    WrongFormat,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            key: None,
            session_seconds: 3600,
            first_audio_ms: 250,
            speed: 8.0,
            chunks_ms: vec![100, 200, 130, 400, 75],
            transcription_ms: 400,
            late_deltas: LateDeltas { before_done: 1, after_done: 2 },
            unknown_event_every: 11,
            conversation_created: true,
            keep: Keep::Audio,
            persona: Persona::Script,
            script: Script::default(),
            faults: Vec::new(),
        }
    }
}

/// Options that cannot work.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OptionsError {
    /// See [`ScriptError`].
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// A speed that is not a positive number.
    #[error("the speed must be a positive number, not {0}")]
    Speed(f64),
    /// No chunk length, or one of zero.
    #[error("chunk lengths must be positive, and at least one is needed")]
    Chunks,
    /// A fault of a kind that cannot happen at its moment.
    #[error("{0:?} cannot happen at {1:?}")]
    Fault(FaultKind, Moment),
}

impl Options {
    /// The load generator's server: [`Persona::Echo`], nothing odd, nothing kept.
    #[must_use]
    pub fn echo() -> Self {
        Self { persona: Persona::Echo, keep: Keep::Counts, unknown_event_every: 0, ..Self::default() }
    }

    /// Checks everything that a wrong scenario could get wrong.
    ///
    /// # Errors
    /// The first thing found.
    pub fn check(&self, library: &Library) -> Result<(), OptionsError> {
        self.script.check(library)?;
        if !(self.speed.is_finite() && self.speed > 0.0) {
            return Err(OptionsError::Speed(self.speed));
        }
        if self.chunks_ms.is_empty() || self.chunks_ms.contains(&0) {
            return Err(OptionsError::Chunks);
        }
        let misplaced = self.faults.iter().find(|fault| !fault.kind.can_happen(fault.at));
        misplaced.map_or(Ok(()), |fault| Err(OptionsError::Fault(fault.kind.clone(), fault.at)))
    }

    /// The faults of the nth connection.
    pub(super) fn faults_of(&self, connection: u32) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(move |fault| fault.connection.is_none_or(|number| number == connection))
    }
}

impl FaultKind {
    fn can_happen(&self, at: Moment) -> bool {
        match self {
            Self::Refuse(_) | Self::Stall => at == Moment::Connect,
            Self::FailResponse(_) | Self::WrongFormat => matches!(at, Moment::Response { .. }),
            Self::Drop | Self::Close(_) | Self::Hang | Self::Garbage | Self::Expire => at != Moment::Connect,
        }
    }
}
