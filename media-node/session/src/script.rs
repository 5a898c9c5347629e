//! What an agent is told for one call: its instructions and greeting with the call's variables in their places. Which words
//! a provider is sent them in is the codec's matter.

use shared::node_api::CallPlan;

/// What the agent is asked to do when the line comes back after somebody else has carried the call.
pub(crate) const RESUME: &str = "The telephone line was interrupted for a moment and is back. Say so in a few words and go on where the \
     conversation stopped.";

/// The agent's instructions for this call.
pub(crate) fn instructions(plan: &CallPlan) -> String {
    fill(&plan.agent.instructions, plan)
}

/// What the agent says first, if anything.
pub(crate) fn greeting(plan: &CallPlan) -> Option<String> {
    plan.agent.greeting.as_deref().map(|text| fill(text, plan)).filter(|text| !text.trim().is_empty())
}

/// Puts the call's variables where `{{name}}` stands. A name without a value stays as it is written.
fn fill(text: &str, plan: &CallPlan) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        match after.split_once("}}").and_then(|(name, end)| Some((plan.variables.get(name.trim())?, end))) {
            Some((value, end)) => {
                filled.push_str(value);
                rest = end;
            }
            None => {
                filled.push_str("{{");
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::agent::Agent;
    use shared::call::Direction;
    use shared::ids::{AgentId, CallId, CallSid, Party};

    fn plan() -> CallPlan {
        CallPlan {
            call: CallId::new(1, [1; 10]),
            call_sid: CallSid::parse("CA00000000000000000000000000000001").unwrap(),
            direction: Direction::Inbound,
            caller: Party::Unknown,
            agent: Agent::line_test(AgentId::parse("test").unwrap()),
            variables: [("name".to_owned(), "Dana {{x}}".to_owned()), ("x".to_owned(), "1".to_owned())].into(),
            greeted: false,
            heard: Vec::new(),
            remaining_s: 600,
        }
    }

    #[test]
    fn variables_stand_where_their_names_stood() {
        let mut plan = plan();
        for (text, filled) in [
            ("Hello {{name}}, {{ x }}!", "Hello Dana {{x}}, 1!"),
            ("{{unknown}} {{ {{x}} }}", "{{unknown}} {{ 1 }}"),
            ("{{", "{{"),
            ("", ""),
        ] {
            plan.agent.instructions = text.into();
            assert_eq!(instructions(&plan), filled);
        }
        plan.agent.greeting = Some(" ".into());
        assert_eq!(greeting(&plan), None);
    }
}
