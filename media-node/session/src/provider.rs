//! Codecs: what a provider says on its wire as neutral [`ProviderEvent`]s, what we want of it as [`ProviderCommand`]s, and the
//! differences between vendors as [`Capabilities`]. A codec only translates; it opens nothing, waits for nothing and decides
//! nothing, and nobody outside asks which vendor it is.
//!
//! A new provider is a file here, its fixtures, and its lines in [`codec`] and [`dial`].

mod echo;
mod openai;

use shared::agent::VoicePlan;
use shared::node_api::{HeardLine, Speaker};
use shared::secret::Secret;
use std::borrow::Cow;
use std::fmt;

/// What a provider can do and what it leaves to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// It is built in: there is no socket, it is ready at once.
    pub is_local: bool,
    /// It tells when the caller begins and ends to speak, and answers then by itself.
    pub takes_turns: bool,
    /// It stops its own response when the caller speaks; else it must be told.
    pub interrupts_itself: bool,
    /// It wants to know how much of an interrupted item was heard.
    pub wants_heard: bool,
    /// It can be told something in text, and be told a conversation's beginning.
    pub takes_text: bool,
}

/// What a session with a provider is to be.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// Model, voice and turn detection.
    pub voice: &'a VoicePlan,
    /// The system instructions.
    pub instructions: &'a str,
    /// BCP 47.
    pub language: &'a str,
    /// The model that writes down what the caller says.
    pub transcription_model: &'a str,
}

/// Something that a provider said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderEvent<'a> {
    /// The configuration is in force: audio may flow. Audio is mu-law 8 kHz both ways, or the codec did not say this.
    Ready,
    /// It will not serve us; trying again is pointless.
    Refused {
        /// The vendor's word for it, at most 64 characters of `[a-z0-9_.]`.
        code: String,
    },
    /// Its session is over by its own rules; a new one may be opened.
    Expired,
    /// A piece of an item's audio.
    Audio {
        /// The response.
        response: Cow<'a, str>,
        /// The item.
        item: Cow<'a, str>,
        /// The part of the item.
        content_index: u32,
        /// Base64 of mu-law, not checked.
        payload: Cow<'a, str>,
    },
    /// Audio that belongs to no item: passed on, neither tracked nor interrupted.
    Sound {
        /// Base64 of mu-law, not checked.
        payload: Cow<'a, str>,
    },
    /// All audio of an item's part has been sent.
    AudioDone {
        /// The item.
        item: Cow<'a, str>,
        /// The part.
        content_index: u32,
    },
    /// A response has begun.
    ResponseStarted {
        /// Which.
        response: Cow<'a, str>,
    },
    /// Nothing more will come of a response.
    ResponseDone {
        /// Which.
        response: Cow<'a, str>,
        /// How it ended.
        outcome: ResponseOutcome,
    },
    /// The caller began to speak.
    CallerStarted {
        /// The item that the words will have.
        item: Option<Cow<'a, str>>,
        /// Where in the audio that this session was given, milliseconds.
        at_ms: Option<u64>,
    },
    /// The caller stopped speaking.
    CallerStopped,
    /// Words that are being recognised or generated: an addition.
    Words {
        /// Whose.
        speaker: Speaker,
        /// The response; empty for the caller's.
        response: Cow<'a, str>,
        /// The item.
        item: Cow<'a, str>,
        /// What comes after what came before.
        more: Cow<'a, str>,
    },
    /// All that was said in an item.
    Said {
        /// Who.
        speaker: Speaker,
        /// The item.
        item: Cow<'a, str>,
        /// All of the text.
        text: Cow<'a, str>,
    },
    /// The agent wants a function called.
    ToolAsked {
        /// The call's id, for the answer.
        call: Cow<'a, str>,
    },
    /// It could not do something that we asked for; the session goes on.
    Complained(Complaint),
    /// Understood, and nothing to do about it.
    Nothing,
    /// A kind that this version does not know.
    Unknown,
}

/// How a response ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseOutcome {
    /// All was said, or as much as the limits allow.
    Completed,
    /// It was interrupted.
    Cancelled,
    /// It failed; another try may help.
    Failed,
    /// It failed, and every other will.
    Refused {
        /// As in [`ProviderEvent::Refused`].
        code: String,
    },
}

