//! Media Streams messages: what Twilio sends over the stream's WebSocket and what it takes. One JSON object per text frame;
//! Twilio writes its numbers as strings, and both forms are read. The node's hot path has its own scanner for media frames
//! and falls back to this module.

use crate::ids::{AccountSid, CallSid, StreamSid};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A message from Twilio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// The first message; says nothing that is needed.
    Connected,
    /// The stream begins.
    Start(Box<Start>),
    /// Audio of the caller.
    Media(Media<'a>),
    /// The caller pressed a key.
    Dtmf {
        /// `0-9`, `*`, `#`, `A-D`.
        digit: char,
    },
    /// Playback has reached a mark of ours, or `clear` has flushed it.
    Mark {
        /// The name we gave.
        name: Cow<'a, str>,
    },
    /// The stream is over.
    Stop,
    /// A kind that this version does not know.
    Unknown,
}

/// `start`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// The account.
    pub account_sid: AccountSid,
    /// The stream.
    pub stream_sid: StreamSid,
    /// The leg.
    pub call_sid: CallSid,
    /// `inbound`, `outbound`.
    #[serde(default)]
    pub tracks: Vec<String>,
    /// What the audio is.
    pub media_format: MediaFormat,
    /// The stream's `<Parameter>`s.
    #[serde(default)]
    pub custom_parameters: BTreeMap<String, String>,
}

/// What the audio is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaFormat {
    /// `audio/x-mulaw`.
    pub encoding: String,
    /// 8000.
    #[serde(deserialize_with = "lenient")]
    pub sample_rate: u64,
    /// 1.
    #[serde(deserialize_with = "lenient")]
    pub channels: u64,
}

impl MediaFormat {
    /// Whether it is the one format that Media Streams have: mu-law, 8000 Hz, mono.
    pub fn is_mulaw_8000(&self) -> bool {
        self.encoding == "audio/x-mulaw" && self.sample_rate == 8000 && self.channels == 1
    }
}

/// `media`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Media<'a> {
    /// `inbound` or `outbound`.
    #[serde(borrow, default)]
    pub track: Cow<'a, str>,
    /// From 1 per stream (whether per track is not documented).
    #[serde(default, deserialize_with = "lenient")]
    pub chunk: u64,
    /// Milliseconds since the stream's start.
    #[serde(default, deserialize_with = "lenient")]
    pub timestamp: u64,
    /// Base64 of mu-law; usually 160 bytes, any size is valid.
    #[serde(borrow)]
    pub payload: Cow<'a, str>,
}

/// Why a message is not understood. What it contained is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not a JSON object with a text `event`.
    #[error("not a media stream message")]
    Envelope,
    /// A known event whose content is missing or of another type.
    #[error("malformed {0} message")]
    Content(&'static str),
}

fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Number;
    impl serde::de::Visitor<'_> for Number {
        type Value = u64;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a whole number, or a text of one")
        }
        fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<u64, E> {
            Ok(value)
        }
        fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<u64, E> {
            value.parse().map_err(E::custom)
        }
    }
    deserializer.deserialize_any(Number)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow, default)]
    stream_sid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    start: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow, default)]
    media: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow, default)]
    mark: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow, default)]
    dtmf: Option<&'a serde_json::value::RawValue>,
}

#[derive(Deserialize)]
struct MarkBody<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct DtmfBody<'a> {
    #[serde(borrow)]
    digit: Cow<'a, str>,
}

/// Reads a message and the `streamSid` at its top, if it has one.
pub fn read(text: &str) -> Result<(Message<'_>, Option<Cow<'_, str>>), Malformed> {
    fn body<'a, T: Deserialize<'a>>(
        raw: Option<&'a serde_json::value::RawValue>,
        event: &'static str,
    ) -> Result<T, Malformed> {
        raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).ok_or(Malformed::Content(event))
    }
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|_| Malformed::Envelope)?;
    let message = match envelope.event.as_ref() {
        "connected" => Message::Connected,
        "start" => Message::Start(Box::new(body(envelope.start, "start")?)),
        "media" => Message::Media(body(envelope.media, "media")?),
        "mark" => Message::Mark { name: body::<MarkBody<'_>>(envelope.mark, "mark")?.name },
        "dtmf" => {
            let body: DtmfBody<'_> = body(envelope.dtmf, "dtmf")?;
            let mut digits = body.digit.chars();
            match (digits.next(), digits.next()) {
                (Some(digit @ ('0'..='9' | '*' | '#' | 'A'..='D')), None) => Message::Dtmf { digit },
                _ => return Err(Malformed::Content("dtmf")),
            }
        }
        "stop" => Message::Stop,
        _ => Message::Unknown,
    };
    Ok((message, envelope.stream_sid))
}

