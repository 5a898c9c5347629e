//! The nouns inside `<Connect>`, `<Start>`, `<Stop>` and `<Dial>`: their attributes, defaults and limits.

use std::collections::BTreeMap;

use roxmltree::Node;
use url::{Host, Url};

use super::element::Element;
use super::{Alert, Origin, Target};

/// `<Stream>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamNoun {
    /// Where to connect, absolute.
    pub url: String,
    /// Its name in the call; none: its sid.
    pub name: Option<String>,
    /// Whether the leg's own audio is streamed.
    pub inbound: bool,
    /// Whether what the leg hears is streamed.
    pub outbound: bool,
    /// Told of its beginning and end.
    pub status_callback: Option<Target>,
    /// For `start.customParameters`.
    pub parameters: BTreeMap<String, String>,
    /// Why Twilio will not connect it (31920, 31922, 31923, 31941).
    pub refused: Option<Alert>,
}

/// `<Start><Transcription>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcription {
    /// Its name in the call.
    pub name: Option<String>,
    /// Told what is heard.
    pub status_callback: Option<Target>,
    /// `inbound_track`, `outbound_track` or `both_tracks`.
    pub track: &'static str,
    /// BCP 47.
    pub language: String,
    /// `google` or `deepgram`.
    pub engine: String,
    /// Whether partial results are sent.
    pub partial_results: bool,
    /// Labels of the tracks: inbound, outbound.
    pub labels: [Option<String>; 2],
    /// Why it will not run (32650).
    pub refused: Option<Alert>,
}

/// `<Start><Recording>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Its name in the call.
    pub name: Option<String>,
    /// Told how far it is.
    pub status_callback: Option<Target>,
    /// Of which events: `in-progress`, `completed`, `absent`.
    pub events: Vec<String>,
    /// 1 or 2.
    pub channels: u8,
    /// `inbound`, `outbound` or `both`.
    pub track: &'static str,
}

/// `<Stop>` with one noun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// `Stream`, `Transcription` or `Recording`.
    pub kind: String,
    /// The name or sid of what is stopped.
    pub name: String,
}

/// `<Dial>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dial {
    /// Requested at its end; nothing after this verb runs if it is given.
    pub action: Option<Target>,
    /// Whether the calling leg is answered only when somebody answers.
    pub answer_on_bridge: bool,
    /// What the dialled see.
    pub caller_id: Option<String>,
    /// Seconds of ringing.
    pub timeout_s: u32,
    /// Longest call, seconds.
    pub time_limit_s: u32,
    /// Whether, and from when, it is recorded.
    pub record: &'static str,
    /// Told of the recording.
    pub recording_callback: Option<Target>,
    /// Of which events.
    pub recording_events: Vec<String>,
    /// Whom, all at once; at most ten.
    pub nouns: Vec<DialNoun>,
}

/// Somebody in a `<Dial>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialNoun {
    /// Who.
    pub target: DialTarget,
    /// Told of the leg's life.
    pub status_callback: Option<Target>,
    /// Of which events: `initiated`, `ringing`, `answered`, `completed`.
    pub events: Vec<String>,
    /// For a client: what its `call.customParameters` holds.
    pub parameters: BTreeMap<String, String>,
}

/// Who is dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialTarget {
    /// A telephone, E.164.
    Number(String),
    /// A client's identity.
    Client(String),
    /// A SIP address.
    Sip(String),
}

impl DialTarget {
    /// The `To` of the dialled leg.
    #[must_use]
    pub fn to(&self) -> String {
        match self {
            Self::Number(number) => number.clone(),
            Self::Client(identity) => format!("client:{identity}"),
            Self::Sip(address) => address.clone(),
        }
    }
}

const CALL_EVENTS: &[&str] = &["initiated", "ringing", "answered", "completed"];
const RECORDING_EVENTS: &[&str] = &["in-progress", "completed", "absent"];

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// `wss://` anywhere, `ws://` on loopback, relative ones on the document's own host; no query.
fn stream_address(text: &str, origin: &Origin) -> (String, Option<Alert>) {
    let absolute = if text.contains("://") {
        text.to_owned()
    } else {
        let base = origin.url.as_ref().and_then(|base| base.join(text).ok()).map(|url| url.to_string());
        match base {
            Some(url) => url.replacen("http", "ws", 1),
            None => return (text.to_owned(), Some(Alert::new(31923, "a stream address without a host"))),
        }
    };
    let refused = match Url::parse(&absolute) {
        Err(_) => Some(Alert::new(31923, "a stream address that is not a URL")),
        Ok(url) if url.scheme() == "wss" || (url.scheme() == "ws" && is_loopback(&url)) => url
            .query()
            .is_some()
            .then(|| Alert::new(31920, "a stream address with a query, which Twilio does not pass on")),
        Ok(url) => Some(Alert::new(31922, format!("a stream address with the scheme {}", url.scheme()))),
    };
    (absolute, refused)
}

