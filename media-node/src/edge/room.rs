//! The socket to a call's room: opened with the ticket, opened again with the resume token, with growing pauses between the
//! tries. Brings the plan and the orders, takes the facts until they are acknowledged. The call goes on whether or not the
//! socket is there; only a refusal ends it. Polled by the call's driver, afterwards by [`RoomLink::deliver`].

use super::spool::{MAX_BYTES, Spool};
use crate::alarm::{Alarm, earlier};
use crate::config::Timing;
use crate::dial::{DialError, Dialled, DialledSocket, Dialler};
use crate::leg::{Arrived, Gone, Leg, limits};
use crate::metrics::Metrics;
use crate::outbox::{self, Kind, Outbox};
use crate::provider_link::{Check, Life};
use shared::ids::{Epoch, NodeId, StreamSid};
use shared::node_api::{
    CLOSE_REFUSED, CLOSE_SUPERSEDED, CallPlan, MAX_ROOM_MESSAGE_BYTES, NodeEvent, NodeMessage, NodeOrder,
    PROTOCOL_VERSION, ROOM_PATH, RoomMessage,
};
use shared::node_auth;
use shared::secret::Secret;
use shared::time::UnixMillis;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Bytes for the room that may wait beside the spool.
const MAX_WAITING: usize = 256 * 1024;
/// How long a room may take from the handshake to `begin`.
const BEGIN_WITHIN: Duration = Duration::from_secs(5);
/// How long facts may stay unacknowledged before the socket counts as broken.
const ACK_WITHIN: Duration = Duration::from_secs(10);
/// Between looks at whether the room still lives.
const LIFE_EVERY: Duration = Duration::from_secs(10);
/// The first pause between two tries, and the longest: before `begin` a caller waits in silence.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// See [`PAUSE_FIRST`].
const PAUSE_LONGEST_BEFORE_BEGIN: Duration = Duration::from_secs(1);
/// See [`PAUSE_FIRST`].
const PAUSE_LONGEST: Duration = Duration::from_secs(10);
/// Orders that are remembered, so that a repeated one is not carried out twice.
const ORDERS_REMEMBERED: usize = 256;

/// Something that the call wants to know.
#[derive(Debug)]
pub(crate) enum RoomEvent {
    Begin(Box<CallPlan>),
    Order {
        id: u64,
        order: NodeOrder,
    },
    /// This node does not own the call, or not any more.
    Refused,
}

type Dialling = Pin<Box<dyn Future<Output = Result<DialledSocket, DialError>> + Send>>;

enum State {
    Pausing { until: Instant },
    Dialling(Dialling),
    Open(Box<Open>),
    Over,
}

struct Open {
    leg: Leg<Dialled>,
    /// On this socket.
    begun: bool,
    life: Life,
    /// When `begin` or the next acknowledgement is overdue.
    due: Option<Instant>,
}

/// What a room's socket needs to be opened.
pub(crate) struct RoomAddress {
    /// `ws(s)://edge/node/calls/{call}`.
    pub(crate) url: String,
    pub(crate) ticket: Secret,
    /// `NODE_SECRET`: a ticket alone opens nothing.
    pub(crate) secret: Secret,
    pub(crate) epoch: Epoch,
    pub(crate) node: NodeId,
    pub(crate) stream_sid: StreamSid,
}

/// A call's link to its room.
pub(crate) struct RoomLink {
    address: RoomAddress,
    dialler: Dialler,
    timing: Timing,
    metrics: Arc<Metrics>,
    state: State,
    failures: u32,
    has_begun: bool,
    was_dismissed: bool,
    spool: Spool,
    orders: VecDeque<(u64, Option<Option<String>>)>,
    answers: VecDeque<(u64, Option<String>)>,
}

impl RoomLink {
    pub(crate) fn new(address: RoomAddress, dialler: Dialler, timing: Timing, metrics: Arc<Metrics>) -> Self {
        let spool = Spool::new(address.epoch, MAX_BYTES);
        let state = State::Pausing { until: Instant::now() };
        let (orders, answers) = (VecDeque::new(), VecDeque::new());
        let (failures, has_begun, was_dismissed) = (0, false, false);
        Self { address, dialler, timing, metrics, state, failures, has_begun, was_dismissed, spool, orders, answers }
    }

