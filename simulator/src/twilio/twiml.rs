//! TwiML as a strict Twilio reads it: the document's rules (type, size, root), every verb and noun that this simulator can
//! play with its attributes and limits, and the alert for whatever is wrong. Sources: the TwiML reference and the error
//! dictionary. What the verbs do is [`super::call`]'s.

mod element;
mod nouns;

use roxmltree::Document as Xml;
use url::Url;

use super::Alert;
use element::Element;
pub use nouns::{Dial, DialNoun, DialTarget, Recording, Stop, StreamNoun, Transcription};

/// Largest document, bytes (error 11750).
pub const MAX_DOCUMENT: usize = 64 * 1024;

/// How a webhook is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// Fields in the query.
    Get,
    /// Fields as a form.
    #[default]
    Post,
}

impl Method {
    /// `GET` or `POST`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }

    /// Reads `GET` or `POST`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match text {
            "GET" => Some(Self::Get),
            "POST" => Some(Self::Post),
            _ => None,
        }
    }
}

/// An address that Twilio will request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Absolute.
    pub url: String,
    /// How.
    pub method: Method,
}

/// A verb of a document, with the values that Twilio uses where nothing is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Speaks.
    Say {
        /// The words, without markup.
        text: String,
        /// How often; 0 means up to 1000 times.
        times: u32,
    },
    /// Plays a file, or digits.
    Play {
        /// The file.
        url: Option<String>,
        /// The digits, `w` half a second, `W` a second.
        digits: Option<String>,
        /// How often; 0 means up to 1000 times.
        times: u32,
    },
    /// Waits; as the first verb it delays the answer.
    Pause {
        /// Seconds.
        seconds: u32,
    },
    /// Goes on with another document.
    Redirect(Target),
    /// Ends the call.
    Hangup,
    /// Refuses the call; as the first verb without answering it.
    Reject {
        /// `busy` instead of `rejected`.
        busy: bool,
    },
    /// Hands the leg's audio to a server until the stream ends.
    Connect {
        /// Requested then; nothing after this verb runs if it is given.
        action: Option<Target>,
        /// The stream.
        stream: StreamNoun,
    },
    /// Rings others and joins them.
    Dial(Dial),
    /// Lets a server listen.
    StartStream(StreamNoun),
    /// Begins real-time transcription.
    StartTranscription(Transcription),
    /// Begins a recording.
    StartRecording(Recording),
    /// Ends what `<Start>` began.
    Stop(Stop),
    /// Waits for digits.
    Gather {
        /// Gets the digits.
        action: Target,
        /// Spoken meanwhile: `Say`, `Play`, `Pause`.
        prompts: Vec<Verb>,
        /// Seconds without a digit after which it gives up.
        timeout_s: u32,
        /// The number of digits that is enough.
        num_digits: Option<u32>,
        /// The key that ends the input; none: no key does.
        finish_on_key: Option<char>,
        /// Whether `action` is requested without any digit.
        action_on_empty: bool,
    },
}

/// A document that can be played.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// What is done, in order.
    pub verbs: Vec<Verb>,
    /// What Twilio warned about; the faulty element or attribute was ignored.
    pub warnings: Vec<Alert>,
}

/// Where relative addresses in a document start.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The address that the document came from; none: it was given inline, and every address must be absolute.
    pub url: Option<Url>,
    /// How it was requested: what `action` of `<Gather>` falls back to.
    pub method: Method,
}

/// Reads the answer to a webhook.
///
/// # Errors
/// With the alert that makes Twilio give up on the document: 12300 content type, 11750 size, 11770 empty, 12100 not XML,
/// 12102 root.
pub fn read(origin: &Origin, content_type: Option<&str>, body: &[u8]) -> Result<Document, Alert> {
    let kind = content_type.map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    if !matches!(kind.as_deref(), Some("text/xml" | "application/xml")) {
        return Err(Alert::new(12300, format!("content type {}", kind.as_deref().unwrap_or("missing"))));
    }
    read_inline(origin, body)
}

/// Reads a document that did not come over HTTP: the REST interface's `Twiml`.
///
/// # Errors
/// As [`read`], without the content type.
pub fn read_inline(origin: &Origin, body: &[u8]) -> Result<Document, Alert> {
    if body.len() > MAX_DOCUMENT {
        return Err(Alert::new(11750, format!("{} bytes of TwiML", body.len())));
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Alert::new(11770, "an empty document"));
    }
    let text = std::str::from_utf8(body).map_err(|_| Alert::new(12100, "not UTF-8"))?;
    let xml = Xml::parse(text).map_err(|error| Alert::new(12100, error.to_string()))?;
    let root = xml.root_element();
    if root.tag_name().name() != "Response" {
        return Err(Alert::new(12102, format!("the root is <{}>", root.tag_name().name())));
    }
    let mut document = Document::default();
    let warnings = &mut document.warnings;
    Element::new(root, origin, warnings).finish(&[]);
    for child in root.children() {
        if child.is_text() && !child.text().unwrap_or_default().trim().is_empty() {
            warnings.push(Alert::new(12200, "text between the verbs"));
        }
        if child.is_element() {
            document.verbs.extend(verb(child, origin, warnings));
        }
    }
    Ok(document)
}

