//! The forms that Twilio posts: decoded strictly, then read into what each callback means, with a grammar per field. Since
//! a signature does not say where one field ends and the next begins, a form that carries anything odd in a field that we
//! use is refused as a whole. Unknown fields are kept (Twilio adds some without notice) and ignored.

use crate::call::{CallEvent, CallStatus, RecordingPhase, StreamPhase, TranscriptionPhase};
use crate::console_api::Track;
use crate::ids::{AccountSid, CallSid, Party, RecordingSid, StreamSid, TranscriptionSid};
use crate::time::UnixMillis;
use serde::Deserialize;

/// Largest form taken, bytes.
pub const MAX_FORM_BYTES: usize = 64 * 1024;
/// Most fields taken.
pub const MAX_FIELDS: usize = 200;

/// Why a form is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidForm {
    /// Larger than [`MAX_FORM_BYTES`] or [`MAX_FIELDS`].
    #[error("the form is too large")]
    TooLarge,
    /// Not form encoding, or not UTF-8 under it.
    #[error("the form is not encoded correctly")]
    Encoding,
    /// A name stands twice.
    #[error("a field is given twice")]
    Duplicate,
    /// A name that can only be a piece of something else, such as of the address that was signed with the fields.
    #[error("a field has an odd name")]
    Name,
    /// A field that this kind of request always has is absent.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field does not have its grammar.
    #[error("{0} is not valid")]
    Field(&'static str),
}

/// A decoded form without duplicate names, in the order received.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Form(Vec<(String, String)>);

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Form({} fields)", self.0.len())
    }
}

impl Form {
    /// Decodes `application/x-www-form-urlencoded`, refusing anything that two decoders could read differently.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidForm> {
        let fields = Self::decode(body)?;
        if !fields.iter().all(|(name, _)| is_name(name)) {
            return Err(InvalidForm::Name);
        }
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(InvalidForm::Duplicate);
        }
        Ok(Self(fields))
    }

    /// Decodes without refusing duplicates: what a signature is computed over.
    pub fn decode(body: &[u8]) -> Result<Vec<(String, String)>, InvalidForm> {
        if body.len() > MAX_FORM_BYTES {
            return Err(InvalidForm::TooLarge);
        }
        if body.is_empty() {
            return Ok(Vec::new());
        }
        let mut fields = Vec::new();
        for pair in body.split(|b| *b == b'&') {
            if fields.len() == MAX_FIELDS {
                return Err(InvalidForm::TooLarge);
            }
            let at = pair.iter().position(|b| *b == b'=').ok_or(InvalidForm::Encoding)?;
            let (name, value) = pair.split_at_checked(at).ok_or(InvalidForm::Encoding)?;
            let value = value.get(1..).unwrap_or_default();
            if name.is_empty() {
                return Err(InvalidForm::Encoding);
            }
            fields.push((decode(name)?, decode(value)?));
        }
        Ok(fields)
    }

    /// A form of given fields, for requests whose fields stand in the query (GET).
    pub fn from_fields(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }

    /// Name and value of every field, for the signature.
    pub fn fields(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// A field's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A field's value, unless it is absent or empty.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    fn required<T>(&self, name: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, InvalidForm> {
        read(self.get(name).ok_or(InvalidForm::Missing(name))?).ok_or(InvalidForm::Field(name))
    }

    fn optional<T>(&self, name: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, InvalidForm> {
        self.given(name).map(|value| read(value).ok_or(InvalidForm::Field(name))).transpose()
    }
}

/// Whether a text may be a field's name. Address, names and values are signed without anything between them: a name that
/// begins like a query (`?call=`), a path or the rest of a word would move the border between the address and the fields.
fn is_name(text: &str) -> bool {
    !text.starts_with(['-', '.'])
        && !text.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '/' | '?' | '&' | '=' | '#' | '%'))
}

