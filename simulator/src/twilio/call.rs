//! The life of one call leg at Twilio, as a pure machine: ringing, answering, playing TwiML, streams, dialling on, ending, and
//! every callback on the way. Time and chance are arguments. It asks for documents and sockets through [`Action`]s and never
//! touches them; whether a callback arrives once, twice or never is [`super::post`]'s.

mod callbacks;
mod dialling;
mod leg;
mod live;
mod messages;
mod verbs;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::network::{Network, Reaction};
use super::sids::{Dice, WallClock};
use super::stream::Kind;
use super::twiml::{self, Origin, Recording, StreamNoun, Target, Transcription, Verb};
use super::{Alert, Now};
use dialling::Dialling;
pub use leg::{Detection, Direction, Leg, RecordPlan, Source, Status};
use live::{LiveRecording, LiveStream, LiveTranscription};
pub use messages::{Action, Fetched, Input, Purpose, Request, StreamEnd, Update};

#[derive(Debug)]
enum Doing {
    /// Nothing is played: not answered yet, or over.
    Nothing,
    /// Waiting for a document.
    Fetching { id: u64, target: Target, fallback_used: bool },
    /// Waiting for a file.
    Loading { id: u64, times: u32 },
    /// Saying, playing or pausing; goes on when the time is over.
    Waiting,
    /// Waiting for digits.
    Gathering { verb: Verb, digits: String },
    /// Connected to a stream.
    Streaming { sid: String, action: Option<Target> },
    /// Dialling others, or joined with one.
    Dialling(Dialling),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Timer {
    Rings,
    Reacts,
    GivesUp,
    TimeLimit,
    Detected,
    /// The present verb's time is over; only of this generation.
    VerbEnds(u64),
    /// A dialled leg rings, reacts or hangs up.
    Dialled(u64, usize, dialling::Step),
    DialGivesUp(u64),
    BridgeEnds(u64),
    Interrupted(Target, Vec<(String, String)>),
    Redirected(Source),
    Overheard(String, usize),
    RecordingReady(String),
}

/// A leg. Give it everything that happens through [`Call::handle`], then drain [`Call::poll_action`], then read
/// [`Call::poll_timeout`].
#[derive(Debug)]
pub struct Call {
    leg: Leg,
    network: Network,
    clock: WallClock,
    dice: Dice,
    status: Status,
    began: Option<Now>,
    answered: Option<Now>,
    ended: Option<Now>,
    sip_code: Option<u16>,
    answered_by: Option<String>,
    doing: Doing,
    verbs: VecDeque<Verb>,
    first_verb: bool,
    generation: u64,
    fetches: u64,
    ignored_fetches: Vec<u64>,
    notices: u32,
    timers: Vec<(Now, Timer)>,
    streams: BTreeMap<String, LiveStream>,
    transcriptions: BTreeMap<String, LiveTranscription>,
    recordings: BTreeMap<String, LiveRecording>,
    actions: VecDeque<Action>,
}

impl Call {
    /// A leg that has not begun.
    #[must_use]
    pub fn new(leg: Leg, network: Network, clock: WallClock, dice: Dice) -> Self {
        Self {
            leg,
            network,
            clock,
            dice,
            status: Status::Queued,
            began: None,
            answered: None,
            ended: None,
            sip_code: None,
            answered_by: None,
            doing: Doing::Nothing,
            verbs: VecDeque::new(),
            first_verb: true,
            generation: 0,
            fetches: 0,
            ignored_fetches: Vec::new(),
            notices: 0,
            timers: Vec::new(),
            streams: BTreeMap::new(),
            transcriptions: BTreeMap::new(),
            recordings: BTreeMap::new(),
            actions: VecDeque::new(),
        }
    }

