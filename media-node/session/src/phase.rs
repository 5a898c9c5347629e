//! Where a session stands in its life, and which voice it tries next when one is lost. What a change of phase does lives in
//! `session`.

use shared::agent::{Agent, VoicePlan};
use shared::call::EndReason;

/// awaiting plan → connecting → live → ending → over; a lost provider goes back to connecting, and every phase can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nobody has said yet what to do.
    AwaitingPlan,
    /// The provider is being dialled, or will be at the `Redial` deadline.
    Connecting,
    /// The provider's socket is open, its configuration not yet accepted.
    Configuring,
    /// The caller and the provider hear each other.
    Live,
    /// A last sentence is being played.
    Ending(EndReason),
    /// The verdict is out.
    Over,
}

impl Phase {
    /// Whether the provider's words count.
    pub(crate) fn listens_to_provider(self) -> bool {
        match self {
            Self::Configuring | Self::Live => true,
            Self::AwaitingPlan | Self::Connecting | Self::Ending(_) | Self::Over => false,
        }
    }
}

/// The voices of an agent, in the order of preference, with one second try each. A voice that served well gets its second
/// try back.
#[derive(Debug)]
pub(crate) struct Voices {
    current: VoicePlan,
    fallback: Option<VoicePlan>,
    may_retry: bool,
}

impl Voices {
    pub(crate) fn of(agent: &Agent) -> Self {
        Self { current: agent.voice.clone(), fallback: agent.fallback.clone(), may_retry: true }
    }

    /// The voice to dial.
    pub(crate) fn current(&self) -> &VoicePlan {
        &self.current
    }

    /// The current voice was lost; whether there is one to dial now: the same once more, then the fallback.
    pub(crate) fn lost(&mut self) -> bool {
        if std::mem::take(&mut self.may_retry) {
            return true;
        }
        self.refused()
    }

    /// The current voice does not want us; whether there is another.
    pub(crate) fn refused(&mut self) -> bool {
        match self.fallback.take() {
            Some(voice) => {
                self.current = voice;
                self.may_retry = true;
                true
            }
            None => false,
        }
    }

    /// The current voice has served long enough to earn its second try again.
    pub(crate) fn served(&mut self) {
        self.may_retry = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::ids::AgentId;

    fn agent(fallback: bool) -> Agent {
        let mut agent = Agent::line_test(AgentId::parse("a").unwrap());
        agent.voice.provider = "openai".into();
        if fallback {
            agent.fallback = Some(Agent::line_test(AgentId::parse("b").unwrap()).voice);
        }
        agent
    }

    #[test]
    fn each_voice_is_tried_twice() {
        let mut voices = Voices::of(&agent(true));
        assert!(voices.lost() && voices.current().provider == "openai");
        assert!(voices.lost() && voices.current().provider == "echo");
        assert!(voices.lost() && voices.current().provider == "echo");
        assert!(!voices.lost());
    }

    #[test]
    fn a_refusal_is_not_tried_again() {
        let mut voices = Voices::of(&agent(true));
        assert!(voices.refused() && voices.current().provider == "echo");
        assert!(!voices.refused());
        assert!(!Voices::of(&agent(false)).refused());
    }

    #[test]
    fn good_service_earns_the_second_try_again() {
        let mut voices = Voices::of(&agent(false));
        assert!(voices.lost());
        voices.served();
        assert!(voices.lost());
        assert!(!voices.lost());
    }
}