fn decode(text: &[u8]) -> Result<String, InvalidForm> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|b| char::from(*b).to_digit(16)).ok_or(InvalidForm::Encoding);
                let (high, low) = (digit()?, digit()?);
                (high * 16 + low) as u8
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).map_err(|_| InvalidForm::Encoding)
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    (!text.is_empty() && text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// The fields that every voice request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFields {
    /// The account.
    pub account_sid: AccountSid,
    /// The leg.
    pub call_sid: CallSid,
}

impl CallFields {
    /// Reads them.
    pub fn read(form: &Form) -> Result<Self, InvalidForm> {
        Ok(Self {
            account_sid: form.required("AccountSid", |t| AccountSid::parse(t).ok())?,
            call_sid: form.required("CallSid", |t| CallSid::parse(t).ok())?,
        })
    }
}

/// A request for TwiML: a number's `VoiceUrl`, a call's `Url`, a TwiML application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceRequest {
    /// Whose, and which leg.
    pub call: CallFields,
    /// Who calls.
    pub from: Party,
    /// Who is called; for a browser's call whatever the page asked for.
    pub to: Party,
    /// Twilio's `Direction`.
    pub direction: TwilioDirection,
    /// Where the leg stands.
    pub status: CallStatus,
    /// The verdict of synchronous answering-machine detection.
    pub answered_by: Option<String>,
}

/// Twilio's `Direction`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TwilioDirection {
    /// Somebody, or a client, calls us.
    Inbound,
    /// A call of ours by REST.
    OutboundApi,
    /// A leg of `<Dial>`, or another call of ours that did not come in.
    OutboundDial,
}

impl VoiceRequest {
    /// Reads it.
    pub fn read(form: &Form) -> Result<Self, InvalidForm> {
        Ok(Self {
            call: CallFields::read(form)?,
            from: form.required("From", party)?,
            to: form.required("To", party)?,
            // A caller is waiting: a word that is new here does not leave them without an answer.
            direction: form.required("Direction", |t| match t {
                "outbound-api" => Some(TwilioDirection::OutboundApi),
                word if word.starts_with("outbound") => Some(TwilioDirection::OutboundDial),
                other => (!other.is_empty() && word(other)).then_some(TwilioDirection::Inbound),
            })?,
            status: asked_at(form)?,
            answered_by: form.optional("AnsweredBy", |t| word(t).then(|| t.to_owned()))?,
        })
    }
}

/// Where the leg stands that asks a question; a word that is new here says nothing ([`CallStatus::Queued`]).
pub fn asked_at(form: &Form) -> Result<CallStatus, InvalidForm> {
    form.required("CallStatus", |t| (!t.is_empty() && word(t)).then(|| CallStatus::read(t).unwrap_or_default()))
}

/// Any text; one that is too long to be anybody's address is nobody's.
fn party(text: &str) -> Option<Party> {
    Some(if text.len() <= 1024 { Party::read(text) } else { Party::Unknown })
}

fn word(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// What a callback says, recognised by its fields and not by the address it came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Callback {
    /// The call's life: a leg's status, a stream's, a recording's or a transcription's.
    Life(CallEvent),
    /// Words from real-time transcription.
    Words(Words),
    /// The verdict of asynchronous answering-machine detection: Twilio's word (`human`, `machine_end_beep`, …).
    AnsweredBy(String),
}

/// A result of real-time transcription.
#[derive(Debug, Clone, PartialEq)]
pub struct Words {
    /// Which transcription.
    pub transcription_sid: TranscriptionSid,
    /// Which side of the call.
    pub track: Track,
    /// Its place in the transcription, from 1.
    pub sequence: u32,
    /// Whether it stands; otherwise a later result replaces it.
    pub is_final: bool,
    /// The text.
    pub text: String,
    /// When, by Twilio's clock.
    pub at: UnixMillis,
}

/// A callback with the leg that it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct CallbackRequest {
    /// Whose, and which leg.
    pub call: CallFields,
    /// What it says.
    pub callback: Callback,
    /// `SequenceNumber` of a status callback.
    pub sequence: Option<u32>,
}

