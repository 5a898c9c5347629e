//! The REST calls that Trunkline makes, as values: addresses, form bodies, answers and errors of API 2010-04-01. `POST
//! /Calls` has no idempotency: whoever sends it must treat anything but a clear answer as unknown and never send it again.

use crate::call::CallStatus;
use crate::ids::{AccountSid, CallSid, PhoneNumber};
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// Twilio's own base address; `TWILIO_API_BASE_URL` replaces it.
pub const BASE_URL: &str = "https://api.twilio.com";

/// The value of `Authorization`: basic, of an account and its token or of an API key and its secret.
pub fn basic_auth(user: &str, secret: &Secret) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{}", secret.expose())))
}

/// Path of the account's calls: `POST` creates, `GET` lists.
pub fn calls_path(account: &AccountSid) -> String {
    format!("/2010-04-01/Accounts/{account}/Calls.json")
}

/// Path of one call: `POST` changes, `GET` fetches.
pub fn call_path(account: &AccountSid, call: &CallSid) -> String {
    format!("/2010-04-01/Accounts/{account}/Calls/{call}.json")
}

/// `POST /Calls`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateCall {
    /// Whom.
    pub to: PhoneNumber,
    /// The caller id.
    pub from: PhoneNumber,
    /// Asked for TwiML when the call is answered.
    pub url: String,
    /// Asked when `url` fails.
    pub fallback_url: String,
    /// Told of `initiated ringing answered completed`.
    pub status_callback: String,
    /// Longest ringing, seconds.
    pub timeout_s: u32,
    /// Longest call, seconds.
    pub time_limit_s: u32,
    /// Records both channels and tells this address.
    pub recording_status_callback: Option<String>,
    /// Looks for an answering machine beside the call and tells this address.
    pub amd_status_callback: Option<String>,
}

impl CreateCall {
    /// The form's fields, in order; `StatusCallbackEvent` stands once per event.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("To", self.to.as_str().to_owned()),
            ("From", self.from.as_str().to_owned()),
            ("Url", self.url.clone()),
            ("Method", "POST".to_owned()),
            ("FallbackUrl", self.fallback_url.clone()),
            ("StatusCallback", self.status_callback.clone()),
        ];
        fields.extend(["initiated", "ringing", "answered", "completed"].map(|e| ("StatusCallbackEvent", e.to_owned())));
        fields.push(("Timeout", self.timeout_s.to_string()));
        fields.push(("TimeLimit", self.time_limit_s.to_string()));
        if let Some(address) = &self.recording_status_callback {
            fields.push(("Record", "true".to_owned()));
            fields.push(("RecordingChannels", "dual".to_owned()));
            fields.push(("RecordingStatusCallback", address.clone()));
            fields
                .extend(["in-progress", "completed", "absent"].map(|e| ("RecordingStatusCallbackEvent", e.to_owned())));
        }
        if let Some(address) = &self.amd_status_callback {
            fields.push(("MachineDetection", "DetectMessageEnd".to_owned()));
            fields.push(("AsyncAmd", "true".to_owned()));
            fields.push(("AsyncAmdStatusCallback", address.clone()));
        }
        fields
    }
}

/// `POST /Calls/{sid}`: a change of a live call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateCall {
    /// Goes on with the TwiML at this address.
    Redirect(String),
    /// Goes on with this document (at most 4000 characters).
    Document(String),
    /// Hangs up.
    Complete,
    /// Withdraws a call that is queued or ringing.
    Cancel,
}

impl UpdateCall {
    /// The form's fields.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Redirect(url) => vec![("Url", url.clone()), ("Method", "POST".to_owned())],
            Self::Document(xml) => vec![("Twiml", xml.clone())],
            Self::Complete => vec![("Status", "completed".to_owned())],
            Self::Cancel => vec![("Status", "canceled".to_owned())],
        }
    }
}

/// Encodes form fields.
pub fn form_body(fields: &[(&str, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields.iter().map(|(n, v)| (*n, v.as_str()))).finish()
}

/// A call as Twilio describes it, as far as we read it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CallResource {
    /// Its name.
    pub sid: CallSid,
    /// Twilio's word for where it stands.
    pub status: String,
    /// `outbound-api`, `inbound`, ….
    #[serde(default)]
    pub direction: Option<String>,
    /// Seconds, as text, once over.
    #[serde(default)]
    pub duration: Option<String>,
    /// RFC 2822.
    #[serde(default)]
    pub start_time: Option<String>,
    /// RFC 2822.
    #[serde(default)]
    pub end_time: Option<String>,
    /// RFC 2822.
    #[serde(default)]
    pub date_created: Option<String>,
    /// Whom.
    #[serde(default)]
    pub to: Option<String>,
    /// Who.
    #[serde(default)]
    pub from: Option<String>,
}

