//! A provider comes, is configured, is lost and is replaced: the same once more, then the agent's fallback, then an apology.
//! The caller's line is not touched by any of it: what plays goes on playing, what is said is kept.

use super::Session;
use crate::audio::Clip;
use crate::drive::DialFailure;
use crate::history::History;
use crate::phase::{Phase, Voices};
use crate::provider::{self, ProviderCommand, Setup};
use crate::responses::{Ask, Responses};
use crate::timers::Timer;
use crate::{Action, Now, script};
use shared::call::EndReason;
use shared::node_api::{CallPlan, NodeEvent};

/// A provider that served this long earns its second try again: a session's age limit must not cost a long call its voice.
const SERVED: Now = Now::from_secs(30);
/// Wrong messages of a provider within [`FAULT_WINDOW`] that make it count as lost.
const FAULTS: usize = 20;
const FAULT_WINDOW: Now = Now::from_secs(10);

/// What the agent says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Greeting {
    /// To be said.
    Due(String),
    /// Asked for, and not heard yet: should the provider be lost now, it is still to be said.
    Asked(String),
    /// The line was interrupted: to be said so.
    Resume,
    /// Said, or overtaken by the caller, or there is none.
    Over,
}

impl Session {
    pub(super) fn begin(&mut self, mut plan: Box<CallPlan>) {
        if self.phase != Phase::AwaitingPlan {
            return;
        }
        self.history = History::new(std::mem::take(&mut plan.heard));
        self.greeting = match script::greeting(&plan) {
            _ if plan.greeted => Greeting::Resume,
            Some(words) => Greeting::Due(words),
            None => Greeting::Over,
        };
        self.timers.clear(Timer::Plan);
        self.timers.set(Timer::Filler, self.now + self.config.filler_after);
        self.timers.set(Timer::MaxDuration, self.now + Now::from_secs(u64::from(plan.remaining_s)));
        self.voices = Some(Voices::of(&plan.agent));
        self.plan = Some(plan);
        self.connect();
    }

    /// Dials the current voice.
    pub(super) fn connect(&mut self) {
        let Some(voice) = self.voices.as_ref().map(|voices| voices.current().clone()) else { return };
        self.connection += 1;
        self.stats.connections += 1;
        self.responses = Responses::default();
        self.provider_faults.clear();
        self.phase = Phase::Connecting;
        self.codec = provider::codec(&voice.provider);
        match &self.codec {
            None => self.provider_refused("unknown provider"),
            Some(codec) => {
                self.capabilities = codec.capabilities();
                if self.capabilities.is_local {
                    self.configure();
                    self.poll_codec();
                } else {
                    self.socket_is_open = true;
                    self.timers.set(Timer::Connect, self.now + self.config.connect_timeout);
                    self.actions.push_back(Action::OpenProvider(voice));
                }
            }
        }
    }

    pub(super) fn provider_opened(&mut self) {
        if self.phase == Phase::Connecting && self.socket_is_open {
            self.timers.clear(Timer::Connect);
            self.timers.set(Timer::Configure, self.now + self.config.configure_timeout);
            self.configure();
        }
    }

    fn configure(&mut self) {
        let (Some(plan), Some(voices)) = (&self.plan, &self.voices) else { return };
        self.phase = Phase::Configuring;
        let instructions = script::instructions(plan);
        let (voice, language) = (voices.current().clone(), plan.agent.language.clone());
        let transcription_model = self.config.transcription_model.clone();
        self.command(ProviderCommand::Configure(Setup {
            voice: &voice,
            instructions: &instructions,
            language: &language,
            transcription_model: &transcription_model,
        }));
    }

    /// The provider's configuration is in force: it is told what was said, asked to speak first if it should, and hears.
    pub(super) fn provider_ready(&mut self) {
        if self.phase != Phase::Configuring {
            return;
        }
        self.phase = Phase::Live;
        self.live_since = self.now;
        self.last_words = self.now;
        self.filler_was_said = false;
        self.timers.clear(Timer::Configure);
        self.timers.clear(Timer::Filler);
        self.fact(NodeEvent::ProviderReady { provider: self.provider_name() });
        if self.capabilities.takes_text {
            for line in self.history.lines() {
                self.command(ProviderCommand::Remember(&line));
            }
        }
        if self.capabilities.takes_turns
            && let Some(limit) = self.silence_limit()
        {
            self.timers.set(Timer::Silence, self.now + limit);
        }
        let told = std::mem::take(&mut self.tells);
        let is_told = !told.is_empty();
        for (id, text) in told {
            self.tell(id, &text);
        }
        match std::mem::replace(&mut self.greeting, Greeting::Over) {
            Greeting::Due(words) | Greeting::Asked(words) => {
                self.greeting = Greeting::Asked(words.clone());
                self.ask(Ask::Saying(words));
            }
            Greeting::Resume => self.ask(Ask::Following(script::RESUME.to_owned())),
            Greeting::Over if is_told => self.ask(Ask::Freely),
            Greeting::Over => {}
        }
        for payload in self.uplink.open() {
            self.command(ProviderCommand::Hear(&payload));
        }
    }

