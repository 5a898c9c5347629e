//! Twilio's side of the wire: what a message of the stream says to a session, and the messages that a session sends back.
//! A media frame in its usual form is read with borrowed slices and one pass; everything else goes through the shared
//! decoder. What a message does lives in `session`.

use crate::scan;
use shared::ids::StreamSid;
use shared::twilio::media_stream::{self, Malformed, Message};
use std::borrow::Cow;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard<'a> {
    /// The caller's audio: checked base64 of so many mu-law bytes.
    Audio {
        /// The base64.
        payload: Cow<'a, str>,
        /// What it decodes to, in bytes.
        bytes: usize,
        /// Milliseconds since the stream's start, if it says so.
        dated_ms: Option<u32>,
    },
    /// A mark of ours came back.
    Mark(Cow<'a, str>),
    /// A key was pressed.
    Digit(char),
    /// The stream is over.
    Stop,
    /// A kind that this version does not know.
    Unknown,
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// It cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It names another stream.
    #[error("message of another stream")]
    OtherStream,
    /// Audio of a side that a bidirectional stream does not carry.
    #[error("audio of another track")]
    OtherTrack,
    /// The audio is not base64.
    #[error("audio that is not base64")]
    NotBase64,
    /// `connected` or `start` after `start`.
    #[error("the stream began twice")]
    BeganTwice,
}

/// One stream's ends of the wire.
#[derive(Debug)]
pub(crate) struct Carrier {
    stream: StreamSid,
    /// A media message up to its payload.
    media_head: String,
}

const MEDIA_TAIL: &str = r#""}}"#;

impl Carrier {
    pub(crate) fn new(stream: StreamSid) -> Self {
        let media_head = format!(r#"{{"event":"media","streamSid":"{stream}","media":{{"payload":""#);
        Self { stream, media_head }
    }

    /// `media` with this base64, which must have passed [`scan::base64_len`]: it is spliced in, not encoded.
    pub(crate) fn media(&self, payload: &str) -> String {
        let mut text = String::with_capacity(self.media_head.len() + payload.len() + MEDIA_TAIL.len());
        text.push_str(&self.media_head);
        text.push_str(payload);
        text.push_str(MEDIA_TAIL);
        text
    }

    /// `mark`. The name must not need escaping.
    pub(crate) fn mark(&self, name: impl std::fmt::Display) -> String {
        format!(r#"{{"event":"mark","streamSid":"{}","mark":{{"name":"{name}"}}}}"#, self.stream)
    }

    /// `clear`.
    pub(crate) fn clear(&self) -> String {
        media_stream::clear(&self.stream)
    }

    /// Reads one text message.
    pub(crate) fn read<'a>(&self, text: &'a str) -> Result<Heard<'a>, Fault> {
        match self.plain(text) {
            Some(Plain::Audio { payload, dated_ms }) => {
                let bytes = scan::base64_len(payload).ok_or(Fault::NotBase64)?;
                return Ok(Heard::Audio { payload: Cow::Borrowed(payload), bytes, dated_ms });
            }
            Some(Plain::Mark(name)) => return Ok(Heard::Mark(Cow::Borrowed(name))),
            None => {}
        }
        let (message, stream) = media_stream::read(text)?;
        if stream.is_some_and(|sid| sid != self.stream.as_str()) {
            return Err(Fault::OtherStream);
        }
        match message {
            Message::Media(media) if matches!(media.track.as_ref(), "inbound" | "") => {
                let bytes = scan::base64_len(&media.payload).ok_or(Fault::NotBase64)?;
                let dated_ms = u32::try_from(media.timestamp).ok().filter(|ms| *ms > 0);
                Ok(Heard::Audio { payload: media.payload, bytes, dated_ms })
            }
            Message::Media(_) => Err(Fault::OtherTrack),
            Message::Mark { name } => Ok(Heard::Mark(name)),
            Message::Dtmf { digit } => Ok(Heard::Digit(digit)),
            Message::Stop => Ok(Heard::Stop),
            Message::Connected | Message::Start(_) => Err(Fault::BeganTwice),
            Message::Unknown => Ok(Heard::Unknown),
        }
    }

