//! A call that another node has carried before.

use crate::stage::*;
use session::Input;
use shared::node_api::{HeardLine, Speaker};

fn line(speaker: Speaker, text: &str) -> HeardLine {
    HeardLine { speaker, text: text.into() }
}

#[test]
fn the_agent_is_told_what_was_heard_and_picks_up_the_thread() {
    let mut stage = Stage::new();
    let mut plan = plan("openai");
    plan.greeted = true;
    plan.heard = vec![
        line(Speaker::Agent, "Good morning."),
        line(Speaker::Caller, "When are you open?"),
        line(Speaker::Agent, "We are open from"),
    ];
    stage.check(10, Input::Begin(Box::new(plan)), &["open openai"]);
    stage.check(50, Input::ProviderOpened, &["provider: session.update"]);
    stage.provider(
        100,
        &updated(),
        &[
            "fact: ready openai",
            "provider: assistant Good morning.",
            "provider: user When are you open?",
            "provider: assistant We are open from",
            "provider: respond: The telephone line was interrupted for a moment and is back. Say so in a few words and go on where the conversation stopped.",
        ],
    );
}