    pub(super) fn provider_failed(&mut self, failure: DialFailure) {
        if self.phase != Phase::Connecting || !self.socket_is_open {
            return;
        }
        self.socket_is_open = false;
        match failure {
            DialFailure::Refused { status } => self.provider_refused(&with_number("refused", status)),
            DialFailure::Unavailable { status } => self.provider_lost(&with_number("unavailable", status)),
        }
    }

    pub(super) fn provider_closed(&mut self, code: Option<u16>) {
        if self.socket_is_open {
            self.socket_is_open = false;
            self.provider_lost(&with_number("closed", code));
        }
    }

    /// One more message of the provider that was wrong. A few are borne.
    pub(super) fn provider_was_wrong(&mut self) {
        self.stats.provider_faults += 1;
        let now = self.now;
        self.provider_faults.push_back(now);
        self.provider_faults.retain(|at| now.saturating_sub(*at) < FAULT_WINDOW);
        if self.provider_faults.len() >= FAULTS {
            self.provider_lost("malformed messages");
        }
    }

    /// The provider is gone, or as good as gone.
    pub(super) fn provider_lost(&mut self, reason: &str) {
        let was_dialling = self.phase == Phase::Connecting && !self.socket_is_open;
        if !self.leave_provider(reason) {
            return;
        }
        if self.now.saturating_sub(self.live_since) >= SERVED
            && let Some(voices) = &mut self.voices
        {
            voices.served();
        }
        if !self.voices.as_mut().is_some_and(Voices::lost) {
            return self.end_politely(EndReason::ProviderUnavailable, Clip::Apology);
        }
        if was_dialling {
            // Not at once: whatever refused the connection is most likely still there.
            self.timers.set(Timer::Redial, self.now + self.redial_after());
        } else {
            self.connect();
        }
    }

    /// The provider will not serve us.
    pub(super) fn provider_refused(&mut self, reason: &str) {
        if !self.leave_provider(reason) {
            return;
        }
        if self.voices.as_mut().is_some_and(Voices::refused) {
            self.connect();
        } else {
            self.end_politely(EndReason::ProviderRefused, Clip::Apology);
        }
    }

    /// Leaves a provider behind whose loss must be told. `false`: there was none to lose.
    fn leave_provider(&mut self, reason: &str) -> bool {
        if !matches!(self.phase, Phase::Connecting | Phase::Configuring | Phase::Live) {
            return false;
        }
        let was_owed = self.phase == Phase::Live && (self.responses.is_expected() || self.turns.caller_speaks());
        if was_owed && self.greeting == Greeting::Over {
            self.greeting = Greeting::Resume;
        }
        self.fact(NodeEvent::ProviderLost { provider: self.provider_name(), reason: reason.to_owned() });
        self.hang_up_provider();
        self.playback(|playback, now, out, ended| playback.finish_all(now, out, ended));
        self.phase = Phase::Connecting;
        self.responses = Responses::default();
        for timer in [Timer::Connect, Timer::Configure, Timer::Redial, Timer::Response] {
            self.timers.clear(timer);
        }
        if self.timers.get(Timer::Filler).is_none() && !self.filler_was_said {
            let quiet_from = self.now.max(self.playback.drained_at());
            self.timers.set(Timer::Filler, quiet_from + self.config.filler_after);
        }
        true
    }

    /// Closes the provider's socket if there is one. What it had begun to say is told as far as it came.
    pub(super) fn hang_up_provider(&mut self) {
        if std::mem::take(&mut self.socket_is_open) {
            self.actions.push_back(Action::CloseProvider);
        }
        self.codec = None;
        self.capabilities = super::NO_CAPABILITIES;
        self.uplink.close();
        for said in self.turns.finish_all() {
            self.fact(said);
        }
    }

    fn provider_name(&self) -> String {
        self.voices.as_ref().map(|voices| voices.current().provider.clone()).unwrap_or_default()
    }

    /// 200 to 499 ms, different from call to call, so that calls that lost the same provider do not come back as one.
    fn redial_after(&self) -> Now {
        let call = self.plan.as_ref().map(|plan| plan.call.as_str()).unwrap_or_default();
        let spread = call.bytes().fold(0u64, |sum, byte| (sum * 31 + u64::from(byte)) % 300);
        Now::from_millis(200 + spread)
    }
}

fn with_number(word: &str, number: Option<u16>) -> String {
    number.map_or_else(|| word.to_owned(), |number| format!("{word} {number}"))
}
