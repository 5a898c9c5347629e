//! The session: hands each input to the small machines it concerns and turns what they say into actions. Decisions that
//! concern several machines live in the files beside: `line` (Twilio's side), `connection` (a provider comes and goes),
//! `conversation` (what the provider says), `interruption` (barge-in), `orders` and `closing` (how a call ends). Decisions
//! that concern one machine live in that machine.

mod closing;
mod connection;
mod conversation;
mod interruption;
mod line;
mod orders;

use crate::audio::Clip;
use crate::carrier::Carrier;
use crate::history::History;
use crate::phase::{Phase, Voices};
use crate::playback::{Heard, Out, Playback};
use crate::provider::{Capabilities, Codec, ProviderCommand, Wire};
use crate::responses::Responses;
use crate::stats::Stats;
use crate::timers::{Timer, Timers};
use crate::turns::Turns;
use crate::uplink::Uplink;
use crate::{Action, Input, Now, SessionConfig};
use connection::Greeting;
use shared::call::EndReason;
use shared::ids::StreamSid;
use shared::node_api::{CallPlan, NodeEvent, Speaker};
use shared::time::UnixMillis;
use std::collections::VecDeque;

/// A call on this node.
///
/// Memory is bounded by its parts: the caller's audio while nobody hears it ([`SessionConfig::uplink_ms`]), the ledger of
/// what plays, unfinished texts, the history, 16 tells and 64 order ids. Actions are bounded by the drive contract: they are
/// drained after every input, and one input makes a bounded number.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    wall: UnixMillis,
    now: Now,
    phase: Phase,
    timers: Timers,
    stats: Stats,
    actions: VecDeque<Action>,

    carrier: Carrier,
    carrier_is_open: bool,
    uplink: Uplink,
    playback: Playback,

    plan: Option<Box<CallPlan>>,
    voices: Option<Voices>,
    codec: Option<Box<dyn Codec>>,
    capabilities: Capabilities,
    /// Counts the provider connections; 0 before the first.
    connection: u32,
    socket_is_open: bool,
    live_since: Now,
    provider_faults: VecDeque<Now>,

    greeting: Greeting,
    responses: Responses,
    turns: Turns,
    history: History,
    last_words: Now,
    filler_was_said: bool,
    clips: u32,

    tells: VecDeque<(u64, String)>,
    orders: VecDeque<u64>,
}

const NO_CAPABILITIES: Capabilities = Capabilities {
    is_local: false,
    takes_turns: false,
    interrupts_itself: false,
    wants_heard: false,
    takes_text: false,
};

impl Session {
    /// After Twilio's `start`: the stream is known, the plan is not yet. `wall` is the wall time at `Now` zero. Drain
    /// [`Session::poll_action`] once: the first fact is there.
    pub fn new(stream_sid: StreamSid, config: SessionConfig, wall: UnixMillis) -> Self {
        let mut timers = Timers::default();
        timers.set(Timer::Plan, config.plan_timeout);
        timers.set(Timer::Carrier, config.carrier_timeout);
        // The plan usually takes a moment of the edge's time; only an unusual wait is worth a word.
        timers.set(Timer::Filler, config.filler_after * 2);
        Self {
            wall,
            now: Now::ZERO,
            phase: Phase::AwaitingPlan,
            timers,
            stats: Stats::default(),
            actions: VecDeque::from([Action::Fact(NodeEvent::StreamStarted { stream_sid: stream_sid.clone() })]),
            carrier: Carrier::new(stream_sid),
            carrier_is_open: true,
            uplink: Uplink::new(config.uplink_ms),
            playback: Playback::new(config.playout_ms),
            plan: None,
            voices: None,
            codec: None,
            capabilities: NO_CAPABILITIES,
            connection: 0,
            socket_is_open: false,
            live_since: Now::ZERO,
            provider_faults: VecDeque::new(),
            greeting: Greeting::Over,
            responses: Responses::default(),
            turns: Turns::default(),
            history: History::new(Vec::new()),
            last_words: Now::ZERO,
            filler_was_said: false,
            clips: 0,
            tells: VecDeque::new(),
            orders: VecDeque::new(),
            config,
        }
    }

