//! TwiML by types: a document is a list of verbs, each a value, and every text is escaped when it is written, so markup in a
//! name or number cannot become markup in the document. Escaping and golden outputs follow Twilio's Node helper 6.2.0.

use crate::ids::{ClientIdentity, PhoneNumber};
use std::fmt::Write;

/// Largest document that Twilio takes as a webhook's answer, bytes (error 11750).
pub const MAX_DOCUMENT_BYTES: usize = 64_000;
/// Largest `Twiml` parameter of the REST API, characters.
pub const MAX_INLINE_CHARS: usize = 4_000;
/// A `<Parameter>`'s name and value together must stay below this many characters.
pub const MAX_PARAMETER_CHARS: usize = 500;
/// The content type of every TwiML answer.
pub const CONTENT_TYPE: &str = "text/xml; charset=utf-8";

/// Whether a name and a value fit a `<Parameter>`.
pub fn parameter_fits(name: &str, value: &str) -> bool {
    name.chars().count() + value.chars().count() < MAX_PARAMETER_CHARS
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response(pub Vec<Verb>);

/// A verb, run from top to bottom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Hands the call to a media stream until it ends; then Twilio asks `action`, and verbs after this one never run.
    Connect {
        /// Asked when the stream has ended.
        action: Option<String>,
        /// The stream.
        stream: Stream,
    },
    /// Starts something beside the call.
    Start(Beside),
    /// Stops something that was started by name.
    Stop(Stop),
    /// Calls somebody and joins them.
    Dial(Dial),
    /// Speaks.
    Say {
        /// The text.
        text: String,
        /// A voice; none: the account's.
        voice: Option<String>,
        /// BCP 47; none: `en-US`.
        language: Option<String>,
    },
    /// Plays a file.
    Play {
        /// Its address.
        url: String,
    },
    /// Plays telephone keys: `0-9 A-D # * w W`.
    PlayDigits(String),
    /// Waits.
    Pause {
        /// Seconds, at least 1.
        seconds: u32,
    },
    /// Goes on with another document.
    Redirect(String),
    /// Ends the call.
    Hangup,
    /// Refuses the call without answering; only as the first verb.
    Reject {
        /// With a busy tone instead of a refusal.
        busy: bool,
    },
}

/// `<Stream>` in `<Connect>` or `<Start>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stream {
    /// `wss://…`, without a query (Twilio drops it).
    pub url: String,
    /// A name to stop it by.
    pub name: Option<String>,
    /// Where its events go; absolute.
    pub status_callback: Option<String>,
    /// `customParameters` of `start`.
    pub parameters: Vec<(String, String)>,
}

/// What `<Start>` can start here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beside {
    /// A listening stream of both tracks.
    Stream(Stream),
    /// Real-time transcription of both tracks.
    Transcription {
        /// A name to stop it by.
        name: Option<String>,
        /// Where its events go; absolute.
        status_callback_url: String,
        /// BCP 47; none: `en-US`.
        language_code: Option<String>,
        /// Whether unfinished results are sent too.
        partial_results: bool,
    },
    /// A recording.
    Recording {
        /// Where its events go; absolute.
        status_callback: String,
    },
}

/// What `<Stop>` can stop, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A listening stream.
    Stream(String),
    /// A transcription.
    Transcription(String),
    /// A recording.
    Recording(String),
}

/// `<Dial>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dial {
    /// Asked when the dialled leg has ended.
    pub action: Option<String>,
    /// The caller keeps hearing ringing until the far end answers.
    pub answer_on_bridge: bool,
    /// The number shown; none: the caller's.
    pub caller_id: Option<PhoneNumber>,
    /// `record-from-answer-dual` and its kin.
    pub record: Option<String>,
    /// Longest connected time, seconds.
    pub time_limit: Option<u32>,
    /// Longest ringing, seconds (Twilio's default 30).
    pub timeout: Option<u32>,
    /// Where a recording's events go.
    pub recording_status_callback: Option<String>,
    /// Which of a recording's events.
    pub recording_status_callback_event: Option<String>,
    /// Whom to call.
    pub nouns: Vec<Noun>,
}

/// Somebody whom `<Dial>` calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noun {
    /// A telephone.
    Number {
        /// It.
        number: PhoneNumber,
        /// Which of the leg's events are sent.
        status_callback_event: Option<String>,
        /// Where they go.
        status_callback: Option<String>,
    },
    /// A browser or mobile client.
    Client(ClientIdentity),
}

impl Response {
    /// A document of these verbs.
    pub fn new(verbs: impl IntoIterator<Item = Verb>) -> Self {
        Self(verbs.into_iter().collect())
    }

    /// Speaks one sentence and hangs up: what Trunkline says when it cannot do more.
    pub fn apology(text: &str) -> Self {
        Self::new([Verb::Say { text: text.to_owned(), voice: None, language: None }, Verb::Hangup])
    }

