//! The agent of the barge-in test and the provider's ways, different from call to call.

use std::collections::BTreeMap;

use shared::agent::{Agent, TurnDetection};
use shared::call::Direction;
use shared::ids::{AgentId, CallId, CallSid, Party};
use shared::node_api::CallPlan;
use simulator::provider::openai::{Keep, LateDeltas, Options, Script};

use super::network::Dice;

/// What the node is told.
pub(super) fn plan() -> Box<CallPlan> {
    let mut agent = Agent::line_test(AgentId::parse("test").unwrap());
    agent.voice.provider = "openai".to_owned();
    agent.voice.turn_detection =
        TurnDetection::ServerVad { threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 200 };
    agent.greeting = Some("Riverside Clinic, good morning. How can I help you?".to_owned());
    Box::new(CallPlan {
        call: CallId::new(1, [1; 10]),
        call_sid: CallSid::parse("CA00000000000000000000000000000001").unwrap(),
        direction: Direction::Inbound,
        caller: Party::Unknown,
        agent,
        variables: BTreeMap::new(),
        greeted: false,
        heard: Vec::new(),
        remaining_s: 3_600,
    })
}

/// How the provider behaves in this call.
pub(super) fn options(dice: &mut Dice) -> Options {
    let sizes =
        [vec![20], vec![10, 30, 70], vec![100, 200, 130, 400, 75], vec![37, 401, 1_000], vec![250], vec![5, 600]];
    let chunks_ms = sizes[dice.within(0..sizes.len() as u64) as usize].clone();
    // From hardly faster than it plays to all at once.
    let speed = [1.05, 1.3, 2.0, 5.0, 12.0, 60.0][dice.within(0..6) as usize];
    let mut script = Script::clinic();
    // Noise is answered, too; and now and then with two items in one response.
    script.otherwise =
        [vec!["agent-not-understood".to_owned()], vec!["agent-booked".to_owned()]][dice.within(0..2) as usize].clone();
    for answer in &mut script.answers {
        if answer.heard == "caller-yes" {
            answer.say = vec!["agent-which-day".to_owned(), "agent-offer".to_owned()];
            answer.separate_items = true;
        }
    }
    Options {
        seed: dice.roll(),
        first_audio_ms: dice.within(30..300),
        speed,
        chunks_ms,
        late_deltas: LateDeltas { before_done: dice.within(0..4) as u32, after_done: dice.within(0..4) as u32 },
        keep: Keep::Audio,
        script,
        ..Options::default()
    }
}