    /// Takes a fact in.
    pub(crate) fn fact(&mut self, at: UnixMillis, event: NodeEvent) {
        if matches!(self.state, State::Over) {
            return;
        }
        match self.spool.push(at, event) {
            Ok(()) => {
                self.metrics.facts_unacknowledged.inc();
            }
            Err(_) => {
                self.metrics.facts_lost.inc();
            }
        }
    }

    /// Sends words that are still changing, if that is possible at this moment.
    pub(crate) fn live(&mut self, message: &NodeMessage) {
        if let State::Open(open) = &mut self.state
            && open.begun
            && !open.leg.is_blocked()
            && let Ok(text) = serde_json::to_string(message)
        {
            // A failure shows itself at the next write.
            let _ = open.leg.push(Kind::Audio, outbox::text(text));
        }
    }

    /// An order was carried out, or could not be.
    pub(crate) fn order_done(&mut self, id: u64, error: Option<String>) {
        if let Some((_, answer)) = self.orders.iter_mut().find(|(known, _)| *known == id) {
            *answer = Some(error.clone());
        }
        self.answers.push_back((id, error));
    }

    /// The epoch that this call's facts belong to.
    pub(crate) fn epoch(&self) -> Epoch {
        self.address.epoch
    }

    /// What has happened.
    pub(crate) fn poll_event(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<RoomEvent> {
        loop {
            match &mut self.state {
                State::Over => return Poll::Pending,
                State::Pausing { until } if now < *until => return Poll::Pending,
                State::Pausing { .. } => self.state = State::Dialling(self.dial()),
                State::Dialling(dialling) => {
                    let Poll::Ready(dialled) = dialling.as_mut().poll(cx) else { return Poll::Pending };
                    match dialled {
                        Ok(socket) => self.opened(socket, now),
                        Err(DialError::Status(401 | 403 | 409 | 410)) => {
                            // Not even the token is taken: nothing more can be handed in.
                            self.was_dismissed = true;
                            return Poll::Ready(self.refused("refused the socket", now));
                        }
                        Err(error) => self.lost(now, &error),
                    }
                }
                State::Open(open) => match open.leg.poll_message(cx) {
                    Poll::Pending if !open.is_broken(now, self.spool.awaits_ack()) => return Poll::Pending,
                    Poll::Pending => self.lost(now, &"no sign of life"),
                    Poll::Ready(Ok(Arrived::Text(text))) => {
                        if let Some(event) = self.heard(&text, now) {
                            return Poll::Ready(event);
                        }
                    }
                    Poll::Ready(Ok(Arrived::Binary(_))) => open.leg.malformed(),
                    Poll::Ready(Err(Gone::Closed(Some(CLOSE_REFUSED | CLOSE_SUPERSEDED)))) => {
                        return Poll::Ready(self.refused("closed the socket for good", now));
                    }
                    Poll::Ready(Err(gone)) => self.lost(now, &gone.word()),
                },
            }
        }
    }

    fn dial(&self) -> Dialling {
        let (dialler, url) = (self.dialler.clone(), self.address.url.clone());
        let bearer = Secret::new(format!("Bearer {}", self.address.ticket.expose()));
        let mut headers = vec![("authorization", bearer)];
        headers.extend(self.signed());
        Box::pin(async move { dialler.socket(&url, &headers, limits(MAX_ROOM_MESSAGE_BYTES)).await })
    }

    /// The headers with which this node proves itself, anew for each try.
    fn signed(&self) -> [(&'static str, Secret); 4] {
        let address = &self.address;
        let path = address.url.find(ROOM_PATH).and_then(|at| address.url.get(at..)).unwrap_or_default();
        let mut entropy = [0; 16];
        // Without entropy the nonce repeats, which costs nothing here: the edge asks for the ticket as well.
        let _ = getrandom::fill(&mut entropy);
        let (at, nonce) = (crate::clock::wall(), shared::secret::hex(&entropy));
        let signature = node_auth::sign(&address.secret, path, &address.node, at, &nonce, b"");
        [
            (node_auth::HEADER_NODE, Secret::new(address.node.as_str())),
            (node_auth::HEADER_TIME, Secret::new(at.0.to_string())),
            (node_auth::HEADER_NONCE, Secret::new(nonce)),
            (node_auth::HEADER_SIGNATURE, Secret::new(signature)),
        ]
    }

    fn opened(&mut self, socket: DialledSocket, now: Instant) {
        self.metrics.edge_connects.inc();
        let outbox = Outbox::new(MAX_WAITING, MAX_WAITING);
        let leg = Leg::new(socket, outbox, self.metrics.edge.clone(), &self.timing);
        let hello = NodeMessage::Hello {
            protocol: PROTOCOL_VERSION,
            node: self.address.node.clone(),
            stream_sid: self.address.stream_sid.clone(),
            last_line: self.spool.last_line(),
        };
        let due = Some(now + BEGIN_WITHIN);
        let mut open = Open { leg, begun: false, life: Life::new(LIFE_EVERY, now), due };
        open.say(&hello);
        self.state = State::Open(Box::new(open));
    }

    fn heard(&mut self, text: &str, now: Instant) -> Option<RoomEvent> {
        let State::Open(open) = &mut self.state else { return None };
        let Ok(message) = serde_json::from_str::<RoomMessage>(text) else {
            open.leg.malformed();
            return None;
        };
        match message {
            RoomMessage::Begin { protocol: _, plan, epoch, resume_token, acked_line } => {
                if epoch != self.address.epoch {
                    open.leg.malformed();
                    return Some(self.refused("began another epoch", now));
                }
                self.address.ticket = Secret::new(resume_token);
                open.begun = true;
                open.due = None;
                self.failures = 0;
                let stored = self.spool.rewind(acked_line);
                self.stored(stored);
                (!std::mem::replace(&mut self.has_begun, true)).then_some(RoomEvent::Begin(plan))
            }
            RoomMessage::Ack { line } => {
                let stored = self.spool.acknowledge(line);
                if stored > 0 {
                    open.due = self.spool.awaits_ack().then_some(now + ACK_WITHIN);
                }
                self.stored(stored);
                None
            }
            RoomMessage::Order { id, order } => self.ordered(id, order),
            RoomMessage::Refused { code } => {
                tracing::warn!(code = code.get(..32).unwrap_or(&code), "the room refuses this node");
                Some(self.refused("said so", now))
            }
            RoomMessage::Unknown => None,
        }
    }

    /// A new order is handed on; a repeated one is answered again once its answer is known.
    fn ordered(&mut self, id: u64, order: NodeOrder) -> Option<RoomEvent> {
        match self.orders.iter().find(|(known, _)| *known == id) {
            Some((_, Some(answer))) => {
                self.answers.push_back((id, answer.clone()));
                None
            }
            Some((_, None)) => None,
            None => {
                if self.orders.len() == ORDERS_REMEMBERED {
                    self.orders.pop_front();
                }
                self.orders.push_back((id, None));
                Some(RoomEvent::Order { id, order })
            }
        }
    }

    fn stored(&self, facts: usize) {
        self.metrics.facts_unacknowledged.dec_by(i64::try_from(facts).unwrap_or(0));
    }

    /// The call is somebody else's now. What was said on this node is still part of its history: a former owner may come
    /// back once, with its resume token, to hand in what the room has not stored.
    fn refused(&mut self, how: &'static str, now: Instant) -> RoomEvent {
        tracing::warn!(how, stream_sid = %self.address.stream_sid, "the room does not want this node");
        if self.has_begun && self.spool.waiting() > 0 && !std::mem::replace(&mut self.was_dismissed, true) {
            self.state = State::Pausing { until: now + jittered(PAUSE_FIRST) };
        } else if self.has_begun {
            self.give_up();
        } else {
            // It never was this node's call: there is nothing to tell about it.
            self.forget();
        }
        RoomEvent::Refused
    }

    fn lost(&mut self, now: Instant, why: &dyn std::fmt::Display) {
        self.metrics.edge_losses.inc();
        if self.failures == 0 {
            tracing::warn!(%why, stream_sid = %self.address.stream_sid, "room's socket lost");
        }
        let longest = if self.has_begun { PAUSE_LONGEST } else { PAUSE_LONGEST_BEFORE_BEGIN };
        let pause = (PAUSE_FIRST * 2u32.saturating_pow(self.failures.min(16))).min(longest);
        self.failures = self.failures.saturating_add(1);
        self.state = State::Pausing { until: now + jittered(pause) };
    }

    /// Queues what the room does not have yet and writes what it takes. True: look at [`RoomLink::poll_event`] again.
    #[must_use]
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let State::Open(open) = &mut self.state else { return false };
        match open.life.check(now, open.leg.bytes_read()) {
            Check::Fine => {}
            Check::Ask => open.say_ping(),
            Check::Dead => {
                self.lost(now, &"no answer to a ping");
                return true;
            }
        }
        while let Some((id, error)) = if open.begun { self.answers.pop_front() } else { None } {
            open.say(&NodeMessage::OrderDone { id, error });
        }
        loop {
            let written = open.leg.poll_write(cx, now);
            open.leg.count();
            if let Err(gone) = written {
                self.lost(now, &gone.word());
                return true;
            }
            // The spool is the queue: a batch leaves it when the one before has left the node.
            let batch = if open.begun && open.leg.is_written() { self.spool.next_batch() } else { None };
            let Some(batch) = batch else { return false };
            open.due = open.due.or(Some(now + ACK_WITHIN));
            open.queue(outbox::text(batch));
        }
    }

    /// When this link must be looked at again.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        match &self.state {
            State::Over | State::Dialling(_) => None,
            State::Pausing { until } => Some(*until),
            State::Open(open) => earlier(earlier(open.leg.deadline(now), open.due), Some(open.life.deadline())),
        }
    }

    /// Whether the room has everything it can have.
    fn is_delivered(&self) -> bool {
        match &self.state {
            State::Over => true,
            State::Open(open) => self.spool.waiting() == 0 && self.answers.is_empty() && open.leg.is_written(),
            State::Pausing { .. } | State::Dialling(_) => self.spool.waiting() == 0,
        }
    }

    /// After the call: stays until the room has stored every fact, or until `deadline`.
    pub(crate) async fn deliver(mut self: Box<Self>, deadline: Instant) {
        let mut alarm = Alarm::new(Instant::now());
        poll_fn(|cx| {
            let now = Instant::now();
            // Plans and orders come too late; a refusal ends the link by itself.
            while self.poll_event(cx, now).is_ready() {}
            if self.poll_write(cx, now) {
                cx.waker().wake_by_ref();
            }
            if self.is_delivered() || now >= deadline {
                return Poll::Ready(());
            }
            alarm.set(cx, now, earlier(self.deadline(now), Some(deadline)));
            Poll::Pending
        })
        .await;
        if let State::Open(open) = &mut self.state {
            let _ = open.leg.close(CloseCode::Normal);
            let _ = poll_fn(|cx| Poll::Ready(open.leg.poll_write(cx, Instant::now()))).await;
        }
        self.give_up();
    }

    /// No further socket; what was not stored is lost, and counted.
    fn give_up(&mut self) {
        let left = self.spool.waiting();
        if left > 0 {
            tracing::error!(facts = left, stream_sid = %self.address.stream_sid, "facts given up");
            self.metrics.facts_lost.inc_by(left as u64);
        }
        self.forget();
    }

    fn forget(&mut self) {
        let forgotten = self.spool.acknowledge(self.spool.last_line());
        self.stored(forgotten);
        self.state = State::Over;
    }
}

impl Open {
    fn say(&mut self, message: &NodeMessage) {
        // These types always serialise; a full queue shows itself at the next write.
        if let Ok(text) = serde_json::to_string(message) {
            self.queue(outbox::text(text));
        }
    }

    fn queue(&mut self, message: Message) {
        let _ = self.leg.push(Kind::Control, message);
    }

    fn say_ping(&mut self) {
        let _ = self.leg.ping();
    }

    fn is_broken(&self, now: Instant, awaits_ack: bool) -> bool {
        (!self.begun || awaits_ack) && self.due.is_some_and(|due| now >= due)
    }
}

/// Between half of it and all of it, so that many calls do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or_default();
    pause / 2 + (pause / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}