    /// A media frame or a mark about which nothing is unusual.
    fn plain<'a>(&self, text: &'a str) -> Option<Plain<'a>> {
        let (mut event, mut is_ours, mut is_inbound) = (None, false, false);
        let (mut payload, mut dated_ms, mut name) = (None, None, None);
        scan::members(text, |outer, key, value| {
            match (outer, key) {
                (None, "event") => event = Some(value.text()?),
                (None, "streamSid") => is_ours = value.text()? == self.stream.as_str(),
                (Some("media"), "track") => is_inbound = value.text()? == "inbound",
                (Some("media"), "timestamp") => dated_ms = Some(value.number()?),
                (Some("media"), "payload") if payload.is_none() => payload = Some(value.text()?),
                (Some("mark"), "name") if name.is_none() => name = Some(value.text()?),
                (Some("media"), "payload") | (Some("mark"), "name") => return None,
                _ => {}
            }
            Some(())
        })?;
        match event.filter(|_| is_ours)? {
            "media" if is_inbound => Some(Plain::Audio { payload: payload?, dated_ms: dated_ms.filter(|ms| *ms > 0) }),
            "mark" => Some(Plain::Mark(name?)),
            _ => None,
        }
    }
}

/// What the frequent messages hold.
enum Plain<'a> {
    Audio { payload: &'a str, dated_ms: Option<u32> },
    Mark(&'a str),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carrier() -> Carrier {
        Carrier::new(StreamSid::parse("MZ00000000000000000000000000000001").unwrap())
    }

    const PLAIN: &str = r#"{"event":"media","sequenceNumber":"3","media":{"track":"inbound","chunk":"1","timestamp":"5","payload":"//8="},"streamSid":"MZ00000000000000000000000000000001"}"#;

    #[test]
    fn audio_is_borrowed_in_any_order_of_its_members() {
        for text in [
            PLAIN,
            r#"{"streamSid":"MZ00000000000000000000000000000001","media":{"payload":"//8=","track":"inbound","timestamp":5},"event":"media"}"#,
        ] {
            let Ok(Heard::Audio { payload: Cow::Borrowed(payload), bytes: 2, dated_ms: Some(5) }) =
                carrier().read(text)
            else {
                panic!("{text}")
            };
            assert_eq!(payload, "//8=");
        }
    }

    #[test]
    fn unusual_audio_is_read_by_the_shared_decoder() {
        let escaped = PLAIN.replace("//8=", r"\/\/8=");
        assert_eq!(carrier().read(&escaped), Ok(Heard::Audio { payload: "//8=".into(), bytes: 2, dated_ms: Some(5) }));
        let trackless = r#"{"event":"media","media":{"payload":"//8="}}"#;
        assert_eq!(carrier().read(trackless), Ok(Heard::Audio { payload: "//8=".into(), bytes: 2, dated_ms: None }));
        let empty = PLAIN.replace("//8=", "");
        assert_eq!(carrier().read(&empty), Ok(Heard::Audio { payload: "".into(), bytes: 0, dated_ms: Some(5) }));
    }

    #[test]
    fn faults_are_typed_and_nothing_of_them_is_forwarded() {
        let cases: [(&str, Fault); 12] = [
            (&PLAIN.replace("000001\"}", "000002\"}"), Fault::OtherStream),
            (&PLAIN.replace("inbound", "outbound"), Fault::OtherTrack),
            (&PLAIN.replace("//8=", "//8"), Fault::NotBase64),
            (&PLAIN.replace("//8=", "__8="), Fault::NotBase64),
            (&PLAIN.replace("//8=", r#"\"}}x"#), Fault::NotBase64),
            (&PLAIN.replace("\"//8=\"", "7"), Fault::Malformed(Malformed::Content("media"))),
            (
                &PLAIN.replace("\"payload\"", "\"payload\":\"\",\"payload\""),
                Fault::Malformed(Malformed::Content("media")),
            ),
            ("\u{feff}{}", Fault::Malformed(Malformed::Envelope)),
            ("\0", Fault::Malformed(Malformed::Envelope)),
            (&"[".repeat(60_000), Fault::Malformed(Malformed::Envelope)),
            (r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#, Fault::BeganTwice),
            (r#"{"event":"dtmf","dtmf":{"digit":"Z"}}"#, Fault::Malformed(Malformed::Content("dtmf"))),
        ];
        for (text, fault) in cases {
            assert_eq!(carrier().read(text), Err(fault), "{}", text.get(..200).unwrap_or(text));
        }
        assert_eq!(carrier().read(r#"{"event":"applause"}"#), Ok(Heard::Unknown));
    }

    #[test]
    fn messages_are_the_documented_ones() {
        let sid = StreamSid::parse("MZ00000000000000000000000000000001").unwrap();
        assert_eq!(carrier().media("//8="), media_stream::media(&sid, "//8="));
        assert_eq!(
            carrier().mark("g1m2"),
            r#"{"event":"mark","streamSid":"MZ00000000000000000000000000000001","mark":{"name":"g1m2"}}"#
        );
        assert_eq!(carrier().clear(), r#"{"event":"clear","streamSid":"MZ00000000000000000000000000000001"}"#);
    }
}