fn parameters(children: Vec<Node<'_, '_>>, origin: &Origin, warnings: &mut Vec<Alert>) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    for child in children.into_iter().filter(|child| child.tag_name().name() == "Parameter") {
        let mut element = Element::new(child, origin, warnings);
        let (name, value) = (element.text("name"), element.text("value"));
        element.finish(&[]);
        match (name, value) {
            (Some(name), Some(value)) if name.chars().count() + value.chars().count() < 500 => {
                if parameters.insert(name, value).is_some() {
                    warnings.push(Alert::new(12200, "two <Parameter>s of one name"));
                }
            }
            (Some(_), Some(_)) => {
                warnings.push(Alert::new(12200, "a <Parameter> of 500 characters or more"));
            }
            (None, _) | (_, None) => warnings.push(Alert::new(12200, "a <Parameter> without name or value")),
        }
    }
    parameters
}

pub(super) fn stream(
    node: Node<'_, '_>,
    origin: &Origin,
    connect: bool,
    warnings: &mut Vec<Alert>,
) -> Option<StreamNoun> {
    let mut element = Element::new(node, origin, warnings);
    let url = element.text("url").map(|text| stream_address(&text, origin));
    let name = element.text("name");
    let track = element.word("track", &["inbound_track", "outbound_track", "both_tracks"], "inbound_track");
    let status_callback = element.absolute_target("statusCallback", "statusCallbackMethod");
    let (children, warnings) = element.finish_with_warnings(&["Parameter"]);
    let parameters = parameters(children, origin, warnings);
    let Some((url, refused)) = url else {
        warnings.push(Alert::new(12200, "<Stream> without url"));
        return None;
    };
    let bad_track =
        (connect && track != "inbound_track").then(|| Alert::new(31941, "<Connect> streams only inbound_track"));
    Some(StreamNoun {
        url,
        name,
        inbound: track != "outbound_track",
        outbound: track != "inbound_track",
        status_callback,
        parameters,
        refused: refused.or(bad_track),
    })
}

pub(super) fn transcription(node: Node<'_, '_>, origin: &Origin, warnings: &mut Vec<Alert>) -> Option<Transcription> {
    let mut element = Element::new(node, origin, warnings);
    let name = element.text("name");
    let status_callback = element.absolute_target("statusCallbackUrl", "statusCallbackMethod");
    let track = element.word("track", &["inbound_track", "outbound_track", "both_tracks"], "both_tracks");
    let language = element.text("languageCode").unwrap_or_else(|| "en-US".to_owned());
    let engine = element.text("transcriptionEngine").unwrap_or_else(|| "google".to_owned()).to_ascii_lowercase();
    let partial_results = element.flag("partialResults", false);
    let labels = [element.text("inboundTrackLabel"), element.text("outboundTrackLabel")];
    element.ignored(&[
        "speechModel",
        "profanityFilter",
        "enableAutomaticPunctuation",
        "enableProviderData",
        "hints",
        "intelligenceService",
        "conversationConfiguration",
        "conversationId",
    ]);
    element.finish(&[]);
    let refused = (!matches!(engine.as_str(), "google" | "deepgram"))
        .then(|| Alert::new(32650, "an unknown transcription engine"));
    Some(Transcription { name, status_callback, track, language, engine, partial_results, labels, refused })
}

pub(super) fn recording(node: Node<'_, '_>, origin: &Origin, warnings: &mut Vec<Alert>) -> Option<Recording> {
    let mut element = Element::new(node, origin, warnings);
    let name = element.text("name");
    let status_callback = element.target("recordingStatusCallback", "recordingStatusCallbackMethod");
    let events = element.words("recordingStatusCallbackEvent", RECORDING_EVENTS, &["completed"]);
    let channels = if element.word("channels", &["dual", "mono"], "dual") == "dual" { 2 } else { 1 };
    let track = element.word("track", &["inbound", "outbound", "both"], "both");
    element.ignored(&["trim", "recordingConfigurationId"]);
    element.finish(&[]);
    Some(Recording { name, status_callback, events, channels, track })
}

