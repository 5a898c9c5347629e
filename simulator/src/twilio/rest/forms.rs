//! The forms that the REST interface takes, field by field, with the code for each thing that can be wrong.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri, header};
use url::Url;

use super::super::call::{Detection, Direction, Leg, RecordPlan, Source, Update};
use super::super::exchange::Exchange;
use super::super::twiml::{self, Target};
use super::Refusal;

/// Longest `Twiml`, characters.
const MAX_TWIML: usize = 4000;

/// Decoded fields, in the order in which they came.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn read(headers: &HeaderMap, method: &Method, uri: &Uri, body: &Bytes) -> Result<Self, Refusal> {
        if *method != Method::POST {
            return Ok(Self(decode(uri.query().unwrap_or_default().as_bytes())));
        }
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("application/x-www-form-urlencoded") {
            return Err(Refusal::new(415, 20415, "Unsupported media type"));
        }
        Ok(Self(decode(body)))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }

    /// Strict: a parameter that does not exist is a mistake of the client's.
    fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(Refusal::new(400, 20001, format!("Unknown parameters: {name}"))),
            None => Ok(()),
        }
    }

    fn target(&self, url: &str, method: &str) -> Result<Option<Target>, Refusal> {
        let method = match self.get(method) {
            None => twiml::Method::Post,
            Some(word) => {
                twiml::Method::read(word).ok_or_else(|| Refusal::new(400, 21209, format!("Invalid {method}")))?
            }
        };
        let Some(text) = self.get(url) else { return Ok(None) };
        let parsed = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(parsed) = parsed else { return Err(Refusal::new(400, 21205, format!("{url} is not a valid URL"))) };
        if parsed.host_str().is_some_and(|host| host.contains('_')) {
            return Err(Refusal::new(400, 21205, format!("{url} has a host name with an underscore")));
        }
        Ok(Some(Target { url: text.to_owned(), method }))
    }

    fn number(&self, name: &str, most: u32, default: u32, code: u16) -> Result<u32, Refusal> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|n| (1..=most).contains(n));
        number.ok_or_else(|| Refusal::new(400, code, format!("Invalid {name}")))
    }
}

fn decode(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

pub(super) fn is_phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (2..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0')
    })
}

const CREATE: &[&str] = &[
    "To",
    "From",
    "Url",
    "Twiml",
    "ApplicationSid",
    "Method",
    "FallbackUrl",
    "FallbackMethod",
    "StatusCallback",
    "StatusCallbackMethod",
    "StatusCallbackEvent",
    "Timeout",
    "TimeLimit",
    "SendDigits",
    "Record",
    "RecordingChannels",
    "RecordingTrack",
    "RecordingStatusCallback",
    "RecordingStatusCallbackMethod",
    "RecordingStatusCallbackEvent",
    "Trim",
    "MachineDetection",
    "MachineDetectionTimeout",
    "MachineDetectionSpeechThreshold",
    "MachineDetectionSpeechEndThreshold",
    "MachineDetectionSilenceTimeout",
    "AsyncAmd",
    "AsyncAmdStatusCallback",
    "AsyncAmdStatusCallbackMethod",
    "CallerId",
    "CallReason",
    "CallToken",
    "ClientNotificationUrl",
];

