//! The task of one call: the only place where the call's machine, its streams, the person, the clock and the sockets meet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval_at, sleep_until};

use crate::caller::{Deed, Person};
use crate::twilio::call::{Action, Call, Fetched, Input, Request, Status, StreamEnd};
use crate::twilio::post::Delivered;
use crate::twilio::sids::Dice;
use crate::twilio::socket::{self, Incoming, Socket};
use crate::twilio::stream::{Farewell, Kind, MediaStream, Opening, Output, Track};
use crate::twilio::{Alert, Now};

use super::{CallRecord, Cast, Command, Exchange, Resource, What, lock};

/// Messages from servers that wait to be handled; a reader waits when there are more, and the server feels it.
const INCOMING: usize = 1024;

/// How long a server may take to close a stream that was stopped.
const LINGER: Duration = Duration::from_secs(5);

/// Which stream, when, and what.
type FromServer = (String, Instant, Incoming);

struct LiveStream {
    machine: MediaStream,
    socket: Option<Socket>,
    /// How many received bytes the person has heard or will never hear.
    heard: usize,
    /// Twilio has ended it; what the server still sends does not matter.
    stopped: bool,
    /// Twilio has said `stop` but does not close: it waits for the server to do so, at most until then.
    lingers_until: Option<Now>,
}

enum Done {
    Fetched(u64, Delivered, Result<Fetched, Alert>),
    Notified(Delivered),
    Connected(String, Result<Socket, Alert>),
}

pub(super) struct Line {
    exchange: Exchange,
    call: Call,
    person: Person,
    cast: Cast,
    history: Arc<Mutex<Vec<Resource>>>,
    queue: Duration,
    dice: Dice,
    streams: BTreeMap<String, LiveStream>,
    order: Vec<String>,
    frames: u64,
    tasks: JoinSet<Done>,
    server: (mpsc::Sender<FromServer>, mpsc::Receiver<FromServer>),
    ticker: Option<Interval>,
    record: CallRecord,
}

impl Line {
    pub(super) fn new(
        exchange: Exchange,
        call: Call,
        person: Person,
        cast: Cast,
        history: Arc<Mutex<Vec<Resource>>>,
        queue: Duration,
    ) -> Self {
        let record = CallRecord {
            leg: call.leg().clone(),
            statuses: Vec::new(),
            moments: [None; 3],
            duration_s: None,
            webhooks: Vec::new(),
            lost: Vec::new(),
            streams: Vec::new(),
            alerts: Vec::new(),
            deeds: Vec::new(),
            announced: Vec::new(),
            script_finished: false,
        };
        let dice = Dice::new(cast.seed);
        Self {
            exchange,
            call,
            person,
            cast,
            history,
            queue,
            dice,
            streams: BTreeMap::new(),
            order: Vec::new(),
            frames: 0,
            tasks: JoinSet::new(),
            server: mpsc::channel(INCOMING),
            ticker: None,
            record,
        }
    }

    fn now(&self) -> Now {
        self.exchange.0.started.elapsed()
    }

