//! How a call ends: with a last sentence when there is time for one, at once when there is not, and always with one verdict
//! after which nothing follows.

use super::{Session, fact_of};
use crate::audio::Clip;
use crate::phase::Phase;
use crate::timers::Timer;
use crate::{Action, Now};
use shared::call::{EndReason, Termination};
use shared::node_api::NodeEvent;

/// The agent may finish what is queued, if it is not longer than this.
const LAST_WORDS: Now = Now::from_secs(5);
/// How late the last sentence's mark may be.
const CLOSING_SLACK: Now = Now::from_secs(2);
/// What the last sentence needs besides its own length when the node stops.
const DRAIN_SLACK: Now = Now::from_secs(1);

impl Session {
    /// Ends the call with a sentence behind what plays: the provider is let go now, the verdict follows when the sentence has
    /// been heard.
    pub(super) fn end_politely(&mut self, reason: EndReason, clip: Clip) {
        if matches!(self.phase, Phase::Ending(_) | Phase::Over) {
            return;
        }
        self.retire();
        if self.playback.remaining(self.now) > LAST_WORDS {
            self.silence_line();
        } else {
            self.playback(|playback, now, out, ended| playback.finish_all(now, out, ended));
        }
        self.timers.keep(&[Timer::Carrier, Timer::HardStop]);
        self.phase = Phase::Ending(reason);
        self.speak(clip);
        let heard_at = self.now.max(self.playback.drained_at());
        self.timers.set(Timer::Closing, heard_at + CLOSING_SLACK);
    }

    /// Ends the call at once. The last action of a session comes from here.
    pub(super) fn finish(&mut self, reason: EndReason) {
        if self.is_over() {
            return;
        }
        // First of all, so that nothing that follows can end the call a second time.
        self.phase = Phase::Over;
        self.retire();
        self.silence_line();
        self.fact(NodeEvent::Ended { reason });
        if self.carrier_is_open {
            self.actions.push_back(Action::CloseTwilio);
        }
        self.actions.push_back(Action::Ended(Termination::from(reason)));
    }

    /// The reason of an end that has begun, else this one.
    pub(super) fn reason_or(&self, reason: EndReason) -> EndReason {
        match self.phase {
            Phase::Ending(reason) => reason,
            Phase::AwaitingPlan | Phase::Connecting | Phase::Configuring | Phase::Live | Phase::Over => reason,
        }
    }

    /// The node stops at `deadline`; the last sentence begins early enough to be heard.
    pub(super) fn drain(&mut self, deadline: Now) {
        self.timers.set(Timer::HardStop, deadline);
        if !matches!(self.phase, Phase::Ending(_)) {
            let needed = Clip::Apology.length() + DRAIN_SLACK;
            self.timers.set(Timer::Drain, deadline.saturating_sub(needed));
        }
    }

    /// Nobody will hear the caller any more, and nothing will be asked of the agent.
    fn retire(&mut self) {
        self.hang_up_provider();
        self.uplink.abandon();
        for (id, _) in std::mem::take(&mut self.tells) {
            self.done(id, Some("the call is ending"));
        }
    }

    /// Stops what plays.
    fn silence_line(&mut self) {
        let is_audible = self.playback.is_audible(self.now);
        let items = self.playback.interrupt(self.now);
        if is_audible && self.carrier_is_open {
            self.actions.push_back(Action::ToTwilio(self.carrier.clear()));
        }
        for heard in items {
            self.fact(fact_of(&heard));
        }
    }
}