    /// The document's text. Characters that XML 1.0 forbids are left out of user texts.
    pub fn to_xml(&self) -> String {
        let mut xml = Xml(String::from(r#"<?xml version="1.0" encoding="UTF-8"?>"#));
        xml.element("Response", &[], |xml| self.0.iter().for_each(|verb| verb.write(xml)));
        xml.0
    }
}

impl Verb {
    fn write(&self, xml: &mut Xml) {
        match self {
            Self::Connect { action, stream } => {
                let method = action.as_ref().map(|_| "POST");
                xml.element("Connect", &[("action", action.as_deref()), ("method", method)], |xml| {
                    stream.write(xml, None)
                });
            }
            Self::Start(beside) => xml.element("Start", &[], |xml| beside.write(xml)),
            Self::Stop(stop) => xml.element("Stop", &[], |xml| {
                let (noun, name) = match stop {
                    Stop::Stream(name) => ("Stream", name),
                    Stop::Transcription(name) => ("Transcription", name),
                    Stop::Recording(name) => ("Recording", name),
                };
                xml.element(noun, &[("name", Some(name))], |_| ());
            }),
            Self::Dial(dial) => dial.write(xml),
            Self::Say { text, voice, language } => {
                xml.element("Say", &[("voice", voice.as_deref()), ("language", language.as_deref())], |xml| {
                    xml.text(text)
                });
            }
            Self::Play { url } => xml.element("Play", &[], |xml| xml.text(url)),
            Self::PlayDigits(digits) => xml.element("Play", &[("digits", Some(digits))], |_| ()),
            Self::Pause { seconds } => xml.element("Pause", &[("length", Some(&seconds.to_string()))], |_| ()),
            Self::Redirect(url) => xml.element("Redirect", &[], |xml| xml.text(url)),
            Self::Hangup => xml.element("Hangup", &[], |_| ()),
            Self::Reject { busy } => xml.element("Reject", &[("reason", busy.then_some("busy"))], |_| ()),
        }
    }
}

impl Stream {
    fn write(&self, xml: &mut Xml, track: Option<&str>) {
        let attributes = [
            ("url", Some(self.url.as_str())),
            ("name", self.name.as_deref()),
            ("track", track),
            ("statusCallback", self.status_callback.as_deref()),
        ];
        xml.element("Stream", &attributes, |xml| {
            for (name, value) in &self.parameters {
                xml.element("Parameter", &[("name", Some(name)), ("value", Some(value))], |_| ());
            }
        });
    }
}

impl Beside {
    fn write(&self, xml: &mut Xml) {
        match self {
            Self::Stream(stream) => stream.write(xml, Some("both_tracks")),
            Self::Transcription { name, status_callback_url, language_code, partial_results } => {
                let attributes = [
                    ("name", name.as_deref()),
                    ("statusCallbackUrl", Some(status_callback_url.as_str())),
                    ("languageCode", language_code.as_deref()),
                    ("track", Some("both_tracks")),
                    ("partialResults", Some(if *partial_results { "true" } else { "false" })),
                ];
                xml.element("Transcription", &attributes, |_| ());
            }
            Self::Recording { status_callback } => {
                let attributes = [
                    ("recordingStatusCallback", Some(status_callback.as_str())),
                    ("recordingStatusCallbackEvent", Some("in-progress completed absent")),
                ];
                xml.element("Recording", &attributes, |_| ());
            }
        }
    }
}

impl Dial {
    fn write(&self, xml: &mut Xml) {
        let (limit, timeout) = (self.time_limit.map(|s| s.to_string()), self.timeout.map(|s| s.to_string()));
        let attributes = [
            ("action", self.action.as_deref()),
            ("answerOnBridge", self.answer_on_bridge.then_some("true")),
            ("callerId", self.caller_id.as_ref().map(PhoneNumber::as_str)),
            ("record", self.record.as_deref()),
            ("timeLimit", limit.as_deref()),
            ("timeout", timeout.as_deref()),
            ("recordingStatusCallback", self.recording_status_callback.as_deref()),
            ("recordingStatusCallbackEvent", self.recording_status_callback_event.as_deref()),
        ];
        xml.element("Dial", &attributes, |xml| {
            for noun in &self.nouns {
                match noun {
                    Noun::Number { number, status_callback_event, status_callback } => {
                        let attributes = [
                            ("statusCallbackEvent", status_callback_event.as_deref()),
                            ("statusCallback", status_callback.as_deref()),
                        ];
                        xml.element("Number", &attributes, |xml| xml.text(number.as_str()));
                    }
                    Noun::Client(identity) => xml.element("Client", &[], |xml| xml.text(identity.as_str())),
                }
            }
        });
    }
}

/// The only writer: whatever passes through it is escaped.
struct Xml(String);

impl Xml {
    fn element(&mut self, name: &str, attributes: &[(&str, Option<&str>)], inside: impl FnOnce(&mut Self)) {
        let _ = write!(self.0, "<{name}");
        for (key, value) in attributes {
            if let Some(value) = value {
                let _ = write!(self.0, " {key}=\"");
                self.escape(value, true);
                self.0.push('"');
            }
        }
        let open = self.0.len();
        self.0.push('>');
        inside(self);
        if self.0.len() == open + 1 {
            self.0.truncate(open);
            self.0.push_str("/>");
        } else {
            let _ = write!(self.0, "</{name}>");
        }
    }

    fn text(&mut self, text: &str) {
        self.escape(text, false);
    }

    fn escape(&mut self, text: &str, attribute: bool) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' if !attribute => self.0.push_str("&gt;"),
                '"' if attribute => self.0.push_str("&quot;"),
                '\t' | '\n' | '\r' if attribute => {
                    let _ = write!(self.0, "&#x{:X};", u32::from(c));
                }
                // A parser would turn a bare carriage return into a line feed.
                '\r' => self.0.push_str("&#xD;"),
                '\t' | '\n' => self.0.push(c),
                c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
                c => self.0.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;

    #[test]
    fn the_golden_outputs() {
        let connect = Response::new([
            Verb::Start(Beside::Transcription {
                name: None,
                status_callback_url: "https://a.example/t?x=1&y=2".into(),
                language_code: None,
                partial_results: false,
            }),
            Verb::Connect {
                action: Some("/after".into()),
                stream: Stream {
                    url: "wss://a.example/media".into(),
                    status_callback: Some("https://a.example/s?c=1&d=2".into()),
                    parameters: vec![("token".into(), "a\"b<c>&d'e".into())],
                    name: None,
                },
            },
        ]);
        assert_eq!(
            connect.to_xml(),
            format!(
                r#"{HEAD}<Response><Start><Transcription statusCallbackUrl="https://a.example/t?x=1&amp;y=2" track="both_tracks" partialResults="false"/></Start><Connect action="/after" method="POST"><Stream url="wss://a.example/media" statusCallback="https://a.example/s?c=1&amp;d=2"><Parameter name="token" value="a&quot;b&lt;c>&amp;d'e"/></Stream></Connect></Response>"#
            )
        );

        let say = Response::new([Verb::Say {
            text: r#"R&D <b> "q" 's' >"#.into(),
            voice: Some("Polly.Joanna-Neural".into()),
            language: None,
        }]);
        assert_eq!(
            say.to_xml(),
            format!(
                r#"{HEAD}<Response><Say voice="Polly.Joanna-Neural">R&amp;D &lt;b&gt; "q" 's' &gt;</Say></Response>"#
            )
        );

        let dial = Response::new([Verb::Dial(Dial {
            answer_on_bridge: true,
            caller_id: PhoneNumber::parse("+14155550100").ok(),
            record: Some("record-from-answer-dual".into()),
            time_limit: Some(3600),
            recording_status_callback_event: Some("in-progress completed".into()),
            nouns: vec![Noun::Number {
                number: PhoneNumber::parse("+14155550123").unwrap(),
                status_callback_event: Some("initiated answered".into()),
                status_callback: Some("/st".into()),
            }],
            ..Dial::default()
        })]);
        assert_eq!(
            dial.to_xml(),
            format!(
                r#"{HEAD}<Response><Dial answerOnBridge="true" callerId="+14155550100" record="record-from-answer-dual" timeLimit="3600" recordingStatusCallbackEvent="in-progress completed"><Number statusCallbackEvent="initiated answered" statusCallback="/st">+14155550123</Number></Dial></Response>"#
            )
        );
    }

    #[test]
    fn short_documents() {
        assert_eq!(Response::default().to_xml(), format!("{HEAD}<Response/>"));
        assert_eq!(
            Response::apology("Sorry\u{0}\u{1b}\r.").to_xml(),
            format!("{HEAD}<Response><Say>Sorry&#xD;.</Say><Hangup/></Response>")
        );
        assert_eq!(
            Response::new([Verb::Reject { busy: true }]).to_xml(),
            format!(r#"{HEAD}<Response><Reject reason="busy"/></Response>"#)
        );
        let several = Response::new([
            Verb::Pause { seconds: 2 },
            Verb::PlayDigits("1w2#".into()),
            Verb::Stop(Stop::Transcription("live".into())),
            Verb::Redirect("https://a.example/?a=1&b=2".into()),
        ]);
        assert_eq!(
            several.to_xml(),
            format!(
                r#"{HEAD}<Response><Pause length="2"/><Play digits="1w2#"/><Stop><Transcription name="live"/></Stop><Redirect>https://a.example/?a=1&amp;b=2</Redirect></Response>"#
            )
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_can_become_markup(text in proptest::prelude::any::<String>()) {
            let xml = Response::new([
                Verb::Say { text: text.clone(), voice: Some(text.clone()), language: None },
                Verb::Connect { action: Some(text.clone()), stream: Stream { url: text.clone(), parameters: vec![(text.clone(), text)], ..Stream::default() } },
            ]).to_xml();
            // Response, Say, Connect, Stream with their ends, the declaration, and one empty Parameter.
            proptest::prop_assert_eq!(xml.matches('<').count(), if xml.contains("</Say>") { 10 } else { 9 });
        }
    }

    #[test]
    fn parameters_have_a_limit() {
        assert!(parameter_fits("ticket", &"x".repeat(493)));
        assert!(!parameter_fits("ticket", &"x".repeat(494)));
    }
}