    /// Lives through the call and publishes its record.
    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Command>,
        done: watch::Sender<Option<Arc<CallRecord>>>,
    ) {
        self.wait_for_turn(&mut inbox).await;
        let now = self.now();
        self.call.handle(now, Input::Begin);
        self.act(now);
        while !self.is_finished() {
            let due = self.next_due();
            tokio::select! {
                biased;
                Some(Command::Update(update, answer)) = inbox.recv() => {
                    let now = self.now();
                    let result = self.call.update(now, update);
                    self.act(now);
                    // Whoever asked may have given up.
                    let _ = answer.send(result);
                }
                Some((sid, at, incoming)) = self.server.1.recv() => self.server_said(&sid, at, incoming),
                Some(finished) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    if let Ok(finished) = finished {
                        self.task_done(finished);
                    }
                }
                at = tick(&mut self.ticker) => self.tick(at),
                () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => self.time_has_come(),
            }
        }
        self.finish(&done);
    }

    async fn wait_for_turn(&mut self, inbox: &mut mpsc::Receiver<Command>) {
        let turn = Instant::now() + self.queue;
        while !self.call.status().is_terminal() {
            tokio::select! {
                Some(Command::Update(update, answer)) = inbox.recv() => {
                    let now = self.now();
                    let result = self.call.update(now, update);
                    self.act(now);
                    // Whoever asked may have given up.
                    let _ = answer.send(result);
                }
                () = sleep_until(turn.into()) => return,
            }
        }
    }

    fn is_finished(&self) -> bool {
        self.call.status().is_terminal()
            && self.call.poll_timeout().is_none()
            && self.tasks.is_empty()
            && self.streams.values().all(|stream| stream.lingers_until.is_none())
    }

    fn next_due(&self) -> Option<Instant> {
        let streams = self.streams.values().filter_map(|stream| stream.machine.poll_timeout());
        let gives_up = self.gives_up_at();
        let lingering = self.streams.values().filter_map(|stream| stream.lingers_until);
        let due = streams.chain(self.call.poll_timeout()).chain(gives_up).chain(lingering).min()?;
        Some(self.exchange.0.started + due)
    }

    fn gives_up_at(&self) -> Option<Now> {
        let [began, answered, ended] = self.call.moments();
        let after = self.cast.gives_up_after.filter(|_| answered.is_none() && ended.is_none())?;
        Some(began? + after)
    }

    fn time_has_come(&mut self) {
        let now = self.now();
        for sid in self.order.clone() {
            if let Some(stream) = self.streams.get_mut(&sid) {
                stream.machine.advance(now);
                if stream.lingers_until.is_some_and(|until| until <= now) {
                    stream.lingers_until = None;
                    stream.socket = None;
                    self.alert(now, Alert::new(31924, "the server did not close a stream that was stopped"));
                }
            }
            self.flush(&sid);
        }
        if self.gives_up_at().is_some_and(|at| at <= now) {
            self.call.handle(now, Input::HungUp);
        }
        if self.call.poll_timeout().is_some_and(|at| at <= now) {
            self.call.handle(now, Input::Timeout);
        }
        self.act(now);
    }

    /// Does what the call's machine asks for.
    fn act(&mut self, now: Now) {
        while let Some(action) = self.call.poll_action() {
            match action {
                Action::Fetch(id, request) => {
                    let (courier, token) = (self.exchange.0.courier.clone(), self.dice.sid("IT"));
                    self.tasks.spawn(async move {
                        let (delivered, result) = courier.deliver(request, &token).await;
                        Done::Fetched(id, delivered, result)
                    });
                }
                Action::Notify(request) => self.notify(request),
                Action::OpenStream { sid, kind, noun } => {
                    let mut tracks = Vec::new();
                    tracks.extend(noun.inbound.then_some(Track::Inbound));
                    tracks.extend(noun.outbound.then_some(Track::Outbound));
                    let opening = Opening {
                        account_sid: self.call.leg().account_sid.clone(),
                        call_sid: self.call.leg().sid.clone(),
                        stream_sid: sid.clone(),
                        kind,
                        tracks,
                        parameters: noun.parameters.clone(),
                    };
                    let live = LiveStream {
                        machine: MediaStream::new(opening),
                        socket: None,
                        heard: 0,
                        stopped: false,
                        lingers_until: None,
                    };
                    self.streams.insert(sid.clone(), live);
                    self.order.push(sid.clone());
                    if let Some(alert) = noun.refused {
                        self.tasks.spawn(async move { Done::Connected(sid, Err(alert)) });
                        continue;
                    }
                    let token = self.exchange.0.account.auth_token.clone();
                    let events = self.server.0.clone();
                    self.tasks.spawn(async move {
                        let socket = socket::connect(&noun.url, &token, sid.clone(), events).await;
                        Done::Connected(sid, socket)
                    });
                }
                Action::StopStream { sid } => {
                    if let Some(stream) = self.streams.get_mut(&sid) {
                        stream.machine.stop(now, self.cast.farewell);
                        stream.stopped = true;
                        if self.cast.stray_frame {
                            stream.machine.stray(now);
                        }
                    }
                    self.flush(&sid);
                    if let Some(stream) = self.streams.get_mut(&sid) {
                        if self.cast.farewell == Farewell::StopOnly && stream.socket.is_some() {
                            stream.lingers_until = Some(now + LINGER);
                        } else {
                            // Dropping the socket lets the writer send what is queued, then closes it.
                            stream.socket = None;
                        }
                    }
                }
                Action::Announce { text, .. } => {
                    self.exchange.tell(&self.record.leg.sid, What::Announced(text.clone()));
                    self.record.announced.push((now, text));
                }
                Action::Became(status) => self.became(now, status),
                Action::Alert(alert) => self.alert(now, alert),
            }
        }
        self.publish(now);
    }

    fn became(&mut self, now: Now, status: Status) {
        self.record.statuses.push((now, status));
        self.exchange.tell(&self.record.leg.sid, What::Became(status));
        if status == Status::InProgress {
            self.person.answered(now);
            let mut ticker = interval_at((self.exchange.0.started + now).into(), Duration::from_millis(20));
            ticker.set_missed_tick_behavior(MissedTickBehavior::Burst);
            self.ticker = Some(ticker);
        }
        if status.is_terminal() {
            self.ticker = None;
        }
    }

    fn alert(&mut self, now: Now, alert: Alert) {
        self.exchange.tell(&self.record.leg.sid, What::Alerted(alert.clone()));
        self.record.alerts.push((now, alert));
    }

    fn publish(&self, now: Now) {
        let mut history = lock(&self.history);
        let Some(last) = history.last() else { return };
        let [started, _, ended] = self.call.moments();
        let next = Resource {
            status: self.call.status(),
            started,
            ended,
            duration_s: self.call.duration_s(),
            answered_by: self.call.answered_by().map(str::to_owned),
            updated: last.updated,
            ..last.clone()
        };
        if next != *last {
            history.push(Resource { updated: now, ..next });
        }
    }

    fn notify(&mut self, request: Request) {
        let copies = self.cast.mischief.copies(&request, &mut self.dice);
        if copies.is_empty() {
            self.record.lost.push(request);
            return;
        }
        let first = self.dice.sid("IT");
        for copy in copies {
            let token = if copy.same_token { first.clone() } else { self.dice.sid("IT") };
            let (courier, request) = (self.exchange.0.courier.clone(), request.clone());
            self.tasks.spawn(async move {
                tokio::time::sleep(copy.late).await;
                Done::Notified(courier.deliver(request, &token).await.0)
            });
        }
    }

    fn task_done(&mut self, done: Done) {
        let now = self.now();
        match done {
            Done::Fetched(id, delivered, result) => {
                self.record.webhooks.push(delivered);
                self.call.handle(now, Input::Fetched(id, result));
            }
            Done::Notified(delivered) => {
                if let Some(alert) = &delivered.failed {
                    // A status callback that is answered 4xx or 5xx is 15003, whatever else failed is as it is.
                    let code = if alert.code == 11200 { 15003 } else { alert.code };
                    self.alert(now, Alert::new(code, format!("{} callback: {}", delivered.kind(), alert.what)));
                }
                self.record.webhooks.push(delivered);
            }
            Done::Connected(sid, Err(alert)) => {
                self.call.handle(now, Input::StreamEnded(sid, StreamEnd::Refused(alert)));
            }
            Done::Connected(sid, Ok(socket)) => {
                let Some(stream) = self.streams.get_mut(&sid).filter(|stream| !stream.stopped) else { return };
                stream.socket = Some(socket);
                stream.machine.open(now);
                self.exchange.tell(&self.record.leg.sid, What::Streaming);
                self.flush(&sid);
                self.call.handle(now, Input::StreamOpened(sid));
            }
        }
        self.act(now);
    }

    fn server_said(&mut self, sid: &str, at: Instant, incoming: Incoming) {
        let at = at.saturating_duration_since(self.exchange.0.started);
        let Some(stream) = self.streams.get_mut(sid) else { return };
        if stream.stopped {
            if !matches!(incoming, Incoming::Text(_) | Incoming::Binary) {
                stream.socket = None;
                stream.lingers_until = None;
            }
            return;
        }
        let end = match incoming {
            Incoming::Text(text) => {
                let clears = stream.machine.clears().len();
                stream.machine.advance(at);
                let queued = stream.machine.player().queued();
                stream.machine.handle(at, &text);
                if stream.machine.clears().len() > clears {
                    self.exchange.tell(&self.record.leg.sid, What::Cleared(queued));
                }
                None
            }
            Incoming::Binary => {
                stream.machine.handle_binary(at);
                None
            }
            Incoming::Closed => Some(StreamEnd::ServerClosed),
            Incoming::Broken => Some(StreamEnd::Broken),
            Incoming::Violation(what) => {
                stream.machine.handle_violation(at, &what);
                Some(StreamEnd::Violation)
            }
        };
        self.flush(sid);
        if let Some(end) = end {
            if let Some(stream) = self.streams.get_mut(sid) {
                stream.machine.closed(at);
                stream.socket = None;
            }
            let now = self.now();
            self.call.handle(now, Input::StreamEnded(sid.to_owned(), end));
            self.act(now);
        }
    }

    fn flush(&mut self, sid: &str) {
        let now = self.now();
        let mut dropped = false;
        if let Some(stream) = self.streams.get_mut(sid) {
            while let Some(output) = stream.machine.poll_output() {
                let last = output == Output::Close;
                dropped |= stream.socket.as_ref().is_some_and(|socket| !socket.send(output)) && !last;
            }
        }
        if dropped && !self.record.alerts.iter().any(|(_, alert)| alert.code == 31930) {
            self.alert(now, Alert::new(31930, "the server reads too slowly, audio is thrown away"));
        }
    }

    /// Twenty milliseconds of the call.
    fn tick(&mut self, at: Instant) {
        let nominal = at.saturating_duration_since(self.exchange.0.started);
        let now = self.now();
        for sid in self.order.clone() {
            let Some(stream) = self.streams.get_mut(&sid) else { continue };
            if stream.machine.opening().kind != Kind::Bidirectional {
                continue;
            }
            stream.machine.advance(now);
            let player = stream.machine.player();
            for (at, bytes, audio) in player.played_from(stream.heard) {
                self.person.hear(at, audio);
                stream.heard = bytes.end;
            }
        }
        let frame = self.person.frame(nominal);
        self.frames += 1;
        let lost = self.cast.lose_every > 0 && self.frames.is_multiple_of(u64::from(self.cast.lose_every));
        for sid in self.order.clone() {
            if let Some(stream) = self.streams.get_mut(&sid) {
                if lost {
                    stream.machine.lose(Track::Inbound);
                } else {
                    stream.machine.say(nominal, Track::Inbound, &frame);
                }
            }
            self.flush(&sid);
        }
        while let Some(deed) = self.person.poll_deed() {
            self.did(now, deed);
        }
        self.act(now);
    }

    fn did(&mut self, now: Now, deed: Deed) {
        match &deed {
            Deed::Pressed(key) => {
                for sid in self.order.clone() {
                    if let Some(stream) = self.streams.get_mut(&sid) {
                        stream.machine.press(*key);
                    }
                    self.flush(&sid);
                }
                self.call.handle(now, Input::Digit(*key));
            }
            Deed::Listens(on) => {
                for stream in self.streams.values() {
                    if let Some(socket) = &stream.socket {
                        socket.read(*on);
                    }
                }
            }
            Deed::HungUp | Deed::Despaired(_) => self.call.handle(now, Input::HungUp),
            Deed::Began(_) | Deed::Finished(_) | Deed::HeardBegin(..) | Deed::HeardEnd(_) => {}
        }
        self.exchange.tell(&self.record.leg.sid, What::Did(deed.clone()));
        self.record.deeds.push((now, deed));
    }

    fn finish(mut self, done: &watch::Sender<Option<Arc<CallRecord>>>) {
        let mut record = self.record;
        record.moments = self.call.moments();
        record.duration_s = self.call.duration_s();
        record.script_finished = self.person.is_finished();
        record.webhooks.sort_by_key(|delivered| delivered.at);
        for sid in &self.order {
            if let Some(stream) = self.streams.remove(sid) {
                record.alerts.extend(stream.machine.alerts().iter().cloned());
                record.streams.push(stream.machine);
            }
        }
        record.alerts.sort_by_key(|(at, _)| *at);
        // Nobody may want it.
        let _ = done.send(Some(Arc::new(record)));
    }
}

async fn tick(ticker: &mut Option<Interval>) -> Instant {
    match ticker {
        Some(ticker) => ticker.tick().await.into_std(),
        None => std::future::pending().await,
    }
}