    /// Takes one input in. Time does not go back: an earlier `now` counts as the latest known.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        self.now = self.now.max(now);
        if self.is_over() {
            return;
        }
        match input {
            Input::Begin(plan) => self.begin(plan),
            Input::Twilio(text) => self.carrier_said(text),
            Input::TwilioClosed => {
                self.carrier_is_open = false;
                self.finish(self.reason_or(EndReason::StreamLost));
            }
            Input::ProviderOpened => self.provider_opened(),
            Input::ProviderText(text) => self.provider_said(text),
            Input::ProviderBinary(bytes) => self.provider_said_binary(bytes),
            Input::ProviderClosed { code } => self.provider_closed(code),
            Input::ProviderFailed(failure) => self.provider_failed(failure),
            Input::Order { id, order } => self.order(id, order),
            Input::Drain { deadline } => self.drain(deadline),
            Input::Abort(reason) => self.finish(reason),
            Input::Timeout => self.expire(),
        }
    }

    /// The next thing to do; call it until it is empty after every [`Session::handle`].
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Input::Timeout`] is due; none: no deadline is running. Read it after the actions are drained.
    pub fn poll_timeout(&self) -> Option<Now> {
        if self.is_over() {
            return None;
        }
        let mark = self.playback.expected_mark().map(|at| at + self.config.mark_timeout);
        self.timers.next().into_iter().chain(mark).min()
    }

    /// Whether [`Action::Ended`] has been queued: inputs are ignored from then on.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Counters so far.
    pub fn stats(&self) -> Stats {
        Stats { uplink_lost_ms: self.uplink.lost_ms(), ..self.stats }
    }

    fn expire(&mut self) {
        if let Some(until) = self.now.checked_sub(self.config.mark_timeout) {
            let mut ended = Vec::new();
            self.playback.presume(until, |heard| ended.push(heard));
            self.tell_heard(ended);
        }
        while let Some(timer) = self.timers.expire(self.now) {
            match timer {
                Timer::Plan => self.end_politely(EndReason::InternalError, Clip::Apology),
                Timer::Connect => self.provider_lost("not connected in time"),
                Timer::Configure => self.provider_lost("not configured in time"),
                Timer::Redial => self.connect(),
                Timer::Response => self.response_is_late(),
                Timer::Filler => self.fill(),
                Timer::Silence => self.silence(),
                Timer::MaxDuration => self.end_politely(EndReason::MaxDuration, Clip::Goodbye),
                Timer::Drain => self.end_politely(EndReason::NodeStopped, Clip::Apology),
                Timer::HardStop => self.finish(self.reason_or(EndReason::NodeStopped)),
                Timer::Carrier => self.finish(self.reason_or(EndReason::StreamLost)),
                Timer::Closing => self.finish(self.reason_or(EndReason::InternalError)),
            }
        }
    }

    /// The wall time of a moment of the session.
    fn wall_at(&self, at: Now) -> UnixMillis {
        self.wall.plus(i64::try_from(at.as_millis()).unwrap_or(i64::MAX))
    }

    fn fact(&mut self, event: NodeEvent) {
        self.history.record(&event);
        self.actions.push_back(Action::Fact(event));
    }

    fn command(&mut self, command: ProviderCommand<'_>) {
        let Some(codec) = &mut self.codec else { return };
        match codec.write(command) {
            Wire::Text(text) => self.actions.push_back(Action::ToProvider(text)),
            Wire::Binary(bytes) => self.actions.push_back(Action::ToProviderBinary(bytes)),
            Wire::Nothing => {}
        }
    }

    /// Items whose playback has ended: facts, and the end of the call if it waited for them.
    fn tell_heard(&mut self, ended: Vec<Heard>) {
        for heard in ended {
            self.fact(fact_of(&heard));
        }
        if let Phase::Ending(reason) = self.phase
            && !self.playback.plays_clip()
        {
            self.finish(reason);
        }
    }

    /// Runs one of the ledger's operations, sends what it wants sent and tells what has ended.
    fn playback(&mut self, run: impl FnOnce(&mut Playback, Now, &mut dyn FnMut(Out<'static>), &mut dyn FnMut(Heard))) {
        let mut ended = Vec::new();
        let (carrier, actions, stats) = (&self.carrier, &mut self.actions, &mut self.stats);
        run(&mut self.playback, self.now, &mut |out| send(carrier, actions, stats, out), &mut |heard| {
            ended.push(heard)
        });
        if !ended.is_empty() {
            self.tell_heard(ended);
        }
    }

    /// Says a recorded sentence behind what plays.
    fn speak(&mut self, clip: Clip) {
        self.clips += 1;
        let item = format!("line-{}-{}", clip.name(), self.clips);
        let pieces: Vec<(String, usize)> = clip.pieces().collect();
        let (carrier, actions, stats) = (&self.carrier, &mut self.actions, &mut self.stats);
        let payloads = pieces.iter().map(|(text, bytes)| (text.as_str(), *bytes));
        let began = self.playback.play(self.now, item.clone(), payloads, |out| send(carrier, actions, stats, out));
        let started_at = self.wall_at(began.unwrap_or(self.now));
        self.fact(NodeEvent::Said { speaker: Speaker::Agent, item, text: clip.text().to_owned(), started_at });
    }

    /// The caller has waited in silence: a word, once for each absence of the provider.
    fn fill(&mut self) {
        let still_plays = self.playback.remaining(self.now);
        if !still_plays.is_zero() {
            self.timers.set(Timer::Filler, self.now + still_plays + self.config.filler_after);
        } else if !std::mem::replace(&mut self.filler_was_said, true) {
            self.speak(Clip::Moment);
        }
    }

    /// Nobody may have spoken for the agent's limit.
    fn silence(&mut self) {
        let Some(limit) = self.silence_limit() else { return };
        let since = self.last_words.max(self.playback.drained_at());
        let is_busy = self.turns.caller_speaks() || self.responses.is_expected() || self.phase != Phase::Live;
        if is_busy {
            self.timers.set(Timer::Silence, self.now + limit);
        } else if self.now.saturating_sub(since) >= limit {
            self.end_politely(EndReason::Silence, Clip::Goodbye);
        } else {
            self.timers.set(Timer::Silence, since + limit);
        }
    }

    fn silence_limit(&self) -> Option<Now> {
        self.plan.as_ref().map(|plan| Now::from_secs(u64::from(plan.agent.limits.silence_s)))
    }
}

fn send(carrier: &Carrier, actions: &mut VecDeque<Action>, stats: &mut Stats, out: Out<'_>) {
    let message = match out {
        Out::Media(payload) => {
            stats.frames_out += 1;
            carrier.media(payload)
        }
        Out::Mark(name) => {
            stats.marks_out += 1;
            carrier.mark(name)
        }
    };
    actions.push_back(Action::ToTwilio(message));
}

fn fact_of(heard: &Heard) -> NodeEvent {
    NodeEvent::Heard {
        item: heard.source.item().to_owned(),
        heard_ms: heard.heard_ms,
        received_ms: heard.received_ms,
        cut: heard.cut,
    }
}