/// What a provider could not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complaint {
    /// A response was asked for while another ran: ask again when that is done.
    ResponseRuns,
    /// Something that was over anyway: cancelling what had ended, truncating what was shorter.
    Benign,
    /// Something else.
    Other,
}

/// Something that a provider is to do.
#[derive(Debug, Clone, Copy)]
pub enum ProviderCommand<'a> {
    /// The first message: take this configuration.
    Configure(Setup<'a>),
    /// Hear this: base64 of mu-law that has been checked.
    Hear(&'a str),
    /// This was said before; answer nothing.
    Remember(&'a HeardLine),
    /// Know this, which the caller does not hear.
    Know(&'a str),
    /// Answer now.
    Respond {
        /// What for this once.
        what: Respond<'a>,
    },
    /// Stop the response.
    Cancel {
        /// Which.
        response: &'a str,
    },
    /// Only so much of an item was heard.
    Truncate {
        /// The item.
        item: &'a str,
        /// The part.
        content_index: u32,
        /// Milliseconds.
        heard_ms: u32,
    },
    /// A function's answer.
    AnswerTool {
        /// The call's id.
        call: &'a str,
        /// The answer, as the agent is to read it.
        output: &'a str,
    },
}

/// What to answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Respond<'a> {
    /// Whatever the conversation asks for.
    Freely,
    /// These very words.
    Saying(&'a str),
    /// As told here.
    Following(&'a str),
}

/// What goes over the socket for a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wire {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// Nothing: the provider has no such thing, or is built in.
    Nothing,
}

/// Why a provider's message is not understood. What it contained is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProviderFault {
    /// Not a message of this protocol at all.
    #[error("not a provider message")]
    Envelope,
    /// A known kind whose content is missing or of another type.
    #[error("malformed {0}")]
    Content(&'static str),
}

/// A provider's wire.
pub trait Codec: fmt::Debug + Send {
    /// What the provider can do; never changes.
    fn capabilities(&self) -> Capabilities;
    /// Reads one text message.
    fn read<'a>(&mut self, text: &'a str) -> Result<ProviderEvent<'a>, ProviderFault>;
    /// Reads one binary message.
    fn read_binary<'a>(&mut self, bytes: &'a [u8]) -> Result<ProviderEvent<'a>, ProviderFault>;
    /// Says a command on the wire.
    fn write(&mut self, command: ProviderCommand<'_>) -> Wire;
    /// What a provider that is built in has to say after a command; drain it.
    fn poll(&mut self) -> Option<ProviderEvent<'static>> {
        None
    }
}

/// The codec of a provider's name.
pub fn codec(provider: &str) -> Option<Box<dyn Codec>> {
    match provider {
        "openai" => Some(Box::new(openai::OpenAi::default())),
        "echo" => Some(Box::new(echo::Echo::default())),
        _ => None,
    }
}

/// Where providers are and with which keys; data that the driver fills from its variables.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// `OPENAI_REALTIME_URL`; none: OpenAI's own.
    pub openai_url: Option<String>,
    /// `OPENAI_API_KEY`.
    pub openai_key: Option<Secret>,
}

/// A WebSocket handshake to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialRequest {
    /// `wss://` (or `ws://`) with its query.
    pub url: String,
    /// Header names in lower case and their values.
    pub headers: Vec<(&'static str, Secret)>,
}

/// Why there is nothing to dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// No codec has this name.
    #[error("unknown provider")]
    UnknownProvider,
    /// The provider is built in and has no socket.
    #[error("the provider has no socket")]
    NoSocket,
    /// This node has no key for it.
    #[error("no key for the provider")]
    NoKey,
}

/// How the provider of a plan is reached.
pub fn dial(plan: &VoicePlan, endpoints: &Endpoints) -> Result<DialRequest, DialError> {
    match plan.provider.as_str() {
        "openai" => openai::dial(plan, endpoints.openai_url.as_deref(), endpoints.openai_key.as_ref()),
        "echo" => Err(DialError::NoSocket),
        _ => Err(DialError::UnknownProvider),
    }
}

/// A vendor's error code as it may stand in facts and logs: vendors' texts may hold private data, codes do not.
fn tidy_code(code: &str) -> String {
    let tidy: String = code
        .chars()
        .take(64)
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.'))
        .collect();
    if tidy.is_empty() { "unknown".to_owned() } else { tidy }
}

#[cfg(test)]
mod tests;
