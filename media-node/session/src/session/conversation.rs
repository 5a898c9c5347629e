//! What the provider says during a call: audio on its way to the caller, turns, texts, answers that run, fail or do not come.

use super::Session;
use super::connection::Greeting;
use crate::Action;
use crate::phase::Phase;
use crate::playback::{Delta, Received};
use crate::provider::{Complaint, ProviderCommand, ProviderEvent, ProviderFault, Respond, ResponseOutcome};
use crate::responses::{Ask, Next};
use crate::scan;
use crate::timers::Timer;
use shared::node_api::{NodeEvent, Speaker};
use shared::time::UnixMillis;

/// A function that nobody here can call is answered with this, so that the conversation goes on.
const NO_TOOL: &str = r#"{"error":"this function is not available"}"#;

impl Session {
    pub(super) fn provider_said(&mut self, text: &str) {
        if !self.phase.listens_to_provider() {
            return;
        }
        let Some(codec) = &mut self.codec else { return };
        let event = codec.read(text);
        self.provider_event(event);
    }

    pub(super) fn provider_said_binary(&mut self, bytes: &[u8]) {
        if !self.phase.listens_to_provider() {
            return;
        }
        let Some(codec) = &mut self.codec else { return };
        let event = codec.read_binary(bytes);
        self.provider_event(event);
    }

    /// Takes in what a built-in provider has to say.
    pub(super) fn poll_codec(&mut self) {
        while let Some(event) = self.codec.as_mut().and_then(|codec| codec.poll()) {
            self.provider_event(Ok(event));
        }
    }

    fn provider_event(&mut self, event: Result<ProviderEvent<'_>, ProviderFault>) {
        let Ok(event) = event else { return self.provider_was_wrong() };
        if self.timers.get(Timer::Response).is_some() {
            self.expect_response();
        }
        match event {
            ProviderEvent::Ready => self.provider_ready(),
            ProviderEvent::Refused { code } => self.provider_refused(&format!("refused {code}")),
            ProviderEvent::Expired => self.provider_lost("session expired"),
            ProviderEvent::Unknown => self.stats.provider_unknown += 1,
            ProviderEvent::Nothing => {}
            // Until the formats are agreed, anything that sounds would be noise and anything else is about nothing.
            _ if self.phase != Phase::Live => {}
            ProviderEvent::Audio { response, item, content_index, payload } => {
                self.agent_sounds(&response, &item, content_index, &payload);
            }
            ProviderEvent::Sound { payload } => match scan::base64_len(&payload) {
                Some(_) => {
                    self.stats.frames_out += 1;
                    self.actions.push_back(Action::ToTwilio(self.carrier.media(&payload)));
                }
                None => self.provider_was_wrong(),
            },
            ProviderEvent::AudioDone { item, content_index } => {
                self.playback(|playback, now, out, ended| playback.finish_item(now, &item, content_index, out, ended));
            }
            ProviderEvent::ResponseStarted { response } => self.response_started(&response),
            ProviderEvent::ResponseDone { response, outcome } => self.response_done(&response, &outcome),
            ProviderEvent::CallerStarted { item, at_ms } => self.caller_started(item.as_deref(), at_ms),
            ProviderEvent::CallerStopped => {
                self.turns.caller_stopped();
                self.last_words = self.now;
                self.responses.turn_ended();
                self.expect_response();
            }
            ProviderEvent::Words { speaker, response, item, more } => self.words(speaker, &response, &item, &more),
            ProviderEvent::Said { speaker, item, text } => {
                if let Some(said) = self.turns.finish(speaker, &item, &text, self.wall_at(self.now)) {
                    self.fact(said);
                }
            }
            ProviderEvent::ToolAsked { call } => {
                self.command(ProviderCommand::AnswerTool { call: &call, output: NO_TOOL });
                self.ask(Ask::Freely);
            }
            ProviderEvent::Complained(complaint) => match complaint {
                Complaint::ResponseRuns => self.responses.busy(),
                Complaint::Benign => {}
                Complaint::Other => self.stats.provider_complaints += 1,
            },
        }
    }

