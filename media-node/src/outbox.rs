//! What waits to be written to a socket. Bounded: when audio does not fit, the oldest audio goes; control is never dropped,
//! and when control alone does not fit the socket is given up. A `clear` takes the audio before it away, because its reader
//! would throw that away too. No socket lives here.

use bytes::Bytes;
use std::collections::VecDeque;
use tokio_tungstenite::tungstenite::Message;

/// What a message is to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// May be dropped when the reader does not keep up.
    Audio,
    /// Takes the audio before it away.
    Clear,
    /// Is delivered, in its place.
    Control,
}

impl Kind {
    /// What a message to Twilio is. The session makes them with `shared::twilio::media_stream`, `event` first.
    pub(crate) fn of_twilio(text: &str) -> Self {
        if text.starts_with(r#"{"event":"media""#) {
            Self::Audio
        } else if text.starts_with(r#"{"event":"clear""#) {
            Self::Clear
        } else {
            Self::Control
        }
    }
}

/// More control messages wait than a sound reader would ever leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer leaves too much unread")]
pub(crate) struct Overflow;

/// A bounded queue of messages.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: VecDeque<(Kind, Message)>,
    audio_bytes: usize,
    control_bytes: usize,
    max_audio: usize,
    max_control: usize,
}

impl Outbox {
    /// Both bounds are in bytes.
    pub(crate) fn new(max_audio: usize, max_control: usize) -> Self {
        Self { queue: VecDeque::new(), audio_bytes: 0, control_bytes: 0, max_audio, max_control }
    }

    /// Puts a message in; says how many audio messages were dropped for it. One audio message is always kept, however large.
    pub(crate) fn push(&mut self, kind: Kind, message: Message) -> Result<usize, Overflow> {
        let mut dropped = 0;
        match kind {
            Kind::Audio => {
                self.audio_bytes += message.len();
                self.queue.push_back((kind, message));
                if self.audio_bytes > self.max_audio {
                    dropped = self.drop_oldest_audio();
                }
            }
            Kind::Clear | Kind::Control => {
                if kind == Kind::Clear {
                    self.queue.retain(|(kind, _)| *kind != Kind::Audio);
                    self.audio_bytes = 0;
                }
                self.control_bytes += message.len();
                self.queue.push_back((kind, message));
                if self.control_bytes > self.max_control {
                    return Err(Overflow);
                }
            }
        }
        Ok(dropped)
    }

    fn drop_oldest_audio(&mut self) -> usize {
        let mut waiting = self.queue.iter().filter(|(kind, _)| *kind == Kind::Audio).count();
        let (mut excess, mut dropped) = (self.audio_bytes - self.max_audio, 0);
        self.queue.retain(|(kind, message)| {
            let keep = *kind != Kind::Audio || excess == 0 || waiting == 1;
            if !keep {
                excess = excess.saturating_sub(message.len());
                self.audio_bytes -= message.len();
                waiting -= 1;
                dropped += 1;
            }
            keep
        });
        dropped
    }

    /// Takes the next message out.
    pub(crate) fn pop(&mut self) -> Option<Message> {
        let (kind, message) = self.queue.pop_front()?;
        match kind {
            Kind::Audio => self.audio_bytes -= message.len(),
            Kind::Clear | Kind::Control => self.control_bytes -= message.len(),
        }
        // A burst's room is given back once it has passed: calls live long.
        if self.queue.is_empty() && self.queue.capacity() > 64 {
            self.queue = VecDeque::new();
        }
        Some(message)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Bytes of audio that wait.
    pub(crate) fn audio_bytes(&self) -> usize {
        self.audio_bytes
    }
}

/// A text message from a session's String, without copying it.
pub(crate) fn text(text: String) -> Message {
    Message::Text(text.into())
}

/// A binary message, without copying it.
pub(crate) fn binary(bytes: Vec<u8>) -> Message {
    Message::Binary(Bytes::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::ids::StreamSid;
    use shared::twilio::media_stream;

    fn drain(outbox: &mut Outbox) -> Vec<String> {
        std::iter::from_fn(|| outbox.pop()).map(|m| m.to_text().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn twilios_messages_are_recognised() {
        let sid = StreamSid::parse("MZ00000000000000000000000000000001").expect("a stream's id");
        assert_eq!(Kind::of_twilio(&media_stream::media(&sid, "//8=")), Kind::Audio);
        assert_eq!(Kind::of_twilio(&media_stream::mark(&sid, "media")), Kind::Control);
        assert_eq!(Kind::of_twilio(&media_stream::clear(&sid)), Kind::Clear);
    }

    #[test]
    fn the_oldest_audio_goes_and_control_stays_in_its_place() {
        let mut outbox = Outbox::new(4, 100);
        assert_eq!(outbox.push(Kind::Audio, text("aa".into())), Ok(0));
        assert_eq!(outbox.push(Kind::Control, text("mark 1".into())), Ok(0));
        assert_eq!(outbox.push(Kind::Audio, text("bb".into())), Ok(0));
        assert_eq!(outbox.push(Kind::Control, text("mark 2".into())), Ok(0));
        assert_eq!(outbox.push(Kind::Audio, text("c".into())), Ok(1));
        assert_eq!(outbox.audio_bytes(), 3);
        assert_eq!(drain(&mut outbox), ["mark 1", "bb", "mark 2", "c"]);
        assert_eq!(outbox.push(Kind::Audio, text("larger than all".into())), Ok(0));
        assert_eq!(outbox.push(Kind::Audio, text("d".into())), Ok(1));
        assert_eq!((drain(&mut outbox), outbox.audio_bytes()), (vec!["d".to_owned()], 0));
    }

    #[test]
    fn a_clear_takes_the_audio_before_it_away() {
        let mut outbox = Outbox::new(100, 100);
        for (kind, word) in
            [(Kind::Audio, "old"), (Kind::Control, "mark"), (Kind::Clear, "clear"), (Kind::Audio, "new")]
        {
            assert_eq!(outbox.push(kind, text(word.into())), Ok(0));
        }
        assert_eq!(outbox.audio_bytes(), 3);
        assert_eq!(drain(&mut outbox), ["mark", "clear", "new"]);
    }

    #[test]
    fn control_is_never_dropped_but_bounded() {
        let mut outbox = Outbox::new(100, 10);
        assert_eq!(outbox.push(Kind::Control, text("12345678".into())), Ok(0));
        assert_eq!(outbox.push(Kind::Control, text("9ab".into())), Err(Overflow));
    }
}