impl CallbackRequest {
    /// Reads a callback of any kind. `now` stands in where Twilio sent no `Timestamp`.
    pub fn read(form: &Form, now: UnixMillis) -> Result<Self, InvalidForm> {
        let callback = if form.get("TranscriptionEvent").is_some() {
            transcription(form, now)?
        } else if form.get("StreamEvent").is_some() {
            stream(form)?
        } else if form.get("RecordingStatus").is_some() {
            recording(form)?
        } else if form.get("CallStatus").is_some() {
            status(form, now)?
        } else if form.get("AnsweredBy").is_some() {
            Callback::AnsweredBy(form.required("AnsweredBy", |t| word(t).then(|| t.to_owned()))?)
        } else {
            return Err(InvalidForm::Missing("CallStatus"));
        };
        Ok(Self { call: CallFields::read(form)?, callback, sequence: form.optional("SequenceNumber", number)? })
    }
}

fn status(form: &Form, now: UnixMillis) -> Result<Callback, InvalidForm> {
    Ok(Callback::Life(CallEvent::Status {
        status: form.required("CallStatus", CallStatus::read)?,
        at: form.optional("Timestamp", |t| UnixMillis::from_rfc2822(t).ok())?.unwrap_or(now),
        duration_s: form.optional("CallDuration", number)?,
        sip_code: form.optional("SipResponseCode", number)?,
    }))
}

fn stream(form: &Form) -> Result<Callback, InvalidForm> {
    Ok(Callback::Life(CallEvent::Stream {
        stream_sid: form.required("StreamSid", |t| StreamSid::parse(t).ok())?,
        phase: form.required("StreamEvent", |t| match t {
            "stream-started" => Some(StreamPhase::Started),
            "stream-stopped" => Some(StreamPhase::Stopped),
            "stream-error" => Some(StreamPhase::Error),
            _ => None,
        })?,
    }))
}

fn recording(form: &Form) -> Result<Callback, InvalidForm> {
    Ok(Callback::Life(CallEvent::Recording {
        recording_sid: form.required("RecordingSid", |t| RecordingSid::parse(t).ok())?,
        phase: form.required("RecordingStatus", |t| match t {
            "in-progress" => Some(RecordingPhase::InProgress),
            "completed" => Some(RecordingPhase::Completed),
            "absent" | "failed" => Some(RecordingPhase::Absent),
            _ => None,
        })?,
        duration_s: form.optional("RecordingDuration", number)?,
    }))
}

fn transcription(form: &Form, now: UnixMillis) -> Result<Callback, InvalidForm> {
    #[derive(Deserialize)]
    struct Data {
        transcript: String,
    }
    let transcription_sid = form.required("TranscriptionSid", |t| TranscriptionSid::parse(t).ok())?;
    let life =
        |phase| Ok(Callback::Life(CallEvent::Transcription { transcription_sid: transcription_sid.clone(), phase }));
    match form.get("TranscriptionEvent") {
        Some("transcription-started") => life(TranscriptionPhase::Running),
        Some("transcription-stopped") => life(TranscriptionPhase::Stopped),
        Some("transcription-error") => life(TranscriptionPhase::Error),
        Some("transcription-content") => Ok(Callback::Words(Words {
            transcription_sid: transcription_sid.clone(),
            track: form.required("Track", |t| match t {
                "inbound_track" => Some(Track::InboundTrack),
                "outbound_track" => Some(Track::OutboundTrack),
                _ => None,
            })?,
            sequence: form.required("SequenceId", number)?,
            is_final: form.required("Final", |t| match t {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            })?,
            text: form.required("TranscriptionData", |t| serde_json::from_str::<Data>(t).ok().map(|d| d.transcript))?,
            at: form.optional("Timestamp", |t| UnixMillis::from_rfc3339(t).ok())?.unwrap_or(now),
        })),
        Some(_) | None => Err(InvalidForm::Field("TranscriptionEvent")),
    }
}

/// Connection overrides of a callback address, as a URL fragment: three retries on connect failure, timeout and 5xx, with
/// four seconds for each answer. Twilio strips the fragment before it requests and signs.
pub const RETRY_FRAGMENT: &str = "#rc=3&rt=4000&rp=ct,rt,5xx";

#[cfg(test)]
mod tests;