impl CallResource {
    /// Where it stands; none for a word that we do not know.
    pub fn status(&self) -> Option<CallStatus> {
        CallStatus::read(&self.status)
    }
}

/// A page of calls.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CallListing {
    /// Newest first.
    pub calls: Vec<CallResource>,
    /// Path and query of the next page.
    #[serde(default)]
    pub next_page_uri: Option<String>,
}

/// Twilio's refusal, as its JSON says it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ApiError {
    /// Twilio's error code; 0 when the body had none.
    #[serde(default)]
    pub code: u32,
    /// A sentence; it may contain a telephone number.
    #[serde(default)]
    pub message: String,
}

impl ApiError {
    /// Reads a refusal's body; a body that is not JSON (gateways) gives code 0.
    pub fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or(Self { code: 0, message: String::new() })
    }
}

/// What became of a request that creates a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// Twilio has the call.
    Accepted(CallResource),
    /// Twilio refused; nothing will ring. With the HTTP status.
    Refused(u16, ApiError),
    /// Too many requests (429): not processed, may be sent again later.
    TryLater,
    /// Nobody knows: the call may exist. Never to be sent again, only to be looked for.
    Unknown,
}

impl Created {
    /// Judges Twilio's answer: 201 with a readable body is a call, a 4xx other than 408 and 429 is a refusal, 429 was not
    /// processed, everything else is unknown. Without an answer (timeout, reset) the caller says [`Created::Unknown`].
    pub fn read(status: u16, body: &[u8]) -> Self {
        match status {
            200..=299 => serde_json::from_slice(body).map_or(Self::Unknown, Self::Accepted),
            429 => Self::TryLater,
            408 => Self::Unknown,
            400..=499 => Self::Refused(status, ApiError::read(body)),
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> PhoneNumber {
        PhoneNumber::parse(text).unwrap()
    }

    #[test]
    fn a_created_call_repeats_its_event_key() {
        let call = CreateCall {
            to: number("+15550100123"),
            from: number("+15550100100"),
            url: "https://a.example/voice?call=x".into(),
            fallback_url: "https://a.example/voice/fallback".into(),
            status_callback: "https://a.example/s#rc=3".into(),
            timeout_s: 45,
            time_limit_s: 3600,
            recording_status_callback: None,
            amd_status_callback: None,
        };
        let body = form_body(&call.fields());
        assert!(body.starts_with(
            "To=%2B15550100123&From=%2B15550100100&Url=https%3A%2F%2Fa.example%2Fvoice%3Fcall%3Dx&Method=POST"
        ));
        assert_eq!(body.matches("StatusCallbackEvent=").count(), 4);
    }

    #[test]
    fn an_answer_is_judged_by_what_may_have_happened() {
        let created = br#"{"sid":"CA00000000000000000000000000000001","status":"queued","direction":"outbound-api","queue_time":"1000","duration":null}"#;
        let Created::Accepted(call) = Created::read(201, created) else { panic!("not accepted") };
        assert_eq!(call.status(), Some(CallStatus::Queued));
        assert_eq!(Created::read(201, &created[..40]), Created::Unknown);
        let error = ApiError { code: 21211, message: "Invalid 'To' Phone Number".into() };
        assert_eq!(
            Created::read(400, br#"{"code":21211,"message":"Invalid 'To' Phone Number","status":400}"#),
            Created::Refused(400, error)
        );
        assert_eq!(Created::read(403, b"<html>"), Created::Refused(403, ApiError { code: 0, message: String::new() }));
        assert_eq!(Created::read(429, b""), Created::TryLater);
        for status in [408, 500, 502, 503, 504, 301] {
            assert_eq!(Created::read(status, b"{}"), Created::Unknown, "{status}");
        }
    }

    #[test]
    fn basic_auth_is_rfc_7617s() {
        assert_eq!(basic_auth("Aladdin", &Secret::new("open sesame")), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}