pub(super) fn create(form: &Form, exchange: &Exchange) -> Result<Leg, Refusal> {
    form.only(CREATE)?;
    let to = form
        .get("To")
        .filter(|to| !to.is_empty())
        .ok_or_else(|| Refusal::new(400, 21201, "No 'To' number is specified"))?;
    let from = form.get("From").filter(|from| !from.is_empty());
    let from = from.ok_or_else(|| Refusal::new(400, 21213, "A 'From' number is required"))?;
    let is_client = |text: &str| text.strip_prefix("client:").is_some_and(|identity| !identity.is_empty());
    if !is_phone(to) && !is_client(to) && !to.starts_with("sip:") {
        return Err(Refusal::new(400, 21211, "The 'To' number is not a valid phone number"));
    }
    if is_phone(to) {
        if !is_phone(from) {
            return Err(Refusal::new(400, 21212, "The 'From' number is not a valid phone number"));
        }
        if !exchange.numbers().iter().any(|number| number.number == from) {
            return Err(Refusal::new(
                400,
                21210,
                "The source phone number provided is not yet verified for your account",
            ));
        }
    }
    let source = match (form.target("Url", "Method")?, form.get("Twiml")) {
        (Some(target), _) => Source::Url(target),
        (None, Some(text)) => inline(text)?,
        (None, None) if form.get("ApplicationSid").is_some() => {
            return Err(Refusal::new(400, 21218, "Invalid ApplicationSid"));
        }
        (None, None) => return Err(Refusal::new(400, 21205, "Url parameter is required")),
    };
    let status_events = form.all("StatusCallbackEvent");
    if let Some(bad) =
        status_events.iter().find(|e| !matches!(e.as_str(), "initiated" | "ringing" | "answered" | "completed"))
    {
        return Err(Refusal::new(400, 20422, format!("Invalid StatusCallbackEvent {bad}")));
    }
    if form.get("SendDigits").is_some_and(|d| d.len() > 32 || !d.chars().all(|c| "0123456789ABCD#*wW".contains(c))) {
        return Err(Refusal::new(400, 21206, "Invalid SendDigits"));
    }
    let detection = match form.get("MachineDetection") {
        None => None,
        Some("Enable" | "DetectMessageEnd") => {
            let asynchronous = match form.get("AsyncAmd") {
                Some("true") => Some(form.target("AsyncAmdStatusCallback", "AsyncAmdStatusCallbackMethod")?),
                None | Some("false") => None,
                Some(_) => return Err(Refusal::new(400, 21263, "Invalid AsyncAmd")),
            };
            Some(Detection { asynchronous })
        }
        Some(_) => return Err(Refusal::new(400, 21263, "Invalid MachineDetection")),
    };
    let record = (form.get("Record") == Some("true")).then(|| -> Result<RecordPlan, Refusal> {
        let events: Vec<String> = form
            .all("RecordingStatusCallbackEvent")
            .iter()
            .flat_map(|list| list.split_whitespace())
            .map(str::to_owned)
            .collect();
        Ok(RecordPlan {
            callback: form.target("RecordingStatusCallback", "RecordingStatusCallbackMethod")?,
            events: if events.is_empty() { vec!["completed".to_owned()] } else { events },
            channels: if form.get("RecordingChannels") == Some("dual") { 2 } else { 1 },
        })
    });
    let time_limit_s = form.get("TimeLimit").map(|_| form.number("TimeLimit", 86_400, 0, 20422)).transpose()?;
    Ok(Leg {
        sid: exchange.sid("CA"),
        account_sid: exchange.account().sid.clone(),
        from: from.to_owned(),
        to: to.to_owned(),
        direction: Direction::OutboundApi,
        source,
        fallback: form.target("FallbackUrl", "FallbackMethod")?,
        status_callback: form.target("StatusCallback", "StatusCallbackMethod")?,
        status_events,
        fields: Vec::new(),
        timeout_s: form.number("Timeout", 600, 60, 21208)?,
        time_limit_s,
        detection,
        record: record.transpose()?,
    })
}

fn inline(text: &str) -> Result<Source, Refusal> {
    if text.chars().count() > MAX_TWIML {
        return Err(Refusal::new(400, 21205, "Twiml is longer than 4000 characters"));
    }
    Ok(Source::Inline(text.to_owned()))
}

const UPDATE: &[&str] = &[
    "Url",
    "Method",
    "Twiml",
    "Status",
    "FallbackUrl",
    "FallbackMethod",
    "StatusCallback",
    "StatusCallbackMethod",
    "TimeLimit",
];

pub(super) fn update(form: &Form) -> Result<Update, Refusal> {
    form.only(UPDATE)?;
    match (form.get("Status"), form.target("Url", "Method")?, form.get("Twiml")) {
        (Some("completed"), None, None) => Ok(Update::Complete),
        (Some("canceled"), None, None) => Ok(Update::Cancel),
        (None, Some(target), None) => Ok(Update::Redirect(Source::Url(target))),
        (None, None, Some(text)) => Ok(Update::Redirect(inline(text)?)),
        (Some(_), _, _) => Err(Refusal::new(400, 20422, "Invalid Status")),
        (None, Some(_), Some(_)) => Err(Refusal::new(400, 20422, "Url and Twiml exclude each other")),
        (None, None, None) => Err(Refusal::new(400, 20422, "Nothing to update")),
    }
}
