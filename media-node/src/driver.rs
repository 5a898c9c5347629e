//! One task per call, and the only place where its sockets, the clock and its session meet. It reads what has arrived, hands
//! each thing to the session, carries out what the session wants, writes everything that has come together in one write per
//! socket, and sleeps until the next thing. It decides nothing about the call.

use crate::alarm::{Alarm, earlier};
use crate::config::Fault;
use crate::drain::Stage;
use crate::edge::room::{RoomEvent, RoomLink};
use crate::leg::{Arrived, Gone, Leg};
use crate::metrics::Metrics;
use crate::outbox::{self, Kind};
use crate::provider_link::{ProviderEvent, ProviderLink};
use crate::standalone::FactWriter;
use crate::wire::Wire;
use prometheus_client::metrics::counter::Counter;
use session::{Action, Input, Now, Session, Stats};
use shared::call::{EndReason, Termination};
use shared::node_api::{CallPlan, NodeEvent, NodeMessage};
use shared::time::UnixMillis;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Audio for Twilio that may wait, bytes: about twenty seconds in base64. More: the oldest is dropped.
pub(crate) const MAX_AUDIO_WAITING: usize = 256 * 1024;
/// Marks and clears for Twilio that may wait, bytes. More: Twilio does not read, and the stream is given up.
pub(crate) const MAX_CONTROL_WAITING: usize = 64 * 1024;
/// Above this much waiting audio the provider is not read, unless Twilio has stalled: then its audio is dropped instead.
const ENOUGH_AUDIO_WAITING: usize = 128 * 1024;
/// Messages of one socket that are handled before the next socket gets its turn.
const MESSAGES_PER_TURN: usize = 32;
/// Turns of all sockets before other calls get theirs.
const TURNS_PER_WAKE: usize = 8;
/// Two frames of the caller are 20 ms apart; from here on the second counts as late.
const LATE: Duration = Duration::from_millis(60);
/// How often a call adds to the node's counters what its session has counted.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// How long the close handshake with Twilio may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Who takes a call's facts.
pub(crate) enum Recorder {
    Room(Box<RoomLink>),
    Lines(FactWriter),
}

impl Recorder {
    fn fact(&mut self, at: UnixMillis, event: NodeEvent) {
        match self {
            Self::Room(room) => room.fact(at, event),
            Self::Lines(lines) => lines.write(at, &event),
        }
    }
}

/// A call on this node.
pub(crate) struct Call {
    session: Session,
    began: Instant,
    /// The wall time when it began; the call's further times are counted from there, so that they never go back.
    wall: UnixMillis,
    twilio: Option<Leg<Wire>>,
    provider: ProviderLink,
    recorder: Recorder,
    stage: StageWatch,
    alarm: Alarm,
    metrics: Arc<Metrics>,
    /// When the session wants to be told that time has passed.
    session_due: Option<Instant>,
    last_frame: Instant,
    twilio_failed: bool,
    look_again: bool,
    verdict: Option<Termination>,
    published: Stats,
    publish_at: Instant,
    fault: Option<Fault>,
}

/// What a call is made of.
pub(crate) struct Parts {
    pub(crate) session: Session,
    pub(crate) began: Instant,
    pub(crate) wall: UnixMillis,
    pub(crate) twilio: Leg<Wire>,
    pub(crate) provider: ProviderLink,
    pub(crate) recorder: Recorder,
    pub(crate) stage: watch::Receiver<Stage>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) fault: Option<Fault>,
}

/// The node's stage, looked at for the price of one atomic read; the task is woken when it changes.
struct StageWatch {
    stage: watch::Receiver<Stage>,
    changed: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl StageWatch {
    fn new(mut stage: watch::Receiver<Stage>) -> Self {
        stage.mark_changed();
        Self { stage, changed: None }
    }

    /// The stage, when it is new. Leaves the task's waker once per change, not once per poll.
    fn poll(&mut self, cx: &mut Context<'_>) -> Option<Stage> {
        let new = self.stage.has_changed().unwrap_or(false).then(|| *self.stage.borrow_and_update());
        if new.is_some() || self.changed.is_none() {
            let mut stage = self.stage.clone();
            let mut changed: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
                let _ = stage.changed().await;
            });
            if changed.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
            self.changed = Some(changed);
        }
        new
    }
}