    /// The hot path of the provider's direction.
    fn agent_sounds(&mut self, response: &str, item: &str, content_index: u32, payload: &str) {
        let Some(bytes) = scan::base64_len(payload) else { return self.provider_was_wrong() };
        let delta = Delta { connection: self.connection, response, item, content_index };
        let (carrier, actions, stats) = (&self.carrier, &mut self.actions, &mut self.stats);
        let received = self.playback.receive(self.now, delta, payload, bytes, |out| {
            super::send(carrier, actions, stats, out);
        });
        match received {
            Received::Sent(None) => {}
            Received::Sent(Some(began)) => {
                self.greeting = Greeting::Over;
                let overflow = self.turns.agent_started(response, item, self.wall_at(began));
                if let Some(said) = overflow {
                    self.fact(said);
                }
            }
            Received::Dead => self.stats.deltas_dead += 1,
            Received::Full => self.stats.deltas_full += 1,
        }
    }

    fn words(&mut self, speaker: Speaker, response: &str, item: &str, more: &str) {
        let (interim, overflow) = self.turns.add(speaker, response, item, more, self.wall_at(self.now));
        if let Some(said) = overflow {
            self.fact(said);
        }
        if let Some(words) = interim {
            self.actions.push_back(Action::Live {
                speaker: words.speaker,
                item: words.item,
                text: words.text,
                started_at: words.started_at,
            });
        }
    }

    fn caller_started(&mut self, item: Option<&str>, at_ms: Option<u64>) {
        // When it began, not when it was noticed: the provider counts the audio that it was given.
        let ago = at_ms.map_or(0, |ms| self.uplink.ago_ms(ms)).min(u64::from(self.config.uplink_ms));
        let now = self.wall_at(self.now);
        let began = UnixMillis(now.0.saturating_sub(i64::try_from(ago).unwrap_or(0)).max(self.wall.0));
        if let Some(said) = self.turns.caller_started(item, began) {
            self.fact(said);
        }
        self.last_words = self.now;
        self.responses.turn_began();
        if !self.responses.is_expected() {
            self.timers.clear(Timer::Response);
        }
        self.greeting = Greeting::Over;
        self.barge_in();
    }

    fn response_started(&mut self, response: &str) {
        self.responses.started(response);
        if self.turns.caller_speaks() {
            // It was asked for before the caller began to speak and would now talk into the caller's words.
            self.playback.kill(response);
            self.command(ProviderCommand::Cancel { response });
            self.timers.clear(Timer::Response);
        } else {
            self.expect_response();
        }
    }

    fn response_done(&mut self, response: &str, outcome: &ResponseOutcome) {
        self.playback(|playback, now, out, ended| playback.finish_response(now, response, out, ended));
        for said in self.turns.finish_response(response) {
            self.fact(said);
        }
        let next = self.responses.done(response, outcome, self.turns.caller_speaks());
        if !self.responses.is_expected() {
            self.timers.clear(Timer::Response);
        }
        match (next, outcome) {
            (Next::Wait, _) => {}
            (Next::Send(ask), _) => self.respond(&ask),
            (Next::GiveUp, ResponseOutcome::Refused { code }) => self.provider_refused(&format!("refused {code}")),
            (Next::GiveUp, ResponseOutcome::Failed | ResponseOutcome::Completed | ResponseOutcome::Cancelled) => {
                self.provider_lost("responses failed")
            }
        }
    }

    /// Wants the agent to speak: now, or when it can.
    pub(super) fn ask(&mut self, ask: Ask) {
        if let Some(ask) = self.responses.ask(ask, self.turns.caller_speaks()) {
            self.respond(&ask);
        }
    }

    fn respond(&mut self, ask: &Ask) {
        let what = match ask {
            Ask::Freely => Respond::Freely,
            Ask::Saying(words) => Respond::Saying(words),
            Ask::Following(instructions) => Respond::Following(instructions),
        };
        self.command(ProviderCommand::Respond { what });
        self.expect_response();
    }

    fn expect_response(&mut self) {
        self.timers.set(Timer::Response, self.now + self.config.response_timeout);
    }

    /// The provider has given no sign for a while. While the caller still hears something, that is no silence yet.
    pub(super) fn response_is_late(&mut self) {
        if self.phase != Phase::Live || !self.responses.is_expected() {
            return;
        }
        let still_plays = self.playback.remaining(self.now);
        if self.turns.caller_speaks() {
            self.expect_response();
        } else if still_plays.is_zero() {
            self.provider_lost("no response in time");
        } else {
            self.timers.set(Timer::Response, self.now + still_plays + self.config.response_timeout);
        }
    }

    /// Facts about what was cut; see `interruption`.
    pub(super) fn tell_cut(&mut self, item: &str, heard_ms: u32) {
        self.stats.barge_ins += 1;
        self.fact(NodeEvent::BargedIn { item: item.to_owned(), heard_ms });
    }
}
