//! Conversations.

use shared::agent::Agent;
use shared::call::Direction;
use shared::ids::{AgentId, CallId, CallSid, Party};
use shared::node_api::CallPlan;

/// A plan of an agent with this provider.
pub(crate) fn plan(provider: &str) -> CallPlan {
    let mut agent = Agent::line_test(AgentId::parse("test").unwrap());
    agent.voice.provider = provider.to_owned();
    agent.instructions = "Be brief.".to_owned();
    agent.greeting = (provider != "echo").then(|| "Good morning.".to_owned());
    CallPlan {
        call: CallId::new(1, [1; 10]),
        call_sid: CallSid::parse("CA00000000000000000000000000000001").unwrap(),
        direction: Direction::Inbound,
        caller: Party::Unknown,
        agent,
        variables: Default::default(),
        greeted: false,
        heard: Vec::new(),
        remaining_s: 600,
    }
}