impl Call {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { session, began, wall, twilio, provider, recorder, stage, metrics, fault } = parts;
        let mut call = Self {
            session,
            began,
            wall,
            twilio: Some(twilio),
            provider,
            recorder,
            stage: StageWatch::new(stage),
            alarm: Alarm::new(began),
            metrics,
            session_due: None,
            last_frame: began,
            twilio_failed: false,
            look_again: false,
            verdict: None,
            published: Stats::default(),
            publish_at: began + PUBLISH_EVERY,
            fault,
        };
        // A session begins with a fact.
        call.perform_all(began);
        call
    }

    /// What is known before the first poll: the standalone plan, or that the stream must end at once.
    pub(crate) fn begin(&mut self, plan: Box<CallPlan>) {
        self.input(Instant::now(), Input::Begin(plan));
    }

    /// Ends the call before its first poll.
    pub(crate) fn abort(&mut self, reason: EndReason) {
        self.input(Instant::now(), Input::Abort(reason));
    }

    /// Carries the call to its end.
    pub(crate) async fn run(&mut self) -> Termination {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Termination> {
        let mut turns = 0;
        loop {
            let now = Instant::now();
            self.look_again = false;
            // 1. The node itself: drain and stop.
            self.obey_node(cx, now);
            // 2. The room: plan, orders, refusal. Before audio, so that an order does not wait behind it.
            self.hear_room(cx, now);
            // 3. The caller.
            self.hear_twilio(cx, now);
            // 4. The provider.
            self.hear_provider(cx, now);
            // 5. Deadlines that have passed.
            self.keep_time(now);
            // 6. What all of this has produced, one write per socket.
            self.write(cx, now);
            if let Some(verdict) = self.verdict {
                return Poll::Ready(verdict);
            }
            // 7. The next deadline, after every change.
            if !self.look_again {
                self.alarm.set(cx, now, self.deadline(now));
                return Poll::Pending;
            }
            turns += 1;
            if turns == TURNS_PER_WAKE {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    fn obey_node(&mut self, cx: &mut Context<'_>, now: Instant) {
        match self.stage.poll(cx) {
            None | Some(Stage::Serving) => {}
            Some(Stage::Draining { deadline }) => {
                let deadline = self.since_began(deadline);
                self.input(now, Input::Drain { deadline });
            }
            Some(Stage::Stopping) => self.input(now, Input::Abort(EndReason::NodeStopped)),
        }
    }

    fn hear_room(&mut self, cx: &mut Context<'_>, now: Instant) {
        for _ in 0..MESSAGES_PER_TURN {
            let Recorder::Room(room) = &mut self.recorder else { return };
            let Poll::Ready(event) = room.poll_event(cx, now) else { return };
            match event {
                RoomEvent::Begin(plan) => self.input(now, Input::Begin(plan)),
                RoomEvent::Order { id, order } => self.input(now, Input::Order { id, order }),
                RoomEvent::Refused => self.input(now, Input::Abort(EndReason::StreamLost)),
            }
        }
        self.look_again = true;
    }

    fn hear_twilio(&mut self, cx: &mut Context<'_>, now: Instant) {
        for _ in 0..MESSAGES_PER_TURN {
            let Some(leg) = &mut self.twilio else { return };
            match leg.poll_message(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(Arrived::Text(text))) => {
                    if now > self.last_frame + LATE {
                        self.metrics.late_frames.inc();
                    }
                    self.last_frame = now;
                    self.planted_fault(&text);
                    self.input(now, Input::Twilio(&text));
                }
                // Twilio sends none, and answers one with a warning (31950).
                Poll::Ready(Ok(Arrived::Binary(_))) => leg.malformed(),
                Poll::Ready(Err(gone)) => return self.lose_twilio(cx, now, gone),
            }
        }
        self.look_again = true;
    }

    fn lose_twilio(&mut self, cx: &mut Context<'_>, now: Instant, gone: Gone) {
        if let Some(mut leg) = self.twilio.take() {
            if gone == Gone::Violation {
                leg.malformed();
                let _ = leg.close(CloseCode::Policy).and_then(|()| leg.poll_write(cx, now));
            }
            leg.count();
        }
        self.twilio_failed = false;
        self.input(now, Input::TwilioClosed);
    }

    fn hear_provider(&mut self, cx: &mut Context<'_>, now: Instant) {
        for _ in 0..MESSAGES_PER_TURN {
            let reading = self.reads_provider(now);
            let Poll::Ready(event) = self.provider.poll_event(cx, now, reading) else { return };
            match event {
                ProviderEvent::Opened => self.input(now, Input::ProviderOpened),
                ProviderEvent::Text(text) => self.input(now, Input::ProviderText(&text)),
                ProviderEvent::Binary(bytes) => self.input(now, Input::ProviderBinary(&bytes)),
                ProviderEvent::Closed(code) => self.input(now, Input::ProviderClosed { code }),
                ProviderEvent::Failed(failure) => self.input(now, Input::ProviderFailed(failure)),
            }
        }
        self.look_again = true;
    }

    /// Whether the caller's side takes more audio.
    fn reads_provider(&self, now: Instant) -> bool {
        self.twilio.as_ref().is_none_or(|leg| leg.audio_waiting() <= ENOUGH_AUDIO_WAITING || leg.is_stalled(now))
    }

    fn keep_time(&mut self, now: Instant) {
        if self.session_due.is_some_and(|due| due <= now) {
            self.input(now, Input::Timeout);
        }
        let reading = self.reads_provider(now);
        if self.provider.check_life(now, reading) {
            self.look_again = true;
        }
        if now >= self.publish_at {
            self.publish_at = now + PUBLISH_EVERY;
            self.publish();
        }
    }

    /// Adds what the session has counted since the last time to the node's counters.
    fn publish(&mut self) {
        let (old, new) = (self.published, self.session.stats());
        self.published = new;
        let add = |counter: &Counter, old: u64, new: u64| {
            counter.inc_by(new - old);
        };
        let metrics = &self.metrics;
        add(&metrics.frames_in, old.frames_in, new.frames_in);
        add(&metrics.frames_out, old.frames_out, new.frames_out);
        add(&metrics.barge_ins, old.barge_ins, new.barge_ins);
        add(&metrics.twilio.malformed, old.twilio_faults, new.twilio_faults);
        add(&metrics.provider.malformed, old.provider_faults, new.provider_faults);
        add(&metrics.provider.dropped, old.deltas_full, new.deltas_full);
        add(&metrics.uplink_lost_ms, old.uplink_lost_ms, new.uplink_lost_ms);
    }

    fn write(&mut self, cx: &mut Context<'_>, now: Instant) {
        if let Some(leg) = &mut self.twilio {
            let written = leg.poll_write(cx, now);
            leg.count();
            if written.is_err() || self.twilio_failed {
                self.lose_twilio(cx, now, written.err().unwrap_or(Gone::Stalled));
            }
        }
        self.look_again |= self.provider.poll_write(cx, now);
        if let Recorder::Room(room) = &mut self.recorder {
            self.look_again |= room.poll_write(cx, now);
        }
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        let twilio = self.twilio.as_ref().and_then(|leg| leg.deadline(now));
        let room = match &self.recorder {
            Recorder::Room(room) => room.deadline(now),
            Recorder::Lines(_) => None,
        };
        earlier(earlier(self.session_due, twilio), earlier(self.provider.deadline(now), room))
    }

    /// One input, then everything that the session wants done about it.
    fn input(&mut self, now: Instant, input: Input<'_>) {
        self.session.handle(self.since_began(now), input);
        self.perform_all(now);
    }

    fn perform_all(&mut self, now: Instant) {
        while let Some(action) = self.session.poll_action() {
            self.perform(now, action);
        }
        self.session_due = self.session.poll_timeout().map(|due| self.began + due);
    }

    fn perform(&mut self, now: Instant, action: Action) {
        match action {
            Action::OpenProvider(voice) => {
                self.provider.open(&voice, now);
                self.look_again = true;
            }
            Action::CloseProvider => self.provider.close(),
            Action::ToProvider(text) => self.provider.send(outbox::text(text)),
            Action::ToProviderBinary(bytes) => self.provider.send(outbox::binary(bytes)),
            Action::ToTwilio(text) => {
                if let Some(leg) = &mut self.twilio {
                    self.twilio_failed |= leg.push(Kind::of_twilio(&text), outbox::text(text)).is_err();
                }
            }
            Action::Fact(event) => self.fact(now, event),
            Action::Live { speaker, item, text, started_at } => {
                if let Recorder::Room(room) = &mut self.recorder {
                    let epoch = room.epoch();
                    room.live(&NodeMessage::Live { epoch, speaker, item, text, started_at });
                }
            }
            Action::OrderDone { id, error } => {
                if let Recorder::Room(room) = &mut self.recorder {
                    room.order_done(id, error);
                }
            }
            Action::CloseTwilio => {
                if let Some(leg) = &mut self.twilio {
                    self.twilio_failed |= leg.close(CloseCode::Normal).is_err();
                }
            }
            Action::Ended(verdict) => self.verdict = Some(verdict),
        }
    }

    fn fact(&mut self, now: Instant, event: NodeEvent) {
        let passed = self.since_began(now).as_millis();
        let at = self.wall.plus(i64::try_from(passed).unwrap_or(i64::MAX));
        self.recorder.fact(at, event);
    }

    fn since_began(&self, moment: Instant) -> Now {
        moment.saturating_duration_since(self.began)
    }

    /// After a fault of ours in this call: the room learns why it ended.
    pub(crate) fn record_fault(&mut self) -> Termination {
        self.fact(Instant::now(), NodeEvent::Ended { reason: EndReason::InternalError });
        EndReason::InternalError.into()
    }

    /// Closes what is open and hands over what still has facts to deliver.
    pub(crate) async fn finish(mut self, verdict: Termination) -> Option<Box<RoomLink>> {
        self.publish();
        let Self { twilio, mut provider, recorder, .. } = self;
        provider.close();
        if let Some(leg) = twilio {
            let _ = timeout(CLOSE_WITHIN, close(leg, close_code(verdict.reason))).await;
        }
        match recorder {
            Recorder::Room(room) => Some(room),
            Recorder::Lines(_) => None,
        }
    }

    fn planted_fault(&self, text: &str) {
        if let Some(Fault::PanicOnDigit(digit)) = self.fault {
            assert!(!text.contains(&format!(r#""digit":"{digit}""#)), "planted fault");
        }
    }
}

/// The close handshake: our frame behind everything that waits, then Twilio's.
pub(crate) async fn close(mut leg: Leg<Wire>, code: CloseCode) {
    let _ = leg.close(code);
    poll_fn(|cx| {
        if leg.poll_write(cx, Instant::now()).is_err() {
            return Poll::Ready(());
        }
        loop {
            match leg.poll_message(cx) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    leg.count();
}

fn close_code(reason: EndReason) -> CloseCode {
    match reason {
        EndReason::NodeStopped => CloseCode::Away,
        EndReason::InvalidStream => CloseCode::Policy,
        EndReason::InternalError => CloseCode::Error,
        EndReason::CarrierReported
        | EndReason::StreamLost
        | EndReason::NoAnswer
        | EndReason::Busy
        | EndReason::Canceled
        | EndReason::DialFailed
        | EndReason::NoCapacity
        | EndReason::CallerHungUp
        | EndReason::AgentHungUp
        | EndReason::OperatorHungUp
        | EndReason::Silence
        | EndReason::MaxDuration
        | EndReason::ProviderRefused
        | EndReason::ProviderUnavailable => CloseCode::Normal,
    }
}