    /// Takes in what happened at `now`. Times never run back.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Begin => self.begin(now),
            Input::Fetched(id, result) => self.fetched(now, id, result),
            Input::StreamOpened(sid) => self.stream_opened(now, &sid),
            Input::StreamEnded(sid, end) => self.stream_ended(now, &sid, end),
            Input::Digit(digit) => self.digit(now, digit),
            Input::HungUp => {
                let status = if self.answered.is_some() { Status::Completed } else { Status::Canceled };
                self.end(now, status);
            }
            Input::Timeout => self.timeout(now),
        }
    }

    /// Changes a live call as `POST /Calls/{sid}.json` does.
    ///
    /// # Errors
    /// 21220 when the call is not in a state that allows it.
    pub fn update(&mut self, now: Now, update: Update) -> Result<(), Alert> {
        let refused = |what: &str| Err(Alert::new(21220, format!("Call is not in the expected state. {what}")));
        match update {
            _ if self.status.is_terminal() => refused("It is over."),
            Update::Redirect(_) if self.status != Status::InProgress => refused("It is not in progress."),
            Update::Redirect(source) => {
                let half = Duration::from_millis(self.network.update_ms / 2);
                if let Some(action) = self.leave_verb(now, true) {
                    let fields = self.standard_fields(now);
                    self.timers.push((now + half, Timer::Interrupted(action, fields)));
                }
                self.timers.push((now + half * 2, Timer::Redirected(source)));
                Ok(())
            }
            Update::Cancel if self.answered.is_some() => refused("It was answered."),
            Update::Cancel => {
                self.end(now, Status::Canceled);
                Ok(())
            }
            Update::Complete => {
                let status = if self.answered.is_some() { Status::Completed } else { Status::Canceled };
                self.end(now, status);
                Ok(())
            }
        }
    }

    /// What to do next. Drain after every [`Call::handle`] and [`Call::update`].
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to give [`Input::Timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Now> {
        self.timers.iter().map(|(at, _)| *at).min()
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// What was known when it began.
    #[must_use]
    pub fn leg(&self) -> &Leg {
        &self.leg
    }

    /// When it began, was answered and ended.
    #[must_use]
    pub fn moments(&self) -> [Option<Now>; 3] {
        [self.began, self.answered, self.ended]
    }

    /// Seconds from answer to end, rounded up as Twilio does.
    #[must_use]
    pub fn duration_s(&self) -> Option<u64> {
        let lasted = self.ended?.saturating_sub(self.answered.or(self.ended)?);
        Some(u64::try_from(lasted.as_millis().div_ceil(1000)).unwrap_or(u64::MAX))
    }

    /// What answering-machine detection found.
    #[must_use]
    pub fn answered_by(&self) -> Option<&str> {
        self.answered_by.as_deref()
    }

    fn after(&mut self, at: Now, ms: u64, timer: Timer) {
        self.timers.push((at + Duration::from_millis(ms), timer));
    }

    fn alert(&mut self, alert: Alert) {
        self.actions.push_back(Action::Alert(alert));
    }

    fn become_status(&mut self, now: Now, status: Status) {
        self.status = status;
        self.actions.push_back(Action::Became(status));
        self.notify_status(now, status);
    }

    fn begin(&mut self, now: Now) {
        if self.began.is_some() || self.status.is_terminal() {
            return;
        }
        self.began = Some(now);
        match self.leg.direction {
            Direction::Inbound => {
                self.status = Status::Ringing;
                self.actions.push_back(Action::Became(Status::Ringing));
                self.play(now, self.leg.source.clone(), Vec::new());
            }
            Direction::OutboundApi => {
                self.become_status(now, Status::Initiated);
                let (rings, reacts) = (self.network.callee.rings_after_ms, self.network.callee.reacts_after_ms);
                if self.network.callee.reaction == Reaction::Unreachable {
                    self.after(now, reacts, Timer::Reacts);
                } else {
                    self.after(now, rings, Timer::Rings);
                    self.after(now, u64::from(self.leg.timeout_s) * 1000, Timer::GivesUp);
                }
            }
        }
    }

    fn timeout(&mut self, now: Now) {
        loop {
            let due = self.timers.iter().enumerate().filter(|(_, (at, _))| *at <= now).min_by_key(|(_, (at, _))| *at);
            let Some((index, _)) = due else { break };
            let (_, timer) = self.timers.remove(index);
            self.expired(now, timer);
        }
    }

    fn expired(&mut self, now: Now, timer: Timer) {
        match timer {
            Timer::Rings if self.status == Status::Initiated => {
                self.become_status(now, Status::Ringing);
                if self.network.callee.reaction != Reaction::Silent {
                    self.after(now, self.network.callee.reacts_after_ms, Timer::Reacts);
                }
            }
            Timer::Reacts if self.answered.is_none() && !self.status.is_terminal() => {
                match self.network.callee.reaction {
                    Reaction::Answers | Reaction::Silent => self.callee_answers(now),
                    Reaction::Busy => self.end_with_sip(now, Status::Busy, 486),
                    Reaction::Declines => self.end_with_sip(now, Status::NoAnswer, 603),
                    Reaction::Unreachable => self.end_with_sip(now, Status::Failed, 404),
                }
            }
            Timer::GivesUp if self.answered.is_none() && !self.status.is_terminal() => {
                self.end_with_sip(now, Status::NoAnswer, 487);
            }
            Timer::TimeLimit if !self.status.is_terminal() => self.end(now, Status::Completed),
            Timer::Detected => self.detected(now),
            Timer::VerbEnds(generation) if generation == self.generation => self.verb_ended(now),
            Timer::Dialled(generation, index, step) if generation == self.generation => self.dialled(now, index, step),
            Timer::DialGivesUp(generation) if generation == self.generation => self.dial_gave_up(now),
            Timer::BridgeEnds(generation) if generation == self.generation => self.bridge_ended(now),
            Timer::Interrupted(target, fields) => self.fetch_and_ignore(target, fields),
            Timer::Redirected(source) if !self.status.is_terminal() => self.play(now, source, Vec::new()),
            Timer::Overheard(sid, index) => self.overheard(now, &sid, index),
            Timer::RecordingReady(sid) => self.recording_ready(now, &sid),
            Timer::Rings
            | Timer::Reacts
            | Timer::GivesUp
            | Timer::TimeLimit
            | Timer::VerbEnds(_)
            | Timer::Dialled(..)
            | Timer::DialGivesUp(_)
            | Timer::BridgeEnds(_)
            | Timer::Redirected(_) => {}
        }
    }

    fn callee_answers(&mut self, now: Now) {
        self.answer(now);
        let waits = self.leg.detection.as_ref().map(|detection| detection.asynchronous.is_none());
        if waits.is_some() {
            self.after(now, self.network.detection_ms, Timer::Detected);
        }
        if waits != Some(true) {
            self.play(now, self.leg.source.clone(), Vec::new());
        }
    }

    fn answer(&mut self, now: Now) {
        if self.answered.is_some() {
            return;
        }
        self.answered = Some(now);
        self.become_status(now, Status::InProgress);
        if let Some(seconds) = self.leg.time_limit_s {
            self.after(now, u64::from(seconds) * 1000, Timer::TimeLimit);
        }
        if let Some(plan) = self.leg.record.clone() {
            let noun = Recording {
                name: None,
                status_callback: plan.callback,
                events: plan.events,
                channels: plan.channels,
                track: "both",
            };
            self.start_recording(now, noun, "OutboundAPI");
        }
    }

    fn detected(&mut self, now: Now) {
        let Some(detection) = self.leg.detection.clone() else { return };
        if self.status.is_terminal() {
            return;
        }
        self.answered_by = Some(self.network.callee.answered_by.clone());
        match detection.asynchronous {
            None => self.play(now, self.leg.source.clone(), Vec::new()),
            Some(callback) => self.notify_detection(callback),
        }
    }

    fn end_with_sip(&mut self, now: Now, status: Status, sip_code: u16) {
        self.sip_code = Some(sip_code);
        self.end(now, status);
    }

    /// Ends the leg: everything on it ends, and the callbacks that belong to it are sent.
    fn end(&mut self, now: Now, status: Status) {
        if self.status.is_terminal() {
            return;
        }
        let was_queued = self.status == Status::Queued;
        let action = self.leave_verb(now, false);
        self.ended = Some(now);
        let streams: Vec<String> = self.streams.keys().cloned().collect();
        for sid in streams {
            self.stop_stream(now, &sid);
        }
        let transcriptions: Vec<String> = self.transcriptions.keys().cloned().collect();
        for sid in transcriptions {
            self.stop_transcription(now, &sid);
        }
        let recordings: Vec<String> = self.recordings.keys().cloned().collect();
        for sid in recordings {
            self.stop_recording(now, &sid);
        }
        if self.sip_code.is_none() {
            self.sip_code = Some(if status == Status::Canceled { 487 } else { 200 });
        }
        self.status = status;
        self.actions.push_back(Action::Became(status));
        if let Some(target) = action.filter(|_| self.network.action_after_end) {
            let fields = self.standard_fields(now);
            self.fetch_and_ignore(target, fields);
        }
        if !was_queued {
            self.notify_status(now, status);
        }
        self.timers.retain(|(_, timer)| matches!(timer, Timer::RecordingReady(_) | Timer::Interrupted(..)));
    }

    /// Stops what the present verb does; its `action`, if it has one and was interrupted inside.
    fn leave_verb(&mut self, now: Now, goes_on: bool) -> Option<Target> {
        self.generation += 1;
        match std::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Nothing | Doing::Fetching { .. } | Doing::Loading { .. } | Doing::Waiting => None,
            Doing::Gathering { verb, .. } => {
                let Verb::Gather { action, .. } = verb else { return None };
                goes_on.then_some(action)
            }
            Doing::Streaming { sid, action } => {
                self.stop_stream(now, &sid);
                action
            }
            Doing::Dialling(dialling) => self.dial_left(now, dialling),
        }
    }

    fn origin(&self, target: Option<&Target>) -> Origin {
        let url = target.and_then(|target| url::Url::parse(&target.url).ok());
        Origin { url, method: target.map_or_else(Default::default, |target| target.method) }
    }

    /// Goes on with another document.
    fn play(&mut self, now: Now, source: Source, extra: Vec<(String, String)>) {
        self.generation += 1;
        match source {
            Source::Url(target) => self.fetch(now, Purpose::Voice, target, extra),
            Source::Inline(text) => match twiml::read_inline(&self.origin(None), text.as_bytes()) {
                Ok(document) => self.run_document(now, document),
                Err(alert) => self.give_up(now, alert),
            },
        }
    }

    fn fetch(&mut self, now: Now, purpose: Purpose, target: Target, extra: Vec<(String, String)>) {
        self.fetches += 1;
        let mut fields = self.standard_fields(now);
        fields.extend(extra);
        let fallback_used = purpose == Purpose::Fallback;
        self.doing = Doing::Fetching { id: self.fetches, target: target.clone(), fallback_used };
        self.actions.push_back(Action::Fetch(self.fetches, Request { purpose, target, fields }));
    }

    fn fetch_and_ignore(&mut self, target: Target, fields: Vec<(String, String)>) {
        self.fetches += 1;
        self.ignored_fetches.push(self.fetches);
        let request = Request { purpose: Purpose::Action, target, fields };
        self.actions.push_back(Action::Fetch(self.fetches, request));
    }

    fn fetched(&mut self, now: Now, id: u64, result: Result<Fetched, Alert>) {
        let result = result.and_then(|fetched| match fetched.status {
            200..=299 => Ok(fetched),
            status => Err(Alert::new(11200, format!("HTTP {status}"))),
        });
        if let Some(at) = self.ignored_fetches.iter().position(|ignored| *ignored == id) {
            self.ignored_fetches.remove(at);
            if let Err(alert) = result {
                self.alert(alert);
            }
            return;
        }
        match &self.doing {
            Doing::Fetching { id: wanted, target, fallback_used } if *wanted == id => {
                let (target, fallback_used) = (target.clone(), *fallback_used);
                let origin = self.origin(Some(&target));
                let document = result.and_then(|got| twiml::read(&origin, got.content_type.as_deref(), &got.body));
                match (document, self.leg.fallback.clone()) {
                    (Ok(document), _) => self.run_document(now, document),
                    (Err(alert), Some(fallback)) if !fallback_used => {
                        let extra =
                            vec![("ErrorCode".to_owned(), alert.code.to_string()), ("ErrorUrl".to_owned(), target.url)];
                        self.alert(alert);
                        self.fetch(now, Purpose::Fallback, fallback, extra);
                    }
                    (Err(alert), _) => self.give_up(now, alert),
                }
            }
            Doing::Loading { id: wanted, times } if *wanted == id => {
                let times = *times;
                self.loaded(now, times, result);
            }
            Doing::Fetching { .. }
            | Doing::Loading { .. }
            | Doing::Nothing
            | Doing::Waiting
            | Doing::Gathering { .. }
            | Doing::Streaming { .. }
            | Doing::Dialling(_) => {}
        }
    }

    /// No document could be had: Twilio apologises and hangs up.
    fn give_up(&mut self, now: Now, alert: Alert) {
        self.alert(alert);
        self.answer(now);
        self.verbs = VecDeque::from([Verb::Say {
            text: "We are sorry, an application error has occurred. Goodbye.".to_owned(),
            times: 1,
        }]);
        self.next_verb(now);
    }
}

#[cfg(test)]
mod tests;