/// `media` to Twilio. `payload` is base64 of mu-law without a header; it is not checked here.
pub fn media(stream: &StreamSid, payload: &str) -> String {
    let mut text = String::with_capacity(payload.len() + 96);
    text.push_str(r#"{"event":"media","streamSid":""#);
    text.push_str(stream.as_str());
    text.push_str(r#"","media":{"payload":""#);
    text.push_str(payload);
    text.push_str(r#""}}"#);
    text
}

/// `mark` to Twilio; it comes back when playback reaches it, or at `clear`.
pub fn mark(stream: &StreamSid, name: &str) -> String {
    serde_json::json!({"event": "mark", "streamSid": stream.as_str(), "mark": {"name": name}}).to_string()
}

/// `clear` to Twilio: empties its buffer; every pending mark comes back.
pub fn clear(stream: &StreamSid) -> String {
    format!(r#"{{"event":"clear","streamSid":"{stream}"}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MZ: &str = "MZ00000000000000000000000000000001";

    fn event(text: &str) -> Result<Message<'_>, Malformed> {
        read(text).map(|(message, _)| message)
    }

    #[test]
    fn the_documented_messages() {
        assert_eq!(event(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#), Ok(Message::Connected));
        let start = r#"{"event":"start","sequenceNumber":"1","streamSid":"MZ00000000000000000000000000000001","start":{"accountSid":"AC00000000000000000000000000000001","streamSid":"MZ00000000000000000000000000000001","callSid":"CA00000000000000000000000000000001","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"ticket":"v1.x.y"}}}"#;
        let Ok((Message::Start(start), Some(sid))) = read(start) else { panic!("not a start") };
        assert_eq!((sid.as_ref(), start.stream_sid.as_str()), (MZ, MZ));
        assert!(start.media_format.is_mulaw_8000());
        assert_eq!(start.custom_parameters["ticket"], "v1.x.y");
        let media = r#"{"event":"media","sequenceNumber":"3","streamSid":"MZ00000000000000000000000000000001","media":{"track":"inbound","chunk":"1","timestamp":"5","payload":"//8="}}"#;
        let expected = Media { track: "inbound".into(), chunk: 1, timestamp: 5, payload: "//8=".into() };
        assert_eq!(event(media), Ok(Message::Media(expected.clone())));
        let numbers =
            r#"{"event":"media","media":{"track":"inbound","chunk":1,"timestamp":5,"payload":"//8="},"extra":[1]}"#;
        assert_eq!(event(numbers), Ok(Message::Media(expected)));
        assert_eq!(
            event(r#"{"event":"dtmf","dtmf":{"track":"inbound_track","digit":"1"}}"#),
            Ok(Message::Dtmf { digit: '1' })
        );
        assert_eq!(
            event(r#"{"event":"mark","mark":{"name":"my label"}}"#),
            Ok(Message::Mark { name: "my label".into() })
        );
        assert_eq!(event(r#"{"event":"stop","stop":{}}"#), Ok(Message::Stop));
        assert_eq!(event(r#"{"event":"applause"}"#), Ok(Message::Unknown));
    }

    #[test]
    fn malformed_messages_are_named() {
        for text in ["", "[]", "null", r#"{"event":1}"#, r#"{"media":{}}"#, "{\"event\":\"media\"", "\u{feff}{}"] {
            assert_eq!(event(text), Err(Malformed::Envelope), "{text}");
        }
        assert_eq!(event(r#"{"event":"media","media":{"payload":7}}"#), Err(Malformed::Content("media")));
        assert_eq!(event(r#"{"event":"media","media":{"payload":"","chunk":"-1"}}"#), Err(Malformed::Content("media")));
        assert_eq!(event(r#"{"event":"start","start":{"streamSid":"x"}}"#), Err(Malformed::Content("start")));
        assert_eq!(event(r#"{"event":"dtmf","dtmf":{"digit":"12"}}"#), Err(Malformed::Content("dtmf")));
        assert_eq!(event(r#"{"event":"mark"}"#), Err(Malformed::Content("mark")));
    }

    #[test]
    fn messages_to_twilio() {
        let sid = StreamSid::parse(MZ).unwrap();
        assert_eq!(
            media(&sid, "//8="),
            format!(r#"{{"event":"media","streamSid":"{MZ}","media":{{"payload":"//8="}}}}"#)
        );
        assert_eq!(clear(&sid), format!(r#"{{"event":"clear","streamSid":"{MZ}"}}"#));
        let value: serde_json::Value = serde_json::from_str(&mark(&sid, "a\"b:g1")).unwrap();
        assert_eq!(value, serde_json::json!({"event":"mark","streamSid":MZ,"mark":{"name":"a\"b:g1"}}));
    }
}
