//! One WebSocket of a call with what waits to be written to it: reads messages, writes the outbox, notices a peer that does
//! not read. It never waits: every function does what can be done now and leaves the task's waker with the socket. What
//! the messages mean is the driver's.

use crate::bell::Doorbell;
use crate::config::Timing;
use crate::metrics::Traffic;
use crate::outbox::{Kind, Outbox};
use crate::wire::Counted;
use futures_util::{Sink as _, Stream as _};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message, Utf8Bytes};

/// Largest message from Twilio, bytes.
pub(crate) const TWILIO_MESSAGE: usize = 64 * 1024;
/// Largest message from a provider, bytes.
pub(crate) const PROVIDER_MESSAGE: usize = 1024 * 1024;

/// A WebSocket's limits: small buffers, because a node has thousands of them; masks required; no extensions.
pub(crate) fn limits(message: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(8 * 1024)
        .write_buffer_size(16 * 1024)
        // One largest message of ours must fit beside what is already there.
        .max_write_buffer_size(256 * 1024 + PROVIDER_MESSAGE)
        .max_message_size(Some(message))
        .max_frame_size(Some(message))
        .accept_unmasked_frames(false)
}

/// The socket cannot be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The peer closed, with this code if it said one.
    Closed(Option<u16>),
    /// The connection broke.
    Broken,
    /// The peer broke the WebSocket protocol or sent too large a message.
    Violation,
    /// The peer does not read.
    Stalled,
}

impl Gone {
    /// A word for the log.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Closed(_) => "closed",
            Self::Broken => "broken",
            Self::Violation => "protocol violation",
            Self::Stalled => "does not read",
        }
    }
}

/// A message that arrived.
#[derive(Debug)]
pub(crate) enum Arrived {
    Text(Utf8Bytes),
    Binary(bytes::Bytes),
}

/// A socket and its outbox.
#[derive(Debug)]
pub(crate) struct Leg<S> {
    socket: WebSocketStream<S>,
    outbox: Outbox,
    traffic: Traffic,
    unflushed: bool,
    closing: bool,
    blocked: Option<Blocked>,
    stalled: Duration,
    dead: Duration,
    counted: (u64, u64),
    bell: Doorbell,
    /// The socket had nothing to read, and has not rung since.
    is_silent: bool,
}

/// A write that waits: since when, and how much had been written then.
#[derive(Debug)]
struct Blocked {
    since: Instant,
    written: u64,
}

impl<S: AsyncRead + AsyncWrite + Counted + Unpin> Leg<S> {
    pub(crate) fn new(socket: WebSocketStream<S>, outbox: Outbox, traffic: Traffic, timing: &Timing) -> Self {
        Self {
            socket,
            outbox,
            traffic,
            unflushed: false,
            closing: false,
            blocked: None,
            stalled: timing.write_stalled,
            dead: timing.write_dead,
            counted: (0, 0),
            bell: Doorbell::new(Waker::noop()),
            is_silent: false,
        }
    }

