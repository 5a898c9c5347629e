//! The socket to a voice provider: dialled within a budget, watched for life, given up when it does not read. What is said
//! over it is the session's; whether to dial again too.

use crate::config::Timing;
use crate::dial::{DialError, Dialled, DialledSocket, Dialler};
use crate::leg::{Arrived, Gone, Leg, PROVIDER_MESSAGE, limits};
use crate::metrics::Metrics;
use crate::outbox::{Kind, Outbox};
use session::DialFailure;
use session::provider::{self, Endpoints};
use shared::agent::VoicePlan;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Bytes for the provider that may wait: all of the caller's audio that the session kept while the provider was away, and
/// some more. A provider that leaves more unread is given up.
const MAX_WAITING: usize = 512 * 1024;

/// Something that the session wants to know.
#[derive(Debug)]
pub(crate) enum ProviderEvent {
    Opened,
    Text(tokio_tungstenite::tungstenite::Utf8Bytes),
    Binary(bytes::Bytes),
    Closed(Option<u16>),
    Failed(DialFailure),
}

type Dialling = Pin<Box<dyn Future<Output = Result<DialledSocket, DialError>> + Send>>;

#[derive(Default)]
enum State {
    #[default]
    Idle,
    Failed(DialFailure),
    Dialling {
        since: Instant,
        dial: Dialling,
    },
    Open {
        leg: Box<Leg<Dialled>>,
        life: Life,
    },
    Lost(Option<u16>),
}

/// Whether the peer still lives: looked at now and then, so that a frame costs nothing here.
#[derive(Debug)]
pub(crate) struct Life {
    every: Duration,
    next: Instant,
    read: u64,
    asked: bool,
}

/// What to do about a peer's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// Nothing.
    Fine,
    /// Send a ping.
    Ask,
    /// It did not answer the last one.
    Dead,
}

impl Life {
    pub(crate) fn new(every: Duration, now: Instant) -> Self {
        Self { every, next: now + every, read: 0, asked: false }
    }

    /// Looks, when it is time. `read` are all the bytes that have come from the peer.
    pub(crate) fn check(&mut self, now: Instant, read: u64) -> Check {
        if now < self.next {
            return Check::Fine;
        }
        self.next = now + self.every;
        if read != self.read {
            self.read = read;
            self.asked = false;
            return Check::Fine;
        }
        if std::mem::replace(&mut self.asked, true) { Check::Dead } else { Check::Ask }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.next
    }
}

/// A call's socket to its provider, if there is one now.
pub(crate) struct ProviderLink {
    state: State,
    endpoints: Arc<Endpoints>,
    dialler: Dialler,
    timing: Timing,
    metrics: Arc<Metrics>,
}

impl ProviderLink {
    pub(crate) fn new(endpoints: Arc<Endpoints>, dialler: Dialler, timing: Timing, metrics: Arc<Metrics>) -> Self {
        Self { state: State::Idle, endpoints, dialler, timing, metrics }
    }

    /// Begins to dial; what was there before is closed.
    pub(crate) fn open(&mut self, plan: &VoicePlan, now: Instant) {
        self.state = match provider::dial(plan, &self.endpoints) {
            Ok(request) => {
                let dialler = self.dialler.clone();
                let dial =
                    Box::pin(
                        async move { dialler.socket(&request.url, &request.headers, limits(PROVIDER_MESSAGE)).await },
                    );
                State::Dialling { since: now, dial }
            }
            Err(_) => {
                self.metrics.dialled("refused", 0.0);
                State::Failed(DialFailure::Refused { status: None })
            }
        };
    }

    /// Closes and forgets; nothing more comes from this socket.
    pub(crate) fn close(&mut self) {
        if let State::Open { leg, .. } = &mut self.state {
            // A courtesy, tried once: what does not get through now is not waited for, and nobody needs to be woken for it.
            let mut cx = Context::from_waker(Waker::noop());
            let _ = leg.close(CloseCode::Normal).and_then(|()| leg.poll_write(&mut cx, Instant::now()));
            leg.count();
        }
        self.state = State::Idle;
    }

    /// Queues a message; without a socket it is meant for nobody and forgotten.
    pub(crate) fn send(&mut self, message: Message) {
        if let State::Open { leg, .. } = &mut self.state
            && leg.push(Kind::Control, message).is_err()
        {
            self.state = State::Lost(None);
        }
    }