pub(super) fn stop(node: Node<'_, '_>, origin: &Origin, warnings: &mut Vec<Alert>) -> Stop {
    let kind = node.tag_name().name().to_owned();
    let mut element = Element::new(node, origin, warnings);
    let name = element.text("name").unwrap_or_default();
    if name.is_empty() {
        element.warn("name");
    }
    element.finish(&[]);
    Stop { kind, name }
}

pub(super) fn dial(mut element: Element<'_, '_, '_>, origin: &Origin) -> Option<Dial> {
    let action = element.target("action", "method");
    let answer_on_bridge = element.flag("answerOnBridge", false);
    let caller_id = element.text("callerId");
    let timeout_s = element.number("timeout", 1..=600, 30);
    let time_limit_s = element.number("timeLimit", 1..=86_400, 14_400);
    let record = element.word(
        "record",
        &[
            "do-not-record",
            "record-from-answer",
            "record-from-ringing",
            "record-from-answer-dual",
            "record-from-ringing-dual",
            "true",
            "false",
        ],
        "do-not-record",
    );
    let recording_callback = element.target("recordingStatusCallback", "recordingStatusCallbackMethod");
    let recording_events = element.words("recordingStatusCallbackEvent", RECORDING_EVENTS, &["completed"]);
    element.ignored(&[
        "callReason",
        "hangupOnStar",
        "ringTone",
        "recordingTrack",
        "recordingConfigurationId",
        "trim",
        "referUrl",
        "referMethod",
        "sequential",
    ]);
    let body = element.body_text();
    let (children, warnings) = element.finish_with_warnings(&["Number", "Client", "Sip"]);
    let mut nouns: Vec<DialNoun> =
        children.into_iter().filter_map(|child| dial_noun(child, origin, warnings)).collect();
    if nouns.is_empty() && !body.is_empty() {
        nouns.extend(number(body, warnings).map(|target| DialNoun {
            target,
            status_callback: None,
            events: vec!["completed".to_owned()],
            parameters: BTreeMap::new(),
        }));
    }
    if nouns.len() > 10 {
        warnings.push(Alert::new(12200, "<Dial> of more than ten"));
        nouns.truncate(10);
    }
    if nouns.is_empty() {
        warnings.push(Alert::new(12200, "<Dial> of nobody"));
        return None;
    }
    Some(Dial {
        action,
        answer_on_bridge,
        caller_id,
        timeout_s,
        time_limit_s,
        record,
        recording_callback,
        recording_events,
        nouns,
    })
}

fn number(text: String, warnings: &mut Vec<Alert>) -> Option<DialTarget> {
    let digits = text.strip_prefix('+').unwrap_or_default();
    if (2..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0') {
        return Some(DialTarget::Number(text));
    }
    warnings.push(Alert::new(13223, "<Dial> of something that is not a number in E.164"));
    None
}

fn dial_noun(node: Node<'_, '_>, origin: &Origin, warnings: &mut Vec<Alert>) -> Option<DialNoun> {
    let kind = node.tag_name().name();
    let mut element = Element::new(node, origin, warnings);
    let body = element.body_text();
    let status_callback = element.target("statusCallback", "statusCallbackMethod");
    let events = element.words("statusCallbackEvent", CALL_EVENTS, &["completed"]);
    element.ignored(&["url", "method"]);
    match kind {
        "Number" => element.ignored(&[
            "sendDigits",
            "byoc",
            "machineDetection",
            "machineDetectionTimeout",
            "machineDetectionSpeechThreshold",
            "machineDetectionSpeechEndThreshold",
            "machineDetectionSilenceTimeout",
            "amdStatusCallback",
            "amdStatusCallbackMethod",
        ]),
        "Client" => element.ignored(&["clientNotificationUrl"]),
        _ => element.ignored(&["username", "password"]),
    }
    let inner: &[&str] = if kind == "Client" { &["Identity", "Parameter"] } else { &[] };
    let (children, warnings) = element.finish_with_warnings(inner);
    let identity = children.iter().find(|child| child.tag_name().name() == "Identity").and_then(Node::text);
    let identity = identity.map_or(body.clone(), |text| text.trim().to_owned());
    let parameters = parameters(children, origin, warnings);
    let target = match kind {
        "Number" => number(body, warnings)?,
        "Client" if !identity.is_empty() && identity.chars().count() <= 256 => DialTarget::Client(identity),
        "Client" => {
            warnings.push(Alert::new(12200, "<Client> without an identity"));
            return None;
        }
        _ => DialTarget::Sip(body),
    };
    Some(DialNoun { target, status_callback, events, parameters })
}