fn verb(node: roxmltree::Node<'_, '_>, origin: &Origin, warnings: &mut Vec<Alert>) -> Option<Verb> {
    let mut element = Element::new(node, origin, warnings);
    match element.name() {
        "Say" => {
            let times = element.number("loop", 0..=1000, 1);
            element.ignored(&["voice", "language"]);
            let text = element.spoken();
            element.finish_spoken();
            Some(Verb::Say { text, times })
        }
        "Play" => {
            let times = element.number("loop", 0..=1000, 1);
            let digits = element.text("digits");
            if digits.as_ref().is_some_and(|d| !d.chars().all(|c| "0123456789ABCD#*wW".contains(c))) {
                element.warn("digits");
                return None;
            }
            let url = element.body_address();
            element.finish(&[]);
            if url.is_none() && digits.is_none() {
                warnings.push(Alert::new(12200, "<Play> with nothing to play"));
                return None;
            }
            Some(Verb::Play { url, digits, times })
        }
        "Pause" => {
            let seconds = element.number("length", 1..=86_400, 1);
            element.finish(&[]);
            Some(Verb::Pause { seconds })
        }
        "Redirect" => {
            let method = element.method("method");
            let url = element.body_address();
            element.finish(&[]);
            url.map(|url| Verb::Redirect(Target { url, method }))
        }
        "Hangup" => {
            element.finish(&[]);
            Some(Verb::Hangup)
        }
        "Reject" => {
            let reason = element.word("reason", &["rejected", "busy"], "rejected");
            element.finish(&[]);
            Some(Verb::Reject { busy: reason == "busy" })
        }
        "Connect" => {
            let action = element.target("action", "method");
            let nouns = element.finish(&["Stream"]);
            let mut streams = nouns.into_iter().filter_map(|noun| nouns::stream(noun, origin, true, warnings));
            let stream = streams.next();
            if stream.is_none() {
                warnings.push(Alert::new(12200, "<Connect> with nothing to connect to"));
            }
            stream.map(|stream| Verb::Connect { action, stream })
        }
        "Dial" => nouns::dial(element, origin).map(Verb::Dial),
        "Start" => {
            element.ignored(&["action", "method"]);
            let noun = element.finish(&["Stream", "Transcription", "Recording"]).into_iter().next()?;
            match noun.tag_name().name() {
                "Stream" => nouns::stream(noun, origin, false, warnings).map(Verb::StartStream),
                "Transcription" => nouns::transcription(noun, origin, warnings).map(Verb::StartTranscription),
                _ => nouns::recording(noun, origin, warnings).map(Verb::StartRecording),
            }
        }
        "Stop" => {
            let noun = element.finish(&["Stream", "Transcription", "Recording"]).into_iter().next()?;
            Some(Verb::Stop(nouns::stop(noun, origin, warnings)))
        }
        "Gather" => gather(element, origin),
        other => {
            warnings.push(Alert::new(12200, format!("<{other}> is not a verb that is played here")));
            None
        }
    }
}

fn gather(mut element: Element<'_, '_, '_>, origin: &Origin) -> Option<Verb> {
    let action = element.target("action", "method").or_else(|| {
        let url = origin.url.as_ref()?.to_string();
        Some(Target { url, method: origin.method })
    });
    let timeout_s = element.number("timeout", 1..=3600, 5);
    let num_digits = element.text("numDigits").and_then(|n| n.parse().ok());
    let finish_on_key = match element.text("finishOnKey") {
        None => Some('#'),
        Some(key) => key.chars().next(),
    };
    let action_on_empty = element.flag("actionOnEmptyResult", false);
    let _input = element.word("input", &["dtmf", "speech", "dtmf speech"], "dtmf");
    element.ignored(&[
        "language",
        "speechTimeout",
        "speechModel",
        "enhanced",
        "hints",
        "profanityFilter",
        "partialResultCallback",
        "partialResultCallbackMethod",
        "maxSpeechTime",
        "bargeIn",
        "debug",
    ]);
    let (children, warnings) = element.finish_with_warnings(&["Say", "Play", "Pause"]);
    let prompts = children.into_iter().filter_map(|child| verb(child, origin, warnings)).collect();
    let Some(action) = action else {
        warnings.push(Alert::new(11100, "<Gather> of an inline document without an absolute action"));
        return None;
    };
    Some(Verb::Gather { action, prompts, timeout_s, num_digits, finish_on_key, action_on_empty })
}

#[cfg(test)]
mod tests;