    /// What has happened. `reading` is false while the caller's side takes no more audio.
    pub(crate) fn poll_event(&mut self, cx: &mut Context<'_>, now: Instant, reading: bool) -> Poll<ProviderEvent> {
        match &mut self.state {
            State::Idle => Poll::Pending,
            State::Failed(failure) => {
                let failure = *failure;
                self.state = State::Idle;
                Poll::Ready(ProviderEvent::Failed(failure))
            }
            State::Lost(code) => {
                let code = *code;
                self.state = State::Idle;
                Poll::Ready(ProviderEvent::Closed(code))
            }
            State::Dialling { since, dial } => {
                let Poll::Ready(dialled) = dial.as_mut().poll(cx) else { return Poll::Pending };
                let seconds = (now - *since).as_secs_f64();
                Poll::Ready(self.dialled(dialled, seconds, now))
            }
            State::Open { leg, .. } if reading => match leg.poll_message(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(Arrived::Text(text))) => Poll::Ready(ProviderEvent::Text(text)),
                Poll::Ready(Ok(Arrived::Binary(bytes))) => Poll::Ready(ProviderEvent::Binary(bytes)),
                Poll::Ready(Err(gone)) => {
                    if gone == Gone::Violation {
                        leg.malformed();
                        // The peer may still read why; then the socket is dropped.
                        let _ = leg.close(CloseCode::Size).and_then(|()| leg.poll_write(cx, now));
                    }
                    leg.count();
                    self.state = State::Idle;
                    Poll::Ready(ProviderEvent::Closed(match gone {
                        Gone::Closed(code) => code,
                        Gone::Broken | Gone::Violation | Gone::Stalled => None,
                    }))
                }
            },
            State::Open { .. } => Poll::Pending,
        }
    }

    fn dialled(&mut self, dialled: Result<DialledSocket, DialError>, seconds: f64, now: Instant) -> ProviderEvent {
        let (outcome, event) = match dialled {
            Ok(socket) => {
                let outbox = Outbox::new(0, MAX_WAITING);
                let leg = Box::new(Leg::new(socket, outbox, self.metrics.provider.clone(), &self.timing));
                self.state = State::Open { leg, life: Life::new(self.timing.ping, now) };
                self.metrics.dialled("opened", seconds);
                return ProviderEvent::Opened;
            }
            Err(DialError::Status(status)) => match DialFailure::from_status(status) {
                failure @ DialFailure::Refused { .. } => ("refused", failure),
                failure @ DialFailure::Unavailable { .. } => ("unavailable", failure),
            },
            Err(DialError::Address) => ("refused", DialFailure::Refused { status: None }),
            Err(DialError::Timeout) => ("timeout", DialFailure::Unavailable { status: None }),
            Err(DialError::Resolve | DialError::Connect | DialError::Tls | DialError::Handshake) => {
                ("unavailable", DialFailure::Unavailable { status: None })
            }
        };
        self.metrics.dialled(outcome, seconds);
        self.state = State::Idle;
        ProviderEvent::Failed(event)
    }

    /// Writes what waits. A socket that fails is reported by the next [`ProviderLink::poll_event`]: true when there is one.
    #[must_use]
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let State::Open { leg, .. } = &mut self.state else { return false };
        let written = leg.poll_write(cx, now);
        leg.count();
        if written.is_ok() && !leg.is_stalled(now) {
            return false;
        }
        self.state = State::Lost(None);
        true
    }

    /// Looks whether the provider still lives. `reading` as in [`ProviderLink::poll_event`]; true: ask that again.
    #[must_use]
    pub(crate) fn check_life(&mut self, now: Instant, reading: bool) -> bool {
        let State::Open { leg, life } = &mut self.state else { return false };
        // While nothing is read, silence is our own doing.
        let read = if reading { leg.bytes_read() } else { life.read.wrapping_add(1) };
        let lost = match life.check(now, read) {
            Check::Fine => false,
            Check::Ask => leg.ping().is_err(),
            Check::Dead => true,
        };
        if lost {
            self.state = State::Lost(None);
        }
        lost
    }

    /// When this link must be looked at again.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        match &self.state {
            State::Idle | State::Dialling { .. } => None,
            State::Failed(_) | State::Lost(_) => Some(now),
            State::Open { leg, life } => {
                Some(leg.deadline(now).map_or(life.deadline(), |written| written.min(life.deadline())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_asked_about_once() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut life = Life::new(Duration::from_millis(100), start);
        assert_eq!(life.check(at(50), 7), Check::Fine);
        assert_eq!(life.check(at(100), 7), Check::Fine);
        assert_eq!(life.check(at(200), 7), Check::Ask);
        assert_eq!(life.check(at(250), 7), Check::Fine);
        assert_eq!(life.check(at(300), 9), Check::Fine);
        assert_eq!(life.check(at(400), 9), Check::Ask);
        assert_eq!((life.check(at(500), 9), life.deadline()), (Check::Dead, at(600)));
    }
}