    /// The next text or binary message. Pings are answered by the library; pongs only count as bytes read.
    pub(crate) fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arrived, Gone>> {
        self.answer_bell(cx);
        // Somebody else has woken the task.
        if self.is_silent {
            return Poll::Pending;
        }
        loop {
            let (socket, mut bell) = self.split();
            match socket.poll_next(&mut bell) {
                Poll::Pending => {
                    self.is_silent = true;
                    return Poll::Pending;
                }
                Poll::Ready(None) => return Poll::Ready(Err(Gone::Closed(None))),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(gone(&error))),
                Poll::Ready(Some(Ok(message))) => match message {
                    Message::Text(text) => {
                        self.traffic.messages_in.inc();
                        return Poll::Ready(Ok(Arrived::Text(text)));
                    }
                    Message::Binary(bytes) => {
                        self.traffic.messages_in.inc();
                        return Poll::Ready(Ok(Arrived::Binary(bytes)));
                    }
                    Message::Close(frame) => {
                        // Our answer to it lies in the library's buffer; tried once, the peer may be gone already.
                        let (socket, mut bell) = self.split();
                        let _ = socket.poll_flush(&mut bell);
                        return Poll::Ready(Err(Gone::Closed(frame.map(|f| f.code.into()))));
                    }
                    // The answer to a ping lies in the library's buffer until somebody flushes.
                    Message::Ping(_) => self.unflushed = true,
                    Message::Pong(_) | Message::Frame(_) => {}
                },
            }
        }
    }

    /// Notices whether the socket has rung. It gets another bell when it is handed to another task.
    fn answer_bell(&mut self, cx: &Context<'_>) {
        if !self.bell.is_for(cx.waker()) {
            self.bell = Doorbell::new(cx.waker());
            self.is_silent = false;
        } else if self.bell.was_rung() {
            self.is_silent = false;
        }
    }

    /// The socket, and what it is polled with.
    fn split(&mut self) -> (Pin<&mut WebSocketStream<S>>, Context<'_>) {
        (Pin::new(&mut self.socket), self.bell.context())
    }

    /// Queues a message. Audio may be dropped for it, and is counted. After [`Leg::close`] nothing is queued any more.
    pub(crate) fn push(&mut self, kind: Kind, message: Message) -> Result<(), Gone> {
        if self.closing {
            return Ok(());
        }
        let dropped = self.outbox.push(kind, message).map_err(|_| Gone::Stalled)?;
        if dropped > 0 {
            self.traffic.dropped.inc_by(dropped as u64);
        }
        Ok(())
    }

    /// Queues a ping.
    pub(crate) fn ping(&mut self) -> Result<(), Gone> {
        self.push(Kind::Control, Message::Ping(bytes::Bytes::new()))
    }

    /// Queues a close frame, once, behind everything that waits.
    pub(crate) fn close(&mut self, code: CloseCode) -> Result<(), Gone> {
        let queued = self.push(Kind::Control, Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::default() })));
        self.closing = true;
        queued
    }

    /// Writes as much as the peer takes: all that one wake has queued goes out in one write.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), Gone> {
        self.answer_bell(cx);
        let pending = loop {
            if self.outbox.is_empty() {
                break false;
            }
            let (socket, mut bell) = self.split();
            match socket.poll_ready(&mut bell) {
                Poll::Pending => break true,
                Poll::Ready(Err(error)) => return Err(gone(&error)),
                Poll::Ready(Ok(())) => {}
            }
            let Some(message) = self.outbox.pop() else { break false };
            self.traffic.messages_out.inc();
            self.unflushed = true;
            Pin::new(&mut self.socket).start_send(message).map_err(|error| gone(&error))?;
        };
        if !pending && !self.unflushed {
            return Ok(());
        }
        let (socket, mut bell) = self.split();
        let pending = pending
            || match socket.poll_flush(&mut bell) {
                Poll::Pending => true,
                Poll::Ready(Err(error)) => return Err(gone(&error)),
                Poll::Ready(Ok(())) => {
                    self.unflushed = false;
                    false
                }
            };
        self.judge(pending, now)
    }

    fn judge(&mut self, pending: bool, now: Instant) -> Result<(), Gone> {
        let written = self.socket.get_ref().bytes_written();
        self.blocked = match (pending, self.blocked.take()) {
            (false, _) => None,
            (true, Some(blocked)) if blocked.written == written => Some(blocked),
            (true, Some(_) | None) => Some(Blocked { since: now, written }),
        };
        match &self.blocked {
            Some(blocked) if now >= blocked.since + self.dead => Err(Gone::Stalled),
            Some(_) | None => Ok(()),
        }
    }

    /// Adds what has passed since the last time to the traffic counters.
    pub(crate) fn count(&mut self) {
        let wire = self.socket.get_ref();
        let now = (wire.bytes_read(), wire.bytes_written());
        if now != self.counted {
            self.traffic.bytes_in.inc_by(now.0 - self.counted.0);
            self.traffic.bytes_out.inc_by(now.1 - self.counted.1);
            self.counted = now;
        }
    }

    /// All bytes that have come in, framing and pongs included.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.socket.get_ref().bytes_read()
    }

    /// When a blocked write must be looked at again.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let blocked = self.blocked.as_ref()?;
        let stalled = blocked.since + self.stalled;
        Some(if now < stalled { stalled } else { blocked.since + self.dead })
    }

    /// Whether the peer has not read anything for so long that waiting for it is pointless.
    pub(crate) fn is_stalled(&self, now: Instant) -> bool {
        self.blocked.as_ref().is_some_and(|blocked| now >= blocked.since + self.stalled)
    }

    /// Whether the peer did not take all of the last write.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// Whether nothing waits to be written.
    pub(crate) fn is_written(&self) -> bool {
        self.outbox.is_empty() && !self.unflushed
    }

    /// Bytes of audio that wait to be written.
    pub(crate) fn audio_waiting(&self) -> usize {
        self.outbox.audio_bytes()
    }

    /// Counts a message that broke its protocol.
    pub(crate) fn malformed(&self) {
        self.traffic.malformed.inc();
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's errors are many and mean three things here")]
fn gone(error: &WsError) -> Gone {
    match error {
        WsError::ConnectionClosed | WsError::AlreadyClosed => Gone::Closed(None),
        WsError::Capacity(_) | WsError::Utf8(_) | WsError::AttackAttempt => Gone::Violation,
        // A connection that ends without a close frame is reported as a protocol error.
        WsError::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake
            | tokio_tungstenite::tungstenite::error::ProtocolError::SendAfterClosing,
        ) => Gone::Broken,
        WsError::Protocol(_) => Gone::Violation,
        WsError::WriteBufferFull(_) => Gone::Stalled,
        _ => Gone::Broken,
    }
}
